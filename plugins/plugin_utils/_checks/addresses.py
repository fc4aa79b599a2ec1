# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the addresses of the nodes can work.


This plugin util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import ipaddress
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

GROUP = Group("addresses")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
# Interfaces of containers and bridges: their addresses are the same on every host.
_VIRTUAL = re.compile(r"lo$|docker|br-|veth|virbr|cni|flannel|cali|podman")
_CHOOSE = "Set llmserve_node_ip of this host to its address in the cluster's private network."


def parse(text: str) -> Address | None:
    """An address without its zone; None when it is none."""
    try:
        return ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None


def cluster_interface(host: Host) -> dict[str, Any]:
    """The entry of the host's addresses that is its node address, empty when it has none."""
    wanted = parse(host.node_ip)
    found = (item for item in host.facts_list("addresses") if wanted and parse(str(item["address"])) == wanted)
    return dict(next(found, {}))


def _choose(host: Host) -> str:
    names = []
    for item in host.facts_list("addresses"):
        address, interface = parse(str(item["address"])), str(item.get("interface") or "")
        usable = address and not (address.is_loopback or address.is_link_local or address.is_global)
        if usable and not _VIRTUAL.match(interface):
            names.append(f"{address} ({interface})")
    return f"{_CHOOSE} It has {', '.join(names)}." if names else _CHOOSE


def _wrong(text: str) -> tuple[str, str] | None:
    """Why a text cannot be a node's address, and what would be right."""
    address = parse(text)
    if not text:
        return "llmserve_node_ip is not set", "an address"
    if address is None or "%" in text:
        return f"llmserve_node_ip {text!r} is not an IP address", "an address, not a name"
    if address.is_loopback:
        return f"llmserve_node_ip {address} is a loopback address", "one that other nodes can reach"
    if address.is_unspecified or address.is_multicast:
        return f"llmserve_node_ip {address} is no host's address", "one that other nodes can reach"
    if address.version == 6 and address.is_link_local:
        return f"llmserve_node_ip {address} is link-local", "one without a zone, which Ray cannot name"
    return None


@GROUP.add("node_ip", ERROR, "every host has an IP address for the others to reach")
def node_ip(cluster: Cluster) -> Iterator[Finding]:
    for host in cluster.hosts:
        wrong = _wrong(host.node_ip) if "node_ip" in host.wish else None
        if wrong:
            yield Finding(host.name, *wrong, _choose(host))


@GROUP.add("duplicate_node_ip", ERROR, "no two hosts have the same address")
def duplicate_node_ip(cluster: Cluster) -> Iterator[Finding]:
    first: dict[str, str] = {}
    for host in cluster.hosts:
        address = str(parse(host.node_ip) or host.node_ip)
        if address and address in first:
            yield Finding(
                host.name,
                f"llmserve_node_ip {address} is also that of {first[address]}",
                "an address of its own",
                "Set llmserve_node_ip to an address of its own for every host (host_vars, not group_vars).",
            )
        elif address:
            first[address] = host.name


@GROUP.add("node_ip_public", ERROR, "the nodes talk over private addresses")
def node_ip_public(cluster: Cluster) -> Iterator[Finding]:
    for host in cluster.hosts:
        address = parse(host.node_ip)
        if address and address.is_global and not address.is_multicast and not host.wish.get("allow_public"):
            yield Finding(
                host.name,
                f"llmserve_node_ip {address} is a public address",
                "a private one: traffic between nodes is neither encrypted nor authenticated",
                f"{_choose(host)} Where a firewall protects the public one, set preflight_allow_public: true.",
            )


def _others(host: Host, cluster: Cluster) -> set[Address | None]:
    return {parse(other.node_ip) for other in cluster.hosts if other.name != host.name}


@GROUP.each("node_ip_local", ERROR, "every host's address is configured on one of its interfaces")
def node_ip_local(host: Host, cluster: Cluster) -> Iterator[Found]:
    address = parse(host.node_ip)
    # an address that is another host's is said to be so, and one that is none as well
    if not address or _wrong(host.node_ip) or address in _others(host, cluster) or not host.fact("addresses"):
        return
    if not cluster_interface(host):
        yield Found(
            f"llmserve_node_ip {address} is on no interface of this host",
            "an address that it has (one behind NAT does not do)",
            _choose(host),
        )


@GROUP.add("subnet", ERROR, "the addresses of all hosts are in one subnet")
def subnet(cluster: Cluster) -> Iterator[Finding]:
    networks = {}
    for host in cluster.read:
        item = cluster_interface(host)
        # clouds that route between single addresses show no subnet
        if item.get("prefix") and int(item["prefix"]) not in (32, 128):
            networks[host.name] = str(ipaddress.ip_interface(f"{item['address']}/{item['prefix']}").network)
    for other in deviations(networks):
        yield Finding(
            other.host,
            f"in {other.value}",
            f"{other.usual}, as {other.like}",
            "Set llmserve_node_ip of all hosts to addresses of one network. Where the networks are routed and close, "
            "set the severity of subnet to warning.",
        )


@GROUP.each("two_interfaces", WARNING, "one interface of a host is in the cluster's subnet, not several")
def two_interfaces(host: Host, cluster: Cluster) -> Iterator[Found]:
    mine = cluster_interface(host)
    if not mine.get("prefix") or int(mine["prefix"]) in (32, 128):
        return
    network = ipaddress.ip_interface(f"{mine['address']}/{mine['prefix']}").network
    names = {str(item["interface"]) for item in host.facts_list("addresses") if parse(str(item["address"])) in network}
    if len(names) > 1:
        yield Found(
            f"{' and '.join(sorted(names))} are both in {network}",
            "one interface a subnet",
            "Packets may leave by the other one, and connections hang: take the address off one of them, or give it "
            "another subnet.",
        )


@GROUP.each("hostname", WARNING, "a host's name does not stand for a loopback address there")
def hostname(host: Host, cluster: Cluster) -> Iterator[Found]:
    if len(cluster.hosts) < 2 or host.fact("hostname_addresses") is None:
        return
    name = host.fact("hostname")
    addresses = [parse(str(text)) for text in host.fact("hostname_addresses")]
    loopback = [str(address) for address in addresses if address and address.is_loopback]
    if loopback:
        yield Found(
            f"its name {name} resolves to {', '.join(loopback)}",
            host.node_ip or "its node address",
            f"In /etc/hosts of the host, give {name} the address {host.node_ip} instead: Gloo and Ray listen on "
            "loopback otherwise when nothing tells them better.",
        )
