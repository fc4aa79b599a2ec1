# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action llmserve.vllm.preflight_host: the controller's clock beside the host's."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import pytest
from ansible.plugins.action import ActionBase
from ansible_collections.llmserve.vllm.plugins.action.preflight_host import ActionModule


def run(monkeypatch: pytest.MonkeyPatch, answer: dict[str, Any]) -> dict[str, Any]:
    task = SimpleNamespace(async_val=0, args={}, check_mode=False, diff=False)
    action = ActionModule(task, SimpleNamespace(), None, None, None, None)
    monkeypatch.setattr(ActionBase, "run", lambda _self, _tmp, _variables: {})
    monkeypatch.setattr(ActionBase, "_execute_module", lambda _self, task_vars: answer)
    return action.run(task_vars={})


def test_the_host_was_read_between_two_looks_at_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    began = time.time()
    before, after = run(monkeypatch, {"facts": {"time": [1.0, 2.0]}})["facts"]["controller_time"]
    assert began <= before <= after <= time.time()


def test_a_failure_stays_what_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(monkeypatch, {"failed": True, "msg": "no"}) == {"failed": True, "msg": "no"}
