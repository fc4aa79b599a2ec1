# SPDX-License-Identifier: GPL-3.0-or-later
"""What holds for every plan, whatever the model and the hosts."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.llmserve.vllm.plugins.module_utils._planner.layouts import stage_layers
from ansible_collections.llmserve.vllm.plugins.module_utils._planner.plan import make_plan
from ansible_collections.llmserve.vllm.tests.unit.plugins.module_utils._planner.questions import NAMES, config
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

BOUNDED = settings(max_examples=80, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
FEWER = settings(BOUNDED, max_examples=50)

# Types that vLLM's command line takes, by option (tests/planner/parse_args.py asks its own parser).
ENGINE_TYPES: dict[str, tuple[type, ...]] = {
    "tensor_parallel_size": (int,),
    "pipeline_parallel_size": (int,),
    "max_model_len": (int, str),
    "gpu_memory_utilization": (float,),
    "max_num_seqs": (int,),
    "max_num_batched_tokens": (int,),
    "cpu_offload_gb": (float,),
    "enforce_eager": (bool,),
    "enable_expert_parallel": (bool,),
    "kv_cache_dtype": (str,),
}


@st.composite
def questions(draw: st.DrawFn) -> dict[str, Any]:
    """A question that a person might ask."""
    name = draw(st.sampled_from(NAMES))
    model: dict[str, Any] = {"name": name, "config": config(name)}
    if name == "mamba-2.8b":
        model["weights_bytes"] = 5_536_000_000
    elif draw(st.integers(0, 4)) == 0:
        model["quantization"] = draw(st.sampled_from(["fp8", "int4_g128", "nvfp4", "bf16"]))
    gib = draw(st.sampled_from([14.56, 22.09, 39.38, 47.4, 79.18, 94.5, 139.72, 178.35]))
    card = {"name": draw(st.sampled_from(["some card", "NVIDIA H100"])), "total_memory_gib": gib}
    host = {"name": "n", "gpus": [card] * draw(st.integers(1, 8)), "host_memory_mib": 2**20}
    return {
        "model": model,
        "nodes": [host] * draw(st.integers(1, 5)),
        "strategy": draw(st.sampled_from(["fill", "fit"])),
        "vllm_version": draw(st.sampled_from([None, "0.6.6", "0.8.5", "0.11.2", "0.19.1", "0.29.0", "0.33.0"])),
        "gpu_memory_utilization": draw(st.sampled_from([None, None, 0.5, 0.85, 0.95])),
        "max_model_len": draw(st.sampled_from([None, "auto", "8192", "32K", "200000"])),
        "max_num_seqs": draw(st.sampled_from([None, None, 1, 64, 512])),
        "max_num_batched_tokens": draw(st.sampled_from([None, None, 512, 4096])),
        "kv_cache_dtype": draw(st.sampled_from(["auto", "auto", "fp8"])),
        "cpu_offload_gb": draw(st.sampled_from([None, None, "auto", 4])),
        "enforce_eager": draw(st.booleans()),
        "enable_expert_parallel": draw(st.integers(0, 5)) == 0,
        "tensor_parallel_size": draw(st.sampled_from([None, None, None, 1, 2, 4])),
        "pipeline_parallel_size": draw(st.sampled_from([None, None, None, 1, 2])),
    }


@BOUNDED
@given(st.integers(1, 1000), st.integers(1, 1000))
def test_layers_of_the_stages_add_up(layers: int, stages: int) -> None:
    stages = min(stages, layers)
    sizes = stage_layers(layers, stages)
    assert (sum(sizes), len(sizes)) == (layers, stages)
    assert max(sizes) - min(sizes) <= 1
    assert min(sizes) >= 1


@BOUNDED
@given(questions())
def test_a_plan_that_fits_exceeds_no_gpu(question: dict[str, Any]) -> None:
    found = make_plan(question)
    assert found["fits"] is not bool(found["reasons"])
    layers = len(found["stages"]) and sum(stage["layers"] for stage in found["stages"])
    assert layers in (0, _layers(question["model"]["config"]))
    assert found["gpus_used"] <= found["gpus_total"] or found["fits"] is False
    assert found["replicas"] * found["gpus_used"] <= found["gpus_total"]
    if not found["fits"]:
        assert all(len(reason) > 20 for reason in found["reasons"])
        return
    assert found["gpus_used"] == found["tensor_parallel_size"] * found["pipeline_parallel_size"]
    requested = found["gpu"]["requested_gib"]
    for stage in found["stages"]:
        parts = [stage[key] for key in ("weights_gib", "kv_gib", "activation_gib", "overhead_gib")]
        assert min(parts) >= 0
        assert sum(parts) <= requested + 0.02
        assert stage["free_gib"] >= 0
        assert sum(parts) + stage["free_gib"] == pytest.approx(stage["total_gib"], abs=0.01)
    used = [stage for node in found["nodes"] for stage in node["gpus"] if stage is not None]
    assert len(used) == found["gpus_used"]
    for number in range(found["pipeline_parallel_size"]):
        assert used.count(number) == found["tensor_parallel_size"]
    if "kv_cache_tokens" in found:
        assert found["max_concurrency"] >= 1


def _layers(model: dict[str, Any]) -> int:
    count: int = model.get("text_config", model)["num_hidden_layers"]
    return count


@BOUNDED
@given(questions())
def test_engine_args_are_what_vllm_takes(question: dict[str, Any]) -> None:
    found = make_plan(question)["engine_args"]
    assert {"tensor_parallel_size", "pipeline_parallel_size"} <= set(found) <= set(ENGINE_TYPES)
    for name, value in found.items():
        assert type(value) in ENGINE_TYPES[name], (name, value)
        assert value not in (None, 0, False, "")
    assert found.get("max_model_len") == "auto" or not isinstance(found.get("max_model_len"), str)


@FEWER
@given(questions(), st.floats(0.1, 200))
def test_more_memory_never_makes_a_plan_unfit(question: dict[str, Any], more: float) -> None:
    # vLLM's own defaults change at 70 and 160 GiB, so the settings that depend on the memory are fixed
    fixed = {**question, "max_num_seqs": 256, "max_num_batched_tokens": 2048, "enforce_eager": True}
    before = make_plan(fixed)
    card = fixed["nodes"][0]["gpus"][0]
    richer = {**card, "total_memory_gib": card["total_memory_gib"] + more}
    host = {**fixed["nodes"][0], "gpus": [richer] * len(fixed["nodes"][0]["gpus"])}
    after = make_plan({**fixed, "nodes": [host] * len(fixed["nodes"])})
    assert after["fits"] or not before["fits"]
    if before["fits"] and fixed["strategy"] == "fit":
        assert after["gpus_used"] <= before["gpus_used"]


@FEWER
@given(questions())
def test_fit_never_uses_more_gpus_than_fill(question: dict[str, Any]) -> None:
    fit, fill = (make_plan({**question, "strategy": strategy}) for strategy in ("fit", "fill"))
    assert fit["fits"] is fill["fits"]
    assert fit["gpus_used"] <= fill["gpus_used"]


@FEWER
@given(questions())
def test_the_same_question_has_the_same_answer(question: dict[str, Any]) -> None:
    assert make_plan(question) == make_plan(question)


@FEWER
@given(questions())
def test_auto_is_the_longest_context_that_fits(question: dict[str, Any]) -> None:
    question = {**question, "max_model_len": "auto", "cpu_offload_gb": None}
    found = make_plan(question)
    if not found["fits"] or found["max_model_len"] is None:
        return
    fixed = {
        **question,
        "tensor_parallel_size": found["tensor_parallel_size"],
        "pipeline_parallel_size": found["pipeline_parallel_size"],
        "max_num_batched_tokens": found["max_num_batched_tokens"],
    }
    assert make_plan({**fixed, "max_model_len": found["max_model_len"]})["fits"] is True
