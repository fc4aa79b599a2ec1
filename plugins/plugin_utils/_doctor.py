# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All hosts of a deployment judged together: what is wrong, and in one line for each what is well.


This plugin util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.llmserve.vllm.plugins.module_utils._diagnose import diagnose_all
from ansible_collections.llmserve.vllm.plugins.plugin_utils._doctor_causes import ERROR, SEVERITIES, WARNING
from ansible_collections.llmserve.vllm.plugins.plugin_utils._doctor_state import cluster_findings, host_findings

# Between the name of a host and that of a log; neither has one.
_OF = " "
# What a log says of its end is known better from Docker.
_TOLD_BY_STATE = {"stopped_by_signal": "container_stopped"}
# What all containers and programs of a host share. An engine that answers has outlived what stands there.
_HOST_LOGS = ("journal", "kernel")
# How these came about is told by what a log has shown on the same hosts.
_CONSEQUENCES = ("container_restarts", "container_ended")


def report(hosts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The findings, the nearest to the root first, and a line for each host."""
    state = [finding for host in hosts for finding in host_findings(host, hosts)]
    state += cluster_findings(hosts)
    told = {(slug, name) for slug in (item["cause"] for item in state) for name in _hosts_of(slug, state)}
    from_logs = [item for item in _log_findings(hosts) if not _is_told(item, told)]
    findings = _merged([*from_logs, *state])
    findings.sort(key=lambda item: (SEVERITIES.index(item["severity"]), item["cause"] in _CONSEQUENCES))
    sick = {name for item in findings for name in item["hosts"] if item["severity"] == ERROR}
    return {
        "findings": findings,
        "errors": sum(item["severity"] == ERROR for item in findings),
        "warnings": sum(item["severity"] != ERROR for item in findings),
        "hosts": [
            {"name": host["name"], "healthy": host["name"] not in sick, "line": host_line(host)} for host in hosts
        ],
        "problems": [
            f"{host['name']}: {problem}" for host in hosts for problem in (host.get("facts") or {}).get("problems", ())
        ],
    }


def _hosts_of(slug: str, findings: Sequence[Mapping[str, Any]]) -> list[str]:
    return [name for item in findings if item["cause"] == slug for name in item["hosts"]]


def _is_told(item: Mapping[str, Any], told: set[tuple[str, str]]) -> bool:
    """Whether the state of its hosts says the same, or says it better."""
    slug = _TOLD_BY_STATE.get(item["cause"])
    return slug is not None and all((slug, name) in told for name in item["hosts"])


def _log_findings(hosts: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    logs = {
        f"{host['name']}{_OF}{name}": text
        for host in hosts
        for name, text in ((host.get("facts") or {}).get("texts") or {}).items()
        # that the daemon does not answer is a finding of the state
        if name != "docker"
    }
    found = []
    answers = any(_answers(host) for host in hosts)
    for item in diagnose_all(logs):
        names = [log.partition(_OF)[0] for log in item["logs"]]
        outlived = answers and all(log.partition(_OF)[2] in _HOST_LOGS for log in item["logs"])
        keys = ("cause", "detail", "evidence", "explanation", "remedy", "source", "where", "log")
        found.append(
            {
                **{key: item[key] for key in keys},
                "severity": WARNING if outlived else ERROR,
                "hosts": list(dict.fromkeys(names)),
            }
        )
    return found


def _answers(host: Mapping[str, Any]) -> bool:
    """Whether a completion came back from its endpoint."""
    endpoint = (host.get("facts") or {}).get("endpoint")
    return bool(endpoint and endpoint["error"] is None and endpoint["answer_seconds"] is not None)


def _merged(findings: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """One cause once: the log's words win, and all hosts share the row of the first."""
    merged: dict[tuple[str, str, str], dict[str, Any]] = {}
    for item in findings:
        # what a state shows may be another filesystem, another process on every host
        own = item["evidence"] if item["cause"].startswith(("filesystem", "gpu_foreign", "container")) else ""
        known = merged.setdefault((item["cause"], item["detail"], own), {**item, "hosts": []})
        known["hosts"] += [name for name in item["hosts"] if name not in known["hosts"]]
    return list(merged.values())


def host_line(host: Mapping[str, Any]) -> str:
    """What runs on a host, in one line."""
    facts = host.get("facts")
    if not facts:
        return "not reached"
    parts = [gpu_words(facts["gpu"])]
    for item in facts["containers"]:
        state = "up " + age(facts["time"] - item["started"]) if _is_up(item) else item["status"]
        again = f" ({item['restarts']} restarts)" if item["restarts"] else ""
        parts.append(f"{item['name']} {state}{again}")
    if not facts["containers"]:
        parts.append("nothing of this cluster")
    return ", ".join(parts)


def _is_up(item: Mapping[str, Any]) -> bool:
    return item["status"] == "running" and bool(item["started"])


def gpu_words(gpu: Mapping[str, Any]) -> str:
    """The GPUs of a host and their driver: 8 x H100 80GB HBM3, driver 580.95."""
    if not gpu["present"] or not gpu["gpus"]:
        return "no GPU"
    names = list(dict.fromkeys(str(item["name"]) for item in gpu["gpus"]))
    name = names[0].removeprefix("NVIDIA ") if len(names) == 1 else "GPUs"
    return f"{len(gpu['gpus'])} x {name}, driver {gpu['driver_version']}"


def age(seconds: float) -> str:
    """How long something runs, in its largest unit or two: 40 s, 12 min, 5 h 10 min, 3 d 4 h."""
    whole = max(0, int(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min"
    if whole < 86400:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"
