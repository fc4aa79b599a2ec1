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
    safetensors,
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


# --- weights, directories and hosts without a cache -----------------------------------------------------------------

SHARD = safetensors({"model.layers.0.w": ("BF16", [500], 1000)})
REAL = {
    "config.json": json.dumps(CONFIG).encode(),
    "model.safetensors": SHARD,
    "tokenizer.json": b"{}",
    "original/consolidated.00.pth": bytes(9000),
}
INDEX = "model.safetensors.index.json"


def test_the_weights_are_not_the_repository(hub: Hub, capsys: pytest.CaptureFixture[str]) -> None:
    hub.models["acme/real"] = REAL
    result = run_module("hub_model_info", capsys, repo_id="acme/real", endpoint=hub.url)
    assert result["weights"] == {
        "bytes": 1000,
        "source": "headers",
        "tensors_by_dtype": {"BF16": 1000},
        "mtp_bytes": 0,
        "ignored": {"left_out": 9000, "not_loaded": 0},
    }
    assert result["weights_bytes"] == 1000
    assert result["bytes_total"] == sum(len(REAL[item["path"]]) for item in result["files"])
    assert result["config"] == CONFIG
    assert not result["warned"]


def test_without_a_cache_nothing_is_present(hub: Hub, capsys: pytest.CaptureFixture[str]) -> None:
    result = run_module("hub_model_info", capsys, repo_id="acme/tiny", endpoint=hub.url)
    assert (result["bytes_present"], result["bytes_missing"]) == (0, result["bytes_total"])
    assert (result["free_bytes"], result["free_where"], result["offline"]) == (None, None, False)
    with running_hub() as gone:
        endpoint = gone.url
    result = run_module("hub_model_info", capsys, repo_id="acme/tiny", endpoint=endpoint, timeout=2)
    assert result["reason_kind"] == "hub_unreachable"


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("config.json", b"[]", "config.json of acme/real at cccc"),
        ("config.json", b'{"num_hidden_layers": NaN}', "gives num_hidden_layers the value NaN"),
        ("config.json", b'{"a": 1, "a": 2}', "names a twice"),
        ("config.json", b'{"a": "' + b"x" * 10_000_000 + b'"}', "is larger than 10 MB"),
        (INDEX, b"<html>log in</html>", f"{INDEX} of acme/real"),
        (INDEX, b"{}", "has no weight_map"),
    ],
)
def test_files_that_cannot_be_used(
    hub: Hub, capsys: pytest.CaptureFixture[str], name: str, content: bytes, words: str
) -> None:
    hub.models["acme/real"] = {**REAL, name: content}
    result = run_module("hub_model_info", capsys, repo_id="acme/real", endpoint=hub.url)
    assert result["reason_kind"] == "bad_file"
    assert words in result["msg"]
    assert "\n" not in result["msg"]


def directory(path: Path, **changes: bytes | None) -> str:
    path.mkdir()
    for name, data in {**REAL, **changes}.items():
        if data is not None:
            (path / name).parent.mkdir(exist_ok=True)
            (path / name).write_bytes(data)
    return str(path)


def test_a_directory_without_weights_can_be_planned_with(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bare = tmp_path / "bare"
    bare.mkdir()
    (bare / "config.json").write_text(json.dumps(CONFIG))
    result = run_module("hub_model_info", capsys, path=str(bare))
    assert (result["config"], result["weights"]["bytes"], result["weights"]["source"]) == (CONFIG, None, "config")
    assert "holds no weights" in result["warned"]
    (bare / INDEX).write_text('{"metadata": {"total_size": 1000}, "weight_map": {}}')
    assert run_module("hub_model_info", capsys, path=str(bare))["weights_bytes"] == 1000


def test_a_directory(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = run_module("hub_model_info", capsys, path=directory(tmp_path / "model"))
    assert (result["weights_bytes"], result["weights"]["source"]) == (1000, "headers")
    assert result["weights"]["ignored"] == {"left_out": 9000, "not_loaded": 0}
    assert result["config"] == CONFIG
    assert [item["path"] for item in result["files"]] == [name for name in sorted(REAL) if "original" not in name]
    assert result["bytes_present"] == result["bytes_total"] == sum(item["size"] for item in result["files"])
    assert (result["bytes_missing"], result["offline"], result["changed"]) == (0, True, False)
    assert [result[key] for key in ("commit", "gated", "free_bytes", "free_where")] == [None] * 4


def test_a_directory_with_an_index(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    index = {"metadata": {"total_size": 1000}, "weight_map": {"model.layers.0.w": "model.safetensors"}}
    path = directory(tmp_path / "model", **{INDEX: json.dumps(index).encode()})
    assert run_module("hub_model_info", capsys, path=path)["weights"]["source"] == "index"
    index["weight_map"] = {"model.layers.0.w": "gone.safetensors"}
    path = directory(tmp_path / "other", **{INDEX: json.dumps(index).encode()})
    result = run_module("hub_model_info", capsys, path=path)
    assert result["reason_kind"] == "weights_incomplete"
    assert f"{INDEX} of {path} names gone.safetensors" in result["msg"]


@pytest.mark.parametrize(
    ("changes", "kind", "words"),
    [
        ({"model.safetensors": SHARD[:-1]}, "weights_damaged", "/model.safetensors is "),
        ({"model.safetensors": b"version https://git-lfs"}, "weights_damaged", "Git LFS pointer"),
        ({"model.safetensors": None}, "no_weights", "only .pth"),
        ({"config.json": None}, "bad_path", "holds no config.json"),
        ({"config.json": b"{"}, "bad_file", "/config.json is not valid JSON"),
    ],
)
def test_a_directory_that_cannot_be_used(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], changes: dict[str, bytes | None], kind: str, words: str
) -> None:
    result = run_module("hub_model_info", capsys, path=directory(tmp_path / "model", **changes))
    assert result["reason_kind"] == kind
    assert words in result["msg"]


def test_no_directory(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = run_module("hub_model_info", capsys, path=str(tmp_path / "nowhere"))
    assert result["reason_kind"] == "bad_path"
    assert "is no directory on this host" in result["msg"]


def test_a_directory_or_a_repository(capsys: pytest.CaptureFixture[str]) -> None:
    assert "one of the following is required: repo_id, path" in run_module("hub_model_info", capsys)["msg"]
    both = run_module("hub_model_info", capsys, repo_id="acme/tiny", path="/srv")
    assert "mutually exclusive: repo_id|path" in both["msg"]


def test_a_cache_without_the_hub_tells_the_weights(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with running_hub() as gone:
        endpoint = gone.url
    args = {"repo_id": "acme/tiny", "endpoint": endpoint, "cache_dir": str(tmp_path), "timeout": 2}
    path = snapshot(tmp_path)
    for name, data in REAL.items():
        (path / name).parent.mkdir(exist_ok=True)
        (path / name).write_bytes(data)
    result = run_module("hub_model_info", capsys, **args)
    assert (result["weights_bytes"], result["weights"]["source"], result["offline"]) == (1000, "headers", True)
    assert result["free_where"] == str(tmp_path)
    (path / "model.safetensors").write_bytes(SHARD[:-1])
    result = run_module("hub_model_info", capsys, **args)
    assert (result["weights_bytes"], result["weights"]["source"]) == (len(SHARD) - 1, "files")
    assert "bytes long, but its header describes" in result["warned"]
