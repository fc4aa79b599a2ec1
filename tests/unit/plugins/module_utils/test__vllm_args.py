# SPDX-License-Identifier: GPL-3.0-or-later
"""Engine arguments to argv, release by release."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.llmserve.vllm.plugins.module_utils._vllm_args import VllmArgsError, build_argv
from ansible_collections.llmserve.vllm.plugins.module_utils._vllm_flags import Flag, flags_of, life
from ansible_collections.llmserve.vllm.plugins.module_utils._vllm_moves import KEYS, MOVES


@pytest.mark.parametrize(
    ("engine_args", "argv"),
    [
        ({"max_model_len": 32768}, ["--max-model-len", "32768"]),
        ({"max-model-len": "auto"}, ["--max-model-len", "auto"]),
        ({"max_model_len": "25.6k"}, ["--max-model-len", "25.6k"]),
        ({"--max-model-len": -1}, ["--max-model-len", "-1"]),
        ({"gpu_memory_utilization": 0.92}, ["--gpu-memory-utilization", "0.92"]),
        ({"gpu_memory_utilization": "0.92"}, ["--gpu-memory-utilization", "0.92"]),
        # vLLM would take a word with a dash and a dot for a dotted option
        ({"cpu_offload_gb": -0.5}, ["--cpu-offload-gb=-0.5"]),
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
        ({"kv_transfer_config": '{"a": 80m, "b": "8k"}'}, ["--kv-transfer-config", '{"a": 80m, "b": "8k"}']),
        ({"lora_modules": [{"name": "a", "path": "/l"}]}, ["--lora-modules", '{"name":"a","path":"/l"}']),
        ({"compilation_config.cudagraph_mode": "NONE"}, ["--compilation-config.cudagraph_mode", "NONE"]),
        ({"compilation_config.custom_ops": ["a", "b"]}, ["--compilation-config.custom_ops", '["a","b"]']),
        ({"compilation_config.a.b_c": True}, ["--compilation-config.a.b_c", "true"]),
        # beside the whole value, vLLM would lose what the dots said
        ({"compilation_config": {"a": {"b": 1}}, "compilation_config.a.c": 2},
         ["--compilation-config", '{"a":{"b":1,"c":2}}']),
        ({"compilation_config.a": [1], "compilation_config": '{"mode": 3}'},
         ["--compilation-config", '{"mode":3,"a":[1]}']),
        ({"chat_template": "--odd"}, ["--chat-template=--odd"]),
        ({"device_memory_utilization": 0.9}, ["--device-memory-utilization", "0.9"]),
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


@pytest.mark.parametrize(
    ("version", "engine_args", "argv"),
    [
        # the same argument, as each release wants it
        ("0.6.2", {"limit_mm_per_prompt": {"image": 2, "video": 1}}, ["--limit-mm-per-prompt", "image=2,video=1"]),
        ("0.8.5", {"limit_mm_per_prompt": {"image": 2}}, ["--limit-mm-per-prompt", '{"image":2}']),
        ("0.8.4", {"enable_chunked_prefill": False}, ["--enable-chunked-prefill=false"]),
        ("0.8.4", {"enable_chunked_prefill": True}, ["--enable-chunked-prefill"]),
        ("0.8.5", {"enable_chunked_prefill": False}, ["--no-enable-chunked-prefill"]),
        ("0.8.5", {"enforce_eager": False}, []),
        ("0.9.0", {"enforce_eager": False}, ["--no-enforce-eager"]),
        ("0.8.5", {"ignore_patterns": ["a", "b"]}, ["--ignore-patterns", "a", "--ignore-patterns", "b"]),
        ("0.9.0", {"ignore_patterns": ["a", "b"]}, ["--ignore-patterns", "a", "b"]),
        ("0.17.1", {"swap_space": 16}, ["--swap-space", "16"]),
        # no dots before 0.9.0
        ("0.8.5", {"compilation_config.level": 3, "dtype": "auto", "compilation_config.use_inductor": False},
         ["--dtype", "auto", "--compilation-config", '{"level":3,"use_inductor":false}']),
        ("0.9.0", {"compilation_config.level": 3}, ["--compilation-config.level", "3"]),
    ],
)  # fmt: skip
def test_each_release_gets_what_it_understands(version: str, engine_args: dict[str, Any], argv: list[str]) -> None:
    assert build_argv(engine_args, version) == (argv, [])


@pytest.mark.parametrize("key", ["swap_space", "swap-space", "use_v2_block_manager", "device", "num_scheduler_steps"])
def test_removed_flags_are_left_out_with_the_release(key: str) -> None:
    result = build_argv({key: 16, "max_model_len": 8}, "0.33.0")
    assert result.argv == ["--max-model-len", "8"]
    span = life(key.replace("_", "-"))
    assert span is not None
    assert len(result.warnings) == 1
    assert f"was removed in vLLM {span.gone} and is left out: " in result.warnings[0]
    assert "llmserve_engine_args" in result.warnings[0]


@pytest.mark.parametrize(
    ("version", "engine_args", "argv", "warning"),
    [
        ("0.33.0", {"guided_decoding_backend": "xgrammar"}, ["--structured-outputs-config.backend", "xgrammar"],
         "--guided-decoding-backend was removed in vLLM 0.11.0; its value goes to --structured-outputs-config.backend. "
         "Write structured_outputs_config.backend in the inventory variable llmserve_engine_args."),
        ("0.33.0", {"override_pooler_config": {"pooling_type": "MEAN"}},
         ["--pooler-config", '{"pooling_type":"MEAN"}'], "removed in vLLM 0.12.0; its value goes to --pooler-config"),
        ("0.12.0", {"num_redundant_experts": 2}, ["--eplb-config.num_redundant_experts", "2"], "goes to --eplb-config"),
        # the newer name for an older release
        ("0.10.2", {"structured_outputs_config.backend": "xgrammar"}, ["--guided-decoding-backend", "xgrammar"],
         "vLLM 0.10.2 has --structured-outputs-config.backend under its older name --guided-decoding-backend"),
        # two renames and a key that is gone
        ("0.33.0", {"guided_decoding_disable_fallback": True}, [], "The key disable_fallback of "),
        ("0.16.0", {"guided_decoding_disable_fallback": True}, ["--structured-outputs-config.disable_fallback", "true"],
         "its value goes to"),
        # switches that are values now
        ("0.33.0", {"disable_mm_preprocessor_cache": True}, ["--mm-processor-cache-gb", "0"],
         "--disable-mm-preprocessor-cache was removed in vLLM 0.13.0; mm_processor_cache_gb: 0 stands for it"),
        ("0.33.0", {"disable_mm_preprocessor_cache": False}, [], "is left out"),
        ("0.33.0", {"disable_log_requests": True}, [], "unless enable_log_requests is true"),
        ("0.33.0", {"disable_log_requests": False}, ["--enable-log-requests"], "enable_log_requests: true stands for"),
        ("0.33.0", {"compilation_config.level": 3}, ["--compilation-config.mode", "3"], "its value goes to mode"),
        ("0.33.0", {"compilation_config": {"level": 3, "backend": "eager"}},
         ["--compilation-config", '{"mode":3,"backend":"eager"}'], "key level of --compilation-config was removed in"),
        ("0.33.0", {"speculative_config": {"method": "ngram", "disable_by_batch_size": 4}},
         ["--speculative-config", '{"method":"ngram"}'], "key disable_by_batch_size of --speculative-config"),
        # what vLLM announces
        ("0.16.0", {"disable_log_requests": True}, ["--disable-log-requests"],
         "--disable-log-requests is deprecated since vLLM 0.10.1 and is gone in 0.17.0"),
        ("0.33.0", {"log_config_file": "/a"}, ["--log-config-file", "/a"], "is deprecated since vLLM 0.31.0."),
    ],
)  # fmt: skip
def test_renamed_and_replaced(version: str, engine_args: dict[str, Any], argv: list[str], warning: str) -> None:
    result = build_argv(engine_args, version)
    assert result.argv == argv
    assert any(warning in text for text in result.warnings)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("max_modle_len", 1, "no flag --max-modle-len .* Did you mean max_model_len"),
        ("tp", 8, "Write it in full: tensor_parallel_size"),
        ("task", "embed", r"removed in vLLM 0\.13\.0.*something else: use runner: pooling"),
        ("speculative_model", "m", "something else: use speculative_config"),
        ("cuda_graph_sizes", [1, 2], "use max_cudagraph_capture_size for the one"),
        ("calculate_kv_scales", True, "choose a checkpoint with scales"),
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
        ("max_model_len", "lots", "a whole number such as 16384 or 16k or auto, not 'lots'"),
        ("max_num_seqs", "16k", "takes a whole number, not '16k'"),
        ("max_num_seqs", 2.5, "takes a whole number, not 2.5"),
        ("gpu_memory_utilization", "90%", "takes a number, not '90%'"),
        ("dtype", "bf16", "does not take 'bf16'. Did you mean .*bfloat16.* It takes auto, half"),
        ("speculative_config", "{'method': 'ngram'}", "is no JSON .* with double quotes"),
        ("max_model_len.x", 1, "--max-model-len has no keys"),
        ("served_model_name", ["-x"], "which vLLM would take for a flag"),
    ],
)
def test_errors_name_the_variable(key: str, value: Any, message: str) -> None:
    with pytest.raises(VllmArgsError, match=message) as caught:
        build_argv({key: value}, "0.33.0")
    assert "llmserve_engine_args" in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_all_problems_at_once() -> None:
    wrong = {"max_modle_len": 1, "api_key": "s3cret", "dtype": "int3", "task": "embed", "swap_space": 1, "seed": 1}
    with pytest.raises(VllmArgsError) as caught:
        build_argv(wrong, "0.33.0")
    lines = str(caught.value).splitlines()
    assert lines[0] == "4 problems:"
    assert [any(word in line for line in lines[1:]) for word in ("modle", "api_key", "int3", "--task", "swap")] == [
        True, True, True, True, False,
    ]  # fmt: skip


def test_secrets_are_refused_for_every_version() -> None:
    for version in ("0.9.2", "0.34.0", None):
        with pytest.raises(VllmArgsError, match="llmserve_api_key"):
            build_argv({"api_key": "x"}, version)


def test_a_flag_of_a_newer_release() -> None:
    assert build_argv({"monokernel": True}, "0.33.0").argv == ["--monokernel"]
    with pytest.raises(VllmArgsError, match=r"0\.32\.0 does not have the flag --monokernel .* yet, 0\.33\.0 is the fi"):
        build_argv({"monokernel": True}, "0.32.0")
    with pytest.raises(VllmArgsError, match=r"a whole number such as 16384 or 16k, not 'auto'"):
        build_argv({"max_model_len": "auto"}, "0.13.0")
    with pytest.raises(VllmArgsError, match=r"takes a whole number, not '16k'"):
        build_argv({"max_model_len": "16k"}, "0.8.3")
    with pytest.raises(VllmArgsError, match=r"does not take 'nvfp4'"):
        build_argv({"kv_cache_dtype": "nvfp4"}, "0.19.1")


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("max_model_len", "max-model-len"),
        ("gpu_memory_utilization", "device_memory_utilization"),
        ("enable_prefix_caching", "no_enable_prefix_caching"),
        ("guided_decoding_backend", "structured_outputs_config.backend"),
    ],
)
def test_the_same_flag_twice(first: str, second: str) -> None:
    value: Any = {"enable_prefix_caching": True, "guided_decoding_backend": "auto"}.get(first, 1)
    with pytest.raises(VllmArgsError, match=rf"'{first}' and '{second}' in .* set the same flag"):
        build_argv({first: value, second: value}, "0.33.0")


def test_a_dotted_option_beside_a_word() -> None:
    with pytest.raises(VllmArgsError, match=r"'hf_overrides' and 'hf_overrides.a' in .* set the same flag"):
        build_argv({"hf_overrides.a": 1, "hf_overrides": "module.function"}, "0.33.0")


@pytest.mark.parametrize("version", ["0.34.0", "nightly", None, "", "0.4.3"])
def test_unknown_releases_are_only_checked_for_removed_flags(version: str | None) -> None:
    engine_args = {"brand_new": True, "other_new": False, "many_new": [1, 2], "enforce_eager": True}
    result = build_argv(engine_args, version)
    assert result.argv == ["--brand-new", "--no-other-new", "--many-new", "1", "2", "--enforce-eager"]
    assert "are not known to this collection (known: 0.5.0 to 0.33.0)" in result.warnings[-1]
    assert build_argv({}, version).warnings == []


@pytest.mark.parametrize("version", ["0.34.0", "nightly", None, ""])
def test_removed_flags_of_unknown_releases(version: str | None) -> None:
    result = build_argv({"swap_space": 4, "dtype": "auto"}, version)
    assert result.argv == ["--dtype", "auto"]
    assert "--swap-space was removed in vLLM 0.18.0" in result.warnings[0]


def test_a_change_of_meaning_needs_a_release() -> None:
    result = build_argv({"task": "embed"}, "sha256")
    assert result.argv == ["--task", "embed"]
    assert "if this image is newer, it ends with 'unrecognized arguments'" in result.warnings[0]
    with pytest.raises(VllmArgsError, match="something else"):
        build_argv({"task": "embed"}, "0.34.0")


# --- what the target itself says ---------------------------------------------------------------------------------


def accepted(without: tuple[str, ...] = (), **more: Flag) -> dict[str, Flag]:
    flags = {name: flag for name, flag in flags_of((0, 33, 0)).items() if name not in without}
    return {**flags, **{name.replace("_", "-"): flag for name, flag in more.items()}}


def test_the_target_wins_over_the_data() -> None:
    assert build_argv({"vendor_flag": 3}, "0.33.0", accepted(vendor_flag=Flag("vendor-flag", "str"))).argv == [
        "--vendor-flag", "3",
    ]  # fmt: skip
    with pytest.raises(VllmArgsError, match=r"own `vllm serve --help=all` does not name --monokernel"):
        build_argv({"monokernel": True}, "0.33.0", accepted(without=("monokernel",)))
    # a flag that the data calls gone
    assert build_argv({"swap_space": 4}, "0.33.0", accepted(swap_space=Flag("swap-space", "str"))).argv == [
        "--swap-space", "4",
    ]  # fmt: skip
    with pytest.raises(VllmArgsError, match="does not take 'fp8'"):
        build_argv({"dtype": "fp8"}, "0.33.0", accepted(dtype=Flag("dtype", "choice", ("auto", "half"))))


@pytest.mark.parametrize("version", [None, "nightly", "0.40.0"])
def test_a_target_of_an_unknown_release_is_checked_when_it_was_asked(version: str | None) -> None:
    assert build_argv({"seed": 1}, version, accepted()) == (["--seed", "1"], [])
    with pytest.raises(VllmArgsError, match="Did you mean max_model_len"):
        build_argv({"max_modle_len": 1}, version, accepted())
    assert "was removed in vLLM 0.18.0" in build_argv({"swap_space": 1}, version, accepted()).warnings[0]


def test_the_moves_are_consistent() -> None:
    newest = flags_of((0, 33, 0))
    for old, move in MOVES.items():
        span = life(old)
        assert span is not None and span.gone, f"{old} is not gone"
        assert move.action in ("rename", "set", "drop", "refuse")
        assert bool(move.to) == (move.action == "rename")
        assert bool(move.values) == (move.action == "set")
        assert move.advice or move.action == "rename"
        for target in [move.to.partition(".")[0], *(name for each in move.values.values() for name in each)]:
            assert not target or target in newest or target in MOVES
    for (flag, _key), (gone, to, since) in KEYS.items():
        assert newest[flag].kind == "json"
        assert gone and bool(to) == bool(since)
