# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which network interface and which RDMA ports NCCL and Gloo should use, and why.


This plugin util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.llmserve.vllm.plugins.plugin_utils._checks.addresses import cluster_interface
from ansible_collections.llmserve.vllm.plugins.plugin_utils._checks.base import Cluster, Host

INFINIBAND, ETHERNET = "InfiniBand", "Ethernet"
_ROCE = "RoCE v2"

Port = Mapping[str, Any]


@dataclass
class Choice:
    """What one host's NCCL is told, with a sentence for every decision."""

    interface: str = ""
    ports: list[Port] = field(default_factory=list)
    gid_index: int | None = None
    env: dict[str, str] = field(default_factory=dict)
    why: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        names = [port_name(port) for port in self.ports]
        return {"interface": self.interface, "hcas": names, "env": self.env, "why": self.why}


def port_name(port: Port) -> str:
    """The port as people write it, mlx5_0:1."""
    return f"{port['device']}:{port['port']}"


def is_active(port: Port) -> bool:
    """Whether a port has a link and may be used."""
    return port.get("state") == "ACTIVE" and port.get("phys_state") in (None, "LinkUp")


def active(host: Host) -> list[Port]:
    """The host's RDMA ports that are up."""
    return [port for port in host.facts_list("fabric") if is_active(port)]


def common_layer(hosts: Sequence[Host]) -> str | None:
    """The link layer that every host has ports of; InfiniBand where there is a choice."""
    layers = [{port.get("link_layer") for port in active(host)} for host in hosts]
    shared = set.intersection(*layers) if layers else set()
    return next((layer for layer in (INFINIBAND, ETHERNET) if layer in shared), None)


def choose(cluster: Cluster) -> dict[str, Choice]:
    """The choice for every host that was read."""
    hosts = cluster.read
    choices = {host.name: _socket(host) for host in hosts}
    if len(hosts) > 1:
        _choose_ports(hosts, choices)
        _choose_gid(choices)
    for host in hosts:
        _finish(host, choices[host.name])
    return choices


def _socket(host: Host) -> Choice:
    choice = Choice(interface=str(cluster_interface(host).get("interface") or ""))
    if choice.interface:
        choice.why.append(f"{choice.interface} has the node's address {host.node_ip}")
    return choice


def _choose_ports(hosts: Sequence[Host], choices: Mapping[str, Choice]) -> None:
    layer = common_layer(hosts)
    if layer is None:
        for host in hosts:
            what = "no RDMA port of a kind that all hosts have" if active(host) else "no active RDMA port"
            choices[host.name].why.append(f"{what}: NCCL uses TCP")
        return
    for host in hosts:
        choice = choices[host.name]
        ports = active(host)
        choice.ports = [port for port in ports if port.get("link_layer") == layer]
        _leave_out(choice, [port for port in ports if port not in choice.ports], f"not {layer}, as all hosts have")
        down = [port for port in host.facts_list("fabric") if not is_active(port)]
        _leave_out(choice, down, "not active")
        _drop(choice, host.fact("storage_interfaces"), "leads to a mounted filesystem's server")
        if layer == ETHERNET:
            _drop(choice, host.fact("default_interfaces"), "front-end card with the default route")
    if layer == INFINIBAND:
        _same_fabric(choices.values())
    _fastest(choices.values())


def _leave_out(choice: Choice, ports: Iterable[Port], reason: str) -> None:
    names = ", ".join(port_name(port) for port in ports)
    if names:
        choice.why.append(f"without {names}: {reason}")


def _drop(choice: Choice, interfaces: Iterable[str] | None, reason: str) -> None:
    """Leave out the ports of interfaces that serve something else, unless there are no others."""
    named = set(interfaces or ())
    other = [port for port in choice.ports if named & {port.get("netdev"), *(port.get("netdevs") or ())}]
    if other and len(other) < len(choice.ports):
        _leave_out(choice, other, reason)
        choice.ports = [port for port in choice.ports if port not in other]


