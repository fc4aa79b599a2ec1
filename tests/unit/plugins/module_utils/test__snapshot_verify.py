# SPDX-License-Identifier: GPL-3.0-or-later
"""Damage found without digests and with them, and verified files remembered."""

from __future__ import annotations

import hashlib
import json
import os
import struct
from pathlib import Path

import pytest
from ansible_collections.llmserve.vllm.plugins.module_utils._snapshot_store import ListedFile, open_store
from ansible_collections.llmserve.vllm.plugins.module_utils._snapshot_verify import (
    INDEX,
    Verified,
    damage,
    digest_of,
    hash_all,
    hash_file,
    safetensors_problem,
    unverified,
)
from ansible_collections.llmserve.vllm.tests.unit.plugins.local_hub import make_model, safetensors
from ansible_collections.llmserve.vllm.tests.unit.plugins.module_utils.test__snapshot_errors import request

NEW_TYPE = json.dumps({"x": {"dtype": "F3", "shape": [1], "data_offsets": [0, 1]}}).encode()


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (safetensors(10), None),
        (b"", "is empty"),
        (b"abc", "is cut off"),
        (safetensors(10)[:-3], "its header describes"),
        (safetensors(10) + b"x", "its header describes"),
        (safetensors(10)[:20], "cut off in its header"),
        (b"<!DOCTYPE html><html>Sign in</html>", "web page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer"),
        (struct.pack("<Q", 2) + b"{}", None),
        (struct.pack("<Q", len(NEW_TYPE)) + NEW_TYPE + b"x", None),
    ],
)
def test_safetensors_problem(tmp_path: Path, content: bytes, problem: str | None) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    found = safetensors_problem(str(path))
    assert (found is None) if problem is None else (found is not None and problem in found)


def test_damage_of_a_model_directory(tmp_path: Path) -> None:
    make_model(tmp_path / "m")
    assert damage(str(tmp_path / "m")) == []
    (tmp_path / "m" / "model-00001-of-00002.safetensors").unlink()
    (tmp_path / "m" / "model-00002-of-00002.safetensors").write_bytes(b"")
    assert damage(str(tmp_path / "m")) == [
        "model-00001-of-00002.safetensors is missing",
        "model-00002-of-00002.safetensors is empty",
    ]
    (tmp_path / "m" / INDEX).write_text(json.dumps({"weight_map": []}))
    assert damage(str(tmp_path / "m")) == [INDEX + " is unreadable"]


def test_digests_are_the_hubs() -> None:
    content = b"hello\n"
    git = ListedFile("a", 6, "ce013625030ba8dba906f756967f9e9ca394464a")
    lfs = ListedFile("b", 6, hashlib.sha256(content).hexdigest())
    for item in (git, lfs):
        digest = digest_of(item)
        digest.update(content)
        assert digest.hexdigest() == item.etag
    assert digest_of(ListedFile("c", 6, "a-mirror-s-own")) is None


def test_only_what_has_changed_is_hashed_again(tmp_path: Path) -> None:
    store = open_store(request(cache_dir="", local_dir=str(tmp_path)))
    files = []
    for name in ("a", "b"):
        (tmp_path / name).write_text(name * 10)
        files.append(ListedFile(name, 10, hashlib.sha256(name.encode() * 10).hexdigest()))
    read: list[int] = []
    done: list[ListedFile] = []
    assert hash_all(store, "c", unverified(store, "c", files), read.append, done.append) == []
    assert (sum(read), sorted(done)) == (20, files)
    assert unverified(store, "c", files) == []
    # the same content, written anew
    (tmp_path / "a").write_text("a" * 10)
    os.utime(tmp_path / "a", ns=(1, 1))
    assert unverified(store, "c", files) == [files[0]]
    (tmp_path / "b").write_text("x" * 10)
    assert hash_all(store, "c", files, read.append, done.append) == [files[1]]
    assert not hash_file(str(tmp_path / "b"), files[1], read.append)


def test_a_spoilt_memory_is_an_empty_one(tmp_path: Path) -> None:
    store = open_store(request(cache_dir="", local_dir=str(tmp_path)))
    path = Path(store.state, "verified.json")
    path.parent.mkdir(parents=True)
    path.write_text("[1")
    assert not Verified(store).holds(str(tmp_path / "nothing"), ListedFile("nothing", 1, "e" * 64))
