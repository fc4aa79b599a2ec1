# SPDX-License-Identifier: GPL-3.0-or-later
"""Combinations that are known to be bad: each one met, and narrowly missed."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.llmserve.vllm.plugins.module_utils._vllm_args import VllmArgsError, build_argv
from ansible_collections.llmserve.vllm.plugins.module_utils._vllm_bad import known_bad, span
from ansible_collections.llmserve.vllm.plugins.module_utils._vllm_bad_data import KNOWN_BAD, KnownBad
from ansible_collections.llmserve.vllm.plugins.module_utils._vllm_flags import flags_of, known_releases, parse_release

TESTS = {"set", "unset", "not_true", "not_false", "is", "in", "over", "below", "not_divisible_by"}

# slug: a release that it is about, arguments that meet it, and the same with one thing changed
CASES: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "async_pipeline_leak": (
        "0.20.2", {"pipeline_parallel_size": 2}, {"pipeline_parallel_size": 2, "async_scheduling": False},
    ),
    "sync_pipeline_speculative": (
        "0.33.0",
        {"pipeline_parallel_size": 2, "speculative_config": {"method": "ngram"}, "async_scheduling": False},
        {"pipeline_parallel_size": 2, "speculative_config": {"method": "ngram"}},
    ),
    "pipeline_mtp": (
        "0.33.0",
        {"pipeline_parallel_size": 2, "speculative_config": '{"method": "mtp"}'},
        {"pipeline_parallel_size": 2, "speculative_config": {"method": "ngram"}},
    ),
    "ray_v2_hang": ("0.24.0", {"distributed_executor_backend": "ray"}, {"distributed_executor_backend": "mp"}),
    "cpu_offload_ignored": ("0.28.0", {"cpu_offload_gb": 20}, {"cpu_offload_gb": 0}),
    "qwen3_coder_eval": ("0.10.1", {"tool_call_parser": "qwen3_coder"}, {"tool_call_parser": "hermes"}),
    "prompt_embeds_memory": ("0.11.0", {"enable_prompt_embeds": True}, {"enable_prompt_embeds": False}),
    "mooncake_pickle": (
        "0.8.4",
        {"kv_transfer_config": {"kv_connector": "MooncakeConnector"}},
        {"kv_transfer_config": {"kv_connector": "LMCacheConnector"}},
    ),
    "pynccl_pickle": (
        "0.6.5",
        {"kv_transfer_config.kv_connector": "PyNcclConnector"},
        {"kv_transfer_config.kv_connector": "LMCacheConnector"},
    ),
    "xpub_all_interfaces": (
        "0.8.4",
        {"distributed_executor_backend": "ray", "tensor_parallel_size": 16},
        {"distributed_executor_backend": "ray", "tensor_parallel_size": 1},
    ),
    "gguf_overflow": ("0.23.0", {"quantization": "gguf"}, {"quantization": "fp8"}),
    "remote_code_tokenize": ("0.30.0", {"trust_remote_code": True}, {"trust_remote_code": False}),
    "async_pipeline_refused": (
        "0.15.1",
        {"pipeline_parallel_size": 2, "async_scheduling": True},
        {"pipeline_parallel_size": 1, "async_scheduling": True},
    ),
    "async_ray_refused": (
        "0.14.1",
        {"distributed_executor_backend": "ray", "async_scheduling": True},
        {"distributed_executor_backend": "mp", "async_scheduling": True},
    ),
    "ray_nnodes": (
        "0.33.0",
        {"nnodes": 2, "distributed_executor_backend": "ray"},
        {"nnodes": 2, "distributed_executor_backend": "mp"},
    ),
    "headless_api_servers": ("0.33.0", {"headless": True, "api_server_count": 2}, {"api_server_count": 2}),
    "eplb_without_experts": (
        "0.33.0", {"enable_eplb": True}, {"enable_eplb": True, "enable_expert_parallel": True},
    ),
    "elastic_pipeline": (
        "0.33.0", {"enable_elastic_ep": True, "pipeline_parallel_size": 2}, {"pipeline_parallel_size": 2},
    ),
    "context_parallel_size": (
        "0.33.0",
        {"tensor_parallel_size": 8, "decode_context_parallel_size": 3},
        {"tensor_parallel_size": 8, "decode_context_parallel_size": 4},
    ),
    "numa_without_bind": ("0.33.0", {"numa_bind_nodes": [0]}, {"numa_bind_nodes": [0], "numa_bind": True}),
    "batch_below_seqs": (
        "0.33.0",
        {"max_num_batched_tokens": 128, "max_num_seqs": 256},
        {"max_num_batched_tokens": 256, "max_num_seqs": 256},
    ),
    "batch_below_length": (
        "0.33.0",
        {"max_num_batched_tokens": "8k", "max_model_len": 9000, "enable_chunked_prefill": False},
        {"max_num_batched_tokens": "8K", "max_model_len": 8192, "enable_chunked_prefill": False},
    ),
    "tools_without_parser": (
        "0.33.0", {"enable_auto_tool_choice": True}, {"enable_auto_tool_choice": True, "tool_call_parser": "hermes"},
    ),
    "outputs_without_requests": (
        "0.33.0", {"enable_log_outputs": True}, {"enable_log_outputs": True, "enable_log_requests": True},
    ),
    "metrics_without_stats": (
        "0.33.0", {"enable_per_request_metrics": True, "disable_log_stats": True}, {"enable_per_request_metrics": True},
    ),
    "two_grpc": ("0.33.0", {"grpc": True, "grpc_port": 9000}, {"grpc_port": 9000}),
    "capture_sizes_twice": (
        "0.33.0",
        {"cudagraph_capture_sizes": [1], "compilation_config": {"cudagraph_capture_sizes": [2]}},
        {"cudagraph_capture_sizes": [1], "compilation_config": {"mode": 3}},
    ),
}  # fmt: skip


def said(engine_args: dict[str, Any], version: str) -> str:
    """Refusals and warnings as one text."""
    try:
        return "\n".join(build_argv(engine_args, version).warnings)
    except VllmArgsError as exc:
        return str(exc)


def refused(engine_args: dict[str, Any], version: str) -> bool:
    try:
        build_argv(engine_args, version)
    except VllmArgsError:
        return True
    return False


def outside(entry: KnownBad) -> list[str]:
    """The releases right before and right after an entry."""
    releases = known_releases()
    around = [releases[releases.index(entry.since) - 1]] if entry.since != releases[0] else []
    return [*around, entry.fixed] if entry.fixed else around


@pytest.mark.parametrize("entry", KNOWN_BAD, ids=lambda entry: entry.slug)
def test_each_combination(entry: KnownBad) -> None:
    version, bad, good = CASES[entry.slug]
    text = said(bad, version)
    assert entry.text in text and entry.source in text and span(entry) in text
    assert refused(bad, version) is (entry.action == "refuse")
    assert entry.text not in said(good, version)
    for other in outside(entry):
        assert entry.text not in said(bad, other)


@pytest.mark.parametrize("entry", KNOWN_BAD, ids=lambda entry: entry.slug)
def test_the_entries_are_sound(entry: KnownBad) -> None:
    assert entry.action in ("refuse", "warn", "add")
    assert bool(entry.add) == (entry.action == "add")
    assert entry.since in known_releases() and entry.fixed in ("", *known_releases())
    assert entry.source.startswith("https://") and entry.text.endswith(".")
    flags = flags_of(parse_release(CASES[entry.slug][0]))
    for condition in entry.when:
        assert condition.test in TESTS
        assert condition.option.partition(".")[0] in flags, "no release that it is about has the flag"


def test_every_entry_has_a_case_and_a_name_of_its_own() -> None:
    assert sorted(CASES) == sorted(entry.slug for entry in KNOWN_BAD)
    assert len(KNOWN_BAD) >= 12


@pytest.mark.parametrize("version", ["0.16.0", "0.17.1", "0.18.0", "0.19.1", "v0.20.2-cu129"])
def test_the_workaround_for_the_leak(version: str) -> None:
    result = build_argv({"tensor_parallel_size": 8, "pipeline_parallel_size": "2"}, version)
    assert result.argv[-1] == "--no-async-scheduling"
    assert result.warnings[0].startswith("Added async_scheduling: false. Pipeline parallelism with asynchronous")
    assert "GHSA-v97p-wpxp-px84" in result.warnings[0]
    with pytest.raises(VllmArgsError, match="GHSA-v97p-wpxp-px84"):
        build_argv({"pipeline_parallel_size": 2, "async_scheduling": True}, version)
    quiet = {"pipeline_parallel_size": 2, "no_async_scheduling": True}
    assert build_argv(quiet, version) == (["--pipeline-parallel-size", "2", "--no-async-scheduling"], [])


@pytest.mark.parametrize("version", ["0.15.1", "0.21.0", "0.33.0", "0.34.0"])
def test_no_workaround_without_the_leak(version: str) -> None:
    assert "--no-async-scheduling" not in build_argv({"pipeline_parallel_size": 2}, version).argv


def test_nothing_is_said_of_a_release_that_is_not_known() -> None:
    assert known_bad({"pipeline-parallel-size": 2}, None) == ([], [], {})


def test_several_at_once() -> None:
    text = said({"enable_eplb": True, "numa_bind_nodes": [1], "nodes": 2, "dtype": "x"}, "0.33.0")
    assert text.startswith("4 problems:\n- ")
