# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything that can be known of a cluster on one of its hosts, in one go: for the doctor, status and the lock file.

Nothing of it needs Docker, a driver or a journal to be there: what cannot be asked is None, and why is a problem.

This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import json
import os
import time
from typing import Any, Dict, List, Mapping, Optional, Sequence

from ansible_collections.llmserve.vllm.plugins.module_utils import (
    _capture,
    _cluster_containers,
    _gpu_facts,
    _holders,
    _host_docker,
    _host_texts,
    _unit,
)
from ansible_collections.llmserve.vllm.plugins.module_utils._container import CliResult, last_lines, run_cli
from ansible_collections.llmserve.vllm.plugins.module_utils._endpoint_facts import ask_endpoint
from ansible_collections.llmserve.vllm.plugins.module_utils._host import read_text
from ansible_collections.llmserve.vllm.plugins.module_utils._openai import Endpoint, read_key
from ansible_collections.llmserve.vllm.plugins.module_utils._ray import PROBE_SCRIPT, parse_probe
from ansible_collections.llmserve.vllm.plugins.module_utils._ray_text import classify_error

_DOCKER_SECONDS = 15
# Generous, for a busy host: what is not known counts as another deployment for the lock file.
_RAY_SECONDS = 30
_VERSION_SECONDS = 60
_GPU_KEYS = ("index", "name", "uuid", "memory_total_mib", "memory_used_mib", "mig_enabled")
# Metadata only: importing vllm would take ten seconds and touch the GPU.
_VERSIONS = """
import importlib.metadata as m, json, platform
def version(*names):
    for name in names:
        try:
            return m.version(name)
        except m.PackageNotFoundError:
            pass
    return ""
found = {name: version(name) for name in ("vllm", "ray", "torch", "transformers")}
found["nccl"] = version("nvidia-nccl-cu13", "nvidia-nccl-cu12", "nvidia-nccl-cu11")
print(json.dumps(dict(found, python=platform.python_version())))
""".strip()


