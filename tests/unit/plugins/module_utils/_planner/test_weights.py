# SPDX-License-Identifier: GPL-3.0-or-later
"""Weights of published models, beside what is known of their size. To the byte they are tested in test_measured.py."""

from __future__ import annotations

import pytest
from ansible_collections.llmserve.vllm.plugins.module_utils._planner.checkpoint import computed_bytes
from ansible_collections.llmserve.vllm.plugins.module_utils._planner.formats import BF16, named, read_format
from ansible_collections.llmserve.vllm.plugins.module_utils._planner.layouts import stage_bounds
from ansible_collections.llmserve.vllm.plugins.module_utils._planner.model import read_model
from ansible_collections.llmserve.vllm.plugins.module_utils._planner.weights import Shard, padded_vocab, stage_weights
from ansible_collections.llmserve.vllm.tests.unit.plugins.module_utils._planner.questions import config

GIB = 1024.0**3
# Parameters as the makers count them, in billions. Layers for speculative decoding are not loaded.
PARAMETERS = {
    "llama-3.1-8b": 8.030,
    "llama-3.1-70b": 70.554,
    "llama-3.1-405b": 405.853,
    "qwen2.5-7b": 7.616,
    "qwen2.5-72b": 72.706,
    "qwen3-8b": 8.191,
    "qwen3-14b": 14.768,
    "qwen3-32b": 32.762,
    "qwen3-30b-a3b": 30.532,
    "mixtral-8x7b": 46.703,
    "deepseek-v2-lite": 15.706,
    "gemma-2-2b": 2.614,
    "mistral-nemo-12b": 12.248,
    "opt-125m": 0.1252,
    "starcoder2-15b": 15.958,
    "qwen3-next-80b-a3b": 79.67,
}


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameters(name: str) -> None:
    assert computed_bytes(read_model(config(name)), BF16) / 2e9 == pytest.approx(PARAMETERS[name], rel=2e-3)


@pytest.mark.parametrize(
    ("name", "gigabytes"),
    [
        # metadata.total_size of the index, less the layers for speculative decoding where there are some
        ("qwen3-30b-a3b-fp8", 31.2),
        ("qwen2.5-72b-awq", 41.6),
        ("gpt-oss-20b", 13.76),
        ("gpt-oss-120b", 65.25),
    ],
)
def test_bytes_of_quantized_checkpoints(name: str, gigabytes: float) -> None:
    read = config(name)
    assert computed_bytes(read_model(read), read_format(read, None)) / 1e9 == pytest.approx(gigabytes, rel=0.01)


def loaded(name: str, tensor: int = 1, pipeline: int = 1, **changes: object) -> list[float]:
    read = config(name, **changes)
    model = read_model(read)
    bounds = stage_bounds(len(model.layers), pipeline)
    return [part.total / GIB for part in stage_weights(model, bounds, Shard(tensor), read_format(read, None))]


@pytest.mark.parametrize(
    ("name", "tensor", "gib"),
    [
        # "Model loading took" of published logs
        ("llama-3.1-8b", 1, 14.99),
        ("qwen3-32b", 1, 61.03),
        ("qwen3-32b", 2, 30.59),
        ("qwen3-8b", 1, 15.27),
        ("deepseek-r1", 8, 79.9),
        # 70 MiB more than its tensors add up to, for reasons that the log does not tell
        ("gemma-2-2b", 1, 4.94 - 70 / 1024),
    ],
)
def test_sizes_that_vllm_logged(name: str, tensor: int, gib: float) -> None:
    assert loaded(name, tensor)[0] == pytest.approx(gib, rel=0.006)


def test_a_tied_head_costs_a_second_table_only_on_another_stage() -> None:
    table = padded_vocab(256000) * 2304 * 2 / GIB
    model = read_model(config("gemma-2-2b"))._replace(family=read_model(config("llama-3.1-8b")).family)
    alone = stage_weights(model, stage_bounds(26, 1), Shard(1), BF16)
    split = stage_weights(model, stage_bounds(26, 2), Shard(1), BF16)
    assert (alone[0].embedding / GIB, alone[0].head) == (table, 0.0)
    assert (split[0].embedding / GIB, split[0].head) == (table, 0.0)
    assert (split[1].embedding, split[1].head / GIB) == (0.0, table)


def test_families_that_make_embedding_and_head_on_every_stage() -> None:
    # qwen3_moe.py does not ask for its stage
    model = read_model(config("qwen3-30b-a3b"))
    parts = stage_weights(model, stage_bounds(48, 3), Shard(2), BF16)
    table = 151936 * 2048 * 2 / 2
    assert [(part.embedding, part.head) for part in parts] == [(table, table)] * 3


def test_kv_heads_are_copied_and_vocabularies_padded() -> None:
    assert padded_vocab(50257) == 50304
    # 4 heads on 8 GPUs: keys and values do not shrink any more
    four, eight = (loaded("starcoder2-15b", tensor)[0] for tensor in (4, 8))
    assert eight > four / 2
    assert eight - four / 2 == pytest.approx(40 * 6144 * 2 * 128 * 2 / 2 / GIB, rel=0.12)


def test_absorbed_matrices_are_views_unless_they_are_quantized() -> None:
    model = read_model(config("deepseek-r1"))
    bounds = stage_bounds(61, 1)
    each = 61 * 512 * 128 * (128 + 128) * 2
    plain, block = (stage_weights(model, bounds, Shard(1), form)[0].layers for form in (BF16, named("fp8_block")))
    assert computed_bytes(model, BF16) == pytest.approx(stage_weights(model, bounds, Shard(1), BF16)[0].total, rel=1e-4)
    assert block == pytest.approx(plain / 2 + each, rel=0.01)
    spared = config("deepseek-v2-lite", quantization_config={"quant_method": "fp8", "ignored_layers": ["kv_b_proj"]})
    lite = read_model(spared)
    form = read_format(spared, None)
    rope = sum(rows * width for rows, width in lite.rope_rows) * 2
    total = stage_weights(lite, stage_bounds(27, 1), Shard(1), form)[0].total
    assert total == computed_bytes(lite, form) + rope
