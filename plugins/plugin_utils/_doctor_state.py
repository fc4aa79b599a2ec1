# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the state of each host shows, logs aside.


This plugin util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ansible_collections.llmserve.vllm.plugins.module_utils._lock import differences, running_deployment
from ansible_collections.llmserve.vllm.plugins.module_utils._openai import SERVER_ERROR, TIMEOUT
from ansible_collections.llmserve.vllm.plugins.module_utils._ready import read_progress
from ansible_collections.llmserve.vllm.plugins.plugin_utils._doctor_causes import known, seen

Finding = dict[str, Any]
_GIB = 2**30
# Less than this is trouble on any filesystem that logs and images are written to.
_FREE_BYTES = 5 * _GIB
_FREE_SHARE = 0.02
# An exit that a signal of `docker stop` or a clean end leaves behind.
_STOPPED = (0, 137, 143)
_COMPONENTS_OF_RAY = ("ray_head", "ray_worker")
_COMPONENTS = ("vllm", "vllm_headless", *_COMPONENTS_OF_RAY)
_RESTART_LOOP = 3
_LOOP_SECONDS = 300
# A model of hundreds of GB takes more than an hour from a network filesystem.
_LOADING_SECONDS = 2 * 3600
_NVIDIA_SMI = {
    "driver_not_installed": "driver_not_installed",
    "driver_not_loaded": "driver_not_loaded",
    "driver_library_mismatch": "driver_library_mismatch",
}


def host_findings(host: Mapping[str, Any], everyone: Sequence[Mapping[str, Any]]) -> Iterator[Finding]:
    """Everything of one host; C(everyone) are all of them."""
    facts = host.get("facts")
    if not facts:
        slug = "host_not_examined" if host.get("failure") and not host.get("unreachable") else "host_unreachable"
        yield seen(slug, host["name"], host.get("unreachable") or host.get("failure") or "no answer")
        return
    yield from _docker(host["name"], facts)
    yield from _containers(host["name"], facts, everyone)
    yield from _gpus(host["name"], facts, host.get("gpus"))
    yield from _disks(host["name"], facts)
    yield from _ray(host, facts, everyone)
    yield from _endpoint(host["name"], facts)
    yield from _canary(host["name"], facts)
    yield from _lock(host["name"], facts)


def cluster_findings(hosts: Sequence[Mapping[str, Any]]) -> Iterator[Finding]:
    """What only all hosts together show."""
    answering = [host for host in hosts if host.get("facts")]
    if answering and not any(host["facts"]["containers"] for host in answering):
        yield seen("nothing_deployed", "all hosts", f"no container or unit of the cluster on {len(answering)} hosts")
    for name in ("vllm", "ray", "python"):
        yield from _differ("versions_differ", name, {h["name"]: (h["facts"]["versions"] or {}) for h in answering})
    drivers = {h["name"]: {"driver": h["facts"]["gpu"]["driver_version"]} for h in answering}
    yield from _differ("drivers_differ", "driver", drivers)


def _differ(slug: str, name: str, by_host: Mapping[str, Mapping[str, Any]]) -> Iterator[Finding]:
    hosts: dict[str, list[str]] = {}
    for host, versions in by_host.items():
        if versions.get(name):
            hosts.setdefault(versions[name], []).append(host)
    if len(hosts) > 1:
        words = "; ".join(f"{name} {version} on {', '.join(names)}" for version, names in sorted(hosts.items()))
        # the fewest are the odd ones
        odd = min(hosts.values(), key=len)
        yield {**seen(slug, odd[0], words), "hosts": odd}


def _docker(name: str, facts: Mapping[str, Any]) -> Iterator[Finding]:
    docker = facts["docker"]
    if any(item.get("runtime") == "venv" for item in facts["containers"]):
        # what serves here needs no Docker
        return
    if docker["client"] is None:
        yield seen("docker_missing", name, docker["error"])
    elif docker["server"] is None:
        yield seen("docker_not_answering", name, docker["error"])


def _containers(name: str, facts: Mapping[str, Any], everyone: Sequence[Mapping[str, Any]]) -> Iterator[Finding]:
    # a cluster of Ray has all hosts; without it, how many are needed is the plan's choice
    on_ray = any(_on_ray(host["facts"]) for host in everyone if host.get("facts"))
    if on_ray and facts["docker"]["server"] and not _serving(facts):
        yield seen("container_missing", name, "no container of the engine or of Ray")
    for container in _serving(facts):
        yield from _container(name, container, facts["time"])


