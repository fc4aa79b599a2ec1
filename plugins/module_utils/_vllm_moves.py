# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What to do with an engine argument that a release no longer has: data only.

When a flag came and went is in the other data modules; here is what follows from it for the operator. A flag without
an entry is left out with a warning.
This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

from typing import Any, Dict, Mapping, NamedTuple, Tuple


class Move(NamedTuple):
    """Where a flag went.

    rename  the same value under another name, and back where only the older name exists
    set     the flag was a switch: what its values true and false stand for now
    drop    leaving it out changes nothing that matters; the advice says why
    refuse  leaving it out, or its value elsewhere, would mean something else; the advice says what to do
    """

    action: str
    to: str = ""
    advice: str = ""
    values: Mapping[bool, Mapping[str, Any]] = {}


_OFF = "the engine of today (V1) has no such step."
_SPECULATIVE = "use speculative_config, a dictionary with the keys method, model and num_speculative_tokens."
_PROMPT_ADAPTERS = "prompt adapters are no longer supported: serve a LoRA adapter instead, or pin llmserve_image below."
_SCALES = "the scales of an FP8 cache are read from the checkpoint, else they are 1.0: choose a checkpoint with scales."

MOVES: Dict[str, Move] = {
    # renamed
    "chat-template-text-format": Move("rename", "chat-template-content-format"),
    "eplb-log-balancedness": Move("rename", "eplb-config.log_balancedness"),
    "eplb-step-interval": Move("rename", "eplb-config.step_interval"),
    "eplb-window-size": Move("rename", "eplb-config.window_size"),
    "num-redundant-experts": Move("rename", "eplb-config.num_redundant_experts"),
    "guided-decoding-backend": Move("rename", "structured-outputs-config.backend"),
    "guided-decoding-disable-additional-properties": Move(
        "rename", "structured-outputs-config.disable_additional_properties"
    ),
    "guided-decoding-disable-any-whitespace": Move("rename", "structured-outputs-config.disable_any_whitespace"),
    "guided-decoding-disable-fallback": Move("rename", "structured-outputs-config.disable_fallback"),
    "max-context-len-to-capture": Move("rename", "max-seq-len-to-capture"),
    "override-pooler-config": Move("rename", "pooler-config"),
    "use-gpu-for-pooling-score": Move("rename", "enable-flash-late-interaction"),
    # a switch that is a value now
    "disable-log-requests": Move(
        "set",
        advice="requests have not been logged since 0.10.1 unless enable_log_requests is true.",
        values={True: {}, False: {"enable-log-requests": True}},
    ),
    "disable-mm-preprocessor-cache": Move(
        "set",
        advice="a cache of 0 GiB is no cache.",
        values={True: {"mm-processor-cache-gb": 0}, False: {}},
    ),
    "enable-multimodal-encoder-data-parallel": Move(
        "set",
        advice="the encoder has a mode of its own.",
        values={True: {"mm-encoder-tp-mode": "data"}, False: {}},
    ),
    "expand-tools-even-if-tool-choice-none": Move(
        "set",
        advice="tools are in the prompt unless they are excluded.",
        values={True: {}, False: {"exclude-tools-when-tool-choice-none": True}},
    ),
    # without effect on what is served
    "calculate-kv-scales": Move(
        "set",
        advice=_SCALES,
        values={False: {}},
    ),
    "device": Move("drop", advice="the image decides about the device."),
    "disable-async-output-proc": Move("drop", advice=_OFF),
    "disable-frontend-multiprocessing": Move("drop", advice="the engine always runs in a process of its own."),
    "disable-logprobs-during-spec-decoding": Move("drop", advice=_OFF),
    "enable-reasoning": Move("drop", advice="reasoning_parser alone turns it on."),
    "engine-use-ray": Move("drop", advice="the engine always runs in a process of its own."),
    "logits-processor-pattern": Move("drop", advice="requests can no longer name logits processors."),
    "max-long-partial-prefills": Move("drop", advice="long prompts are limited by long_prefill_token_threshold alone."),
    "max-num-partial-prefills": Move("drop", advice="the scheduler shares out max_num_batched_tokens by itself."),
    "max-seq-len-to-capture": Move(
        "drop",
        advice="CUDA graphs are sized by the tokens of a batch, max_cudagraph_capture_size, and not by its context.",
    ),
    "mm-cache-preprocessor": Move("drop", advice="the cache is on; its size is mm_processor_cache_gb."),
    "multi-step-stream-outputs": Move("drop", advice=_OFF),
    "num-lookahead-slots": Move("drop", advice="the engine reserves them by itself."),
    "num-scheduler-steps": Move("drop", advice="async_scheduling is what hides the scheduler's time now."),
    "preemption-mode": Move("drop", advice="preempted requests are always computed again."),
    "scheduler-delay-factor": Move("drop", advice=_OFF),
    "swap-space": Move(
        "drop",
        advice="the engine no longer swaps to host memory. Offloading of the KV cache is kv_offloading_size "
        "(GiB, in all).",
    ),
    "tokenizer-pool-extra-config": Move("drop", advice=_OFF),
    "tokenizer-pool-size": Move("drop", advice=_OFF),
    "tokenizer-pool-type": Move("drop", advice=_OFF),
    "use-v2-block-manager": Move("drop", advice="there is only one block manager."),
    "worker-use-ray": Move(
        "drop", advice="choose the executor with the inventory variable llmserve_executor (ray or mp)."
    ),
    # another meaning, or gone with what it did
    "cuda-graph-sizes": Move(
        "refuse",
        advice="one number meant the largest size and several the sizes: use max_cudagraph_capture_size for the one, "
        "cudagraph_capture_sizes for the other.",
    ),
    "enable-lora-bias": Move("refuse", advice="adapters with a bias are no longer supported."),
    "enable-prompt-adapter": Move("refuse", advice=_PROMPT_ADAPTERS),
    "long-lora-scaling-factors": Move("refuse", advice="LongLoRA adapters are no longer supported."),
    "lora-extra-vocab-size": Move(
        "refuse", advice="adapters that add words to the vocabulary are no longer supported: merge them into the model."
    ),
    "max-prompt-adapter-token": Move("refuse", advice=_PROMPT_ADAPTERS),
    "max-prompt-adapters": Move("refuse", advice=_PROMPT_ADAPTERS),
    "override-attention-dtype": Move("refuse", advice="attention computes in dtype: set that."),
    "override-neuron-config": Move("refuse", advice="AWS Neuron is served by a plugin: see additional_config."),
    "prompt-adapters": Move("refuse", advice=_PROMPT_ADAPTERS),
    "qlora-adapter-name-or-path": Move("refuse", advice="use enable_lora and lora_modules, or merge the adapter."),
    "quantization-param-path": Move("refuse", advice=_SCALES),
    "rope-scaling": Move("refuse", advice="use hf_overrides with the key rope_scaling (rope_parameters from 0.12 on)."),
    "rope-theta": Move("refuse", advice="use hf_overrides with the key rope_theta (rope_parameters from 0.12 on)."),
    "task": Move(
        "refuse", advice="use runner: pooling (and convert: embed or classify) for embedding and ranking models."
    ),
    **{
        name: Move("refuse", advice=_SPECULATIVE)
        for name in (
            "ngram-prompt-lookup-max",
            "ngram-prompt-lookup-min",
            "num-speculative-tokens",
            "spec-decoding-acceptance-method",
            "speculative-disable-by-batch-size",
            "speculative-disable-mqa-scorer",
            "speculative-draft-tensor-parallel-size",
            "speculative-max-model-len",
            "speculative-model",
            "speculative-model-quantization",
            "typical-acceptance-sampler-posterior-alpha",
            "typical-acceptance-sampler-posterior-threshold",
        )
    },
}

# Keys of JSON values that moved: flag and key, the first release without it, the key that has its value now (empty:
# none) and the first release with that one.
KEYS: Dict[Tuple[str, str], Tuple[str, str, str]] = {
    ("compilation-config", "level"): ("0.18.0", "mode", "0.11.1"),
    ("compilation-config", "max_capture_size"): ("0.11.1", "max_cudagraph_capture_size", "0.11.1"),
    ("pooler-config", "activation"): ("0.16.0", "use_activation", "0.11.1"),
    ("pooler-config", "normalize"): ("0.16.0", "use_activation", "0.11.1"),
    ("pooler-config", "softmax"): ("0.16.0", "use_activation", "0.11.1"),
    ("speculative-config", "disable_by_batch_size"): ("0.17.0", "", ""),
    ("speculative-config", "disable_mqa_scorer"): ("0.10.0", "", ""),
    ("structured-outputs-config", "disable_fallback"): ("0.18.0", "", ""),
}
