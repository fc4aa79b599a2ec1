# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Calls that may hang inside the kernel, each with a time limit.

This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import json
import os
import select
import signal
import time
from typing import Any, Callable, Dict, List, NamedTuple, NoReturn, Optional, Sequence

# A child that was killed is usually gone at once; one in an uninterruptible wait never goes.
_REAP_SECONDS = 0.5


class Answer(NamedTuple):
    """What a call returned; C(finished) is false when it was cut off, and C(error) is what it raised."""

    finished: bool
    value: Any = None
    error: Optional[str] = None


class _Child(NamedTuple):
    pid: int
    pipe: int
    number: int


def call_all(calls: Sequence[Callable[[], Any]], timeout: float) -> List[Answer]:
    """Run every call in a child process of its own, all at once, and wait C(timeout) seconds for all of them together.

    A thread would not do: one that waits for a dead file server keeps its whole process from ending. Whatever a call
    returns must be plain JSON.
    """
    answers = [Answer(False) for _call in calls]
    waiting: Dict[int, _Child] = {}
    received: Dict[int, List[bytes]] = {}
    for index, call in enumerate(calls):
        reader, writer = os.pipe()
        try:
            pid = os.fork()
        except OSError as exc:
            answers[index] = Answer(True, None, str(exc))
            os.close(reader)
            os.close(writer)
            continue
        if pid == 0:
            _be_the_child(call, writer)
        os.close(writer)
        waiting[reader] = _Child(pid, reader, index)
        received[reader] = []
    deadline = time.monotonic() + timeout
    while waiting:
        left = deadline - time.monotonic()
        ready = select.select(list(waiting), [], [], left)[0] if left > 0 else []
        if not ready:
            break
        for pipe in ready:
            data = os.read(pipe, 1 << 16)
            received[pipe].append(data)
            if not data:
                child = waiting.pop(pipe)
                answers[child.number] = _answer(b"".join(received[pipe]))
                _end(child)
    for child in waiting.values():
        os.kill(child.pid, signal.SIGKILL)
    for child in waiting.values():
        _end(child)
    return answers


def _be_the_child(call: Callable[[], Any], writer: int) -> NoReturn:
    try:
        try:
            data = json.dumps([call(), None]).encode()
        except Exception as exc:
            data = json.dumps([None, "{0}: {1}".format(type(exc).__name__, exc)]).encode()
        while data:
            data = data[os.write(writer, data) :]
    finally:
        # not sys.exit: nothing of the parent's may be flushed or cleaned up twice
        os._exit(0)


def _answer(data: bytes) -> Answer:
    try:
        value, error = json.loads(data.decode())
    except ValueError:
        return Answer(True, None, "it ended without an answer")
    return Answer(True, value, error)


def _end(child: _Child) -> None:
    os.close(child.pipe)
    deadline = time.monotonic() + _REAP_SECONDS
    while os.waitpid(child.pid, os.WNOHANG)[0] == 0 and time.monotonic() < deadline:
        time.sleep(0.002)
