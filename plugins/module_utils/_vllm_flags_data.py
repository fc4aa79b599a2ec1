# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The flags of C(vllm serve), release by release: data only.

FLAGS was read from the argument parsers of vLLM 0.32.0 and 0.33.0 themselves (their argparse actions).
This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

from typing import Dict, FrozenSet, Tuple

Release = Tuple[int, int]

# How a flag takes its value:
#   value     one value
#   json      one value: a word of its own or JSON; dicts and lists are written as JSON
#   many      one or more values after one flag
#   repeated  the flag once for every value
#   comma     one value: a list is joined with commas
#   switch    --flag or --no-flag
#   on_only   --flag; leaving it out means false
_FLAGS_BY_SHAPE: Dict[str, str] = {
    "value": """
        all2all-backend allowed-local-media-path anthropic-disabled-thinking-effort api-server-count
        attention-backend block-size chat-template chat-template-content-format code-revision cohere-format
        config config-format convert cp-kv-cache-interleave-size cpu-distributed-timeout-seconds cpu-offload-gb
        data-parallel-address data-parallel-backend data-parallel-rank data-parallel-rpc-port data-parallel-size
        data-parallel-size-local data-parallel-start-rank data-parallel-supervisor-port
        dbo-decode-token-threshold dbo-prefill-token-threshold dcp-comm-backend dcp-kv-cache-interleave-size
        decode-context-parallel-size device-memory-utilization distributed-executor-backend
        distributed-timeout-seconds download-dir dp-supervisor-probe-failure-threshold
        dp-supervisor-probe-interval-s dp-supervisor-probe-timeout-s dp-sync-interval dtype
        elastic-ep-max-dp-size expert-placement-strategy fingerprint-mode fingerprint-value gdn-prefill-backend
        generation-config gpu-memory-utilization grpc-port h11-max-header-count h11-max-incomplete-event-size
        hf-config-path hf-token host io-processor-plugin jit-monitor-mode kda-decode-backend kda-prefill-backend
        kv-cache-dtype kv-cache-memory-bytes kv-cache-metrics-sample kv-offloading-backend kv-offloading-size
        linear-backend load-format log-config-file log-level logprobs-mode long-prefill-token-threshold
        lora-dtype mamba-backend mamba-block-size mamba-cache-dtype mamba-cache-mode mamba-cache-philox-rounds
        mamba-ssm-cache-dtype mamba-ssu-algorithm master-addr master-port max-cpu-loras
        max-cudagraph-capture-size max-log-len max-logprobs max-lora-cls-labels max-lora-rank max-loras
        max-model-len max-num-active-seqs max-num-batched-tokens max-num-queued-reqs max-num-queued-tokens
        max-num-scheduled-tokens max-num-seqs max-parallel-loading-workers mm-encoder-attn-backend
        mm-encoder-attn-dtype mm-encoder-fp8-scale-path mm-encoder-fp8-scale-save-margin
        mm-encoder-fp8-scale-save-path mm-encoder-tp-mode mm-hasher-algorithm mm-ipc-gpu-memory-gb
        mm-processor-cache-gb mm-processor-cache-type mm-processor-device mm-shm-cache-max-object-size-mb
        mm-tensor-ipc model model-impl moe-backend nnodes node-rank num-gpu-blocks-override offload-backend
        offload-group-size offload-num-in-group offload-prefetch-step optimization-level otlp-traces-endpoint
        per-request-spec-decode-metrics performance-mode pipeline-parallel-size port
        prefill-context-parallel-size prefill-schedule-interval prefix-cache-retention-interval
        prefix-caching-hash-algo prefix-match-unit quantization reasoning-parser reasoning-parser-plugin
        renderer-num-workers replayssm-buffer-len response-role revision root-path runner
        safetensors-load-strategy safetensors-prefetch-block-size safetensors-prefetch-num-threads scheduler-cls
        scheduling-policy seed show-hidden-metrics-for-version shutdown-timeout sleep-mode-backend
        sparse-indexer-topk-backend spec-method spec-model spec-tokens sse-keep-alive-interval ssl-ca-certs
        ssl-cert-reqs ssl-certfile ssl-ciphers ssl-keyfile stream-interval tensor-parallel-size tokenizer
        tokenizer-mode tokenizer-revision tool-call-parser tool-parser-plugin tool-server tool-strict-level
        ubatch-size uds uvicorn-log-level video-pruning-method video-pruning-rate watermark worker-cls
        worker-extension-cls
    """,
    "json": """
        additional-config allowed-headers allowed-methods allowed-origins attention-config aux-output-config
        compilation-config custom-histogram-buckets default-chat-template-kwargs default-mm-loras
        diffusion-config ec-manager-config ec-transfer-config engram-config eplb-config fault-tolerance-config
        hf-overrides ir-op-priority kernel-config kv-events-config kv-transfer-config limit-mm-per-prompt
        logging-config media-io-kwargs mm-processor-kwargs model-class-overrides model-loader-extra-config
        override-generation-config pooler-config profiler-config pt-load-map-location quantization-config
        reasoning-config reasoning-effort-map speculative-config structured-outputs-config watchdog-config
        watermark-config weight-transfer-config
    """,
    "many": """
        allowed-media-domains api-key collect-detailed-traces cpu-offload-params cudagraph-capture-sizes
        ignore-patterns kv-cache-dtype-skip-layers logits-processors lora-modules lora-target-modules
        numa-bind-cpus numa-bind-nodes offload-params served-model-name sleep-preserve-parameter-names
    """,
    "repeated": """
        middleware
    """,
    "comma": """
        device-ids disable-access-log-for-endpoints
    """,
    "switch": """
        allow-credentials allow-deprecated-quantization async-scheduling cohere-is-reasoning-model
        cudagraph-metrics data-parallel-external-lb data-parallel-hybrid-lb dcp-q-replicate disable-cascade-attn
        disable-chunked-mm-input disable-custom-all-reduce disable-fastapi-docs disable-hybrid-kv-cache-manager
        disable-nccl-for-dp-synchronization disable-sliding-window disable-uvicorn-access-log
        enable-auto-tool-choice enable-batch-sharded-sampling enable-chunked-prefill enable-cumem-allocator
        enable-dbo enable-elastic-ep enable-ep-weight-filter enable-eplb enable-expert-parallel
        enable-fault-tolerance enable-flash-late-interaction enable-flashinfer-autotune
        enable-force-include-usage enable-hc-sp enable-layerwise-nvtx-tracing enable-log-deltas
        enable-log-outputs enable-log-requests enable-logging-iteration-details enable-lora
        enable-mamba-cache-stochastic-rounding enable-mamba-shared-prefix-checkpoint enable-mfu-metrics
        enable-mixed-moe-lora-format enable-mm-embeds enable-moe-shared-loras enable-nccl-comm-suspend
        enable-offline-docs enable-per-request-metrics enable-prefix-caching enable-prompt-embeds
        enable-prompt-tokens-details enable-request-id-headers enable-return-routed-experts enable-scale-out
        enable-server-load-tracking enable-shm-tensor-arena enable-sleep-mode enable-ssl-refresh
        enable-tokenizer-info-endpoint enable-tower-connector-lora enable-trace-replay enforce-eager
        exclude-tools-when-tool-choice-none fail-on-environ-validation fully-sharded-loras interleave-mm-strings
        jit-monitor-verbose kv-cache-metrics kv-sharing-fast-prefill language-model-only log-error-stack
        long-prefill-token-threshold-adaptive mm-device-do-normalize mm-encoder-only monokernel numa-bind
        ray-workers-use-nsight return-sampling-mask return-tokens-as-token-ids scheduler-reserve-full-isl
        skip-mm-profiling skip-tokenizer-init sleep-mode-offload-cudagraph specialize-active-lora
        swa-bounded-replay tokens-only trust-remote-code trust-request-chat-template trust-request-mm-kwargs
        use-fp64-gumbel use-replayssm use-tqdm-on-load
    """,
    "on_only": """
        aggregate-engine-logging data-parallel-multi-port-external-lb disable-log-stats grpc headless
    """,
}

