# SPDX-License-Identifier: GPL-3.0-or-later
"""What is announced of a revision before it is there."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from ansible_collections.llmserve.vllm.plugins.module_utils._snapshot_listing import (
    announce,
    announced,
    forget,
    known_commits,
)
from ansible_collections.llmserve.vllm.plugins.module_utils._snapshot_store import ListedFile, Listing

A, B = "a" * 40, "b" * 40


def listing(commit: str) -> Listing:
    return Listing(commit, [ListedFile("config.json", 3, "c" * 40), ListedFile("x/model.safetensors", 9, "d" * 64)])


def huggingface_hub_notes(repo: Path, commit: str) -> None:
    """As huggingface_hub 2.4 writes them."""
    (repo / "trees").mkdir(exist_ok=True)
    files = {
        "config.json": {"size": 3, "blob_id": "c" * 40},
        "x/model.safetensors": {"size": 130, "blob_id": "e" * 40, "lfs_size": 9, "lfs_sha256": "d" * 64},
    }
    (repo / "trees" / f"{commit}.json").write_text(json.dumps({"files": files}))
    (repo / "refs").mkdir(exist_ok=True)
    (repo / "refs" / "main").write_text(commit)


@pytest.fixture
def state(tmp_path: Path) -> str:
    return str(tmp_path / ".llmserve")


@pytest.mark.parametrize("revision", [A, "main", "refs/pr/3"])
def test_what_is_announced_is_known_by_revision_and_by_commit(state: str, revision: str) -> None:
    announce(state, revision, listing(A))
    assert announced(state, revision) == announced(state, A) == listing(A)
    assert announced(state, "other") is None


def test_a_later_announcement_moves_the_branch(state: str) -> None:
    announce(state, "main", listing(A))
    announce(state, "main", listing(B))
    assert announced(state, "main") == listing(B)
    assert announced(state, A) == listing(A)


def test_what_huggingface_hub_has_noted_counts_too(state: str, tmp_path: Path) -> None:
    huggingface_hub_notes(tmp_path, B)
    assert announced(state, "main") == listing(B)


def test_of_two_refs_the_newer_one_holds(state: str, tmp_path: Path) -> None:
    announce(state, "main", listing(A))
    huggingface_hub_notes(tmp_path, B)
    ours = next((tmp_path / ".llmserve" / "listings" / "refs").iterdir())
    os.utime(ours, (1, 1))
    assert announced(state, "main") == listing(B)
    os.utime(tmp_path / "refs" / "main", (0, 0))
    assert announced(state, "main") == listing(A)


@pytest.mark.parametrize("name", ["../../secret", "a/../../../b", "", "."])
def test_a_request_cannot_name_other_files(state: str, tmp_path: Path, name: str) -> None:
    (tmp_path / "secret.json").write_text(json.dumps({"commit": A, "files": []}))
    announce(state, "main", listing(A))
    assert announced(state, name) is None


def test_a_broken_announcement_is_none(state: str, tmp_path: Path) -> None:
    announce(state, "main", listing(A))
    (tmp_path / ".llmserve" / "listings" / f"{A}.json").write_text('{"commit":')
    assert announced(state, "main") is None


def test_forgetting(state: str, tmp_path: Path) -> None:
    announce(state, "main", listing(A))
    huggingface_hub_notes(tmp_path, B)
    assert known_commits(state) == [A, B]
    forget(state, A)
    forget(state, A)
    assert known_commits(state) == [B]
