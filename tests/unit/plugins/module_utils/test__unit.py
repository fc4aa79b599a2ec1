# SPDX-License-Identifier: GPL-3.0-or-later
"""Units, told as containers are."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from ansible_collections.llmserve.vllm.plugins.module_utils import _unit
from ansible_collections.llmserve.vllm.plugins.module_utils._container import (
    CliResult,
    ContainerError,
    down_reason,
    hopeless_reason,
)
from ansible_collections.llmserve.vllm.plugins.module_utils._holders import own_unit
from ansible_collections.llmserve.vllm.plugins.module_utils._ready import explain_death

RUNNING = {"LoadState": "loaded", "ActiveState": "active", "SubState": "running", "NRestarts": "0", "Result": "success"}
WAITS = {**RUNNING, "ActiveState": "activating", "SubState": "auto-restart", "NRestarts": "2", "Result": "exit-code"}
FAILED = {**RUNNING, "ActiveState": "failed", "SubState": "failed", "Result": "start-limit-hit", "NRestarts": "20"}
STOPPED = {**RUNNING, "ActiveState": "inactive", "SubState": "dead"}
KILLED = {**STOPPED, "Result": "oom-kill", "ExecMainCode": "2", "ExecMainStatus": "9"}
UNIT = """[Service]
User=llmserve
EnvironmentFile=/etc/llmserve/ray_head.env
LoadCredential=ray_token:/etc/llmserve/ray_token
ExecStart="/bin/sh" "-c" "exec vllm serve \\"$$@\\"" "vllm-serve" "/models/m" "--api-key" "sk-1234567890abcdef"

[X-llmserve]
Cluster=llmserve
Component=vllm
Executor=mp
Group=77
Environment=vllm-0.33.0-py312-0f1e
Lock=0f1e
Bin=/var/lib/llmserve/venv/x/bin
"""


def answering(properties: dict[str, str], calls: list[list[str]] | None = None) -> Callable[..., CliResult]:
    def run(argv: list[str], _timeout: float, merge: bool = False) -> CliResult:
        if calls is not None:
            calls.append(list(argv))
        return CliResult(0, "".join(f"{key}={value}\n" for key, value in properties.items()), "")

    return run


@pytest.mark.parametrize(
    ("properties", "status", "exit_code"),
    [
        (RUNNING, "running", 0),
        (WAITS, "restarting", 0),
        (FAILED, "exited", 0),
        (STOPPED, "exited", 0),
        ({**STOPPED, "ExecMainCode": "1", "ExecMainStatus": "3"}, "exited", 3),
        (KILLED, "exited", 137),
        ({**RUNNING, "ActiveState": "deactivating", "SubState": "stop-sigterm"}, "running", 0),
    ],
)
def test_states_in_docker_s_words(properties: dict[str, str], status: str, exit_code: int) -> None:
    found = _unit.state("llmserve-vllm", run=answering(properties))
    assert (found.exists, found.status, found.exit_code) == (True, status, exit_code)


def test_a_unit_that_is_not_there() -> None:
    found = _unit.state("llmserve-vllm", run=answering({"LoadState": "not-found"}))
    assert found.exists is False
    assert down_reason(found, "llmserve-vllm", 0) == "unit llmserve-vllm does not exist on this host"


def test_death_and_restarts_are_told_of_systemd() -> None:
    found = _unit.state("llmserve-vllm", run=answering(WAITS))
    assert (down_reason(found, "x", 0) or "").startswith("unit x died and systemd restarted it (2 restarts, 0 when")
    gone = _unit.state("llmserve-vllm", run=answering(FAILED))
    assert "systemd has given up after too many starts" in (hopeless_reason(gone, "x", 0) or "")


def test_one_that_was_killed_for_memory_is_diagnosed_without_a_log() -> None:
    found = _unit.state("llmserve-vllm", run=answering(KILLED))
    causes = explain_death("", found)
    assert (causes[0]["cause"], causes[0]["evidence"]) == ("host_oom", "systemd says Result=oom-kill")


def test_the_log_begins_with_the_present_process() -> None:
    ago = int((time.monotonic() - 10) * 1e6)
    found = _unit.state("x", run=answering({**RUNNING, "ExecMainStartTimestampMonotonic": str(ago)}))
    assert float(found.started_at.lstrip("@")) == pytest.approx(time.time() - 10, abs=2)
    assert _unit.log_argv("x", 400, found.started_at)[-4:] == ["--since", found.started_at, "--unit", "x.service"]


def test_no_systemd_is_an_error_with_a_remedy() -> None:
    def run(*_args: object, **_more: object) -> CliResult:
        return CliResult(1, "", "System has not been booted with systemd as init system")

    with pytest.raises(ContainerError, match=r"not been booted with systemd.*become"):
        _unit.state("x", run=run)


def test_units_of_this_cluster_look_like_containers(tmp_path: Path) -> None:
    (tmp_path / "llmserve-vllm.service").write_text(UNIT)
    (tmp_path / "llmserve-canary.service").write_text("[Service]\nExecStart=/bin/true\n")
    (tmp_path / "llmserve-ray-head.service").write_text(UNIT.replace("Cluster=llmserve", "Cluster=other"))
    found = _unit.units("llmserve", str(tmp_path), answering(RUNNING))
    assert [item["name"] for item in found] == ["llmserve-vllm"]
    assert (found[0]["component"], found[0]["executor"], found[0]["group"]) == ("vllm", "mp", "77")
    assert found[0]["image"] == "vllm-0.33.0-py312-0f1e"
    assert found[0]["command"][0] == "/models/m"
    assert "sk-1234567890abcdef" not in " ".join(found[0]["command"])
    assert found[0]["created"] == int((tmp_path / "llmserve-vllm.service").stat().st_mtime)


def test_it_is_asked_as_its_user_and_no_secret_is_on_the_command_line(tmp_path: Path) -> None:
    (tmp_path / "llmserve-ray-head.service").write_text(UNIT)
    calls: list[list[str]] = []
    _unit.ask("llmserve-ray-head", ["python3", "-c", "print(1)"], 14, str(tmp_path), answering({}, calls))
    argv = calls[0]
    assert argv[0] == "systemd-run"
    assert "--property=User=llmserve" in argv
    assert "--property=LoadCredential=ray_token:/etc/llmserve/ray_token" in argv
    assert "--property=RuntimeMaxSec=14" in argv
    assert argv[-3:] == ["/var/lib/llmserve/venv/x/bin/python3", "-c", "print(1)"]
    token = argv[argv.index("/usr/bin/env") + 1]
    name = next(word for word in argv if word.startswith("--unit=")).partition("=")[2]
    assert token == f"RAY_AUTH_TOKEN_PATH=/run/credentials/{name}.service/ray_token"


def test_without_a_unit_there_is_nobody_to_ask(tmp_path: Path) -> None:
    assert _unit.ask("llmserve-ray-head", ["python3"], 1, str(tmp_path)).rc == 127


@pytest.mark.parametrize(
    ("cgroup", "unit"),
    [
        ("0::/system.slice/llmserve-vllm.service\n", "llmserve-vllm.service"),
        ("1:name=systemd:/docker/0f1e/system.slice/llmserve-ray-head.service/x\n", "llmserve-ray-head.service"),
        ("0::/system.slice/docker.service\n", ""),
        ("0::/user.slice/llmserve-vllm.service\n", ""),
        ("", ""),
    ],
)
def test_processes_of_our_units_are_known(cgroup: str, unit: str) -> None:
    assert own_unit(cgroup) == unit
