# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A process that outlives the connection that started it, and how to know it again later.

It is a copy of this process in a session of its own: what it needs to know, a token for example, it has in its memory,
and nothing of it is in arguments, environment or files.

This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import socket
import traceback
from typing import Any, Callable, Dict, Iterable, Mapping

from ansible_collections.llmserve.vllm.plugins.module_utils._host import read_text

_MOST_FILES = 65536
_PR_SET_NAME = 15


def host_identity() -> str:
    """Which processes the numbers of this one's /proc belong to: containers on one machine have one boot id."""
    boot = (read_text("/proc/sys/kernel/random/boot_id") or "").strip()
    try:
        space = os.readlink("/proc/self/ns/pid")
    except OSError:
        space = ""
    return " ".join((socket.gethostname(), boot, space))


def started_at(pid: int) -> str:
    """When a process began, in ticks since the boot; tells it from a later one with the same number."""
    stat = read_text("/proc/{0}/stat".format(pid)) or ""
    fields = stat.rpartition(")")[2].split()
    if len(fields) <= 19:
        return ""
    # A zombie is dead, whoever has not yet waited for it; but its ports are free only when its last thread has ended.
    is_dead = fields[0] in "ZX" and int(fields[17]) <= 1
    return "" if is_dead else fields[19]


def call_self(name: str) -> None:
    """Give this process a name of at most 15 characters, by which it is known as one of this collection."""
    # not by /proc/self/comm, which belongs to root once a process has become another user
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_NAME, ctypes.c_char_p(name.encode()), 0, 0, 0)


def own_identity() -> Dict[str, Any]:
    """This process, in words that no other process has: C(host), C(pid) and C(started)."""
    pid = os.getpid()
    return {"host": host_identity(), "pid": pid, "started": started_at(pid)}


def is_gone(process: Mapping[str, Any]) -> bool:
    """Whether it is certain that a process has ended; nothing is known of another host's processes."""
    return process["host"] == host_identity() and started_at(process["pid"]) != process["started"]


def runs_here(process: Mapping[str, Any]) -> bool:
    """Whether it is certain that this host still runs this very process."""
    started = process["started"]
    return bool(started) and process["host"] == host_identity() and started_at(process["pid"]) == started


def spawn(log: str, work: Callable[[Callable[[bytes], None]], None], keep: Iterable[int] = ()) -> bytes:
    """Run C(work) in a process of its own, which has C(log) as its output and of the open files only C(keep).

    C(work) gets a function that answers with one byte. That byte is returned; nothing when there was none.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.setsid()
            if os.fork() == 0:
                _detach(log, {writer, *keep})
                _work(work, writer)
            code = 0
        finally:
            os._exit(code)
    os.close(writer)
    os.waitpid(child, 0)
    with os.fdopen(reader, "rb") as pipe:
        return pipe.read(1)


def _work(work: Callable[[Callable[[bytes], None]], None], writer: int) -> None:
    def answer(word: bytes) -> None:
        os.write(writer, word)
        os.close(writer)

    try:
        work(answer)
    except BaseException:
        # straight into the log: the streams of Python are those of who started this
        os.write(2, traceback.format_exc().encode("utf-8", "replace"))
        raise


def _detach(log: str, keep: Iterable[int]) -> None:
    """Hold on to nothing of who started this: an open pipe would keep ssh and Ansible waiting."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    # What is in the memory stays there.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.chdir("/")
    os.umask(0o022)
    null = os.open(os.devnull, os.O_RDONLY)
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(null, 0)
    os.dup2(out, 1)
    os.dup2(out, 2)
    first = 3
    for kept in sorted(keep):
        os.closerange(first, kept)
        first = kept + 1
    allowed = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    os.closerange(first, _MOST_FILES if allowed == resource.RLIM_INFINITY else min(allowed, _MOST_FILES))
