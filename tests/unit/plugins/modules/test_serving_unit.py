# SPDX-License-Identifier: GPL-3.0-or-later
"""llmserve.vllm.serving_unit and serving_units_info, with a stand-in for systemctl."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.llmserve.vllm.plugins.module_utils import _unit
from ansible_collections.llmserve.vllm.plugins.modules import serving_unit
from ansible_collections.llmserve.vllm.tests.unit.plugins.modules.module_runner import run_module

SCRIPT = """#!/bin/sh
here=$(dirname "$0")
[ "$1" = show ] && { cat "$here/shown"; exit 0; }
echo "$@" >> "$here/calls"
if [ "$1" = "$(cat "$here/broken" 2>/dev/null)" ]; then echo "Job failed" >&2; exit 1; fi
exit 0
"""
NAME = "llmserve-vllm"


class Host:
    """A host with systemd."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self.capsys = capsys
        systemctl = folder / "systemctl"
        systemctl.write_text(SCRIPT)
        systemctl.chmod(0o755)
        self.units = folder / "units"
        self.units.mkdir()
        self.environment = folder / "vllm.env"
        self.shows("not-found", "inactive")

    def shows(self, load: str, active: str, enabled: str = "", ago: float = 0) -> None:
        started = int((time.monotonic() - ago) * 1e6) if active == "active" else 0
        (self.folder / "shown").write_text(
            f"LoadState={load}\nActiveState={active}\nSubState=x\nUnitFileState={enabled}\n"
            f"ExecMainStartTimestampMonotonic={started}\nNRestarts=0\n"
        )

    def run(self, **more: Any) -> dict[str, Any]:
        arguments = {
            "name": NAME,
            "unit": "[Service]\n",
            "environment": {"A": "hidden"},
            "environment_file": str(self.environment),
            **more,
        }
        return run_module("serving_unit", self.capsys, **arguments)

    def calls(self) -> list[str]:
        path = self.folder / "calls"
        calls = path.read_text().splitlines() if path.exists() else []
        path.unlink(missing_ok=True)
        return calls


@pytest.fixture
def host(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Host:
    found = Host(tmp_path, capsys)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(serving_unit, "UNIT_DIR", str(found.units))
    return found


def test_check_mode_writes_and_starts_nothing(host: Host) -> None:
    result = host.run(_ansible_check_mode=True, _ansible_diff=True)
    assert result["changed"] is True
    assert result["steps"] == ["daemon-reload", "enable", "reset-failed", "start"]
    assert result["diff"]["after"] == "[Service]\n"
    assert "hidden" not in str(result["diff"])
    assert (list(host.units.iterdir()), host.calls()) == ([], [])


def test_a_new_unit_is_written_and_started(host: Host) -> None:
    result = host.run()
    unit = f"{NAME}.service"
    assert host.calls() == ["daemon-reload", f"enable {unit}", f"reset-failed {unit}", f"start {unit}"]
    assert (host.units / unit).read_text() == "[Service]\n"
    assert host.environment.read_text() == 'A="hidden"\n'
    assert host.environment.stat().st_mode & 0o777 == 0o600
    assert len(result["written"]) == 2
    host.shows("loaded", "active", "enabled")
    assert host.run()["changed"] is False
    assert host.calls() == []


def test_another_environment_restarts_it_and_so_does_a_younger_secret(host: Host) -> None:
    host.run()
    host.calls()
    host.shows("loaded", "active", "enabled")
    assert host.run(environment={"A": "other"})["changed"] is True
    assert host.calls() == ["daemon-reload", f"restart {NAME}.service"]
    key = host.folder / "api_key"
    key.write_text("sk")
    os.utime(key, (time.time() + 60, time.time() + 60))
    assert host.run(environment={"A": "other"}, secret_files=[str(key)])["steps"] == ["restart"]


def test_what_it_was_stopped_between_is_mended_by_the_next_run(host: Host) -> None:
    host.run()
    host.calls()
    host.shows("loaded", "active", "enabled", ago=3600)
    assert host.run()["steps"] == ["restart"]
    assert host.calls() == [f"restart {NAME}.service"]


def test_stopped_keeps_the_files_and_absent_removes_them_after_stopping(host: Host) -> None:
    host.run()
    host.calls()
    host.shows("loaded", "active", "enabled")
    host.run(state="stopped")
    assert host.calls() == [f"disable {NAME}.service", f"stop {NAME}.service"]
    assert host.environment.exists()
    host.run(state="absent")
    assert host.calls() == [
        f"disable {NAME}.service",
        f"stop {NAME}.service",
        "daemon-reload",
        f"reset-failed {NAME}.service",
    ]
    assert not host.environment.exists()
    host.shows("not-found", "inactive")
    assert host.run(state="absent")["changed"] is False


def test_a_start_that_fails_says_where_to_look(host: Host) -> None:
    (host.folder / "broken").write_text("start\n")
    result = host.run()
    assert result["failed"] is True
    assert "Job failed" in result["msg"]
    assert f"journalctl --unit {NAME}.service" in result["msg"]


def test_a_variable_without_a_name_is_refused_before_anything_is_written(host: Host) -> None:
    result = host.run(environment={"A B": "x"})
    assert "no name of an environment variable" in result["msg"]
    assert list(host.units.iterdir()) == []


def test_units_are_listed_by_cluster(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_unit.units, "__defaults__", (str(host.units), _unit.run_cli))
    (host.units / f"{NAME}.service").write_text("[X-llmserve]\nCluster=a\nComponent=vllm\n")
    host.shows("loaded", "active", "enabled")
    found = run_module("serving_units_info", host.capsys, cluster="a")
    assert [(item["name"], item["status"]) for item in found["units"]] == [(NAME, "running")]
    assert run_module("serving_units_info", host.capsys, cluster="b")["units"] == []
