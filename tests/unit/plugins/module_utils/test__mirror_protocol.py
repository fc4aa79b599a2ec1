# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses and ranges as clients write them, and what the Hub says about a repository."""

from __future__ import annotations

import hashlib

import pytest
from ansible_collections.llmserve.vllm.plugins.module_utils._mirror_protocol import (
    FILE,
    INFO,
    TREE,
    file_headers,
    find_route,
    parse_range,
    repo_info,
    repo_tree,
)
from ansible_collections.llmserve.vllm.plugins.module_utils._snapshot_store import ListedFile, Listing

COMMIT = "c" * 40
SHARD = ListedFile("model.safetensors", 1000, "a" * 64)
CONFIG = ListedFile("config.json", 23, "b" * 40)
DEEP = ListedFile("original/old/params.json", 5, "d" * 40)
LISTING = Listing(COMMIT, [SHARD, CONFIG, DEEP])


@pytest.mark.parametrize(
    ("target", "kind", "repo_id", "splits"),
    [
        ("/api/models/acme/tiny", INFO, "acme/tiny", [("main", "")]),
        ("/api/models/acme/tiny/revision/refs%2Fpr%2F1?blobs=true", INFO, "acme/tiny", [("refs/pr/1", "")]),
        ("/api/models/acme/tiny/revision/refs/pr/1", INFO, "acme/tiny", [("refs/pr/1", "")]),
        ("/api/models/gpt2/revision/main", INFO, "gpt2", [("main", "")]),
        ("/api/models/gpt2", INFO, "gpt2", [("main", "")]),
        ("/api/models/acme/tiny/tree/v1/a", TREE, "acme/tiny", [("v1", "a"), ("v1/a", "")]),
        ("/acme/tiny/resolve/v1/a%20b", FILE, "acme/tiny", [("v1", "a b")]),
        (
            "/acme/tiny/resolve/refs/pr/1/x",
            FILE,
            "acme/tiny",
            [("refs", "pr/1/x"), ("refs/pr", "1/x"), ("refs/pr/1", "x")],
        ),
        ("/gpt2/resolve/main/config.json", FILE, "gpt2", [("main", "config.json")]),
    ],
)
def test_routes(target: str, kind: str, repo_id: str, splits: list[tuple[str, str]]) -> None:
    route = find_route(target)
    assert route is not None
    assert (route.kind, route.repo_id, route.splits) == (kind, repo_id, splits)


@pytest.mark.parametrize(
    "target",
    [
        "/",
        "//[x/",
        "/api/models",
        "/api/models/acme/tiny/commits/main",
        "/api/datasets/acme/tiny",
        "/acme/tiny",
        "/acme/tiny/resolve/main",
        "/..%2F..%2Fetc/tiny/resolve/main/x",
        "/acme/..%2F..%2Fetc/resolve/main/x",
        "/acme/tiny/resolve/%2Fetc/x",
        "/acme/tiny/resolve/..%2F..%2Fx/x",
        "/acme/tiny/resolve/main%00/x",
        "/acme/tiny/resolve/main/x%0d%0aSet-Cookie:%20a=b",
        "/api/models/acme/tiny/revision/%2Fetc%2Fpasswd",
    ],
)
def test_what_no_mirror_has(target: str) -> None:
    assert find_route(target) is None


def test_flags() -> None:
    route = find_route("/api/models/acme/tiny/tree/main?expand=false&recursive=True")
    assert route is not None
    assert route.asks("recursive")
    assert not route.asks("expand")


@pytest.mark.parametrize(
    ("header", "wanted"),
    [
        ("", None),
        ("bytes=0-", (0, 100)),
        ("bytes=10-", (10, 100)),
        ("bytes=10-19", (10, 20)),
        ("bytes=10-1000", (10, 100)),
        ("bytes=-10", (90, 100)),
        ("bytes=-1000", (0, 100)),
        # not understood
        ("bytes=-", None),
        ("bytes=9-1", None),
        ("bytes=0-1,5-6", None),
        ("lines=1-2", None),
    ],
)
def test_ranges(header: str, wanted: tuple[int, int] | None) -> None:
    assert parse_range(header, 100) == wanted


@pytest.mark.parametrize("header", ["bytes=100-", "bytes=100-200", "bytes=-0"])
def test_ranges_without_a_byte(header: str) -> None:
    wanted = parse_range(header, 100)
    assert wanted is not None
    assert wanted[0] >= wanted[1]


def test_an_empty_file_has_no_ranges() -> None:
    wanted = parse_range("bytes=0-", 0)
    assert wanted is not None
    assert wanted[0] >= wanted[1]


def test_headers() -> None:
    assert file_headers(LISTING, CONFIG) == {
        "ETag": f'"{CONFIG.etag}"',
        "X-Repo-Commit": COMMIT,
        "Accept-Ranges": "bytes",
    }
    assert file_headers(LISTING, SHARD)["X-Linked-Size"] == "1000"
    assert file_headers(LISTING, SHARD)["X-Linked-Etag"] == f'"{SHARD.etag}"'


def test_info() -> None:
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{SHARD.etag}\nsize 1000\n".encode()
    info = repo_info("acme/tiny", LISTING, with_blobs=True)
    assert (info["id"], info["sha"], info["gated"]) == ("acme/tiny", COMMIT, False)
    assert info["siblings"][0] == {
        "rfilename": SHARD.path,
        "size": 1000,
        # git's id is the pointer's
        "blobId": hashlib.sha1(b"blob %d\0" % len(pointer) + pointer).hexdigest(),
        "lfs": {"sha256": SHARD.etag, "size": 1000, "pointerSize": len(pointer)},
    }
    assert info["siblings"][1] == {"rfilename": CONFIG.path, "size": 23, "blobId": CONFIG.etag}
    assert repo_info("acme/tiny", LISTING, with_blobs=False)["siblings"][0] == {"rfilename": SHARD.path}


def test_tree() -> None:
    def paths(folder: str, recursive: bool) -> list[str]:
        return [entry["path"] for entry in repo_tree(LISTING, folder, recursive)]

    assert paths("", True) == ["config.json", "model.safetensors", "original", "original/old", DEEP.path]
    assert paths("", False) == ["config.json", "model.safetensors", "original"]
    assert paths("original", True) == ["original/old", DEEP.path]
    assert paths("orig", True) == []
