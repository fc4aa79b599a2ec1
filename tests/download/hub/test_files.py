# SPDX-License-Identifier: GPL-3.0-or-later
"""Metadata of files, where they are redirected to, and their content."""

from __future__ import annotations

import hashlib
import http.client
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from ..conftest import Hub, running
from .conftest import OLD, OTHERS, REPO, SIZE, TOKEN, WEIGHTS, file, files, git_id, metadata, refs

huggingface_hub = pytest.importorskip("huggingface_hub")
errors = pytest.importorskip("huggingface_hub.errors")


def test_metadata_of_weights(api: Any, hub: Hub) -> None:
    found = metadata(api, WEIGHTS, "v1")
    data = file(hub, WEIGHTS, "@v1")
    assert (found.etag, found.size) == (hashlib.sha256(data).hexdigest(), len(data))
    assert found.commit_hash == refs(api)["refs/tags/v1"]
    assert found.xet_file_data is None
    here, there = urlsplit(hub.address), urlsplit(found.location)
    assert (there.hostname, there.port != here.port) == (here.hostname, True), "a storage of its own"


def test_metadata_of_small_files(api: Any, hub: Hub) -> None:
    found = metadata(api, "config.json")
    data = file(hub, "config.json")
    assert (found.etag, found.size, found.commit_hash) == (git_id(data), len(data), api.model_info(REPO).sha)
    page = f"{hub.address}/api/resolve-cache/models/{REPO}/{found.commit_hash}/config.json"
    assert found.location.partition("?")[0] == page
    assert metadata(api, "added tokens#1.json").size == 2
    # what is empty is not worth a redirect, and what is gated is not put where everybody asks
    empty = metadata(api, "empty.txt")
    assert (empty.size, empty.location) == (0, f"{hub.address}/{REPO}/resolve/main/empty.txt")
    hub.order("gate", {"repo": REPO, "gated": True})
    hub.order("allow", {"token": TOKEN})
    assert metadata(api, "config.json", token=TOKEN).location == f"{hub.address}/{REPO}/resolve/main/config.json"


def test_pages_of_commits_know_no_branches(hub: Hub) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{hub.address}/api/resolve-cache/models/{REPO}/main/config.json", timeout=10)
    assert refused.value.code == 400


def test_the_storage_asks_for_no_token(api: Any, hub: Hub, tmp_path: Path) -> None:
    hub.order("gate", {"repo": REPO, "gated": True})
    hub.order("allow", {"token": TOKEN})
    where = metadata(api, WEIGHTS, token=TOKEN).location
    with urllib.request.urlopen(where, timeout=10) as answer:
        assert answer.read() == file(hub, WEIGHTS)
    path, _mark, signature = where.partition("=")
    for wrong in (path.partition("?")[0], f"{path}={signature[::-1]}", where.replace(WEIGHTS, OTHERS)):
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(wrong, timeout=10)
        assert refused.value.code == 403
    api.hf_hub_download(REPO, WEIGHTS, token=TOKEN, cache_dir=tmp_path)
    assert hub.stats["token_at_storage"] == 0


def test_without_a_storage(hub: Hub, tmp_path: Path) -> None:
    with running(hub.models, storage=False) as alone:
        api = huggingface_hub.HfApi(endpoint=alone.address, token=False)
        found = metadata(api, WEIGHTS)
        assert found.location == f"{alone.address}/{REPO}/resolve/main/{WEIGHTS}"
        assert found.etag == hashlib.sha256(file(hub, WEIGHTS)).hexdigest()
        path = api.hf_hub_download(REPO, WEIGHTS, cache_dir=tmp_path)
        assert Path(path).read_bytes() == file(hub, WEIGHTS)


