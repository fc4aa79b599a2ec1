# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fetches files so that no byte is asked for twice, whatever happens in between.

huggingface_hub transfers; what it lacks is done here: continuing a partial file of an earlier process, going on after
connections that are reset and after errors of the server, and comparing the digest while the bytes pass.

This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import os
import threading
import time
from concurrent.futures import FIRST_EXCEPTION, Executor, Future, ThreadPoolExecutor, wait
from types import TracebackType
from typing import Any, Dict, List, Optional, Protocol, Sequence, Type

from ansible_collections.llmserve.vllm.plugins.module_utils._snapshot_errors import Request, SnapshotError, explain
from ansible_collections.llmserve.vllm.plugins.module_utils._snapshot_progress import Meter
from ansible_collections.llmserve.vllm.plugins.module_utils._snapshot_store import (
    CONTINUE_FROM,
    ListedFile,
    Listing,
    Store,
    content_path,
    copy_twin,
)
from ansible_collections.llmserve.vllm.plugins.module_utils._snapshot_verify import Verified, digest_of
from ansible_collections.llmserve.vllm.plugins.module_utils._wait import minutes

_BLOCK = 4 << 20
# What arrives comes in small pieces; written and hashed together they cost less, and a killed process loses little.
_GATHER = 1 << 20
# A slow connection still shows that it moves.
_GATHER_SECONDS = 5.0
_DELAYS = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
# Wrong content may be an accident of the way once; twice it is the source.
_TRIES_OF_CONTENT = 2


class Library(Protocol):
    """What is needed of huggingface_hub."""

    def describe(self, request: Request) -> Listing:
        """List a revision, and make sure that its files may be read."""

    def get(self, request: Request, commit: str, item: ListedFile, sink: Any, start: int) -> None:
        """Write a file to the sink from C(start) on."""

    def get_whole(self, request: Request, commit: str, item: ListedFile) -> bool:
        """Put a file that is too large for plain HTTP into its place; false for all others."""

    def finish(self, request: Request, commit: str) -> None:
        """Let huggingface_hub itself look at the snapshot, and remember its list of files."""


class StoppedError(Exception):
    """Another file has failed for good, or the process is to end."""


class Sink:
    """A partial file as huggingface_hub's http_get wants to write to it. Counts and hashes what passes."""

    def __init__(
        self, path: str, item: ListedFile, meter: Meter, stop: threading.Event, hashers: Optional[Executor]
    ) -> None:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        self._item, self._meter, self._stop, self._hashers = item, meter, stop, hashers
        self._digest = digest_of(item) if hashers else None
        # one is filled while the other is hashed
        room = max(1 << 16, min(_GATHER, item.size))
        self._buffer, self._spare = memoryview(bytearray(room)), memoryview(bytearray(room))
        self._hashing: Optional[Future[None]] = None
        self._gathered = 0
        self._flushed = time.monotonic()
        # unbuffered, so that what was counted is also what is on the disk after a crash
        # SIM115: it stays open until close(), longer than this method
        self._file = open(path, "r+b" if os.path.exists(path) else "w+b", buffering=0)  # noqa: SIM115
        self.size = 0
        self._restore()

    def __enter__(self) -> Sink:
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], value: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self._file.close()

    def _restore(self) -> None:
        size = os.fstat(self._file.fileno()).st_size
        if not CONTINUE_FROM <= size <= self._item.size:
            self._file.truncate(0)
            return
        while self.size < size:
            block = self._file.read(_BLOCK)
            if not block:
                break
            if self._stop.is_set():
                raise StoppedError
            if self._digest is not None:
                self._digest.update(block)
            self.size += len(block)

    def write(self, data: Any) -> int:
        if self._stop.is_set():
            raise StoppedError
        left = memoryview(data)
        while left:
            room = self._buffer[self._gathered : self._gathered + len(left)]
            room[:] = left[: len(room)]
            self._gathered += len(room)
            left = left[len(room) :]
            if self._gathered == len(self._buffer) or time.monotonic() - self._flushed > _GATHER_SECONDS:
                self.flush()
        return len(data)

    def flush(self) -> None:
        """Put onto the disk what has arrived, and count it."""
        self._flushed = time.monotonic()
        if not self._gathered:
            # nothing has moved
            return
        block, written = self._buffer[: self._gathered], 0
        self._gathered = 0
        try:
            while written < len(block):
                written += self._file.write(block[written:]) or 0
        finally:
            # What a full disk did not take is dropped: size and digest are those of the file.
            self.size += written
            self._meter.add(written)
            self._hash(block[:written])

    def _hash(self, block: memoryview) -> None:
        if self._digest is None or self._hashers is None:
            return
        self._settle()
        if len(block) < _GATHER:
            self._digest.update(block)
            return
        # While this thread receives, so that a single connection is not slowed down.
        self._hashing = self._hashers.submit(self._digest.update, block)
        self._buffer, self._spare = self._spare, self._buffer

    def _settle(self) -> None:
        if self._hashing is not None:
            self._hashing.result()
            self._hashing = None

    def tell(self) -> int:
        self.flush()
        return self.size

    def seek(self, offset: int, whence: int = 0) -> int:
        """Only http_get's way back to the beginning, when a server has ignored the range."""
        if offset != 0 or whence != 0:
            raise OSError("a download can only go on, or start over")
        return offset

    def truncate(self) -> int:
        self.start_over()
        return 0

    def start_over(self) -> None:
        """Forget what there is."""
        self._settle()
        self._gathered = 0
        self._meter.take_back(self.size)
        self._file.seek(0)
        self._file.truncate(0)
        self._digest = digest_of(self._item) if self._hashers else None
        self.size = 0

    def is_right(self) -> bool:
        """Whether the whole has the digest that the Hub lists."""
        self._settle()
        return self._digest is None or bool(self._digest.hexdigest() == self._item.etag)


