# SPDX-License-Identifier: GPL-3.0-or-later
"""What a mirror sends while the files arrive, and when it gives up. Time is never measured, only waited for."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.llmserve.vllm.plugins.module_utils import _mirror_content
from ansible_collections.llmserve.vllm.plugins.module_utils._background import own_identity
from ansible_collections.llmserve.vllm.plugins.module_utils._mirror_server import MirrorServer
from ansible_collections.llmserve.vllm.plugins.module_utils._snapshot_job import DONE, RUNNING, Jobs
from ansible_collections.llmserve.vllm.plugins.module_utils._snapshot_listing import announce
from ansible_collections.llmserve.vllm.plugins.module_utils._snapshot_store import ListedFile, Listing

TOKEN = "t" * 64
COMMIT = "c" * 40
MODEL = "acme/tiny"
# what nobody waits for in a test that goes well
LONG = 60.0


def lfs(content: bytes, path: str) -> ListedFile:
    return ListedFile(path, len(content), hashlib.sha256(content).hexdigest())


CONTENT = bytes(range(256)) * 1000
SHARD = lfs(CONTENT, "model.safetensors")
CONFIG = ListedFile("config.json", 23, "b" * 40)
EMPTY = ListedFile("deep/empty.txt", 0, "e" * 40)


class Node:
    """A host with a mirror and a cache, in which a job seems to work."""

    def __init__(self, cache: Path) -> None:
        self.repo = cache / "models--acme--tiny"
        self.blobs = self.repo / "blobs"
        self.jobs = Jobs(str(self.repo / ".llmserve"))
        self.server = MirrorServer("127.0.0.1", 0, str(cache), TOKEN, patience=LONG)
        self.port = int(self.server.server_address[1])
        self.url = f"http://127.0.0.1:{self.port}"

    def begin(self, announced: bool = True) -> None:
        self.blobs.mkdir(parents=True, exist_ok=True)
        self.jobs.prepare()
        self.jobs.acquire("job")
        self.jobs.write("job", {**own_identity(), "state": RUNNING})
        if announced:
            self.announce()

    def announce(self) -> None:
        announce(str(self.repo / ".llmserve"), "main", Listing(COMMIT, [SHARD, CONFIG, EMPTY]))

    def end(self) -> None:
        self.jobs.write("job", {**own_identity(), "state": DONE})

    def partial(self, content: bytes) -> Path:
        path = self.blobs / (SHARD.etag + ".incomplete")
        path.write_bytes(content)
        return path

    def ask(self, path: str, method: str = "GET", **headers: str) -> http.client.HTTPResponse:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=LONG)
        sent = {"Authorization": f"Bearer {TOKEN}", **headers}
        connection.request(method, path, headers={name: value for name, value in sent.items() if value})
        return connection.getresponse()

    def shard(self, **headers: str) -> http.client.HTTPResponse:
        return self.ask(f"/{MODEL}/resolve/{COMMIT}/{SHARD.path}", **headers)


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Node]:
    monkeypatch.setattr(_mirror_content, "_LOOK_FOR_JOB", 0.02)
    monkeypatch.setattr(_mirror_content, "_LOOK_FOR_LISTING", 0.02)
    made = Node(tmp_path)
    thread = threading.Thread(target=made.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield made
    made.server.shutdown()
    made.server.server_close()
    thread.join()


def wait_until(holds: Callable[[], Any]) -> None:
    until = time.monotonic() + LONG
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.01)


def append(path: Path, content: bytes) -> None:
    with path.open("ab") as stream:
        stream.write(content)


@pytest.mark.parametrize("given", ["", "Bearer wrong", f"Basic {TOKEN}", f"Bearer {TOKEN}x", "Bearer \xe9"])
def test_nothing_without_the_token(node: Node, given: str) -> None:
    node.begin()
    for path in ("/", f"/api/models/{MODEL}", f"/{MODEL}/resolve/main/{CONFIG.path}"):
        answer = node.ask(path, Authorization=given)
        assert answer.status == 401
        assert "Invalid credentials" in str(answer.headers["X-Error-Message"])
    # it does not keep the process alive either
    assert node.server.idle_seconds() > 0


def test_a_repository_as_soon_as_it_is_announced(node: Node) -> None:
    node.begin(announced=False)
    threading.Timer(0.1, node.announce).start()
    answer = node.ask(f"/api/models/{MODEL}/revision/main?blobs=true")
    info = json.load(answer)
    assert answer.headers["X-Repo-Commit"] == info["sha"] == COMMIT
    assert [item["size"] for item in info["siblings"]] == [SHARD.size, CONFIG.size, 0]
    tree = json.load(node.ask(f"/api/models/{MODEL}/tree/{COMMIT}?recursive=true"))
    assert [item["path"] for item in tree] == [CONFIG.path, "deep", EMPTY.path, SHARD.path]
    assert [item["path"] for item in json.load(node.ask(f"/api/models/{MODEL}/tree/main/deep"))] == [EMPTY.path]
    assert node.ask(f"/api/models/{MODEL}/tree/main/none").status == 404


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/api/models/acme/other", "RepoNotFound"),
        (f"/api/models/{MODEL}/revision/v9", "RevisionNotFound"),
        (f"/{MODEL}/resolve/main/none.json", "EntryNotFound"),
        (f"/{MODEL}/resolve/main/../main/config.json", "EntryNotFound"),
        (f"/{MODEL}/resolve/main/..%2F..%2Fblobs%2F{CONFIG.etag}", "EntryNotFound"),
        (f"/{MODEL}/resolve/main/{CONFIG.path}", "EntryNotFound"),
        ("/api/whoami-v2", None),
    ],
)
def test_what_is_not_here(node: Node, path: str, code: str | None) -> None:
    node.begin()
    node.end()
    for method in ("GET", "HEAD"):
        answer = node.ask(path, method)
        assert (answer.status, answer.headers["X-Error-Code"]) == (404, code)


def test_what_has_not_come_in_time(node: Node) -> None:
    node.server.patience = 0.05
    node.begin(announced=False)
    for path in (f"/api/models/{MODEL}/revision/main", f"/{MODEL}/resolve/main/{CONFIG.path}"):
        answer = node.ask(path)
        assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
        node.announce()
    node.partial(CONTENT[:500])
    assert node.shard(Range="bytes=500-").status == 503


def test_a_whole_file(node: Node) -> None:
    node.begin()
    (node.blobs / SHARD.etag).write_bytes(CONTENT)
    (node.blobs / EMPTY.etag).touch()
    node.end()
    answer = node.shard()
    assert (answer.status, answer.headers["Content-Length"]) == (200, str(SHARD.size))
    assert answer.headers["ETag"] == answer.headers["X-Linked-Etag"] == f'"{SHARD.etag}"'
    assert answer.headers["Accept-Ranges"] == "bytes"
    assert answer.read() == CONTENT
    head = node.ask(f"/{MODEL}/resolve/main/{SHARD.path}", "HEAD")
    assert (head.status, head.headers["Content-Length"], head.read()) == (200, str(SHARD.size), b"")
    assert node.ask(f"/{MODEL}/resolve/main/{EMPTY.path}").read() == b""


@pytest.mark.parametrize(
    ("wanted", "part", "told"),
    [
        ("bytes=100-", slice(100, None), f"bytes 100-255999/{SHARD.size}"),
        ("bytes=100-199", slice(100, 200), f"bytes 100-199/{SHARD.size}"),
        ("bytes=-7", slice(-7, None), f"bytes 255993-255999/{SHARD.size}"),
    ],
)
def test_ranges(*, node: Node, wanted: str, part: slice, told: str) -> None:
    node.begin()
    (node.blobs / SHARD.etag).write_bytes(CONTENT)
    answer = node.shard(Range=wanted)
    assert (answer.status, answer.headers["Content-Range"]) == (206, told)
    assert answer.read() == CONTENT[part]


def test_a_range_behind_the_end(node: Node) -> None:
    node.begin()
    answer = node.shard(Range=f"bytes={SHARD.size}-")
    assert (answer.status, answer.headers["Content-Range"]) == (416, f"bytes */{SHARD.size}")


def test_one_connection_for_many_requests(node: Node) -> None:
    node.begin()
    (node.blobs / SHARD.etag).write_bytes(CONTENT)
    connection = http.client.HTTPConnection("127.0.0.1", node.port, timeout=LONG)
    connection.connect()
    first = connection.sock
    for _time in range(3):
        path = f"/{MODEL}/resolve/main/{SHARD.path}"
        connection.request("GET", path, headers={"Authorization": f"Bearer {TOKEN}"})
        assert connection.getresponse().read() == CONTENT
    assert connection.sock is first


def test_a_file_that_grows(node: Node) -> None:
    node.begin()
    partial = node.partial(CONTENT[:1000])
    answer = node.shard(Range="bytes=10-")
    assert answer.headers["Content-Length"] == str(SHARD.size - 10)
    assert answer.read(990) == CONTENT[10:1000], "what is there comes at once"
    append(partial, CONTENT[1000:5000])
    assert answer.read(4000) == CONTENT[1000:5000]
    append(partial, CONTENT[5000:])
    # its name changes under the open file
    os.replace(partial, node.blobs / SHARD.etag)
    node.end()
    assert answer.read() == CONTENT[5000:]


def test_a_file_that_has_not_begun(node: Node) -> None:
    node.begin()
    threading.Timer(0.1, lambda: node.partial(CONTENT)).start()
    assert node.shard().read() == CONTENT


def test_a_head_tells_what_is_to_come(node: Node) -> None:
    node.begin()
    head = node.ask(f"/{MODEL}/resolve/main/{SHARD.path}", "HEAD")
    assert (head.status, head.headers["Content-Length"]) == (200, str(SHARD.size))


def broken_off(answer: http.client.HTTPResponse) -> bytes:
    with pytest.raises(http.client.IncompleteRead) as broken:
        answer.read()
    return bytes(broken.value.partial)


def test_a_dead_job(node: Node) -> None:
    node.begin()
    node.partial(CONTENT[:1000])
    answer = node.shard()
    assert answer.read(1000) == CONTENT[:1000]
    node.end()
    assert broken_off(answer) == b""
    # what it has left can still be had, and then nothing more
    assert broken_off(node.shard(Range="bytes=600-")) == CONTENT[600:1000]
    assert node.shard(Range="bytes=1000-").status == 404


def test_nothing_comes_any_more(node: Node) -> None:
    node.server.patience = 0.2
    node.begin()
    node.partial(CONTENT[:1000])
    assert broken_off(node.shard()) == CONTENT[:1000]


@pytest.mark.parametrize("how", ["started over", "thrown away"])
def test_what_was_sent_is_worth_nothing(node: Node, how: str) -> None:
    node.begin()
    partial = node.partial(CONTENT[:1000])
    answer = node.shard()
    assert answer.read(1000) == CONTENT[:1000]
    if how == "started over":
        os.truncate(partial, 0)
    else:
        partial.unlink()
    assert broken_off(answer) == b""


def test_a_damaged_blob_is_not_sent(node: Node) -> None:
    node.begin()
    (node.blobs / SHARD.etag).write_bytes(CONTENT[:5000])
    node.end()
    assert node.shard().status == 404
    node.partial(CONTENT)
    assert node.shard().read() == CONTENT


def test_where_blobs_cannot_be_linked(node: Node) -> None:
    node.begin()
    place = node.repo / "snapshots" / COMMIT / SHARD.path
    place.parent.mkdir(parents=True)
    place.write_bytes(CONTENT)
    node.end()
    assert node.shard().read() == CONTENT


def test_links_of_others(node: Node, tmp_path: Path) -> None:
    node.begin()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(CONTENT)
    place = node.repo / "snapshots" / COMMIT / SHARD.path
    place.parent.mkdir(parents=True)
    place.symlink_to(elsewhere)
    node.end()
    assert node.shard().status == 404
    # a store that models share
    (node.blobs / SHARD.etag).symlink_to(elsewhere)
    assert node.shard().read() == CONTENT


def test_a_list_with_unsafe_names(node: Node) -> None:
    node.begin()
    state = str(node.repo / ".llmserve")
    announce(state, "main", Listing(COMMIT, [ListedFile("../../secret", 1, "a" * 40)]))
    node.end()
    assert node.ask(f"/api/models/{MODEL}").status == 404


def test_a_running_answer_is_work(node: Node) -> None:
    node.begin()
    partial = node.partial(CONTENT[:1000])
    answer = node.shard()
    answer.read(1000)
    assert node.server.idle_seconds() == 0
    append(partial, CONTENT[1000:])
    answer.read()
    wait_until(lambda: node.server.idle_seconds() > 0)


def test_another_method(node: Node) -> None:
    assert node.ask("/", "POST").status == 501


def test_the_real_client(node: Node, tmp_path: Path) -> None:
    hub = pytest.importorskip("huggingface_hub")
    node.begin()
    config = b'{"model_type": "llama"}'
    (node.blobs / CONFIG.etag).write_bytes(config)
    (node.blobs / EMPTY.etag).touch()
    partial = node.partial(CONTENT[:1000])
    info = hub.HfApi(endpoint=node.url, token=TOKEN).model_info(MODEL, files_metadata=True)
    assert info.sha == COMMIT
    assert {item.rfilename: item.lfs and item.lfs.sha256 for item in info.siblings}[SHARD.path] == SHARD.etag

    threading.Timer(0.2, lambda: append(partial, CONTENT[1000:])).start()
    path = hub.snapshot_download(MODEL, endpoint=node.url, token=TOKEN, cache_dir=tmp_path / "next")
    assert os.path.basename(path) == COMMIT
    assert Path(path, SHARD.path).read_bytes() == CONTENT
    assert Path(path, CONFIG.path).read_bytes() == config
    assert Path(path, EMPTY.path).read_bytes() == b""
    # the names are the same, so that the copy can be passed on again
    assert sorted(os.listdir(tmp_path / "next" / "models--acme--tiny" / "blobs")) == sorted(
        (SHARD.etag, CONFIG.etag, EMPTY.etag)
    )


def test_the_real_client_is_refused(node: Node) -> None:
    hub = pytest.importorskip("huggingface_hub")
    node.begin()
    node.end()
    with pytest.raises(hub.errors.RevisionNotFoundError):
        hub.HfApi(endpoint=node.url, token=TOKEN).model_info(MODEL, revision="v9")
    with pytest.raises(hub.errors.RepositoryNotFoundError):
        hub.HfApi(endpoint=node.url, token=TOKEN).model_info("acme/other")
    with pytest.raises(hub.errors.HfHubHTTPError, match="Invalid credentials"):
        hub.HfApi(endpoint=node.url, token="wrong").model_info(MODEL)
