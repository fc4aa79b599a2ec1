# SPDX-License-Identifier: GPL-3.0-or-later
"""Plans, with a hub in memory."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.llmserve.vllm.plugins.module_utils._snapshot import Call, ensure
from ansible_collections.llmserve.vllm.plugins.module_utils._snapshot_errors import Request, SnapshotError
from ansible_collections.llmserve.vllm.plugins.module_utils._snapshot_library import environment, home_of
from ansible_collections.llmserve.vllm.plugins.module_utils._snapshot_plan import filesystem, make_plan
from ansible_collections.llmserve.vllm.plugins.module_utils._snapshot_store import (
    ListedFile,
    Listing,
    open_store,
    refuse_unsafe,
)
from ansible_collections.llmserve.vllm.plugins.module_utils._snapshot_verify import INDEX
from ansible_collections.llmserve.vllm.tests.unit.plugins.module_utils.test__snapshot_errors import request

COMMIT = "c" * 40


def listed(path: str, content: bytes) -> ListedFile:
    return ListedFile(path, len(content), hashlib.sha256(content).hexdigest())


class Library:
    """A hub in memory."""

    def __init__(self, **files: bytes) -> None:
        self.content = {name.replace("_", "."): content for name, content in files.items()}
        self.asked: list[str] = []

    def describe(self, request: Request) -> Listing:
        return Listing(COMMIT, [listed(path, content) for path, content in self.content.items()])

    def get(self, request: Request, commit: str, item: ListedFile, sink: Any, start: int) -> None:
        sink.write(self.content[item.path][start:])

    def get_whole(self, request: Request, commit: str, item: ListedFile) -> bool:
        return False

    def finish(self, request: Request, commit: str) -> None:
        pass

    def newest(self, request: Request) -> None:
        pass

    def listen(self, told: Any) -> None:
        pass

    def close(self) -> None:
        pass


def have(library: Library, check_mode: bool = False, **changes: Any) -> dict[str, Any]:
    return ensure(request(**changes), lambda: library, Call(check_mode=check_mode))


def test_environment() -> None:
    assert home_of(request()) == "/srv/hf"
    assert home_of(request(cache_dir="/srv/cache")) == "/srv/cache"
    settings = environment("/srv/hf", "https://h", 0.2)
    assert (settings["HF_HOME"], settings["HF_HUB_ETAG_TIMEOUT"]) == ("/srv/hf", "1")
    assert (settings["HF_HUB_DISABLE_TELEMETRY"], settings["HF_HUB_DISABLE_SHARED_BLOBS"]) == ("1", "1")


def test_the_same_content_twice_is_fetched_once(tmp_path: Path) -> None:
    library = Library(a_json=b"same", b_json=b"same", c_json=b"other")
    places: list[dict[str, Any]] = [
        {"cache_dir": str(tmp_path / "hub")},
        {"cache_dir": "", "local_dir": str(tmp_path / "model")},
    ]
    for place in places:
        would = have(library, check_mode=True, **place)
        did = have(library, **place)
        for result in (would, did):
            assert (result["files_fetched"], result["bytes_fetched"], result["bytes_total"]) == (3, 9, 13)
        for name, content in library.content.items():
            assert Path(did["path"], name).read_bytes() == content
        assert have(library, **place)["changed"] is False


def test_patterns_that_match_nothing(tmp_path: Path) -> None:
    with pytest.raises(SnapshotError, match="matches allow_patterns") as caught:
        have(Library(a=b"a"), check_mode=True, cache_dir=str(tmp_path), allow_patterns=["*.x"])
    assert caught.value.kind == "nothing_matches"


def test_patterns_that_leave_out_what_the_index_names(tmp_path: Path) -> None:
    index = json.dumps({"weight_map": {"a": "a.safetensors", "b": "b.safetensors"}}).encode()
    library = Library(a_safetensors=b"x", b_safetensors=b"y")
    library.content[INDEX] = index
    with pytest.raises(SnapshotError, match="the patterns leave them out") as caught:
        have(library, cache_dir=str(tmp_path), ignore_patterns=["b.*"])
    assert caught.value.kind == "index_incomplete"
    # without any weights it does not matter
    assert have(library, cache_dir=str(tmp_path), ignore_patterns=["*.safetensors"])["changed"]


def test_content_that_another_revision_brought_is_not_fetched(tmp_path: Path) -> None:
    blobs = tmp_path / "models--acme--tiny" / "blobs"
    blobs.mkdir(parents=True)
    (blobs / "e").write_text("x")
    asked = request(cache_dir=str(tmp_path))
    listing = Listing(COMMIT, [ListedFile("a", 1, "e"), ListedFile("b", 2, "f")])
    plan = make_plan(asked, open_store(asked), listing)
    assert ([item.path for item in plan.link], [item.path for item in plan.fetch]) == (["a"], ["b"])
    assert (plan.changes, plan.bytes_missing) == (True, 2)


@pytest.mark.parametrize(
    "item", [("../x", "e"), ("/etc/x", "e"), ("a/../../x", "e"), ("a", "../../x"), ("a", ""), ("a\\..\\x", "e")]
)
def test_a_repository_with_unsafe_names(item: tuple[str, str]) -> None:
    with pytest.raises(SnapshotError, match="unsafe name"):
        refuse_unsafe(Listing(COMMIT, [ListedFile(item[0], 1, item[1])]))


def test_the_filesystem_that_would_hold_it(tmp_path: Path) -> None:
    found = filesystem(str(tmp_path / "not" / "there" / "yet"))
    assert found["directory"] == str(tmp_path)
    assert os.path.ismount(found["mount_point"])
    assert found["type"] and found["free_bytes"] > 0
