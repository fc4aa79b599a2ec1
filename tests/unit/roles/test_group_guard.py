# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Parts that end together: real processes on the loopback interface."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ansible_collections.llmserve.vllm.tests.unit.roles.script import ROLES, load_script

SCRIPT = ROLES / "ray_node/files/group_guard.py"
# Stands for vLLM: writes down who it is, and goes on until it is told to end.
ENGINE = "import os, sys, time; open(sys.argv[1], 'a').write(f'{os.getpid()}\\n'); time.sleep(float(sys.argv[2]))"
DEAF = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + ENGINE
LONG = 40.0


guard = load_script(SCRIPT)


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


def catches(pid: int, number: int) -> bool:
    """Whether a process handles a signal by now."""
    status = Path(f"/proc/{pid}/status").read_text()
    return bool(int(status.partition("SigCgt:")[2].split()[0], 16) >> (number - 1) & 1)


class Group:
    """Guards of one group, with what they have said. The first one is called a, the others b and c."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.create_server(("127.0.0.1", 0)) as server:
            self.port = server.getsockname()[1]
        self.guards: list[subprocess.Popen[bytes]] = []

    def start(
        self, name: str, *options: str, group: str = "g", code: str = ENGINE, file: str = ""
    ) -> subprocess.Popen[bytes]:
        lead = ("--lead",) if name == "a" else ()
        at = ("--at", f"127.0.0.1:{self.port}", "--group", group, "--name", name, *lead, *options)
        engine = (sys.executable, "-c", code, str(self.folder / f"{file or name}.pids"), str(LONG))
        with (self.folder / f"{file or name}.log").open("ab") as log:
            started = subprocess.Popen([sys.executable, str(SCRIPT), *at, "--", *engine], stdout=log, stderr=log)
        self.guards.append(started)
        return started

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text()

    def engines(self, name: str) -> list[int]:
        file = self.folder / f"{name}.pids"
        return [int(line) for line in file.read_text().split()] if file.exists() else []


@pytest.fixture
def group(tmp_path: Path) -> Iterator[Group]:
    made = Group(tmp_path)
    yield made
    for process in made.guards:
        process.kill()
        process.wait()
    for file in tmp_path.glob("*.pids"):
        for pid in map(int, file.read_text().split()):
            if alive(pid):
                os.kill(pid, signal.SIGKILL)


def together(group: Group, code: str = ENGINE) -> list[subprocess.Popen[bytes]]:
    """Two ranks of vLLM that run."""
    found = [group.start(name, code=code) for name in ("a", "b")]
    soon(lambda: group.engines("a") and group.engines("b"))
    return found


def ray(group: Group) -> list[subprocess.Popen[bytes]]:
    """Ray's head, a worker and the engine, all running."""
    found = [group.start("a", "--outlive"), group.start("b"), group.start("engine", "--needs-all")]
    soon(lambda: all(group.engines(name) for name in ("a", "b", "engine")))
    return found


def test_a_lost_rank_ends_the_first(group: Group) -> None:
    head, rank = together(group)
    rank.kill()
    assert head.wait(LONG) == guard.LOST
    assert "b is lost (its connection has ended): a ends, to start anew together" in group.log("a")
    assert not alive(group.engines("a")[0])


def test_a_lost_first_ends_the_ranks(group: Group) -> None:
    head, rank = together(group)
    head.kill()
    assert rank.wait(LONG) == guard.LOST
    assert "the first one is lost" in group.log("b")
    assert not alive(group.engines("b")[0])


def test_one_lost_rank_of_three_ends_all(group: Group) -> None:
    started = [group.start(name) for name in ("a", "b", "c")]
    soon(lambda: all(group.engines(name) for name in ("a", "b", "c")))
    started[2].kill()
    assert [started[0].wait(LONG), started[1].wait(LONG)] == [guard.LOST, guard.LOST]
    assert "c is lost" in group.log("a")
    assert "the first one is lost" in group.log("b")


def test_a_rank_that_hangs_is_lost_when_it_gives_no_sign_of_life(group: Group) -> None:
    head, rank = together(group)
    rank.send_signal(signal.SIGSTOP)
    assert head.wait(LONG) == guard.LOST
    assert re.search(r"b is lost \(no sign of life for \d+ s\)", group.log("a"))


def test_a_first_that_hangs_is_lost_to_the_ranks(group: Group) -> None:
    head, rank = together(group)
    head.send_signal(signal.SIGSTOP)
    assert rank.wait(LONG) == guard.LOST
    assert re.search(r"the first one is lost \(no sign of life for \d+ s\)", group.log("b"))


def test_an_engine_that_ends_by_itself_ends_its_guard_with_its_own_code(group: Group) -> None:
    head, rank = together(group)
    os.kill(group.engines("b")[0], signal.SIGKILL)
    assert rank.wait(LONG) == 128 + signal.SIGKILL
    assert head.wait(LONG) == guard.LOST


def test_an_engine_that_does_not_listen_is_killed(group: Group) -> None:
    head, rank = together(group, code=DEAF)
    rank.kill()
    assert head.wait(LONG) == guard.LOST
    assert not alive(group.engines("a")[0])


