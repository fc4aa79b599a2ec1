# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All checks over all hosts at once.


This plugin util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.llmserve.vllm.plugins.plugin_utils._checks import (
    addresses,
    between,
    fabric,
    gpu,
    host,
    inventory,
    model,
    network,
    resources,
)
from ansible_collections.llmserve.vllm.plugins.plugin_utils._checks.base import (
    CLUSTER,
    ERROR,
    OFF,
    WARNING,
    Check,
    Cluster,
    Host,
)
from ansible_collections.llmserve.vllm.plugins.plugin_utils._checks.settings import effective

GROUPS = (
    inventory.GROUP,
    addresses.GROUP,
    host.GROUP,
    gpu.GROUP,
    resources.GROUP,
    model.GROUP,
    between.GROUP,
    network.GROUP,
    fabric.GROUP,
)
CHECKS: tuple[Check, ...] = tuple(check for group in GROUPS for check in group.checks)


@dataclass(frozen=True)
class Report:
    """What was found, and what would have been found by checks that are switched off."""

    rows: list[dict[str, str]] = field(default_factory=list)
    off: list[dict[str, str]] = field(default_factory=list)

    def count(self, severity: str) -> int:
        return sum(row["severity"] == severity for row in self.rows)

    def as_dict(self) -> dict[str, Any]:
        counts = {"errors": self.count(ERROR), "warnings": self.count(WARNING)}
        return {"rows": self.rows, "off": self.off, **counts}


def judge(cluster: Cluster, settings: Any = None, checks: Sequence[Check] = CHECKS) -> Report:
    """Run the checks; errors come first, then in the order of the checks and of the hosts."""
    chosen = effective(settings or {}, CHECKS)
    report = Report()
    order = {CLUSTER: -1, **{item.name: index for index, item in enumerate(cluster.hosts)}}
    for check in checks:
        setting = chosen[check.name]
        findings = sorted(check.find(cluster), key=lambda item: order.get(item.host, len(order)))
        for found in findings if setting.severity != OFF else ():
            row = {"host": found.host, "check": check.name, "severity": setting.severity}
            report.rows.append({**row, "found": found.found, "wanted": found.wanted, "mend": found.mend})
        if setting.severity == OFF:
            report.off.append({"check": check.name, "reason": setting.reason, "findings": str(len(findings))})
    report.rows.sort(key=lambda row: row["severity"] != ERROR)
    return report


def cluster_from(nodes: Sequence[Mapping[str, Any]], **wishes: Any) -> Cluster:
    """The cluster in what the role has put down: nodes with C(wish), C(facts) and so on."""
    plan, plan_error = wishes.pop("plan", None), wishes.pop("plan_error", None)
    hosts = [
        Host(
            name=str(node["name"]),
            wish=node.get("wish") or {},
            facts=node.get("facts") or None,
            unreachable=str(node.get("unreachable") or ""),
            hub=node.get("hub") or {},
            reach=node.get("reach"),
            versions=node.get("versions") or None,
        )
        for node in nodes
    ]
    return Cluster(hosts, wishes, plan or {}, str(plan_error or ""))
