# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What C(ray status) says, as data, whichever Ray version printed it.

This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import re
from typing import Any, Dict, List, Optional, Tuple

_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_HEADER = re.compile(r"=+ Autoscaler status: (.*?) =+$")
_SECTIONS: Tuple[Tuple[Optional[str], Any], ...] = (
    ("active", re.compile(r"^(Active|Healthy):$")),
    ("idle", re.compile(r"^Idle:$")),
    ("pending", re.compile(r"^Pending:$")),
    ("failures", re.compile(r"^Recent failures:$")),
    ("usage", re.compile(r"^(Total )?Usage:$")),
    ("constraints", re.compile(r"^(Total Constraints|From request_resources):$")),
    ("demands", re.compile(r"^((Total|Pending) )?Demands:$")),
    (None, re.compile(r"^(Node status|Resources|-{5,})$")),
)
_COUNT = re.compile(r"^(\d+) (\S.*)$")
_LAUNCHING = re.compile(r"^(.+), (\d+) launching$")
_FAILURE = re.compile(r"^.+: \w+ \((latest_attempt|ip|instance_id): ")
_USAGE = re.compile(r"^(\S+)/(\S+(?: [KMGT]?i?B)?) (\S+)(?: \((\S+) used of (\S+) reserved in placement groups\))?$")
_DEMAND_END = re.compile(
    r"(pending tasks/actors|pending placement groups|from request_resources\(\)|placement groups\))$"
)
_LOG_PREFIX = re.compile(r"^\[\d{4}-\d\d-\d\d [^\]]*\] \S+:\d+: ")
_NO_STATUS = re.compile(r"No cluster status\b")

# What a failing `ray status` or ray.init says, by kind; the last matching line is the one to show.
ERRORS: Tuple[Tuple[str, Any], ...] = (
    (
        "ray_missing",
        re.compile(r"No module named 'ray'|\bray: (command )?not found|executable file not found"),
    ),
    ("version_mismatch", re.compile(r"(?<!patch )[Vv]ersion mismatch\b")),
    ("auth_token_missing", re.compile(r"no authentication token was found")),
    (
        "auth_token_wrong",
        re.compile(r"InvalidAuthToken|AuthenticationError|authentication token is (missing|invalid)|Unauthenticated"),
    ),
    ("multiple_instances", re.compile(r"Found multiple active Ray instances")),
    ("no_ray_instance", re.compile(r"Could not find any running Ray instance|Ray cluster at .* is not running")),
    (
        "cluster_unreachable",
        re.compile(
            r"waiting for GCS|Failed to (connect to|get cluster ID from) GCS|Failed to connect to Ray cluster"
            r"|Unable to connect to GCS|GCS .*(unavailable|not (alive|available))|failed to connect to all addresses"
            r"|Connection refused|DEADLINE_EXCEEDED|StatusCode\.UNAVAILABLE|RpcError|Can't find a `node_ip_address"
            r"|No node (info )?(was )?found|raylet .* not (found|alive)"
        ),
    ),
    ("autoscaler_failed", re.compile(r"The autoscaler failed with the following error")),
    ("unknown", re.compile(r"^(\w+\.)*\w*(Error|Exception)\b|^Error\b")),
)
# Waiting does not mend these.
PERMANENT_ERRORS = ("ray_missing", "version_mismatch", "auth_token_missing", "auth_token_wrong")


def classify_error(text: str) -> Tuple[str, str]:
    """The kind of a failure of Ray's command line or of ray.init, and the line that says so; empty when none."""
    lines = [_LOG_PREFIX.sub("", line.strip()) for line in _ANSI.sub("", text).splitlines() if line.strip()]
    for kind, pattern in ERRORS:
        for line in reversed(lines):
            if pattern.search(line):
                return kind, line
    return "", ""


def parse_status(text: str) -> Dict[str, Any]:
    """The summary of one C(ray status) text, from Ray 2.0 to 2.60, verbose or not, of either autoscaler."""
    body = _Status()
    for raw in _ANSI.sub("", text).splitlines():
        body.feed(raw)
    kind, error = classify_error(text)
    if body.complete:
        state = "ok"
    elif body.seen:
        state = "partial"
    elif _NO_STATUS.search(text) and kind in ("", "unknown"):
        state = "no_status_yet"
    else:
        state = "error"
        kind = kind or "unrecognized"
        error = error or _last_line(text) or "the text is empty"
    if state in ("ok", "partial") and kind != "autoscaler_failed":
        # log lines around a good status are noise
        kind, error = "", ""
    return dict(body.summary(), state=state, error_kind=kind or None, error=error or None)


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else ""


