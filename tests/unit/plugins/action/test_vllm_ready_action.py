# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts that wait for one server: the first that has an answer, or has failed, decides for all."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pytest
from ansible.errors import AnsibleConnectionFailure
from ansible_collections.llmserve.vllm.plugins.action import vllm_ready
from ansible_collections.llmserve.vllm.plugins.plugin_utils import _watch

WAITING = {"finished": False, "progress": "86 of 191 shards", "resume": {}, "ready": False}
DONE = {"finished": True, "ready": True, "progress": "the model answers", "changed": False}
DIED = {"failed": True, "finished": True, "msg": "container is not running.", "diagnosis": [{"cause": "cuda_oom"}]}


@pytest.fixture(autouse=True)
def one_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(vllm_ready.constants, "DEFAULT_LOCAL_TMP", str(tmp_path))
    monkeypatch.setattr(_watch.display, "display", lambda text: None)
    return tmp_path


def play(host: str, *answers: Any, uuid: str = "task-1", check: bool = False, **args: Any) -> tuple[Any, list[Any]]:
    """What the action of a host ends with, and the slices that it ran."""
    task = MagicMock(args=args, no_log=False, async_val=0, check_mode=check, _uuid=uuid)
    plugin = vllm_ready.ActionModule(task, MagicMock(), MagicMock(), MagicMock(), MagicMock(), MagicMock())
    slices: list[Any] = []
    left = list(answers)

    def execute(module_name: str, module_args: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        slices.append(module_args["slice"])
        answer = left.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return dict(answer)

    plugin._execute_module = execute
    return plugin.run(task_vars={"inventory_hostname": host}), slices


def test_the_head_s_answer_ends_the_wait_of_a_headless_rank() -> None:
    assert play("node1", DONE, together=True)[0]["ready"]
    result, slices = play("node2", WAITING, headless=True)
    assert (result["ready"], result["progress"], len(slices)) == (True, "node1: the model answers", 1)
    assert not result.get("failed")


def test_a_dead_rank_ends_the_wait_of_the_head() -> None:
    dead, _slices = play("node2", WAITING, DIED, headless=True)
    assert dead["msg"] == "container is not running."
    assert dead["diagnosis"]
    result, slices = play("node1", WAITING, together=True)
    assert (result["failed"], result["reason_kind"], len(slices)) == (True, "other_host", 1)
    assert "node2: container is not running." in result["msg"]


def test_who_fails_next_points_to_the_first() -> None:
    play("node1", DIED, together=True)
    result, _slices = play("node2", {**DIED, "msg": "Connection reset."}, headless=True)
    assert result["msg"] == "Connection reset. The first to fail was node1: container is not running."


def test_a_host_that_is_lost_ends_the_wait_of_the_others() -> None:
    with pytest.raises(AnsibleConnectionFailure):
        play("node2", AnsibleConnectionFailure("no route to host"), headless=True)
    assert "no route to host" in play("node1", WAITING, together=True)[0]["msg"]


def test_a_module_that_crashed_is_heard_too() -> None:
    play("node2", {"msg": "MODULE FAILURE", "rc": 1}, headless=True)
    assert "MODULE FAILURE" in play("node1", WAITING, together=True)[0]["msg"]


def test_the_slices_are_short_even_when_the_module_wants_a_long_one() -> None:
    _result, slices = play("node1", {**WAITING, "resume": {"slice": 65}}, WAITING, DONE, together=True)
    assert slices == [5.0, 20.0, 5.0]


def test_tasks_do_not_hear_each_other(one_run: Path) -> None:
    play("node1", DIED, together=True, uuid="earlier")
    assert play("node1", WAITING, DONE, together=True)[0]["ready"]
    assert len(list(one_run.iterdir())) == 2


def test_alone_or_in_check_mode_nothing_is_shared(one_run: Path) -> None:
    play("node1", DONE)
    play("node1", DONE, together=True, check=True)
    assert list(one_run.iterdir()) == []