class HostLook:
    """One look at a host; C(params) are those of the module doctor_host, C(module) finds and runs commands."""

    def __init__(self, module: Any, params: Mapping[str, Any]) -> None:
        self.module = module
        self.params = params
        self.client = self._client()
        self.problems: List[str] = []

    def _client(self) -> Optional[str]:
        name = str(self.params["docker_cli"])
        path = name if os.sep in name else self.module.get_bin_path(name)
        return path if path and os.path.exists(path) else None

    def facts(self) -> Dict[str, Any]:
        """All of it, secrets included: take them out before it leaves the host."""
        docker = self._docker()
        containers = self._containers() if docker["server"] else []
        # what runs without Docker is told in the same words
        containers = sorted(containers + _unit.units(self.params["cluster"]), key=lambda item: str(item["name"]))
        gpu = self._gpu(docker)
        found: Dict[str, Any] = {
            "time": time.time(),
            "uptime_seconds": _uptime(),
            "docker": docker,
            "containers": containers,
            "versions": self._versions(containers),
            "ray": self._ray(containers),
            "endpoint": self._endpoint(),
            "canary": read_json(self.params["canary_file"]),
            "lock": read_json(self.params["lock_file"]),
            "hold": read_json(self.params["hold_file"]),
            "journal": read_json(self.params["journal_file"]),
        }
        found.update(gpu, texts=self._texts(docker, containers), problems=self.problems)
        return found

    def _docker(self) -> Dict[str, Any]:
        if self.client is None:
            return {"client": None, "server": None, "error": "there is no Docker client on this host"}
        done = run_cli([self.client, "info", "--format", "{{json .}}"], _DOCKER_SECONDS)
        server = _host_docker.read_info(done.stdout)
        error = None if server else docker_error(done.stdout, done.stderr)
        return {"client": self.client, "server": server, "error": error}

    def _containers(self) -> List[Dict[str, Any]]:
        return _cluster_containers.containers(str(self.client), self.params["cluster"])

    def _gpu(self, docker: Mapping[str, Any]) -> Dict[str, Any]:
        root = (docker["server"] or {}).get("root") or _host_docker.DEFAULT_ROOT
        paths = list(dict.fromkeys(["/", root, *self.params["paths"]]))
        facts = _gpu_facts.collect(self.module, self.params["nvidia_smi"], self.params["gpu_timeout"], paths).facts
        containers = _holders.Containers(
            self.client if docker["server"] else None, lambda argv: run_cli(argv, _DOCKER_SECONDS).stdout
        )
        return {
            "hostname": facts["hostname"],
            "kernel": facts["kernel"],
            "host_memory_mib": facts["host_memory_mib"],
            "disks": facts["disks"],
            "gpu": {
                "present": facts["present"],
                "reason": facts.get("reason"),
                "reason_kind": facts.get("reason_kind"),
                "driver_version": facts["driver_version"],
                "cuda_version": facts["cuda_version"],
                "gpus": [{key: gpu.get(key) for key in _GPU_KEYS} for gpu in facts["gpus"]],
                "gpus_lost": facts["gpus_lost"],
                "holders": _holders.gpu_processes(facts["gpus"], self.params["cluster"], containers),
            },
        }

    def _exec(self, container: Mapping[str, Any], seconds: int, *argv: str) -> CliResult:
        if container.get("runtime") == "venv":
            return _unit.ask(container["name"], argv, seconds)
        return run_cli([str(self.client), "exec", container["id"], *argv], seconds)

    def _versions(self, containers: Sequence[Mapping[str, Any]]) -> Optional[Dict[str, str]]:
        """What is installed where the engine or Ray runs; None when neither does."""
        container = _running(containers, "vllm", "ray_head", "ray_worker")
        if container is None:
            return None
        done = self._exec(container, _VERSION_SECONDS, "python3", "-c", _VERSIONS)
        try:
            return {str(name): str(version) for name, version in json.loads(done.stdout).items()}
        except (ValueError, AttributeError):
            self.problems.append("The versions in {0} could not be read.".format(container["name"]))
            return None

    def _ray(self, containers: Sequence[Mapping[str, Any]]) -> Optional[Dict[str, Any]]:
        """What the head says of the cluster; None on a host without a head that runs."""
        container = _running(containers, "ray_head")
        if container is None or not self.params["ray_address"]:
            return None
        argv = ["python3", "-c", PROBE_SCRIPT, self.params["ray_address"], str(_RAY_SECONDS)]
        done = self._exec(container, _RAY_SECONDS + 10, *argv)
        cluster = parse_probe(done.stdout)
        if cluster is None:
            kind, line = classify_error(done.stderr + "\n" + done.stdout)
            words = line or " ".join(last_lines(done.stderr or done.stdout, 1)) or "no answer"
            return {"error": words[:500], "error_kind": kind or "unknown", "nodes": []}
        return {
            "error": None,
            "error_kind": None,
            "version": cluster.version,
            "nodes": [node._asdict() for node in cluster.nodes],
            "gpus_total": cluster.gpus_total,
            "gpus_reserved": cluster.gpus_reserved,
        }

    def _endpoint(self) -> Optional[Dict[str, Any]]:
        if not self.params["url"]:
            return None
        # without a key only the public part answers, and that the key is missing is then the error
        key = ""
        try:
            key = read_key(self.params["api_key_file"])
        except OSError:
            pass
        except ValueError as exc:
            self.problems.append(str(exc))
        try:
            endpoint = Endpoint(self.params["url"], key)
        except ValueError as exc:
            self.problems.append(str(exc))
            return None
        return ask_endpoint(endpoint, self.params["model"], self.params["answer_timeout"])

    def _texts(self, docker: Mapping[str, Any], containers: Sequence[Mapping[str, Any]]) -> Dict[str, str]:
        most = 1024 * int(self.params["log_kib"])
        if most <= 0:
            return {}
        texts: Dict[str, str] = {}
        texts.update(_host_texts.container_logs(self.client or "", containers, most, _capture.capture))
        if docker["client"] and docker["error"]:
            texts["docker"] = docker["error"]
        since = _host_texts.begin_of(containers, time.time())
        own = [str(item["id"]) for item in containers if item.get("runtime") != "venv"]
        logs = _host_texts.journal(since, most // 4, _capture.capture, own)
        texts.update(logs.texts)
        self.problems += logs.problems
        return {name: text for name, text in texts.items() if text.strip()}


def docker_error(stdout: str, stderr: str) -> str:
    """Why the daemon does not answer: newer clients say so inside of their JSON."""
    try:
        errors = json.loads(stdout).get("ServerErrors") or []
    except (ValueError, AttributeError):
        errors = []
    words = [str(error) for error in errors] or last_lines(stderr, 3)
    return " ".join(words)[:1000] or "no answer"


def _running(containers: Sequence[Mapping[str, Any]], *components: str) -> Optional[Mapping[str, Any]]:
    """The first container of these that runs, in the order of the components."""
    running = [item for item in containers if item["status"] == "running"]
    return next((item for name in components for item in running if item["component"] == name), None)


def _uptime() -> Optional[float]:
    words = (read_text("/proc/uptime") or "").split()
    return float(words[0]) if words else None


def read_json(path: Optional[str]) -> Optional[Dict[str, Any]]:
    """The JSON object in a file; None when there is none."""
    text = read_text(path) if path else None
    try:
        data = json.loads(text or "null")
    except ValueError:
        return None
    return data if isinstance(data, dict) else None
