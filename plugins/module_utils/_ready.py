# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a vLLM server is ready, how far it has come, and why it died.

This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import re
import threading
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Pattern, Tuple

from ansible_collections.llmserve.vllm.plugins.module_utils._container import ContainerState
from ansible_collections.llmserve.vllm.plugins.module_utils._diagnose import diagnose, finding, split_lines
from ansible_collections.llmserve.vllm.plugins.module_utils._openai import (
    BAD_RESPONSE,
    MODEL_NOT_FOUND,
    UNAUTHORIZED,
    Answer,
    ApiError,
    Endpoint,
    complete,
)

HEALTH_SECONDS = 5.0
# How whoever keeps the process says that the kernel has killed it for memory.
_OOM = {"container": "Docker says OOMKilled=true", "unit": "systemd says Result=oom-kill"}


class Progress(NamedTuple):
    """How far the start has come: a sentence, and its figures for programs."""

    stage: str
    sentence: str
    figures: Dict[str, Any]


def _bar(stage: str, words: str) -> Callable[[Any], Progress]:
    def read(match: Any) -> Progress:
        done, total = int(match.group("done")), int(match.group("total"))
        percent = 100 * done // total if total else 0
        sentence = words.format(done, total, percent)
        left = (match.groupdict().get("left") or "").strip()
        if left and "?" not in left and done < total:
            sentence += ", {0} left".format(left)
        return Progress(stage, sentence, {"done": done, "total": total, "percent": percent})

    return read


def _line(stage: str, words: str, **figures: int) -> Callable[[Any], Progress]:
    def read(match: Any) -> Progress:
        found = {name: float(match.group(int(group)).replace(",", "")) for name, group in figures.items()}
        return Progress(stage, words.format(*match.groups()), found)

    return read


_COUNTER = r"(?P<done>\d+)/(?P<total>\d+) \[[\d:]+<(?P<left>[\d:?]+)"

# In the order in which they happen; the line that was written last counts.
_STAGES: Tuple[Tuple[Pattern[str], Callable[[Any], Progress]], ...] = (
    (re.compile(r"Initializing a V\d LLM engine"), _line("init", "initializing the engine")),
    (
        re.compile(r"Waiting for creating a placement group of specs for (\d+) seconds"),
        _line("placement_group", "waiting {0} s for a Ray placement group: GPUs are missing or busy", waited=1),
    ),
    (
        # a part that starts nothing before it has found the head
        re.compile(r"llmserve group guard: (waiting for the first one at \S+) for (\d+) s"),
        _line("head", "{0} for {1} s: its container has to run there", waited=2),
    ),
    (
        re.compile(r"Fetching \d+ files:.*?" + _COUNTER),
        _bar("download", "downloading the model: {0} of {1} files ({2} %)"),
    ),
    (re.compile(r"Starting to load model"), _line("load", "loading the model")),
    (
        re.compile(r"[Ll]oading .*(?:shards|Streamer|loader):.*?" + _COUNTER),
        _bar("load", "loading weights: {0} of {1} shards ({2} %)"),
    ),
    (re.compile(r"Loading weights took ([\d.]+) s"), _line("load", "weights loaded in {0} s")),
    (
        re.compile(r"Model loading took ([\d.]+) GiB(?: memory)? and ([\d.]+) s"),
        _line("load", "weights loaded: {0} GiB per GPU in {1} s", gib=1),
    ),
    (re.compile(r"torch\.compile takes? ([\d.]+) s"), _line("compile", "model compiled in {0} s")),
    (re.compile(r"torch\.compile took ([\d.]+) s"), _line("compile", "model compiled in {0} s")),
    (
        re.compile(r"Available KV cache memory: ([\d.]+) GiB"),
        _line("kv_cache", "KV cache: {0} GiB per GPU", gib=1),
    ),
    (re.compile(r"KV cache size: ([\d,]+) tokens"), _line("kv_cache", "KV cache: {0} tokens", tokens=1)),
    (
        re.compile(r"Capturing CUDA graphs?.*?" + _COUNTER),
        _bar("graphs", "capturing CUDA graphs: {0} of {1} ({2} %)"),
    ),
    (re.compile(r"Graph capturing finished in ([\d.]+) s"), _line("graphs", "CUDA graphs captured in {0} s")),
    (re.compile(r"init engine \(.*\) took ([\d.]+) s"), _line("graphs", "engine initialized in {0} s")),
    (re.compile(r"Application startup complete"), _line("api", "the API server is up")),
)


def read_progress(log: str) -> Progress:
    """How far a starting server has come, by the last line of its log that says so."""
    for line in reversed(split_lines(log)):
        for pattern, read in _STAGES:
            match = pattern.search(line)
            if match:
                return read(match)
    return Progress("start", "starting", {})


# How a server looks that was stopped: not why.
_ENDS_WITHOUT_CAUSE = {"engine_killed", "stopped_by_signal", "unclassified_error"}


def explain_death(log: str, state: Optional[ContainerState]) -> List[Dict[str, Any]]:
    """The diagnosis of a dead server: its log, and what Docker or systemd knows about its end."""
    findings = diagnose(log)
    if state is None or not state.exists:
        return findings
    causes = [finding["cause"] for finding in findings]
    if state.oom_killed and "host_oom" not in causes:
        findings.insert(0, finding("host_oom", _OOM[state.kind]))
    elif state.stopped and set(causes) <= _ENDS_WITHOUT_CAUSE:
        findings.insert(0, finding("stopped_by_signal", "Docker says that it was told to stop the container"))
    elif not findings and state.exit_code in (137, 143):
        slug = "engine_killed" if state.exit_code == 137 else "stopped_by_signal"
        findings.append(finding(slug, "{0} says exit code {1}".format(state.keeper, state.exit_code)))
    return findings


def is_final(error: ApiError) -> bool:
    """Whether waiting cannot mend this answer of the endpoint."""
    if error.kind in (UNAUTHORIZED, MODEL_NOT_FOUND):
        return True
    return error.kind == BAD_RESPONSE and error.status in (400, 404, 405, 422)


class Probe:
    """Asks for a completion in a thread, so that a hanging engine does not keep us from watching its container."""

    def __init__(self, endpoint: Endpoint, model: str, request_timeout: float) -> None:
        self._endpoint = endpoint
        self._model = model
        self._timeout = request_timeout
        self._thread: Optional[threading.Thread] = None
        self._lock = threading.Lock()
        self.healthy = False
        self._answer: Optional[Answer] = None
        self._error: Optional[ApiError] = None

    def ask(self, patience: float) -> Tuple[Optional[Answer], Optional[ApiError]]:
        """The answer, or the error of the question that has just ended, or neither while one is open."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, daemon=True)
            self._thread.start()
        self._thread.join(patience)
        if self._thread.is_alive():
            return None, None
        self._thread = None
        with self._lock:
            return self._answer, self._error

    def _run(self) -> None:
        answer: Optional[Answer] = None
        error: Optional[ApiError] = None
        try:
            self._health()
            self.healthy = True
            answer = complete(self._endpoint, self._model, "Hello", 1, self._timeout)
        except ApiError as exc:
            error = exc
        with self._lock:
            self._answer, self._error = answer, error

    def _health(self) -> None:
        try:
            self._endpoint.get("/health", HEALTH_SECONDS)
        except ApiError as exc:
            # a gateway may not pass /health on
            if exc.status != 404:
                self.healthy = False
                raise
