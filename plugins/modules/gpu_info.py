#!/usr/bin/python
# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module llmserve.vllm.gpu_info."""

from __future__ import annotations

DOCUMENTATION = r"""
module: gpu_info
short_description: Report a host's NVIDIA GPUs, driver, memory, disks, addresses and RDMA ports
version_added: "0.1.0"
author:
  - "The llmserve.vllm authors (@llmserve)"
description:
  - Runs C(nvidia-smi -q -x) once, with a time limit, and reads C(/proc), C(/sys) and C(ip -j addr).
  - Reads the reports of drivers 450 and newer, MIG and GPUs that share the host's memory included.
  - Changes nothing. A host without a usable driver is a failure that names the cause, or, with O(required=false),
    a result with RV(present=false).
extends_documentation_fragment:
  - llmserve.vllm.attributes.reader
options:
  nvidia_smi:
    description:
      - The C(nvidia-smi) to run, a path or a name. A name is looked for in E(PATH) and in the usual system directories.
    type: str
    default: nvidia-smi
  required:
    description:
      - Whether a host without a usable NVIDIA driver fails the task.
      - With V(false) the task succeeds and returns RV(present=false), RV(reason) and RV(reason_kind).
    type: bool
    default: true
  timeout:
    description:
      - How many seconds C(nvidia-smi) may take. It hangs for ever when a GPU has fallen off the bus, and takes several
        seconds on an 8-GPU host without persistence mode.
    type: int
    default: 30
  paths:
    description:
      - Absolute paths whose filesystems RV(disks) describes. A path need not exist; what counts is its nearest ancestor
        that does.
      - A filesystem that does not answer within 5 seconds, such as NFS without its server, costs these 5 seconds once,
        and its entry says so.
    type: list
    elements: path
    default: []
"""

EXAMPLES = r"""
- name: Read the GPUs
  llmserve.vllm.gpu_info:
  register: gpu

- name: Show them
  ansible.builtin.debug:
    msg: "{{ gpu.gpus | length }} x {{ gpu.gpus[0].name }}, driver {{ gpu.driver_version }}"

- name: Ask for the room below two directories as well
  llmserve.vllm.gpu_info:
    paths: [/var/lib/docker, /data/hf]
  register: node

- name: Look at a host that may have no driver yet
  llmserve.vllm.gpu_info:
    required: false
  register: maybe_gpu

- name: Say why there are no GPUs
  ansible.builtin.debug:
    msg: "{{ maybe_gpu.reason }}"
  when: not maybe_gpu.present
"""

