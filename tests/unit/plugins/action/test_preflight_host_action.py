# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The actions of preflight_host and preflight_reach: the controller's clock, and the key of the run."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import pytest
from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.action import ActionBase
from ansible_collections.llmserve.vllm.plugins.action import preflight_reach
from ansible_collections.llmserve.vllm.plugins.action.preflight_host import ActionModule
from ansible_collections.llmserve.vllm.plugins.plugin_utils._run_key import run_key


def run(
    monkeypatch: pytest.MonkeyPatch,
    answer: dict[str, Any] | AnsibleConnectionFailure,
    kind: type[ActionBase] = ActionModule,
    **more: Any,
) -> dict[str, Any]:
    def execute(_self: ActionBase, module_args: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        if isinstance(answer, AnsibleConnectionFailure):
            raise answer
        return {**answer, "passed": module_args}

    task = SimpleNamespace(async_val=0, args={"host": "node1", **more}, check_mode=False, diff=False)
    action = kind(task, SimpleNamespace(), None, None, None, None)
    monkeypatch.setattr(ActionBase, "run", lambda _self, _tmp, _variables: {})
    monkeypatch.setattr(ActionBase, "_execute_module", execute)
    result: dict[str, Any] = action.run(task_vars={})
    return result


def test_the_host_was_read_between_two_looks_at_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    began = time.time()
    before, after = run(monkeypatch, {"facts": {"time": [1.0, 2.0]}})["facts"]["controller_time"]
    assert began <= before <= after <= time.time()


def test_a_failure_stays_what_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    result = run(monkeypatch, {"failed": True, "msg": "no"})
    assert (result["failed"], result["msg"], "facts" in result) == (True, "no", False)


def test_listener_and_order_have_the_key_of_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    passed = [run(monkeypatch, {}, kind)["passed"] for kind in (ActionModule, preflight_reach.ActionModule)]
    assert passed == [{"host": "node1", "run_key": run_key("preflight")}] * 2


def test_what_the_inventory_says_stays_here_and_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    result = run(monkeypatch, {"facts": {}}, wish={"image": "x"})
    assert (result["wish"], "wish" in result["passed"]) == ({"image": "x"}, False)


def test_a_host_that_does_not_answer_is_a_result_to_whoever_judges(monkeypatch: pytest.MonkeyPatch) -> None:
    gone = AnsibleConnectionFailure("Connection timed out")
    result = run(monkeypatch, gone, wish={"image": "x"})
    assert result == {"changed": False, "no_answer": "Connection timed out", "wish": {"image": "x"}}
    with pytest.raises(AnsibleConnectionFailure):
        run(monkeypatch, gone)


def test_a_host_that_has_gone_asks_nobody_and_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    gone = AnsibleConnectionFailure("Connection timed out")
    result = run(monkeypatch, gone, preflight_reach.ActionModule, ask=True)
    assert result == {"changed": False, "reports": {}, "no_answer": "Connection timed out"}
    with pytest.raises(AnsibleConnectionFailure):
        run(monkeypatch, gone, preflight_reach.ActionModule)
