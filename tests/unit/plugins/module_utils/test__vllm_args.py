# SPDX-License-Identifier: GPL-3.0-or-later
"""Engine arguments to argv, release by release."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.llmserve.vllm.plugins.module_utils._vllm_args import VllmArgsError, build_argv, parse_release
from ansible_collections.llmserve.vllm.plugins.module_utils._vllm_flags_data import (
    FLAGS,
    FLAGS_ADDED_LATER,
    REMOVED_FLAGS,
    SHORT_NAMES,
    SUCCESSORS,
)


@pytest.mark.parametrize(
    ("engine_args", "argv"),
    [
        ({"max_model_len": 32768}, ["--max-model-len", "32768"]),
        ({"max-model-len": "auto"}, ["--max-model-len", "auto"]),
        ({"--max-model-len": -1}, ["--max-model-len", "-1"]),
        ({"gpu_memory_utilization": 0.92}, ["--gpu-memory-utilization", "0.92"]),
        ({"enforce_eager": True, "dtype": None}, ["--enforce-eager"]),
        ({"enable_prefix_caching": False}, ["--no-enable-prefix-caching"]),
        ({"disable_prefix_caching": True}, ["--no-enable-prefix-caching"]),
        ({"no_enable_prefix_caching": True}, ["--no-enable-prefix-caching"]),
        ({"no_enable_prefix_caching": False}, ["--enable-prefix-caching"]),
        ({"disable_custom_all_reduce": False}, ["--no-disable-custom-all-reduce"]),
        ({"disable_log_stats": True}, ["--disable-log-stats"]),
        ({"disable_log_stats": False}, []),
        ({"served_model_name": ["llama", "llama-405b"]}, ["--served-model-name", "llama", "llama-405b"]),
        ({"served_model_name": "llama"}, ["--served-model-name", "llama"]),
        ({"served_model_name": []}, []),
        ({"middleware": ["a.b", "c.d"]}, ["--middleware", "a.b", "--middleware", "c.d"]),
        ({"device_ids": [2, 3]}, ["--device-ids", "2,3"]),
        ({"allowed_origins": ["https://a"]}, ["--allowed-origins", '["https://a"]']),
        ({"limit_mm_per_prompt": {"image": 2}}, ["--limit-mm-per-prompt", '{"image":2}']),
        ({"speculative_config": '{"method": "ngram"}'}, ["--speculative-config", '{"method": "ngram"}']),
        ({"lora_modules": [{"name": "a", "path": "/l"}]}, ["--lora-modules", '{"name":"a","path":"/l"}']),
        ({"compilation_config.cudagraph_mode": "NONE"}, ["--compilation-config.cudagraph_mode", "NONE"]),
        ({"compilation_config.custom_ops": ["a", "b"]}, ["--compilation-config.custom_ops", '["a","b"]']),
        ({"compilation_config.a.b_c": True}, ["--compilation-config.a.b_c", "true"]),
        ({"chat_template": "--odd"}, ["--chat-template=--odd"]),
        ({"tensor_parallel_size": 8, "pipeline_parallel_size": 2},
         ["--tensor-parallel-size", "8", "--pipeline-parallel-size", "2"]),
        ({}, []),
    ],
)  # fmt: skip
@pytest.mark.parametrize("version", ["0.33.0", "v0.32.1"])
def test_argv(engine_args: dict[str, Any], argv: list[str], version: str) -> None:
    result = build_argv(engine_args, version)
    assert result.argv == argv
    assert result.warnings == []


@pytest.mark.parametrize("key", ["swap_space", "swap-space", "disable_log_requests", "use_v2_block_manager", "device"])
def test_removed_flags_are_left_out_with_the_release(key: str) -> None:
    result = build_argv({key: 16, "max_model_len": 8}, "0.33.0")
    assert result.argv == ["--max-model-len", "8"]
    since = ".".join(str(part) for part in REMOVED_FLAGS[key.replace("_", "-")][0])
    assert len(result.warnings) == 1
    assert f"was removed in vLLM {since} and is left out" in result.warnings[0]
    assert "llmserve_engine_args" in result.warnings[0]


def test_a_flag_that_the_old_release_still_has_is_kept() -> None:
    result = build_argv({"swap_space": 16}, "0.17.1")
    assert result.argv == ["--swap-space", "16"]
    assert len(result.warnings) == 1
    assert "The flags of vLLM 0.17.1 are not known" in result.warnings[0]


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("max_modle_len", 1, "no flag --max-modle-len .* Did you mean max_model_len"),
        ("tp", 8, "Write it in full: tensor_parallel_size"),
        ("task", "embed", "Use runner: pooling"),
        ("qqqqqq", 1, "see 'vllm serve --help=all'"),
        ("api_key", "s3cret", "Use llmserve_api_key"),
        ("api-key", ["s3cret"], "Use llmserve_api_key"),
        ("hf_token", "s3cret", "Use llmserve_hf_token"),
        ("model", "a/b", "Use llmserve_model"),
        ("enforce_eager", "yes", "takes true or false, not 'yes'"),
        ("disable_log_stats", 1, "takes true or false"),
        ("max_model_len", True, "needs a value, not true"),
        ("max_model_len", [1, 2], "takes one value, not a list"),
        ("max_model_len", {"a": 1}, "takes one value, not a dict"),
        ("served_model_name", ["-x"], "which vLLM would take for a flag"),
    ],
)
def test_errors_name_the_variable(key: str, value: Any, message: str) -> None:
    with pytest.raises(VllmArgsError, match=message) as caught:
        build_argv({key: value}, "0.33.0")
    assert "llmserve_engine_args" in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_secrets_are_refused_for_every_version() -> None:
    with pytest.raises(VllmArgsError, match="llmserve_api_key"):
        build_argv({"api_key": "x"}, "0.9.2")


def test_a_flag_of_a_newer_release() -> None:
    assert build_argv({"monokernel": True}, "0.33.0").argv == ["--monokernel"]
    with pytest.raises(VllmArgsError, match=r"vLLM 0\.32\.0 does not have the flag --monokernel .* yet"):
        build_argv({"monokernel": True}, "0.32.0")


def test_the_same_flag_twice() -> None:
    with pytest.raises(VllmArgsError, match=r"'max_model_len' and 'max-model-len' in .* set the same flag"):
        build_argv({"max_model_len": 1, "max-model-len": 2}, "0.33.0")


@pytest.mark.parametrize("version", ["0.34.0", "nightly", None, ""])
def test_unknown_releases_are_only_checked_for_removed_flags(version: str | None) -> None:
    result = build_argv({"brand_new": True, "other_new": False, "many_new": [1, 2], "swap_space": 4}, version)
    assert result.argv == ["--brand-new", "--no-other-new", "--many-new", "1", "2"]
    assert "--swap-space was removed in vLLM 0.18" in result.warnings[0]
    assert "are not known to this collection (known: 0.32, 0.33)" in result.warnings[1]
    assert build_argv({}, version).warnings == []


@pytest.mark.parametrize(
    ("text", "release"),
    [("0.33.0", (0, 33)), ("v0.32.0-cu129", (0, 32)), ("1.2", (1, 2)), ("nightly", None), ("", None), (None, None)],
)
def test_parse_release(text: str | None, release: tuple[int, int] | None) -> None:
    assert parse_release(text) == release


def test_the_data_is_consistent() -> None:
    assert len(FLAGS) > 300
    assert not set(REMOVED_FLAGS) & set(FLAGS)
    assert not set(SUCCESSORS) & set(FLAGS)
    assert set(SHORT_NAMES.values()) <= set(FLAGS)
    for later in FLAGS_ADDED_LATER.values():
        assert later <= set(FLAGS)
