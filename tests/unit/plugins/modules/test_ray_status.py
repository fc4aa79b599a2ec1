# SPDX-License-Identifier: GPL-3.0-or-later
"""The module with a stand-in for Docker and Ray."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.llmserve.vllm.plugins.module_utils._ray import PROBE_MARK
from ansible_collections.llmserve.vllm.tests.unit.plugins.fake_docker import FakeDocker, state
from ansible_collections.llmserve.vllm.tests.unit.plugins.modules.module_runner import run_module


def cluster(*addresses: str) -> str:
    nodes = [
        {"NodeID": f"id{n}", "Alive": True, "NodeManagerAddress": address, "Resources": {"GPU": 8.0}}
        for n, address in enumerate(addresses)
    ]
    free = {node["NodeID"]: {"GPU": 8.0} for node in nodes}
    return PROBE_MARK + json.dumps({"version": "2.56.1", "nodes": nodes, "free": free, "groups": []})


Run = Callable[..., dict[str, Any]]


@pytest.fixture
def docker(tmp_path: Path) -> FakeDocker:
    stand_in = FakeDocker(tmp_path / "bin")
    stand_in.states(state())
    stand_in.log("first\nlast words\n")
    return stand_in


@pytest.fixture
def ask(docker: FakeDocker, capsys: pytest.CaptureFixture[str]) -> Run:
    def run(check: bool = False, **args: Any) -> dict[str, Any]:
        given = {"container": "llmserve-ray-head", "docker_cli": docker.path, "interval": 0.02, "timeout": 0.1, **args}
        return run_module("ray_status", capsys, _ansible_check_mode=check, **given)

    return run


def test_a_complete_cluster(docker: FakeDocker, ask: Run) -> None:
    docker.answer(cluster("10.0.0.1", "10.0.0.2"))
    result = ask(nodes=2, gpus=16, expected_addresses=["10.0.0.1", "10.0.0.2"])
    assert result["healthy"]
    assert (result["gpus_total"], result["missing"], result["ray_version"]) == (16.0, [], "2.56.1")
    assert result["nodes"][1]["address"] == "10.0.0.2"
    assert (result["changed"], result["finished"]) == (False, True)
    call = next(line for line in docker.calls() if line.startswith("exec"))
    assert call.startswith("exec llmserve-ray-head python3 -c")


def test_who_is_missing_at_the_timeout(docker: FakeDocker, ask: Run) -> None:
    docker.answer(cluster("10.0.0.1"))
    result = ask(nodes=2, gpus=16, expected_addresses=["10.0.0.1", "10.0.0.2"])
    assert result["failed"]
    assert "1 of 2 nodes, 8 of 16 GPUs, missing 10.0.0.2" in result["msg"]
    assert result["log_tail"] == ["first", "last words"]
    assert result["gpus_total"] == 8.0


def test_check_mode_only_looks(docker: FakeDocker, ask: Run) -> None:
    docker.states(None)
    result = ask(check=True, nodes=2, timeout=60)
    assert not result.get("failed")
    assert (result["healthy"], result["changed"], result["nodes"]) == (False, False, [])


@pytest.mark.parametrize(
    ("states", "words"),
    [
        ([None], "does not exist"),
        ([state("exited", exit_code=1)], "not running: exited, exit code 1"),
        ([state(restarts=1), state(restarts=2), state(restarts=4)], "restart loop (4 restarts"),
    ],
)
def test_it_stops_when_hope_is_gone(docker: FakeDocker, states: list[Any], words: str, ask: Run) -> None:
    docker.states(*states)
    docker.answer(stderr="Timed out while waiting for GCS", rc=1)
    result = ask(timeout=60)
    assert result["failed"]
    assert words in result["msg"]
    assert result["elapsed"] < 20


def test_a_restart_or_two_are_waited_out(docker: FakeDocker, ask: Run) -> None:
    docker.states(state(), state("restarting", restarts=1), state(restarts=1))
    docker.answer(stderr="nothing yet", rc=1)
    result = ask(timeout=0.3)
    assert "is not complete" in result["msg"]


def test_a_refused_token_needs_no_waiting(docker: FakeDocker, ask: Run) -> None:
    docker.answer(stderr="ray.exceptions.AuthenticationError: RPC error: InvalidAuthToken: missing or incorrect", rc=1)
    result = ask(timeout=60)
    assert result["failed"]
    assert result["error_kind"] == "auth_token_wrong"
    assert result["elapsed"] < 20


def test_a_probe_that_was_stopped_by_its_alarm(docker: FakeDocker, ask: Run) -> None:
    docker.answer(rc=142)
    result = ask()
    assert result["error_kind"] == "cluster_unreachable"
    assert "no answer within" in result["msg"]


def test_no_docker_on_this_host(docker: FakeDocker, ask: Run) -> None:
    result = ask(docker_cli=docker.path + "-absent")
    assert result["failed"]
    assert "Install Docker" in result["msg"]


def test_slices_remember(docker: FakeDocker, ask: Run) -> None:
    docker.answer(cluster("10.0.0.1"))
    docker.states(state(restarts=2))
    first = ask(nodes=2, timeout=60, slice=0.1)
    assert not first["finished"]
    assert first["progress"] == "1 of 2 nodes, 8 GPUs"
    assert first["resume"]["restarts_before"] == 2
    assert 0 < first["resume"]["elapsed"] <= 5
    late = ask(nodes=2, timeout=60, slice=0.1, resume={"elapsed": 61, "restarts_before": 2})
    assert late["failed"]
    assert "after 1 min 01 s" in late["msg"]
