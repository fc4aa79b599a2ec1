# SPDX-License-Identifier: GPL-3.0-or-later
"""The canary's script: what it makes of a look, and when it acts."""

from __future__ import annotations

import ast
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.llmserve.vllm.tests.unit.roles.canary_host import CONFIG, SCRIPT, canary, rules

NOW = 1795255200.0
# an engine that runs for an hour and does not answer, though it says that it is healthy
HUNG = rules.Look(error="no answer within 60 s", healthy=True, container="running", started=NOW - 3600)
ANSWERED = rules.Look(answer_seconds=0.1, container="running", started=NOW - 3600)


class Canary:
    """Looks one after the other, a minute apart, with what is done in between."""

    def __init__(self, **config: Any) -> None:
        self.config = {**CONFIG, **config}
        self.state: dict[str, Any] = {}
        self.now = NOW

    def see(self, look: Any, nodes: int | None = 2) -> Any:
        self.now += 60
        verdict, reason = rules.judge(look, self.state, self.config, self.now)
        self.state = rules.record(self.state, verdict, reason, look, self.now)
        decision = rules.decide(self.state, nodes, self.config, self.now)
        self.state = rules.acting(self.state, decision, self.now)
        if decision.action:
            self.state["pending"] = None
        # as it comes back from the file
        self.state = json.loads(json.dumps(self.state))
        return decision

    def actions(self, *looks: Any, nodes: int | None = 2) -> list[str]:
        return [self.see(look, nodes).action for look in looks]


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({}, "failed"),
        ({"answer_seconds": 0.1}, "ok"),
        ({"answer_seconds": 0.1, "held": "x"}, "ok"),
        ({"held": "playbooks/serve_405b.yml is at work"}, "held"),
        ({"container": ""}, "unknown"),
        ({"container": "exited"}, "stopped"),
        ({"container": "missing"}, "stopped"),
        ({"container": "paused"}, "stopped"),
        ({"container": "restarting"}, "crashing"),
        ({"status": 401}, "refused"),
        ({"status": 404}, "refused"),
        ({"status": 503}, "failed"),
        ({"advanced": True}, "busy"),
        ({"healthy": False}, "loading"),
        ({"healthy": False, "started": NOW - 7300}, "failed"),
    ],
)
def test_verdicts(changes: dict[str, Any], verdict: str) -> None:
    assert rules.judge(HUNG._replace(**changes), {}, CONFIG, NOW)[0] == verdict


def test_an_engine_that_has_answered_since_it_was_started_is_not_loading() -> None:
    silent = HUNG._replace(healthy=False)
    assert rules.judge(silent, {"last_ok": NOW - 60}, CONFIG, NOW)[0] == "failed"
    assert rules.judge(silent, {"last_ok": NOW - 4000}, CONFIG, NOW)[0] == "loading"


def test_one_that_docker_restarts_again_and_again_is_crashing_until_it_answers() -> None:
    it = Canary()
    it.see(ANSWERED._replace(restarts=2))
    dying = HUNG._replace(healthy=False, started=NOW + 100)
    assert [rules.judge(dying._replace(restarts=n), it.state, CONFIG, NOW + 120)[0] for n in (2, 4, 5)] == [
        "loading",
        "loading",
        "crashing",
    ]
    # Docker counts from 0 again after a restart by hand
    assert it.actions(*[dying._replace(restarts=0)] * 5, *[dying._replace(restarts=9)] * 5) == [""] * 10
    assert it.state["verdict"] == "crashing"


def test_three_failures_in_a_row_restart_the_engine_and_an_answer_ends_the_series() -> None:
    it = Canary()
    assert it.actions(ANSWERED, HUNG, HUNG, ANSWERED, HUNG, HUNG, HUNG) == ["", "", "", "", "", "", "engine"]
    assert it.state["counts"] == {"ok": 2, "failed": 5, "acted": 1}
    assert "no answer within 60 s" in it.state["actions"][0]["reason"]
    assert it.state["last_ok"] == NOW + 240
    assert it.see(ANSWERED).action == ""
    assert (it.state["failures_in_a_row"], it.state["verdict"]) == (0, "ok")


@pytest.mark.parametrize(("nodes", "words"), [(1, "Ray has 1 of 2 nodes"), (None, "Ray does not answer")])
def test_lost_nodes_restart_the_group(nodes: int | None, words: str) -> None:
    it = Canary()
    assert it.actions(ANSWERED, HUNG, HUNG, HUNG, nodes=nodes)[-1] == "group"
    assert words in it.state["actions"][0]["reason"]


def test_what_did_not_help_is_tried_with_ray_and_then_no_more() -> None:
    it = Canary()
    it.see(ANSWERED)
    done = it.actions(*[HUNG] * 15)
    assert [action for action in done if action] == ["engine", "group", "group"]
    assert it.state["gave_up"] is True
    assert it.state["gave_up_reason"] == "3 restarts have not helped"
    # an answer, however it came about, lets it begin anew
    it.see(ANSWERED)
    assert it.state["gave_up"] is False
    assert "engine" in it.actions(HUNG, HUNG, HUNG)


