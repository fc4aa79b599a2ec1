# SPDX-License-Identifier: GPL-3.0-or-later
"""Malformed questions: one line that names the field, never a traceback, never a wait."""

from __future__ import annotations

import copy
import json
import math
from typing import Any

import pytest
from ansible_collections.llmserve.vllm.plugins.module_utils._planner.errors import PlanError, label, shown
from ansible_collections.llmserve.vllm.plugins.module_utils._planner.plan import make_plan
from ansible_collections.llmserve.vllm.plugins.module_utils._planner.question import parse_version, read_question
from ansible_collections.llmserve.vllm.tests.unit.plugins.module_utils._planner.questions import H100, config, hosts
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st


def shorten(value: object) -> str:
    """A name for a test's parameter, which may be a number of thousands of digits."""
    return shown(value)[:40]


FUZZ = settings(max_examples=250, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


def refusal(**options: Any) -> str:
    """The message of the PlanError that a question ends in."""
    asked = {"model": {"name": "m", "config": config("llama-3.1-8b")}, "nodes": hosts(1, 1), **options}
    with pytest.raises(PlanError) as raised:
        make_plan(asked)
    message = str(raised.value)
    assert "\n" not in message
    assert len(message) < 400
    return message


def config_refusal(**changes: Any) -> str:
    return refusal(model={"name": "m", "config": config("llama-3.1-8b", **changes)})


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (None, "model must be a dictionary"),
        ("llama", "model must be a dictionary"),
        ([], "model must be a dictionary"),
        ({}, "model.config must be"),
        ({"config": None}, "model.config must be"),
        ({"config": []}, "model.config must be"),
        ({"config": {}}, "no config.json"),
        ({"config": {"model_type": "mamba", "num_hidden_layers": 8}}, "no hidden_size"),
        ({"config": {"num_attention_heads": 8, "hidden_size": 64}}, "no num_hidden_layers"),
        ({"config": config("mamba-2.8b")}, "give model.weights_bytes"),
    ],
)
def test_models_that_cannot_be_read(model: Any, message: str) -> None:
    assert message in refusal(model=model)


@pytest.mark.parametrize("name", ["num_attention_heads", "num_hidden_layers", "hidden_size", "vocab_size"])
@pytest.mark.parametrize(
    "value",
    ["32", 0, -8, 1.5, True, [32], {"value": 32}, 10**30, 10**5000, math.inf, math.nan, "\u96f6", b"32"],
    ids=shorten,
)
def test_figures_of_a_config_that_are_none(name: str, value: Any) -> None:
    assert f"model.config.{name} must be a whole number" in config_refusal(**{name: value})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_hidden_layers": 5000}, "no model has more than 400 layers"),
        ({"architectures": "LlamaForCausalLM"}, "model.config.architectures must be a list"),
        ({"architectures": [7]}, "model.config.architectures must be a list"),
        ({"architectures": {}}, "model.config.architectures must be a list"),
        ({"tie_word_embeddings": "no"}, "model.config.tie_word_embeddings must be true or false"),
        ({"quantization_config": "fp8"}, "model.config.quantization_config must be a dictionary"),
        ({"quantization_config": ["fp8"]}, "model.config.quantization_config must be a dictionary"),
        ({"num_experts": "128"}, "model.config.num_experts must be a whole number"),
        ({"kv_lora_rank": -1}, "model.config.kv_lora_rank must be a whole number"),
        ({"vision_config": {"hidden_size": "1152"}}, "model.config.hidden_size must be a whole number"),
    ],
)
def test_other_parts_of_a_config(changes: dict[str, Any], message: str) -> None:
    assert message in config_refusal(**changes)


@pytest.mark.parametrize("nested", ["gemma3_text", 7, ["hidden_size"], True])
def test_a_nested_config_of_the_wrong_type(nested: Any) -> None:
    outer = {"architectures": ["Gemma3ForConditionalGeneration"], "text_config": nested}
    assert "model.config.text_config must be a dictionary" in refusal(model={"config": outer})


