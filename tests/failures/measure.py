# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Provokes a failure on the sandbox and measures who says what of it, and when."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

from ansible_collections.llmserve.vllm.tests.failures.fault import (
    DEATH,
    GATE,
    LLAMA,
    PREFLIGHT,
    RANKS,
    RAY,
    SERVING,
    START,
    Failure,
    snapshot,
)
from ansible_collections.llmserve.vllm.tests.measuring import (
    Node,
    Play,
    Said,
    extra,
    play,
    read_results,
    read_time,
    shown_json,
    struck_at,
    undone,
)

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results.json"
WITHIN = 15.0
NODES = ("node1", "node2")
OURS = "llmserve-"
_CLEAR = "docker rm -f llmserve-vllm llmserve-vllm-headless >/dev/null 2>&1; rm -f /etc/llmserve/api_key; true"
_ENGINE, _GATE = "tests/failures/engine.yml", "tests/failures/gate.yml"
# Long enough for a start that is to fail, short enough for one that wrongly does not.
_READY_SECONDS = 120


class Message(NamedTuple):
    """What was said, when, by what, and the cause where one was named."""

    at: float
    by: str
    text: str
    cause: str = ""


class Bench:
    """Both nodes, for failures of all ways."""

    def __init__(self, sandbox: str = "llmserve-sandbox") -> None:
        self.nodes = {name: Node(name, sandbox) for name in NODES}
        self._model = ""

    def prepare(self) -> None:
        play("tests/failures/prepare.yml", timeout=1800).must_succeed()

    def start_ray(self) -> None:
        play("tests/failures/ray.yml").must_succeed()

    def stop_ray(self) -> None:
        for node in self.nodes.values():
            node.sh("docker rm -f llmserve-ray-head llmserve-ray-worker >/dev/null 2>&1; true")

    def clear(self, names: tuple[str, ...] = NODES) -> None:
        for name in names:
            self.nodes[name].sh(_CLEAR)

    def measure(self, failure: Failure, on: str = "node1") -> dict[str, Any]:
        """Bring a failure about; a row for the results. Only the way ENGINE may do without the other node."""
        used = NODES if failure.way in (RAY, GATE, RANKS) else (on,)
        node, peer = self.nodes[on], self.nodes["node2"]
        with ExitStack() as stack:
            stack.callback(self.clear, used)
            self.clear(used)
            stack.enter_context(undone(peer, failure.peer_undo))
            stack.enter_context(undone(node, failure.undo))
            # no container may hold what is undone
            stack.callback(self.clear, used)
            if failure.do:
                node.sh(failure.do)
            if failure.peer_do:
                peer.sh(failure.peer_do)
            if failure.way == PREFLIGHT:
                return self._preflight(failure)
            if failure.way == SERVING:
                return self._serving(failure, on)
            return self._started(failure, on, used)

    def variables(self, failure: Failure) -> dict[str, Any]:
        """What the role is given, for all ways that use it."""
        if not self._model:
            self._model = self.nodes["node1"].sh(f"echo {snapshot(LLAMA)}")
        found: dict[str, Any] = {
            "vllm_serve_executor": "ray" if failure.way == RAY else "mp",
            "vllm_serve_model_path": self._model,
            "vllm_serve_ready_timeout": _READY_SECONDS,
            "ray_head_gate_timeout": 20,
        }
        if failure.way == RANKS:
            found["vllm_serve_hosts"] = list(NODES)
            found["vllm_serve_plan"] = {"engine_args": {"pipeline_parallel_size": 2}}
        return {**found, **failure.variables}

    def _started(self, failure: Failure, on: str, used: tuple[str, ...]) -> dict[str, Any]:
        struck_on = on if len(used) == 1 else failure.struck
        striker = self.nodes[struck_on].begin(failure.strike) if failure.strike else None
        limit = ["--limit", ",".join(NODES if failure.way == RANKS else [on])]
        playbook = _GATE if failure.way == GATE else _ENGINE
        run = play(playbook, *limit, *extra(**self.variables(failure)), timeout=400)
        struck = struck_at(striker) if striker else None
        deaths = self._deaths(used, run) if failure.since == DEATH else []
        fault = {DEATH: deaths[0] if deaths else None, START: run.began}.get(failure.since, struck)
        row = judge(failure, fault, [_of_task(said) for said in run.failures])
        hinted = run.first_line(failure.hint) if failure.hint else None
        if hinted is not None and fault is not None:
            row["hint_seconds"] = round(hinted - fault, 1)
        if fault is not None:
            row["ended_seconds"] = round(run.ended - fault, 1)
        if not run.rc:
            row["message"] = "It came up."
        return row

    def _deaths(self, used: tuple[str, ...], run: Play) -> list[float]:
        events = [event for name in used for event in self.nodes[name].events(run.began, run.ended)]
        return sorted(event.at for event in events if event.what == "die" and event.name.startswith(OURS))

    def _preflight(self, failure: Failure) -> dict[str, Any]:
        with tempfile.TemporaryDirectory() as folder:
            report = Path(folder) / "preflight.json"
            run = play("playbooks/serve.yml", *extra(**failure.variables, preflight_report_file=str(report)))
            rows = read_results(report)["rows"] if report.exists() else []
        said = [
            Message(run.failures[0].at, f"preflight, check {row['check']}", f"{row['found']}. {row['mend']}")
            for row in (rows if run.failures else [])
            if row["severity"] == "error"
        ]
        return judge(failure, run.began, said or [_of_task(one) for one in run.failures])

    def _serving(self, failure: Failure, on: str) -> dict[str, Any]:
        play(_ENGINE, "--limit", on, *extra(**self.variables(failure))).must_succeed()
        struck = read_time(self.nodes[on].sh(failure.strike))
        run = play("playbooks/doctor.yml", *extra(doctor_format="json", doctor_fail=False))
        found = [item for item in shown_json(run.text)["findings"] if on in item["hosts"]]
        said = [
            Message(
                run.ended,
                "playbooks/doctor.yml",
                f"{item['explanation']} {item['remedy']} It shows: {item['evidence']}",
                "/".join(part for part in (item["cause"], item["detail"]) if part),
            )
            for item in found
        ]
        return judge(failure, struck, said)


