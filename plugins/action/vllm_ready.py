# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shows the progress of the module vllm_ready while it waits, and lets the hosts of a group wait as one."""

from __future__ import annotations

from typing import Any

from ansible import constants
from ansible.module_utils.parsing.convert_bool import boolean
from ansible_collections.llmserve.vllm.plugins.plugin_utils._meeting import Meeting, Verdict
from ansible_collections.llmserve.vllm.plugins.plugin_utils._watch import WatchAction

# What one host has seen, the others learn when their slice is over.
TOGETHER_SECONDS = 5.0
# A first answer that takes longer is asked for again; the engine has compiled its kernels by then.
TOGETHER_ANSWER_SECONDS = 20.0


class ActionModule(WatchAction):
    """The action of llmserve.vllm.vllm_ready; its options are the module's."""

    MODULE = "llmserve.vllm.vllm_ready"

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """As its base does it; a host that is lost ends the wait of the others, too."""
        if not self._together:
            return super().run(tmp, task_vars)
        host = str((task_vars or {}).get("inventory_hostname", "host"))
        self._slice = TOGETHER_SECONDS
        self._slice_limit = TOGETHER_ANSWER_SECONDS
        try:
            return super().run(tmp, task_vars)
        except Exception as exc:
            self._meeting.say(Verdict(host, False, str(exc)))
            raise

    @property
    def _headless(self) -> bool:
        return boolean(self._task.args.get("headless", False), strict=False)

    @property
    def _together(self) -> bool:
        asked = self._headless or boolean(self._task.args.get("together", False), strict=False)
        return asked and not self._task.check_mode

    @property
    def _meeting(self) -> Meeting:
        # the same for all hosts of the task
        return Meeting(constants.DEFAULT_LOCAL_TMP, str(self._task._uuid))

    def _conclude(self, host: str, answer: dict[str, Any]) -> dict[str, Any] | None:
        if not self._together or answer.get("skipped"):
            return None
        # a module that crashed says neither
        if answer.get("failed") or "finished" not in answer:
            return self._failed(host, answer)
        if answer.get("ready") and not self._headless:
            self._meeting.say(Verdict(host, True, str(answer.get("progress", ""))))
            return None
        verdict = self._meeting.verdict()
        return _as_decided(answer, verdict) if verdict else None

    def _failed(self, host: str, answer: dict[str, Any]) -> dict[str, Any]:
        first = self._meeting.say(Verdict(host, False, str(answer.get("msg", "failed"))))
        if first.host == host or first.ok:
            return answer
        return {**answer, "msg": f"{answer.get('msg')} The first to fail was {first.host}: {first.text}"}


def _as_decided(answer: dict[str, Any], verdict: Verdict) -> dict[str, Any]:
    """The end of the wait of a host that is still waiting when another one has decided."""
    if verdict.ok:
        return {**answer, "ready": True, "finished": True, "progress": f"{verdict.host}: {verdict.text}"}
    return {
        **answer,
        "failed": True,
        "finished": True,
        "ready": False,
        "reason_kind": "other_host",
        "msg": f"Ends here, because all hosts of the group are needed. {verdict.host}: {verdict.text}",
    }
