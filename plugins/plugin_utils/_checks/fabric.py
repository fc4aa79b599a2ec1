# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the RDMA ports of the hosts can be used, and are alike.


This plugin util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from ansible_collections.llmserve.vllm.plugins.plugin_utils._checks.base import (
    ERROR,
    WARNING,
    Cluster,
    Finding,
    Found,
    Group,
    Host,
    deviations,
)
from ansible_collections.llmserve.vllm.plugins.plugin_utils._checks.selection import (
    ETHERNET,
    active,
    choose,
    common_layer,
    gid_indices,
    is_active,
    port_name,
)

GROUP = Group("fabric")

# The first kernel with DMA-BUF for RDMA.
_DMABUF_KERNEL = (5, 12)


@GROUP.each("rdma_devices", ERROR, "programs can open the RDMA devices")
def rdma_devices(host: Host, cluster: Cluster) -> Iterator[Found]:
    if active(host) and host.fact("devices_infiniband") is False:
        yield Found(
            "RDMA ports are active, but there is no /dev/infiniband",
            "/dev/infiniband",
            "Load the modules there: sudo modprobe -a ib_uverbs rdma_ucm, and name them in /etc/modules-load.d. "
            "Without them NCCL silently uses TCP.",
        )


@GROUP.add("hca_state", ERROR, "RDMA ports that are active on one host are active on all")
def hca_state(cluster: Cluster) -> Iterator[Finding]:
    up: dict[str, str] = {}
    for host in cluster.read:
        for port in active(host):
            up.setdefault(port_name(port), host.name)
    for host in cluster.read:
        for port in host.facts_list("fabric"):
            name = port_name(port)
            if not is_active(port) and name in up:
                state = f"{port.get('state')}, {port.get('phys_state')}"
                yield Finding(
                    host.name,
                    f"{name} is {state}",
                    f"ACTIVE, as on {up[name]}",
                    "Check cable and switch port (ibstat, mlxlink); INIT on InfiniBand means no subnet manager runs.",
                )


def _layout(host: Host) -> tuple[tuple[str, Any], ...]:
    return tuple(sorted((port_name(port), str(port.get("link_layer"))) for port in host.facts_list("fabric")))


def _rates(host: Host) -> tuple[tuple[str, float], ...]:
    return tuple(sorted((port_name(port), float(port.get("rate_gbps") or 0)) for port in active(host)))


@GROUP.add("fabric", ERROR, "all hosts have the same RDMA ports")
def fabric(cluster: Cluster) -> Iterator[Finding]:
    # what link layers have in common is said apart
    if any(active(host) for host in cluster.read) and not _mixed(cluster):
        for other in deviations({host.name: _layout(host) for host in cluster.read}):
            missing = [name for name, _layer in sorted(set(other.usual) - set(other.value))]
            extra = [name for name, _layer in sorted(set(other.value) - set(other.usual))]
            words = [f"without {', '.join(missing)}"] if missing else []
            words += [f"with {', '.join(extra)}"] if extra else []
            yield Finding(
                other.host,
                " and ".join(words),
                f"the RDMA ports of {other.like}",
                "See whether the card and its driver are there: lspci -d 15b3:, sudo modprobe mlx5_ib, dmesg.",
            )


@GROUP.add("fabric_rate", ERROR, "the same RDMA ports have the same rate")
def fabric_rate(cluster: Cluster) -> Iterator[Finding]:
    ports = sorted({name for host in cluster.read for name, _rate in _rates(host)})
    for name in ports:
        rates = {host.name: dict(_rates(host))[name] for host in cluster.read if name in dict(_rates(host))}
        for other in deviations(rates):
            yield Finding(
                other.host,
                f"{name} at {other.value:g} Gb/s",
                f"{other.usual:g} Gb/s, as {other.like}",
                "A link that trained too low: reseat or change its cable, and look at the switch port (mlxlink -d).",
            )


def _mixed(cluster: Cluster) -> bool:
    with_rdma = [host for host in cluster.read if active(host)]
    return len(with_rdma) > 1 and common_layer(with_rdma) is None


@GROUP.add("link_layer", ERROR, "all hosts have a link layer in common")
def link_layer(cluster: Cluster) -> Iterator[Finding]:
    if not _mixed(cluster):
        return
    layers = {host.name: "/".join(sorted({str(port["link_layer"]) for port in active(host)})) for host in cluster.read}
    for other in deviations({name: value for name, value in layers.items() if value}):
        yield Finding(
            other.host,
            f"its RDMA ports are {other.value}",
            f"{other.usual}, as {other.like}",
            "Set the cards' LINK_TYPE alike (mlxconfig -d DEVICE set LINK_TYPE_P1=...), or connect one fabric only.",
        )


