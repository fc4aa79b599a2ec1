# SPDX-License-Identifier: GPL-3.0-or-later
"""Quantization formats: bytes, and which matrices they are used for."""

from __future__ import annotations

import re
from typing import Any

import pytest
from ansible_collections.llmserve.vllm.plugins.module_utils._planner.errors import PlanError
from ansible_collections.llmserve.vllm.plugins.module_utils._planner.formats import named, read_format
from ansible_collections.llmserve.vllm.tests.unit.plugins.module_utils._planner.questions import config

# Bytes of a parameter in a large matrix, scales included, that reproduce published sizes.
SIZES = {
    "bf16": 2.0,
    "fp8": 1.0,
    "fp8_block": 1 + 4 / 16384,
    "int8": 1.0,
    "int4": 0.5 + 2.5 / 128,
    "int4_g32": 0.5 + 2.5 / 32,
    "awq": 0.5 + 2.5 / 128,
    "nvfp4": 0.5625,
    "mxfp4": 0.53125,
    "bnb8": 1.0,
}


@pytest.mark.parametrize("name", SIZES)
def test_bytes_of_a_parameter(name: str) -> None:
    assert named(name).matrix_bytes(4096, 4096) / 4096**2 == pytest.approx(SIZES[name], rel=1e-9)


def test_names_that_nobody_knows() -> None:
    with pytest.raises(PlanError, match=re.escape("model.quantization 'q4_k_m' is not known")):
        named("q4_k_m")


def compressed(**weights: Any) -> dict[str, Any]:
    return {"quant_method": "compressed-tensors", "config_groups": {"group_0": {"weights": weights}}}


@pytest.mark.parametrize(
    ("stated", "name"),
    [
        ({"quant_method": "fp8"}, "fp8"),
        ({"quant_method": "fp8", "weight_block_size": [128, 128]}, "fp8_block"),
        ({"quant_method": "fbgemm_fp8"}, "fp8"),
        ({"quant_method": "awq", "bits": 4, "group_size": 128}, "int4"),
        ({"quant_method": "gptq", "bits": 8, "group_size": 128}, "int8_weights"),
        ({"quant_method": "bitsandbytes", "load_in_8bit": True}, "bnb8"),
        ({"quant_method": "bitsandbytes", "load_in_4bit": True}, "bnb4"),
        ({"quant_method": "modelopt", "quant_algo": "NVFP4"}, "nvfp4"),
        ({"quant_method": "modelopt", "quantization": {"quant_algo": "FP8"}}, "fp8"),
        ({"quant_method": "mxfp4"}, "mxfp4"),
        (compressed(num_bits=8, type="float", strategy="channel"), "fp8"),
        (compressed(num_bits=8, type="float", strategy="block"), "fp8_block"),
        (compressed(num_bits=4, type="float", group_size=16), "nvfp4"),
        (compressed(num_bits=8, type="int", strategy="channel"), "int8"),
        (compressed(num_bits=4, type="int", group_size=128), "int4"),
    ],
)
def test_formats_of_checkpoints(stated: dict[str, Any], name: str) -> None:
    form = read_format({"quantization_config": stated}, None)
    assert (form.name, form.known, form.stated) == (name, True, True)


@pytest.mark.parametrize(
    "stated",
    [
        {"quant_method": "hqq"},
        {"quant_method": ["fp8"]},
        {},
        {"quant_method": "awq", "bits": 3},
        {"quant_method": "gptq", "bits": [4]},
        {"quant_method": "gptq", "group_size": 10**400},
        {"quant_method": "compressed-tensors"},
        compressed(num_bits=10**400, type="int"),
        {"quant_method": "x" * 10**6},
    ],
)
def test_formats_that_nobody_knows(stated: dict[str, Any]) -> None:
    form = read_format({"quantization_config": stated or {"quant_method": None}}, None)
    assert (form.known, form.matrix_bytes(2, 2)) == (False, 8.0)
    assert len(form.title) <= 120


def test_a_scale_for_every_output() -> None:
    form = read_format({"quantization_config": compressed(num_bits=8, type="float", strategy="channel")}, None)
    assert form.matrix_bytes(100, 10) == 1000 + 10 * 4


def test_modules_that_stay_in_16_bit() -> None:
    form = read_format(config("llama-3.1-405b-fp8"), None)
    assert form.quantizes(1, 126, "mlp.gate_up_proj")
    assert not form.quantizes(0, 126, "mlp.gate_up_proj")
    assert not form.quantizes(125, 126, "mlp.down_proj")
    assert not form.quantizes(60, 126, "self_attn.qkv_proj")
    experts = read_format(config("gpt-oss-20b"), None)
    assert experts.quantizes(3, 24, "mlp.experts")
    assert not experts.quantizes(3, 24, "self_attn.o_proj")
    patterns = {"quant_method": "fp8", "ignored_layers": ["re:.*mlp.*", "model.layers.2"]}
    spared = read_format({"quantization_config": patterns}, None)
    assert not spared.quantizes(0, 8, "mlp.down_proj")
    assert not spared.quantizes(2, 8, "self_attn.o_proj")
    assert spared.quantizes(3, 8, "self_attn.o_proj")


def test_a_checkpoint_that_asks_for_an_fp8_cache() -> None:
    assert read_format(
        {"quantization_config": {"quant_method": "modelopt", "kv_cache_quant_algo": "FP8"}}, None
    ).cache_fp8
    assert not read_format({"quantization_config": {"quant_method": "fp8"}}, None).cache_fp8