def test_a_renamed_repository(api: Any, hub: Hub, tmp_path: Path) -> None:
    assert api.model_info(OLD).id == REPO
    assert [item.path for item in api.get_paths_info(OLD, ["config.json"])] == ["config.json"]
    assert {item.path for item in api.list_repo_tree(OLD, recursive=True)} == {*files(hub), "original"}
    for path in ("config.json", WEIGHTS):
        found = api.hf_hub_download(OLD, path, revision="refs/pr/1", cache_dir=tmp_path)
        assert "models--acme--former" in found
        assert Path(found).read_bytes() == file(hub, path, "@refs%2Fpr%2F1")
    connection = http.client.HTTPConnection(urlsplit(hub.address).netloc, timeout=10)
    connection.request("HEAD", f"/{OLD}/resolve/main/{WEIGHTS}")
    answer = connection.getresponse()
    assert (answer.status, answer.headers["Location"]) == (307, f"/{REPO}/resolve/main/{WEIGHTS}")
    hub.order("rename", {"old": OLD, "new": None})
    with pytest.raises(errors.RepositoryNotFoundError):
        api.model_info(OLD)


@pytest.mark.parametrize("path", ["config.json", WEIGHTS, "original/params.json"])
@pytest.mark.parametrize("wanted", ["0-0", "1-", "0-999999999", "-1"])
def test_ranges(hub: Hub, path: str, wanted: str) -> None:
    data = file(hub, path)
    first, last = ((int(part) if part else None) for part in wanted.split("-"))
    start = len(data) - (last or 0) if first is None else first
    end = len(data) - 1 if first is None or last is None else min(last, len(data) - 1)
    where = f"{hub.address}/{REPO}/resolve/main/{path}"
    asked = urllib.request.Request(where, headers={"Range": f"bytes={wanted}"})
    with urllib.request.urlopen(asked, timeout=10) as answer:
        assert answer.status == 206
        assert answer.headers["Content-Range"] == f"bytes {start}-{end}/{len(data)}"
        assert answer.read() == data[start : end + 1]


def test_a_range_behind_the_end(hub: Hub) -> None:
    where = f"{hub.address}/{REPO}/resolve/main/{WEIGHTS}"
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(urllib.request.Request(where, headers={"Range": f"bytes={SIZE}-"}), timeout=10)
    assert (refused.value.code, refused.value.headers["Content-Range"]) == (416, f"bytes */{SIZE}")


@pytest.mark.parametrize("already", [0, 1, SIZE // 2, SIZE])
def test_the_client_resumes(api: Any, hub: Hub, tmp_path: Path, already: int) -> None:
    from huggingface_hub.file_download import http_get  # noqa: PLC0415  the library may be absent

    data = file(hub, WEIGHTS)
    part = tmp_path / "part"
    part.write_bytes(data[:already])
    with part.open("ab") as stream:
        http_get(metadata(api, WEIGHTS).location, stream, resume_size=already, expected_size=SIZE)
    assert part.read_bytes() == data
    assert hub.served == SIZE - already


def test_a_snapshot_in_the_cache(api: Any, hub: Hub, tmp_path: Path) -> None:
    path = Path(api.snapshot_download(REPO, cache_dir=tmp_path))
    content = files(hub)
    assert {name: (path / name).read_bytes() for name in content} == content
    assert hub.served == sum(map(len, content.values()))
    assert hub.stats["bytes"] == {f"{REPO}/{name}": len(data) for name, data in content.items() if data}
    cached = huggingface_hub.scan_cache_dir(tmp_path)
    assert [repo.repo_id for repo in cached.repos] == [REPO]
    hub.order("reset")
    assert api.snapshot_download(REPO, cache_dir=tmp_path) == str(path)
    assert hub.served == 0
    assert api.verify_repo_checksums(REPO, cache_dir=tmp_path).mismatches == []


def test_a_snapshot_in_a_directory(api: Any, hub: Hub, tmp_path: Path) -> None:
    api.snapshot_download(REPO, local_dir=tmp_path, ignore_patterns="original/*", revision="v1")
    found = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert {path for path in found if not path.startswith(".cache/")} == {
        path for path in files(hub) if not path.startswith("original/")
    }
    assert (tmp_path / WEIGHTS).read_bytes() == file(hub, WEIGHTS, "@v1")
