# SPDX-License-Identifier: GPL-3.0-or-later
"""Caches made by hand: what they cost, who leads to them, and what is damaged."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.llmserve.vllm.plugins.module_utils._cache_info import read_cache
from ansible_collections.llmserve.vllm.plugins.module_utils._hub import cache_repo_dir
from ansible_collections.llmserve.vllm.plugins.module_utils._snapshot_job import Jobs, Reporter
from ansible_collections.llmserve.vllm.plugins.module_utils._snapshot_listing import announce
from ansible_collections.llmserve.vllm.plugins.module_utils._snapshot_progress import Meter
from ansible_collections.llmserve.vllm.plugins.module_utils._snapshot_store import ListedFile, Listing

MODEL = "acme/tiny"
OLD, NEW, NEXT = "a" * 40, "b" * 40, "c" * 40
FILES = {
    OLD: {"config.json": b"{}", "model.safetensors": b"old weights"},
    NEW: {"config.json": b"{}", "model.safetensors": b"new weights!"},
}


def etag(content: bytes) -> str:
    return content.hex()


class Cache:
    """A cache in a directory."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def folder(self, repo_id: str = MODEL) -> Path:
        return Path(cache_repo_dir(str(self.root), repo_id))

    @property
    def state(self) -> str:
        return str(self.folder() / ".llmserve")

    def add(self, commit: str, files: Mapping[str, bytes], ref: str = "", repo_id: str = MODEL) -> Path:
        folder = self.folder(repo_id)
        snapshot = folder / "snapshots" / commit
        for name, content in files.items():
            blob = folder / "blobs" / etag(content)
            blob.parent.mkdir(parents=True, exist_ok=True)
            blob.write_bytes(content)
            place = snapshot / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.symlink_to(os.path.relpath(blob, place.parent))
        if ref:
            path = folder / "refs" / ref
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(commit)
        return snapshot

    def announce(self, commit: str, revision: str, files: Mapping[str, bytes]) -> None:
        listed = [ListedFile(name, len(content), etag(content)) for name, content in files.items()]
        announce(self.state, revision, Listing(commit, listed))

    def read(self, only: str = "", wanted: dict[str, str] | None = None, **in_use: list[str]) -> dict[str, Any]:
        return read_cache(str(self.root), only, wanted or {}, in_use)

    def model(self, wanted: str = "", **in_use: list[str]) -> dict[str, Any]:
        [found] = self.read(MODEL, {MODEL: wanted}, **in_use)["models"]
        return dict(found, revisions={item["commit"]: item for item in found["revisions"]})


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    made = Cache(tmp_path / "hub")
    made.add(OLD, FILES[OLD])
    made.add(NEW, FILES[NEW], "main")
    return made


def test_nothing_there(tmp_path: Path) -> None:
    assert Cache(tmp_path / "none").read() == {"models": [], "problems": [], "identity": "", "in_use": {}}


def test_figures_and_refs(cache: Cache) -> None:
    cache.add(NEW, {}, "refs/pr/1")
    model = cache.model()
    assert (model["repo_id"], model["path"], model["job"], model["problems"]) == (MODEL, str(cache.folder()), "", [])
    # what both have is counted once
    assert model["bytes_total"] == 2 + 11 + 12
    old, new = model["revisions"][OLD], model["revisions"][NEW]
    assert (old["files"], old["bytes_total"], old["bytes_freed"], old["refs"]) == (2, 13, 11, [])
    assert (new["files"], new["bytes_total"], new["bytes_freed"], new["refs"]) == (2, 14, 12, ["main", "refs/pr/1"])
    assert old["path"] == str(cache.folder() / "snapshots" / OLD)


def test_removing_frees_what_the_library_says(cache: Cache) -> None:
    cache.add(NEXT, {"a/b.safetensors": b"new weights!", "c.txt": b"only here"}, "v3")
    library = pytest.importorskip("huggingface_hub").scan_cache_dir(cache.root)
    for commit, revision in cache.model()["revisions"].items():
        assert revision["bytes_freed"] == library.delete_revisions(commit).expected_freed_size


