# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What there is to show of a plan."""

from __future__ import annotations

import copy

import pytest
from ansible_collections.llmserve.vllm.plugins.plugin_utils._plan_facts import Fact
from ansible_collections.llmserve.vllm.plugins.plugin_utils._plan_view import View, read_plan
from ansible_collections.llmserve.vllm.tests.unit.plugins.plans import NAMES, SIZES, load


def fact(view: View, key: str) -> Fact:
    return next(item for item in view.facts if item.key == key)


@pytest.mark.parametrize("name", NAMES)
def test_the_recorded_plans_add_up(name: str) -> None:
    for stage in load(name)["stages"]:
        if "total_gib" in stage:
            assert sum(stage[f"{kind}_gib"] for kind in SIZES) == pytest.approx(stage["total_gib"], abs=0.005)


def test_the_headlines_of_the_405b() -> None:
    facts = {item.key: (item.value, item.note) for item in read_plan(load("405b_2x8")).facts}
    assert facts == {
        "layout": ("TP 8 x PP 2", "16 of 16 GPUs on 2 hosts"),
        "weights": ("756.0 GiB", "as the index of the checkpoint says"),
        "context": ("131,072 tokens", "longest request with its answer"),
        "concurrency": ("5.64x", "requests of full length at once; up to 1,024 shorter ones"),
        "cache": ("739,056 tokens", "22.2 GiB on the GPU with the least room"),
        "utilization": ("92 %", "72.85 of 79.18 GiB of each GPU"),
        "download": ("about 1 h 48 min", "811.7 GB at 125 MB/s (as stated)"),
        "load": ("about 3 min 23 s", "406.2 GB per host at 2 GB/s (assumed)"),
    }


@pytest.mark.parametrize(
    ("rate", "said"), [({"measured": True}, "(measured)"), ({"measured": False}, "(assumed)"), ({}, "MB/s")]
)
def test_where_a_rate_comes_from(rate: dict[str, bool], said: str) -> None:
    plan = {"download": {"bytes": 10**9, "seconds": 10, "mb_per_second": 100, **rate}}
    assert fact(read_plan(plan), "download").note.endswith(said)


def test_nothing_to_download_is_something_else_than_not_knowing() -> None:
    assert fact(read_plan({"download": None}), "download").value == "none"
    assert [item.key for item in read_plan({}).facts] == ["layout"]


def test_offload_replicas_and_experts_are_said() -> None:
    view = read_plan({**load("70b_1xgh200_offload"), "replicas": 3, "expert_parallel": True, "kv_cache_dtype": "fp8"})
    assert fact(view, "offload").value == "59 GiB per GPU"
    assert fact(view, "offload").note == "122 GiB of memory needed on each host"
    assert fact(view, "layout").note == "1 of 1 GPU on 1 host; room for 3 replicas; experts dealt out whole"
    assert fact(view, "cache").note.endswith(", fp8")


@pytest.mark.parametrize(
    ("plan", "verdict"),
    [
        ({"fits": True}, "fits"),
        ({"fits": False}, "does not fit"),
        ({}, "memory unknown"),
        ({"fits": "yes"}, "memory unknown"),
        ({"fits": True, "reasons": ["It does not."]}, "does not fit"),
    ],
)
def test_the_verdict(plan: dict[str, object], verdict: str) -> None:
    assert read_plan(plan).verdict == verdict


def test_what_is_lacking_is_measured_against_what_vllm_may_take() -> None:
    plan = load("405b_1x8_unfit")
    stage = read_plan(plan).stages[0]
    assert stage.short == pytest.approx(97.895 - 72.85, abs=0.01)
    fitting = copy.deepcopy(load("405b_2x8"))
    assert [item.short for item in read_plan(fitting).stages] == [0, 0]
    del plan["gpu"]
    assert read_plan(plan).stages[0].short == pytest.approx(97.895 - 79.18, abs=0.01)


def test_hosts_know_their_stages_and_idle_gpus() -> None:
    first, second, _third = read_plan(load("70b_3x8_idle")).nodes
    assert (first.stages, first.idle) == ((0, 1, 2), 5)
    assert (second.stages, second.idle) == ((), 8)


def test_a_slip_in_the_number_of_layers_takes_no_memory() -> None:
    view = read_plan({"stages": [{"layers": 10**17, "first_layer": 0}]})
    assert len(view.stages[0].layer_numbers) == 10_000
