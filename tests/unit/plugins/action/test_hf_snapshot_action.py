# SPDX-License-Identifier: GPL-3.0-or-later
"""The action watches, or only starts."""

from __future__ import annotations

from typing import Any
from unittest.mock import MagicMock

import pytest
from ansible_collections.llmserve.vllm.plugins.action import hf_snapshot
from ansible_collections.llmserve.vllm.plugins.plugin_utils import _watch

STARTED = {"finished": False, "job": "j", "progress": "downloading 1.0 %", "resume": {"job": "j"}, "changed": True}
DONE = {"finished": True, "changed": True}


def run(*answers: dict[str, Any], **args: Any) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    task = MagicMock(args=args, no_log=False, async_val=0, check_mode=False)
    plugin = hf_snapshot.ActionModule(task, MagicMock(), MagicMock(), MagicMock(), MagicMock(), MagicMock())
    calls: list[dict[str, Any]] = []
    left = list(answers)

    def execute(module_name: str, module_args: Any = None, task_vars: Any = None) -> dict[str, Any]:
        calls.append(dict(module_args or args, module_name=module_name))
        return dict(left.pop(0))

    plugin._execute_module = execute
    return plugin.run(task_vars={"inventory_hostname": "node1"}), calls


def test_it_watches_until_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []
    monkeypatch.setattr(_watch.display, "display", shown.append)
    result, calls = run(STARTED, DONE, repo_id="acme/tiny")
    assert (result["finished"], len(calls)) == (True, 2)
    assert calls[1]["resume"]["job"] == "j"
    assert shown == ["  node1: downloading 1.0 % (0 s)"]


@pytest.mark.parametrize("no", [False, "no", "False"])
def test_it_only_starts(no: Any) -> None:
    result, calls = run(STARTED, repo_id="acme/tiny", wait=no)
    assert (result["finished"], result["job"], len(calls)) == (False, "j", 1)
    assert "slice" not in calls[0]
