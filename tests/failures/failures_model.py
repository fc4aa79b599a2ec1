# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Failures by what vLLM is told: its arguments, and the files of the model."""

from __future__ import annotations

from ansible_collections.llmserve.vllm.tests.failures.fault import (
    HOME,
    ODD_HEADS,
    PREFLIGHT,
    START,
    Failure,
    engine_arguments,
    model,
    past_the_role,
)

_SHARD = "$(ls model-00001-of-*.safetensors)"
# What vLLM fetches by itself, which the role does not let it do.
_ONLINE = {"HF_HUB_OFFLINE": "0", "HF_ENDPOINT": "http://hub.sandbox:8080"}


def _from_the_hub(**environment: str) -> dict[str, object]:
    return {
        "vllm_serve_model_path": "sandbox/tiny-llama-instruct",
        "vllm_serve_env": {**_ONLINE, **environment},
    }


ARGUMENTS = (
    Failure(
        "unknown_flag",
        "`llmserve_engine_args: {max_modle_len: 1024}`",
        ("--max-modle-len", "did you mean max_model_len"),
        variables=engine_arguments(max_modle_len=1024),
        since=START,
    ),
    Failure(
        "unknown_flag_past_the_role",
        "vLLM itself is given `--tensor-paralel-size 1`",
        ("--tensor-paralel-size",),
        "unknown_flag",
        variables=past_the_role("--tensor-paralel-size 1"),
    ),
    Failure(
        "removed_flag_past_the_role",
        "vLLM itself is given `--swap-space 16`, which releases before 0.18 took (the role leaves it out)",
        ("--swap-space",),
        "unknown_flag/removed",
        variables=past_the_role("--swap-space 16"),
    ),
    Failure(
        "json_value",
        "`llmserve_engine_args: {compilation_config: '{\"level\": '}`",
        ("compilation_config", "no JSON"),
        variables=engine_arguments(compilation_config='{"level": '),
        since=START,
    ),
    Failure(
        "json_value_past_the_role",
        "vLLM itself is given `--limit-mm-per-prompt image=2`",
        ("limit-mm-per-prompt",),
        "invalid_flag_value/json",
        variables=past_the_role("--limit-mm-per-prompt image=2"),
    ),
    Failure(
        "wrong_dtype",
        "`llmserve_engine_args: {dtype: fp7}`",
        ("dtype", "fp7", "bfloat16"),
        variables=engine_arguments(dtype="fp7"),
        since=START,
    ),
    Failure(
        "unknown_quantization",
        "`llmserve_engine_args: {quantization: int3}`",
        ("int3", "quantization"),
        "invalid_flag_value",
        variables=engine_arguments(quantization="int3"),
    ),
    Failure(
        "max_model_len",
        "`max_model_len: 999999` for a model of 4096 positions",
        ("999999", "4096"),
        "max_model_len_gt_model",
        variables=engine_arguments(max_model_len=999999),
    ),
    Failure(
        "chat_template",
        "`chat_template: /templates/none.jinja`, which is not in the container",
        ("/templates/none.jinja",),
        "chat_template_missing",
        variables=engine_arguments(chat_template="/templates/none.jinja"),
    ),
    Failure(
        "tool_parser",
        "`tool_call_parser: llama9`",
        ("llama9",),
        "tool_parser_unknown",
        variables=engine_arguments(enable_auto_tool_choice=True, tool_call_parser="llama9"),
    ),
    Failure(
        "heads_not_divisible",
        "tensor parallel 4 for a model of 6 attention heads",
        ("(6)", "(4)"),
        "tp_heads_not_divisible",
        **model("odd-heads", "true", ODD_HEADS, vllm_serve_plan={"engine_args": {"tensor_parallel_size": 4}}),
    ),
    Failure(
        "tensor_parallel_beyond_the_gpus",
        "`llmserve_tensor_parallel_size: 8` on nodes with one GPU",
        ("8", "GPU"),
        way=PREFLIGHT,
        variables={"llmserve_tensor_parallel_size": 8},
        since=START,
    ),
    Failure(
        "more_stages_than_layers",
        "`llmserve_pipeline_parallel_size: 16` for a model of 8 layers, on two GPUs",
        ("16", "pipeline"),
        way=PREFLIGHT,
        variables={"llmserve_pipeline_parallel_size": 16, "llmserve_tensor_parallel_size": 1},
        since=START,
    ),
    Failure(
        "kv_cache_too_small",
        "a context of 131072 tokens, which needs 512 MiB of KV cache, where there are 64",
        ("131072", "KV cache"),
        "max_model_len_exceeds_kv_cache",
        **model(
            "long",
            'sed -i \'s/"max_position_embeddings": 4096/"max_position_embeddings": 131072/\' config.json',
            **engine_arguments(max_model_len=131072),
        ),
    ),
)

