# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How far a download or a verification has come, counted by its threads and told in one sentence.

This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import Any, Callable, Deque, Dict, Tuple

from ansible_collections.llmserve.vllm.plugins.module_utils._hub import human_bytes
from ansible_collections.llmserve.vllm.plugins.module_utils._wait import minutes

# The rate is that of the last half minute: long enough to be steady, short enough to follow the network.
_WINDOW = 30.0
# When nothing has moved for so long, the sentence says so, and why.
STILL_SECONDS = 60.0
# Longer than that is no forecast.
_FORESEEABLE = 100 * 3600.0

FETCH, VERIFY, FINISH = "fetch", "verify", "finish"
_DOING = {FETCH: "downloading", VERIFY: "verifying", FINISH: "finishing"}


class Meter:
    """Counts bytes and files; safe to use from many threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self.fetched = 0
        self._marks: Deque[Tuple[float, int]] = deque()
        self._moved = clock()
        self._note = ""
        self.begin(FETCH, 0, 0, 0, 0)

    def begin(self, phase: str, bytes_done: int, bytes_total: int, files_done: int, files_total: int) -> None:
        """Start counting anew, for another kind of work."""
        with self._lock:
            self.phase = phase
            self.bytes_done, self.bytes_total = bytes_done, bytes_total
            self.files_done, self.files_total = files_done, files_total
            self._passed = 0
            self._marks = deque([(self._clock(), 0)])
            self._moved = self._clock()

    def add(self, count: int) -> None:
        """Bytes have arrived, or have been read."""
        with self._lock:
            self.bytes_done += count
            self._passed += count
            if self.phase == FETCH:
                self.fetched += count
            now = self._clock()
            self._moved = now
            self._note = ""
            if now - self._marks[-1][0] >= 1:
                self._marks.append((now, self._passed))
                while len(self._marks) > 2 and now - self._marks[1][0] > _WINDOW:
                    self._marks.popleft()

    def have(self, count: int) -> None:
        """Bytes need not be fetched after all."""
        with self._lock:
            self.bytes_done += count

    def take_back(self, count: int) -> None:
        """Bytes that were counted are worth nothing."""
        with self._lock:
            self.bytes_done -= count

    def file_done(self) -> None:
        """One more file is complete."""
        with self._lock:
            self.files_done += 1
            self._moved = self._clock()

    def note(self, text: str) -> None:
        """Why it is not moving, in case it does not."""
        with self._lock:
            self._note = text

    def idle(self) -> float:
        """Seconds since something has moved."""
        return self._clock() - self._moved

    def rate(self) -> float:
        """Bytes per second of late."""
        with self._lock:
            then, passed = self._marks[0]
            seconds = self._clock() - then
            return (self._passed - passed) / seconds if seconds >= 0.2 else 0.0

    def figures(self) -> Dict[str, Any]:
        """Everything as plain values."""
        return {
            "phase": self.phase,
            "bytes_done": self.bytes_done,
            "bytes_total": self.bytes_total,
            "bytes_fetched": self.fetched,
            "files_done": self.files_done,
            "files_total": self.files_total,
            "bytes_per_second": round(self.rate()),
            "still_seconds": round(self.idle(), 1),
            "note": self._note,
        }


def percent(figures: Dict[str, Any]) -> float:
    """How much is done; 100 only when all is."""
    total = figures.get("bytes_total") or 0
    return min(99.9 if figures["bytes_done"] < total else 100.0, 100.0 * figures["bytes_done"] / total) if total else 0


def sentence(figures: Dict[str, Any]) -> str:
    """The figures as people want to read them."""
    if not figures["files_total"]:
        return "starting"
    done, total, rate = figures["bytes_done"], figures["bytes_total"], figures["bytes_per_second"]
    parts = [
        "{0} {1:.1f} %".format(_DOING.get(figures["phase"], figures["phase"]), percent(figures)),
        "{0} of {1}".format(human_bytes(done), human_bytes(total)),
    ]
    still = figures["still_seconds"]
    if still < STILL_SECONDS:
        parts.append("{0}/s".format(human_bytes(rate)))
        if rate > 0 and 0 < total - done < rate * _FORESEEABLE:
            parts.append("{0} left".format(minutes((total - done) / rate)))
    parts.append("{0} of {1} files".format(figures["files_done"], figures["files_total"]))
    note = figures.get("note")
    if still >= STILL_SECONDS:
        parts.append("nothing has moved for {0}{1}".format(minutes(still), ": " + note if note else ""))
    elif note and still >= 5:
        parts.append(note)
    return ", ".join(parts)
