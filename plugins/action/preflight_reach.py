# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the module preflight_reach with the run's key, which the listeners of this run know."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.action import ActionBase
from ansible_collections.llmserve.vllm.plugins.plugin_utils._run_key import run_key


class ActionModule(ActionBase):
    """The action of llmserve.vllm.preflight_reach; its options are the module's."""

    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the module."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        arguments = {**self._task.args, "run_key": run_key("preflight")}
        try:
            result.update(self._execute_module(module_args=arguments, task_vars=task_vars or {}))
        except AnsibleConnectionFailure as exc:
            if not self._task.args.get("ask"):
                raise
            # a host that has gone since it was read must not end the run for those that it was to ask
            result.update(changed=False, reports={}, no_answer=str(exc))
        return result
