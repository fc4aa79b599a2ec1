# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ranks that end together: real processes on the loopback interface."""

from __future__ import annotations

import importlib.util
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).resolve().parents[3] / "roles/vllm_serve/files/rank_guard.py"
# Stands for vLLM: writes down who it is, and goes on until it is told to end.
ENGINE = "import os, sys, time; open(sys.argv[1], 'a').write(f'{os.getpid()}\\n'); time.sleep(float(sys.argv[2]))"
DEAF = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + ENGINE
LONG = 40.0


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("rank_guard", SCRIPT)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["rank_guard"] = module
    spec.loader.exec_module(module)
    return module


guard = load()


def soon(is_true: Callable[[], object], seconds: float = LONG) -> None:
    until = time.monotonic() + seconds
    while not is_true():
        assert time.monotonic() < until, "has not happened in time"
        time.sleep(0.05)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


class Ranks:
    """Guards of one group, with what they have said."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.create_server(("127.0.0.1", 0)) as server:
            self.port = server.getsockname()[1]
        self.guards: list[subprocess.Popen[bytes]] = []

    def start(
        self, rank: int, *, name: str = "", ranks: int = 2, group: str = "g", code: str = ENGINE, seconds: float = LONG
    ) -> subprocess.Popen[bytes]:
        name = name or str(rank)
        at = ("--at", f"127.0.0.1:{self.port}", "--group", group, "--rank", str(rank), "--ranks", str(ranks))
        engine = (sys.executable, "-c", code, str(self.folder / f"{name}.pids"), str(seconds))
        with (self.folder / f"{name}.log").open("ab") as log:
            started = subprocess.Popen([sys.executable, str(SCRIPT), *at, "--", *engine], stdout=log, stderr=log)
        self.guards.append(started)
        return started

    def log(self, name: object) -> str:
        return (self.folder / f"{name}.log").read_text()

    def engines(self, name: object) -> list[int]:
        file = self.folder / f"{name}.pids"
        return [int(line) for line in file.read_text().split()] if file.exists() else []


@pytest.fixture
def ranks(tmp_path: Path) -> Iterator[Ranks]:
    made = Ranks(tmp_path)
    yield made
    for process in made.guards:
        process.kill()
        process.wait()
    for file in tmp_path.glob("*.pids"):
        for pid in map(int, file.read_text().split()):
            if alive(pid):
                os.kill(pid, signal.SIGKILL)


def together(ranks: Ranks, **options: str) -> list[subprocess.Popen[bytes]]:
    found = [ranks.start(rank, **options) for rank in (0, 1)]  # type: ignore[arg-type] # (strings go to the strings)
    soon(lambda: ranks.engines(0) and ranks.engines(1))
    return found


def test_a_lost_rank_ends_the_head(ranks: Ranks) -> None:
    head, rank = together(ranks)
    rank.kill()
    assert head.wait(LONG) == guard.LOST
    assert "rank 1 is lost (its connection has ended)" in ranks.log(0)
    assert not alive(ranks.engines(0)[0])


def test_a_lost_head_ends_the_ranks(ranks: Ranks) -> None:
    head, rank = together(ranks)
    head.kill()
    assert rank.wait(LONG) == guard.LOST
    assert "rank 0 is lost" in ranks.log(1)
    assert not alive(ranks.engines(1)[0])


def test_one_lost_rank_of_three_ends_all(ranks: Ranks) -> None:
    started = [ranks.start(rank, ranks=3) for rank in (0, 1, 2)]
    soon(lambda: all(ranks.engines(rank) for rank in (0, 1, 2)))
    started[2].kill()
    assert [started[0].wait(LONG), started[1].wait(LONG)] == [guard.LOST, guard.LOST]
    assert "rank 2 is lost" in ranks.log(0)
    assert "rank 0 is lost" in ranks.log(1)


def test_a_rank_that_hangs_is_lost_when_it_gives_no_sign_of_life(ranks: Ranks) -> None:
    head, rank = together(ranks)
    rank.send_signal(signal.SIGSTOP)
    assert head.wait(LONG) == guard.LOST
    assert re.search(r"rank 1 is lost \(no sign of life for \d+ s\)", ranks.log(0))


def test_an_engine_that_ends_by_itself_ends_its_guard_with_its_own_code(ranks: Ranks) -> None:
    head, rank = together(ranks)
    os.kill(ranks.engines(1)[0], signal.SIGKILL)
    assert rank.wait(LONG) == 128 + signal.SIGKILL
    assert head.wait(LONG) == guard.LOST


def test_an_engine_that_does_not_listen_is_killed(ranks: Ranks) -> None:
    head, rank = together(ranks, code=DEAF)
    rank.kill()
    assert head.wait(LONG) == guard.LOST
    assert not alive(ranks.engines(0)[0])


def test_a_rank_waits_for_the_head_before_it_starts(ranks: Ranks) -> None:
    rank = ranks.start(1)
    time.sleep(1.5)
    assert ranks.engines(1) == []
    assert rank.poll() is None
    ranks.start(0)
    soon(lambda: ranks.engines(1))
    assert f"joined rank 0 at 127.0.0.1:{ranks.port}" in ranks.log(1)


def test_a_restarted_rank_finds_the_restarted_head(ranks: Ranks) -> None:
    head, rank = together(ranks)
    head.kill()
    assert rank.wait(LONG) == guard.LOST
    head.wait()
    together(ranks)
    soon(lambda: len(ranks.engines(1)) > 1)


def test_a_rank_that_joins_twice_was_lost(ranks: Ranks) -> None:
    head, _rank = together(ranks)
    ranks.start(1, name="again")
    assert head.wait(LONG) == guard.LOST
    assert "rank 1 is lost (it has started anew)" in ranks.log(0)


@pytest.mark.parametrize(
    "said", [b"", b"GET / HTTP/1.0\n\n", b"llmserve-rank other 1\n", b"llmserve-rank g 7\n", b"llmserve-rank g x\n"]
)
def test_strangers_are_nobody_to_miss(ranks: Ranks, said: bytes) -> None:
    head, _rank = together(ranks)
    with socket.create_connection(("127.0.0.1", ranks.port), timeout=10) as stranger:
        stranger.sendall(said)
        if said:
            assert stranger.recv(1) in (b"",)
    time.sleep(1)
    assert head.poll() is None
    assert "lost" not in ranks.log(0)


def test_a_rank_of_another_group_waits(ranks: Ranks) -> None:
    ranks.start(0)
    ranks.start(1, name="other", group="another")
    ranks.start(1)
    soon(lambda: ranks.engines(1))
    assert ranks.engines("other") == []


def test_stopping_is_passed_on(ranks: Ranks) -> None:
    head, rank = together(ranks)
    rank_engine = ranks.engines(1)[0]
    rank.send_signal(signal.SIGTERM)
    assert rank.wait(LONG) == 128 + signal.SIGTERM
    assert not alive(rank_engine)
    assert head.wait(LONG) == guard.LOST


def test_stopping_a_rank_that_waits_ends_it_at_once(ranks: Ranks) -> None:
    rank = ranks.start(1)
    time.sleep(1)
    rank.send_signal(signal.SIGTERM)
    assert rank.wait(LONG) == 128 + signal.SIGTERM


def test_a_command_is_needed() -> None:
    with pytest.raises(SystemExit):
        guard.parse(["--group", "g", "--rank", "0", "--ranks", "2", "--at", "127.0.0.1:1", "--"])
