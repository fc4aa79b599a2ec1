# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why an all-reduce between hosts fails, and what mends it.

This plugin util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

from typing import NamedTuple


class Cause(NamedTuple):
    """A problem with its mend; C({evidence}) is the line that tells of it."""

    problem: str
    mend: str


# What NCCL, gloo and CUDA say in their own words: _nccl_log.SIGNATURES.
NAMED = {
    "nccl_versions": Cause(
        "The hosts run different versions of NCCL: {evidence}.",
        "Give all hosts the same image by digest, and see that no NCCL_* or LD_PRELOAD variable brings in another one.",
    ),
    "duplicate_gpu": Cause(
        "Two ranks have got the same GPU: {evidence}.",
        "Look at CUDA_VISIBLE_DEVICES in llmserve_environment, and at the GPUs that `docker run --gpus all` shows.",
    ),
    "fabric_manager": Cause(
        "The GPUs are not joined by NVSwitch yet: {evidence}.",
        "Start nvidia-fabricmanager, in exactly the driver's version: systemctl status nvidia-fabricmanager.",
    ),
    "driver": Cause(
        "The driver is too old for the image's CUDA: {evidence}.",
        "Update the driver, or set VLLM_ENABLE_CUDA_COMPATIBILITY=1 in llmserve_environment, or take an image for an"
        " older CUDA.",
    ),
    "gpu_memory": Cause(
        "A GPU has no memory left for the check: {evidence}.",
        "See with nvidia-smi who uses it, and stop that.",
    ),
    "memlock": Cause(
        "The InfiniBand adapter may not pin memory: {evidence}.",
        "The container has memlock=-1. Set LimitMEMLOCK=infinity for docker.service and containerd.service, and look"
        " for limits of a cgroup or of the IOMMU: ulimit -l in the container, dmesg on the host.",
    ),
    "infiniband_permission": Cause(
        "The container may not use the InfiniBand devices: {evidence}.",
        "It needs all of /dev/infiniband and the capability IPC_LOCK: ray_node_infiniband. Check AppArmor and SELinux.",
    ),
    "gid": Cause(
        "Two RDMA ports do not get a connection: {evidence}.",
        "On RoCE, NCCL_IB_GID_INDEX has to be the RoCE v2 entry with the cluster's IPv4 address on all hosts; show_gids"
        " lists them, it is usually 3. With several rails, ports of different rails may not reach each other:"
        " NCCL_CROSS_NIC=0.",
    ),
    "acs": Cause(
        "An RDMA adapter was refused access to memory: {evidence}.",
        "PCIe ACS or an IOMMU stands between adapter and GPU: turn ACS off in the BIOS or with setpci, or do without"
        " GPUDirect by NCCL_NET_GDR_LEVEL=LOC.",
    ),
    "fabric_path": Cause(
        "RDMA packets do not arrive: {evidence}.",
        "Check cables, switch ports and the subnet manager (ibstat, iblinkinfo); on RoCE also PFC, the MTU and the GID"
        " index. Leave ports that do not reach the other hosts out of NCCL_IB_HCA.",
    ),
    "interface_unusable": Cause(
        "NCCL or gloo finds no interface that it can use: {evidence}.",
        "Set NCCL_SOCKET_IFNAME and GLOO_SOCKET_IFNAME for this host to the interface that has llmserve_node_ip.",
    ),
    "shared_memory": Cause(
        "/dev/shm is too small or full: {evidence}.",
        "See df /dev/shm on the host, remove what was left there by processes that are gone, or enlarge it.",
    ),
    "connection": Cause(
        "A connection between two hosts failed: {evidence}.",
        "Every host has to reach every other on all TCP ports of the interface that NCCL and gloo use{interfaces}.",
    ),
    "system_error": Cause(
        "NCCL reports an error of the system: {evidence}.",
        "See the end of its log below, and dmesg on the host.",
    ),
}

# Why docker run refused: _nccl_container.start_failure.
NOT_STARTED = {
    "gpu_runtime": "Docker cannot give GPUs to a container: run the role docker_nvidia, see nvidia-ctk cdi list.",
    "infiniband_device": "Load ib_uverbs and mlx5_ib on the host, or set ray_node_infiniband: never.",
    "image": "Bring the image to this host: role vllm_image.",
    "image_tools": "The image lacks coreutils' timeout: serve with one that is made from vllm/vllm-openai.",
    "docker": "Run the command by hand on this host.",
}