def test_a_config_that_is_far_too_large() -> None:
    # 10 MB of numbers, of text, and of brackets
    assert "model.config has more than 200000 entries" in config_refusal(numbers=list(range(1_500_000)))
    assert "model.config has more than 200000 entries" in config_refusal(text="x" * 25_000_000)
    deep: Any = []
    for _level in range(5000):
        deep = [deep]
    assert "nested more than 64 levels deep" in config_refusal(deep=deep)
    chain: dict[str, Any] = {}
    for _level in range(5000):
        chain = {"text_config": chain}
    assert "nested more than 64 levels deep" in refusal(model={"config": chain})
    # what is large and harmless is planned
    long = config("llama-3.1-8b", quantization_config={"quant_method": "fp8", "ignored_layers": ["lm_head"] * 50_000})
    assert make_plan({"model": {"config": long}, "nodes": hosts(1, 1)})["fits"] is True


def test_expressions_that_would_run_for_ever_are_left_out() -> None:
    evil = [
        "re:(a+)+$",
        "re:(.*)*x",
        "re:" + ".*a" * 40 + "$",
        "re:" + "(x?)" * 3000,
        "re:([",
        "re:(?P<n>a",
        "re:x{9999999999}",
    ]
    stated = {"quant_method": "fp8", "ignored_layers": evil}
    asked = config("llama-3.1-8b", quantization_config=stated)
    assert make_plan({"model": {"config": asked}, "nodes": hosts(1, 1)})["quantization"] == "fp8"
    many = {"quant_method": "fp8", "ignored_layers": [f"re:.*layers.{number}.*_proj" for number in range(10_000)]}
    asked = config("llama-3.1-8b", quantization_config=many)
    assert make_plan({"model": {"config": asked}, "nodes": hosts(1, 1)})["fits"] is True


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ("node-001", "nodes must be a list"),
        ({"node-001": {}}, "nodes must be a list"),
        (7, "nodes must be a list"),
        (["node-001"], "nodes[0] must be a dictionary"),
        ([{"gpus": []}, 7], "nodes[1] must be a dictionary"),
        ([{"name": "a", "gpus": "8 x H100"}], "The gpus of a must be a list"),
        ([{"name": "a", "gpus": 8}], "The gpus of a must be a list"),
        ([{"name": "a", "gpus": {"0": {}}}], "The gpus of a must be a list"),
        ([{"name": "a", "gpus": ["H100"]}], "A GPU of a must be a dictionary"),
        ([{"name": "a", "gpus": [{"memory_total_mib": -1}]}], "a: gpus[].memory_total_mib must be a number"),
        ([{"name": "a", "gpus": [{"memory_total_mib": "80 GB"}]}], "a: gpus[].memory_total_mib must be a number"),
        ([{"name": "a", "gpus": [{"memory_total_mib": 10**30}]}], "a: gpus[].memory_total_mib must be a number"),
        ([{"name": "a", "gpus": [{"memory_total_mib": [81559]}]}], "a: gpus[].memory_total_mib must be a number"),
        ([{"name": "a", "gpus": [{"total_memory_gib": math.inf}]}], "a: gpus[].total_memory_gib must be a number"),
        ([{"name": "a", "gpus": [{"memory_used_mib": math.nan}]}], "a: gpus[].memory_used_mib must be a number"),
        ([{"name": "a", "gpus": [{"memory_used_mib": True}]}], "a: gpus[].memory_used_mib must be a number"),
        ([{"name": "a", "gpus": [], "host_memory_mib": "much"}], "a: host_memory_mib must be a number"),
        ([{"name": "a\nb" * 500, "gpus": 8}], "must be a list"),
        ([{"gpus": [{}] * 100_001}], "more than 100000 GPUs"),
    ],
    ids=shorten,
)
def test_hosts_that_cannot_be_read(nodes: Any, message: str) -> None:
    assert message in refusal(nodes=nodes)


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("strategy", "best", "strategy must be fill or fit, not 'best'."),
        ("strategy", 7, "strategy must be a short text"),
        ("vllm_version", {}, "vllm_version must be a short text"),
        ("vllm_version", "9" * 5000, "vllm_version must be a short text"),
        ("kv_cache_dtype", ["fp8"], "kv_cache_dtype must be a short text"),
        ("gpu_memory_utilization", 0, "gpu_memory_utilization must be above 0 and at most 1"),
        ("gpu_memory_utilization", 92, "gpu_memory_utilization must be above 0 and at most 1"),
        ("gpu_memory_utilization", "most", "gpu_memory_utilization must be a number"),
        ("gpu_memory_utilization", math.nan, "gpu_memory_utilization must be a number"),
        ("max_model_len", "long", "max_model_len must be a number of tokens"),
        ("max_model_len", "9" * 400 + "k", "max_model_len must be a number of tokens"),
        ("max_model_len", 0, "max_model_len must be at least 1"),
        ("max_model_len", "0", "max_model_len must be at least 1"),
        ("max_model_len", 10**30, "max_model_len must be at most"),
        ("max_model_len", [], "max_model_len must be a whole number"),
        ("max_num_seqs", True, "max_num_seqs must be a whole number"),
        ("max_num_seqs", "many", "max_num_seqs must be a whole number"),
        ("max_num_batched_tokens", -5, "max_num_batched_tokens must be at least 1"),
        ("max_num_batched_tokens", "9" * 5000, "max_num_batched_tokens must be a whole number"),
        ("tensor_parallel_size", 0, "tensor_parallel_size must be at least 1"),
        ("tensor_parallel_size", 2.5, "tensor_parallel_size must be a whole number"),
        ("tensor_parallel_size", 10**30, "tensor_parallel_size must be at most"),
        ("pipeline_parallel_size", 10**5000, "pipeline_parallel_size must be at most"),
        ("cpu_offload_gb", "some", "cpu_offload_gb must be a number of GiB per GPU or auto"),
        ("cpu_offload_gb", -1, "cpu_offload_gb must be a number of GiB per GPU or auto"),
        ("cpu_offload_gb", "nan", "cpu_offload_gb must be a number of GiB per GPU or auto"),
        ("enforce_eager", "no", "enforce_eager must be true or false"),
        ("enable_expert_parallel", 1, "enable_expert_parallel must be true or false"),
        ("async_scheduling", "off", "async_scheduling must be true or false"),
        ("download_mb_s", -1, "download_mb_s must be a number"),
        ("download_mb_s", 1e-300, "download_mb_s must be a rate"),
        ("load_gb_s", math.inf, "load_gb_s must be a number"),
    ],
    ids=shorten,
)
def test_options_that_make_no_sense(option: str, value: Any, message: str) -> None:
    assert message in refusal(**{option: value})


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("quantization", "fp3", "model.quantization 'fp3' is not known: give one of bf16"),
        ("quantization", "x" * 5000, "model.quantization must be a short text"),
        ("quantization", ["fp8"], "model.quantization must be a short text"),
        ("quantization", "int4_g" + "9" * 40, "is not known"),
        ("weights_bytes", 0, "model.weights_bytes must be at least 1"),
        ("weights_bytes", "141 GB", "model.weights_bytes must be a whole number"),
        ("weights_bytes", 1.5e9, "model.weights_bytes must be a whole number"),
        ("weights_bytes", 10**30, "model.weights_bytes must be at most"),
        ("download_bytes", -1, "model.download_bytes must be at least 0"),
    ],
    ids=shorten,
)
def test_fields_of_the_model(field: str, value: Any, message: str) -> None:
    assert message in refusal(model={"config": config("llama-3.1-8b"), field: value})


