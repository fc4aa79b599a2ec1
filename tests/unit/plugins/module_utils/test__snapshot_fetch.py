# SPDX-License-Identifier: GPL-3.0-or-later
"""The partial file: what was counted is on the disk, and the digest is that of the file."""

from __future__ import annotations

import hashlib
import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from ansible_collections.llmserve.vllm.plugins.module_utils._snapshot_fetch import Sink, StoppedError
from ansible_collections.llmserve.vllm.plugins.module_utils._snapshot_progress import Meter
from ansible_collections.llmserve.vllm.plugins.module_utils._snapshot_store import ListedFile

MIB = 1 << 20
CONTENT = random.Random(1).randbytes(5 * MIB + 12345)


@pytest.fixture
def hashers() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as pool:
        yield pool


class Opened:
    """A sink for CONTENT, and what it works with."""

    def __init__(self, folder: Path, hashers: ThreadPoolExecutor | None, content: bytes = CONTENT) -> None:
        self.meter, self.stop, self.path = Meter(), threading.Event(), folder / "blobs" / "x.incomplete"
        item = ListedFile("x.safetensors", len(content), hashlib.sha256(content).hexdigest())
        self.sink = Sink(str(self.path), item, self.meter, self.stop, hashers)


def feed(sink: Sink, content: bytes, piece: int) -> None:
    for place in range(0, len(content), piece):
        assert sink.write(content[place : place + piece]) == len(content[place : place + piece])


@pytest.mark.parametrize("piece", [1000, 65536, MIB, 3 * MIB + 1])
def test_pieces_of_any_size(tmp_path: Path, hashers: ThreadPoolExecutor, piece: int) -> None:
    opened = Opened(tmp_path, hashers)
    with opened.sink as sink:
        feed(sink, CONTENT, piece)
        assert opened.path.stat().st_size == sink.size == opened.meter.bytes_done == 5 * MIB
        sink.flush()
        assert (sink.size, sink.is_right()) == (len(CONTENT), True)
    assert opened.path.read_bytes() == CONTENT


def test_going_on_where_another_process_was_killed(tmp_path: Path, hashers: ThreadPoolExecutor) -> None:
    with Opened(tmp_path, hashers).sink as killed:
        feed(killed, CONTENT[: 3 * MIB + 5], 65536)
    opened = Opened(tmp_path, hashers)
    with opened.sink as sink:
        assert sink.tell() == 3 * MIB
        feed(sink, CONTENT[3 * MIB :], 65536)
        assert sink.tell() == len(CONTENT)
        assert sink.is_right()
        assert opened.meter.fetched == len(CONTENT) - 3 * MIB


def test_starting_over(tmp_path: Path, hashers: ThreadPoolExecutor) -> None:
    opened = Opened(tmp_path, hashers)
    with opened.sink as sink:
        feed(sink, bytes(len(CONTENT)), 65536)
        sink.flush()
        assert not sink.is_right()
        feed(sink, b"what is gathered is forgotten, too", 7)
        sink.start_over()
        assert (sink.size, opened.meter.bytes_done, opened.path.stat().st_size) == (0, 0, 0)
        feed(sink, CONTENT, 65536)
        sink.flush()
        assert sink.is_right()


def test_a_full_disk_takes_a_part(tmp_path: Path, hashers: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = Opened(tmp_path, hashers)

    class Full:
        """Takes 1000 bytes, and then no more."""

        def __init__(self) -> None:
            self.taken = b""

        def write(self, data: memoryview) -> int:
            if self.taken:
                raise OSError(28, "No space left on device")
            self.taken = bytes(data[:1000])
            return 1000

        def close(self) -> None:
            """Nothing is open."""

    full = Full()
    with opened.sink as sink:
        real = sink._file
        monkeypatch.setattr(sink, "_file", full)
        with pytest.raises(OSError, match="No space"):
            feed(sink, CONTENT, 65536)
        assert (sink.size, opened.meter.bytes_done, full.taken) == (1000, 1000, CONTENT[:1000])
        # once there is room again, the digest is still that of the file
        real.write(full.taken)
        monkeypatch.setattr(sink, "_file", real)
        feed(sink, CONTENT[1000:], 65536)
        sink.flush()
        assert sink.is_right()
    assert opened.path.read_bytes() == CONTENT


def test_nothing_moves_when_nothing_is_there(tmp_path: Path, hashers: ThreadPoolExecutor) -> None:
    opened = Opened(tmp_path, hashers)
    opened.meter.note("why")
    opened.sink.flush()
    assert opened.meter.figures()["note"] == "why"
    opened.stop.set()
    with opened.sink as sink, pytest.raises(StoppedError):
        sink.write(b"x")


def test_a_slow_connection_moves(tmp_path: Path, hashers: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = Opened(tmp_path, hashers)
    with opened.sink as sink:
        sink.write(b"a" * 100)
        assert opened.meter.bytes_done == 0
        monkeypatch.setattr(sink, "_flushed", sink._flushed - 60)
        sink.write(b"b" * 100)
        assert opened.meter.bytes_done == 200


def test_without_comparison(tmp_path: Path) -> None:
    with Opened(tmp_path, None).sink as sink:
        feed(sink, b"anything", 3)
        sink.flush()
        assert (sink.size, sink.is_right()) == (8, True)
