# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the GPUs of a host can be used.


This plugin util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.llmserve.vllm.plugins.plugin_utils._checks import images
from ansible_collections.llmserve.vllm.plugins.plugin_utils._checks.base import (
    ERROR,
    WARNING,
    Cluster,
    Found,
    Group,
    Host,
    gib,
)

GROUP = Group("gpu")

# The branches of the driver for which the image's compatibility libraries are made begin here.
_COMPATIBLE = 535
# What an idle driver may keep in use.
_IDLE_MIB = 1024


@GROUP.each("gpus", ERROR, "the driver works and shows as many GPUs as the inventory says")
def gpus(host: Host, cluster: Cluster) -> Iterator[Found]:
    expected = int(host.wish.get("gpus_per_node") or 0)
    found = len(host.facts_list("gpus"))
    if not found:
        yield Found(
            f"No GPU can be used. {host.fact('reason') or 'The driver reports none.'}",
            f"{expected} GPUs (llmserve_gpus_per_node)" if expected else "GPUs",
            "Mend that, or take the host out of the inventory group llm_nodes.",
        )
    elif expected not in (0, found) and not host.fact("gpus_lost"):
        yield Found(
            f"{found} GPUs",
            f"{expected} (llmserve_gpus_per_node)",
            "Look for 'Xid' and 'NVRM' in the kernel log (dmesg) and reboot the host, or set llmserve_gpus_per_node to "
            f"{found}.",
        )


@GROUP.each("gpu_lost", ERROR, "every GPU that the driver counts answers")
def gpu_lost(host: Host, cluster: Cluster) -> Iterator[Found]:
    for lost in host.facts_list("gpus_lost"):
        yield Found(
            f"GPU {lost['index']} at {lost.get('pci_bus_id')}: {lost.get('reason')}",
            "an answer",
            "Look for 'Xid 79' in the kernel log (dmesg) and power-cycle the host; if it comes back, have the GPU "
            "replaced.",
        )


@GROUP.each("gpu_health", WARNING, "the GPUs report no errors")
def gpu_health(host: Host, cluster: Cluster) -> Iterator[Found]:
    for gpu in host.facts_list("gpus"):
        for problem in gpu.get("problems") or ():
            yield Found(
                str(problem),
                "a healthy GPU",
                "Drain the host and reset the GPU (nvidia-smi --gpu-reset), or reboot; if it stays, have it replaced.",
            )


@GROUP.each("mig", ERROR, "the GPUs are not split")
def mig(host: Host, cluster: Cluster) -> Iterator[Found]:
    split = [str(gpu["index"]) for gpu in host.facts_list("gpus") if gpu.get("mig_enabled")]
    if split:
        yield Found(
            f"GPU {', '.join(split)} {'is' if len(split) == 1 else 'are'} in MIG mode",
            "whole GPUs",
            "Switch MIG off there: sudo nvidia-smi -mig 0, then reboot or reset the GPUs.",
        )


@GROUP.each("compute_mode", ERROR, "programs may compute on the GPUs")
def compute_mode(host: Host, cluster: Cluster) -> Iterator[Found]:
    closed = [str(gpu["index"]) for gpu in host.facts_list("gpus") if gpu.get("compute_mode") == "Prohibited"]
    if closed:
        yield Found(
            f"GPU {', '.join(closed)} is in compute mode Prohibited",
            "Default",
            "Allow it there: sudo nvidia-smi -c DEFAULT.",
        )


@GROUP.each("cuda", ERROR, "the driver is new enough for the CUDA of the image")
def cuda(host: Host, cluster: Cluster) -> Iterator[Found]:
    wanted = images.cuda(host, cluster)
    driver = str(host.fact("driver_version") or "")
    if not wanted or not driver:
        return
    branch = int(driver.partition(".")[0])
    needed = images.DRIVERS.get(wanted[0], 0)
    if branch >= needed or (host.wish.get("cuda_compatibility") and branch >= _COMPATIBLE):
        return
    yield Found(
        f"driver {driver}",
        f"{needed} or newer, for the image's CUDA {wanted[0]}.{wanted[1]}",
        f"Install driver R{needed} or newer, or choose an image for CUDA 12 such as v0.32.0-cu129, or on data centre "
        f"GPUs with driver {_COMPATIBLE} or newer set VLLM_ENABLE_CUDA_COMPATIBILITY: '1' in ray_node_env and "
        "vllm_serve_env.",
    )


@GROUP.each("gpu_processes", ERROR, "nobody else computes on the GPUs")
def gpu_processes(host: Host, cluster: Cluster) -> Iterator[Found]:
    for item in host.facts_list("gpu_processes"):
        if item["holder"]:
            used = f" ({gib(item['memory_used_mib'])})" if item.get("memory_used_mib") else ""
            yield Found(
                f"GPU {item['gpu']} is used by {item['holder']}{used}",
                "idle GPUs",
                "Stop it there if it may be stopped, or take the host out of the inventory.",
            )


@GROUP.each("gpu_memory", WARNING, "the memory of GPUs without processes is free")
def gpu_memory(host: Host, cluster: Cluster) -> Iterator[Found]:
    if host.fact("gpu_processes"):
        return
    for gpu in host.facts_list("gpus"):
        used, total = gpu.get("memory_used_mib"), gpu.get("memory_total_mib")
        if used and total and used > max(_IDLE_MIB, total // 20):
            yield Found(
                f"GPU {gpu['index']} has {gib(used)} in use and no process",
                "free memory",
                "A dead process still holds it, or one in another container: find it with fuser -v /dev/nvidia*, or "
                "reboot the host.",
            )


@GROUP.each("persistence", WARNING, "the driver stays loaded")
def persistence(host: Host, cluster: Cluster) -> Iterator[Found]:
    if any(gpu.get("persistence_mode") is False for gpu in host.facts_list("gpus")):
        yield Found(
            "persistence mode is off",
            "on",
            "Keep the driver loaded: sudo systemctl enable --now nvidia-persistenced.",
        )


@GROUP.each("fabric_manager", ERROR, "the fabric manager runs, in the driver's version")
def fabric_manager(host: Host, cluster: Cluster) -> Iterator[Found]:
    state, driver = host.fact("fabric_manager"), host.fact("driver_version")
    if not state or not driver:
        return
    if state.get("state") != "active":
        yield Found(
            f"nvidia-fabricmanager is {state.get('state')}",
            "active",
            "The GPUs cannot be used without it (CUDA error 802): sudo systemctl enable --now nvidia-fabricmanager.",
        )
    elif state.get("version") not in (None, driver):
        yield Found(
            f"nvidia-fabricmanager {state['version']}",
            f"{driver}, as the driver",
            f"Install the package nvidia-fabricmanager-{driver.partition('.')[0]} in exactly this version and restart "
            "its service.",
        )
