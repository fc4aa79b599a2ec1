# SPDX-License-Identifier: GPL-3.0-or-later
"""The shell of llmserve.vllm.hub_model_info, against a real HTTP server."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from ansible_collections.llmserve.vllm.plugins.module_utils import _hub
from ansible_collections.llmserve.vllm.plugins.modules import hub_model_info
from ansible_collections.llmserve.vllm.tests.unit.plugins.hub_server import (
    COMMIT,
    CONFIG,
    FILES,
    NO_LICENCE_TOKEN,
    Hub,
    running_hub,
)
from ansible_collections.llmserve.vllm.tests.unit.plugins.modules.module_runner import run_module

WANTED = FILES["config.json"] + 1000 + 50


@pytest.fixture
def hub() -> Iterator[Hub]:
    with running_hub() as server:
        yield server


def snapshot(cache: Path, repo_id: str = "acme/tiny") -> Path:
    path = Path(_hub.snapshot_dir(str(cache), repo_id, COMMIT))
    path.mkdir(parents=True)
    refs = path.parents[1] / "refs"
    refs.mkdir()
    (refs / "main").write_text(COMMIT)
    return path


def test_a_model_that_is_not_there_yet(hub: Hub, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cache = str(tmp_path / "hf" / "hub")
    result = run_module("hub_model_info", capsys, repo_id="acme/tiny", endpoint=hub.url, cache_dir=cache)
    assert result["commit"] == COMMIT
    assert result["config"] == CONFIG
    assert [item["path"] for item in result["files"]] == [
        "config.json",
        "model-00001-of-00001.safetensors",
        "tokenizer.json",
    ]
    assert (result["bytes_total"], result["bytes_present"], result["bytes_missing"]) == (WANTED, 0, WANTED)
    assert result["weights_bytes"] == 1000
    assert result["free_where"] == str(tmp_path)
    assert (result["gated"], result["offline"], result["changed"]) == (False, False, False)
    assert not Path(cache).exists()


def test_what_is_in_the_cache_counts(hub: Hub, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (snapshot(tmp_path) / "model-00001-of-00001.safetensors").write_bytes(b"x" * 1000)
    result = run_module("hub_model_info", capsys, repo_id="acme/tiny", endpoint=hub.url, cache_dir=str(tmp_path))
    assert (result["bytes_present"], result["bytes_missing"]) == (1000, WANTED - 1000)


def test_a_small_disk(
    hub: Hub, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_hub, "free_bytes", lambda _path: ("/data", WANTED))
    args = {"repo_id": "acme/tiny", "endpoint": hub.url, "cache_dir": str(tmp_path)}
    result = run_module("hub_model_info", capsys, **args)
    assert result["reason_kind"] == "not_enough_disk"
    assert "the filesystem of /data has only" in result["msg"]
    assert run_module("hub_model_info", capsys, **args, disk_margin_percent=0)["rc"] == 0


def test_a_refusal_does_not_show_the_token(hub: Hub, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = run_module(
        "hub_model_info",
        capsys,
        repo_id="acme/gated",
        endpoint=hub.url,
        cache_dir=str(tmp_path),
        token=NO_LICENCE_TOKEN,
    )
    assert result["reason_kind"] == "licence_not_accepted"
    assert NO_LICENCE_TOKEN not in json.dumps(result)


def test_a_model_in_another_format(hub: Hub, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    args = {"repo_id": "acme/gguf", "endpoint": hub.url, "cache_dir": str(tmp_path)}
    result = run_module("hub_model_info", capsys, **args)
    assert result["reason_kind"] == "no_weights"
    assert "it has only .gguf" in result["msg"]
    result = run_module("hub_model_info", capsys, **args, allow_patterns=["*.gguf"], ignore_patterns=[])
    assert result["bytes_total"] == 7


def test_a_renamed_model_is_warned_about(hub: Hub, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = run_module("hub_model_info", capsys, repo_id="acme/old", endpoint=hub.url, cache_dir=str(tmp_path))
    assert "acme/old is called acme/tiny now" in result["warned"]


def test_a_complete_cache_replaces_the_hub(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with running_hub() as gone:
        endpoint = gone.url
    args = {"repo_id": "acme/tiny", "endpoint": endpoint, "cache_dir": str(tmp_path), "timeout": 2}
    path = snapshot(tmp_path)
    (path / "config.json").write_text(json.dumps(CONFIG))
    assert run_module("hub_model_info", capsys, **args)["reason_kind"] == "hub_unreachable"
    (path / "model.safetensors").write_bytes(b"x")
    result = run_module("hub_model_info", capsys, **args)
    assert (result["offline"], result["config"], result["commit"]) == (True, CONFIG, COMMIT)
    assert (result["bytes_missing"], result["gated"]) == (0, None)
    assert "The cache holds the complete model" in result["warned"]


def test_the_documented_patterns_are_the_real_ones() -> None:
    options = yaml.safe_load(hub_model_info.DOCUMENTATION)["options"]
    assert options["allow_patterns"]["default"] == list(_hub.DEFAULT_ALLOW_PATTERNS)
    assert options["ignore_patterns"]["default"] == list(_hub.DEFAULT_IGNORE_PATTERNS)
    assert "huggingface_hub" not in inspect.getsource(hub_model_info)
