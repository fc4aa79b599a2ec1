# SPDX-License-Identifier: GPL-3.0-or-later
"""The hand-assembled logs of tests/unit/fixtures/diagnosis, and what a server says around the line that matters."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

FIXTURES = Path(__file__).parents[1] / "fixtures" / "diagnosis"
_HAS_PREFIX = re.compile(r"^(\(|\[|INFO|ERROR|WARNING|DEBUG|[\w.-]+:\d+:\d+ \[|\d{4}-|vllm|usage|api_server)")
_BEGIN = "{0}INFO 11-21 01:40:00 [api_server.py:1772] vLLM API server version 0.33.0\n"
_SECOND_HAND = (
    "{0}Traceback (most recent call last):\n"
    '{0}  File "/opt/venv/lib/python3.12/site-packages/vllm/v1/engine/utils.py", line 31, in wait_for_engine_startup\n'
    "{0}RuntimeError: Engine core initialization failed. See root cause above. Failed core proc(s): {{}}\n"
    "/usr/lib/python3.12/multiprocessing/resource_tracker.py:279: UserWarning: resource_tracker: There appear to be 1 "
    "leaked shared_memory objects to clean up at shutdown\n"
)


class Sample(NamedTuple):
    """A log, and the cause (with its detail) that has to be found in it; "none" for a healthy one."""

    cause: str
    title: str
    text: str


def samples(name: str) -> list[Sample]:
    """The logs of a file of short ones, where an empty line separates the logs of a cause."""
    found = []
    for part in re.split(r"^@ ", (FIXTURES / f"{name}.txt").read_text(encoding="utf-8"), flags=re.M)[1:]:
        cause, body = part.split("\n", 1)
        logs = body.strip("\n").split("\n\n")
        found += [Sample(cause, f"{cause} {number}", log + "\n") for number, log in enumerate(logs, 1)]
    return found


def whole_logs(name: str) -> list[Sample]:
    """The logs of a file of long ones, each with a title."""
    found = []
    for part in re.split(r"^@ ", (FIXTURES / f"{name}.txt").read_text(encoding="utf-8"), flags=re.M)[1:]:
        head, body = part.split("\n", 1)
        cause, title = head.split(": ", 1)
        found.append(Sample(cause, title, body))
    return found


def _said_by(log: str, prefix: str) -> str:
    return "".join((line if _HAS_PREFIX.match(line) else prefix + line) + "\n" for line in log.splitlines())


def in_engine(log: str) -> str:
    """In the log of vLLM's engine of today."""
    core = "(EngineCore pid=4711) "
    error = core + "ERROR 11-21 01:41:57 [core.py:1510] "
    return (
        _BEGIN.format("(APIServer pid=1) ")
        + error.replace("] ", "] EngineCore failed to start.\n", 1)
        + _said_by(log, error)
        + _SECOND_HAND.format("(APIServer pid=1) ")
    )


def in_ray_worker(log: str) -> str:
    """Said by a worker on another host, with colours, and repeated by the driver."""
    worker = "\x1b[36m(RayWorkerWrapper pid=4712, ip=10.0.0.2)\x1b[0m ERROR 02-09 02:31:09 [worker_base.py:620] "
    return (
        _BEGIN.format("")
        + worker
        + "Error executing method 'load_model'. This might cause deadlock in distributed execution.\n"
        + _said_by(log, worker)
        + _SECOND_HAND.format("")
    )


def in_compose(log: str) -> str:
    """As docker compose shows it."""
    text = (
        _BEGIN.format("") + log + "RuntimeError: Engine process failed to start. See stack trace for the root cause.\n"
    )
    return "".join(f"vllm-1  | {line}\n" for line in text.splitlines())


SURROUNDINGS: dict[str, Callable[[str], str]] = {
    "engine": in_engine,
    "ray": in_ray_worker,
    "compose": in_compose,
    "alone": str,
}
