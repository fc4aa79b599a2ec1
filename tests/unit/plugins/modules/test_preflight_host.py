# SPDX-License-Identifier: GPL-3.0-or-later
"""The shell of llmserve.vllm.preflight_host, against this machine's own sockets."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from ansible_collections.llmserve.vllm.plugins.module_utils import _preflight
from ansible_collections.llmserve.vllm.plugins.modules import preflight_host
from ansible_collections.llmserve.vllm.tests.unit.plugins.modules.module_runner import run_module


def fake_docker(tmp_path: Path, cluster: str) -> str:
    path = tmp_path / "docker"
    path.write_text(
        "#!/bin/sh\n"
        '[ "$1 $2 $3" = "inspect --type container" ] || exit 1\n'
        f"""echo '{{"name": "/llmserve-vllm", "labels": {{"llmserve.cluster": "{cluster}"}}}}'\n"""
    )
    path.chmod(0o755)
    return str(path)


def test_a_port_that_this_process_holds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        held.listen()
        port = held.getsockname()[1]
        args = {"node_ip": "127.0.0.1", "cluster": "prod", "ports": [{"name": "llmserve_port", "port": str(port)}]}
        found = run_module("preflight_host", capsys, **args, docker_cli=str(tmp_path / "none"))["problems"]
        assert [item["check"] for item in found] == ["node_ip", "port"]
        assert f"Port {port} (llmserve_port) is taken by process {os.getpid()} (" in found[1]["problem"]
        # the same process, now seen as part of a container
        monkeypatch.setattr(_preflight, "container_id", lambda _text: "1" * 64)
        for cluster, taken in (("prod", False), ("test", True)):
            docker = fake_docker(tmp_path, cluster)
            found = run_module("preflight_host", capsys, **args, docker_cli=docker)["problems"]
            assert any(item["check"] == "port" for item in found) is taken


def test_gpus(capsys: pytest.CaptureFixture[str]) -> None:
    found = run_module(
        "preflight_host",
        capsys,
        node_ip="127.0.0.1",
        cluster="prod",
        gpus_expected=8,
        gpus_found=0,
        gpus_missing_reason="No driver.",
    )["problems"]
    assert found[1]["problem"] == "No GPU can be used. No driver."


def test_binding_tells_local_addresses() -> None:
    assert preflight_host.can_bind("127.0.0.1")
    assert not preflight_host.can_bind("203.0.113.77")