class _Status:
    """Collects the sections line by line; a second header starts over, so that the last status counts."""

    def __init__(self) -> None:
        self.timestamp: Optional[str] = None
        self._reset()

    def _reset(self) -> None:
        self.section: Optional[str] = None
        self.sections: List[str] = []
        self.per_node = False
        self.active: Dict[str, int] = {}
        self.idle: Dict[str, int] = {}
        self.pending: List[str] = []
        self.pending_count = 0
        self.failures: List[str] = []
        self.resources: Dict[str, Dict[str, Any]] = {}
        self.demands: List[str] = []
        self.constraints: List[str] = []

    @property
    def seen(self) -> bool:
        return bool(self.sections or self.timestamp)

    @property
    def complete(self) -> bool:
        return {"active", "usage", "demands"} <= set(self.sections)

    def feed(self, raw: str) -> None:
        line = raw.strip(" \t>#|")
        header = _HEADER.search(line)
        if header:
            self._reset()
            self.timestamp = header.group(1)
            return
        if line.startswith("Node: "):
            # verbose: from here on every node repeats "Usage:" for itself
            self.per_node = True
        if self.per_node or not line:
            return
        for name, pattern in _SECTIONS:
            if pattern.match(line):
                self.section = name
                if name:
                    self.sections.append(name)
                return
        if self.section and not (line.startswith("(no ") or line == "(none)"):
            getattr(self, "_feed_" + self.section)(line)

    def _feed_active(self, line: str) -> None:
        _count_into(self.active, line)

    def _feed_idle(self, line: str) -> None:
        _count_into(self.idle, line)

    def _feed_pending(self, line: str) -> None:
        launching = _LAUNCHING.match(line)
        if launching or re.match(r"^\S+: .+, .+$", line):
            self.pending.append(line)
            self.pending_count += int(launching.group(2)) if launching else 1

    def _feed_failures(self, line: str) -> None:
        if _FAILURE.match(line) or not self.failures:
            self.failures.append(line)
        else:
            # verbose descriptions of a failed launch may run over several lines
            self.failures[-1] += " " + line

    def _feed_usage(self, line: str) -> None:
        match = _USAGE.match(line)
        if not match:
            return
        used, total, name, in_group, reserved = match.groups()
        entry: Dict[str, Any] = {"used": _number(used), "total": _number(total)}
        if reserved is not None:
            entry["used_in_placement_groups"] = _number(in_group)
            entry["reserved"] = _number(reserved)
        if isinstance(entry["used"], float) and isinstance(entry["total"], float):
            held = max(0.0, entry.get("reserved", 0.0) - entry.get("used_in_placement_groups", 0.0))
            entry["free"] = max(0.0, entry["total"] - entry["used"] - held)
        self.resources[name] = entry

    def _feed_demands(self, line: str) -> None:
        _demand_into(self.demands, line)

    def _feed_constraints(self, line: str) -> None:
        _demand_into(self.constraints, line)

    def summary(self) -> Dict[str, Any]:
        knows_nodes = "active" in self.sections or "idle" in self.sections
        active = sum(self.active.values()) if knows_nodes else None
        idle = sum(self.idle.values()) if knows_nodes else None
        gpu = self.resources.get("GPU", {})
        absent = 0.0 if "usage" in self.sections else None
        return {
            "timestamp": self.timestamp,
            "active_nodes": active,
            "idle_nodes": idle,
            "alive_nodes": None if active is None or idle is None else active + idle,
            "pending_nodes": self.pending_count if knows_nodes or self.pending else None,
            "active": self.active,
            "idle": self.idle,
            "pending": self.pending,
            "failures": self.failures,
            "gpus_total": gpu.get("total", absent),
            "gpus_used": gpu.get("used", absent),
            "gpus_reserved": gpu.get("reserved", absent if not gpu else 0.0),
            "gpus_free": gpu.get("free", absent),
            "resources": self.resources,
            "demands": self.demands,
            "constraints": self.constraints,
        }


def _count_into(counts: Dict[str, int], line: str) -> None:
    match = _COUNT.match(line)
    if match:
        counts[match.group(2)] = counts.get(match.group(2), 0) + int(match.group(1))


def _demand_into(demands: List[str], line: str) -> None:
    if line.startswith("{") or _DEMAND_END.search(line):
        if demands and not _DEMAND_END.search(demands[-1]):
            # a narrow terminal broke the line
            demands[-1] += " " + line
        else:
            demands.append(line)


def _number(text: str) -> Any:
    try:
        return float(text)
    except ValueError:
        return text
