# SPDX-License-Identifier: GPL-3.0-or-later
"""The accuracy benchmark counts as it says, and names lines that it cannot read."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]
EXAMPLES = ROOT / "benchmarks" / "examples"
MODELS = EXAMPLES / "models"

accuracy = importlib.import_module("ansible_collections.llmserve.vllm.benchmarks.planner_accuracy")

Run = Callable[..., int]


@pytest.fixture
def record() -> dict[str, Any]:
    lines = (EXAMPLES / "records.jsonl").read_text().splitlines()
    found: dict[str, Any] = next(item for item in map(json.loads, lines) if item["id"] == "made-up-8b-h100")
    return found


def write(path: Path, *records: Any) -> Path:
    path.write_text("".join((item if isinstance(item, str) else json.dumps(item)) + "\n" for item in records))
    return path


def test_the_examples_are_scored(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out.json"
    assert accuracy.main([str(EXAMPLES / "records.jsonl"), str(MODELS), "--json", str(out), "-v"]) == 0
    printed = capsys.readouterr().out
    assert "4 records scored" in printed
    assert "88 of 91" in printed
    assert "not measured in this run" in printed
    assert max(len(line) for line in printed.splitlines()) <= 100
    result = json.loads(out.read_text())
    assert result["summary"]["all"]["fits"] == {"right": 2, "known": 2}
    measured = [item for item in result["records"] if item["id"].startswith("tiny")]
    # plans are rounded to four digits of a GiB, and these models have a few MB
    assert all(abs(item["weights_error"]) < 0.01 for item in measured)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"tp": 0}, "tp must be a whole number of at least 1, not 0"),
        ({"n_nodes": "2"}, "n_nodes must be a whole number"),
        ({"observed": None}, "observed must be an object"),
        ({"observed": {"kv_tokens": "many"}}, "observed.kv_tokens must be a number or null"),
        ({"fits": "yes"}, "fits must be true, false or null"),
        ({"vllm_version": None}, "vllm_version must be a string"),
        ({"config": "nobody"}, "nobody.json"),
    ],
)
def test_a_bad_line_is_named_and_the_others_count(
    record: dict[str, Any],
    change: dict[str, Any],
    words: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = write(tmp_path / "records.jsonl", record, dict(record, **change))
    assert accuracy.main([str(path), str(MODELS)]) == 2
    printed = capsys.readouterr()
    assert f"{path}, line 2: " in printed.err
    assert words in printed.err
    assert "1 records scored, 0 left out (no config), 1 not readable" in printed.out


def test_text_that_is_no_json_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "records.jsonl", "", "{never", "[]")
    assert accuracy.main([str(path), str(MODELS)]) == 2
    printed = capsys.readouterr().err
    assert "line 2: Expecting property name" in printed
    assert "line 3: must be a JSON object" in printed


def test_no_such_file_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        accuracy.main(["nowhere.jsonl", str(MODELS)])
    assert "cannot read nowhere.jsonl: No such file" in capsys.readouterr().err


def test_the_outcome_is_not_told_to_the_planner(record: dict[str, Any]) -> None:
    call = accuracy.call_of(record, {"vision_config": {}, "hidden_size": 8})
    assert "400000" not in json.dumps(call)
    assert call["model"]["config"] == {"vision_config": {}, "hidden_size": 8}
    assert accuracy.call_of(dict(record, text_only=True), {"vision_config": {}})["model"]["config"] == {}


def test_errors_that_do_not_count(record: dict[str, Any]) -> None:
    def plan(_call: dict[str, Any]) -> dict[str, Any]:
        return {"fits": True, "weights_gib_per_gpu": 16.5, "kv_cache_tokens": 300000, "reasons": []}

    full = accuracy.score(record, {}, plan)
    assert full.weights_error == pytest.approx(0.1)
    assert full.tokens_error == pytest.approx(-0.25)
    assert accuracy.score(dict(record, stage=0), {}, plan).weights_error is None
    assert accuracy.score(dict(record, score_exclude=["kv_tokens"]), {}, plan).tokens_error is None
    refused = accuracy.score(record, {}, lambda _call: {"fits": False, "kv_cache_tokens": 5, "reasons": ["no"]})
    assert (refused.tokens_error, refused.message) == (None, "no")


def test_a_crash_is_a_missing_answer(record: dict[str, Any]) -> None:
    def plan(_call: dict[str, Any]) -> dict[str, Any]:
        raise ZeroDivisionError("by zero")

    found = accuracy.score(record, {}, plan)
    assert found.says_fits is None
    assert found.message == "the planner crashed: ZeroDivisionError: by zero"


@pytest.mark.parametrize(
    ("text", "release", "band"),
    [
        ("0.7.3 (2025-03-15)", "0.7.3", "vLLM < 0.8"),
        ("0.8.5.dev22", "0.8.5.22", "0.8 to 0.19"),
        ("0.11.x-0.13 (image)", "0.11", "0.8 to 0.19"),
        ("~0.22 (2026-06)", "0.22", ">= 0.20"),
        ("nightly", "0.33.0", ">= 0.20"),
        ("1", "1", ">= 0.20"),
    ],
)
def test_release_and_band(text: str, release: str, band: str, record: dict[str, Any]) -> None:
    found = accuracy.score(dict(record, vllm_version=text), {}, lambda _call: {"reasons": []})
    assert (found.version, found.band) == (release, band)


def test_quantiles_lie_between_neighbours() -> None:
    assert accuracy.quantile([], 0.5) is None
    assert accuracy.quantile([3.0, 1.0], 0.5) == 2.0
    assert accuracy.quantile([0.0, 1.0, 2.0, 3.0, 4.0], 0.9) == pytest.approx(3.6)
