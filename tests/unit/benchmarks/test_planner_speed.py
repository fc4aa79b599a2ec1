# SPDX-License-Identifier: GPL-3.0-or-later
"""The speed benchmark times what it says."""

from __future__ import annotations

import os

import pytest
from ansible_collections.llmserve.vllm.benchmarks import planner_speed


@pytest.mark.parametrize("case", planner_speed.STRATEGIES)
@pytest.mark.parametrize("size", ["2x8", "64x8"])
def test_a_case_has_the_outcome_of_its_name(size: str, case: str) -> None:
    # work() ends the program where a plan fits that should not, or the other way round
    assert planner_speed.work(size, case, 1)["first"] > 0


def test_64_nodes_are_planned_in_100_mb() -> None:
    environment = dict(os.environ, PYTHONPATH=str(planner_speed.ROOT / ".ansible" / "collections"))
    found = planner_speed.in_process("64x8", "fill", 3, environment)
    assert found["first"] > 0
    assert 5 < found["peak_mib"] < 100


def test_the_module_is_timed_as_a_whole() -> None:
    environment = dict(os.environ, PYTHONPATH=str(planner_speed.ROOT / ".ansible" / "collections"))
    found = planner_speed.module("1x1", "fill", 1, environment)
    assert found["first"] > planner_speed.work("1x1", "fill", 1)["first"]
    assert found["peak_mib"] > 5