def _serving(facts: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [item for item in facts["containers"] if item["component"] in _COMPONENTS]


def _on_ray(facts: Mapping[str, Any]) -> bool:
    return any(item["component"] in _COMPONENTS_OF_RAY for item in facts["containers"])


def _container(name: str, item: Mapping[str, Any], now: float) -> Iterator[Finding]:
    words = f"{item['name']} is {item['status']}, exit code {item['exit_code']}, {item['restarts']} restarts"
    words += f": {item['error']}" if item["error"] else ""
    if item["oom_killed"] and item["status"] != "running":
        told = "systemd says Result=oom-kill" if item.get("runtime") == "venv" else "Docker says OOMKilled=true"
        yield known("host_oom", name, f"{told} of {item['name']}")
    loops = item["status"] == "running" and item["restarts"] >= _RESTART_LOOP and _young(item, now)
    if item["status"] == "restarting" or loops:
        yield seen("container_restarts", name, words)
    elif item["status"] in ("exited", "dead", "paused", "created"):
        stopped = item["exit_code"] in _STOPPED and not item["oom_killed"] and not item["error"]
        yield seen("container_stopped" if stopped else "container_ended", name, words)


def _young(item: Mapping[str, Any], now: float) -> bool:
    """Whether it was started a short time after it had died, and not long ago."""
    began, ended = item["started"], item["finished"]
    return bool(began and ended and began - ended < _LOOP_SECONDS and now - began < 2 * _LOOP_SECONDS)


def _gpus(name: str, facts: Mapping[str, Any], wanted: Any) -> Iterator[Finding]:
    gpu = facts["gpu"]
    if not gpu["present"]:
        slug = _NVIDIA_SMI.get(gpu["reason_kind"])
        reason = gpu["reason"] or "no reason"
        yield known(slug, name, reason) if slug else seen("gpu_unusable", name, reason)
        return
    if gpu["gpus_lost"]:
        yield known("gpu_fell_off_bus", name, f"nvidia-smi has lost {len(gpu['gpus_lost'])} GPU(s)")
    elif wanted and len(gpu["gpus"]) < int(wanted):
        yield seen("gpu_missing", name, f"{len(gpu['gpus'])} of {int(wanted)} GPUs")
    for holder in gpu["holders"]:
        if holder["holder"]:
            used = f", {holder['memory_used_mib']} MiB" if holder["memory_used_mib"] else ""
            yield seen("gpu_foreign", name, f"{holder['holder']}{used}", f"GPU {holder['gpu']}")


def _disks(name: str, facts: Mapping[str, Any]) -> Iterator[Finding]:
    told = set()
    for disk in facts["disks"]:
        mount = disk.get("mount_point") or disk["path"]
        if mount in told:
            continue
        told.add(mount)
        if disk.get("problem"):
            yield seen("filesystem_trouble", name, f"{disk['path']}: {disk['problem']}")
        elif disk.get("total_bytes") and disk["free_bytes"] < max(
            min(_FREE_BYTES, disk["total_bytes"] / 10), disk["total_bytes"] * _FREE_SHARE
        ):
            free = f"{disk['free_bytes'] / _GIB:.1f} of {disk['total_bytes'] / _GIB:.0f} GiB free"
            yield seen("filesystem_full", name, f"{mount}: {free}")


def _ray(host: Mapping[str, Any], facts: Mapping[str, Any], everyone: Sequence[Mapping[str, Any]]) -> Iterator[Finding]:
    ray = facts["ray"]
    if ray is None:
        return
    if ray["error"]:
        yield seen("ray_silent", host["name"], ray["error"])
        return
    alive = {node["address"] for node in ray["nodes"] if node["alive"]}
    reasons = {node["address"]: node["death_reason"] for node in ray["nodes"] if not node["alive"]}
    for other in everyone:
        address = other.get("node_ip")
        if address and address not in alive:
            reason = reasons.get(address) or "the head does not know it"
            yield seen("ray_node_missing", other["name"], f"{address} is no node of the cluster: {reason}")


def _endpoint(name: str, facts: Mapping[str, Any]) -> Iterator[Finding]:
    endpoint = facts["endpoint"]
    engine = next((item for item in facts["containers"] if item["component"] == "vllm"), None)
    # what does not run has been told already
    if endpoint is None or endpoint["error"] is None or engine is None or engine["status"] != "running":
        return
    if endpoint["healthy"]:
        hangs = endpoint["error_kind"] in (TIMEOUT, SERVER_ERROR)
        yield seen("engine_hangs" if hangs else "endpoint_refuses", name, endpoint["error"])
        return
    if facts["time"] - (engine["started"] or 0) < _LOADING_SECONDS:
        progress = read_progress(facts["texts"].get(engine["name"], ""))
        if progress.stage != "api":
            yield seen("engine_loading", name, progress.sentence)
            return
    yield seen("engine_not_listening", name, endpoint["error"])


def _canary(name: str, facts: Mapping[str, Any]) -> Iterator[Finding]:
    canary = facts["canary"]
    if not canary or canary.get("verdict") != "failed":
        return
    words = f"{canary.get('failures_in_a_row')} failures in a row: {canary.get('reason')}"
    yield seen("canary_gave_up" if canary.get("gave_up") else "canary_fails", name, words)


def _lock(name: str, facts: Mapping[str, Any]) -> Iterator[Finding]:
    words = lock_differences(facts)
    if words:
        yield seen("differs_from_lock", name, "; ".join(words))


def lock_differences(facts: Mapping[str, Any]) -> list[str]:
    """What runs differently from what the lock file says; nothing without either."""
    lock = facts.get("lock") or {}
    running = running_deployment(facts)
    if not isinstance(lock.get("deployment"), Mapping) or not running:
        return []
    return differences(lock["deployment"], running, shared=True)
