# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a check is, what it finds, and what it looks at.


This plugin util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

ERROR, WARNING, OFF = "error", "warning", "off"
SEVERITIES = (ERROR, WARNING, OFF)
# The host of a finding that concerns the inventory or all hosts together.
CLUSTER = "cluster"


class Found(NamedTuple):
    """What is wrong on one host, what would be right, and how to get there."""

    found: str
    wanted: str
    mend: str


class Finding(NamedTuple):
    """The same with the host's name."""

    host: str
    found: str
    wanted: str
    mend: str


@dataclass(frozen=True)
class Host:
    """One host of the play: what the inventory says of it, and what was read there."""

    name: str
    wish: Mapping[str, Any] = field(default_factory=dict)
    # None when the host could not be read
    facts: Mapping[str, Any] | None = None
    unreachable: str = ""
    # what the Hub said to it: bytes_missing, or reason and reason_kind
    hub: Mapping[str, Any] = field(default_factory=dict)
    # the connections from here that failed, None when none was tried
    reach: Sequence[Mapping[str, Any]] | None = None
    # what runs inside its image, by package
    versions: Mapping[str, str] | None = None

    @property
    def node_ip(self) -> str:
        return str(self.wish.get("node_ip") or "").strip()

    def fact(self, *path: str) -> Any:
        """The fact at the end of a path, None where any part of it is missing."""
        value: Any = self.facts
        for key in path:
            value = value.get(key) if isinstance(value, Mapping) else None
        return value

    def facts_list(self, key: str) -> list[Mapping[str, Any]]:
        """A fact that is a list of dictionaries; empty when it is not known."""
        return list(self.fact(key) or ())


@dataclass(frozen=True)
class Cluster:
    """All hosts, what is wanted of them together, and the plan as far as there is one."""

    hosts: Sequence[Host]
    wish: Mapping[str, Any] = field(default_factory=dict)
    plan: Mapping[str, Any] = field(default_factory=dict)
    plan_error: str = ""

    @property
    def read(self) -> list[Host]:
        """The hosts whose facts are known."""
        return [host for host in self.hosts if host.facts is not None]


class Check(NamedTuple):
    """A check by name, with how serious its findings are unless the inventory says otherwise."""

    name: str
    group: str
    severity: str
    about: str
    find: Callable[[Cluster], Iterable[Finding]]


class Group:
    """The checks of one kind, in the order in which they are written down."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.checks: list[Check] = []

    def add(self, name: str, severity: str, about: str) -> Callable[..., Any]:
        """Decorates a function that looks at all hosts together."""

        def decorate(function: Callable[[Cluster], Iterable[Finding]]) -> Callable[[Cluster], Iterable[Finding]]:
            self.checks.append(Check(name, self.name, severity, about, function))
            return function

        return decorate

    def each(self, name: str, severity: str, about: str) -> Callable[..., Any]:
        """Decorates a function that looks at one host whose facts are known."""

        def decorate(
            function: Callable[[Host, Cluster], Iterable[Found]],
        ) -> Callable[[Host, Cluster], Iterable[Found]]:
            def find(cluster: Cluster) -> Iterator[Finding]:
                for host in cluster.read:
                    for item in function(host, cluster):
                        yield Finding(host.name, *item)

            self.checks.append(Check(name, self.name, severity, about, find))
            return function

        return decorate


class Deviation(NamedTuple):
    """A host that differs from most others, C(like) being the first of these."""

    host: str
    value: Any
    like: str
    usual: Any


def deviations(values: Mapping[str, Any]) -> list[Deviation]:
    """The hosts that differ from what most hosts have; the first host decides a tie."""
    if len(set(values.values())) < 2:
        return []
    usual = Counter(values.values()).most_common(1)[0][0]
    like = next(name for name, value in values.items() if value == usual)
    return [Deviation(name, value, like, usual) for name, value in values.items() if value != usual]


def known(cluster: Cluster, read: Callable[[Host], Any]) -> dict[str, Any]:
    """What every host has of something, without the hosts of which it is not known."""
    values = {host.name: read(host) for host in cluster.hosts}
    return {name: value for name, value in values.items() if value not in (None, "")}


def gib(mib: float) -> str:
    """A size in MiB as GiB, exact enough to compare two of them."""
    return f"{mib / 1024:.1f} GiB" if mib < 102400 else f"{mib / 1024:.0f} GiB"
