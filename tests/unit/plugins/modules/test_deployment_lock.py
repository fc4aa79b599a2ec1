# SPDX-License-Identifier: GPL-3.0-or-later
"""The shell of llmserve.vllm.deployment_lock."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.llmserve.vllm.tests.unit.plugins.modules.module_runner import run_module

DEPLOYMENT = {
    "image": {"name": "x:1"},
    "model": {"path": "/m"},
    "engine_args": {"max_model_len": "1024"},
    "versions": {"vllm": "0.33.0"},
}


def lock(capsys: pytest.CaptureFixture[str], path: Path, **args: Any) -> dict[str, Any]:
    return run_module("deployment_lock", capsys, path=str(path), **args)


def write(capsys: pytest.CaptureFixture[str], path: Path, version: str = "0.33.0", **args: Any) -> dict[str, Any]:
    deployment = {**DEPLOYMENT, "versions": {"vllm": version}}
    return lock(capsys, path, state="written", deployment=deployment, **args)


def test_the_first_one_is_written_and_the_same_one_is_no_change(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = write(capsys, tmp_path, measured={"tokens_per_second": 30})
    assert (first["changed"], first["previous"]) == (True, None)
    file = tmp_path / "lock.json"
    assert file.stat().st_mode & 0o777 == 0o644
    before = file.read_text()
    assert json.loads(before)["measured"] == {"tokens_per_second": 30}
    again = write(capsys, tmp_path, measured={"tokens_per_second": 40})
    assert (again["changed"], again["lock"]) == (False, first["lock"])
    assert file.read_text() == before


def test_another_one_keeps_the_one_before(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = write(capsys, tmp_path)
    second = write(capsys, tmp_path, "0.34.0")
    assert second["changed"]
    assert second["differences"] == ["vLLM: 0.34.0, was 0.33.0"]
    assert '"0.34.0"' in second["diff"]["after"]
    read = lock(capsys, tmp_path)
    assert (read["changed"], read["lock"], read["previous"]) == (False, second["lock"], first["lock"])


def test_check_mode_says_the_same_and_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    checked = write(capsys, tmp_path, _ansible_check_mode=True, _ansible_diff=True)
    assert (checked["changed"], checked["diff"]["before"]) == (True, "")
    assert list(tmp_path.iterdir()) == []


def test_what_nobody_could_go_back_to_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    refused = lock(capsys, tmp_path, state="written", deployment={"image": {"name": "x"}})
    assert refused["rc"] == 1
    assert "no model.path" in refused["msg"]


def test_a_file_of_nonsense_is_a_warning_and_does_not_take_the_good_one_s_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(capsys, tmp_path)
    good = write(capsys, tmp_path, "0.34.0")["previous"]
    (tmp_path / "lock.json").write_text("{")
    after = write(capsys, tmp_path, "0.35.0")
    assert "is no lock file: it is not JSON" in after["warned"]
    assert lock(capsys, tmp_path)["previous"] == good
