# SPDX-License-Identifier: GPL-3.0-or-later
"""What a config.json says of a model."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.llmserve.vllm.plugins.module_utils._planner.model import Model, read_model
from ansible_collections.llmserve.vllm.plugins.module_utils._planner.standin import read_any_model
from ansible_collections.llmserve.vllm.tests.unit.plugins.module_utils._planner.questions import NAMES, config


def kinds(model: Model) -> dict[str, int]:
    found: dict[str, int] = {}
    for layer in model.layers:
        found[layer.attention.kind] = found.get(layer.attention.kind, 0) + 1
    return found


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("llama-3.1-405b", {"full": 126}),
        ("deepseek-r1", {"latent": 61}),
        ("glm-5", {"latent": 78}),
        ("gemma-2-2b", {"sliding": 13, "full": 13}),
        ("gemma-3-27b", {"sliding": 52, "full": 10}),
        ("gemma-4-26b-a4b", {"sliding": 25, "full": 5}),
        ("gpt-oss-120b", {"sliding": 18, "full": 18}),
        ("llama-4-scout", {"chunked": 36, "full": 12}),
        ("llama-3.2-11b-vision", {"full": 32, "cross": 8}),
        ("qwen3-next-80b-a3b", {"linear": 36, "full": 12}),
        ("qwen3.5-397b-a17b", {"linear": 45, "full": 15}),
        # their windows are not used: vLLM computes full attention
        ("starcoder2-15b", {"full": 40}),
        ("mistral-nemo-12b", {"full": 40}),
    ],
)
def test_how_layers_attend(name: str, expected: dict[str, int]) -> None:
    assert kinds(read_model(config(name))) == expected


@pytest.mark.parametrize("name", [name for name in NAMES if name != "mamba-2.8b"])
def test_all_of_these_are_known(name: str) -> None:
    assert read_model(config(name)).known is True


@pytest.mark.parametrize(
    ("name", "figures"),
    [
        ("qwen2.5-7b", (28, 4, 128)),
        ("mistral-nemo-12b", (32, 8, 128)),
        ("mistral-small-3.2-24b", (32, 8, 128)),
        ("gemma-3-27b", (32, 16, 128)),
        ("opt-125m", (12, 12, 64)),
        # one compressed cache for all heads: every divisor of the heads is legal
        ("deepseek-r1", (128, 1, 56)),
    ],
)
def test_heads(name: str, figures: tuple[int, int, int]) -> None:
    model = read_model(config(name))
    assert (model.heads, model.kv_heads, model.head_dim) == figures


def test_names_of_older_configurations() -> None:
    gpt2 = {"model_type": "gpt2", "n_embd": 768, "n_head": 12, "n_layer": 12, "n_positions": 1024, "vocab_size": 50257}
    model = read_model(gpt2)
    assert (model.hidden, model.heads, model.kv_heads, len(model.layers), model.positions) == (768, 12, 12, 12, 1024)
    assert (model.learned_positions, model.rope_rows, model.tied) == (1024, (), True)
    falcon = {"hidden_size": 4544, "n_head": 71, "n_layer": 32, "multi_query": True, "vocab_size": 65024}
    assert read_model(falcon).kv_heads == 1
    assert read_model(config("opt-125m")).learned_positions == 2050


def test_experts() -> None:
    r1 = read_model(config("deepseek-r1"))
    assert r1.experts is not None
    assert (r1.experts.number, r1.experts.chosen, r1.experts.width, r1.experts.shared_width) == (256, 8, 2048, 2048)
    assert [layer.experts for layer in r1.layers[:4]] == [False, False, False, True]
    assert r1.skipped_layers == 1
    scout = read_model(config("llama-4-scout"))
    assert scout.experts is not None
    assert (scout.experts.number, scout.experts.shared_width) == (16, scout.experts.width)
    hybrid = read_model(config("qwen3-next-80b-a3b"))
    assert hybrid.experts is not None
    assert hybrid.experts.shared_gate is True
    picked = read_model(config("qwen3-30b-a3b", mlp_only_layers=[0, 2, "7", True]))
    assert [layer.experts for layer in picked.layers[:4]] == [False, True, False, True]


@pytest.mark.parametrize(
    ("changes", "rows"),
    [
        ({"rope_scaling": None}, ((131072, 128),)),
        ({"rope_scaling": {"rope_type": "linear", "factor": 2.0}}, ((262144, 128),)),
        ({"rope_scaling": {"type": "yarn", "factor": 4, "original_max_position_embeddings": 8192}}, ((32768, 128),)),
        ({"rope_scaling": {"rope_type": "yarn", "factor": "4"}}, ((131072, 128),)),
        ({"rope_scaling": {"rope_type": "linear", "factor": 10**30}}, ((131072, 128),)),
        ({"rope_scaling": None, "partial_rotary_factor": 0.25}, ((131072, 32),)),
        ({"rope_scaling": None, "rope_parameters": {"partial_rotary_factor": 0.5}}, ((131072, 64),)),
        ({"rope_scaling": None, "rotary_dim": 64}, ((131072, 64),)),
    ],
)
def test_tables_of_cosines_and_sines(changes: dict[str, Any], rows: tuple[tuple[int, int], ...]) -> None:
    assert read_model(config("llama-3.1-8b", **changes)).rope_rows == rows


def test_gemma_has_a_table_for_its_sliding_layers() -> None:
    assert read_model(config("gemma-3-27b")).rope_rows == ((1048576, 128), (131072, 128))


def test_a_stand_in_weighs_what_the_checkpoint_does() -> None:
    model = read_any_model(config("mamba-2.8b"), 5_536_000_000)
    assert (model.opaque, len(model.layers), kinds(model)) == (True, 64, {"none": 64})
    bare = read_any_model({"architectures": ["XForCausalLM"], "model_type": "x"}, 16_000_000_000)
    assert (bare.opaque, bare.architecture, len(bare.layers)) == (True, "XForCausalLM", 32)
    # a gap in a family that is known is a mistake, whatever the size
    assert read_any_model(config("llama-3.1-8b"), 16_000_000_000).opaque is False
    with pytest.raises(ValueError, match="no num_attention_heads"):
        read_any_model(config("llama-3.1-8b", num_attention_heads=None), 16_000_000_000)
