# SPDX-License-Identifier: GPL-3.0-or-later
"""The KV cache. Groups, blocks and tokens are tested against vLLM in test_measured.py."""

from __future__ import annotations

import pytest
from ansible_collections.llmserve.vllm.plugins.module_utils._planner import cache, engine
from ansible_collections.llmserve.vllm.plugins.module_utils._planner.model import read_model
from ansible_collections.llmserve.vllm.tests.unit.plugins.module_utils._planner.questions import config


def plan_of(name: str, tensor: int = 1, size: float = 2.0, release: tuple[int, ...] = (0, 33)) -> cache.Plan:
    model = read_model(config(name))
    settings = engine.settings(
        release=release,
        capability=(9, 0),
        total_gib=80.0,
        gpu="H100",
        model=model,
        length=8192,
        gpu_memory_utilization=None,
        max_num_seqs=None,
        max_num_batched_tokens=None,
        enforce_eager=False,
        kv_cache_dtype="auto",
    )
    return cache.plan_cache(model, tensor, size, settings)


@pytest.mark.parametrize(
    ("name", "tensor", "size", "expected"),
    [
        ("llama-3.1-70b", 1, 2.0, 327680),
        ("llama-3.1-70b", 8, 2.0, 40960),
        ("llama-3.1-70b", 16, 2.0, 40960),
        ("llama-3.1-405b", 1, 2.0, 516096),
        ("llama-3.1-405b", 4, 2.0, 129024),
        ("llama-3.1-8b", 1, 1.0, 65536),
        # one compressed cache, the same on every GPU
        ("deepseek-r1", 1, 2.0, 61 * 576 * 2),
        ("deepseek-r1", 8, 2.0, 61 * 576 * 2),
        # with the index of sparse attention, 128 bytes and a scale
        ("deepseek-v3.2", 8, 2.0, 61 * (576 * 2 + 132)),
        ("deepseek-v3.2", 8, 1.0, 61 * (656 + 132)),
        # only every fourth layer keeps something per token
        ("qwen3-next-80b-a3b", 1, 2.0, 12 * 2 * 2 * 256 * 2),
        # the layers that look at images do not
        ("llama-3.2-11b-vision", 1, 2.0, 32 * 4096),
    ],
)
def test_bytes_of_a_token(name: str, tensor: int, size: float, expected: int) -> None:
    assert sum(plan_of(name, tensor, size).token_bytes) == expected


@pytest.mark.parametrize(
    ("name", "groups"),
    [
        ("llama-3.1-8b", [("full", 16, 32)]),
        ("gemma-3-27b", [("full", 16, 10)] + [("sliding", 16, 9)] * 4 + [("sliding", 16, 8)] * 2),
        ("gpt-oss-120b", [("full", 16, 18), ("sliding", 16, 18)]),
        ("deepseek-r1", [("full", 64, 61)]),
        # the global layers have smaller pages, so their blocks hold more tokens
        ("gemma-4-26b-a4b", [("full", 32, 5)] + [("sliding", 16, 5)] * 5),
    ],
)
def test_groups(name: str, groups: list[tuple[str, int, int]]) -> None:
    found = [(group.kind, group.block, group.layers) for group in plan_of(name).groups]
    assert sorted(found) == sorted(groups)


def test_windows_were_not_used_before_hybrid_caches() -> None:
    assert [group.kind for group in plan_of("gemma-3-27b", release=(0, 8, 5)).groups] == ["full"]


def test_the_longest_request() -> None:
    whole = cache.stage_cache(plan_of("llama-3.1-8b"), 0, 32)
    assert whole.bytes_per_block == 16 * 131072
    # 101 blocks, of which one is never given out
    assert whole.longest(101 * whole.bytes_per_block, 131072, 0) == 1600
    assert whole.longest(10**15, 131072, 0) == 131072
    assert whole.longest(0, 131072, 0) == whole.longest(-1, 131072, 0) == 0
    sliding = cache.stage_cache(plan_of("gemma-3-27b"), 0, 62)
    # a window does not grow with the request
    assert sliding.blocks_needed(131072, 0) - sliding.blocks_needed(65536, 0) == 65536 // 16


def test_a_stage_without_a_cache() -> None:
    empty = cache.stage_cache(cache.Plan((), (), 0.0, (0.0, 0.0)), 0, 2)
    assert empty.empty is True
    assert (empty.blocks(10**9), empty.longest(1, 4096, 0), empty.longest(0, 4096, 0)) == (0, 4096, 0)


def test_states_of_linear_attention() -> None:
    model = read_model(config("qwen3-next-80b-a3b"))
    assert cache.state_bytes(model, 1) == (2 * 2048 + 4096) * 3 * 2 + 32 * 128 * 128 * 2
    stated = read_model(config("qwen3-next-80b-a3b", mamba_ssm_dtype="float32"))
    assert cache.state_bytes(stated, 2) == ((2 * 2048 + 4096) * 3 * 2 + 32 * 128 * 128 * 4) / 2