class Fetcher:
    """Fetches the files of one commit, several at a time."""

    def __init__(self, request: Request, commit: str, store: Store, library: Library, meter: Meter) -> None:
        self._request, self._commit, self._store = request, commit, store
        self._library, self._meter = library, meter
        self._verified = Verified(store)
        self._stop = threading.Event()
        # its threads start with the first block, which is in the job's own process
        self._hashers = ThreadPoolExecutor(request.max_workers) if request.verify != "none" else None
        self.refetched: List[str] = []

    def stop(self) -> None:
        """Make all transfers end at their next block."""
        self._stop.set()

    def fetch(self, files: Sequence[ListedFile]) -> None:
        """Have all of these files, or raise the first error that repetition does not mend."""
        twins: Dict[str, List[ListedFile]] = {}
        for item in files:
            twins.setdefault(item.etag, []).append(item)
        pool = ThreadPoolExecutor(self._request.max_workers)
        futures = [pool.submit(self._have, same) for same in twins.values()]
        finished, rest = wait(futures, return_when=FIRST_EXCEPTION)
        if rest:
            self._stop.set()
            for future in rest:
                future.cancel()
        # A transfer that waits for the Hub may take minutes to notice; the process ends without it.
        pool.shutdown(wait=False)
        self._verified.save()
        errors = [error for error in (item.exception() for item in finished) if error is not None]
        for error in sorted(errors, key=lambda error: isinstance(error, StoppedError)):
            raise error

    def _have(self, same: Sequence[ListedFile]) -> None:
        first = same[0]
        if self._library.get_whole(self._request, self._commit, first):
            self._meter.add(first.size)
        else:
            self._transfer(first)
        self._meter.file_done()
        if self._request.verify != "none":
            self._verified.add(content_path(self._store, self._commit, first), first)
        for twin in same[1:]:
            copy_twin(self._store, self._commit, first, twin)
            self._meter.have(twin.size)
            self._meter.file_done()

    def _transfer(self, item: ListedFile) -> None:
        wrong = 0
        while True:
            with Sink(self._store.partial(item), item, self._meter, self._stop, self._hashers) as sink:
                self._fill(item, sink)
                if sink.is_right():
                    break
                wrong += 1
                sink.start_over()
            self.refetched.append(item.path)
            if wrong >= _TRIES_OF_CONTENT:
                raise SnapshotError(
                    "wrong_content",
                    "{0} of {1} came {2} times with another content than the Hub lists for it ({3}). A proxy or mirror "
                    "on the way may serve a wrong copy: try llmserve_hf_endpoint: https://huggingface.co, or clear the "
                    "mirror's cache.".format(item.path, self._request.repo_id, wrong, item.etag),
                )
        self._store.publish(self._commit, item)

    def _fill(self, item: ListedFile, sink: Sink) -> None:
        """Ask until the file is complete."""
        tries = 0
        while sink.size != item.size or not item.size:
            before = sink.size
            try:
                try:
                    self._library.get(self._request, self._commit, item, sink, sink.size)
                finally:
                    sink.flush()
                if sink.size == item.size:
                    return
                reason = "{0} ended at byte {1} of {2}".format(item.path, sink.size, item.size)
            except StoppedError:
                raise
            except Exception as exc:
                reason = self._reason(exc, item, sink)
            if sink.size > item.size:
                sink.start_over()
            tries = 0 if sink.size > before else tries + 1
            if self._meter.idle() > self._request.stall_timeout:
                raise SnapshotError(
                    "stalled",
                    "The download of {0} was given up after {1} without a byte ({2}). What has arrived is kept; run "
                    "again to go on.".format(self._request.repo_id, minutes(self._meter.idle()), reason),
                )
            self._meter.note("trying again after: " + reason)
            if self._stop.wait(_DELAYS[min(tries, len(_DELAYS) - 1)]):
                raise StoppedError

    def _reason(self, error: Exception, item: ListedFile, sink: Sink) -> str:
        """Why one attempt has ended, when another may go better; else the error."""
        problem = explain(error, self._request)
        broken_off = "Consistency check failed" in str(error)
        if problem.kind == "hub_unreachable" or broken_off:
            text = str(error).strip().splitlines() or [type(error).__name__]
            return text[0].partition(" for url ")[0][:160]
        raise problem from error
