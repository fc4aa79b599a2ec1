# SPDX-License-Identifier: GPL-3.0-or-later
"""Legal tensor and pipeline parallel sizes."""

from __future__ import annotations

import pytest
from ansible_collections.llmserve.vllm.plugins.module_utils._planner.formats import BF16, read_format
from ansible_collections.llmserve.vllm.plugins.module_utils._planner.layouts import (
    legal_tensor_sizes,
    stage_bounds,
    stage_layers,
    tensor_problems,
)
from ansible_collections.llmserve.vllm.plugins.module_utils._planner.model import read_model
from ansible_collections.llmserve.vllm.tests.unit.plugins.module_utils._planner.questions import config


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
    bounds = stage_bounds(layers, stages)
    assert (bounds[0][0], bounds[-1][1]) == (0, layers)
    assert [after - first for first, after in bounds] == expected


@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        ("llama-3.1-405b", [1, 2, 4, 8, 16, 32, 64]),
        # 28 divides the heads, but not the MLPs
        ("qwen2.5-7b", [1, 2, 4]),
        ("qwen3-14b", [1, 2, 4, 8]),
        ("opt-125m", [1, 2, 3, 4, 6, 12]),
        ("starcoder2-15b", [1, 2, 4, 8, 12, 16, 24, 48]),
        ("qwen3-235b-a22b-fp8", [1, 2, 4]),
        ("qwen3-30b-a3b-fp8", [1, 2]),
        ("deepseek-r1", [1, 2, 4, 8, 16]),
        ("gpt-oss-120b", [1, 2, 4, 8, 16, 32, 64]),
    ],
)
def test_legal_sizes(name: str, sizes: list[int]) -> None:
    read = config(name)
    assert legal_tensor_sizes(read_model(read), read_format(read, None), 64) == sizes


def test_expert_parallelism_keeps_the_blocks_whole() -> None:
    read = config("qwen3-235b-a22b-fp8")
    assert legal_tensor_sizes(read_model(read), read_format(read, None), 64, expert_parallel=True)[:4] == [1, 2, 4, 8]


def test_kv_heads_are_divided_or_copied_evenly() -> None:
    model = read_model(config("llama-3.1-405b", num_attention_heads=48, num_key_value_heads=8, head_dim=128))
    assert legal_tensor_sizes(model, BF16, 16) == [1, 2, 4, 8, 16]
    assert "8 key/value heads can neither be divided over 6 GPUs" in tensor_problems(model, BF16, 6)[0]
