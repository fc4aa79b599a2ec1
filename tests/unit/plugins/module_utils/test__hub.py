# SPDX-License-Identifier: GPL-3.0-or-later
"""Patterns, the cache on disk and the room for a download."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.llmserve.vllm.plugins.module_utils import _hub
from ansible_collections.llmserve.vllm.plugins.module_utils._hub import RepoFile

COMMIT = "a" * 40
FILES = [
    ".gitattributes",
    "README.md",
    "config.json",
    "chat_template.jinja",
    "model-00001-of-00002.safetensors",
    "model.safetensors.index.json",
    "original/consolidated.00.pth",
    "original/params.json",
    "consolidated.safetensors",
    "pytorch_model.bin",
    "tokenizer.json",
    "tokenizer.model",
    "merges.txt",
    "model-Q4.gguf",
]


def cached(root: Path, files: dict[str, Any], ref: str = "main", commit: str = COMMIT) -> Path:
    repo = Path(_hub.cache_repo_dir(str(root), "acme/tiny"))
    snapshot = repo / "snapshots" / commit
    snapshot.mkdir(parents=True, exist_ok=True)
    (repo / "refs").mkdir(exist_ok=True)
    (repo / "refs" / ref).write_text(commit)
    for name, content in files.items():
        text = content if isinstance(content, str) else json.dumps(content)
        (snapshot / name).write_text(text)
    return snapshot


def test_default_patterns_choose_what_vllm_reads() -> None:
    chosen = _hub.wanted_files(FILES, _hub.DEFAULT_ALLOW_PATTERNS, _hub.DEFAULT_IGNORE_PATTERNS)
    assert chosen == [
        "config.json",
        "chat_template.jinja",
        "model-00001-of-00002.safetensors",
        "model.safetensors.index.json",
        "tokenizer.json",
        "tokenizer.model",
        "merges.txt",
    ]


def test_patterns_mean_what_huggingface_hub_means() -> None:
    assert _hub.wanted_files(FILES) == FILES
    assert _hub.wanted_files(FILES, allow=[]) == []
    assert _hub.wanted_files(FILES, allow=["original/"]) == ["original/consolidated.00.pth", "original/params.json"]
    assert _hub.wanted_files(["a/b/c.json", "C.JSON"], allow=["*.json"]) == ["a/b/c.json"]
    assert "original/params.json" not in _hub.wanted_files(FILES, ignore=["original/*"])


@pytest.mark.parametrize(
    ("repo_id", "valid"),
    [("meta-llama/Llama-3.1-405B", True), ("gpt2", True), ("a/b/c", False), ("/models/x", False), ("../x", False)],
)
def test_repository_ids(repo_id: str, valid: bool) -> None:
    assert _hub.is_repo_id(repo_id) is valid


def test_cache_directories() -> None:
    assert _hub.cache_repo_dir("/hf/hub", "acme/tiny") == "/hf/hub/models--acme--tiny"
    assert _hub.snapshot_dir("/hf/hub", "acme/tiny", COMMIT) == f"/hf/hub/models--acme--tiny/snapshots/{COMMIT}"


def test_presence_counts_complete_files_only(tmp_path: Path) -> None:
    (tmp_path / "whole").write_bytes(b"12345")
    (tmp_path / "short").write_bytes(b"123")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    blob = tmp_path / "blob"
    blob.write_bytes(b"1234567")
    (tmp_path / "linked").symlink_to(blob)
    names = [("whole", 5), ("short", 5), ("dangling", 5), ("linked", 7), ("absent", 1)]
    found = _hub.presence(str(tmp_path), [RepoFile(*name) for name in names])
    assert (found.bytes_total, found.bytes_present, found.bytes_missing) == (23, 12, 11)
    assert [item.path for item in found.missing] == ["short", "dangling", "absent"]


def test_free_space_of_a_directory_that_does_not_exist_yet(tmp_path: Path) -> None:
    where, free = _hub.free_bytes(str(tmp_path / "not" / "yet"))
    assert where == str(tmp_path)
    assert free > 0


def test_disk_problem() -> None:
    assert _hub.disk_problem(1000, 1020, "/data", 2) is None
    assert _hub.disk_problem(0, 0, "/data", 2) is None
    assert _hub.disk_problem(812 * 10**9, 500 * 10**9, "/data", 2) == (
        "The download needs 828 GB (812 GB to fetch and a margin of 2 %), but the filesystem of /data has only 500 GB "
        "free. Free at least 328 GB there, or set llmserve_hf_home to a directory on a larger filesystem."
    )


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (2_340_000_000_000, "2.3 TB"), (812 * 10**9, "812 GB")],
)
def test_human_bytes(count: int, text: str) -> None:
    assert _hub.human_bytes(count) == text


def test_a_complete_snapshot_is_found_by_branch_and_commit(tmp_path: Path) -> None:
    index = {"weight_map": {"a": "m1.safetensors", "b": "m2.safetensors"}}
    cached(
        tmp_path,
        {
            "config.json": {"num_hidden_layers": 2},
            "model.safetensors.index.json": index,
            "m1.safetensors": "x",
            "m2.safetensors": "yy",
        },
    )
    for revision in ("main", COMMIT):
        found = _hub.find_cached(str(tmp_path), "acme/tiny", revision)
        assert found is not None
        assert found.commit == COMMIT
        assert found.config == {"num_hidden_layers": 2}
        assert RepoFile("m2.safetensors", 2) in found.files
    assert _hub.find_cached(str(tmp_path), "acme/tiny", "v2") is None
    assert _hub.find_cached(str(tmp_path), "acme/tiny", "b" * 40) is None
    assert _hub.find_cached(str(tmp_path), "acme/other", "main") is None


@pytest.mark.parametrize(
    "files",
    [
        {"m.safetensors": "x"},
        {"config.json": {}, "m.safetensors": ""},
        {"config.json": {}},
        {"config.json": "{", "m.safetensors": "x"},
        {"config.json": {}, "m.safetensors": "x", "model.safetensors.index.json": "broken"},
        {
            "config.json": {},
            "m.safetensors": "x",
            "model.safetensors.index.json": {"weight_map": {"a": "m.safetensors", "b": "n.safetensors"}},
        },
    ],
    ids=["no config", "empty shard", "no weights", "broken config", "broken index", "missing shard"],
)
def test_an_incomplete_snapshot_is_not_used(tmp_path: Path, files: dict[str, Any]) -> None:
    cached(tmp_path, files)
    assert _hub.find_cached(str(tmp_path), "acme/tiny", "main") is None


def test_a_single_file_model_needs_no_index(tmp_path: Path) -> None:
    cached(tmp_path, {"config.json": {}, "model.safetensors": "x"})
    assert _hub.find_cached(str(tmp_path), "acme/tiny", "main") is not None


def test_a_repository_in_another_format() -> None:
    assert "only .bin, .gguf" in _hub.no_weights_message("a/b", ["x.gguf", "y.bin", "config.json"])
    assert "none at all" in _hub.no_weights_message("a/b", ["README.md"])
