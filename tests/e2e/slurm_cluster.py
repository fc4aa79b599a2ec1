# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sandbox's Slurm: what its users do on the login node, and what its administrator does as root."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import ROOT, Operator, Run

INVENTORY = "inventories/sandbox_slurm"
LOGIN = "10.89.79.10"
HUB = "http://10.89.79.3:8080"
MACHINES = ("login", "compute1", "compute2")
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
SSH_OPTIONS = (
    "-i",
    str(CACHE / "llmserve-sandbox/ssh/id_ed25519"),
    *("-o", "UserKnownHostsFile=/dev/null", "-o", "StrictHostKeyChecking=no", "-o", "LogLevel=ERROR"),
)
# What a job may leave behind: processes, its directory, shared memory, ports. Sessions of the login node are none.
LEFT = """
ps -u {user} -o args= | grep -v -e '^(sd-pam)' -e 'systemd --user' -e '^sshd: ' -e '<defunct>'
find /tmp /dev/shm -maxdepth 1 -user {user} -not -name 'ansible_*'
ss -Hltne | grep -w "uid:$(id -u {user})"
true
"""


class Cluster:
    """The cluster, and somebody with a shell in the checkout and an account on it."""

    def __init__(self, operator: Operator) -> None:
        self.operator = operator

    def container(self, machine: str) -> str:
        return f"llmserve-slurm-{machine}"

    def argv(self, name: str, *arguments: str, **variables: object) -> list[str]:
        more = ["-e", json.dumps(variables)] if variables else []
        return ["ansible-playbook", f"playbooks/{name}.yml", "-i", INVENTORY, *arguments, *more]

    def play(self, name: str, *arguments: str, **variables: object) -> Run:
        return self.operator.command(*self.argv(name, *arguments, **variables), timeout=900)

    @contextmanager
    def playing(self, name: str, **variables: object) -> Iterator[Callable[[], Run]]:
        """A playbook that runs beside what follows; call what it yields to wait for its end."""
        with subprocess.Popen(
            self.argv(name, **variables),
            cwd=ROOT,
            env=self.operator.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:

            def end() -> Run:
                output, _nothing = process.communicate(timeout=300)
                return Run(process.returncode, output)

            try:
                yield end
            finally:
                process.kill()

    def root(self, machine: str, script: str) -> str:
        """What the administrator does on a machine."""
        run = self.operator.command("docker", "exec", self.container(machine), "bash", "-c", script, timeout=120)
        assert run.rc == 0, run.output
        return run.output.strip()

    def login(self, script: str) -> str:
        """What the user does on the login node."""
        argv = ["ssh", *SSH_OPTIONS, f"alice@{LOGIN}", script]
        run = self.operator.command(*argv, timeout=120)
        assert run.rc == 0, run.output
        return run.output.strip()

    def queue(self, user: str = "alice") -> list[tuple[int, str]]:
        """The user's jobs, the oldest first."""
        lines = self.root("login", f"squeue --noheader --user={user} --format='%A %T' --sort=i").splitlines()
        return [(int(number), state) for number, state in map(str.split, lines)]

    def endpoint(self, user: str = "alice") -> dict[str, Any]:
        """What the job has written when it had answered; empty without it."""
        text = self.root("login", f"cat /home/{user}/llmserve/llmserve/endpoint.json 2> /dev/null || true")
        found: dict[str, Any] = json.loads(text or "{}")
        return found

    def log(self, job: int | str = "*") -> str:
        """The log of a job; of the newest one without a number."""
        return self.login(f"cat $(ls -t ~/llmserve/llmserve/logs/{job}.log 2> /dev/null | head -n 1) /dev/null")

    def left(self, machine: str, user: str) -> str:
        return self.root(machine, LEFT.replace("{user}", user))


def until(look: Callable[[], object], seconds: float, what: str) -> None:
    """Wait until it is true."""
    end = time.monotonic() + seconds
    while not look():
        assert time.monotonic() < end, f"not within {seconds:.0f} s: {what}"
        time.sleep(1)


def refused_at_the_plan(cluster: Cluster, variables: Mapping[str, object], words: str) -> None:
    """A play with these variables ends with these words, and before anything has changed."""
    run = cluster.play("serve_slurm", **variables)
    assert run.rc != 0
    assert words in run.text
    assert run.changed == 0


def nothing_is_left(cluster: Cluster, user: str = "alice", machines: Sequence[str] = MACHINES) -> None:
    """Neither a process nor a port nor a temporary file of the user's jobs on any of the machines."""
    assert cluster.queue(user) == []
    end = time.monotonic() + 30
    for machine in machines:
        while left := cluster.left(machine, user):
            assert time.monotonic() < end, f"{machine}: {left}"
            time.sleep(1)


@pytest.fixture(scope="module")
def cluster(operator: Operator) -> Iterator[Cluster]:
    """A fresh cluster. LLMSERVE_KEEP_SANDBOX=1 leaves it for a look afterwards."""
    operator.playbook("sandbox_down", inventory=INVENTORY).ok()
    operator.playbook("sandbox_up", inventory=INVENTORY, timeout=1800).ok()
    yield Cluster(operator)
    if os.environ.get("LLMSERVE_KEEP_SANDBOX") != "1":
        operator.playbook("sandbox_down", inventory=INVENTORY).ok()