def test_a_size_beyond_the_hosts_is_a_refusal_and_no_endless_search() -> None:
    asked = {"model": {"config": config("llama-3.1-8b")}, "nodes": hosts(1, 8)}
    found = make_plan({**asked, "tensor_parallel_size": 10**15})
    assert found["fits"] is False
    assert len(found["reasons"][0]) < 400
    assert make_plan({**asked, "pipeline_parallel_size": 10**15})["fits"] is False
    many = config("llama-3.1-8b", num_attention_heads=735134400, num_key_value_heads=735134400, head_dim=1)
    assert make_plan({"model": {"config": many}, "nodes": hosts(1, 8)})["tensor_parallel_size"] == 8
    huge = make_plan({"model": {"config": config("llama-3.1-8b")}, "nodes": hosts(1, 100_000)})
    assert huge["gpus_total"] == 100_000


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("32768", 32768),
        ("32K", 32768),
        ("32k", 32000),
        ("0.5M", 524288),
        ("auto", "auto"),
        ("-1", "auto"),
        (" 1m ", 10**6),
    ],
)
def test_lengths_as_vllm_writes_them(text: str, length: int | str) -> None:
    asked = {"model": {"config": {"x": 1}}, "max_model_len": text}
    assert read_question(asked).max_model_len == length


