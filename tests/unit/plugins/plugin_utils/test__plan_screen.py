# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A plan on one screen."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from ansible_collections.llmserve.vllm.plugins.plugin_utils._plan_screen import plan_screen
from ansible_collections.llmserve.vllm.tests.unit.plugins.plans import HOSTILE, NAMES, load, odd_plans, wide
from hypothesis import given, settings


def check(text: str) -> list[str]:
    """Every screen is plain ASCII in 80 columns."""
    lines = text.split("\n")
    assert text.isascii()
    assert all(line.isprintable() for line in lines)
    assert max(map(len, lines)) <= 80
    return lines


@pytest.mark.parametrize("name", NAMES)
def test_recorded_plans_fit_on_a_screen(name: str) -> None:
    assert len(check(plan_screen(load(name)))) <= 40
    check(plan_screen(load(name), arithmetic=True))


def test_two_hosts_as_a_whole() -> None:
    lines = check(plan_screen(load("405b_2x8")))
    assert len(lines) <= 30
    assert lines[1].startswith("meta-llama/Llama-3.1-405B-Instruct ")
    assert lines[1].endswith(" FITS")
    assert "Layout       TP 8 x PP 2, 16 of 16 GPUs on 2 hosts" in lines
    assert "Hosts        node-001: 8 x NVIDIA H100 80GB HBM3, stage 1" in lines
    assert "             node-002: 8 x NVIDIA H100 80GB HBM3, stage 2" in lines
    assert "  1            63     47.3   22.2     0.8    2.5    6.3" in lines
    below = lines[lines.index("  1            63     47.3   22.2     0.8    2.5    6.3") + 1]
    assert below == "    [" + "W" * 44 + "K" * 21 + "A" + "OO" + "." * 6 + "]"
    assert "Arithmetic" not in lines


def test_the_arithmetic_comes_when_asked_for() -> None:
    lines = check(plan_screen(load("405b_2x8"), arithmetic=True))
    assert "  - TP 8 x PP 2 = 16 GPUs" in lines
    assert len(lines) <= 40


def test_a_plan_that_does_not_fit_says_why_and_what_would() -> None:
    lines = check(plan_screen(load("405b_1x8_unfit")))
    assert lines[1].endswith(" DOES NOT FIT")
    assert lines[lines.index("What would work") + 1] == "  - 16 such GPUs (TP 8 x PP 2)"
    assert any("WWW!!!" in line for line in lines)
    assert "  W Weights   K KV cache   A Activations   O Overhead   . Free   ! lacking" in lines


def test_alternatives_that_fit_are_named_when_the_plan_does_not() -> None:
    plan = load("405b_1x8_unfit")
    plan["alternatives"] = [
        {"tensor_parallel_size": 4, "pipeline_parallel_size": 4, "fits": True, "why": "slower"},
        {"tensor_parallel_size": 2, "pipeline_parallel_size": 1, "fits": False, "why": "too large"},
    ]
    lines = check(plan_screen(plan))
    assert "  - TP 4 x PP 4: slower" in lines
    assert not any("TP 2 x PP 1" in line for line in lines)


def test_hosts_and_stages_that_are_alike_share_a_line() -> None:
    text = plan_screen(wide(64, 8, 16))
    lines = check(text)
    assert "Hosts        node-001..064: 8 x NVIDIA H100 80GB HBM3, stages 1-16" in lines
    assert any(line.startswith("  1-16          2     47.3") for line in lines)
    assert len(lines) <= 30


def test_stages_that_differ_are_cut_to_those_with_the_least_room() -> None:
    lines = check(plan_screen(wide(64, 8, 64, alike=False)))
    assert "  48 stages more, with more room for the KV cache" in lines
    assert any(line.startswith("  64 ") for line in lines)
    assert not any(line.startswith("  1  ") for line in lines)
    assert len(lines) <= 45


def test_hosts_that_differ_are_counted() -> None:
    plan = wide(64, 8, 64)
    for number, node in enumerate(plan["nodes"]):
        node["gpu_name"] = f"GPU type {number}"
    lines = check(plan_screen(plan))
    assert "             and 56 hosts more, with 448 GPUs" in lines


@pytest.mark.parametrize("hosts", [2, 64])
def test_long_names_are_wrapped(hosts: int) -> None:
    plan = wide(hosts, 8, hosts)
    plan["model"] = "some-organisation/" + "A-Very-Long-Name-" * 9
    for node in plan["nodes"]:
        node["name"] = "rack-17-" + "gpu-host-with-a-name-" * 2 + node["name"]
        assert len(node["name"]) == 58
    plan["reasons"] = ["https://example.com/" + "a" * 200]
    text = plan_screen(plan, arithmetic=True)
    lines = check(text)
    assert "".join(line.strip() for line in lines[1:4]).startswith(plan["model"][:150])


def test_a_plan_without_figures() -> None:
    lines = check(plan_screen({}))
    assert lines[1].endswith("MEMORY UNKNOWN")
    assert "Layout       TP unknown x PP unknown, unknown GPUs" in lines


def test_figures_that_are_none() -> None:
    plan = copy.deepcopy(load("405b_2x8"))
    for stage in plan["stages"]:
        stage.update(kv_gib=None, activation_gib=None)
    plan.update(max_concurrency=None, kv_cache_tokens=None, download=None, load=None, gpu=None, max_model_len=None)
    lines = check(plan_screen(plan))
    assert "  1-2          63     47.3      ?       ?    2.5    6.3" in lines
    assert "Download     none, everything is there" in lines


def test_nothing_that_controls_a_terminal_gets_through() -> None:
    plan = wide(2, 8, 2)
    plan["nodes"][0]["name"] = plan["model"] = HOSTILE
    check(plan_screen(plan))


@settings(max_examples=150, deadline=None)
@given(plan=odd_plans())
def test_whatever_is_in_the_plan(plan: dict[str, Any]) -> None:
    check(plan_screen(plan, arithmetic=True))
