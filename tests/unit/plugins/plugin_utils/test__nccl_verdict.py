# SPDX-License-Identifier: GPL-3.0-or-later
"""What the results of all hosts mean. The logs behind them are written by hand, see fixtures/nccl/README.md."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.llmserve.vllm.plugins.filter.nccl_verdict import nccl_verdict
from ansible_collections.llmserve.vllm.plugins.module_utils import _nccl_log
from ansible_collections.llmserve.vllm.plugins.plugin_utils._nccl_causes import NAMED, NOT_STARTED

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures/nccl"
UP: Mapping[str, list[str]] = MappingProxyType({"active": ["mlx5_0:1/InfiniBand"], "user_devices": ["uverbs0"]})
NO_FABRIC: dict[str, list[str]] = {"active": [], "user_devices": []}


def hosts(name: str, fabric: Mapping[str, list[str]] = UP, **environment: str) -> list[dict[str, Any]]:
    facts = _nccl_log.read((FIXTURES / f"{name}.txt").read_text())
    return [dict(facts, host=host, fabric=fabric, environment=environment) for host in ("gpu-1", "gpu-2")]


def failing(*failures: dict[str, Any], host: str = "gpu-2", **facts: Any) -> list[dict[str, Any]]:
    """Two hosts of which one has this to say, and the other was stopped by it."""
    both = [{"host": name, "failures": [{"kind": "stopped", "other": host}]} for name in ("gpu-1", "gpu-2")]
    both[["gpu-1", "gpu-2"].index(host)].update(failures=list(failures), **facts)
    return both


def only(results: list[dict[str, Any]], **options: Any) -> dict[str, str]:
    problems = nccl_verdict(results, **options)["problems"]
    assert len(problems) == 1, problems
    problem: dict[str, str] = problems[0]
    return problem


def test_infiniband_as_it_should_be() -> None:
    verdict = nccl_verdict(hosts("ib_gdr"), min_gb_s=300)
    assert verdict["ok"]
    assert not verdict["warnings"]
    assert (verdict["transport"], verdict["bus_gb_s"]) == ("IB", 372.8)
    want = "all-reduce over 2 nodes, 4 GPUs: NCCL over InfiniBand (2 ports) with GPUDirect RDMA, 372.8 GB/s"
    assert verdict["text"] == want


def test_roce_without_gpudirect_is_a_warning() -> None:
    results = hosts("ib_gdr")
    for result in results:
        result["network"] = dict(result["network"], gpudirect=False, devices=["mlx5_0:1/RoCE"])
    verdict = nccl_verdict(results, expect="ib")
    assert verdict["ok"]
    assert [item["check"] for item in verdict["warnings"]] == ["nccl_gpudirect"] * 2
    assert "NCCL over RoCE (1 port), 372.8 GB/s" in verdict["text"]


def test_infiniband_that_is_there_and_not_used_is_a_problem_of_every_host() -> None:
    problems = nccl_verdict(hosts("socket_fallback"))["problems"]
    assert [item["host"] for item in problems] == ["gpu-1", "gpu-2"]
    assert "TCP (Socket), not by RDMA; the host has mlx5_0:1/InfiniBand" in problems[0]["problem"]
    assert "ray_node_infiniband" in problems[0]["mend"]


@pytest.mark.parametrize(
    ("fabric", "environment", "words"),
    [
        (NO_FABRIC, {}, "Bring the ports up"),
        ({**UP, "user_devices": []}, {}, "load ib_uverbs"),
        (UP, {"NCCL_IB_DISABLE": "1"}, "take it out of llmserve_environment"),
        (UP, {"NCCL_IB_HCA": "=mlx5_7"}, "NCCL_IB_HCA==mlx5_7 may name none"),
    ],
)
def test_why_infiniband_is_not_used(fabric: dict[str, list[str]], environment: dict[str, str], words: str) -> None:
    verdict = nccl_verdict(hosts("socket_fallback", fabric, **environment), expect="ib")
    assert words in verdict["problems"][0]["mend"]


@pytest.mark.parametrize("fabric", [NO_FABRIC, {**UP, "user_devices": []}])
def test_tcp_is_fine_where_there_is_nothing_else(fabric: dict[str, list[str]]) -> None:
    verdict = nccl_verdict(hosts("socket_fallback", fabric))
    assert verdict["text"] == "all-reduce over 2 nodes, 2 GPUs: NCCL over TCP (eth0, eth1), 1.1 GB/s"


def test_one_host_without_infiniband_makes_it_unexpected() -> None:
    results = hosts("socket_fallback")
    results[1]["fabric"] = NO_FABRIC
    assert nccl_verdict(results)["ok"]


def test_tcp_by_choice() -> None:
    assert nccl_verdict(hosts("socket_fallback", NCCL_IB_DISABLE="1"))["ok"]
    assert nccl_verdict(hosts("socket_fallback"), expect="socket")["ok"]
    assert not nccl_verdict(hosts("ib_gdr"), expect="socket")["ok"]


def test_gloo_is_judged_by_speed_alone() -> None:
    verdict = nccl_verdict(hosts("gloo_two_hosts"))
    assert verdict["text"] == "all-reduce over 2 nodes: gloo over eth0, 0.4 GB/s"
    assert "wanted are 1" in only(hosts("gloo_two_hosts"), min_gb_s=1)["problem"]
    assert "knows no NCCL" in only(hosts("gloo_two_hosts"), expect="ib")["problem"]


def test_a_firewall_is_told_by_the_host_that_has_it() -> None:
    way = {"user": "cluster", "interface": "", "address": "10.0.0.3", "port": 4, "to": "c", "state": "timeout"}
    ways = [{**way, "from": "a"}, {**way, "from": "b"}, {**way, "from": "a", "to": "b", "address": "10.0.0.2"}]
    results = [{"host": host, "failures": [{"kind": "closed", "ways": ways}]} for host in "abc"]
    problems = nccl_verdict(results)["problems"]
    assert [(item["host"], item["problem"][:55]) for item in problems] == [
        ("c", "No other host gets a connection to this one at a random"),
        ("a", "This host gets no connection to b at a random port: no "),
    ]


def test_an_interface_that_leads_nowhere() -> None:
    way = {"user": "gloo", "interface": "docker0", "address": "172.17.0.1", "port": 4, "state": "refused"}
    results = failing({"kind": "closed", "ways": [{**way, "from": "gpu-1", "to": "gpu-2"}]})
    problem = only(results)
    assert problem["host"] == "gpu-2"
    assert "at docker0 (172.17.0.1), which gloo takes there: refused" in problem["problem"]
    assert "GLOO_SOCKET_IFNAME" in problem["mend"]


@pytest.mark.parametrize(
    ("failure", "check", "words"),
    [
        ({"kind": "torch", "detail": "No module named 'torch'"}, "torch", "No module named"),
        ({"kind": "cuda", "detail": "Error 802"}, "cuda", "Error 802"),
        ({"kind": "port", "address": "10.0.0.1", "port": 9, "detail": "in use"}, "port", "10.0.0.1:9"),
        (
            {"kind": "no_way_to_head", "address": "10.0.0.1", "port": 9, "detail": "timeout"},
            "no_way_to_head",
            "firewall",
        ),
        ({"kind": "wrong_result", "detail": "2 instead of 3"}, "wrong_result", "2 instead of 3"),
        ({"kind": "lost", "detail": "killed, exit code 137"}, "lost", "exit code 137"),
        ({"kind": "limit", "phase": "loading", "detail": ""}, "limit", "while loading"),
        ({"kind": "exception", "rank": 3, "detail": "what\n now"}, "exception", "Rank 3 failed: what now"),
        ({"kind": "rank", "detail": ""}, "rank", "ended without a word"),
        ({"kind": "killed", "detail": "signal 9"}, "killed", "killed by signal 9"),
        (
            {"kind": "address", "user": "gloo", "address": "1.2.3.4", "detail": "no"},
            "address",
            "gloo would listen at 1.2.3.4",
        ),
        ({"kind": "broken", "detail": "KeyError: x"}, "broken", "KeyError"),
        ({"kind": "head_lost", "detail": "Broken pipe"}, "head_lost", "lost the connection to gpu-1"),
        ({"kind": "not_started", "cause": "gpu_runtime", "detail": "no driver."}, "not_started", "no driver."),
    ],
)
def test_what_one_host_says(failure: dict[str, Any], check: str, words: str) -> None:
    problem = only(failing(failure))
    assert (problem["host"], problem["check"]) == ("gpu-2", f"nccl_{check}")
    assert words in problem["problem"]
    assert len(problem["mend"]) > 20


def test_a_host_that_never_came_is_named_by_the_first() -> None:
    problem = only(failing({"kind": "not_there", "phase": "joining", "hosts": ["gpu-2"]}, host="gpu-1"))
    assert (problem["host"], problem["check"]) == ("gpu-2", "nccl_not_there")


def test_why_it_never_came_is_better_than_that() -> None:
    results = failing({"kind": "not_there", "phase": "joining", "hosts": ["gpu-2"]}, host="gpu-1")
    results[1]["failures"] = [{"kind": "lost", "detail": "killed, exit code 137"}]
    assert only(results)["check"] == "nccl_lost"


def test_a_hang_names_who_is_without_a_connection() -> None:
    results = failing({"kind": "timeout", "phase": "connecting", "hosts": ["gpu-2"], "ranks": [1]}, host="gpu-1")
    results[1].update(gloo_interface="eth1", interfaces={"eth1": "10.9.0.2"})
    problem = only(results)
    assert problem["host"] == "gpu-2"
    assert "here eth1 (10.9.0.2)" in problem["problem"]


def test_what_a_host_does_not_share_with_most() -> None:
    values = {"gpu-1": "2.28.9", "gpu-2": "2.27.3", "gpu-3": "2.28.9"}
    failure = {"kind": "versions", "what": "nccl", "values": values}
    results = [{"host": host, "failures": [failure]} for host in values]
    assert only(results)["problem"] == "This host has NCCL 2.27.3, most others have 2.28.9."


def test_the_cause_comes_before_the_connections_that_it_broke() -> None:
    memlock = {"kind": "memlock", "cause": "memlock", "evidence": "ibv_reg_mr failed"}
    results = failing({"kind": "rank", "detail": ""}, memlock)
    results[0]["failures"] = [{"kind": "connection", "evidence": "Connection refused"}]
    problem = only(results)
    assert (problem["host"], problem["check"]) == ("gpu-2", "nccl_memlock")
    assert "ibv_reg_mr failed" in problem["problem"]


def test_a_killed_process_comes_before_what_the_others_say_of_it() -> None:
    results = failing({"kind": "killed", "detail": "signal 9"})
    results[0]["failures"] = [{"kind": "exception", "rank": 0, "detail": "Connection closed by peer"}]
    assert (only(results)["host"], only(results)["check"]) == ("gpu-2", "nccl_killed")


def test_an_exception_may_be_why_a_connection_broke_elsewhere() -> None:
    results = failing({"kind": "exception", "rank": 1, "detail": "KeyError"})
    results[0]["failures"] = [{"kind": "connection", "evidence": "Connection refused"}]
    assert [item["check"] for item in nccl_verdict(results)["problems"]] == ["nccl_connection", "nccl_exception"]


def test_every_cause_has_its_words() -> None:
    assert {cause for cause, _pattern in _nccl_log.SIGNATURES} == set(NAMED)
    for cause in NAMED:
        problem = only(failing({"kind": cause, "evidence": "the line."}))
        assert "the line." in problem["problem"]
        assert "{" not in problem["problem"] + problem["mend"]
    assert all(mend.endswith(".") for mend in NOT_STARTED.values())


def test_the_log_is_shown_where_words_are_not_enough() -> None:
    tail = [f"line {n}" for n in range(40)]
    assert nccl_verdict(failing({"kind": "rank", "detail": ""}, log_tail=tail))["logs"] == {"gpu-2": tail[-15:]}
    assert nccl_verdict(failing({"kind": "cuda", "detail": "x"}, log_tail=tail))["logs"] == {}


def test_a_host_without_a_word() -> None:
    results = hosts("ib_gdr")
    results[1].update(ok=False)
    assert only(results)["host"] == "gpu-2"


@pytest.mark.parametrize(("value", "expect"), [("x", "auto"), ([], "auto"), ([{}], "fast")])
def test_input_that_makes_no_sense(value: Any, expect: str) -> None:
    with pytest.raises(AnsibleFilterError):
        nccl_verdict(value, expect=expect)
