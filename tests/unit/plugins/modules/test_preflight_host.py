# SPDX-License-Identifier: GPL-3.0-or-later
"""The shells of llmserve.vllm.preflight_host and preflight_reach, against this machine's own sockets."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.llmserve.vllm.plugins.module_utils import _holders, _probe
from ansible_collections.llmserve.vllm.plugins.modules import gpu_info, preflight_host
from ansible_collections.llmserve.vllm.tests.unit.plugins.modules.module_runner import run_module

REPORT = Path(__file__).resolve().parents[2] / "fixtures" / "gpu" / "two_h100_one_sick.xml"
DOCKER = """#!/bin/sh
case "$1 $2" in
"info --format") echo '{"ServerVersion": "28.3.0", "DockerRootDir": "/tmp", "Runtimes": {"nvidia": {}}}';;
"image inspect") echo '[{"Id": "sha256:1", "RepoDigests": ["x@sha256:2"], "Architecture": "amd64"}]';;
"inspect --type") echo '{"name": "/llmserve-vllm", "labels": {"llmserve.cluster": "CLUSTER"}}';;
esac
"""


def tool(tmp_path: Path, name: str, text: str) -> str:
    path = tmp_path / name
    path.write_text(text)
    path.chmod(0o755)
    return str(path)


def look(capsys: pytest.CaptureFixture[str], tmp_path: Path, cluster: str = "prod", **more: Any) -> dict[str, Any]:
    result = run_module(
        "preflight_host",
        capsys,
        cluster=cluster,
        nvidia_smi=tool(tmp_path, "nvidia-smi", f"#!/bin/sh\ncat {REPORT}\n"),
        **{"host": "node1", "docker_cli": str(tmp_path / "none"), **more},
    )
    assert (result["changed"], result["warned"]) == (False, "")
    facts: dict[str, Any] = result["facts"]
    return facts


def test_every_fact_is_documented(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    documented = set(yaml.safe_load(preflight_host.RETURN)["facts"]["contains"])
    of_gpu_info = set(yaml.safe_load(gpu_info.RETURN))
    facts = look(capsys, tmp_path, docker_cli=tool(tmp_path, "docker", DOCKER), image="x")
    # the action adds the controller's clock
    assert set(facts) | {"controller_time"} == documented | of_gpu_info - {"reason", "reason_kind", "reason_detail"}
    assert len(facts["gpus"]) == 2
    assert facts["docker"]["image"]["digest"] == "sha256:2"
    assert facts["docker"]["root"] == facts["disks"][0]["path"] == "/tmp"
    assert facts["time"][0] <= facts["time"][1] <= time.time()
    assert (facts["model"], facts["reachable"]) == (None, [])


def test_a_port_that_this_process_holds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        held.listen()
        port = held.getsockname()[1]
        ports = [{"name": "llmserve_port", "port": str(port)}]
        found = look(capsys, tmp_path, ports=ports)["held_ports"]
        assert [(item["name"], item["port"]) for item in found] == [("llmserve_port", port)]
        assert f"process {os.getpid()} (" in found[0]["holder"]
        # the same process, now seen as part of a container
        monkeypatch.setattr(_holders, "container_id", lambda _text: "1" * 64)
        for cluster, ours in (("prod", True), ("test", False)):
            docker = tool(tmp_path, "docker", DOCKER.replace("CLUSTER", cluster))
            found = look(capsys, tmp_path, ports=ports, docker_cli=docker)["held_ports"]
            assert (found[0]["holder"] is None) is ours


def test_a_cache_and_what_is_missing_in_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    commit = "a" * 40
    files = [{"path": "model.safetensors", "size": 10**18}]
    where: dict[str, Any] = {
        "cache_dir": str(tmp_path / "hub"),
        "repo_id": "org/name",
        "model_commit": commit,
        "model_files": files,
    }
    model = look(capsys, tmp_path, **where)["model"]
    assert (model["commit"], model["files"], model["bytes_missing"]) == (None, {}, 10**18)
    assert str(tmp_path) in model["disk_problem"]


def test_one_host_listens_and_another_connects(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cluster = f"test-{time.monotonic_ns()}"
    more = {"node_ip": "127.0.0.1", "listen_seconds": 30, "peers": 1}
    local = {"name": "dashboard", "port": 1, "public": False}
    reachable = look(capsys, tmp_path, cluster=cluster, ports=[local], **more)["reachable"]
    assert [port["name"] for port in reachable] == [_probe.RANDOM]
    target = {"host": "node1", "address": "127.0.0.1", "ports": reachable}
    for wanted, failed in (("node3", "wrong_host"), ("node1", None)):
        result = run_module(
            "preflight_reach", capsys, host="node2", source="127.0.0.1", targets=[{**target, "host": wanted}]
        )
        assert result["connections"] == 1
        assert [item["state"] for item in result["failed_connections"]] == ([failed] if failed else [])
    _probe.stop(cluster)


def test_one_call_has_both_hosts_connect(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cluster, key = f"test-{time.monotonic_ns()}", "k" * 64
    targets = []
    for number in (1, 2):
        more = {"host": f"node{number}", "node_ip": f"127.0.0.{number}", "listen_seconds": 30, "peers": 1}
        facts = look(capsys, tmp_path, cluster=f"{cluster}-{number}", run_key=key, **more)
        targets.append({"host": more["host"], "address": more["node_ip"], "ports": facts["reachable"]})
    answer = run_module(
        "preflight_reach", capsys, host="node1", source="127.0.0.1", targets=targets, ask=True, run_key=key
    )
    assert (answer["reports"], answer["connections"]) == ({"node1": [], "node2": []}, 1)
    assert key not in str(answer)


def test_alone_a_host_stops_listening_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cluster = f"test-{time.monotonic_ns()}"
    more = {"node_ip": "127.0.0.1", "listen_seconds": 30, "peers": 1}
    port = look(capsys, tmp_path, cluster=cluster, **more)["reachable"][0]
    target = {"host": "node1", "address": "127.0.0.1", "ports": [port]}
    answer = run_module(
        "preflight_reach", capsys, host="node1", cluster=cluster, source="127.0.0.1", targets=[target], ask=True
    )
    assert (answer["reports"], answer["connections"]) == ({"node1": []}, 0)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port["port"]), 5)


def test_without_a_driver(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = run_module(
        "preflight_host",
        capsys,
        host="node1",
        cluster="prod",
        nvidia_smi=str(tmp_path / "none"),
        docker_cli=str(tmp_path / "none"),
    )
    assert (result["facts"]["present"], result["facts"]["gpus"]) == (False, [])
    assert result["facts"]["reason"]
