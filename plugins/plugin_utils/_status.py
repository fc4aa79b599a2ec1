# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs of a deployment, as figures for programs and as one screen for people.


This plugin util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ansible_collections.llmserve.vllm.plugins.module_utils._cluster_containers import model_of
from ansible_collections.llmserve.vllm.plugins.plugin_utils._doctor import age, host_line
from ansible_collections.llmserve.vllm.plugins.plugin_utils._doctor_screen import WIDTH, wrap
from ansible_collections.llmserve.vllm.plugins.plugin_utils._doctor_state import lock_differences
from ansible_collections.llmserve.vllm.plugins.plugin_utils._upgrade_screen import journal_words

_LABEL = 11
_COMMIT = 12


def status_report(hosts: Sequence[Mapping[str, Any]], cluster: str) -> dict[str, Any]:
    """Everything that status shows; what could not be asked is None."""
    head = next((host["facts"] for host in hosts if (host.get("facts") or {}).get("endpoint")), None) or {}
    engine = next((item for item in head.get("containers") or () if item["component"] == "vllm"), None)
    endpoint = head.get("endpoint") or {}
    answers = endpoint.get("answer_seconds") is not None
    reached = all(host.get("facts") for host in hosts)
    return {
        "cluster": cluster,
        "time": head.get("time"),
        "serving": answers,
        "healthy": bool(answers and reached and not _missing(hosts, head)),
        "nodes": [_node(host, head) for host in hosts],
        "ray": _ray(head),
        "engine": _engine(engine, endpoint, head.get("time") or 0),
        "model": {**model_of(engine["command"] if engine else ()), "served": (endpoint.get("models") or [""])[0]},
        "versions": _versions(head, endpoint),
        "requests": endpoint.get("figures") or {},
        "canary": head.get("canary"),
        "hold": head.get("hold"),
        "upgrade": head.get("journal"),
        "lock": _lock(head),
    }


def _missing(hosts: Sequence[Mapping[str, Any]], head: Mapping[str, Any]) -> list[str]:
    """The hosts that Ray does not count; none where Ray does not tell."""
    nodes = (head.get("ray") or {}).get("nodes") or ()
    alive = {node["address"] for node in nodes if node["alive"]}
    return [host["name"] for host in hosts if nodes and host.get("node_ip") and host["node_ip"] not in alive]


def _node(host: Mapping[str, Any], head: Mapping[str, Any]) -> dict[str, Any]:
    facts = host.get("facts") or {}
    gpu = facts.get("gpu") or {}
    return {
        "name": host["name"],
        "address": host.get("node_ip"),
        "reached": bool(facts),
        "in_ray": host["name"] not in _missing([host], head) if head.get("ray") else None,
        "gpus": len(gpu.get("gpus") or ()),
        "driver": gpu.get("driver_version"),
        "uptime_seconds": facts.get("uptime_seconds"),
        "containers": [
            {
                "name": item["name"],
                "status": item["status"],
                "restarts": item["restarts"],
                "up_seconds": round(facts["time"] - item["started"]) if item["status"] == "running" else None,
                "image": item["image"],
            }
            for item in facts.get("containers") or ()
        ],
        "line": host_line(host),
    }


def _ray(head: Mapping[str, Any]) -> dict[str, Any] | None:
    ray = head.get("ray")
    if not ray:
        return None
    alive = [node for node in ray["nodes"] if node["alive"]]
    found = {key: ray.get(key) for key in ("version", "gpus_total", "gpus_reserved", "error")}
    return {**found, "nodes": len({node["address"] for node in alive})}


def _engine(engine: Mapping[str, Any] | None, endpoint: Mapping[str, Any], now: float) -> dict[str, Any]:
    asked = {key: endpoint.get(key) for key in ("url", "healthy", "answer_seconds", "error", "error_kind")}
    if engine is None:
        return {**asked, "status": "missing", "restarts": None, "up_seconds": None, "image": None, "image_digest": None}
    running = engine["status"] == "running" and engine["started"]
    return {
        **asked,
        **{key: engine[key] for key in ("status", "restarts", "image", "image_digest")},
        "up_seconds": round(now - engine["started"]) if running else None,
    }


def _versions(head: Mapping[str, Any], endpoint: Mapping[str, Any]) -> dict[str, str]:
    versions = dict(head.get("versions") or {})
    versions["vllm"] = versions.get("vllm") or endpoint.get("version") or ""
    versions["driver"] = (head.get("gpu") or {}).get("driver_version") or ""
    versions["docker"] = ((head.get("docker") or {}).get("server") or {}).get("version") or ""
    return {name: version for name, version in versions.items() if version}


