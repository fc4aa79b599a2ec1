# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the module preflight_host with the run's key, and puts beside the host's facts what the controller knows.

That is its own clock, and what the inventory says of the host, whether it answers or not.
"""

from __future__ import annotations

import time
from typing import Any

from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.action import ActionBase
from ansible_collections.llmserve.vllm.plugins.plugin_utils._run_key import run_key


class ActionModule(ActionBase):
    """The action of llmserve.vllm.preflight_host; its options are the module's."""

    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the module; what it read happened between two looks at the clock here."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        arguments = {**self._task.args, "run_key": run_key("preflight")}
        # the host has no use for it
        wish = arguments.pop("wish", None) or {}
        before = time.time()
        try:
            answer = self._execute_module(module_args=arguments, task_vars=task_vars or {})
        except AnsibleConnectionFailure as exc:
            if not wish:
                raise
            # to whoever judges all hosts together, this is one more thing to judge
            answer = {"changed": False, "no_answer": str(exc)}
        if isinstance(answer.get("facts"), dict):
            answer["facts"]["controller_time"] = [before, time.time()]
        result.update(answer, wish=wish)
        return result
