# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs a waiting module in slices and shows its progress while the task is still running.

This plugin util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import time
from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.llmserve.vllm.plugins.module_utils._wait import minutes

# A line at least every 15 s, with room for the trip to the host and back.
SLICE_SECONDS = 10.0

display = Display()


class WatchAction(ActionBase):
    """Base of the action plugins that stand in front of a module with the options slice and resume."""

    MODULE = ""
    _supports_check_mode = True
    # A wait that reports while it runs is the opposite of a task that is polled.
    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run slice after slice until the module says that it has finished, or fails."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        del tmp
        variables = task_vars or {}
        host = variables.get("inventory_hostname", "host")
        args: dict[str, Any] = {"slice": SLICE_SECONDS, **self._task.args}
        began = time.monotonic()
        while True:
            answer = self._execute_module(module_name=self.MODULE, module_args=args, task_vars=variables)
            if answer.get("failed") or answer.get("skipped") or answer.get("finished", True):
                result.update(answer)
                result.pop("resume", None)
                return result
            # The clock of the controller also counts the trips, so that the timeout is the one that was asked for.
            elapsed = time.monotonic() - began
            args["resume"] = {**answer.get("resume", {}), "elapsed": elapsed}
            # no_log hides results, and what a progress line says is one.
            if not self._task.no_log:
                display.display(f"  {host}: {answer.get('progress', 'waiting')} ({minutes(elapsed)})")
