# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of a Hub cache for those who want them already while they arrive.

This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import os
import socket
import stat
import time
from types import TracebackType
from typing import BinaryIO, Callable, List, NamedTuple, Optional, Tuple, Type

from ansible_collections.llmserve.vllm.plugins.module_utils._snapshot_errors import Request, SnapshotError
from ansible_collections.llmserve.vllm.plugins.module_utils._snapshot_job import Jobs
from ansible_collections.llmserve.vllm.plugins.module_utils._snapshot_listing import announced
from ansible_collections.llmserve.vllm.plugins.module_utils._snapshot_store import (
    CacheStore,
    ListedFile,
    Listing,
    refuse_unsafe,
)

# Less than the 30 s after which clients give up a connection that is silent.
PATIENCE = 20.0
# How often to look for more bytes, at first and after a while without any; a megabyte takes 8 ms at 1 Gbit/s.
_SOONEST, _LATEST = 0.005, 0.1
_LOOK_FOR_JOB = 1.0
_LOOK_FOR_LISTING = 0.2


class AbsentError(Exception):
    """What is asked for is not here and will not come: the Hub's word for what is missing, and a sentence."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class NotYetError(Exception):
    """What is asked for may come later."""


class Model:
    """One model's directory in the cache."""

    def __init__(self, cache_dir: str, repo_id: str, patience: float = PATIENCE) -> None:
        nowhere = Request(repo_id, "", cache_dir, "", "", None, (), 1, "")
        self.repo_id, self.patience = repo_id, patience
        self._store = CacheStore(nowhere)
        self._jobs = Jobs(self._store.state)

    def is_arriving(self) -> bool:
        """Whether a job fetches something of this model."""
        return self._jobs.current() is not None

    def await_listing(self, splits: List[Tuple[str, str]]) -> Tuple[Listing, str]:
        """The list of the first of these revisions that is known, and the path that goes with it."""
        until = time.monotonic() + self.patience
        while True:
            ended = not self.is_arriving()
            for revision, path in splits:
                listing = self._listing(revision)
                if listing is not None:
                    return listing, path
            if ended:
                raise self._unknown(splits[0][0])
            if time.monotonic() >= until:
                raise NotYetError("The list of {0} at {1} has not come yet.".format(self.repo_id, splits[0][0]))
            time.sleep(_LOOK_FOR_LISTING)

    def _listing(self, revision: str) -> Optional[Listing]:
        listing = announced(self._store.state, revision)
        try:
            if listing is not None:
                refuse_unsafe(listing)
        except SnapshotError:
            return None
        return listing

    def _unknown(self, revision: str) -> AbsentError:
        if os.path.isdir(self._store.repo):
            return AbsentError(
                "RevisionNotFound", "This host has no revision {0} of {1}.".format(revision, self.repo_id)
            )
        return AbsentError("RepoNotFound", "This host has nothing of {0}.".format(self.repo_id))

    def is_expected(self, commit: str, item: ListedFile) -> bool:
        """Whether there is something of the file, or may be soon."""
        if self.is_arriving():
            return True
        found = self._open(commit, item)
        if found is not None:
            found.close()
        return found is not None

    def await_content(self, commit: str, item: ListedFile, start: int) -> Content:
        """The open file, once it has more than C(start) bytes."""
        until = time.monotonic() + self.patience
        pause = _SOONEST
        while True:
            ended = not self.is_arriving()
            found = self._open(commit, item)
            if found is not None:
                if found.stands_at() > start or found.stands_at() == item.size:
                    return Content(found, item.size, self.is_arriving, self.patience)
                found.close()
            if ended:
                raise AbsentError("EntryNotFound", "{0} is not on this host.".format(item.path))
            if time.monotonic() >= until:
                raise NotYetError("Byte {0} of {1} has not come yet.".format(start, item.path))
            time.sleep(pause)
            pause = min(2 * pause, _LATEST)

    def _open(self, commit: str, item: ListedFile) -> Optional[_OpenFile]:
        """The whole content, else what has arrived of it. Names come from the list of files, whoever asks."""
        blob, seen = self._store.content(item), self._store.seen(commit, item)
        # On filesystems without links the snapshot has the file itself; a link there leads to the blob, or astray.
        for path, flags in ((blob, 0), (seen, os.O_NOFOLLOW), (self._store.partial(item), os.O_NOFOLLOW)):
            found = _OpenFile.of(path, flags)
            if found is None:
                continue
            if found.stands_at() == item.size or path not in (blob, seen):
                return found
            found.close()
        # it may have been renamed between the looks
        return _OpenFile.of(blob, 0, item.size)


class _OpenFile(NamedTuple):
    """A regular file, which stays the same one when it is renamed."""

    stream: BinaryIO

    @classmethod
    def of(cls, path: str, flags: int, size: Optional[int] = None) -> Optional[_OpenFile]:
        """Open it, if it is there; with C(size) only when it has this one."""
        try:
            handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | flags)
        except OSError:
            return None
        # SIM115: it is closed by who asked for it
        found = cls(open(handle, "rb", buffering=0))  # noqa: SIM115
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode) or size not in (None, status.st_size):
            found.close()
            return None
        return found

    def stands_at(self) -> int:
        """Its size, or -1 when nobody else can reach it any more."""
        status = os.fstat(self.stream.fileno())
        return status.st_size if status.st_nlink else -1

    def close(self) -> None:
        self.stream.close()


class Content:
    """An open file that is whole, or is becoming so."""

    def __init__(self, file: _OpenFile, size: int, is_arriving: Callable[[], bool], patience: float) -> None:
        self._file, self._size, self._is_arriving, self._patience = file, size, is_arriving, patience
        self._largest = 0
        self._ended, self._looked = False, 0.0

    def __enter__(self) -> Content:
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], value: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self._file.close()

    def send(self, connection: socket.socket, start: int, end: int) -> bool:
        """Send what is between these places as it arrives; false when not all of it could be had."""
        place = start
        while place < end:
            there = min(self._await_more(place), end)
            if there <= place:
                return False
            place += connection.sendfile(self._file.stream, place, there - place)
        return True

    def _await_more(self, place: int) -> int:
        """How many bytes there are, when they are more than C(place); else nothing more is to be expected."""
        until = time.monotonic() + self._patience
        pause = _SOONEST
        while True:
            ended = self._job_ended()
            there = self._file.stands_at()
            if there < self._largest:
                # it is started over, or has been thrown away: what was sent is the beginning of nothing
                return -1
            self._largest = there
            if there > place or ended or time.monotonic() >= until:
                return min(there, self._size)
            time.sleep(pause)
            pause = min(2 * pause, _LATEST)

    def _job_ended(self) -> bool:
        """Not asked for each block, as it costs several reads of files."""
        now = time.monotonic()
        if self._largest < self._size and now - self._looked >= _LOOK_FOR_JOB:
            self._ended, self._looked = not self._is_arriving(), now
        return self._ended
