# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/profiles.md, and the profiles themselves."""

from __future__ import annotations

import pytest
import yaml
from ansible_collections.llmserve.vllm.tests import profile_tables as page

TEXT = page.PAGE.read_text(encoding="utf-8")
BY_TITLE = {profile.title: page.made(profile) for profile in page.PROFILES}


def test_the_commands_are_fresh() -> None:
    assert page.rendered(TEXT) == TEXT


@pytest.mark.parametrize("name", ["405b", "fp8", "gh200"])
def test_a_profile_is_a_name_for_the_general_playbook(name: str) -> None:
    (play,) = yaml.safe_load((page.ROOT / f"playbooks/serve_{name}.yml").read_text())
    assert play["ansible.builtin.import_playbook"] == "serve.yml"
    assert set(play) == {"name", "ansible.builtin.import_playbook"}


def test_every_profile_fits() -> None:
    assert all(result.plan["fits"] for result in BY_TITLE.values())


@pytest.mark.parametrize(
    ("title", "tensor", "pipeline", "gpus"),
    [
        ("405B on 2 nodes, with Ray", 8, 2, 16),
        ("405B on 4 nodes, with Ray", 8, 4, 32),
        ("405B in FP8 on one node", 8, 1, 8),
        ("70B on one node", 8, 1, 8),
        ("8B on one GPU of a node", 1, 1, 1),
        ("8B on GH200", 1, 1, 1),
        ("70B on GH200, with CPU offload", 1, 1, 1),
    ],
)
def test_layouts(title: str, tensor: int, pipeline: int, gpus: int) -> None:
    plan = BY_TITLE[title].plan
    assert (plan["tensor_parallel_size"], plan["pipeline_parallel_size"], plan["gpus_used"]) == (tensor, pipeline, gpus)


def test_offload_is_planned_with_twice_the_memory_and_fp8_is_named() -> None:
    plan = BY_TITLE["70B on GH200, with CPU offload"].plan
    assert 40 < plan["cpu_offload_gb"] < 90
    assert plan["host_memory_needed_gib"] >= 2 * plan["cpu_offload_gb"]
    assert any("FP8" in warning for warning in plan["warnings"])
    for title in ("8B on GH200", "70B in FP8 on GH200"):
        assert BY_TITLE[title].plan["cpu_offload_gb"] == 0


def test_several_nodes_without_ray_start_a_rank_each() -> None:
    ranks = BY_TITLE["405B on 2 nodes, without Ray"].launches
    assert [(launch.rank, launch.headless, launch.gpus) for launch in ranks] == [(0, False, 8), (1, True, 8)]
