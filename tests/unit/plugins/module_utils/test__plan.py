# SPDX-License-Identifier: GPL-3.0-or-later
"""Parallel sizes by vLLM's rules."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.llmserve.vllm.plugins.module_utils._plan import (
    PlanError,
    legal_tensor_sizes,
    make_plan,
    model_shape,
    stage_layers,
)

LLAMA_405B = {
    "architectures": ["LlamaForCausalLM"],
    "num_attention_heads": 128,
    "num_key_value_heads": 8,
    "num_hidden_layers": 126,
}
QWEN_7B = {
    "architectures": ["Qwen2ForCausalLM"],
    "num_attention_heads": 28,
    "num_key_value_heads": 4,
    "num_hidden_layers": 28,
}


def nodes(*gpus: int) -> list[dict[str, Any]]:
    return [
        {"name": f"node-00{number}", "gpus": [{"name": "NVIDIA H100 80GB HBM3"}] * count}
        for number, count in enumerate(gpus, 1)
    ]


def test_the_two_node_cluster() -> None:
    plan = make_plan(LLAMA_405B, nodes(8, 8), name="405B")
    assert plan == {
        "fits": True,
        "tensor_parallel_size": 8,
        "pipeline_parallel_size": 2,
        "gpus_used": 16,
        "nodes_used": 2,
        "stages": [{"layers": 63}, {"layers": 63}],
        "engine_args": {"tensor_parallel_size": 8, "pipeline_parallel_size": 2},
        "reasons": [],
        "warnings": [],
        "arithmetic": [
            "TP 8 x PP 2 = 16 GPUs",
            "128 attention heads / TP 8 = 16 per GPU",
            "8 key/value heads / TP 8 = 1 per GPU",
            "126 layers / PP 2 = 63 + 63 per stage",
        ],
    }


def test_heads_that_cannot_be_divided_name_the_sizes_that_can() -> None:
    plan = make_plan(QWEN_7B, nodes(8), name="Qwen2.5-7B")
    assert not plan["fits"]
    assert plan["reasons"] == [
        "Qwen2.5-7B cannot be split over 8 GPUs: 28 attention heads cannot be divided by 8. Tensor parallel sizes that "
        "work, up to 8: 1, 2, 4. Set llmserve_tensor_parallel_size to one of them."
    ]


def test_kv_heads_are_divided_or_copied_evenly() -> None:
    config = dict(LLAMA_405B, num_attention_heads=48, num_key_value_heads=8)
    assert legal_tensor_sizes(model_shape(config), 16) == [1, 2, 4, 8, 16]
    plan = make_plan(config, nodes(6), name="odd")
    assert "8 key/value heads can neither be divided over 6 GPUs nor be copied evenly" in plan["reasons"][0]
    copied = make_plan(LLAMA_405B, nodes(8, 8), tensor_parallel_size=16)
    assert copied["fits"]
    assert "8 key/value heads < TP 16: each is kept on 2 GPUs" in copied["arithmetic"]


@pytest.mark.parametrize(
    ("layers", "stages", "expected"),
    [
        (126, 2, [63, 63]),
        (126, 4, [31, 32, 32, 31]),
        (61, 3, [20, 21, 20]),
        (48, 5, [9, 10, 10, 10, 9]),
        (7, 4, [2, 2, 2, 1]),
        (5, 1, [5]),
        (2, 2, [1, 1]),
    ],
)
def test_stages_as_vllm_partitions_them(layers: int, stages: int, expected: list[int]) -> None:
    assert stage_layers(layers, stages) == expected


def test_more_stages_than_layers() -> None:
    plan = make_plan(dict(LLAMA_405B, num_hidden_layers=2), nodes(8, 8, 8), name="tiny")
    assert not plan["fits"]
    assert plan["stages"] == []
    assert "set llmserve_pipeline_parallel_size to at most 2" in plan["reasons"][0]


def test_unequal_nodes_use_the_smallest_number_and_say_so() -> None:
    plan = make_plan(LLAMA_405B, nodes(8, 4, 8))
    assert (plan["tensor_parallel_size"], plan["pipeline_parallel_size"], plan["gpus_used"]) == (4, 3, 12)
    assert plan["fits"]
    assert plan["warnings"] == [
        "The nodes have different numbers of GPUs: 4 of each are used, the rest of node-001 (8), node-003 (8) stay "
        "idle."
    ]


@pytest.mark.parametrize(
    ("tensor", "pipeline", "expected"),
    [
        (4, None, (4, 4)),
        (None, 1, (8, 1)),
        (None, 4, (4, 4)),
        (16, None, (16, 1)),
        (2, 2, (2, 2)),
    ],
)
def test_a_fixed_size_leaves_the_rest_to_the_other(
    tensor: int | None, pipeline: int | None, expected: tuple[int, int]
) -> None:
    plan = make_plan(LLAMA_405B, nodes(8, 8), tensor_parallel_size=tensor, pipeline_parallel_size=pipeline)
    assert (plan["tensor_parallel_size"], plan["pipeline_parallel_size"]) == expected
    assert plan["fits"]
    assert plan["gpus_used"] == expected[0] * expected[1]


def test_idle_gpus_and_wide_groups_are_warned_about() -> None:
    assert make_plan(LLAMA_405B, nodes(8, 8), pipeline_parallel_size=1)["warnings"] == ["8 of 16 GPUs stay idle."]
    assert "spans nodes of 8 GPUs" in make_plan(LLAMA_405B, nodes(8, 8), tensor_parallel_size=16)["warnings"][0]
    config = dict(LLAMA_405B, num_attention_heads=12, num_key_value_heads=12)
    assert "does not divide the 8 GPUs" in make_plan(config, nodes(8, 8), tensor_parallel_size=3)["warnings"][0]


def test_more_gpus_than_there_are() -> None:
    plan = make_plan(LLAMA_405B, nodes(8, 8), tensor_parallel_size=8, pipeline_parallel_size=3)
    assert plan["reasons"] == [
        "TP 8 x PP 3 needs 24 GPUs, but 2 node(s) with 8 GPUs each have 16. TP x PP that fits, at most: 8 x 2, 4 x 4, "
        "2 x 8, 1 x 16. Set llmserve_tensor_parallel_size and llmserve_pipeline_parallel_size, or add nodes."
    ]


def test_hosts_without_gpus_are_named() -> None:
    plan = make_plan(LLAMA_405B, nodes(8, 0))
    assert not plan["fits"]
    assert plan["reasons"][0].startswith("No GPUs on node-002:")
    nothing = make_plan(LLAMA_405B, nodes(0))
    assert (nothing["fits"], nothing["gpus_used"], nothing["nodes_used"]) == (False, 0, 0)
    assert make_plan(LLAMA_405B, [])["reasons"][0].startswith("No nodes were given")


def test_figures_of_nested_and_older_configurations() -> None:
    nested = {"architectures": ["Gemma3ForConditionalGeneration"], "text_config": QWEN_7B, "vision_config": {}}
    assert model_shape(nested)[1:] == (28, 4, 28)
    assert model_shape({"n_head": 12, "n_layer": 12, "model_type": "gpt2"})[1:] == (12, 12, 12)
    assert model_shape({"n_head": 71, "n_layer": 32, "multi_query": True})[1:] == (71, 1, 32)
    # one compressed cache for all heads: every divisor of the heads is legal
    mla = {"num_attention_heads": 128, "num_key_value_heads": 128, "num_hidden_layers": 61, "kv_lora_rank": 512}
    assert model_shape(mla).kv_heads == 1


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({}, "no config.json"),
        ({"model_type": "mamba", "num_hidden_layers": 8}, "no num_attention_heads"),
        ({"num_attention_heads": 8}, "no num_hidden_layers"),
    ],
)
def test_configurations_that_cannot_be_planned(config: dict[str, Any], message: str) -> None:
    with pytest.raises(PlanError, match=message):
        make_plan(config, nodes(8))


def test_options_that_make_no_sense() -> None:
    with pytest.raises(PlanError, match="tensor_parallel_size must be at least 1"):
        make_plan(LLAMA_405B, nodes(8), tensor_parallel_size=0)
    with pytest.raises(PlanError, match="must be a list"):
        make_plan(LLAMA_405B, [{"name": "a", "gpus": 8}])


@pytest.mark.parametrize(("release", "warned"), [((0, 15), False), ((0, 16), True), ((0, 20), True), ((0, 21), False)])
def test_releases_that_leak_tokens_between_pipelined_requests(release: tuple[int, int], warned: bool) -> None:
    plan = make_plan(LLAMA_405B, nodes(8, 8), release=release)
    assert bool(plan["warnings"]) is warned
    assert make_plan(LLAMA_405B, nodes(8), release=release)["warnings"] == []
