# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the hosts reach each other on the planned ports.


This plugin util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from ansible_collections.llmserve.vllm.plugins.module_utils._probe import RANDOM
from ansible_collections.llmserve.vllm.plugins.plugin_utils._checks.base import ERROR, Cluster, Finding, Group

GROUP = Group("network")

_STATES = {
    "refused": "refused",
    "timeout": "no answer",
    "unreachable": "no route",
}
_ALL_TCP = (
    "Allow all TCP between the nodes' addresses in the firewall of this host and of the cloud (sudo ufw allow from "
    "SUBNET; nft list ruleset shows what drops it): NCCL, Gloo and Ray also use random ports."
)


class _Closed(NamedTuple):
    """Ports of a host that one peer could not reach, all in the same way."""

    target: str
    source: str
    state: str
    ports: tuple[str, ...]
    everything: bool


def _closed(cluster: Cluster) -> Iterator[_Closed]:
    asked = {host.name: len(host.facts_list("reachable")) for host in cluster.hosts}
    for source in cluster.hosts:
        failed: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
        for item in source.reach or ():
            if item["state"] in _STATES:
                failed.setdefault((str(item["host"]), str(item["state"])), []).append(item)
        for (target, state), items in failed.items():
            total = sum(len(more) for (host, _state), more in failed.items() if host == target)
            ports = tuple("random" if item["name"] == RANDOM else str(item["port"]) for item in items)
            yield _Closed(target, source.name, state, ports, total >= asked.get(target, 0))


def _rows(closed: list[_Closed]) -> Iterator[Finding]:
    together: dict[tuple[str, str, tuple[str, ...]], list[str]] = {}
    for item in closed:
        ports = ("all ports",) if item.everything else item.ports
        together.setdefault((item.target, item.state, ports), []).append(item.source)
    for (target, state, ports), sources in together.items():
        what = ports[0] if len(ports) == 1 and not ports[0].isdigit() else "port " + ", ".join(ports)
        yield Finding(
            target,
            f"{what}: {_STATES[state]} to {', '.join(sources)}",
            "open to all nodes",
            _ALL_TCP
            if state != "unreachable"
            else "Check routes and cabling between the nodes' addresses (ip route get).",
        )


@GROUP.add("ports_closed", ERROR, "each planned port can be reached from every other host")
def ports_closed(cluster: Cluster) -> Iterator[Finding]:
    found = []
    for item in _closed(cluster):
        planned = tuple(port for port in item.ports if port != "random")
        if item.everything or planned:
            found.append(item._replace(ports=planned))
    yield from _rows(found)


@GROUP.add("random_ports_closed", ERROR, "random ports, as NCCL and Gloo use them, can be reached, too")
def random_ports_closed(cluster: Cluster) -> Iterator[Finding]:
    closed = [item for item in _closed(cluster) if "random" in item.ports and not item.everything]
    yield from _rows([item._replace(ports=("random ports",)) for item in closed])


@GROUP.add("wrong_host", ERROR, "behind a host's address is that host")
def wrong_host(cluster: Cluster) -> Iterator[Finding]:
    seen: dict[tuple[str, str], list[str]] = {}
    for source in cluster.hosts:
        for item in source.reach or ():
            if item["state"] == "wrong_host":
                sources = seen.setdefault((str(item["host"]), str(item["answer"] or "something else")), [])
                if source.name not in sources:
                    sources.append(source.name)
    for (target, answer), sources in seen.items():
        yield Finding(
            target,
            f"{answer} answers {', '.join(sources)} at its address",
            f"{target} itself",
            "Two machines have this address, or a proxy or NAT is in between: compare ip addr and arping there.",
        )
