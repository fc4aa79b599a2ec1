# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Waiting in slices: look, sleep, and hand back to the controller often enough to show progress.

This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import time
from typing import Any, Callable, Dict, Mapping, NamedTuple

READY = "ready"
FAILED = "failed"
TIMEOUT = "timeout"
WAITING = "waiting"


class Look(NamedTuple):
    """What one look at the thing waited for has shown."""

    status: str
    # one sentence with figures; for FAILED, why
    sentence: str
    facts: Dict[str, Any]


class Waited(NamedTuple):
    """How a wait, or a slice of one, ended."""

    status: str
    elapsed: float
    look: Look

    def as_result(self, **remembered: Any) -> Dict[str, Any]:
        """What a module returns of it. C(remembered) is what the next slice needs besides the time."""
        return {
            "changed": False,
            "progress": self.look.sentence,
            "elapsed": round(self.elapsed, 1),
            "finished": self.status != WAITING,
            "resume": dict(remembered, elapsed=self.elapsed),
        }


def wait_for(
    look: Callable[[float], Look],
    timeout: float,
    interval: float,
    *,
    slice_seconds: float = 0,
    already: float = 0,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Waited:
    """Look until the answer is READY or FAILED, the whole timeout is over, or this slice is.

    C(already) seconds of the timeout were spent in earlier slices. C(look) is given the seconds that it may take.
    Every call looks at least once. A look that would not end within the slice is left to the next one.
    """
    begin = clock()
    slice_end = begin + slice_seconds if slice_seconds > 0 else float("inf")
    end = begin + timeout - already
    while True:
        started = clock()
        answer = look(max(1.0, min(end, slice_end) - started))
        now = clock()
        elapsed = already + now - begin
        if answer.status in (READY, FAILED):
            return Waited(answer.status, elapsed, answer)
        if now >= end:
            return Waited(TIMEOUT, elapsed, answer)
        if now + interval + (now - started) > slice_end:
            return Waited(WAITING, elapsed, answer)
        sleep(min(interval, max(0.0, end - now)))


def wait_as_told(look: Callable[[float], Look], params: Mapping[str, Any], check_mode: bool) -> Waited:
    """Wait as a module's options timeout, interval, slice and resume say; in check mode for one look."""
    return wait_for(
        look,
        timeout=0 if check_mode else params["timeout"],
        interval=params["interval"],
        slice_seconds=params["slice"],
        already=float(params["resume"].get("elapsed", 0)),
    )


def minutes(seconds: float) -> str:
    """A duration as people read it: 42 s, 3 min 05 s, 1 h 02 min."""
    whole = round(seconds)
    if whole < 60:
        return "{0} s".format(whole)
    if whole < 3600:
        return "{0} min {1:02d} s".format(whole // 60, whole % 60)
    return "{0} h {1:02d} min".format(whole // 3600, whole % 3600 // 60)
