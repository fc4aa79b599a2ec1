# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a host has memory and room enough.


This plugin util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.llmserve.vllm.plugins.plugin_utils._checks.base import (
    ERROR,
    WARNING,
    Cluster,
    Found,
    Group,
    Host,
    gib,
)

GROUP = Group("resources")

# Ray's object store as the role ray_node sets it; NCCL and vLLM's message queues take the rest.
_SHM_MIB = 1024
_SHM_PER_GPU_MIB = 128
# A worker process of vLLM, with CUDA's context and Python, surely takes this much.
_WORKER_MIB = 2048
# Pinned memory is allocated in powers of two: offloading takes nearly twice what it was asked for.
_OFFLOAD_FACTOR = 2
_SWAPPED_MIB = 1024


@GROUP.each("shm", ERROR, "/dev/shm is large enough for Ray, NCCL and vLLM's workers")
def shm(host: Host, cluster: Cluster) -> Iterator[Found]:
    if cluster.wish.get("executor") == "mp":
        # the container has one of its own
        return
    count = len(host.facts_list("gpus"))
    needed = _SHM_MIB + _SHM_PER_GPU_MIB * count
    total = host.fact("shm", "total_mib")
    if host.facts is not None and "shm" in host.facts and (total or 0) < needed:
        yield Found(
            f"/dev/shm has {gib(total)}" if total else "there is no /dev/shm",
            f"{gib(needed)} or more",
            "Enlarge it there: sudo mount -o remount,size=50% /dev/shm, and the same in /etc/fstab.",
        )


@GROUP.each("host_memory", ERROR, "the host has memory for the workers and for what is offloaded")
def host_memory(host: Host, cluster: Cluster) -> Iterator[Found]:
    total = host.fact("host_memory_mib")
    if not total:
        return
    count = len(host.facts_list("gpus"))
    offload = float(cluster.plan.get("cpu_offload_gb") or 0) * 1024 * count
    needed = _WORKER_MIB * count + _OFFLOAD_FACTOR * offload
    # on GH200 the memory of the GPU counts as the host's, too
    own = total - (host.fact("host_memory_on_gpus_mib") or 0)
    if own < needed:
        what = f"{_OFFLOAD_FACTOR} x {gib(offload)} of offload and the workers" if offload else "the workers"
        yield Found(
            f"{gib(own)} of memory",
            f"{gib(needed)} for {what}",
            "Take a smaller model, a quantized one or more GPUs, or lower cpu_offload_gb."
            if offload
            else "Take a host with more memory.",
        )


@GROUP.each("docker_disk", ERROR, "there is room for the image where Docker keeps images")
def docker_disk(host: Host, cluster: Cluster) -> Iterator[Found]:
    root = host.fact("docker", "root")
    needed = float(cluster.wish.get("image_gib") or 0)
    if host.fact("docker", "image") or not needed:
        return
    for disk in host.facts_list("disks"):
        free = disk.get("free_bytes")
        if disk["path"] == root and free is not None and free < needed * 2**30:
            yield Found(
                f"{free / 2**30:.1f} GiB free at {disk.get('mount_point')} ({root})",
                f"{needed:g} GiB for the image",
                "Make room there (docker system prune), or set data-root in /etc/docker/daemon.json to a larger disk. "
                "preflight_image_gib is what the image takes.",
            )
            return


@GROUP.each("filesystem", ERROR, "the filesystems of image and model answer and can be written")
def filesystem(host: Host, cluster: Cluster) -> Iterator[Found]:
    seen = set()
    for disk in host.facts_list("disks"):
        where = disk.get("mount_point") or disk["path"]
        wrong = disk.get("problem") or ("it is mounted read-only." if disk.get("read_only") else "")
        if wrong and where not in seen:
            seen.add(where)
            yield Found(
                f"{disk['path']}: {wrong}",
                "a filesystem that answers and can be written",
                f"Mount {where} again on the host, or choose another directory.",
            )


@GROUP.each("inodes", ERROR, "the filesystems of image and model have inodes left")
def inodes(host: Host, cluster: Cluster) -> Iterator[Found]:
    seen = set()
    for disk in host.facts_list("disks"):
        free, where = disk.get("inodes_free"), disk.get("mount_point")
        if free is not None and free < 1000 and where not in seen:
            seen.add(where)
            yield Found(
                f"{free} inodes free at {where}", "1000 or more", f"Remove files below {where}, or choose another disk."
            )


@GROUP.each("swap", WARNING, "the host is not swapping")
def swap(host: Host, cluster: Cluster) -> Iterator[Found]:
    used = (host.fact("swap_total_mib") or 0) - (host.fact("swap_free_mib") or 0)
    if used > _SWAPPED_MIB:
        yield Found(
            f"{gib(used)} of swap in use",
            "none",
            "Something takes the host's memory, and loading a model will crawl: find it (smem, top), then "
            "sudo swapoff -a.",
        )


@GROUP.each("numa_balancing", WARNING, "the kernel does not move memory to the GPU's own NUMA node")
def numa_balancing(host: Host, cluster: Cluster) -> Iterator[Found]:
    shared = any(gpu.get("memory_numa_node") is not None for gpu in host.facts_list("gpus"))
    if shared and host.fact("numa_balancing"):
        yield Found(
            "automatic NUMA balancing is on",
            "off where GPU memory is a NUMA node",
            "Switch it off there: sudo sysctl kernel.numa_balancing=0, and the same in /etc/sysctl.d.",
        )
