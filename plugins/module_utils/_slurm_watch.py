# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Watches a Slurm job from the queue to the first answer: its place in line, then its log, and why it has ended.

This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import json
import os
import re
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence

from ansible_collections.llmserve.vllm.plugins.module_utils._diagnose import describe, diagnose
from ansible_collections.llmserve.vllm.plugins.module_utils._ready import read_progress
from ansible_collections.llmserve.vllm.plugins.module_utils._slurm import Slurm, SlurmError
from ansible_collections.llmserve.vllm.plugins.module_utils._slurm_reasons import explain_end, explain_pending
from ansible_collections.llmserve.vllm.plugins.module_utils._slurm_text import Job
from ansible_collections.llmserve.vllm.plugins.module_utils._wait import FAILED, READY, WAITING, Look

# What a log may grow to before the last progress line is looked for in its end only.
_TAIL_BYTES = 1 << 20
_OWN_LINE = re.compile(r"^llmserve: \d\d:\d\d:\d\d (.*)$")


class Deployment(NamedTuple):
    """The jobs of one deployment, by what their scripts have in common."""

    jobs: List[Job]
    # what the newest of them is called beside its number
    mark: str

    @property
    def live(self) -> List[Job]:
        return [job for job in self.jobs if job.live]

    @property
    def ours(self) -> List[Job]:
        """Those that run the very script that is wanted."""
        return [job for job in self.live if job.comment == self.mark]


def mark_of(script: str) -> str:
    """The comment that a script gives its job, and that tells it from others of the same name."""
    match = re.search(r"^#SBATCH --comment=(\S+)$", script, re.MULTILINE)
    return match.group(1) if match else ""


def read_endpoint(path: str) -> Dict[str, Any]:
    """What the job has written when it had answered; empty without it."""
    try:
        with open(path, encoding="utf-8") as handle:
            found = json.load(handle)
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def read_log(path: str, most: int = _TAIL_BYTES) -> str:
    """The end of a log; a job that has not started has none."""
    try:
        with open(path, "rb") as handle:
            handle.seek(max(0, os.path.getsize(path) - most))
            return handle.read().decode("utf-8", "replace")
    except OSError:
        return ""


def progress_of(log: str) -> Look:
    """How far a running job is: what its script or vLLM has said last."""
    progress = read_progress(log)
    said = ""
    for line in log.splitlines():
        match = _OWN_LINE.match(line)
        said = match.group(1) if match else said
    if progress.stage == "start" or said.startswith("the API is up"):
        return Look(WAITING, said or "starting", {"figures": {"stage": "start"}})
    return Look(WAITING, progress.sentence, {"figures": dict(progress.figures, stage=progress.stage)})


def waiting_sentence(job: Job, queue: Sequence[int], start: str) -> str:
    """A waiting job's place, the reason, and when it may start."""
    reason = explain_pending(job.reason)
    place = "number {0} of {1} in line".format(queue.index(job.id) + 1, len(queue)) if job.id in queue else "waits"
    words = "job {0}, {1}: {2} ({3})".format(job.id, place, reason.text, job.reason or "None")
    return words + (", starts {0} as Slurm expects".format(start.replace("T", " ")) if start else "")


class JobWatch:
    """Looks at a job, then at what it has left in the shared directory."""

    def __init__(self, params: Mapping[str, Any], slurm: Optional[Slurm] = None) -> None:
        self.number = int(params["job_id"])
        self.endpoint_file = str(params["endpoint_file"])
        self.slurm = slurm or Slurm()
        self.job: Optional[Job] = None

    def look(self, _budget: float) -> Look:
        try:
            return self._look()
        except SlurmError as exc:
            # a controller that is busy or restarts answers again
            return Look(WAITING, str(exc), {"figures": {"stage": "slurm"}})

    def _look(self) -> Look:
        found = self.slurm.job(self.number)
        if not found:
            return self._failed("gone", "Slurm knows job {0} no more: it has ended some time ago".format(self.number))
        job = self.job = found[0]
        endpoint = read_endpoint(self.endpoint_file)
        if job.live and not job.pending and endpoint.get("job_id") == job.id:
            return Look(READY, "the model answers", {"endpoint": endpoint, "figures": {"stage": "answer"}})
        end = explain_end(job)
        if end is not None:
            return self._failed("ended", "job {0}: {1}".format(job.id, end))
        if not job.pending:
            ending = Look(WAITING, "job {0} is ending".format(job.id), {"figures": {"stage": "end"}})
            return progress_of(read_log(job.log)) if job.live else ending
        if explain_pending(job.reason).final:
            return self._failed("never", waiting_sentence(job, [], ""))
        sentence = waiting_sentence(job, self.slurm.queue(job.partition), self.slurm.start_of(job.id))
        return Look(WAITING, sentence, {"figures": {"stage": "queue"}})

    def autopsy(self, look: Look, lines: int) -> Dict[str, Any]:
        """What the log of a job that failed says; its own last word comes first."""
        log = read_log(self.job.log) if self.job is not None else ""
        findings = diagnose(log)
        said = [line.partition("FAILED: ")[2] for line in log.splitlines() if "FAILED: " in line[:40]]
        parts = [look.sentence.rstrip(".") + "."]
        parts += [said[-1]] if said else []
        parts += [describe(findings)] if findings else []
        if self.job is not None and log:
            parts.append("Its log is {0}.".format(self.job.log))
        tail = [line.rstrip() for line in log.splitlines() if line.strip()][-lines:]
        return {
            "msg": " ".join(parts),
            "diagnosis": findings,
            "log_tail": tail,
            "reason_kind": look.facts.get("kind", "timeout"),
        }

    @staticmethod
    def _failed(kind: str, sentence: str) -> Look:
        return Look(FAILED, sentence, {"kind": kind, "figures": {"stage": kind}})
