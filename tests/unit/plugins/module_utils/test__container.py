# SPDX-License-Identifier: GPL-3.0-or-later
"""Docker asked through a stand-in."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.llmserve.vllm.plugins.module_utils._container import (
    CliResult,
    ContainerError,
    ContainerState,
    at_its_end,
    down_reason,
    hopeless_reason,
    inspect,
    last_lines,
    logs,
    run_cli,
)
from ansible_collections.llmserve.vllm.tests.unit.plugins.fake_docker import FakeDocker, state


def test_inspect_and_logs(tmp_path: Path) -> None:
    docker = FakeDocker(tmp_path)
    docker.states(state("exited", restarts=2, exit_code=137, oom=True))
    docker.log("one\ntwo\n")
    found = inspect(docker.path, "x")
    assert (found.status, found.restarts, found.exit_code, found.oom_killed) == ("exited", 2, 137, True)
    assert logs(docker.path, "x", 10, "2026-11-21T09:00:00Z") == "one\ntwo\n"
    assert docker.calls()[1] == "logs --tail 10 --since 2026-11-21T09:00:00Z x"


@pytest.mark.parametrize(
    ("events", "end"),
    [
        ((), (0, False, False)),
        (("create <no value>", "start <no value>"), (0, False, False)),
        (("start <no value>", "die 137", "start <no value>"), (137, False, False)),
        (("start <no value>", "oom <no value>", "die 1", "start <no value>"), (1, True, False)),
        # an earlier end is not this one
        (("oom <no value>", "die 137", "stop <no value>", "start <no value>", "die 2"), (2, False, False)),
        (("start <no value>", "kill <no value>", "die 143", "stop <no value>"), (143, False, True)),
        (("die <no value>",), (0, False, False)),
    ],
)
def test_events_know_the_end_that_a_restart_has_wiped_out(
    tmp_path: Path, events: tuple[str, ...], end: tuple[int, bool, bool]
) -> None:
    docker = FakeDocker(tmp_path)
    docker.states(state(restarts=1))
    docker.events(*events)
    found = at_its_end(docker.path, inspect(docker.path, "x"))
    assert (found.exit_code, found.oom_killed, found.stopped) == end
    assert "--since 2026-11-21T08:59:58Z --until 0s --filter container=4f1c" in docker.calls()[-1]


def test_an_end_that_nobody_can_tell_of_leaves_the_state_as_it_is() -> None:
    assert at_its_end("docker", ContainerState(False)) == ContainerState(False)
    known = ContainerState(True, "exited", exit_code=3, created="2026-11-21T08:59:58Z", id="4f1c")
    assert at_its_end("docker", known, run=lambda argv, timeout: CliResult(1, "", "no")) == known


def test_a_missing_container_is_a_state(tmp_path: Path) -> None:
    docker = FakeDocker(tmp_path)
    docker.states(None)
    assert inspect(docker.path, "x") == ContainerState(exists=False)


@pytest.mark.parametrize(
    ("result", "words"),
    [
        (CliResult(127, "", "[Errno 2] No such file or directory: 'docker'"), "Install Docker"),
        (CliResult(1, "", "permission denied while trying to connect to the Docker daemon socket"), "become: true"),
        (CliResult(1, "", "Cannot connect to the Docker daemon at unix:///var/run/docker.sock."), "systemctl status"),
        (CliResult(124, "", "no answer within 30 s"), "systemctl status docker"),
        (CliResult(3, "", "odd"), "by hand"),
        (CliResult(0, "not json", ""), "not its usual JSON"),
    ],
)
def test_docker_that_cannot_be_asked(result: CliResult, words: str) -> None:
    with pytest.raises(ContainerError, match=words):
        inspect("docker", "x", run=lambda argv, timeout: result)


def test_the_environment_is_not_asked_for() -> None:
    seen: list[str] = []

    def run(argv: list[str], timeout: float) -> CliResult:
        seen.extend(argv)
        return CliResult(1, "", "no such container")

    inspect("docker", "x", run=run)
    assert "--format" in seen
    assert ".Config" not in " ".join(seen)


def test_run_cli_never_raises(tmp_path: Path) -> None:
    assert run_cli([str(tmp_path / "absent")], 1).rc == 127
    assert run_cli(["sleep", "5"], 0.05).rc == 124
    assert run_cli(["sh", "-c", "echo a; echo b >&2; printf '\\377'"], 5, merge=True).stdout == "a\nb\n�"


@pytest.mark.parametrize(
    ("found", "before", "down", "hopeless"),
    [
        (ContainerState(True, "running", 0), 0, None, None),
        (ContainerState(True, "running", 4), 4, None, None),
        (ContainerState(False), 0, "does not exist", "does not exist"),
        (ContainerState(True, "exited", 0, 1), 0, "not running: exited, exit code 1", "exit code 1"),
        (ContainerState(True, "exited", 0, 137, True), 0, "killed for memory", "killed for memory"),
        (ContainerState(True, "created"), 0, "not running: created", "not running: created"),
        (ContainerState(True, "running", 1), 0, "died and Docker restarted it (1 restarts, 0", None),
        (ContainerState(True, "restarting", 1, 2), 0, "exit code 2", None),
        (ContainerState(True, "running", 3), 0, "restarted it", "restart loop (3 restarts"),
        # it was in a loop before anybody looked
        (ContainerState(True, "restarting", 9, 2), 9, "restarted it", "restart loop (9 restarts, exit code 2"),
    ],
)
def test_reasons(found: ContainerState, before: int, down: str | None, hopeless: str | None) -> None:
    for reason, expected in ((down_reason(found, "x", before), down), (hopeless_reason(found, "x", before), hopeless)):
        if expected is None:
            assert reason is None
        else:
            assert reason is not None
            assert expected in reason


def test_last_lines_show_the_end_of_progress_bars() -> None:
    assert last_lines("a\n\nb  \n 1%\r 50%\r\n10%\r100%\r\r\n", 3) == ["b", " 50%", "100%"]
    assert last_lines("a\nb\n", 0) == []
