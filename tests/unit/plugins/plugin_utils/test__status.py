# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs, on one screen and for programs."""

from __future__ import annotations

import json

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.llmserve.vllm.plugins.filter.running_deployment import running_deployment
from ansible_collections.llmserve.vllm.plugins.filter.status_report import status_report
from ansible_collections.llmserve.vllm.plugins.filter.status_screen import status_screen
from ansible_collections.llmserve.vllm.plugins.module_utils._lock import make
from ansible_collections.llmserve.vllm.tests.unit.plugins.doctor_hosts import (
    COMMIT,
    NOW,
    container,
    endpoint,
    head,
    ray_node,
    versions,
    worker,
)

CANARY = {"verdict": "ok", "last_check": NOW - 20, "counts": {"ok": 120, "failed": 1, "acted": 1}, "reason": ""}
LOCK = make(running_deployment(head()["facts"]), {"tokens_per_second": 31.4}, "2026-11-21T09:00:00Z")


def test_one_screen() -> None:
    screen = status_screen(status_report([head(canary=CANARY, lock=LOCK), worker()], "prod"))
    assert (
        screen
        == f"""\
prod: serving                                               2026-11-21 10:00 UTC
================================================================================
Endpoint   http://10.0.0.1:8000/v1
Model      acme/tiny, commit {COMMIT[:12]}
Answers    yes, one token in 0.08 s
Requests   3 running, 1 waiting, KV cache 12.5 % used, 1,200 tokens generated
Engine     up 1 h 0 min, 0 restarts, vllm/vllm-openai:v0.33.0 (sha256:feed)
Ray        2 nodes, 16 GPUs (16 reserved)
Versions   vllm 0.33.0, ray 2.56.1, torch 2.14.0, nccl 2.28.1, python 3.12.3,
           driver 580.95.05, docker 28.3.0
Canary     ok 20 s ago; 120 answers, 1 failures, 1 restarts
Lock file  of 2026-11-21T09:00:00Z; nothing differs
node1  8 x H100 80GB HBM3, driver 580.95.05, llmserve-ray-head up 1 h 0 min,
       llmserve-vllm up 1 h 0 min
node2  8 x H100 80GB HBM3, driver 580.95.05, llmserve-ray-worker up 1 h 0 min
================================================================================"""
    )


def test_what_differs_from_the_lock_file() -> None:
    found = status_report([head(lock=LOCK, versions=versions("0.34.0")), worker()])
    assert found["lock"]["differences"] == ["vLLM: 0.34.0, was 0.33.0"]
    assert "vLLM: 0.34.0, was 0.33.0" in status_screen(found)


def test_a_worker_that_ray_has_lost() -> None:
    ray = {"error": None, "version": "2.56.1", "nodes": [ray_node("10.0.0.1")], "gpus_total": 8.0, "gpus_reserved": 8.0}
    found = status_report([head(ray=ray), worker()])
    assert (found["serving"], found["healthy"]) == (True, False)
    assert [node["in_ray"] for node in found["nodes"]] == [True, False]
    screen = status_screen(found)
    assert "serving, but not whole" in screen
    assert "not in Ray's cluster" in " ".join(screen.split())


def test_nothing_serves() -> None:
    stopped = head(
        containers=[container("vllm", "exited")],
        endpoint=endpoint(healthy=False, answer_seconds=None, error="Nothing listens", figures={}, models=[]),
        ray=None,
        canary={"verdict": "stopped", "last_check": NOW - 5, "counts": {}, "reason": "it is exited", "gave_up": True},
        hold={"by": "playbooks/serve_405b.yml"},
    )
    gone = {"name": "node2", "facts": {}, "unreachable": "no route"}
    found = status_report([stopped, gone])
    assert (found["serving"], found["healthy"], found["ray"]) == (False, False, None)
    text = " ".join(status_screen(found).split())
    for words in (
        "NOT SERVING",
        "no: Nothing listens",
        "Engine exited, 0 restarts",
        "stopped 5 s ago; it is exited",
        "it acts no more until an answer comes",
        "playbooks/serve_405b.yml is deploying",
        "node2 not reached",
    ):
        assert words in text


def test_no_head_was_reached() -> None:
    found = status_report([{"name": "node1", "facts": {}}])
    assert "unknown: the head was not reached" in status_screen(found)


def test_programs_get_plain_json() -> None:
    found = status_report([head(canary=CANARY, lock=LOCK), worker()])
    assert json.loads(json.dumps(found)) == found
    assert found["requests"]["kv_cache_used"] == 0.125
    assert found["engine"]["up_seconds"] == 3600


def test_the_filters_refuse_what_is_none_of_theirs() -> None:
    for refuse in (lambda: status_report("x"), lambda: status_screen([]), lambda: running_deployment([])):
        with pytest.raises(AnsibleFilterError):
            refuse()


def test_what_was_asked_for_is_kept_beside_what_runs() -> None:
    request = running_deployment(head()["facts"], {"model": "m", "engine_args": {"max_num_seqs": 8}})["request"]
    assert (request["llmserve_model"], request["llmserve_engine_args"]) == ("m", {"max_num_seqs": 8})
    assert running_deployment(head(containers=[])["facts"], {"model": "m"}) == {}


@pytest.mark.parametrize(
    ("journal", "hold", "words"),
    [
        ({"phase": "swap"}, None, "was broken off (swap)"),
        ({"phase": "drain"}, {"by": "x"}, "is under way (drain)"),
        ({"phase": "rolled_back", "reason": "node1: it died"}, None, "was rolled back: node1: it died"),
        ({"phase": "failed", "reason": "disk"}, None, "failed, and so did going back: disk"),
        ({"phase": "done", "kind": "rollback"}, None, "rollback of 2026-11-21 09:00 UTC"),
    ],
)
def test_the_last_upgrade_has_a_line(journal: dict[str, str], hold: dict[str, str] | None, words: str) -> None:
    facts = head(journal={"began": NOW - 3600, **journal}, hold=hold)
    screen = " ".join(status_screen(status_report([facts, worker()])).split())
    assert "Last swap" in screen
    assert words in screen