@GROUP.add("roce_gid", ERROR, "RoCE ports have an address that RoCE v2 can use")
def roce_gid(cluster: Cluster) -> Iterator[Finding]:
    for name, choice in choose(cluster).items():
        bare = [port for port in choice.ports if port.get("link_layer") == ETHERNET and not gid_indices(port)]
        for port in bare:
            yield Finding(
                name,
                f"{port_name(port)} has no RoCE v2 GID for IPv4",
                "an IPv4 address on its interface",
                f"Give {port.get('netdev') or 'its interface'} an IPv4 address that is not link-local (netplan); "
                "show_gids lists what there is.",
            )


@GROUP.add("roce_gid_index", WARNING, "one GID index is right for all RoCE ports")
def roce_gid_index(cluster: Cluster) -> Iterator[Finding]:
    choices = {name: choice for name, choice in choose(cluster).items() if choice.ports}
    ports = [port for choice in choices.values() for port in choice.ports]
    tables = [gid_indices(port) for port in ports if port.get("link_layer") == ETHERNET]
    if not tables or not all(tables) or set.intersection(*tables):
        return
    shown = {
        name: ", ".join(sorted({"/".join(map(str, sorted(gid_indices(port)))) for port in choice.ports}))
        for name, choice in choices.items()
    }
    for other in deviations(shown) or []:
        yield Finding(
            other.host,
            f"RoCE v2 over IPv4 at GID index {other.value}",
            f"{other.usual}, as {other.like}",
            "Configure the ports' addresses in the same order on all hosts, and reload mlx5_ib: GIDs keep the order in "
            "which addresses came.",
        )


@GROUP.each("gpudirect", WARNING, "RDMA cards reach the GPUs' memory directly")
def gpudirect(host: Host, cluster: Cluster) -> Iterator[Found]:
    if len(cluster.hosts) < 2 or not active(host) or not host.facts_list("gpus"):
        return
    numbers = re.match(r"(\d+)\.(\d+)", str(host.fact("kernel") or ""))
    new_kernel = bool(numbers) and tuple(map(int, numbers.groups())) >= _DMABUF_KERNEL if numbers else False
    if not host.fact("nvidia_peermem") and not (host.fact("driver_module", "open") and new_kernel):
        yield Found(
            "neither nvidia_peermem nor DMA-BUF",
            "one of them",
            "Load it there: sudo modprobe nvidia_peermem, and name it in /etc/modules-load.d; or install the open "
            "driver modules. Without it all traffic goes through the host's memory.",
        )


@GROUP.each("memlock", ERROR, "programs may lock memory for RDMA")
def memlock(host: Host, cluster: Cluster) -> Iterator[Found]:
    limit = host.fact("limits", "memlock", "hard")
    # a container runtime that may raise limits gives containers what they ask for
    if active(host) and limit not in (None, -1) and not host.fact("may_raise_limits"):
        yield Found(
            f"memlock is limited to {limit // 1024} KiB",
            "unlimited",
            "RDMA registers memory that is locked: set 'root - memlock unlimited' in /etc/security/limits.d, "
            "LimitMEMLOCK=infinity for docker.service and containerd.service, and start them again.",
        )


@GROUP.add("network_override", ERROR, "interfaces and cards that the inventory names are there")
def network_override(cluster: Cluster) -> Iterator[Finding]:
    for host in cluster.read:
        wanted = host.wish.get("network_env") or {}
        here = {str(item["name"]) for item in host.facts_list("interfaces")}
        for name in ("NCCL_SOCKET_IFNAME", "GLOO_SOCKET_IFNAME"):
            text = str(wanted.get(name) or "")
            if text and here and not text.startswith("^") and not _any_interface(text, here):
                yield Finding(
                    host.name,
                    f"{name} is {text}",
                    f"one of {', '.join(sorted(here - {'lo'}))}",
                    f"Correct {name} in llmserve_environment, or leave it out.",
                )
        cards = str(wanted.get("NCCL_IB_HCA") or "")
        devices = {str(port["device"]) for port in active(host)}
        lost = [] if cards.startswith("^") else [card for card in _cards(cards) if not _has(card, devices, cards)]
        if lost:
            yield Finding(
                host.name,
                f"NCCL_IB_HCA names {', '.join(lost)}",
                "active cards" + (f": {', '.join(sorted(devices))}" if devices else ""),
                "Correct NCCL_IB_HCA in llmserve_environment, or leave it out.",
            )


def _any_interface(text: str, here: set[str]) -> bool:
    exact = text.startswith("=")
    names = text.lstrip("=").split(",")
    return any(name in here if exact else any(one.startswith(name) for one in here) for name in names)


def _cards(text: str) -> list[str]:
    return [part.partition(":")[0] for part in text.lstrip("=").split(",") if part]


def _has(card: str, devices: set[str], text: str) -> bool:
    return card in devices if text.startswith("=") else any(device.startswith(card) for device in devices)
