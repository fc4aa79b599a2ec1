# SPDX-License-Identifier: GPL-3.0-or-later
"""The module with a stand-in for Docker."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.llmserve.vllm.plugins.module_utils import _nccl_container
from ansible_collections.llmserve.vllm.plugins.module_utils._nccl_program import MARK
from ansible_collections.llmserve.vllm.tests.unit.plugins.fake_docker import state
from ansible_collections.llmserve.vllm.tests.unit.plugins.modules.module_runner import run_module

SCRIPT = """#!/bin/sh
here=$(dirname "$0")
printf '%s\\n' "$1" >> "$here/calls"
case "$1" in
  inspect)
    if [ ! -e "$here/container" ]; then echo "Error: No such container: x" >&2; exit 1; fi
    case "$*" in *llmserve.component*) cat "$here/label" ;; *) cat "$here/container" ;; esac ;;
  logs) cat "$here/log" ;;
  rm) rm "$here/container" ;;
  run)
    printf '%s\\n' "$@" > "$here/argv"; env > "$here/environment"
    if [ -s "$here/refusal" ]; then cat "$here/refusal" >&2; exit 125; fi
    echo 4f1c > "$here/container" ;;
esac
"""
Run = Callable[..., dict[str, Any]]
PLAN = {"host": "a", "hosts": ["a", "b"], "addresses": ["10.0.0.1", "10.0.0.2"], "image": "vllm/vllm-openai:v0.33.0"}


@pytest.fixture
def docker(tmp_path: Path) -> Path:
    script = tmp_path / "docker"
    script.write_text(SCRIPT)
    script.chmod(0o755)
    (tmp_path / "label").write_text("nccl_check\n")
    (tmp_path / "log").write_text("")
    return tmp_path


@pytest.fixture
def ask(docker: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setattr(_nccl_container, "fabric", lambda: {"active": [], "user_devices": []})

    def run(check: bool = False, **args: Any) -> dict[str, Any]:
        given = {"docker_cli": str(docker / "docker"), "timeout": 0, **args}
        return run_module("nccl_check", capsys, _ansible_check_mode=check, **given)

    return run


def there(docker: Path, **facts: Any) -> None:
    (docker / "container").write_text(json.dumps(state(**facts)))


def say(docker: Path, *events: dict[str, Any], more: str = "") -> None:
    (docker / "log").write_text("".join(f"\n{MARK}{json.dumps(event)}\n" for event in events) + more)


def test_start(docker: Path, ask: Run) -> None:
    result = ask(
        state="started",
        environment={"NCCL_IB_HCA": "=mlx5_1", "NCCL_DEBUG": "WARN", "NCCL_DEBUG_FILE": "/x"},
        devices=["/dev/infiniband:/dev/infiniband:rwm"],
        capabilities=["IPC_LOCK"],
        ulimits=["memlock:-1:-1"],
        **PLAN,
    )
    assert (result["started"], result["changed"]) == (True, False)
    argv = (docker / "argv").read_text().splitlines()
    line = " ".join(argv)
    for words in (
        "--network host --ipc host --gpus all",
        "--ulimit memlock=-1:-1",
        "--device /dev/infiniband:/dev/infiniband:rwm --cap-add IPC_LOCK",
        "--label llmserve.component=nccl_check",
        "--env NCCL_IB_HCA",
        "--entrypoint timeout vllm/vllm-openai:v0.33.0 --kill-after=5 0 python3 -u -c",
    ):
        assert words in line
    # values are handed over in the environment, where `ps` does not show them
    assert "=mlx5_1" not in line
    environment = (docker / "environment").read_text()
    assert "NCCL_IB_HCA==mlx5_1" in environment
    assert "NCCL_DEBUG=INFO" in environment
    assert "NCCL_DEBUG_FILE" not in environment + line
    plan = json.loads(argv[-1])
    assert (plan["number"], plan["hosts"], plan["sizes"]) == (0, ["a", "b"], [2**23, 2**26, 2**29])


def test_what_an_interrupted_run_has_left_is_removed_first(docker: Path, ask: Run) -> None:
    there(docker)
    assert ask(state="started", **PLAN)["started"]
    assert (docker / "calls").read_text().split() == ["inspect", "rm", "run"]


def test_a_container_of_somebody_else_is_not_touched(docker: Path, ask: Run) -> None:
    there(docker)
    (docker / "label").write_text("\n")
    for wanted in ("started", "absent"):
        result = ask(state=wanted, **PLAN)
        assert result["failed"]
        assert "was not made by this check" in result["msg"]
    assert "rm" not in (docker / "calls").read_text().split()


@pytest.mark.parametrize(
    ("words", "cause"),
    [
        ("could not select device driver", "gpu_runtime"),
        ("error gathering device information: /dev/infiniband: no such file", "infiniband_device"),
        ("docker: Error response from daemon: No such image: x\n\nSee 'docker run --help'.\n", "image"),
        ("something new", "docker"),
    ],
)
def test_a_docker_that_refuses(docker: Path, ask: Run, words: str, cause: str) -> None:
    (docker / "refusal").write_text(words)
    result = ask(state="started", **PLAN)
    assert not result.get("failed"), "the other hosts are to be stopped in an orderly way"
    assert (result["started"], result["failures"][0]["cause"]) == (False, cause)
    assert "--help" not in result["failures"][0]["detail"]


def test_the_result_is_read_and_the_container_removed(docker: Path, ask: Run) -> None:
    there(docker, status="exited")
    size = {"event": "size", "bytes": 2**20, "seconds": 0.01, "bus_gb_s": 0.1, "world": 2}
    say(docker, {"event": "host", "backend": "gloo", "gpus": 0, "gloo_interface": "eth0"}, size, {"event": "done"})
    result = ask()
    assert (result["ok"], result["finished"], result["backend"]) == (True, True, "gloo")
    assert result["sizes"][0]["bus_gb_s"] == 0.1
    assert not (docker / "container").exists()


def test_a_slice_shows_how_far_it_is(docker: Path, ask: Run) -> None:
    there(docker)
    say(docker, {"event": "phase", "phase": "joining", "missing": ["b"]})
    result = ask(timeout=60, slice=0.01)
    assert (result["finished"], result["progress"]) == (False, "waiting for b")
    assert (docker / "container").exists()


@pytest.mark.parametrize(
    ("facts", "kind", "detail"),
    [
        ({"status": "exited", "exit_code": 1}, "lost", "exit code 1"),
        ({"status": "exited", "exit_code": 137}, "lost", "killed, exit code 137"),
        ({"status": "exited", "exit_code": 137, "oom": True}, "lost", "killed for memory, exit code 137"),
        ({"status": "exited", "exit_code": 124}, "limit", "exit code 124"),
    ],
)
def test_an_end_without_words(docker: Path, ask: Run, facts: dict[str, Any], kind: str, detail: str) -> None:
    there(docker, **facts)
    say(docker, {"event": "phase", "phase": "loading"}, more="Traceback\n")
    result = ask()
    assert (result["failures"][0]["kind"], result["failures"][0]["detail"]) == (kind, detail)
    assert result["log_tail"] == ["Traceback"]
    assert not (docker / "container").exists()


def test_a_container_that_is_gone(ask: Run) -> None:
    result = ask()
    assert (result["ok"], result["failures"][0]["kind"]) == (False, "lost")


def test_one_that_outlives_its_limit_is_removed(docker: Path, ask: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    there(docker)
    result = ask(resume={"elapsed": 1000})
    assert (result["finished"], result["failures"][0]["kind"]) == (True, "limit")
    assert not (docker / "container").exists()


def test_check_mode_starts_nothing(docker: Path, ask: Run) -> None:
    assert ask(check=True, state="started", **PLAN)["skipped"]
    assert not (docker / "calls").exists()


def test_hosts_and_addresses_belong_together(ask: Run) -> None:
    assert "one address for each" in ask(state="started", **{**PLAN, "addresses": ["10.0.0.1"]})["msg"]
