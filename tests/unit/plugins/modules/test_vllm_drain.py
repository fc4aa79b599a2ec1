# SPDX-License-Identifier: GPL-3.0-or-later
"""The module against a real server, and stand-ins for Docker and systemctl that stop when they are told to."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.llmserve.vllm.plugins.module_utils import _unit
from ansible_collections.llmserve.vllm.plugins.module_utils._unit_file import UnitFile
from ansible_collections.llmserve.vllm.tests.unit.plugins.fake_server import Script, serving
from ansible_collections.llmserve.vllm.tests.unit.plugins.modules.module_runner import run_module

DOCKER = """#!/bin/sh
here=$(dirname "$0")
echo "$@" >> "$here/calls"
status() {
  [ -e "$here/status" ] || { echo "Error: No such container: x" >&2; exit 1; }
  cat "$here/status"
}
case "$1 $5" in
  inspect*json*Args*) cat "$here/args"; exit 0 ;;
esac
case "$1" in
  inspect) s=$(status) || exit 1; printf '{"id":"1","created":"","restarts":0,"state":{"Status":"%s"}}' "$s" ;;
  stop) echo exited > "$here/status" ;;
  kill) : ;;
esac
"""
SYSTEMCTL = """#!/bin/sh
here=$(dirname "$0")
echo "$@" >> "$here/calls"
case "$1" in
  show)
    case "$(cat "$here/status" 2>/dev/null)" in
      running) echo LoadState=loaded; echo ActiveState=active ;;
      exited) echo LoadState=loaded; echo ActiveState=inactive ;;
      *) echo LoadState=not-found ;;
    esac ;;
  stop) [ "$2" = --no-block ] || echo exited > "$here/status" ;;
