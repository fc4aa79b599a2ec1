# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a command printed, with a limit on its time and on the bytes that are kept of it.

This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import time
from typing import NamedTuple, Optional, Sequence

# A log's root cause is often told long before its end, so its beginning is kept, too.
_HEAD_SHARE = 4
_PIECE = 1 << 16
_REAP_SECONDS = 2


class Captured(NamedTuple):
    """How a command ended. C(rc) is None when it could not be started or was cut off, and C(problem) says why."""

    rc: Optional[int]
    text: str
    problem: str = ""


class Ends:
    """Takes bytes piece by piece and keeps the first quarter and the last three of so many."""

    def __init__(self, most: int) -> None:
        self._first = most // _HEAD_SHARE
        self._last = most - self._first
        self._head = bytearray()
        self._tail = bytearray()
        self._dropped = 0

    def add(self, piece: bytes) -> None:
        room = max(0, self._first - len(self._head))
        self._head += piece[:room]
        self._tail += piece[room:]
        if len(self._tail) > 2 * self._last + _PIECE:
            self._trim()

    def _trim(self) -> None:
        over = len(self._tail) - self._last
        if over > 0:
            self._dropped += over
            del self._tail[:over]

    def text(self) -> str:
        """What was kept, in whole lines: half a secret would not be known as one."""
        self._trim()
        if not self._dropped:
            return bytes(self._head + self._tail).decode("utf-8", "replace")
        head = self._head[: self._head.rfind(b"\n") + 1]
        cut = self._tail.find(b"\n")
        tail = self._tail[cut + 1 :] if cut >= 0 else bytearray()
        left_out = self._dropped + len(self._head) - len(head) + len(self._tail) - len(tail)
        mark = "[{0} bytes left out]\n".format(left_out).encode()
        return bytes(head + mark + tail).decode("utf-8", "replace")


def capture(argv: Sequence[str], timeout: float, most: int) -> Captured:
    """Run a command without a shell, stdout and stderr in one, and kill all of it when the time is up."""
    try:
        process = subprocess.Popen(
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**os.environ, "LC_ALL": "C", "LANG": "C"},
        )
    except OSError as exc:
        return Captured(None, "", "{0}: {1}".format(argv[0], exc.strerror))
    ends = Ends(most)
    finished = _read(process, ends, time.monotonic() + timeout)
    if not finished:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    try:
        rc = process.wait(_REAP_SECONDS)
    except subprocess.TimeoutExpired:
        # stuck inside the kernel: leave it to init instead of hanging with it
        finished = False
    if process.stdout:
        process.stdout.close()
    if not finished:
        return Captured(None, ends.text(), "{0}: cut off after {1:g} s".format(" ".join(argv[:2]), timeout))
    return Captured(rc, ends.text())


def _read(process: subprocess.Popen[bytes], ends: Ends, deadline: float) -> bool:
    """Whether the command closed its output in time."""
    if process.stdout is None:
        return True
    descriptor = process.stdout.fileno()
    while True:
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([descriptor], [], [], left)[0]:
            return False
        piece = os.read(descriptor, _PIECE)
        if not piece:
            return True
        ends.add(piece)
