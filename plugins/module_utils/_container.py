# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A container watched through the Docker command line: is it up, did it restart, what did it log.

A systemd unit is watched in the same words, see _unit.py.

This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import json
import subprocess
from typing import Callable, List, NamedTuple, Optional, Sequence

# A formatted inspect never carries the environment, and with it the keys, out of Docker.
_FORMAT = '{"id":{{json .Id}},"created":{{json .Created}},"restarts":{{.RestartCount}},"state":{{json .State}}}'
# Restarts seen while it waits, after which a container is called a restart loop.
RESTART_LOOP = 3


class CliResult(NamedTuple):
    """What a command left behind; rc 124 when it was stopped for taking too long."""

    rc: int
    stdout: str
    stderr: str


# Called as run(argv, timeout) or run(argv, timeout, merge=True).
Runner = Callable[..., CliResult]


class ContainerError(Exception):
    """Docker could not be asked; the message says why and how to mend it."""


class ContainerState(NamedTuple):
    """What C(docker inspect) says about one container, or C(systemctl show) about one unit."""

    exists: bool
    status: str = ""
    restarts: int = 0
    exit_code: int = 0
    oom_killed: bool = False
    error: str = ""
    started_at: str = ""
    created: str = ""
    id: str = ""
    # whether Docker was told to stop it
    stopped: bool = False
    # what it is and who starts it again, for sentences
    kind: str = "container"
    keeper: str = "Docker"

    @property
    def running(self) -> bool:
        return self.status == "running"


def run_cli(argv: Sequence[str], timeout: float, merge: bool = False) -> CliResult:
    """Run a command without a shell, with stderr in the order of stdout if asked; undecodable bytes are replaced."""
    try:
        done = subprocess.run(
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if merge else subprocess.PIPE,
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return CliResult(124, "", "no answer within {0:g} s".format(timeout))
    except OSError as exc:
        return CliResult(127, "", str(exc))
    stderr = (done.stderr or b"").decode("utf-8", "replace")
    return CliResult(done.returncode, done.stdout.decode("utf-8", "replace"), stderr)


def inspect(docker_cli: str, name: str, run: Runner = run_cli) -> ContainerState:
    """The state of a container; C(exists=False) when there is none of that name."""
    done = run([docker_cli, "inspect", "--type", "container", "--format", _FORMAT, name], 30)
    if done.rc != 0:
        words = done.stderr.lower()
        if done.rc != 127 and "no such" in words:
            return ContainerState(exists=False)
        raise ContainerError(_docker_problem(docker_cli, name, done))
    try:
        data = json.loads(done.stdout)
        state = data["state"]
        return ContainerState(
            exists=True,
            status=str(state["Status"]),
            restarts=int(data["restarts"]),
            exit_code=int(state.get("ExitCode") or 0),
            oom_killed=bool(state.get("OOMKilled")),
            error=str(state.get("Error") or ""),
            started_at=str(state.get("StartedAt") or ""),
            created=str(data.get("created") or ""),
            id=str(data.get("id") or ""),
        )
    except (ValueError, KeyError, TypeError) as exc:
        raise ContainerError(
            "`{0} inspect {1}` answered something that is not its usual JSON ({2}): {3}".format(
                docker_cli, name, exc, done.stdout.strip()[:300]
            )
        ) from exc


def _docker_problem(docker_cli: str, name: str, done: CliResult) -> str:
    words = done.stderr.lower()
    if done.rc == 127 and "no such file" in words:
        mend = "Install Docker on this host (role docker_nvidia), or set docker_cli to where it is."
    elif "permission denied" in words:
        mend = "Run the task with become: true, or put the user into the docker group."
    elif "daemon" in words or done.rc == 124:
        mend = "See `systemctl status docker` on this host and start the service."
    else:
        mend = "Run the command by hand on this host."
    return "`{0} inspect {1}` failed with rc {2}: {3}. {4}".format(
        docker_cli, name, done.rc, done.stderr.strip()[-500:] or "no message", mend
    )


def at_its_end(docker_cli: str, state: ContainerState, run: Runner = run_cli) -> ContainerState:
    """The state with what Docker's events know of the container's last end, which a restart has wiped out."""
    if not state.id or not state.created:
        return state
    argv = [docker_cli, "events", "--since", state.created, "--until", "0s", "--filter", "container=" + state.id]
    done = run([*argv, "--format", "{{.Action}} {{.Actor.Attributes.exitCode}}"], 30)
    events = [line.split() for line in done.stdout.splitlines() if line.strip()] if done.rc == 0 else []
    ends = [number for number, event in enumerate(events) if event[0] == "die"]
    if not ends:
        return state
    begin = ends[-2] + 1 if len(ends) > 1 else 0
    code = events[ends[-1]][-1]
    return state._replace(
        exit_code=int(code) if code.isdigit() else state.exit_code,
        # `docker stop` is told of after the end, a lack of memory before it
        oom_killed=state.oom_killed or ["oom"] in [event[:1] for event in events[begin : ends[-1]]],
        stopped=any(event[0] == "stop" for event in events[ends[-1] :]),
    )


def logs(docker_cli: str, name: str, tail: int, since: str = "", run: Runner = run_cli) -> str:
    """The end of what the container wrote to stdout and stderr; empty when there is nothing to read."""
    argv: List[str] = [docker_cli, "logs", "--tail", str(tail)]
    if since:
        argv += ["--since", since]
    # docker keeps the two streams apart; tracebacks only make sense in the order in which both were written
    done = run([*argv, name], 60, merge=True)
    return done.stdout if done.rc == 0 else ""


def down_reason(state: ContainerState, name: str, restarts_before: int) -> Optional[str]:
    """A sentence when the process in the container has died since C(restarts_before), else C(None)."""
    if not state.exists:
        return "{0} {1} does not exist on this host".format(state.kind, name)
    if state.status == "restarting" or (state.running and state.restarts > restarts_before):
        ending = _exit(state) if state.status == "restarting" else ""
        return "{0} {1} died and {2} restarted it ({3} restarts, {4} when the wait began{5})".format(
            state.kind, name, state.keeper, state.restarts, restarts_before, ending
        )
    if not state.running:
        return "{0} {1} is not running: {2}{3}".format(state.kind, name, state.status, _exit(state))
    return None


def hopeless_reason(state: ContainerState, name: str, restarts_before: int) -> Optional[str]:
    """Like C(down_reason), but a restart or two are forgiven: a member of a cluster may come back by itself."""
    if state.running or state.status == "restarting":
        since = state.restarts if state.status == "restarting" else state.restarts - restarts_before
        if since >= RESTART_LOOP:
            return "{0} {1} is in a restart loop ({2} restarts{3})".format(
                state.kind, name, state.restarts, _exit(state)
            )
        return None
    return down_reason(state, name, restarts_before)


def _exit(state: ContainerState) -> str:
    words = ", exit code {0}".format(state.exit_code)
    if state.oom_killed:
        words += ", killed for memory"
    if state.error:
        words += ", " + state.error
    return words


def last_lines(text: str, count: int) -> List[str]:
    """The last lines that say something; of a progress bar, which rewrites its line, only the last state."""
    lines = [line.rstrip("\r").split("\r")[-1] for line in text.split("\n")]
    return [line.rstrip() for line in lines if line.strip()][-count:] if count > 0 else []