def _of_task(said: Said) -> Message:
    return Message(said.at, str(said.result.get("action") or said.task), said.message, said.cause)


def names_it(failure: Failure, message: Message) -> bool:
    """Whether a message names the true cause, or a special case of it."""
    found, wanted = message.cause, failure.cause
    right = found == wanted or found.startswith(wanted + "/") if wanted else True
    return right and all(word.lower() in message.text.lower() for word in failure.words)


def judge(failure: Failure, fault: float | None, said: list[Message]) -> dict[str, Any]:
    """The row of a failure: the first message that names the cause, or else the first that there is."""
    named = [message for message in said if names_it(failure, message)]
    for message in (named or said)[:1]:
        return {
            "named": bool(named),
            "noticed_by": message.by,
            "cause": message.cause,
            "message": message.text,
            "seconds": round(message.at - fault, 1) if fault is not None else None,
        }
    return {"named": False, "noticed_by": "", "cause": "", "message": "Nothing was said.", "seconds": None}


def problem(failure: Failure, row: Mapping[str, Any]) -> str:
    """What is wrong with a row; empty when the cause was named, and in time."""
    if not row["named"]:
        return f"{failure.name}: the cause was not named ({row['cause'] or 'none'}): {row['message'][:400]}"
    if row["seconds"] is None:
        return f"{failure.name}: nobody knows when it happened"
    if row["seconds"] > WITHIN and not failure.late:
        return f"{failure.name}: {row['seconds']} s until the message"
    return ""