def _prefix(port: Port) -> str:
    """The subnet prefix of an InfiniBand port: ports of different fabrics cannot talk."""
    gids = port.get("gids") or ()
    return str(gids[0]["gid"])[:19] if gids else ""


def _same_fabric(choices: Iterable[Choice]) -> None:
    several = list(choices)
    shared = set.intersection(*({_prefix(port) for port in choice.ports} for choice in several))
    if not shared:
        return
    # the fabric with most ports is the one for computing
    best = max(sorted(shared), key=lambda prefix: min(_count(choice, prefix) for choice in several))
    for choice in several:
        other = [port for port in choice.ports if _prefix(port) != best]
        _leave_out(choice, other, "another InfiniBand subnet")
        choice.ports = [port for port in choice.ports if port not in other]


def _count(choice: Choice, prefix: str) -> int:
    return sum(_prefix(port) == prefix for port in choice.ports)


def _fastest(choices: Iterable[Choice]) -> None:
    several = list(choices)
    rates = [{float(port.get("rate_gbps") or 0) for port in choice.ports} for choice in several]
    shared = set.intersection(*rates)
    for choice, own in zip(several, rates, strict=True):
        if not choice.ports:
            continue
        best = max(shared or own)
        other = [port for port in choice.ports if float(port.get("rate_gbps") or 0) != best]
        _leave_out(choice, other, f"not {best:g} Gb/s, the fastest rate of all hosts")
        choice.ports = [port for port in choice.ports if port not in other]
        layer = choice.ports[0].get("link_layer")
        names = ", ".join(port_name(port) for port in choice.ports)
        choice.why.append(f"{names}: active, {layer}, {best:g} Gb/s")


def gid_indices(port: Port) -> set[int]:
    """The places of a RoCE port's own IPv4 addresses in its GID table, as RoCE v2."""
    usable = [
        gid
        for gid in port.get("gids") or ()
        if gid.get("type") == _ROCE and gid.get("ipv4") and not str(gid["ipv4"]).startswith("169.254.")
    ]
    own = [gid for gid in usable if gid.get("netdev") in (None, port.get("netdev"))]
    return {int(gid["index"]) for gid in own or usable}


def _choose_gid(choices: Mapping[str, Choice]) -> None:
    ports = [port for choice in choices.values() for port in choice.ports]
    if not ports or any(port.get("link_layer") != ETHERNET for port in ports):
        return
    everywhere = set.intersection(*map(gid_indices, ports))
    for choice in choices.values():
        here = everywhere or set.intersection(*map(gid_indices, choice.ports))
        if here:
            choice.gid_index = min(here)
            where = "on all hosts" if everywhere else "on this host only"
            choice.why.append(f"GID index {choice.gid_index}: RoCE v2 over IPv4 {where}")
        else:
            choice.why.append("no GID index is the same on all ports: NCCL chooses one for each")


def _finish(host: Host, choice: Choice) -> None:
    """The environment, with what the inventory sets instead."""
    if choice.interface:
        others = [str(item["name"]) for item in host.facts_list("interfaces")]
        # a name alone means all interfaces that begin with it
        longer = any(name != choice.interface and name.startswith(choice.interface) for name in others)
        choice.env["NCCL_SOCKET_IFNAME"] = ("=" if longer else "") + choice.interface
        choice.env["GLOO_SOCKET_IFNAME"] = choice.interface
    if choice.ports:
        several = {port["device"] for port in host.facts_list("fabric") if int(port["port"]) > 1}
        names = [port_name(port) if port["device"] in several else str(port["device"]) for port in choice.ports]
        choice.env["NCCL_IB_HCA"] = "=" + ",".join(names)
    if choice.gid_index is not None:
        choice.env["NCCL_IB_GID_INDEX"] = str(choice.gid_index)
    for name, value in (host.wish.get("network_env") or {}).items():
        if choice.env.get(name) != str(value):
            choice.why.append(f"{name}={value}: the inventory says so")
        choice.env[name] = str(value)
