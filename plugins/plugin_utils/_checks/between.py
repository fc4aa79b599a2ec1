# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the hosts are alike: only those that differ from most are named.


This plugin util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from ansible_collections.llmserve.vllm.plugins.plugin_utils._checks.addresses import cluster_interface
from ansible_collections.llmserve.vllm.plugins.plugin_utils._checks.base import (
    ERROR,
    WARNING,
    Cluster,
    Finding,
    Group,
    Host,
    deviations,
    known,
)
from ansible_collections.llmserve.vllm.plugins.plugin_utils._checks.inventory import gpu_count

GROUP = Group("between")


def _differing(cluster: Cluster, read: Callable[[Host], Any], words: str, mend: str) -> Iterator[Finding]:
    for other in deviations(known(cluster, read)):
        yield Finding(other.host, words.format(other.value), f"{other.usual}, as {other.like}", mend)


def _compare(name: str, severity: str, about: str, words: str, mend: str) -> Callable[..., Any]:
    """Registers a comparison of what a function reads from each host."""

    def decorate(read: Callable[[Host], Any]) -> Callable[[Host], Any]:
        @GROUP.add(name, severity, about)
        def find(cluster: Cluster) -> Iterator[Finding]:
            return _differing(cluster, read, words, mend)

        return read

    return decorate


@_compare(
    "mixed_architectures",
    ERROR,
    "all hosts have one architecture",
    "{}",
    "One model cannot be served over both: make two inventories.",
)
def machine(host: Host) -> Any:
    return host.fact("architecture")


@_compare(
    "gpu_model",
    ERROR,
    "all hosts have the same GPUs",
    "{}",
    "Make an inventory for each model of GPU: the slowest would set the pace, and the smallest the context.",
)
def gpu_model(host: Host) -> Any:
    return ", ".join(sorted({str(gpu.get("name")) for gpu in host.facts_list("gpus")})) or None


@GROUP.add("gpu_count", ERROR, "all hosts have as many GPUs")
def gpus(cluster: Cluster) -> Iterator[Finding]:
    def read(host: Host) -> int | None:
        count, expected = gpu_count(host), int(host.wish.get("gpus_per_node") or 0)
        # one that lacks what the inventory promises is named for that
        return count if count and expected in (0, count) else None

    yield from _differing(
        cluster,
        read,
        "{} GPUs",
        "Tensor parallel groups need the same number on every node: mend the host, or take it out of the inventory.",
    )


@_compare(
    "driver",
    ERROR,
    "all hosts have the same driver",
    "driver {}",
    "Install the same driver there and hold its packages (apt-mark hold): NCCL fails obscurely between versions.",
)
def driver(host: Host) -> Any:
    return host.fact("driver_version")


@_compare(
    "kernel",
    WARNING,
    "all hosts run the same kernel",
    "kernel {}",
    "Bring the hosts to one kernel at the next chance; reboot those that wait for it.",
)
def kernel(host: Host) -> Any:
    return host.fact("kernel")


@_compare(
    "image",
    ERROR,
    "all hosts are to run the same image",
    "image {}",
    "Set llmserve_image once, for the whole group llm_nodes.",
)
def image(host: Host) -> Any:
    return host.wish.get("image")


@_compare(
    "ray_version",
    ERROR,
    "all hosts are to run the same Ray",
    "Ray {}",
    "Set llmserve_ray_version once, for the whole group llm_nodes.",
)
def ray_version(host: Host) -> Any:
    return host.wish.get("ray_version")


@GROUP.add("image_digest", ERROR, "a tag stands for the same image on all hosts")
def image_digest(cluster: Cluster) -> Iterator[Finding]:
    names = {str(host.wish.get("image")) for host in cluster.hosts}
    if len(names) > 1:
        return

    def read(host: Host) -> Any:
        return host.fact("docker", "image", "digest") or host.fact("docker", "image", "id")

    for other in deviations(known(cluster, read)):
        yield Finding(
            other.host,
            f"{''.join(names)} is {_short(other.value)}",
            f"{_short(other.usual)}, as {other.like}",
            "The tag has moved: docker pull it on all hosts, or name the image by digest in llmserve_image.",
        )


def _short(digest: str) -> str:
    return re.sub(r"^(sha256:)?([0-9a-f]{12})[0-9a-f]*$", r"\2", digest)


@GROUP.add("image_versions", ERROR, "the images of all hosts hold the same versions")
def image_versions(cluster: Cluster) -> Iterator[Finding]:
    told = [host for host in cluster.hosts if host.versions is not None]
    for package in sorted({key for host in told for key in host.versions or {}}):
        versions = {host.name: str((host.versions or {}).get(package) or "missing") for host in told}
        for other in deviations(versions):
            yield Finding(
                other.host,
                f"{package} {other.value} in its image",
                f"{package} {other.usual}, as {other.like}",
                "Give all nodes one llmserve_image and one llmserve_ray_version, and remove stale images (docker rmi).",
            )


@_compare(
    "mtu",
    ERROR,
    "the interfaces to the cluster's network have the same MTU",
    "MTU {}",
    "Set one MTU on all hosts and on the switch (ip link set dev NAME mtu N, netplan): large packets vanish between "
    "different ones, and connections hang after a good start.",
)
def mtu(host: Host) -> Any:
    name = cluster_interface(host).get("interface")
    return next((item["mtu"] for item in host.facts_list("interfaces") if item["name"] == name), None)
