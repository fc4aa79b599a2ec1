# SPDX-License-Identifier: GPL-3.0-or-later
"""Slices and progress lines of the waiting action plugins."""

from __future__ import annotations

import time
from typing import Any
from unittest.mock import MagicMock

import pytest
from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure
from ansible_collections.llmserve.vllm.plugins.action import ray_status, vllm_ready
from ansible_collections.llmserve.vllm.plugins.plugin_utils import _watch


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    lines: list[str] = []
    monkeypatch.setattr(_watch.display, "display", lines.append)
    return lines


def action(*answers: Any, no_log: bool = False, async_val: int = 0, **args: Any) -> tuple[Any, list[dict[str, Any]]]:
    """An action whose module gives these answers in turn, and the arguments that it was given."""
    task = MagicMock(args=args, no_log=no_log, async_val=async_val, check_mode=False)
    plugin = vllm_ready.ActionModule(task, MagicMock(), MagicMock(), MagicMock(), MagicMock(), MagicMock())
    calls: list[dict[str, Any]] = []
    left = list(answers)

    def execute(module_name: str, module_args: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        calls.append({"module_name": module_name, **module_args})
        answer = left.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return dict(answer)

    plugin._execute_module = execute
    return plugin, calls


WAITING = {"finished": False, "progress": "86 of 191 shards", "resume": {"elapsed": 9.0, "restarts_before": 2}}
DONE = {"finished": True, "ready": True, "resume": {"elapsed": 20.0}, "changed": False}


def test_slices_until_it_has_finished(shown: list[str]) -> None:
    plugin, calls = action(WAITING, WAITING, DONE, model="acme/tiny")
    result = plugin.run(task_vars={"inventory_hostname": "node1"})
    assert result["ready"]
    assert "resume" not in result
    assert [call["slice"] for call in calls] == [10.0, 10.0, 10.0]
    assert calls[0]["module_name"] == "llmserve.vllm.vllm_ready"
    assert "resume" not in calls[0]
    assert calls[1]["resume"]["restarts_before"] == 2
    # the controller's own clock, not the module's
    assert calls[1]["resume"]["elapsed"] < 5
    assert shown == ["  node1: 86 of 191 shards (0 s)"] * 2


def test_it_stops_with_a_failure(shown: list[str]) -> None:
    plugin, calls = action(WAITING, {"failed": True, "msg": "died", "finished": True})
    assert plugin.run(task_vars={})["msg"] == "died"
    assert len(calls) == 2


def test_a_module_that_crashed_is_not_asked_again(shown: list[str]) -> None:
    plugin, calls = action({"msg": "MODULE FAILURE", "rc": 1})
    plugin.run(task_vars={})
    assert len(calls) == 1


def test_a_module_may_ask_for_a_longer_slice(shown: list[str]) -> None:
    longer = {**WAITING, "resume": {"slice": 65}}
    plugin, calls = action(longer, WAITING, DONE, slice=5)
    plugin.run(task_vars={})
    assert [call["slice"] for call in calls] == [5, 65, 5]


def test_no_log_is_silent(shown: list[str]) -> None:
    plugin, _calls = action(WAITING, DONE, no_log=True)
    plugin.run(task_vars={})
    assert shown == []


def test_the_sentence_is_repeated_when_a_slice_takes_long(shown: list[str]) -> None:
    with _watch.Ticker("node1", quiet=False, silence=0.6) as ticker:
        ticker.say("loading")
        time.sleep(1.3)
    assert shown[:2] == ["  node1: loading (0 s)", "  node1: loading (1 s)"]


def test_a_lost_connection_is_told_and_ends_the_ticker(shown: list[str]) -> None:
    plugin, _calls = action(AnsibleConnectionFailure("gone"))
    with pytest.raises(AnsibleConnectionFailure):
        plugin.run(task_vars={})


def test_async_is_refused(shown: list[str]) -> None:
    plugin, _calls = action(DONE, async_val=60)
    with pytest.raises(AnsibleActionFail, match="does not support async"):
        plugin.run(task_vars={})


def test_the_other_action() -> None:
    assert ray_status.ActionModule.MODULE == "llmserve.vllm.ray_status"