def test_versions() -> None:
    assert parse_version("v0.33.0-cu130") == (0, 33, 0)
    assert parse_version("0.8.5.post1") == (0, 8, 5)
    assert parse_version("~0.22") == (0, 22, 0)
    assert parse_version("nightly") is None


def test_unicode_is_shown_and_control_characters_are_not() -> None:
    model = {"name": "acme/\u6a21\u578b\u0007\u202e\n" + "x" * 500, "config": config("llama-3.1-8b")}
    found = make_plan({"model": model, "nodes": [{"name": "n\u00f6de\t1", "gpus": [{"name": "H100\r\n80GB"}]}]})
    assert found["model"].startswith("acme/\u6a21\u578b x")
    assert len(found["model"]) <= 100
    assert found["nodes"][0]["name"] == "n\u00f6de 1"
    assert found["gpu"]["name"] == "H100 80GB"


def test_what_messages_show() -> None:
    assert shown(10**5000) == "a number of 16610 bits"
    assert shown(["a"]) == "a list"
    assert len(shown("x" * 10**6)) == 60
    assert label({}, "default") == label("", "default") == "default"


JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([10**30, -(10**30), 10**400, 2**63, 0, -1]),
    st.floats(),
    st.text(max_size=20),
    st.just("9" * 5000),
    st.lists(st.integers(), max_size=3),
    st.dictionaries(st.text(max_size=5), st.integers(), max_size=3),
    st.recursive(st.none(), lambda inner: st.lists(inner, max_size=2), max_leaves=5),
)


def paths(value: Any, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place inside a question."""
    found = [here] if here else []
    if isinstance(value, dict):
        for key, inner in value.items():
            found += paths(inner, (*here, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value[:2]):
            found += paths(inner, (*here, index))
    return found


BASES = [
    {
        "model": {"name": "m", "config": config(name), "weights_bytes": weights, "quantization": None},
        "nodes": [{"name": "a", "gpus": [dict(card), dict(card)], "host_memory_mib": 2**19} for _host in range(2)],
        "strategy": "fill",
        "vllm_version": "0.33.0",
        "gpu_memory_utilization": 0.9,
        "max_model_len": "auto",
        "max_num_seqs": None,
        "max_num_batched_tokens": 2048,
        "kv_cache_dtype": "auto",
        "cpu_offload_gb": "auto",
        "tensor_parallel_size": None,
        "pipeline_parallel_size": None,
        "download_mb_s": 100.0,
    }
    for name, weights, card in (
        ("llama-3.1-8b", None, {"name": H100, "memory_total_mib": 81559, "memory_used_mib": 4}),
        ("deepseek-r1", 688_000_000_000, {"name": "NVIDIA H200", "compute_capability": "9.0"}),
        ("gemma-4-26b-a4b", None, {"name": "card", "total_memory_gib": 40.0, "mig_enabled": True, "mig_devices": [{}]}),
        ("qwen3-next-80b-a3b", None, {"name": "NVIDIA GB10", "memory_is_shared": True}),
        ("llama-3.1-405b-fp8-dynamic", None, {"name": "Tesla T4"}),
        ("gpt-oss-20b", 13_761_264_768, {"name": "RTX 4090"}),
        ("mamba-2.8b", 5_536_000_000, {"name": "NVIDIA L4"}),
    )
]


@FUZZ
@given(st.data())
def test_mutated_questions_end_in_a_plan_or_in_one_line(data: st.DataObject) -> None:
    asked: Any = copy.deepcopy(data.draw(st.sampled_from(BASES)))
    for _change in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.sampled_from(paths(asked)))
        target = asked
        for step in place[:-1]:
            target = target[step]
        if data.draw(st.booleans()) or isinstance(target, list):
            target[place[-1]] = data.draw(JUNK)
        else:
            del target[place[-1]]
    try:
        found = make_plan(asked)
    except PlanError as error:
        assert "\n" not in str(error)
        assert 10 < len(str(error)) < 400
    else:
        json.dumps(found, allow_nan=False)
        assert "fits" not in found or found["fits"] is not bool(found["reasons"])