def test_a_rank_waits_for_the_first_before_it_starts(group: Group) -> None:
    rank = group.start("b")
    time.sleep(1.5)
    assert group.engines("b") == []
    assert rank.poll() is None
    group.start("a")
    soon(lambda: group.engines("b"))
    assert f"b has found the first one at 127.0.0.1:{group.port}" in group.log("b")


def test_nobody_joins_before_the_first_is_ready_for_it(group: Group) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    group.start("a", "--outlive", "--after", f"127.0.0.1:{port}")
    group.start("b")
    time.sleep(2)
    assert group.engines("a")
    assert group.engines("b") == []
    with socket.create_server(("127.0.0.1", port)):
        soon(lambda: group.engines("b"))


def test_the_first_tells_who_is_missing(group: Group) -> None:
    group.start("a", "--expect", "b,c")
    group.start("b")
    soon(lambda: "waiting for c to join for" in group.log("a"))
    assert "waiting for b" not in group.log("a")


def test_a_restarted_rank_finds_the_restarted_first(group: Group) -> None:
    head, rank = together(group)
    head.kill()
    assert rank.wait(LONG) == guard.LOST
    head.wait()
    together(group)
    soon(lambda: len(group.engines("b")) > 1)


def test_a_rank_that_joins_twice_was_lost(group: Group) -> None:
    head, _rank = together(group)
    group.start("b", file="again")
    assert head.wait(LONG) == guard.LOST
    assert "b is lost (it has started anew)" in group.log("a")


def test_rays_head_outlives_a_worker_and_the_engine_does_not(group: Group) -> None:
    head, worker, engine = ray(group)
    worker.kill()
    assert engine.wait(LONG) == guard.LOST
    assert "b is lost" in group.log("a")
    assert "a node is lost" in group.log("engine")
    assert head.poll() is None
    assert alive(group.engines("a")[0])


def test_rays_worker_outlives_the_engine(group: Group) -> None:
    head, worker, engine = ray(group)
    engine.kill()
    soon(lambda: "engine is lost" in group.log("a"))
    group.start("engine", "--needs-all")
    soon(lambda: len(group.engines("engine")) > 1)
    time.sleep(0.5)
    assert (head.poll(), worker.poll()) == (None, None)


def test_a_worker_that_comes_back_before_it_is_missed_ends_the_engine_alone(group: Group) -> None:
    head, _worker, engine = ray(group)
    group.start("b", file="again")
    assert engine.wait(LONG) == guard.LOST
    soon(lambda: group.engines("again"))
    assert head.poll() is None
    assert "b is lost (it has started anew)" in group.log("a")


def test_all_of_ray_ends_with_its_head(group: Group) -> None:
    head, worker, engine = ray(group)
    os.kill(group.engines("a")[0], signal.SIGKILL)
    assert head.wait(LONG) == 128 + signal.SIGKILL
    assert (worker.wait(LONG), engine.wait(LONG)) == (guard.LOST, guard.LOST)


@pytest.mark.parametrize(
    "said",
    [b"", b"GET / HTTP/1.0\n\n", b"llmserve-group other b\n", b"llmserve-group g b c\n", b"llmserve-group g /\n"],
)
def test_strangers_are_nobody_to_miss(group: Group, said: bytes) -> None:
    head, _rank = together(group)
    with socket.create_connection(("127.0.0.1", group.port), timeout=10) as stranger:
        stranger.sendall(said)
        if said:
            assert stranger.recv(1) == b""
    time.sleep(1)
    assert head.poll() is None
    assert "lost" not in group.log("a")


def test_a_rank_of_another_group_waits(group: Group) -> None:
    group.start("a")
    group.start("c", group="another")
    group.start("b")
    soon(lambda: group.engines("b"))
    assert group.engines("c") == []


def test_stopping_is_passed_on(group: Group) -> None:
    head, rank = together(group)
    engine = group.engines("b")[0]
    rank.send_signal(signal.SIGTERM)
    assert rank.wait(LONG) == 128 + signal.SIGTERM
    assert not alive(engine)
    assert head.wait(LONG) == guard.LOST


def test_what_is_told_to_stop_has_not_failed(group: Group) -> None:
    code = "import signal, sys; signal.signal(signal.SIGTERM, lambda *_all: sys.exit(1)); " + ENGINE
    head = group.start("a", code=code)
    soon(lambda: group.engines("a"))
    head.send_signal(signal.SIGTERM)
    assert head.wait(LONG) == 128 + signal.SIGTERM


def test_stopping_a_rank_that_waits_ends_it_at_once(group: Group) -> None:
    rank = group.start("b")
    soon(lambda: catches(rank.pid, signal.SIGTERM))
    rank.send_signal(signal.SIGTERM)
    assert rank.wait(LONG) == 128 + signal.SIGTERM


@pytest.mark.parametrize("wrong", [("--name", "b", "--"), ("--name", "b c", "--", "true")])
def test_a_command_and_a_name_are_needed(wrong: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit):
        guard.parse(["--group", "g", "--at", "127.0.0.1:1", *wrong])
