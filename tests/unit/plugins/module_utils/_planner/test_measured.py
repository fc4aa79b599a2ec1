# SPDX-License-Identifier: GPL-3.0-or-later
"""Weights and KV cache beside what vLLM 0.32 itself holds, part by part and to the byte.

The figures come from tests/planner/measure_vllm.py: small models of many families, loaded by vLLM's CPU build. What
that build does differently from a GPU, or what the planner leaves out, is named below, each with its reason.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.llmserve.vllm.plugins.module_utils._planner import cache, engine, weights
from ansible_collections.llmserve.vllm.plugins.module_utils._planner.formats import Format, read_format
from ansible_collections.llmserve.vllm.plugins.module_utils._planner.layouts import stage_bounds, tensor_problems
from ansible_collections.llmserve.vllm.plugins.module_utils._planner.model import Model, read_model
from ansible_collections.llmserve.vllm.tests.unit.plugins.module_utils._planner.questions import FIXTURES

LINES = [json.loads(line) for line in (FIXTURES / "vllm_0.32_cpu.jsonl").read_text(encoding="utf-8").splitlines()]


def _key(line: dict[str, Any]) -> str:
    parallel = "ep" if line.get("enable_expert_parallel") else ""
    return (
        f"{line['name']}-tp{line['tensor_parallel_size']}{parallel}-pp{line['pipeline_parallel_size']}-{line['rank']}"
    )


MEASURED = {_key(line): line for line in LINES if line.get("weights_bytes")}
REFUSED = {_key(line): line for line in LINES if not line.get("weights_bytes")}

# attention.py keeps the scales of keys and values a second time in the memory of the host (_k_scale_cpu, _v_scale_cpu):
# 8 bytes a layer that no GPU holds. Quantized MLA under a kernel that does nothing is not prepared, and has none.
HOST_SCALES = 8
# Scales of the cache that a quantized checkpoint may bring. They are there while it is loaded, and deleted after that
# (quantization/kv_cache.py): two for FP8, four and a bias of 2 bytes for compressed-tensors.
LOADING = {"fp8": 8, "compressed-tensors": 18}
# A scale of the weights and one of the inputs for each of q, k, v, o, gate, up and down, 4 bytes each: the planner
# leaves scales per matrix out.
MATRIX_SCALES = 56
# compressed-tensors keeps the shape of each of the 4 packed matrices as two 64-bit numbers.
PACKED_SHAPES = 64
# GPTQ gives every expert a bias of zeros, whatever the model (auto_gptq.py).
GPTQ_BIAS = 2
# Under expert parallelism every layer has a map from experts to the GPUs that hold them, 32 bits each.
EXPERT_MAP = 4
# Gemma multiplies its embeddings by one number in 16 bit.
NORMALIZER = 2


def read(line: dict[str, Any]) -> tuple[Model, Format]:
    return read_model(line["config"]), read_format(line["config"], None)


def bounds_of(line: dict[str, Any], model: Model) -> tuple[int, int]:
    return stage_bounds(len(model.layers), line["pipeline_parallel_size"])[line["stage"]]


def shard_of(line: dict[str, Any]) -> weights.Shard:
    # where the CPU has no kernel for MXFP4, Marlin was measured
    return weights.Shard(line["tensor_parallel_size"], bool(line.get("enable_expert_parallel")), "marlin")


def absorbed_bytes(line: dict[str, Any], model: Model, form: Format) -> float:
    """What the planner adds for W_UK and W_UV, per layer."""
    if model.latent is None or form.plain or not form.quantizes(1, len(model.layers), "self_attn.kv_b_proj"):
        return 0.0
    latent = model.latent
    each = latent.kv_rank * model.heads * (latent.nope_dim + latent.value_dim) * 2.0
    return each / line["tensor_parallel_size"]


def unplanned(line: dict[str, Any], model: Model, index: int) -> float:
    """Bytes of a layer that vLLM's CPU build holds and the planner leaves out."""
    layer, config = model.layers[index], line["config"]
    stated = config.get("quantization_config", {})
    method = stated.get("quant_method")
    prepared = line["path"] == "engine"
    extra = 0.0
    if layer.attention.kind != "linear" and (prepared or model.latent is None or not method):
        extra += HOST_SCALES
    if layer.attention.kind != "latent":
        extra += LOADING.get(method, 0)
    if method == "fp8" and not stated.get("weight_block_size"):
        extra += MATRIX_SCALES
    if str(stated.get("format", "")).startswith("pack"):
        extra += PACKED_SHAPES
    experts = model.experts
    if layer.experts and experts is not None:
        if method == "gptq":
            extra += experts.number * (2 * experts.width + model.hidden) * GPTQ_BIAS
        if line.get("enable_expert_parallel"):
            extra += experts.number * EXPERT_MAP
        if method == "fp8" and model.model_type == "qwen3_moe":
            # published FP8 checkpoints list their routers as not converted; this one does not, so vLLM quantizes
            # them: one byte less a parameter, and a scale for each block
            blocks = -(-model.hidden // 128) * -(-experts.number // 128)
            extra += blocks * 4 - model.hidden * experts.number
    return extra


@pytest.mark.parametrize("name", MEASURED)
def test_weights_of_every_layer(name: str) -> None:
    line = MEASURED[name]
    model, form = read(line)
    first, after = bounds_of(line, model)
    ours = weights._layer_sizes(model, shard_of(line), form)[first:after]
    added = absorbed_bytes(line, model, form)
    expected = [
        measured + added - unplanned(line, model, first + number)
        for number, measured in enumerate(line["weights"]["layers"])
    ]
    assert ours == expected


@pytest.mark.parametrize("name", [name for name, line in MEASURED.items() if line.get("absorbed_bytes") is not None])
def test_the_absorbed_matrices_of_mla(name: str) -> None:
    line = MEASURED[name]
    model, form = read(line)
    first, after = bounds_of(line, model)
    assert absorbed_bytes(line, model, form) * (after - first) == line["absorbed_bytes"]


@pytest.mark.parametrize("name", MEASURED)
def test_weights_beside_the_layers(name: str) -> None:
    line = MEASURED[name]
    model, form = read(line)
    parts = line["weights"]["parts"]
    bounds = stage_bounds(len(model.layers), line["pipeline_parallel_size"])
    ours = weights.stage_weights(model, bounds, shard_of(line), form)[line["stage"]]
    if model.tied:
        # on a last stage of its own the head is loaded as an embedding
        assert ours.embedding + ours.head == parts.get("embedding", 0) + parts.get("lm_head", 0)
    else:
        assert (ours.embedding, ours.head) == (parts.get("embedding", 0), parts.get("lm_head", 0))
    normalizer = NORMALIZER if model.model_type.startswith("gemma") else 0
    rope = sum(rows * width for rows, width in model.rope_rows) * model.family.rope
    assert ours.other - rope == parts.get("other", 0) - normalizer
    if model.model_type == "starcoder2":
        # 0.32 has it run by transformers, which computes cosines and sines in each step
        return
    kinds = {layer.attention.kind for layer in model.layers[slice(*bounds[line["stage"]])]}
    if len(model.rope_rows) > 1 and len(kinds) == 1 and not model.latent:
        # no layer of this stage sees everything, so it needs one of the two tables; that is so in small models only
        rope /= 2
    assert rope == parts.get("rope", 0)


def settings_of(line: dict[str, Any], model: Model) -> engine.Settings:
    asked = line["engine_args"]
    return engine.settings(
        release=(0, 32),
        capability=(9, 0),
        total_gib=80.0,
        gpu="",
        model=model,
        length=asked["max_model_len"],
        gpu_memory_utilization=0.9,
        max_num_seqs=asked["max_num_seqs"],
        max_num_batched_tokens=asked["max_num_batched_tokens"],
        enforce_eager=False,
        kv_cache_dtype=asked.get("kv_cache_dtype", "auto"),
    )


def plan_of(line: dict[str, Any]) -> tuple[Model, cache.Plan]:
    model, form = read(line)
    settings = settings_of(line, model)
    value = cache.value_bytes(model, settings.kv_cache_dtype, form.cache_fp8)
    return model, cache.plan_cache(model, line["tensor_parallel_size"], value, settings)


@pytest.mark.parametrize("name", MEASURED)
def test_cache_per_token(name: str) -> None:
    line = MEASURED[name]
    model, planned = plan_of(line)
    assert cache.stage_cache(planned, *bounds_of(line, model)).bytes_per_token == line["kv_bytes_per_token"]
    states = sum(model.layers[index].attention.kind == "linear" for index in range(*bounds_of(line, model)))
    assert [cache.state_bytes(model, line["tensor_parallel_size"])] * states == line["kv_state_bytes"]


@pytest.mark.parametrize("name", MEASURED)
def test_groups_of_the_cache(name: str) -> None:
    line = MEASURED[name]
    model, planned = plan_of(line)
    first, after = bounds_of(line, model)
    members = [sum(first <= index < after for index in layers) for layers in planned.members]
    kinds = {"SlidingWindowSpec": "sliding", "ChunkedLocalAttentionSpec": "chunked", "MambaSpec": "linear"}
    if line["at_gpu_pages"] is None:
        # pages of recurrent layers were measured with the CPU's blocks only, which are multiples of 128 tokens
        counts = sorted((kinds.get(group["kind"], "full"), group["layers"]) for group in line["kv_groups"])
        assert sorted((group.kind, count) for group, count in zip(planned.groups, members, strict=True)) == counts
        return
    if model.latent and model.latent.index_heads:
        # one group, where the index of every layer has a page of its own; the planner counts them together
        (group,) = line["at_gpu_pages"]["kv_groups"]
        assert [(planned.groups[0].block, 2 * members[0])] == [(group["block_size"], group["layers"])]
        return
    theirs = sorted(
        (kinds.get(group["kind"], "full"), group["block_size"], group["layers"], group["page_bytes"])
        for group in line["at_gpu_pages"]["kv_groups"]
    )
    ours = sorted(
        (group.kind, group.block, count, planned.page) for group, count in zip(planned.groups, members, strict=True)
    )
    assert ours == theirs


@pytest.mark.parametrize("name", [name for name, line in MEASURED.items() if line["at_gpu_pages"]])
def test_blocks_and_tokens(name: str) -> None:
    line = MEASURED[name]
    model, planned = plan_of(line)
    measured = line["at_gpu_pages"]
    stages = stage_bounds(len(model.layers), line["pipeline_parallel_size"])
    caches = [cache.stage_cache(planned, first, after) for first, after in stages]
    own = caches[line["stage"]]
    assert own.bytes_per_block == measured["kv_bytes_per_block"]
    # every stage gives as many blocks as the poorest has
    blocks = min(item.blocks(line["kv_cache_bytes_available"]) for item in caches)
    assert blocks == measured["kv_blocks"]
    length, in_flight = line["engine_args"]["max_model_len"], line["max_in_flight_tokens"]
    assert own.tokens(blocks, length, in_flight, (0, 32)) == measured["kv_cache_tokens"]


def test_what_vllm_refused() -> None:
    """What vLLM would not load for the FP8 blocks, the planner calls illegal; the rest has no kernel on a CPU."""
    for name, line in REFUSED.items():
        model, form = read(line)
        legal = not tensor_problems(model, form, line["tensor_parallel_size"])
        assert legal is ("is not divisible by" not in line["error"]), name
        assert legal is False or "CPU" in line["error"] or "kernel" in line["error"] or "backend" in line["error"], name
