# SPDX-License-Identifier: GPL-3.0-or-later
"""What needs more than one fault to be seen."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.llmserve.vllm.plugins.plugin_utils._checks import host, images
from ansible_collections.llmserve.vllm.plugins.plugin_utils._checks.base import Cluster, Host, deviations
from ansible_collections.llmserve.vllm.plugins.plugin_utils._checks.judge import cluster_from, judge
from ansible_collections.llmserve.vllm.tests.preflight.cluster import Picture, healthy
from ansible_collections.llmserve.vllm.tests.preflight.faults import FAULTS


def rows(picture: Picture) -> list[dict[str, str]]:
    cluster = cluster_from(picture.nodes, **picture.wishes, plan=picture.plan, plan_error=picture.plan_error)
    return judge(cluster).rows


def test_all_faults_at_once_are_found_at_once() -> None:
    picture = healthy(3)
    several = [
        fault for fault in FAULTS if fault.name in ("clock_behind", "port_taken", "slow_link", "swapping", "mig_mode")
    ]
    for fault in several:
        fault.inject(picture)
    found = rows(picture)
    assert {row["check"] for row in found} == {fault.check for fault in several}
    assert [row["severity"] for row in found] == ["error"] * 4 + ["warning"]


def test_a_host_of_which_nothing_is_known_hides_nothing_of_the_others() -> None:
    picture = healthy(3)
    picture.nodes[1].update(facts=None, unreachable="No route to host", reach=None)
    picture.facts(2)["shm"]["total_mib"] = 64
    assert {(row["host"], row["check"]) for row in rows(picture)} == {("node-002", "unreachable"), ("node-003", "shm")}


@pytest.mark.parametrize(
    ("times", "offset"),
    [
        ((100.2, 100.8), 0.0),
        ((99.0, 99.5), -1.0),
        ((103.0, 103.5), 2.5),
        # a host that takes long is not late
        ((100.1, 100.9), 0.0),
    ],
)
def test_a_clock_is_wrong_only_when_it_surely_is(times: tuple[float, float], offset: float) -> None:
    facts = {"time": list(times), "controller_time": [100.0, 101.0]}
    assert host.clock_offset(Host("n1", facts=facts)) == pytest.approx(offset)


@pytest.mark.parametrize(
    ("image", "version", "expected"),
    [
        ("vllm/vllm-openai:v0.33.0", "0.33.0", (13, 0)),
        ("vllm/vllm-openai:v0.20.0", "0.20.0", (13, 0)),
        ("vllm/vllm-openai:v0.19.1", "0.19.1", (12, 9)),
        ("vllm/vllm-openai:v0.11.0", "0.11.0", (12, 8)),
        ("vllm/vllm-openai:v0.32.0-cu129", "0.32.0", (12, 9)),
        ("mine@sha256:" + "0" * 64, "", None),
    ],
)
def test_the_cuda_of_an_image(image: str, version: str, expected: Any) -> None:
    node = Host("n1", {"image": image})
    assert images.cuda(node, Cluster([node], {"vllm_version": version})) == expected


def test_compatibility_libraries_make_an_old_driver_do() -> None:
    picture = healthy()
    for index in (0, 1):
        picture.facts(index).update(driver_version="535.216.01", fabric_manager=None)
        picture.wish(index)["cuda_compatibility"] = True
    assert rows(picture) == []
    for index in (0, 1):
        picture.facts(index).update(driver_version="525.60.13")
    assert {row["check"] for row in rows(picture)} == {"cuda"}


def test_the_first_host_decides_a_tie() -> None:
    assert [item.host for item in deviations({"a": 1, "b": 2})] == ["b"]
    assert [item.host for item in deviations({"a": 1, "b": 2, "c": 2})] == ["a"]
    assert deviations({"a": 1, "b": 1}) == deviations({}) == []


def test_a_declared_cluster_is_judged_by_its_inventory() -> None:
    node = {"name": "n1", "wish": {"is_head": True, "gpus": 8, "variables": ["llmserve_modle"]}}
    found = judge(cluster_from([node], tensor_parallel_size=16)).rows
    assert [row["check"] for row in found] == ["variable_names", "parallel_sizes"]


def test_the_planner_is_heard_when_all_gpus_are_there() -> None:
    picture = healthy()
    picture.plan, picture.plan_error = {}, "96 attention heads cannot be shared by 7 GPUs."
    assert [(row["host"], row["check"]) for row in rows(picture)] == [("cluster", "plan")]
    picture.facts()["gpus"].pop()
    assert [row["check"] for row in rows(picture)] == ["gpus"]


def test_without_ray_the_host_s_shared_memory_does_not_matter() -> None:
    picture = healthy(2)
    picture.facts()["shm"]["total_mib"] = 64
    assert {row["check"] for row in rows(picture)} == {"shm"}
    picture.wishes["executor"] = "mp"
    assert rows(picture) == []


def test_offload_that_is_left_to_the_plan_is_no_wrong_argument() -> None:
    picture = healthy(2)
    picture.wishes["engine_args"] = {"cpu_offload_gb": "auto"}
    assert rows(picture) == []


def test_an_executor_is_judged_only_where_arguments_and_plan_are_right() -> None:
    picture = healthy(2)
    picture.wishes.update(executor="mp", engine_args={"max_modle_len": 1})
    assert {row["check"] for row in rows(picture)} == {"engine_args"}
    picture = healthy(2)
    picture.wishes.update(executor="mp", engine_args={"node_rank": 1})
    assert [(row["check"], row["mend"]) for row in rows(picture)] == [
        ("executor", "Take it out, llmserve_executor: mp sets it.")
    ]