def test_times_are_those_of_the_own_weights(cache: Cache) -> None:
    blobs, snapshot = cache.folder() / "blobs", cache.folder() / "snapshots" / OLD
    os.utime(blobs / etag(b"{}"), (9e8, 9e8))
    os.utime(blobs / etag(b"old weights"), (5e8, 3e8))
    os.utime(snapshot, (0, 4e8))
    old = cache.model()["revisions"][OLD]
    assert (old["last_accessed"], old["last_modified"]) == ("1985-11-05T00:53:20Z", "1998-07-09T16:00:00Z")
    # looking is not using
    assert cache.model()["revisions"][OLD] == old


def test_one_model_of_several(cache: Cache) -> None:
    cache.add(OLD, FILES[OLD], repo_id="acme/other")
    cache.add(OLD, FILES[OLD], repo_id="plain")
    (cache.root / "datasets--acme--data").mkdir()
    (cache.root / ".llmserve").mkdir()
    assert [model["repo_id"] for model in cache.read()["models"]] == ["acme/other", MODEL, "plain"]
    assert [model["repo_id"] for model in cache.read("plain")["models"]] == ["plain"]
    assert cache.read("acme/none")["models"] == []


@pytest.mark.parametrize("revision", ["main", NEW])
def test_what_is_wanted(cache: Cache, revision: str) -> None:
    found = cache.model(revision)["revisions"]
    assert (found[OLD]["wanted"], found[NEW]["wanted"]) == (False, True)
    assert not any(item["wanted"] for item in cache.model("v9")["revisions"].values())


def test_an_interrupted_download_is_wanted_before_its_branch_leads_to_it(cache: Cache) -> None:
    coming = {"config.json": b"{}", "model.safetensors": b"the next weights"}
    cache.announce(NEXT, "main", coming)
    blob = cache.folder() / "blobs" / (etag(coming["model.safetensors"]) + ".incomplete")
    blob.write_bytes(b"the ne")
    stray = cache.folder() / "blobs" / "123.4567.incomplete"
    stray.write_bytes(b"12")
    model = cache.model("main")
    assert model["partial_files"] == [
        {"path": str(stray), "size": 2, "commits": []},
        {"path": str(blob), "size": 6, "commits": [NEXT]},
    ]
    assert model["bytes_total"] == 2 + 11 + 12 + 2 + 6
    found = model["revisions"][NEXT]
    assert (found["wanted"], found["complete"], found["refs"], found["files"]) == (True, False, [], 0)
    assert (found["bytes_partial"], found["bytes_freed"]) == (6, 6)
    # a partial file of two revisions is freed by neither
    cache.announce(OLD, OLD, {**FILES[OLD], "more.safetensors": b"the next weights"})
    shared = cache.model("main")["revisions"]
    assert [(shared[name]["bytes_partial"], shared[name]["bytes_freed"]) for name in (OLD, NEXT)] == [(6, 11), (6, 0)]


def test_complete_by_the_list_of_files(cache: Cache) -> None:
    listed = {**FILES[OLD], "README.md": b"not for servers"}
    cache.announce(OLD, "main", listed)
    cache.announce(NEW, "main", {**FILES[NEW], "tokenizer.json": b"[]"})
    found = cache.model()["revisions"]
    assert (found[OLD]["complete"], found[NEW]["complete"]) == (True, False)
    cache.announce(OLD, "main", {"model.gguf": b"x"})
    assert cache.model()["revisions"][OLD]["complete"] is False
    (cache.folder() / "blobs" / etag(b"new weights!")).write_bytes(b"cut")
    cache.announce(NEW, "main", FILES[NEW])
    assert cache.model()["revisions"][NEW]["complete"] is False


