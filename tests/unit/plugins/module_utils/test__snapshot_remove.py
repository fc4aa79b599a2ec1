# SPDX-License-Identifier: GPL-3.0-or-later
"""Removing one revision, with the real huggingface_hub."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.llmserve.vllm.plugins.module_utils._snapshot_errors import Request, SnapshotError
from ansible_collections.llmserve.vllm.plugins.module_utils._snapshot_listing import announce
from ansible_collections.llmserve.vllm.plugins.module_utils._snapshot_remove import absent
from ansible_collections.llmserve.vllm.plugins.module_utils._snapshot_store import ListedFile, Listing

hub = pytest.importorskip("huggingface_hub")
A, B = "a" * 40, "b" * 40


def request(cache: Path, repo_id: str = "acme/old", revision: str = A) -> Request:
    return Request(repo_id, revision, str(cache), "", "", None, (), 1, "")


def make(cache: Path, name: str, commit: str = A) -> Path:
    repo = cache / f"models--acme--{name}"
    snapshot = repo / "snapshots" / commit
    snapshot.mkdir(parents=True)
    (repo / "blobs").mkdir(exist_ok=True)
    (repo / "blobs" / commit[:8]).write_text(name)
    (snapshot / "config.json").symlink_to(f"../../blobs/{commit[:8]}")
    return repo


@pytest.mark.parametrize("others", [1, 9])
def test_a_model_of_another_name_with_the_same_commit_stays(tmp_path: Path, others: int) -> None:
    old, kept = make(tmp_path, "old"), [make(tmp_path, f"new{number}") for number in range(others)]
    assert absent(request(tmp_path), hub, False)["changed"]
    assert not old.exists()
    assert all((repo / "snapshots" / A / "config.json").is_file() for repo in kept)


def test_a_damaged_model_is_refused_and_not_called_removed(tmp_path: Path) -> None:
    repo = make(tmp_path, "old")
    (repo / "blobs" / A[:8]).unlink()
    with pytest.raises(SnapshotError, match="nothing of it was removed") as caught:
        absent(request(tmp_path), hub, False)
    assert caught.value.kind == "damaged"
    assert repo.exists()


def test_partial_files_of_a_download_that_never_ended_go_too(tmp_path: Path) -> None:
    repo = make(tmp_path, "old")
    blobs = repo / "blobs"
    mine, shared, theirs = ("c" * 64, "d" * 64, "e" * 64)
    for etag in (mine, shared, theirs):
        (blobs / f"{etag}.incomplete").write_bytes(bytes(9))
    state = str(repo / ".llmserve")
    announce(state, B, Listing(B, [ListedFile("x.safetensors", 99, mine), ListedFile("y.safetensors", 99, shared)]))
    announce(state, A, Listing(A, [ListedFile("y.safetensors", 99, shared), ListedFile("z", 99, theirs)]))
    checked = absent(request(tmp_path, revision=B), hub, True)
    assert [Path(item["path"]).name for item in checked["removed"]] == [f"{mine}.incomplete"]
    assert (blobs / f"{mine}.incomplete").exists()
    assert absent(request(tmp_path, revision=B), hub, False)["bytes_freed"] == 9
    assert sorted(path.name for path in blobs.glob("*.incomplete")) == [f"{shared}.incomplete", f"{theirs}.incomplete"]
    assert not absent(request(tmp_path, revision=B), hub, False)["changed"]
