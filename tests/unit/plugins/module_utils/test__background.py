# SPDX-License-Identifier: GPL-3.0-or-later
"""A process is known by more than its number, and takes nothing along that it was not told to."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from ansible_collections.llmserve.vllm.plugins.module_utils._background import (
    call_self,
    is_gone,
    own_identity,
    runs_here,
    spawn,
    started_at,
)


def test_who_runs_here() -> None:
    me = own_identity()
    assert me["pid"] == os.getpid()
    assert runs_here(me)
    assert not is_gone(me)
    # the number belongs to another process by now
    later = {**me, "started": "1"}
    assert not runs_here(later)
    assert is_gone(later)
    # of another host's processes nothing is known
    elsewhere = {**me, "host": "elsewhere"}
    assert not runs_here(elsewhere)
    assert not is_gone(elsewhere)
    # nothing is known of its beginning
    assert not runs_here({**me, "pid": 0, "started": ""})


def test_a_zombie_is_dead() -> None:
    child = subprocess.Popen([sys.executable, "-c", "pass"])
    try:
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert started_at(child.pid) == ""
    finally:
        child.wait()


def test_what_it_takes_along(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    left, right = os.pipe()
    log = tmp_path / "log"

    def work(answer: Callable[[bytes], None]) -> None:
        answer(b"!")
        there = [number for number in range(3, 100) if _is_open(number)]
        os.write(writer, f"{there} {os.getcwd()} {os.getsid(0) == os.getpgid(0)}".encode())
        print("said", flush=True)

    assert spawn(str(log), work, keep=[writer]) == b"!"
    os.close(writer)
    with os.fdopen(reader) as pipe:
        assert pipe.read() == f"[{writer}] / True"
    os.close(left)
    os.close(right)
    assert log.stat().st_mode & 0o777 == 0o600


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def test_one_that_fails_leaves_word(tmp_path: Path) -> None:
    log = tmp_path / "log"

    def work(_answer: Callable[[bytes], None]) -> None:
        raise ValueError("this is why")

    assert spawn(str(log), work) == b""
    until = time.monotonic() + 10
    while "this is why" not in log.read_text() and time.monotonic() < until:
        time.sleep(0.05)
    assert "ValueError: this is why" in log.read_text()


def test_a_process_is_called_so_after_it_has_become_another_user(tmp_path: Path) -> None:
    user = 65534 if os.geteuid() == 0 else os.geteuid()

    def work(answer: Callable[[bytes], None]) -> None:
        os.setresuid(user, user, user)
        call_self("llmserve-test")
        (seen,) = [Path(f"/proc/{os.getpid()}/comm").read_text().strip()]
        answer(b"+" if seen == "llmserve-test" else b"-")

    assert spawn(str(tmp_path / "log"), work) == b"+"
