# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs a waiting module in slices and shows its progress while the task is still running.

This plugin util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import threading
import time
from types import TracebackType
from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.llmserve.vllm.plugins.module_utils._wait import minutes

# Each slice brings a fresh sentence from the host.
SLICE_SECONDS = 10.0
# A slice may take longer than it should, on a slow connection for example: then the last sentence is shown again.
SILENCE_SECONDS = 13.0

display = Display()


class Ticker:
    """Shows the latest sentence at once when it is new, and again whenever it has been silent for too long."""

    def __init__(self, host: str, quiet: bool, silence: float = SILENCE_SECONDS) -> None:
        self._host = host
        self._quiet = quiet
        self._silence = silence
        self._sentence = "waiting"
        self._began = self._shown = time.monotonic()
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._tick, daemon=True)

    @property
    def elapsed(self) -> float:
        return time.monotonic() - self._began

    def say(self, sentence: str) -> None:
        """Show a sentence now."""
        with self._lock:
            self._sentence = sentence
            self._show()

    def __enter__(self) -> Ticker:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _tick(self) -> None:
        while not self._stop.wait(0.5):
            with self._lock:
                if time.monotonic() - self._shown >= self._silence:
                    self._show()

    def _show(self) -> None:
        self._shown = time.monotonic()
        if not self._quiet:
            display.display(f"  {self._host}: {self._sentence} ({minutes(self.elapsed)})")


class WatchAction(ActionBase):
    """Base of the action plugins that stand in front of a module with the options slice and resume."""

    MODULE = ""
    _supports_check_mode = True
    # A wait that reports while it runs is the opposite of a task that is polled.
    _supports_async = False
    _slice = SLICE_SECONDS
    # the longest slice that a module may ask for
    _slice_limit = float("inf")

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run slice after slice until the module says that it has finished, or fails."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        variables = task_vars or {}
        args: dict[str, Any] = {"slice": self._slice, **self._task.args}
        length = args["slice"]
        host = str(variables.get("inventory_hostname", "host"))
        # no_log hides results, and what a progress line says is one
        with Ticker(host, quiet=bool(self._task.no_log)) as ticker:
            while True:
                answer = self._execute_module(module_name=self.MODULE, module_args=args, task_vars=variables)
                answer = self._conclude(host, answer) or answer
                if answer.get("failed") or answer.get("skipped") or answer.get("finished", True):
                    break
                resume = dict(answer.get("resume") or {})
                # The controller's clock also counts the trips, so that the timeout is the one that was asked for.
                resume["elapsed"] = ticker.elapsed
                # A module may ask for a longer slice, to see something through that must not be cut in two.
                args = {**args, "resume": resume, "slice": min(resume.get("slice", length), self._slice_limit)}
                ticker.say(str(answer.get("progress", "waiting")))
        answer.pop("resume", None)
        result.update(answer)
        return result

    def _conclude(self, host: str, answer: dict[str, Any]) -> dict[str, Any] | None:
        """What a slice means where more than the slice itself decides; nothing leaves it as it is."""
        return None