def _lock(head: Mapping[str, Any]) -> dict[str, Any] | None:
    lock = head.get("lock")
    if not lock:
        return None
    return {"time": lock.get("time"), "measured": lock.get("measured"), "differences": lock_differences(head)}


def status_screen(report: Mapping[str, Any]) -> str:
    """The report as text."""
    word = "serving" if report["healthy"] else "serving, but not whole" if report["serving"] else "NOT SERVING"
    stamp = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(report["time"])) if report["time"] else ""
    title = f"{report['cluster']}: {word}"
    lines = [f"{title}{stamp:>{max(1, WIDTH - len(title))}}".rstrip(), "=" * WIDTH]
    for label, text in _rows(report):
        lines += wrap(text, label.ljust(_LABEL), " " * _LABEL)
    widest = max((len(node["name"]) for node in report["nodes"]), default=0)
    for node in report["nodes"]:
        gone = ", not in Ray's cluster" if node["in_ray"] is False else ""
        lines += wrap(node["line"] + gone, f"{node['name']:{widest}}  ", " " * (widest + 2))
    return "\n".join([*lines, "=" * WIDTH])


def _rows(report: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    engine, model = report["engine"], report["model"]
    yield "Endpoint", f"{engine['url']}/v1" if engine["url"] else "unknown: the head was not reached"
    commit = f", commit {model['commit'][:_COMMIT]}" if model["commit"] else ""
    yield "Model", (model["served"] or model["repo"] or model["path"] or "unknown") + commit
    yield "Answers", _answers(engine)
    if report["requests"]:
        yield "Requests", _requests(report["requests"])
    yield "Engine", _engine_words(engine)
    ray = report["ray"]
    if ray:
        counts = f"{ray['nodes']} nodes, {ray['gpus_total'] or 0:g} GPUs ({ray['gpus_reserved'] or 0:g} reserved)"
        yield "Ray", f"does not answer: {ray['error']}" if ray["error"] else counts
    if report["versions"]:
        yield "Versions", ", ".join(f"{name} {version}" for name, version in report["versions"].items())
    yield "Canary", canary_words(report["canary"], report["time"] or 0)
    yield "Lock file", _lock_words(report["lock"])
    if report["upgrade"]:
        yield "Last swap", journal_words(report["upgrade"], bool(report["hold"]))
    if report["hold"]:
        yield "Right now", f"{report['hold'].get('by', 'somebody')} is deploying"


def _answers(engine: Mapping[str, Any]) -> str:
    if engine["answer_seconds"] is not None:
        return f"yes, one token in {engine['answer_seconds']:.2f} s"
    return f"no: {engine['error'] or 'not asked'}"


def _requests(figures: Mapping[str, float]) -> str:
    words = [
        f"{figures[name]:.0f} {what}"
        for name, what in (("requests_running", "running"), ("requests_waiting", "waiting"))
        if name in figures
    ]
    if "kv_cache_used" in figures:
        words.append(f"KV cache {100 * figures['kv_cache_used']:.1f} % used")
    if "generated_tokens" in figures:
        words.append(f"{figures['generated_tokens']:,.0f} tokens generated")
    return ", ".join(words) or "not told"


def _engine_words(engine: Mapping[str, Any]) -> str:
    if engine["image"] is None:
        return "there is no container of the engine"
    up = f"up {age(engine['up_seconds'])}" if engine["up_seconds"] is not None else engine["status"]
    digest = f" ({engine['image_digest'][:19]})" if engine["image_digest"] else ""
    restarts = engine["restarts"]
    return f"{up}, {restarts} restart{'s' * (restarts != 1)}, {engine['image']}{digest}"


def canary_words(canary: Mapping[str, Any] | None, now: float) -> str:
    """The last canary in a few words."""
    if not canary:
        return "there is none"
    counts = canary.get("counts") or {}
    checked = canary.get("last_check")
    words = [f"{canary.get('verdict', 'unknown')} {age(now - checked)} ago" if checked else "has not asked yet"]
    if canary.get("verdict") != "ok" and canary.get("reason"):
        words.append(str(canary["reason"]))
    words.append(
        f"{counts.get('ok', 0)} answers, {counts.get('failed', 0)} failures, {counts.get('acted', 0)} restarts"
    )
    if canary.get("gave_up"):
        words.append("it acts no more until an answer comes")
    return "; ".join(words)


def _lock_words(lock: Mapping[str, Any] | None) -> str:
    if lock is None:
        return "there is none"
    differences = lock["differences"]
    told = "; ".join(differences) if differences else "nothing differs"
    return f"of {lock['time']}; {told}"
