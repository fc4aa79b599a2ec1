# SPDX-License-Identifier: GPL-3.0-or-later
"""The plans that the planner is for: the tables of the guides it replaces, and the refusals around them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.llmserve.vllm.tests.unit.plugins.module_utils._planner.questions import (
    A100,
    H100,
    NAMES,
    config,
    hosts,
    layout,
    plan,
)

GH200 = "NVIDIA GH200 480GB"


def gh200() -> list[dict[str, Any]]:
    return hosts(1, 1, GH200, host_memory_mib=480 * 1024, memory_total_mib=97871)


@pytest.mark.parametrize(
    ("name", "nodes", "expected"),
    [
        ("llama-3.1-405b", hosts(2, 8), (8, 2)),
        ("llama-3.1-405b", hosts(4, 8), (8, 4)),
        ("llama-3.1-8b", hosts(1, 1), (1, 1)),
        ("llama-3.1-8b", hosts(1, 1, A100), (1, 1)),
        ("llama-3.1-70b", hosts(1, 8), (8, 1)),
        ("llama-3.1-70b", hosts(1, 4), (4, 1)),
    ],
)
def test_layouts_of_the_guides(name: str, nodes: list[dict[str, Any]], expected: tuple[int, int]) -> None:
    found = plan(name, nodes)
    assert (found["fits"], layout(found), found["reasons"]) == (True, expected, [])
    assert found["gpus_used"] == found["gpus_total"]
    assert found["max_model_len"] == 131072
    assert found["confidence"] == "high"


def test_weights_and_cache_of_70b() -> None:
    # 70,553,706,496 parameters in 16 bit; 80 layers x 2 x 8 heads x 128 x 2 bytes a token
    found = plan("llama-3.1-70b", hosts(1, 8))
    assert found["weights_bytes"] == pytest.approx(2 * 70_553_706_496, rel=1e-6)
    assert "weights: 141.1 GB = 131.4 GiB in 16 bit, computed from config.json" in found["arithmetic"]
    assert "KV cache per token: 327,680 B in the model, 40,960 B on a GPU of the stage" in found["arithmetic"]
    assert "one request of 131,072 tokens: 40.00 GiB in the model, 5.00 GiB on such a GPU" in found["arithmetic"]


def test_weights_and_cache_of_405b() -> None:
    found = plan("llama-3.1-405b", hosts(2, 8))
    assert "weights: 811.7 GB = 756.0 GiB in 16 bit, computed from config.json" in found["arithmetic"]
    assert "one request of 131,072 tokens: 63.00 GiB in the model, 3.94 GiB on such a GPU" in found["arithmetic"]
    assert "126 layers / PP 2 = 63 + 63 per stage" in found["arithmetic"]
    four = plan("llama-3.1-405b", hosts(4, 8))
    assert "126 layers / PP 4 = 31 + 32 + 32 + 31 per stage" in four["arithmetic"]
    assert [stage["layers"] for stage in four["stages"]] == [31, 32, 32, 31]


@pytest.mark.parametrize(
    ("name", "model", "weights_gib"),
    [
        # Meta quantized the MLPs only, without the first and the last layer. 57.75 GiB were logged at TP 8 for the
        # first upload, which had 16 key/value heads
        ("llama-3.1-405b-fp8", {}, 56.75),
        ("llama-3.1-405b-fp8", {"config": config("llama-3.1-405b-fp8", num_key_value_heads=16)}, 57.75),
        ("llama-3.1-405b-fp8-dynamic", {}, 47.8),
        ("llama-3.1-405b", {"quantization": "fp8"}, 47.75),
    ],
)
def test_405b_in_fp8_on_one_host(name: str, model: dict[str, Any], weights_gib: float) -> None:
    found = plan(name, hosts(1, 8), model, max_model_len="auto")
    assert (found["fits"], layout(found)) == (True, (8, 1))
    assert found["weights_gib_per_gpu"] == pytest.approx(weights_gib, rel=0.001)
    assert 90_000 < found["max_model_len"] <= 131072
    assert found["engine_args"]["max_model_len"] == "auto"
    assert "fp8" in found["quantization"]


def test_405b_on_one_host_is_refused_with_what_would_work() -> None:
    found = plan("llama-3.1-405b", hosts(1, 8))
    assert found["fits"] is False
    reason = found["reasons"][0]
    assert "every GPU needs 94.5 GiB for weights" in reason
    assert "has 72.8 GiB" in reason
    assert "16 such GPUs (TP 8 x PP 2)" in reason
    assert "an FP8 variant of the model on 8 GPUs (TP 8 x PP 1)" in reason
    assert "cpu_offload_gb of" in reason


def test_70b_on_a_gh200_offloads() -> None:
    found = plan("llama-3.1-70b", gh200(), cpu_offload_gb="auto")
    assert found["fits"] is True
    assert layout(found) == (1, 1)
    offload = found["cpu_offload_gb"]
    # 131.4 GiB of weights and 40 GiB of cache, in 86.9 GiB
    assert 85 <= offload <= 95
    assert found["engine_args"]["cpu_offload_gb"] == offload
    # pinned memory takes about twice what it holds
    assert 2 * offload <= found["host_memory_needed_gib"] <= 2 * offload + 8
    assert found["stages"][0]["offloaded_gib"] == pytest.approx(offload)
    assert found["kv_cache_tokens"] >= 131072
    # one GiB less is too little
    assert plan("llama-3.1-70b", gh200(), cpu_offload_gb=offload - 1)["fits"] is False
    assert not any("PCIe" in warning for warning in found["warnings"])


def test_70b_on_a_gh200_without_offload_is_refused_with_offload_as_a_remedy() -> None:
    found = plan("llama-3.1-70b", gh200())
    assert found["fits"] is False
    assert "cpu_offload_gb of 89, with 182 GiB of host memory" in found["reasons"][0]


def test_offload_needs_twice_the_memory_on_the_host() -> None:
    small = hosts(1, 1, GH200, host_memory_mib=120 * 1024, memory_total_mib=97871)
    found = plan("llama-3.1-70b", small, cpu_offload_gb="auto")
    assert found["fits"] is False
    assert "needs about 182 GiB of host memory" in found["reasons"][0]
    assert "node-001 has 120 GiB" in found["reasons"][0]
    slow = plan("llama-3.1-70b", hosts(1, 2), cpu_offload_gb="auto")
    assert slow["fits"] is True
    assert any("cross PCIe in every step" in warning for warning in slow["warnings"])


def test_fit_uses_the_fewest_gpus_and_counts_replicas() -> None:
    found = plan("llama-3.1-8b", hosts(2, 8), strategy="fit")
    assert (layout(found), found["gpus_used"], found["replicas"], found["nodes_used"]) == ((1, 1), 1, 16, 1)
    assert found["warnings"] == []
    # 131.4 GiB of weights and 40 of cache: 145.7 GiB on two are too few, 218 GiB on three are enough
    large = plan("llama-3.1-70b", hosts(1, 8), strategy="fit")
    assert (large["fits"], large["gpus_used"], large["replicas"]) == (True, 3, 2)
    assert plan("llama-3.1-70b", hosts(1, 2), strategy="fit")["fits"] is False
    # a shorter context is what two hold
    assert plan("llama-3.1-70b", hosts(1, 2), strategy="fit", max_model_len=8192)["fits"] is True


def test_a_size_that_does_not_divide_the_heads_becomes_stages() -> None:
    # 28 heads: 8 GPUs are four groups' worth of two
    found = plan("qwen2.5-7b", hosts(1, 8))
    assert (found["fits"], layout(found), found["gpus_used"]) == (True, (4, 2), 8)
    assert "28 attention heads / TP 4 = 7 per GPU" in found["arithmetic"]
    refused = plan("qwen2.5-7b", hosts(1, 8), tensor_parallel_size=8)
    assert refused["fits"] is False
    assert refused["reasons"] == [
        "qwen2.5-7b cannot be split over 8 GPUs: 28 attention heads cannot be divided by 8. Tensor parallel sizes that "
        "work, up to 8: 1, 2, 4. Set llmserve_tensor_parallel_size to one of them."
    ]
    assert refused["engine_args"] == {"tensor_parallel_size": 8, "pipeline_parallel_size": 1}


def test_odd_numbers_of_gpus_become_stages() -> None:
    assert layout(plan("llama-3.1-70b", hosts(1, 3))) == (1, 3)
    assert layout(plan("llama-3.1-70b", hosts(1, 6))) == (2, 3)


@pytest.mark.parametrize(
    ("tensor", "pipeline", "expected"),
    [(4, None, (4, 4)), (None, 1, (8, 1)), (None, 4, (4, 4)), (16, None, (16, 1)), (2, 2, (2, 2))],
)
def test_a_fixed_size_leaves_the_rest_to_the_other(
    tensor: int | None, pipeline: int | None, expected: tuple[int, int]
) -> None:
    found = plan("llama-3.1-8b", hosts(2, 8), tensor_parallel_size=tensor, pipeline_parallel_size=pipeline)
    assert layout(found) == expected
    assert found["fits"] is True
    assert found["gpus_used"] == expected[0] * expected[1]


def test_more_stages_than_layers() -> None:
    found = plan("opt-125m", hosts(2, 8), tensor_parallel_size=1, pipeline_parallel_size=13)
    assert found["fits"] is False
    assert found["stages"] == []
    assert "13 pipeline stages need at least as many layers, but opt-125m has 12" in found["reasons"][0]
    assert layout(plan("opt-125m", hosts(2, 8), tensor_parallel_size=1)) == (1, 12)


def test_more_gpus_than_there_are() -> None:
    found = plan("llama-3.1-405b", hosts(2, 8), tensor_parallel_size=8, pipeline_parallel_size=3)
    assert found["reasons"] == [
        "TP 8 x PP 3 needs 24 GPUs, but 2 nodes with 8 GPUs each have 16. TP x PP that fits, at most: 8 x 2, 4 x 4, "
        "2 x 8, 1 x 16. Set llmserve_tensor_parallel_size and llmserve_pipeline_parallel_size, or add nodes."
    ]


def test_stages_fixed_alone_that_no_layout_has() -> None:
    found = plan("llama-3.1-8b", hosts(1, 2), pipeline_parallel_size=3)
    assert found["fits"] is False
    assert "needs 3 GPUs" in found["reasons"][0]


def test_a_group_over_nodes_is_legal_and_warned_about() -> None:
    found = plan("llama-3.1-405b", hosts(2, 8), tensor_parallel_size=16)
    assert (found["fits"], layout(found), found["nodes_used"]) == (True, (16, 1), 2)
    assert "8 key/value heads < TP 16: each is kept on 2 GPUs" in found["arithmetic"]
    assert any("TP 16 spans nodes of 8 GPUs" in warning for warning in found["warnings"])
    assert [node["gpus"] for node in found["nodes"]] == [[0] * 8, [0] * 8]


def test_a_group_that_does_not_divide_a_node_spans_two() -> None:
    found = plan("llama-3.1-8b", hosts(2, 3), tensor_parallel_size=2)
    assert (found["fits"], layout(found), found["nodes_used"], found["replicas"]) == (True, (2, 3), 2, 1)
    assert [node["gpus"] for node in found["nodes"]] == [[0, 0, 1], [1, 2, 2]]
    assert any("one tensor parallel group spans two nodes" in warning for warning in found["warnings"])
    # with a stage less the groups stay inside, and a GPU of each node idles
    inside = plan("llama-3.1-8b", hosts(2, 3), tensor_parallel_size=2, pipeline_parallel_size=2)
    assert [node["gpus"] for node in inside["nodes"]] == [[0, 0, None], [1, 1, None]]
    assert not any("spans two nodes" in warning for warning in inside["warnings"])


def test_experts_in_blocks_of_fp8() -> None:
    # 1536 / 8 = 192 is no multiple of 128
    found = plan("qwen3-235b-a22b-fp8", hosts(1, 8))
    assert (found["fits"], layout(found)) == (True, (4, 2))
    refused = plan("qwen3-235b-a22b-fp8", hosts(1, 8), tensor_parallel_size=8)
    assert refused["fits"] is False
    assert "the experts have 1536 / 8 = 192" in refused["reasons"][0]
    assert "or enable_expert_parallel: true in llmserve_engine_args" in refused["reasons"][0]
    whole = plan("qwen3-235b-a22b-fp8", hosts(1, 8), enable_expert_parallel=True)
    assert (whole["fits"], layout(whole), whole["engine_args"]["enable_expert_parallel"]) == (True, (8, 1), True)
    # 768 / 4 = 192
    assert layout(plan("qwen3-30b-a3b-fp8", hosts(1, 4))) == (2, 2)


def test_marlin_asks_only_of_a_checkpoint_that_says_how_it_is_quantized() -> None:
    # 29696 / 8 = 3712 = 29 x 128; the unpadded 29568 / 8 = 3696 is not
    assert layout(plan("qwen2.5-72b-awq", hosts(1, 8, A100))) == (8, 1)
    unpadded = config("qwen2.5-72b-awq", intermediate_size=29568)
    refused = plan("qwen2.5-72b-awq", hosts(1, 8, A100), {"config": unpadded}, tensor_parallel_size=8)
    assert "Marlin" in refused["reasons"][0]
    # a name given by a person says nothing of the sizes: the checkpoint may be padded
    named = plan("qwen2.5-72b", hosts(1, 8, A100), {"quantization": "int4_g128"}, tensor_parallel_size=8)
    assert named["fits"] is True


@pytest.mark.parametrize(
    ("name", "gpu", "model", "warning"),
    [
        (
            "qwen3-30b-a3b-fp8",
            A100,
            {},
            "FP8 in blocks of 128: GPUs compute it natively from compute capability 8.9 on",
        ),
        ("gpt-oss-120b", H100, {}, "MXFP4 experts: GPUs compute it natively from compute capability 10.0 on"),
        ("opt-125m", "Tesla T4", {}, "Tesla T4 has no bfloat16: set dtype: half"),
        ("llama-3.1-8b", "Tesla T4", {"quantization": "fp8"}, "FP8 needs compute capability 8.0, Tesla T4 has 7.5"),
    ],
)
def test_what_a_gpu_cannot_compute(name: str, gpu: str, model: dict[str, Any], warning: str) -> None:
    found = plan(name, hosts(1, 8, gpu), model)
    assert any(text.startswith(warning) for text in found["warnings"]), found["warnings"]


def test_native_formats_are_not_warned_about() -> None:
    assert plan("qwen3-30b-a3b-fp8", hosts(1, 2))["warnings"] == []
    assert plan("gpt-oss-120b", hosts(1, 1, "NVIDIA B200"))["warnings"] == []


def test_mixed_gpus_count_as_the_smallest() -> None:
    mixed = hosts(1, 4) + hosts(1, 4, "NVIDIA A100-PCIE-40GB")
    found = plan("llama-3.1-8b", mixed)
    assert found["gpu"]["total_gib"] == 39.38
    assert any("every one is planned as the smallest" in warning for warning in found["warnings"])
    like = plan("llama-3.1-8b", hosts(1, 4, "NVIDIA A100-PCIE-40GB") * 2)
    assert found["kv_cache_tokens"] == like["kv_cache_tokens"]


def test_mig_slices_count_their_own_memory() -> None:
    sliced = hosts(1, 1, A100, memory_total_mib=81920, mig_enabled=True, mig_devices=[{"memory_total_mib": 19968}] * 3)
    found = plan("llama-3.1-8b", sliced, max_model_len=8192)
    assert 18 < found["gpu"]["total_gib"] < 19.5
    assert any("MIG" in warning for warning in found["warnings"])
    assert plan("llama-3.1-8b", sliced)["fits"] is False


def test_gpus_that_share_the_memory_of_the_host() -> None:
    found = plan("qwen3-8b", hosts(1, 1, "NVIDIA GB10", host_memory_mib=122 * 1024, memory_is_shared=True))
    assert found["fits"] is True
    assert found["gpu"]["total_gib"] == 122
    unknown = plan("qwen3-8b", hosts(1, 1, "NVIDIA GB10"))
    assert "fits" not in unknown
    assert any("The memory of NVIDIA GB10 is not known" in warning for warning in unknown["warnings"])
    assert unknown["gpu"]["total_gib"] is None


def test_a_small_share_is_the_first_thing_to_mend() -> None:
    found = plan("llama-3.1-8b", hosts(1, 1), gpu_memory_utilization=0.2)
    assert "What would work: gpu_memory_utilization of 0.92; " in found["reasons"][0]
    # where the default does not hold it either, it is no remedy
    assert "utilization of" not in plan("llama-3.1-70b", hosts(1, 1), gpu_memory_utilization=0.2)["reasons"][0]


def test_fp8_with_a_shorter_context_is_named_before_a_format_of_less_quality() -> None:
    found = plan("llama-3.1-70b", hosts(1, 1, "NVIDIA GH200 480GB", memory_total_mib=97871, host_memory_mib=491520))
    reason = found["reasons"][0]
    assert "an FP8 variant of the model on 1 GPU (TP 1 x PP 1) with max_model_len of at most 50176" in reason
    assert reason.index("FP8") < reason.index("4-bit")


def test_memory_that_other_processes_hold() -> None:
    found = plan("llama-3.1-8b", hosts(1, 1, memory_total_mib=81559, memory_used_mib=20000))
    assert found["fits"] is False
    assert "other processes hold 19.5 GiB" in found["reasons"][0]
    # a display's half GiB does not matter
    assert plan("llama-3.1-8b", hosts(1, 1, memory_total_mib=81559, memory_used_mib=300))["fits"] is True
    lowered = plan(
        "llama-3.1-8b", hosts(1, 1, memory_total_mib=81559, memory_used_mib=20000), gpu_memory_utilization=0.7
    )
    assert lowered["fits"] is True


def test_unequal_nodes_use_the_smallest_number_and_say_so() -> None:
    found = plan("llama-3.1-405b", hosts(1, 8) + hosts(1, 4) + hosts(1, 8))
    assert (layout(found), found["gpus_used"]) == ((4, 3), 12)
    assert "4 of each are used" in found["warnings"][0]


def test_hosts_without_gpus() -> None:
    empty = plan("llama-3.1-405b", [*hosts(1, 8), {"name": "bare", "gpus": []}])
    assert empty["reasons"][0].startswith("No GPUs on bare:")
    assert (empty["fits"], empty["gpus_used"], empty["nodes_used"], empty["replicas"]) == (False, 0, 0, 0)
    assert plan("llama-3.1-405b", [])["reasons"][0].startswith("No nodes were given")


@pytest.mark.parametrize(("release", "warned"), [("0.15", False), ("0.16.0", True), ("0.20.2", True), ("0.21", False)])
def test_releases_that_leak_tokens_between_pipelined_requests(release: str, warned: bool) -> None:
    found = plan("llama-3.1-8b", hosts(2, 1), vllm_version=release)
    assert layout(found) == (1, 2)
    assert any("GHSA-v97p-wpxp-px84" in warning for warning in found["warnings"]) is warned
    assert not any("GHSA" in text for text in plan("llama-3.1-8b", hosts(1, 1), vllm_version=release)["warnings"])


def test_a_multimodal_model_is_planned_with_its_encoder_unknown() -> None:
    found = plan("gemma-3-27b", hosts(1, 2))
    assert (found["fits"], found["confidence"]) == (True, "medium")
    assert any("Unknown encoder peak" in warning for warning in found["warnings"])


@pytest.mark.parametrize("name", NAMES)
def test_every_model_gets_a_plan_of_plain_values(name: str) -> None:
    weights = {"weights_bytes": 5_536_000_000} if name == "mamba-2.8b" else {}
    # with the default of 1024 sequences Llama 3.2 Vision asks for 200 GiB to profile its images, and dies of it
    sequences = 16 if "vision" in name else None
    found = plan(name, hosts(4, 8), weights, max_model_len="auto", max_num_seqs=sequences)
    assert found["fits"] is True, found["reasons"]
    assert json.loads(json.dumps(found)) == found
    assert found["confidence"] == ("low" if name == "mamba-2.8b" else found["confidence"])
    assert all(len(node["gpus"]) == 8 for node in found["nodes"])
    used = [stage for node in found["nodes"] for stage in node["gpus"] if stage is not None]
    assert len(used) == found["gpus_used"]


def test_an_architecture_nobody_knows_is_planned_as_a_llama_and_says_so() -> None:
    strange = config("llama-3.1-8b", architectures=["HyperThoughtForCausalLM"], model_type="hyperthought")
    found = _strange(strange)
    assert (found["fits"], found["confidence"], found["weights_source"]) == (True, "low", "config")
    assert "HyperThoughtForCausalLM is not known to the planner" in found["warnings"][0]
    assert "give model.weights_bytes" in found["warnings"][0]
    told = _strange(strange, weights_bytes=24_000_000_000, weights_source="index")
    assert (told["confidence"], told["weights_source"], told["weights_bytes"]) == ("low", "index", 24_000_000_000)
    assert told["weights_gib_per_gpu"] == pytest.approx(24e9 / 2**30, rel=0.01)
    assert told["kv_bytes_per_token"] == found["kv_bytes_per_token"]


def _strange(strange: dict[str, Any], **model: Any) -> dict[str, Any]:
    return plan("llama-3.1-8b", hosts(1, 1), {"config": strange, **model})


def test_a_model_without_heads_is_planned_by_its_size() -> None:
    found = plan("mamba-2.8b", hosts(1, 6), {"weights_bytes": 5_536_000_000, "weights_source": "index"})
    assert (found["fits"], found["confidence"]) == (True, "low")
    # powers of two within a node, as many of them as there is room for
    assert layout(found) == (2, 3)
    assert found["weights_bytes"] == 5_536_000_000
    assert found["weights_gib_per_gpu"] == pytest.approx(5_536_000_000 / 2**30 / 6, rel=0.05)
    assert found["max_model_len"] is None
    assert not {"kv_cache_tokens", "kv_bytes_per_token", "max_concurrency"} & set(found)
    assert any("the KV cache is unknown" in warning for warning in found["warnings"])
    assert not any("heads" in line for line in found["arithmetic"])
    refused = plan("mamba-2.8b", hosts(1, 1, "Tesla T4"), {"weights_bytes": 40_000_000_000})
    assert refused["fits"] is False
    assert "does not fit" in refused["reasons"][0]
    assert "TP 4" in plan("mamba-2.8b", hosts(1, 4), {"weights_bytes": 1}, tensor_parallel_size=4)["arithmetic"][0]
    assert plan("mamba-2.8b", hosts(1, 3), {"weights_bytes": 1}, tensor_parallel_size=3)["fits"] is False
