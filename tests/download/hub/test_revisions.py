# SPDX-License-Identifier: GPL-3.0-or-later
"""Refs, and lists of files."""

from __future__ import annotations

import hashlib
import json
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from ..conftest import Hub
from .conftest import REFS, REPO, WEIGHTS, file, files, git_id, refs

errors = pytest.importorskip("huggingface_hub.errors")


def test_refs(api: Any) -> None:
    found = api.list_repo_refs(REPO, include_pull_requests=True)
    names = [[item.name for item in kind] for kind in (found.branches, found.tags, found.pull_requests, found.converts)]
    assert names == [["dev", "main"], ["v1"], ["1"], []]
    assert set(refs(api)) == set(REFS.values())
    assert len(set(refs(api).values())) == len(REFS), "each at a commit of its own"
    assert api.list_repo_refs(REPO).pull_requests is None


@pytest.mark.parametrize(
    ("revision", "suffix"),
    [
        (None, ""),
        ("main", ""),
        ("refs/heads/main", ""),
        ("dev", "@refs%2Fheads%2Fdev"),
        ("v1", "@v1"),
        ("refs/tags/v1", "@v1"),
        ("refs/pr/1", "@refs%2Fpr%2F1"),
        ("commit of v1", "@v1"),
    ],
)
def test_every_kind_of_revision(api: Any, hub: Hub, tmp_path: Path, revision: str | None, suffix: str) -> None:
    commit = refs(api)[REFS[suffix]]
    revision = commit if revision == "commit of v1" else revision
    assert api.model_info(REPO, revision=revision).sha == commit
    for path in ("config.json", WEIGHTS):
        found = api.hf_hub_download(REPO, path, revision=revision, cache_dir=tmp_path)
        assert Path(found).read_bytes() == file(hub, path, suffix)
        assert f"/snapshots/{commit}/" in found
    listed = {item.path: item for item in api.list_repo_tree(REPO, revision=revision)}
    assert listed["config.json"].blob_id == git_id(file(hub, "config.json", suffix))
    assert len(api.get_paths_info(REPO, ["config.json"], revision=revision)) == 1


def test_a_ref_with_bare_slashes(api: Any, hub: Hub) -> None:
    """As typed into a browser; the client quotes them."""
    where = f"{hub.address}/{REPO}/resolve/refs/pr/1/config.json"
    with urllib.request.urlopen(where, timeout=10) as answer:
        assert answer.read() == file(hub, "config.json", "@refs%2Fpr%2F1")


def test_a_branch_moves(api: Any, hub: Hub) -> None:
    before = refs(api)
    hub.order("move", {"repo": REPO, "to": "v1"})
    hub.order("move", {"repo": REPO, "ref": "refs/pr/2", "to": before["refs/heads/dev"]})
    hub.order("move", {"repo": REPO, "ref": "v1", "to": None})
    moved = {**before, "refs/heads/main": before["refs/tags/v1"], "refs/pr/2": before["refs/heads/dev"]}
    del moved["refs/tags/v1"]
    assert refs(api) == moved
    assert api.model_info(REPO, revision=before["refs/heads/main"]).sha == before["refs/heads/main"]
    hub.order("restore")
    assert refs(api) == before


def test_the_tree(api: Any, hub: Hub) -> None:
    """In pages of three, of which the client does not know."""
    content = files(hub)
    found = {item.path: item for item in api.list_repo_tree(REPO, recursive=True)}
    assert set(found) == {*content, "original"}
    for path, data in content.items():
        item = found[path]
        assert item.size == len(data)
        if path.endswith((".safetensors", ".pth")):
            assert (item.lfs.sha256, item.lfs.size) == (hashlib.sha256(data).hexdigest(), len(data))
            pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{item.lfs.sha256}\nsize {len(data)}\n"
            assert (item.blob_id, item.lfs.pointer_size) == (git_id(pointer.encode()), len(pointer))
        else:
            assert (item.lfs, item.blob_id) == (None, git_id(data))
    assert {item.path for item in api.list_repo_tree(REPO, "original")} == {
        path for path in content if path.startswith("original/")
    }
    assert hub.stats["requests"] == {"GET": 4}
    with pytest.raises(errors.EntryNotFoundError):
        list(api.list_repo_tree(REPO, "additional_chat_templates"))


def test_the_tree_expanded(api: Any) -> None:
    found = {item.path: item for item in api.list_repo_tree(REPO, expand=True)}
    assert found["config.json"].last_commit.oid == found["original"].last_commit.oid == api.model_info(REPO).sha
    assert found["config.json"].security.safe


def test_paths_info(api: Any, hub: Hub) -> None:
    found = api.get_paths_info(REPO, [WEIGHTS, "original", "nowhere", "added tokens#1.json"])
    assert [item.path for item in found] == [WEIGHTS, "original", "added tokens#1.json"]
    assert found[0].lfs.sha256 == hashlib.sha256(file(hub, WEIGHTS)).hexdigest()
    assert found[1].tree_id
    assert api.get_paths_info(REPO, "config.json", expand=True)[0].last_commit is not None
    where = f"{hub.address}/api/models/{REPO}/paths-info/main"
    asked = urllib.request.Request(where, b'{"paths": ["empty.txt"]}', {"Content-Type": "application/json"})
    with urllib.request.urlopen(asked, timeout=10) as answer:
        assert [item["size"] for item in json.load(answer)] == [0]
    with pytest.raises(errors.RevisionNotFoundError):
        api.get_paths_info(REPO, "config.json", revision="v3")


def test_model_info(api: Any, hub: Hub) -> None:
    info = api.model_info(REPO, files_metadata=True)
    content = files(hub)
    assert {item.rfilename: item.size for item in info.siblings} == {path: len(data) for path, data in content.items()}
    by_name = {item.rfilename: item for item in info.siblings}
    assert by_name[WEIGHTS].lfs.sha256 == hashlib.sha256(content[WEIGHTS]).hexdigest()
    assert by_name["config.json"].blob_id == git_id(content["config.json"])
    assert (info.id, info.gated, info.private) == (REPO, False, False)
    assert all(item.size is None for item in api.model_info(REPO).siblings)
    part = api.model_info(REPO, expand=["sha"])
    assert (part.sha, part.siblings) == (info.sha, None)