FILES = (
    Failure(
        "model_path_missing",
        "the model's directory is not there",
        ("/faults/nowhere",),
        "model_path_missing",
        variables={"vllm_serve_model_path": f"{HOME}/faults/nowhere"},
    ),
    Failure(
        "config_missing",
        "config.json is missing",
        ("/faults/no-config", "config.json"),
        "model_path_missing",
        **model("no-config", "rm config.json"),
    ),
    Failure(
        "config_corrupt",
        "config.json ends in the middle",
        ("config.json",),
        "config_invalid",
        **model("half-config", "truncate -s 200 config.json"),
    ),
    Failure(
        "unknown_architecture",
        "config.json names an architecture that vLLM does not have",
        ("NoSuchForCausalLM",),
        "model_arch_unsupported",
        **model("architecture", "sed -i s/LlamaForCausalLM/NoSuchForCausalLM/ config.json"),
    ),
    Failure(
        "shard_missing",
        "a shard is missing that the index names",
        (".safetensors",),
        "weights_missing",
        **model("no-shard", f"rm {_SHARD}"),
    ),
    Failure(
        "shard_corrupt",
        "the first KiB of a shard was overwritten",
        ("damaged",),
        "weights_corrupt",
        **model("damaged", f"head -c 1024 /dev/zero | tr '\\0' x | dd of={_SHARD} conv=notrunc status=none"),
    ),
    Failure(
        "shard_truncated",
        "a shard lacks its last 1000 bytes",
        ("shorter than its header",),
        "weights_corrupt/truncated",
        **model("short", f"truncate -s -1000 {_SHARD}"),
    ),
    Failure(
        "shard_header_truncated",
        "of a shard only 100 bytes are left, less than its header",
        ("damaged",),
        "weights_corrupt",
        **model("header", f"truncate -s 100 {_SHARD}"),
    ),
    Failure(
        "tokenizer_missing",
        "the tokenizer's files are missing",
        ("tokenizer",),
        "tokenizer_missing",
        **model("no-tokenizer", "rm tokenizer*"),
    ),
    Failure(
        "model_unreadable",
        "the model's files belong to another user, and the container may not read everything",
        ("permission",),
        "permission_denied",
        **model(
            "private",
            "chown -R 4711:4711 . && chmod 755 . && chmod 600 *.json *.safetensors",
            __vllm_serve_capabilities=[],
        ),
    ),
)

HUB = (
    Failure(
        "gated_without_token",
        "a gated model without `llmserve_hf_token`",
        ("gated", "llmserve_hf_token"),
        way=PREFLIGHT,
        variables={"llmserve_hf_token": ""},
        since=START,
    ),
    Failure(
        "token_refused",
        "a token that the Hub does not know",
        ("token", "refuses"),
        way=PREFLIGHT,
        variables={"llmserve_hf_token": "hf_nobody"},
        since=START,
    ),
    Failure(
        "licence_not_accepted",
        "the token of an account that has not accepted the licence",
        ("licence",),
        way=PREFLIGHT,
        variables={"llmserve_hf_token": "hf_sandbox_stranger"},
        since=START,
    ),
    Failure(
        "gated_without_token_in_vllm",
        "vLLM itself asks the Hub for a gated model, without a token",
        ("gated",),
        "gated_repo_unauthenticated",
        variables=_from_the_hub(),
    ),
    Failure(
        "licence_not_accepted_in_vllm",
        "vLLM itself asks the Hub, for an account that has not accepted the licence",
        ("licence",),
        "gated_repo_not_authorized",
        variables=_from_the_hub(HF_TOKEN="hf_sandbox_stranger"),
    ),
    Failure(
        "token_refused_in_vllm",
        "vLLM itself asks the Hub, with a token that it does not know",
        ("token",),
        "hub_token_invalid",
        variables=_from_the_hub(HF_TOKEN="hf_nobody"),
    ),
)