def test_it_does_not_restart_all_day_what_answers_in_between() -> None:
    it = Canary()
    done = [action for dummy in range(10) for action in it.actions(ANSWERED, HUNG, HUNG, HUNG) if action]
    assert done == ["engine"] * 6
    assert "within a day" in it.state["gave_up_reason"]
    it.now += 24 * 3600
    assert "engine" in it.actions(HUNG, HUNG, HUNG)


@pytest.mark.parametrize(
    "look",
    [
        HUNG._replace(held="a playbook is at work"),
        HUNG._replace(healthy=False),
        HUNG._replace(container="exited"),
        HUNG._replace(container="restarting"),
        HUNG._replace(container=""),
        HUNG._replace(advanced=True),
        HUNG._replace(status=401),
    ],
)
def test_what_must_be_left_alone_is(look: Any) -> None:
    it = Canary()
    assert it.actions(*[look] * 20) == [""] * 20


def test_what_happened_before_it_loaded_or_was_held_counts_no_more() -> None:
    it = Canary()
    loading = HUNG._replace(healthy=False)
    assert it.actions(HUNG, HUNG, loading, HUNG, HUNG) == [""] * 5
    # that Docker did not answer once changes nothing
    assert it.actions(HUNG._replace(container=""), HUNG) == ["", "engine"]


def test_without_leave_to_act_it_only_writes_down() -> None:
    it = Canary(act=False)
    assert it.actions(*[HUNG] * 9) == [""] * 9
    assert it.state["failures_in_a_row"] == 9


def test_a_restart_that_was_cut_off_is_ended() -> None:
    state = {"verdict": "stopped", "failures_in_a_row": 0, "actions": [], "pending": {"time": NOW - 100}}
    assert rules.decide(state, 2, CONFIG, NOW).action == "start"
    assert rules.decide({**state, "pending": {"time": NOW - 1000}}, 2, CONFIG, NOW).action == ""
    assert rules.decide({**state, "pending": None}, 2, CONFIG, NOW).action == ""


@pytest.mark.parametrize(
    ("text", "held"),
    [
        ('{"by": "playbooks/serve_405b.yml", "until": 1795255300}', "playbooks/serve_405b.yml is at work"),
        ('{"by": "x", "until": "1795255300"}', "x is at work"),
        ('{"by": "x", "until": 1795255100}', ""),
        ("", ""),
        ("{", ""),
        ("[]", ""),
    ],
)
def test_who_holds_it(text: str, held: str) -> None:
    assert canary.read_hold(text, NOW) == held


def test_work_by_both_names_of_its_metrics() -> None:
    page = 'vllm:generation_tokens_total{engine="0"} 5.0\nvllm:generation_tokens_total{engine="1"} 7\n'
    assert canary.work_of(page) == (12, 0)
    page = 'vllm:generation_tokens{m="x"} 3\nvllm:generation_tokens_created{m="x"} 1e9\n'
    assert canary.work_of(page + 'vllm:gpu_cache_usage_perc{m="x"} 0.5\n') == (3, 0.5)
    page = 'vllm:prompt_tokens_total{engine="0"} 100\nvllm:generation_tokens_total 5\nvllm:prompt_tokens_cached 7\n'
    assert canary.work_of(page + 'vllm:kv_cache_usage_perc{engine="0"} 0.25\n') == (105, 0.25)
    assert canary.work_of("<html>") is None


@pytest.mark.parametrize(
    ("before", "after", "worked"),
    [
        # a piece of a long prompt, also the first one since it was started
        ((12, 0.1), (12, 0.2), True),
        ((0, 0), (0, 0.1), True),
        ((12, 0.2), (40, 0.2), True),
        # it hangs
        ((12, 0.1), (12, 0.1), False),
        # restarted in between
        ((12, 0.1), (0, 0), False),
        (None, (12, 0.1), False),
        ((12, 0.1), None, False),
    ],
)
def test_what_counts_as_work_for_others(before: Any, after: Any, worked: bool) -> None:
    assert canary.has_worked(before and canary.Work(*before), after and canary.Work(*after)) is worked


@pytest.mark.parametrize("script", [SCRIPT, SCRIPT.with_name("canary_verdict.py")], ids=lambda path: path.name)
def test_it_runs_on_python_3_8_with_nothing_but_the_standard_library(script: Path) -> None:
    tree = ast.parse(script.read_text(), feature_version=(3, 8))
    names = {
        (node.module or "") if isinstance(node, ast.ImportFrom) else node.names[0].name
        for node in ast.walk(tree)
        if isinstance(node, (ast.Import, ast.ImportFrom))
    }
    assert {name.partition(".")[0] for name in names} <= {*sys.stdlib_module_names, "canary_verdict"}
    assert script.read_text()[:2] != "#!"


def test_without_ray_the_engine_alone_is_restarted_and_takes_its_ranks_along() -> None:
    it = Canary(ray_head="")
    decisions = [it.see(HUNG, nodes=None) for _look in range(6)]
    assert [decision.action for decision in decisions if decision.action] == ["engine", "engine"]


@pytest.mark.parametrize(
    ("text", "status"),
    [("", ""), ("LoadState=not-found\n", "missing"), ("LoadState=loaded\nActiveState=failed\n", "exited")],
)
def test_what_systemd_says_of_a_unit(text: str, status: str) -> None:
    assert canary.read_unit(text)[0] == status