# The newest release with data; every flag that it accepts, with its shape.
FLAGS: Dict[str, str] = {name: shape for shape, names in _FLAGS_BY_SHAPE.items() for name in names.split()}

# Which of them older releases lack.
FLAGS_ADDED_LATER: Dict[Release, FrozenSet[str]] = {
    (0, 33): frozenset(),
    (0, 32): frozenset(("monokernel", "reasoning-effort-map", "sleep-mode-backend", "watchdog-config")),
}

# One-letter and abbreviated spellings, to name the long one in messages.
SHORT_NAMES: Dict[str, str] = {
    "ac": "attention-config",
    "asc": "api-server-count",
    "cc": "compilation-config",
    "dc": "diffusion-config",
    "dcp": "decode-context-parallel-size",
    "dp": "data-parallel-size",
    "dpa": "data-parallel-address",
    "dpb": "data-parallel-backend",
    "dpe": "data-parallel-external-lb",
    "dph": "data-parallel-hybrid-lb",
    "dpl": "data-parallel-size-local",
    "dpm": "data-parallel-multi-port-external-lb",
    "dpn": "data-parallel-rank",
    "dpp": "data-parallel-rpc-port",
    "dpr": "data-parallel-start-rank",
    "ep": "enable-expert-parallel",
    "n": "nnodes",
    "pcp": "prefill-context-parallel-size",
    "pp": "pipeline-parallel-size",
    "q": "quantization",
    "r": "node-rank",
    "sc": "speculative-config",
    "tp": "tensor-parallel-size",
}

# Flags that today's vLLM no longer has: the first release without them, and what to do instead.
REMOVED_FLAGS: Dict[str, Tuple[Release, str]] = {
    "swap-space": (
        (0, 18),
        "the engine no longer swaps to host memory. Offloading of the KV cache is kv_offloading_size (GiB, in all).",
    ),
    "disable-log-requests": (
        (0, 17),
        "requests have not been logged since 0.10.1 unless enable_log_requests is true.",
    ),
    "use-v2-block-manager": ((0, 10), "there is only one block manager."),
    "device": ((0, 10), "the image decides about the device."),
    "worker-use-ray": ((0, 7), "choose the executor with the inventory variable llmserve_executor (ray or mp)."),
    "engine-use-ray": ((0, 7), "the engine always runs in a process of its own."),
}

# Flags of other tools or of old releases that have a successor of another name.
SUCCESSORS: Dict[str, str] = {
    "task": "use runner: pooling (and convert: embed or classify) for embedding and ranking models",
    "rope-scaling": "use hf_overrides with the key rope_scaling",
    "rope-theta": "use hf_overrides with the key rope_theta",
    "guided-decoding-backend": "use structured_outputs_config with the key backend",
}
