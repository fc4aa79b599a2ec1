# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts as doctor_host describes them, for those who judge them."""

from __future__ import annotations

from typing import Any

NOW = 1795255200.0
COMMIT = "b" * 40
PATH = f"/var/lib/llmserve/huggingface/hub/models--acme--tiny/snapshots/{COMMIT}"


def versions(vllm: str = "0.33.0") -> dict[str, str]:
    return {"vllm": vllm, "ray": "2.56.1", "torch": "2.14.0", "nccl": "2.28.1", "python": "3.12.3"}


def container(component: str, status: str = "running", **more: Any) -> dict[str, Any]:
    """One container; it runs for an hour."""
    return {
        "id": component,
        "name": "llmserve-" + component.replace("_", "-"),
        "component": component,
        "status": status,
        "exit_code": 0,
        "oom_killed": False,
        "error": "",
        "restarts": 0,
        "restart_policy": "unless-stopped",
        "created": NOW - 86400,
        "started": NOW - 3600,
        "finished": None,
        "image": "vllm/vllm-openai:v0.33.0",
        "image_id": "sha256:1",
        "image_digest": "sha256:feed",
        "command": [PATH, "--tensor-parallel-size", "8", "--max-model-len", "1024"] if component == "vllm" else [],
        **more,
    }


def endpoint(**more: Any) -> dict[str, Any]:
    return {
        "url": "http://10.0.0.1:8000",
        "healthy": True,
        "error": None,
        "error_kind": None,
        "version": "0.33.0",
        "models": ["acme/tiny"],
        "figures": {"requests_running": 3, "requests_waiting": 1, "kv_cache_used": 0.125, "generated_tokens": 1200},
        "answer_seconds": 0.08,
        **more,
    }


def ray_node(address: str, alive: bool = True, reason: str = "") -> dict[str, Any]:
    return {"id": address, "address": address, "alive": alive, "gpus_total": 8.0, "death_reason": reason}


def gpus(count: int = 8, **more: Any) -> dict[str, Any]:
    return {
        "present": count > 0,
        "reason": None,
        "reason_kind": None,
        "driver_version": "580.95.05",
        "cuda_version": "13.0",
        "gpus": [{"index": n, "name": "NVIDIA H100 80GB HBM3"} for n in range(count)],
        "gpus_lost": [],
        "holders": [{"gpu": 0, "memory_used_mib": 70000, "holder": None}],
        **more,
    }


def facts(*containers: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A healthy host."""
    return {
        "time": NOW,
        "uptime_seconds": 864000.0,
        "hostname": "gpu",
        "disks": [disk("/"), disk("/var/lib/docker", "/")],
        "docker": {"client": "/usr/bin/docker", "server": {"version": "28.3.0"}, "error": None},
        "containers": list(containers),
        "versions": versions(),
        "ray": None,
        "endpoint": None,
        "canary": None,
        "lock": None,
        "hold": None,
        "gpu": gpus(),
        "texts": {},
        "problems": [],
        **more,
    }


def disk(path: str, mount: str | None = None, free: int = 2**38, **more: Any) -> dict[str, Any]:
    return {
        "path": path,
        "mount_point": mount or path,
        "total_bytes": 2**40,
        "free_bytes": free,
        "problem": None,
        **more,
    }


def head(**more: Any) -> dict[str, Any]:
    ray = {
        "error": None,
        "version": "2.56.1",
        "nodes": [ray_node("10.0.0.1"), ray_node("10.0.0.2")],
        "gpus_total": 16.0,
        "gpus_reserved": 16.0,
    }
    known = {"ray": ray, "endpoint": endpoint(), **more}
    containers = known.pop("containers", [container("ray_head"), container("vllm")])
    return {"name": "node1", "node_ip": "10.0.0.1", "gpus": 8, "facts": facts(*containers, **known), "unreachable": ""}


def worker(**more: Any) -> dict[str, Any]:
    containers = more.pop("containers", [container("ray_worker")])
    return {"name": "node2", "node_ip": "10.0.0.2", "gpus": 8, "facts": facts(*containers, **more), "unreachable": ""}