RETURN = r"""
present:
  description: Whether the driver answered and sees at least one GPU.
  returned: always
  type: bool
  sample: true
reason:
  description: A sentence that says why there are no usable GPUs and how to mend it.
  returned: when RV(present=false)
  type: str
reason_kind:
  description:
    - The same for programs, one of V(driver_not_installed), V(driver_not_loaded), V(driver_library_mismatch),
      V(no_devices), V(permission), V(timeout), V(unparsable).
  returned: when RV(present=false)
  type: str
  sample: driver_not_loaded
reason_detail:
  description:
    - What the kernel tells of the cause beyond RV(reason_kind), V(null) when it tells nothing. One of V(container)
      (this is one without GPUs), V(no_gpu) (none on the PCI bus), V(nouveau) and V(vfio) (another driver holds them),
      V(no_module_for_kernel), V(secure_boot), V(tools_missing), V(loaded_version), V(reset_required), V(gpu_lost).
    - RV(reason) has the same as a sentence.
  returned: when RV(present=false)
  type: str
  sample: no_module_for_kernel
driver_version:
  description: Version of the NVIDIA driver, V(null) without one.
  returned: always
  type: str
  sample: 580.95.05
cuda_version:
  description: The newest CUDA version that the driver supports, V(null) without a driver.
  returned: always
  type: str
  sample: "13.0"
gpus:
  description:
    - One entry per GPU, in the order of C(nvidia-smi). A figure that the GPU does not support is V(null), never 0.
  returned: always
  type: list
  elements: dict
  contains:
    index: {description: Index of the GPU as nvidia-smi counts (it counts lost ones), type: int, sample: 0}
    name: {description: Product name, type: str, sample: NVIDIA H100 80GB HBM3}
    uuid: {description: UUID, type: str, sample: GPU-6a5b6ac4-7b6d-4f0e-8d5d-0f3c9a1e2b3c}
    minor_number: {description: Number of the device file C(/dev/nvidiaN), type: int, sample: 0}
    pci_bus_id: {description: PCI address, type: str, sample: "00000000:19:00.0"}
    numa_node: {description: NUMA node that the GPU is attached to; V(null) on a host with one, type: int, sample: 0}
    memory_numa_node:
      {description: NUMA node that is the GPU's own memory (GH200 and GB200; V(null) on others), type: int, sample: 1}
    architecture: {description: Product architecture, type: str, sample: Hopper}
    compute_capability: {description: Compute capability; V(null) of an unknown model, type: str, sample: "9.0"}
    memory_total_mib: {description: Memory in MiB; V(null) where host and GPU share it, type: int, sample: 81559}
    memory_reserved_mib: {description: Memory in MiB that the driver keeps, type: int, sample: 550}
    memory_used_mib: {description: Used memory in MiB, type: int, sample: 1}
    memory_free_mib: {description: Free memory in MiB, type: int, sample: 81008}
    memory_is_shared:
      description: Whether the GPU works in the host's memory (GB10, Jetson), so that RV(host_memory_mib) counts and
        RV(gpus[].memory_total_mib) does not; V(null) when neither the model nor the report tells.
      type: bool
      sample: false
    addressing_mode: {description: "V(None), V(HMM) or V(ATS); V(null) before driver 535", type: str, sample: HMM}
    virtualization: {description: V(None) on bare metal; V(Pass-Through) or V(VGPU), type: str, sample: Pass-Through}
    mig_enabled: {description: Whether the GPU is split into MIG devices, type: bool, sample: false}
    mig_memory_total_mib:
      {description: Memory in MiB of all MIG devices; what two of them share counts once, type: int}
    mig_devices:
      description: The GPU's MIG devices, with their C(index), C(gpu_instance_id), C(compute_instance_id),
        C(multiprocessors), C(memory_total_mib), C(memory_used_mib) and C(memory_free_mib).
      type: list
      elements: dict
    persistence_mode: {description: Whether the driver stays loaded without clients, type: bool, sample: true}
    compute_mode: {description: Compute mode, type: str, sample: Default}
    ecc_enabled: {description: Whether ECC is on, type: bool, sample: true}
    ecc_corrected: {description: Corrected ECC errors since the driver was loaded, type: int, sample: 0}
    ecc_uncorrected: {description: Uncorrected ECC errors since the driver was loaded, type: int, sample: 0}
    ecc_uncorrected_lifetime: {description: Uncorrected ECC errors of the GPU's whole life, type: int, sample: 0}
    processes:
      description: The processes that use the GPU, with their C(pid), C(type) (C for compute, G for graphics, C+G, M+C),
        C(compute) (whether it computes), C(name), C(memory_used_mib), C(gpu_instance_id) and C(compute_instance_id).
        Name and memory are V(null) where the driver hides them, as in a container or from another user.
      type: list
      elements: dict
    problems:
      description: Sentences about what is wrong with the GPU; the same are given as warnings.
      type: list
      elements: str
gpus_lost:
  description: The GPUs that the driver counts but that do not answer; RV(gpus) lacks them, and a warning names each.
  returned: always
  type: list
  elements: dict
  contains:
    index: {description: Index of the GPU, type: int, sample: 3}
    pci_bus_id: {description: PCI address, type: str, sample: "0000:5F:00.0"}
    reason: {description: What C(nvidia-smi) said, type: str, sample: Unknown Error}
gpus_on_pci:
  description: The NVIDIA GPUs on the PCI bus, whatever their driver; also where C(nvidia-smi) fails.
  returned: always
  type: list
  elements: dict
  contains:
    pci_bus_id: {description: PCI address as the kernel writes it, type: str, sample: "0000:19:00.0"}
    device_id: {description: PCI device id, type: str, sample: "0x2330"}
    driver: {description: "Kernel driver that holds it, for example V(nvidia), V(nouveau), V(vfio-pci)", type: str}
driver_module:
  description: The nvidia module in the kernel.
  returned: always
  type: dict
  contains:
    version: {description: Its version; V(null) when it is not loaded, type: str, sample: 580.95.05}
    open: {description: Whether it is the open variant, type: bool, sample: true}
    modules: {description: Loaded modules of NVIDIA and of its rivals, type: list, elements: str, sample: [nvidia]}
nvidia_peermem:
  description: Whether the module nvidia_peermem is loaded, one of the ways to GPUDirect RDMA.
  returned: always
  type: bool
  sample: true
nvswitches:
  description: How many NVSwitches are on the PCI bus, which need nvidia-fabricmanager. Later than Hopper they are not.
  returned: always
  type: int
  sample: 4
hostname:
  description: The host's name for itself.
  returned: always
  type: str
  sample: node-001
architecture:
  description: Machine architecture of the host.
  returned: always
  type: str
  sample: x86_64
kernel:
  description: Release of the running kernel.
  returned: always
  type: str
  sample: 6.8.0-60-generic
kernel_page_size:
  description: Size of the kernel's memory pages in bytes; 65536 on many Grace hosts.
  returned: always
  type: int
  sample: 4096
host_memory_mib:
  description: Memory of the host in MiB, RV(host_memory_on_gpus_mib) included.
  returned: always
  type: int
  sample: 2063930
host_memory_available_mib:
  description: Memory of the host in MiB that programs can take without swapping.
  returned: always
  type: int
  sample: 2021120
host_memory_on_gpus_mib:
  description: The part of RV(host_memory_mib) that is memory of the GPUs, in MiB; other than 0 on GH200 and GB200 only.
  returned: always
  type: int
  sample: 0
swap_total_mib:
  description: Swap in MiB.
  returned: always
  type: int
  sample: 0
swap_free_mib:
  description: Free swap in MiB.
  returned: always
  type: int
  sample: 0
numa_nodes:
  description: The NUMA nodes that have CPUs or memory. One without CPUs is the memory of a GPU, or a memory expander.
  returned: always
  type: list
  elements: dict
  contains:
    node: {description: Number of the node, type: int, sample: 0}
    cpus: {description: Its CPUs; empty when it has none, type: str, sample: "0-51,104-155"}
    memory_total_mib: {description: Memory in MiB, type: int, sample: 1031965}
    memory_free_mib: {description: Free memory in MiB, type: int, sample: 1010560}
huge_pages:
  description: One entry per size of huge page.
  returned: always
  type: list
  elements: dict
  contains:
    size_kib: {description: Size of a page in KiB, type: int, sample: 2048}
    total: {description: Pages that are set aside, type: int, sample: 0}
    free: {description: Pages of these that nobody uses, type: int, sample: 0}
    default: {description: Whether it is the kernel's default size, type: bool, sample: true}
transparent_huge_pages:
  description: Mode of transparent huge pages, V(always), V(madvise) or V(never); V(null) where the kernel lacks them.
  returned: always
  type: str
  sample: madvise
shm:
  description: The host's C(/dev/shm), C(path), C(total_mib) and C(free_mib); V(null) on a host without it.
  returned: always
  type: dict
  sample: {path: /dev/shm, total_mib: 1031965, free_mib: 1031965}
limits:
  description: Limits of the connecting user's processes, C(memlock) in bytes and C(nofile), each C(soft) and C(hard);
    V(-1) is unlimited. A service has its own.
  returned: always
  type: dict
  sample: {memlock: {soft: -1, hard: -1}, nofile: {soft: 1024, hard: 1048576}}
disks:
  description: One entry per path in O(paths), in their order. What could not be read is V(null).
  returned: always
  type: list
  elements: dict
  contains:
    path: {description: The path as given, type: str, sample: /data/hf/hub}
    nearest: {description: The path or its nearest ancestor that exists (links followed), type: str, sample: /data}
    fstype: {description: Type of the filesystem, type: str, sample: ext4}
    source: {description: Device or server that is mounted, type: str, sample: /dev/nvme1n1}
    mount_point: {description: Where it is mounted, type: str, sample: /data}
    shared: {description: Whether it is a network filesystem that other hosts may see, type: bool, sample: false}
    total_bytes: {description: Size in bytes, type: int, sample: 3840000000000}
    free_bytes: {description: Bytes that an ordinary user can still write, type: int, sample: 3500000000000}
    inodes_total: {description: Number of inodes; V(null) where it has no limit, type: int, sample: 234422272}
    inodes_free: {description: Inodes that an ordinary user can still use, type: int, sample: 234000000}
    read_only: {description: Whether it is mounted read-only, type: bool, sample: false}
    writable: {description: Whether the connecting user may create files there, type: bool, sample: true}
    problem: {description: Why figures are missing or doubtful; also given as a warning, type: str}
addresses:
  description: The addresses that are configured on the host, loopback included; empty without the C(ip) command.
  returned: always
  type: list
  elements: dict
  contains:
    address: {description: IPv4 or IPv6 address, type: str, sample: 172.26.135.124}
    prefix: {description: Length of the network prefix, type: int, sample: 20}
    interface: {description: Name of the interface, type: str, sample: eno1}
fabric:
  description: One entry per port of every RDMA device, InfiniBand and RoCE.
  returned: always
  type: list
  elements: dict
  contains:
    device: {description: Name of the device, type: str, sample: mlx5_0}
    port: {description: Number of the port, type: int, sample: 1}
    link_layer: {description: V(InfiniBand) or V(Ethernet), type: str, sample: InfiniBand}
    state: {description: Logical state of the port, type: str, sample: ACTIVE}
    phys_state: {description: Physical state of the port, type: str, sample: LinkUp}
    rate_gbps: {description: Rate of the link in Gb/s, type: float, sample: 400}
    netdev: {description: The port's network interface, type: str, sample: ib0}
    netdevs: {description: All its interfaces with those of VLANs and containers, type: list, elements: str}
    gids:
      description: The filled places of the port's GID table, with their C(index), C(gid), C(type) (V(IB), V(RoCE v1) or
        V(RoCE v2)), C(ipv4) (the address that the GID maps, V(null) for others) and C(netdev).
      type: list
      elements: dict
    firmware: {description: Version of the firmware, type: str, sample: 28.39.3004}
    hca_type: {description: Model, type: str, sample: MT4129}
    board_id: {description: Board id (PSID), type: str, sample: MT_0000000838}
    numa_node: {description: NUMA node of the device; V(null) on a host with one, type: int, sample: 0}
    pci_address: {description: PCI address of the device, type: str, sample: "0000:18:00.0"}
devices_infiniband:
  description: Whether C(/dev/infiniband) exists, the directory that containers need for RDMA.
  returned: always
  type: bool
  sample: true
"""

import os

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.llmserve.vllm.plugins.module_utils import _gpu_facts


def check(module: AnsibleModule) -> None:
    """Refuse parameters that have no meaning."""
    if module.params["timeout"] < 1:
        module.fail_json(msg="timeout is in seconds and must be at least 1, not {0}.".format(module.params["timeout"]))
    for path in module.params["paths"]:
        if not os.path.isabs(path):
            module.fail_json(msg="paths needs absolute paths, and '{0}' is none.".format(path))


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "nvidia_smi": {"type": "str", "default": "nvidia-smi"},
            "required": {"type": "bool", "default": True},
            "timeout": {"type": "int", "default": 30},
            "paths": {"type": "list", "elements": "path", "default": []},
        },
        supports_check_mode=True,
    )
    check(module)
    params = module.params
    facts, warnings = _gpu_facts.collect(module, params["nvidia_smi"], params["timeout"], params["paths"])
    if params["required"] and not facts["present"]:
        module.fail_json(msg=facts["reason"], **facts)
    for warning in warnings:
        module.warn(warning)
    module.exit_json(changed=False, **facts)


if __name__ == "__main__":
    main()
