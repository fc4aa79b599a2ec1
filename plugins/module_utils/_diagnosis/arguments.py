# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Causes in the command line: flags, their values, and values that do not fit the model.

This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

from typing import Tuple

from ansible_collections.llmserve.vllm.plugins.module_utils._diagnosis.model import (
    GENERAL,
    LIKELY,
    NAMED,
    Cause,
    cause,
    seen,
)

_ISSUES = "https://github.com/vllm-project/vllm/"
_DOCS = "https://docs.vllm.ai/en/latest/"

# Flags of older versions; the first version without them is in the table of the filter vllm_args.
_REMOVED = (
    r"--(swap-space|disable-log-requests|worker-use-ray|engine-use-ray|use-v2-block-manager|device|num-scheduler-steps"
    r"|enable-reasoning|guided-decoding-backend|num-lookahead-slots|preemption-mode|rope-scaling|rope-theta"
    r"|speculative-model|num-speculative-tokens|max-seq-len-to-capture|collect-detailed-traces)\b"
)

CAUSES: Tuple[Cause, ...] = (
    cause(
        "unknown_flag/removed",
        "This vLLM no longer has an option that older versions had.",
        "Take the option out of llmserve_engine_args; the filter llmserve.vllm.vllm_args knows what each version of "
        "vLLM accepts and what took its place.",
        seen(NAMED - 1, r"error: unrecognized arguments:.*" + _REMOVED, r"error: ambiguous option: " + _REMOVED),
        source=_ISSUES + "pull/36216",
    ),
    cause(
        "unknown_flag",
        "This vLLM does not know an option of its command line; options come and go between versions.",
        "Take the option out of llmserve_engine_args or spell it as this version does (see `vllm serve --help=all`).",
        seen(
            NAMED,
            r"error: unrecognized arguments:",
            r"error: ambiguous option:",
            r"EngineArgs(\.__init__\(\)|\.__new__\(\))? got an unexpected keyword argument",
            r"__init__\(\) got an unexpected keyword argument '(swap_space|disable_log_requests|device)'",
        ),
        source=_DOCS + "cli/",
    ),
    cause(
        "invalid_flag_value/json",
        "An option that takes JSON was given something else, often because a shell ate its quotes.",
        "Give the option as a dictionary in llmserve_engine_args: the role writes the JSON and quotes it.",
        seen(
            NAMED - 1,
            r"error: argument [-\w/.,{} ]+: Value .* cannot be converted to <function loads",
            r"error: argument [-\w/.,{} ]+: invalid (loads|json\.loads|<function loads.*>) value",
            r"error: argument [-\w/.,{} ]+: .*(Invalid JSON|JSONDecodeError|Expecting (value|property name))",
            r"Invalid JSON string|Failed to parse JSON string|JSON string could not be parsed",
            r"Invalid JSON: \w.* \[type=json_invalid",
        ),
    ),
    cause(
        "invalid_flag_value",
        "vLLM refuses the value of an option.",
        "Correct the value in llmserve_engine_args; the evidence says what is accepted.",
        seen(
            NAMED,
            r"error: argument [-\w/.,{} ]+: (invalid|expected|not allowed|Value)",
            r"error: the following arguments are required",
            r"Unknown quantization method|Invalid quantization method",
            r"Unknown (dtype|executor backend|load format)",
            r"Invalid (attention backend|distributed executor backend|kv_cache_dtype)",
            r"`served[-_]model[-_]name` .*(must|requires)",
            r"(gpu_memory_utilization|GPU memory utilization) must be (less than|in|between)",
            r"max_num_seqs \(\d+\) must be greater than or equal to|block_size must be (one of|a multiple)",
            r"nnodes > 1 can only be set when|node_rank=\d+ must be less than nnodes",
            r"world_size=\d+ must be divisible by nnodes|Invalid data-parallel launch options",
        ),
        # pydantic's frame around whatever a configuration class refuses; what it refuses is on the next line
        seen(GENERAL, r"\d+ validation errors? for (\w*Config|EngineArgs|AsyncEngineArgs)\b"),
        source=_DOCS + "cli/",
    ),
    cause(
        "max_model_len_gt_model",
        "The context length asked for is longer than the model was made for.",
        "Lower max_model_len in llmserve_engine_args to the length that the evidence names, or leave it out.",
        seen(NAMED, r"max_model_len \(\d+\) is greater than the derived max_model_len"),
        exact="Set max_model_len in llmserve_engine_args to at most {model_max_len:.0f} (asked for: "
        "{asked_max_len:.0f}), or leave it out.",
        source=_DOCS + "configuration/engine_args/",
    ),
    cause(
        "max_num_batched_tokens_too_small",
        "One step of the engine may hold fewer tokens than it has to.",
        "Raise max_num_batched_tokens in llmserve_engine_args to at least max_model_len (or what the evidence names), "
        "or leave it out; enable_chunked_prefill: true lifts the first of these limits.",
        seen(
            NAMED,
            r"max_num_batched_tokens \(\d+\) is smaller than max_model_len",
            r"max_num_batched_tokens \(\d+\) must be (greater than or equal|larger than)",
            r"max_tokens_per_mm_item \(\d+\) is larger than max_num_batched_tokens",
        ),
        source=_DOCS + "configuration/optimization/",
    ),
    cause(
        "tp_heads_not_divisible/quantization",
        "Over that many GPUs the model's layers cannot be cut along the blocks of its quantization.",
        "Choose a smaller llmserve_tensor_parallel_size (pipeline parallelism for the rest), or for a model of experts "
        "enable_expert_parallel: true in llmserve_engine_args.",
        seen(
            NAMED - 1,
            r"(input|output)_size\b.* is not divisible by weight quantization block",
            r"_size_per_partition\b.* is not divisible by",
            r"not aligned with the quantized weight shape",
        ),
        source=_ISSUES + "issues/17569",
    ),
    cause(
        "tp_heads_not_divisible",
        "The attention heads or the layers' widths of the model cannot be split evenly over that many GPUs.",
        "Choose a llmserve_tensor_parallel_size that divides the number in the evidence, and pipeline parallelism "
        "for the rest.",
        seen(
            NAMED,
            r"Total number of attention heads \(\d+\) must be divisible by",
            r"\d+ is not divisible by \d+$",
            r"total_num_heads \d+ is not divisible by tp_size",
            r"heads\b.*(must be divisible|not divisible)",
        ),
        source=_ISSUES + "issues/596",
    ),
    cause(
        "pipeline_parallel_unsupported",
        "This model, or a feature that is switched on, cannot be split into pipeline stages in this vLLM.",
        "Set llmserve_pipeline_parallel_size: 1 and tensor parallelism instead, or use a newer llmserve_image.",
        seen(
            NAMED,
            r"Pipeline parallelism is not supported for this model",
            r"PP is not supported for this model",
            r"does not support pipeline parallel(ism)?( yet|\.|;|$)",
            r"(incompatible with|requires) pipeline[_ ]parallel(ism|_size)",
            r"len\(partitions\)=\d+ does not match pp_size|sum\(partitions\)=\d+ does not match num_hidden_layers",
            r"(number of |num_)(hidden_)?layers.*(less|smaller|fewer) than .*(pipeline|pp_size)",
        ),
        source=_DOCS + "models/supported_models/",
    ),
    cause(
        "world_size_exceeds_gpus",
        "Tensor times pipeline parallelism asks for more GPUs than this host has, and no way over hosts was chosen.",
        "Set llmserve_executor: ray (or nnodes with the mp backend), or lower llmserve_tensor_parallel_size and "
        "llmserve_pipeline_parallel_size.",
        seen(
            NAMED,
            r"World size \(\d+\) is larger than the number of available GPUs",
            r"please (ensure|make sure) that world_size \(\d+\) is less than than max local",
            r"DP adjusted local rank \d+ is out of bounds",
        ),
        source=_DOCS + "serving/parallelism_scaling/",
    ),
    cause(
        "rope_scaling_invalid",
        "vLLM or transformers does not understand how the model stretches its positions (rope_scaling).",
        "Use a newer llmserve_image, or correct rope_scaling in hf_overrides in llmserve_engine_args: today it has "
        "the key rope_type besides factor.",
        seen(
            NAMED,
            r"`?(rope_scaling|rope_parameters)`?('s \w+ field)? must (be|include|define|have)",
            r"(rope_scaling|rope_parameters) should have a 'rope_type' key",
            r"Unknown RoPE scaling type|Missing required keys in `rope_(scaling|parameters)`",
            r"KeyError: '(rope_type|mrope_section)'",
        ),
    ),
    cause(
        "chat_template_missing",
        "The model brings no chat template, or the file named for it does not exist.",
        "Set chat_template in llmserve_engine_args to a file that is mounted into the container; base models have no "
        "template and only answer completions.",
        seen(
            NAMED,
            r"supplied chat template (string )?\(.*\) appears path-like, but doesn't exist",
            r"[Tt]he supplied chat template path doesn't exist",
        ),
        seen(
            LIKELY,
            r"default chat template is no longer allowed, so you must provide a chat template",
            r"Cannot use (chat template functions|apply_chat_template\(\)) because tokenizer\.chat_template is not set",
        ),
        source=_DOCS + "serving/online_serving/",
    ),
    cause(
        "tool_parser_unknown",
        "vLLM has no tool call or reasoning parser of this name, or tool calls were switched on without a parser.",
        "Set tool_call_parser or reasoning_parser in llmserve_engine_args to one of the names in the evidence; with "
        "enable_auto_tool_choice a tool_call_parser has to be there.",
        seen(
            NAMED,
            r"invalid (tool call|reasoning) parser: ",
            r"([Tt]ool|[Rr]easoning) parser '.*' not found",
            r"(tool|reasoning) helper: '.*' not found in",
            r"--enable-auto-tool-choice requires --tool-call-parser",
            r"--enable-auto-tool-choice and --enable-reasoning cannot be enabled at the same time",
        ),
        source=_DOCS + "features/tool_calling/",
    ),
    cause(
        "lora_misfit",
        "A LoRA adapter does not fit the server: too high a rank, not found, or not supported by the model.",
        "Set enable_lora and max_lora_rank in llmserve_engine_args to at least the adapter's rank, check the path in "
        "lora_modules inside of the container, and that the model supports LoRA.",
        seen(
            NAMED,
            r"LoRA rank \d+ is greater than max_lora_rank",
            r"max_lora_rank \(\d+\) must be one of",
            r"does not support LoRA\b",
            r"[Ll]oading lora .* failed",
            r"LoRA is not enabled|Call to add_lora method failed",
            r"expected target modules in .* but received",
        ),
        source=_DOCS + "features/lora/",
    ),
    cause(
        "quantization_mismatch",
        "The quantization asked for is not the one of the checkpoint.",
        "Leave quantization out of llmserve_engine_args: vLLM reads it from the checkpoint.",
        seen(
            NAMED,
            r"Quantization method specified in the model config \(.*\) does not match",
            r"is not supported for quantization method .*Supported dtypes",
            r"Cannot find any of .* in the model's quantization config",
            r"Cannot find the config file for (awq|gptq|marlin|fp8|squeezellm)",
            r"torch\.\w+ is not supported for quantization method",
        ),
        source=_DOCS + "features/quantization/",
    ),
    cause(
        "kv_cache_dtype_unsupported",
        "This GPU or this attention backend cannot keep the KV cache in the format asked for.",
        "Take kv_cache_dtype out of llmserve_engine_args (fp8 wants a GPU of compute capability 8.9 or newer), or "
        "choose another attention backend.",
        seen(
            NAMED,
            r"FP8 KV cache is not supported|fp8 KV cache (is not|requires)",
            r"does not support (FP8|fp8) (kv-cache|KV cache|kv cache)",
            r"FP8 \w+ ?MLA not yet supported|with FP8 KV cache not yet supported",
            r"cannot store kv_cache_dtype=|--kv-cache-dtype \S+ is not supported",
            r"(with|for) kv_cache_dtype=?.* (is )?not supported|kv_cache_dtype not supported",
        ),
        source=_DOCS + "features/quantization/quantized_kvcache/",
    ),
    cause(
        "attention_backend_unsupported",
        "No attention backend of this vLLM fits the model on this GPU, or the one asked for does not.",
        "Take attention_backend (or VLLM_ATTENTION_BACKEND in vllm_serve_env) out so that vLLM chooses, or one of the "
        "names in the evidence.",
        seen(
            NAMED,
            r"No valid attention backend found",
            r"Selected backend .* is not valid for this configuration",
            r"Attention backend '\w+' has been removed|Invalid attention backend for",
            r"Head size \d+ is not supported by",
            r"Backend \S+ is not supported for vit attention",
            r"FlashAttn\w* is not supported on this device|FlashMLA is not supported on this device",
        ),
        source=_DOCS + "design/attention_backends/",
    ),
    cause(
        "multimodal_limit",
        "The images, videos or sounds that a request may bring do not fit the model or the context.",
        "Lower limit_mm_per_prompt or mm_processor_kwargs, or raise max_model_len, in llmserve_engine_args; "
        "limit_mm_per_prompt: {image: 0} serves text only.",
        seen(
            NAMED,
            r"is too short to hold the multi-?modal embeddings in the worst case",
            r"cannot process \d+ images in a prompt, please increase max_model_len",
            r"limit_mm_per_prompt.* (only|not) (supported|valid)|--limit-mm-per-prompt is only supported",
            r"exceeds the pre-allocated encoder cache size",
        ),
        source=_DOCS + "configuration/conserving_memory/",
    ),
    cause(
        "multimodal_processor_failed",
        "The model's processor for images, videos or sounds does not work with this vLLM or this transformers.",
        "Try another llmserve_image, or text only with limit_mm_per_prompt: {image: 0} in llmserve_engine_args.",
        seen(
            LIKELY + 8,
            r"Failed to apply \w*Processor on data=",
            r"Attempted to assign [\d +=]+ (multimodal|image) tokens to \d+ placeholders",
        ),
        source=_ISSUES + "issues/12168",
    ),
    cause(
        "speculative_config_invalid",
        "The settings for speculative decoding do not fit the model or this vLLM.",
        "Correct or remove speculative_config in llmserve_engine_args.",
        seen(
            NAMED,
            r"Speculative decoding (is|not|requires|with).*(incompatible|not supported|unsupported|requires)",
            r"num_speculative_tokens\b.*(must|cannot|should|required)",
            r"speculative_config\b.*(must|cannot|should|required)|draft_tensor_parallel_size\b.*(must|cannot)",
            r"MTP speculative decoding layer .* weights are missing",
        ),
        source=_DOCS + "features/speculative_decoding/",
    ),
)
