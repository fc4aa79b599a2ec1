# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shows the progress of the module hf_snapshot while it waits for the download."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase
from ansible_collections.llmserve.vllm.plugins.plugin_utils._watch import WatchAction


class ActionModule(WatchAction):
    """The action of llmserve.vllm.hf_snapshot; its options are the module's."""

    MODULE = "llmserve.vllm.hf_snapshot"

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Watch the job, unless the task is only to start it."""
        if boolean(self._task.args.get("wait", True), strict=False):
            return super().run(tmp, task_vars)
        result: dict[str, Any] = ActionBase.run(self, tmp, task_vars)
        result.update(self._execute_module(module_name=self.MODULE, task_vars=task_vars))
        return result