def test_complete_by_the_index_alone(cache: Cache) -> None:
    assert cache.model()["revisions"][OLD]["complete"] is True
    index = {"weight_map": {"x": "model.safetensors", "y": "model-2.safetensors"}}
    cache.add(NEXT, {**FILES[NEW], "model.safetensors.index.json": json.dumps(index).encode()}, "v3")
    assert cache.model()["revisions"][NEXT]["complete"] is False


def test_who_uses_it(cache: Cache) -> None:
    found = cache.read(MODEL, {}, **{OLD: ["process 1 (vllm)"], NEXT: ["container x"]})
    assert found["in_use"] == {OLD: ["process 1 (vllm)"], NEXT: ["container x"]}
    assert [item["in_use"] for item in found["models"][0]["revisions"]] == [["process 1 (vllm)"], []]


def test_a_running_job(cache: Cache) -> None:
    jobs = Jobs(cache.state)
    jobs.prepare()
    jobs.acquire("one")
    reporter = Reporter(jobs, "one", Meter(), [], lambda: None)
    assert cache.model()["job"] == "one"
    reporter.end("done")
    assert cache.model()["job"] == ""


def test_damage_is_told_and_not_fatal(cache: Cache) -> None:
    folder = cache.folder()
    (folder / "blobs" / etag(b"old weights")).unlink()
    (folder / "snapshots" / "stray").write_text("")
    (folder / "snapshots" / ".DS_Store").write_text("")
    (folder / "refs" / "v0").write_text("d" * 40)
    (folder / "refs" / "empty").write_text("")
    (cache.root / "models--acme--file").write_text("")
    read = cache.read()
    assert [line.split(" is not")[0] for line in read["problems"]] == [str(cache.root / "models--acme--file")]
    model = cache.model()
    old = model["revisions"][OLD]
    assert (old["complete"], old["files"], old["bytes_freed"], len(old["problems"])) == (False, 1, 0, 1)
    text = "\n".join(model["problems"])
    assert len(model["problems"]) == 4
    for part in (etag(b"old weights") + ", which is missing", "stray is a file", "'dddd", "empty leads to"):
        assert part in text
    # a model of which only the first byte is yet to come
    cache.folder("acme/begun").mkdir()
    assert cache.read("acme/begun")["models"][0]["revisions"] == []


def test_content_outside_of_the_model_is_not_freed(cache: Cache) -> None:
    shared = cache.root / "shared" / "blob"
    shared.parent.mkdir()
    shared.write_bytes(b"weights of several models")
    blob = cache.folder() / "blobs" / "feed"
    blob.symlink_to(os.path.relpath(shared, blob.parent))
    (cache.folder() / "snapshots" / OLD / "more.safetensors").symlink_to("../../blobs/feed")
    old = cache.model()["revisions"][OLD]
    assert (old["bytes_total"], old["bytes_freed"], old["problems"]) == (13 + 25, 11, [])


def test_files_without_links(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "hub")
    (cache.add(OLD, {"config.json": b"{}"}) / "model.safetensors").write_bytes(b"itself")
    assert cache.model()["revisions"][OLD]["bytes_freed"] == 2 + 6


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read(cache: Cache) -> None:
    jobs = Jobs(cache.state)
    jobs.prepare()
    Path(jobs.folder).chmod(0)
    assert "whether a job runs cannot be seen" in cache.model()["problems"][0]
    cache.root.chmod(0)
    try:
        assert "cannot be read (Permission denied)" in cache.read()["problems"][0]
    finally:
        cache.root.chmod(0o755)


def test_identity_is_that_of_the_directory(cache: Cache, tmp_path: Path) -> None:
    (tmp_path / "mount").symlink_to(cache.root)
    assert cache.read()["identity"] == Cache(tmp_path / "mount").read()["identity"] != ""
    (tmp_path / "other").mkdir()
    assert Cache(tmp_path / "other").read()["identity"] != cache.read()["identity"]
