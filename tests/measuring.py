# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the measurements on the sandbox have in common: nodes, playbooks with the time of each line, kept results."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
INVENTORY = "inventories/sandbox"
BIN = Path(sys.executable).parent


class MeasuringError(Exception):
    """The sandbox does not do what a measurement needs."""


class Event(NamedTuple):
    """What Docker on a node says that happened to a container."""

    at: float
    what: str
    name: str
    exit_code: str


class Node:
    """A node of the sandbox: a container of this machine, whose clock it shares."""

    def __init__(self, name: str, sandbox: str = "llmserve-sandbox") -> None:
        self.name = name
        self.container = f"{sandbox}-{name}"

    def _argv(self, script: str) -> list[str]:
        return ["docker", "exec", self.container, "bash", "-c", script]

    def sh(self, script: str, timeout: float = 120) -> str:
        """Run a script as root; what it printed."""
        try:
            done = subprocess.run(
                self._argv(script),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=timeout,
                check=False,
            )
        except subprocess.TimeoutExpired as exc:
            raise MeasuringError(f"{self.name}: no end within {timeout:g} s: {script}") from exc
        if done.returncode:
            raise MeasuringError(f"{self.name}: {script}\nrc {done.returncode}: {(done.stderr or done.stdout).strip()}")
        return done.stdout.strip()

    def begin(self, script: str) -> subprocess.Popen[str]:
        """Run a script as root beside everything else."""
        return subprocess.Popen(
            self._argv(script), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )

    def events(self, since: float, until: float) -> list[Event]:
        """What Docker here has to say about its containers, oldest first."""
        times = f"--since {since:.3f} --until {until:.3f}"
        layout = "{{.TimeNano}} {{.Action}} {{.Actor.Attributes.name}} {{.Actor.Attributes.exitCode}}"
        shown = self.sh(f"docker events {times} --filter type=container --format '{layout}'", 60)
        return list(read_events(shown))


def struck_at(striker: subprocess.Popen[str]) -> float:
    """When a script has struck: the first thing that it printed."""
    try:
        text = striker.communicate(timeout=30)[0]
    except subprocess.TimeoutExpired as exc:
        striker.kill()
        raise MeasuringError("What was to be done while it runs was never done.") from exc
    return read_time(text)


def read_time(text: str) -> float:
    """The seconds since 1970 at the beginning of a text."""
    try:
        return float(text.split(maxsplit=1)[0])
    except (IndexError, ValueError) as exc:
        raise MeasuringError(f"What was to be done was not done: {text!r}") from exc


def read_events(text: str) -> Iterator[Event]:
    """The lines that `docker events` has printed."""
    for line in text.splitlines():
        parts = line.split()
        if len(parts) >= 4 and parts[0].isdigit():
            code = parts[-1] if parts[-1].isdigit() else ""
            yield Event(int(parts[0]) / 1e9, parts[1].rstrip(":"), parts[-2 if code else -3], code)


class Said(NamedTuple):
    """A task that failed, and when that was on the screen."""

    at: float
    host: str
    task: str
    result: dict[str, Any]

    @property
    def message(self) -> str:
        """What the task said; of a loop, what its failed items said."""
        items = [item for item in self.result.get("results") or [] if item.get("failed")]
        said = [str(item.get("msg", "")) for item in items or [self.result]]
        # where the checkout lies is nobody's business
        return " ".join(" ".join(said).replace(f"{ROOT}/", "").split())

    @property
    def cause(self) -> str:
        """The root cause, where the task has looked for one."""
        for found in self.result.get("diagnosis") or []:
            detail = found.get("detail")
            return f"{found['cause']}/{detail}" if detail else str(found["cause"])
        return ""


@dataclass
class Play:
    """One ansible-playbook: what it printed and when, in seconds since 1970."""

    began: float
    ended: float = 0
    rc: int = -1
    failures: list[Said] = field(default_factory=list)
    lines: list[tuple[float, str]] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "\n".join(line for _at, line in self.lines) + "\n"

    def hear(self, at: float, line: str) -> None:
        """Keep a line: an event of the callback jsonl, or what a task has displayed."""
        if not (line.startswith("{") and '"_event"' in line):
            self.lines.append((at, line))
            return
        event = json.loads(line)
        if event["_event"] not in ("v2_runner_on_failed", "v2_runner_on_unreachable"):
            return
        for host, result in event["hosts"].items():
            self.failures.append(Said(at, host, str(event["task"]["name"]), result))

    def first_line(self, words: str) -> float | None:
        """When a line with these words was displayed."""
        return next((at for at, line in self.lines if words.lower() in line.lower()), None)

    def must_succeed(self) -> Play:
        if self.rc:
            said = "\n".join(f"{one.host}, {one.task}: {one.message}" for one in self.failures)
            raise MeasuringError(f"The playbook has failed, rc {self.rc}.\n{said or self.text[-3000:]}")
        return self


def play(playbook: str, *arguments: str, timeout: float = 900) -> Play:
    """Run a playbook on the sandbox and note when each of its lines came."""
    argv = [str(BIN / "ansible-playbook"), playbook, "-i", INVENTORY, *arguments]
    environment = {
        **os.environ,
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.jsonl",
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
    }
    run = Play(time.time())
    with subprocess.Popen(
        argv,
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    ) as process:
        watch = threading.Timer(timeout, os.killpg, (process.pid, signal.SIGKILL))
        watch.start()
        try:
            for line in process.stdout or ():
                run.hear(time.time(), line.rstrip("\n"))
        finally:
            watch.cancel()
        run.rc = process.wait()
    run.ended = time.time()
    return run


def extra(**variables: Any) -> tuple[str, str]:
    """Variables for the command line."""
    return "-e", json.dumps(variables)


def shown_json(text: str) -> dict[str, Any]:
    """The JSON that a playbook has displayed among other lines."""
    found = re.search(r"^\{$.*?^\}$", text, re.M | re.S)
    if not found:
        raise MeasuringError(f"There is no JSON in what the playbook has shown:\n{text[-2000:]}")
    shown: dict[str, Any] = json.loads(found.group())
    return shown


class Results:
    """Measured rows by name, kept in a file of the repository after each of them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self.kept = read_results(path)

    def keep(self, name: str, row: dict[str, Any]) -> None:
        with self._lock:
            self.kept["rows"][name] = row
            self.kept["machine"] = machine()
            text = json.dumps(self.kept, indent=2, sort_keys=True) + "\n"
            self.path.write_text(text, encoding="utf-8")


def read_results(path: Path) -> dict[str, Any]:
    """What was measured; nothing as long as nobody has."""
    if not path.exists():
        return {"format": 1, "machine": "", "rows": {}}
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def machine() -> str:
    """The machine that measures, in words."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{os.cpu_count()} cores, {memory:.0f} GiB"


@contextmanager
def undone(node: Node, script: str) -> Iterator[None]:
    """Whatever happens, the script runs in the end."""
    try:
        yield
    finally:
        if script:
            node.sh(f"{script}; true")


def choose(names: Sequence[str], wanted: str) -> list[str]:
    """The names that the command line asks for, separated by commas; all without it."""
    if not wanted:
        return list(names)
    chosen = wanted.split(",")
    unknown = [name for name in chosen if name not in names]
    if unknown:
        raise SystemExit(f"There is no {', '.join(unknown)}. There are: {', '.join(names)}")
    return chosen


def cell(text: str) -> str:
    """A text as one table cell; a pipe would end it, and an angle bracket begin a tag."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")