esac
"""
PAGE = (
    'vllm:num_requests_running{{engine="0"}} {0}\nvllm:num_requests_waiting{{engine="0"}} 0\n'
    'vllm:request_success_total{{finished_reason="stop"}} {1}\n'
)


class Engine:
    """A server whose requests end one after the other, in a container."""

    def __init__(self, folder: Path, script: Script, url: str) -> None:
        self.folder = folder
        self.url = url
        self.script = script
        self.open = [2, 1, 0]
        self.dies_when_idle = False
        script.api_key = ""
        script.answers["/metrics"] = self._metrics
        for name, text in (("docker", DOCKER), ("systemctl", SYSTEMCTL)):
            (folder / name).write_text(text)
            (folder / name).chmod(0o755)
        self.docker = str(folder / "docker")
        (folder / "status").write_text("running")
        self.args("/m", "--port", "8000")

    def args(self, *words: str) -> None:
        (self.folder / "args").write_text(json.dumps(words))

    def _metrics(self, handler: Any, _payload: Any) -> None:
        now = self.open.pop(0) if len(self.open) > 1 else self.open[0]
        if self.dies_when_idle and not now:
            (self.folder / "status").write_text("exited")
        handler.reply(PAGE.format(now, 10 - now))

    def calls(self, word: str) -> list[str]:
        lines = (self.folder / "calls").read_text().splitlines()
        return [line for line in lines if line.startswith(word)]


Run = Callable[..., dict[str, Any]]


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    script = Script()
    with serving(script) as url:
        yield Engine(tmp_path, script, url)


@pytest.fixture
def drain(engine: Engine, capsys: pytest.CaptureFixture[str]) -> Run:
    def run(check: bool = False, **args: Any) -> dict[str, Any]:
        given = {"container": "llmserve-vllm", "docker_cli": engine.docker, "interval": 0.02, "timeout": 20, **args}
        return run_module("vllm_drain", capsys, _ansible_check_mode=check, url=engine.url, **given)

    return run


def test_it_is_stopped_when_the_last_request_has_ended(engine: Engine, drain: Run) -> None:
    result = drain(stop_timeout=7)
    assert (result["changed"], result["finished"]) == (True, True)
    assert {key: result["drained"][key] for key in ("began_with", "ended", "cut")} == {
        "began_with": 2,
        "ended": 2,
        "cut": 0,
    }
    assert engine.calls("stop") == ["stop --time 7 llmserve-vllm"]
    assert drain()["changed"] is False


def test_what_runs_when_the_time_is_over_is_counted(engine: Engine, drain: Run) -> None:
    engine.open = [3]
    result = drain(timeout=0.1)
    assert result["drained"]["cut"] == 3
    assert result["summary"].endswith("3 cut")
    assert len(engine.calls("stop")) == 1


def test_at_once_without_a_limit(engine: Engine, drain: Run) -> None:
    engine.open = [3]
    assert drain(timeout=0)["drained"]["cut"] == 3


def test_a_slice_says_how_far_it_is_and_the_next_one_goes_on(engine: Engine, drain: Run) -> None:
    engine.open = [3, 3, 0]
    first = drain(slice=0.01, interval=1)
    assert (first["finished"], first["changed"]) == (False, False)
    assert "3 running, 0 waiting" in first["progress"]
    assert engine.calls("stop") == []
    engine.open = [0]
    second = drain(slice=5, resume=first["resume"])
    assert (second["finished"], second["drained"]["began_with"], second["drained"]["cut"]) == (True, 3, 0)


def test_a_server_that_drains_by_itself_is_told_at_once(engine: Engine, drain: Run) -> None:
    engine.args("-c", "x", "vllm-serve", "/m", "--shutdown-timeout", "30")
    engine.open = [2, 2, 1, 0]
    engine.dies_when_idle = True
    result = drain()
    assert engine.calls("kill") == ["kill --signal TERM llmserve-vllm"]
    assert engine.calls("stop") == []
    assert (result["changed"], result["drained"]["cut"], result["drained"]["ended"]) == (True, 0, 2)


def test_check_mode_looks_once_and_stops_nothing(engine: Engine, drain: Run) -> None:
    engine.args("/m", "--shutdown-timeout", "30")
    result = drain(check=True)
    assert (result["changed"], result["finished"]) == (True, True)
    assert engine.calls("stop") + engine.calls("kill") == []


@pytest.mark.parametrize("status", ["exited", "created", None])
def test_what_does_not_run_is_left_as_it_is(engine: Engine, drain: Run, status: str | None) -> None:
    (engine.folder / "status").unlink()
    if status:
        (engine.folder / "status").write_text(status)
    result = drain()
    assert (result["changed"], result["summary"], result["drained"]["cut"]) == (False, "it did not run", 0)
    assert engine.calls("stop") == []


def test_one_that_loads_has_no_requests(engine: Engine, drain: Run, capsys: pytest.CaptureFixture[str]) -> None:
    closed = "http://127.0.0.1:1"
    given = {"container": "x", "docker_cli": engine.docker, "interval": 0.02, "timeout": 20}
    result = run_module("vllm_drain", capsys, url=closed, **given)
    assert (result["changed"], result["drained"]["cut"]) == (True, 0)
    assert len(engine.calls("stop")) == 1


def test_one_that_does_not_tell_is_not_waited_for(engine: Engine, drain: Run) -> None:
    engine.script.answers["/metrics"] = lambda handler, _payload: handler.reply("down", 503)
    result = drain()
    assert (result["changed"], result["drained"]["cut"]) == (True, None)
    assert "unknown" in result["summary"]


def test_a_container_that_cannot_be_stopped_is_a_failure(engine: Engine, drain: Run) -> None:
    script = (engine.folder / "docker").read_text().replace('stop) echo exited > "$here/status"', "stop) exit 1")
    (engine.folder / "docker").write_text(script)
    result = drain()
    assert result["failed"]
    assert "llmserve-vllm cannot be stopped" in result["msg"]


@pytest.fixture
def drain_unit(engine: Engine, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("PATH", f"{engine.folder}{os.pathsep}{os.environ['PATH']}")

    def run(*words: str, **args: Any) -> dict[str, Any]:
        unit = UnitFile({}, "llmserve", ["/bin/sh", "-c", "x", "vllm-serve", "/m", *words], [], "")
        monkeypatch.setattr(_unit, "unit_file", lambda _name: unit)
        return run_module(
            "vllm_drain", capsys, url=engine.url, unit="llmserve-vllm", interval=0.02, **{"timeout": 20, **args}
        )

    return run


def test_a_unit_is_stopped_when_the_last_request_has_ended(engine: Engine, drain_unit: Run) -> None:
    result = drain_unit()
    assert (result["changed"], result["drained"]["began_with"], result["drained"]["cut"]) == (True, 2, 0)
    assert engine.calls("stop") == ["stop llmserve-vllm.service"]
    assert drain_unit()["changed"] is False


def test_a_unit_that_drains_by_itself_is_told_at_once(engine: Engine, drain_unit: Run) -> None:
    engine.open = [2, 2, 1, 0]
    engine.dies_when_idle = True
    result = drain_unit("--shutdown-timeout", "30")
    assert engine.calls("stop") == ["stop --no-block llmserve-vllm.service"]
    assert (result["changed"], result["drained"]["cut"], result["drained"]["ended"]) == (True, 0, 2)


def test_a_unit_that_is_not_there_is_no_server(engine: Engine, drain_unit: Run) -> None:
    (engine.folder / "status").unlink()
    assert drain_unit()["summary"] == "it did not run"


def test_a_unit_that_cannot_be_stopped_is_a_failure(engine: Engine, drain_unit: Run) -> None:
    (engine.folder / "systemctl").write_text(SYSTEMCTL.replace('echo exited > "$here/status"', "exit 1"))
    result = drain_unit()
    assert result["failed"]
    assert "systemctl status llmserve-vllm`" in result["msg"]


def test_one_of_both_has_to_be_named(engine: Engine, drain: Run) -> None:
    assert drain(unit="llmserve-vllm")["failed"]
    assert drain(container="")["failed"]
