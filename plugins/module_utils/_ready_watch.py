# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Watches a starting vLLM server: its container or unit first, then its endpoint, and its log when it has died.

This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import time
import zlib
from typing import Any, Dict, Optional

from ansible_collections.llmserve.vllm.plugins.module_utils._container import (
    ContainerError,
    ContainerState,
    at_its_end,
    down_reason,
    last_lines,
)
from ansible_collections.llmserve.vllm.plugins.module_utils._diagnose import describe
from ansible_collections.llmserve.vllm.plugins.module_utils._engine_memory import memory_figures
from ansible_collections.llmserve.vllm.plugins.module_utils._ready import Probe, explain_death, is_final, read_progress
from ansible_collections.llmserve.vllm.plugins.module_utils._runtime import runtime_of
from ansible_collections.llmserve.vllm.plugins.module_utils._wait import FAILED, READY, TIMEOUT, WAITING, Look, minutes

# Enough to find the last progress line between the chatter of many workers, and to find a root cause.
PROGRESS_LINES = 400
DIAGNOSIS_LINES = 20000
# So long a log may be silent without a word about it.
SILENT_SECONDS = 30.0


class ReadyWatch:
    """Looks at the container or unit first: only while it lives is it worth asking the endpoint."""

    def __init__(self, params: Dict[str, Any], probe: Probe, patience: float) -> None:
        self.params = params
        self.runtime = runtime_of(params)
        self.probe = probe
        self.patience = patience
        self.resume: Dict[str, Any] = dict(params["resume"])
        self.state: Optional[ContainerState] = None
        self.began = time.monotonic() - float(self.resume.get("elapsed", 0))
        self.resume.pop("slice", None)

    def look(self, budget: float) -> Look:
        dead = self._dead()
        if dead is not None or self.params["headless"]:
            # another host answers for a headless rank, and says so through the action
            return dead or self._loading()
        answer, error = self.probe.ask(min(self.patience, budget))
        if answer is not None:
            facts = {"answer": {"text": answer.text, "seconds": answer.seconds}, "figures": {"stage": "answer"}}
            return Look(READY, "the model answers", dict(facts, ready=True))
        if error is not None and is_final(error):
            return self._failed(error.kind, str(error))
        if self.probe.healthy or (error is None and "healthy_at" in self.resume):
            return self._healthy(str(error) if error else "")
        for key in ("healthy_at", "slice"):
            self.resume.pop(key, None)
        if error is not None and self.runtime is None:
            # there is no log to read the progress from
            sentence = "no answer yet: " + str(error).split(": ", 1)[0].rstrip(".")
            return Look(WAITING, sentence, {"figures": {"stage": "start"}, "ready": False})
        return self._loading()

    def _loading(self) -> Look:
        log = self._log(PROGRESS_LINES)
        progress = read_progress(log)
        figures = dict(progress.figures, stage=progress.stage)
        sentence, silent = progress.sentence, self._silent(log)
        if silent >= SILENT_SECONDS:
            # no reason to give up yet: compilers and slow disks say nothing for minutes
            sentence += ", nothing new in its log for {0}".format(minutes(silent))
            figures["silent_seconds"] = round(silent)
        if silent > self.params["stall_timeout"] > 0:
            return self._failed("stalled", "it hangs while it loads: {0}".format(sentence))
        return Look(WAITING, sentence, {"figures": figures, "ready": False})

    def _silent(self, log: str) -> float:
        """Seconds since something was new in the log, as far as this wait has seen it."""
        now = time.monotonic() - self.began
        mark = zlib.crc32(log.encode("utf-8", "replace"))
        if mark != self.resume.get("log_mark"):
            self.resume.update(log_mark=mark, log_at=now)
        return now - float(self.resume["log_at"])

    def _dead(self) -> Optional[Look]:
        if self.runtime is None:
            return None
        try:
            state = self.state = self.runtime.state()
        except ContainerError as exc:
            return self._failed("no_container_runtime", str(exc))
        if "restarts_before" not in self.resume:
            given = self.params["restarts_before"]
            self.resume["restarts_before"] = state.restarts if given is None else given
            # the run that died may be the one before the present one
            fresh = state.restarts <= self.resume["restarts_before"]
            self.resume["since"] = state.started_at if fresh else state.created
        reason = down_reason(state, self.runtime.name, int(self.resume["restarts_before"]))
        return self._failed("died", reason) if reason else None

    def _healthy(self, trouble: str) -> Look:
        now = time.monotonic() - self.began
        waited = now - self.resume.setdefault("healthy_at", now)
        # let the next slice be long enough for a slow first answer
        self.resume["slice"] = self.params["request_timeout"] + 5
        trouble = " ({0})".format(trouble.rstrip(".")) if trouble else ""
        if waited > self.params["answer_timeout"]:
            sentence = "the engine hangs: its health check has been green for {0}, but no completion came back{1}"
            return self._failed("hangs", sentence.format(minutes(waited), trouble))
        sentence = "the engine is up, waiting for its first answer" + trouble
        return Look(WAITING, sentence, {"figures": {"stage": "answer", "waited": round(waited)}, "ready": False})

    def _failed(self, kind: str, sentence: str) -> Look:
        return Look(FAILED, sentence, {"reason_kind": kind, "ready": False, "figures": {"stage": kind}})

    def _log(self, lines: int) -> str:
        if self.runtime is None or self.state is None or not self.state.exists:
            return ""
        return self.runtime.logs(lines, self.resume.get("since", ""))

    def memory(self) -> Dict[str, float]:
        """What vLLM has logged about its memory; empty without a log, or when that does not go back so far."""
        return memory_figures(self._log(DIAGNOSIS_LINES))

    def autopsy(self, look: Look, status: str) -> Dict[str, Any]:
        """Diagnosis and end of the log of a server that failed, or that did not come up in time."""
        log = self._log(DIAGNOSIS_LINES)
        died = look.facts.get("reason_kind") == "died"
        state = at_its_end(self.params["docker_cli"], self.state) if died and self.state else None
        findings = explain_death(log, state)
        reason = look.sentence.rstrip(".") + "."
        if status == TIMEOUT:
            reason = "the model has not answered within {0}; last seen: {1}".format(
                minutes(self.params["timeout"]), reason
            )
        where = "a rank of " if self.params["headless"] else ""
        message = "{0}{1}: {2} {3}".format(where, self.params["url"], reason, describe(findings)).rstrip()
        if died and not findings:
            message += " Its log has no cause that this collection knows: read log_tail."
        facts = dict(look.facts, diagnosis=findings, log_tail=last_lines(log, self.params["log_lines"]))
        facts.setdefault("reason_kind", "timeout")
        return dict(facts, msg=message)
