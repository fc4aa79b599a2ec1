# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Combinations of engine arguments that are known to be bad, with the releases and the source: data only.

Here is what vLLM accepts and then serves wrongly, unsafely or not at all, and what it refuses itself, but only after
the hosts have been prepared and the containers started.
This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

from typing import Any, Mapping, NamedTuple, Tuple


class Condition(NamedTuple):
    """One option compared: an option that is not set meets only unset, not_true and not_false.

    set unset                   its presence
    not_true not_false          its value, or that vLLM decides by itself
    is in                       its value, or several
    over below not_divisible_by its number and another one, or another option's
    """

    option: str
    test: str
    value: Any = None


class KnownBad(NamedTuple):
    """A combination: every condition holds, in a release from since to before fixed (empty: no fix is known)."""

    slug: str
    since: str
    fixed: str
    when: Tuple[Condition, ...]
    # refuse, warn, or add the options in add; an option that is set otherwise is refused.
    action: str
    text: str
    source: str
    add: Mapping[str, Any] = {}


_C = Condition
_CODE = "https://github.com/vllm-project/vllm/blob/v{0}/vllm/{1}"
_ISSUE = "https://github.com/vllm-project/vllm/issues/{0}"
_NVD = "https://nvd.nist.gov/vuln/detail/{0}"
_PIPELINE = _C("pipeline-parallel-size", "over", 1)

KNOWN_BAD: Tuple[KnownBad, ...] = (
    # --- answers that are wrong, or not for the one who reads them
    KnownBad(
        "async_pipeline_leak",
        "0.16.0",
        "0.21.0",
        (_PIPELINE, _C("async-scheduling", "not_false")),
        "add",
        "Pipeline parallelism with asynchronous scheduling can put tokens of one request into another's answer.",
        "https://github.com/advisories/GHSA-v97p-wpxp-px84",
        {"async-scheduling": False},
    ),
    KnownBad(
        "sync_pipeline_speculative",
        "0.26.0",
        "",
        (_PIPELINE, _C("speculative-config", "set"), _C("async-scheduling", "is", False)),
        "refuse",
        "Speculative decoding over pipeline stages without asynchronous scheduling gives wrong answers: take "
        "async_scheduling: false out.",
        _ISSUE.format(52071),
    ),
    KnownBad(
        "pipeline_mtp",
        "0.25.0",
        "",
        (_PIPELINE, _C("speculative-config.method", "in", ("mtp", "deepseek_mtp", "qwen3_next_mtp", "qwen3_5_mtp"))),
        "warn",
        "MTP speculative decoding over pipeline stages is reported to fail in three ways.",
        _ISSUE.format(49355),
    ),
    KnownBad(
        "ray_v2_hang",
        "0.24.0",
        "0.25.0",
        (_C("distributed-executor-backend", "is", "ray"),),
        "warn",
        "Generation over two nodes with the Ray executor is reported to hang after a while.",
        _ISSUE.format(50835),
    ),
    # --- what takes no effect, or more than was asked for
    KnownBad(
        "cpu_offload_ignored",
        "0.25.0",
        "0.29.0",
        (_C("cpu-offload-gb", "over", 0),),
        "warn",
        "For the models that get the new model runner (V2), cpu_offload_gb takes no effect: set the environment "
        "variable VLLM_USE_V2_MODEL_RUNNER=0.",
        _ISSUE.format(51396),
    ),
    # --- security
    KnownBad(
        "qwen3_coder_eval",
        "0.10.0",
        "0.10.1.1",
        (_C("tool-call-parser", "is", "qwen3_coder"),),
        "refuse",
        "The tool parser qwen3_coder runs code out of the model's answer.",
        _NVD.format("CVE-2025-9141"),
    ),
    KnownBad(
        "prompt_embeds_memory",
        "0.10.2",
        "0.11.1",
        (_C("enable-prompt-embeds", "is", True),),
        "refuse",
        "A request with crafted prompt embeddings can crash the server or run code in it.",
        _NVD.format("CVE-2025-62164"),
    ),
    KnownBad(
        "mooncake_pickle",
        "0.6.5",
        "0.8.5",
        (_C("kv-transfer-config.kv_connector", "in", ("MooncakeConnector", "MooncakeStoreConnector")),),
        "refuse",
        "The Mooncake connector listens on all interfaces and unpickles what it gets.",
        _NVD.format("CVE-2025-32444"),
    ),
    KnownBad(
        "pynccl_pickle",
        "0.6.5",
        "0.8.5",
        (_C("kv-transfer-config.kv_connector", "is", "PyNcclConnector"),),
        "refuse",
        "The PyNccl connector listens on all interfaces and unpickles what it gets.",
        _NVD.format("CVE-2025-47277"),
    ),
    KnownBad(
        "xpub_all_interfaces",
        "0.5.2",
        "0.8.5",
        (_C("distributed-executor-backend", "is", "ray"), _C("tensor-parallel-size", "over", 1)),
        "warn",
        "Over several nodes, a socket listens on all interfaces and anybody who connects can stop the cluster: close "
        "the ports between the nodes to others.",
        _NVD.format("CVE-2025-30202"),
    ),
    KnownBad(
        "gguf_overflow",
        "0.5.5",
        "0.24.0",
        (_C("quantization", "is", "gguf"),),
        "warn",
        "A crafted GGUF file makes the GPU write beyond a buffer and shows memory of other requests: serve only files "
        "whose origin is known.",
        _NVD.format("CVE-2026-53923"),
    ),
    KnownBad(
        "remote_code_tokenize",
        "0.5.0",
        "0.31.0",
        (_C("trust-remote-code", "is", True),),
        "warn",
        "With trust_remote_code, a request to /tokenize can run code: close that path to clients.",
        _NVD.format("CVE-2026-114053"),
    ),
    # --- what vLLM refuses itself, later
    KnownBad(
        "async_pipeline_refused",
        "0.10.0",
        "0.16.0",
        (_PIPELINE, _C("async-scheduling", "is", True)),
        "refuse",
        "Asynchronous scheduling does not work with pipeline parallelism.",
        _CODE.format("0.15.1", "config/vllm.py"),
    ),
    KnownBad(
        "async_ray_refused",
        "0.11.1",
        "0.19.0",
        (_C("distributed-executor-backend", "is", "ray"), _C("async-scheduling", "is", True)),
        "refuse",
        "Asynchronous scheduling works with the executors mp, uni and external_launcher only.",
        _CODE.format("0.18.1", "config/vllm.py"),
    ),
    KnownBad(
        "ray_nnodes",
        "0.11.1",
        "",
        (_C("nnodes", "over", 1), _C("distributed-executor-backend", "is", "ray")),
        "refuse",
        "nnodes is for the executor mp: with ray, Ray knows the nodes.",
        _CODE.format("0.33.0", "config/parallel.py"),
    ),
    KnownBad(
        "headless_api_servers",
        "0.15.0",
        "",
        (_C("headless", "is", True), _C("api-server-count", "over", 0)),
        "refuse",
        "A headless node has no API server: take api_server_count out.",
        _CODE.format("0.33.0", "entrypoints/cli/serve.py"),
    ),
    KnownBad(
        "eplb_without_experts",
        "0.10.0",
        "",
        (_C("enable-eplb", "is", True), _C("enable-expert-parallel", "not_true")),
        "refuse",
        "enable_eplb needs enable_expert_parallel: true.",
        _CODE.format("0.33.0", "config/parallel.py"),
    ),
    KnownBad(
        "elastic_pipeline",
        "0.17.0",
        "",
        (_C("enable-elastic-ep", "is", True), _PIPELINE),
        "refuse",
        "enable_elastic_ep does not work with pipeline parallelism.",
        _CODE.format("0.33.0", "config/parallel.py"),
    ),
    KnownBad(
        "context_parallel_size",
        "0.26.0",
        "",
        (
            _C("prefill-context-parallel-size", "unset"),
            _C("tensor-parallel-size", "not_divisible_by", "decode-context-parallel-size"),
        ),
        "refuse",
        "tensor_parallel_size has to be a multiple of decode_context_parallel_size.",
        _CODE.format("0.33.0", "config/parallel.py"),
    ),
    KnownBad(
        "numa_without_bind",
        "0.20.0",
        "",
        (_C("numa-bind-nodes", "set"), _C("numa-bind", "not_true")),
        "refuse",
        "numa_bind_nodes needs numa_bind: true.",
        _CODE.format("0.33.0", "config/parallel.py"),
    ),
    KnownBad(
        "batch_below_seqs",
        "0.5.0",
        "",
        (_C("max-num-batched-tokens", "below", "max-num-seqs"),),
        "refuse",
        "max_num_batched_tokens has to be at least max_num_seqs.",
        _CODE.format("0.33.0", "config/scheduler.py"),
    ),
    KnownBad(
        "batch_below_length",
        "0.5.0",
        "",
        (
            _C("max-num-batched-tokens", "below", "max-model-len"),
            _C("enable-chunked-prefill", "is", False),
        ),
        "refuse",
        "Without chunked prefill, max_num_batched_tokens has to be at least max_model_len.",
        _CODE.format("0.33.0", "config/scheduler.py"),
    ),
    KnownBad(
        "tools_without_parser",
        "0.6.3",
        "",
        (_C("enable-auto-tool-choice", "is", True), _C("tool-call-parser", "unset")),
        "refuse",
        "enable_auto_tool_choice needs a tool_call_parser.",
        _CODE.format("0.33.0", "entrypoints/common/cli_args.py"),
    ),
    KnownBad(
        "outputs_without_requests",
        "0.11.0",
        "",
        (_C("enable-log-outputs", "is", True), _C("enable-log-requests", "not_true")),
        "refuse",
        "enable_log_outputs needs enable_log_requests: true.",
        _CODE.format("0.33.0", "entrypoints/common/cli_args.py"),
    ),
    KnownBad(
        "metrics_without_stats",
        "0.25.0",
        "",
        (_C("enable-per-request-metrics", "is", True), _C("disable-log-stats", "is", True)),
        "refuse",
        "enable_per_request_metrics needs the statistics that disable_log_stats turns off.",
        _CODE.format("0.33.0", "entrypoints/common/cli_args.py"),
    ),
    KnownBad(
        "two_grpc",
        "0.32.0",
        "",
        (_C("grpc", "is", True), _C("grpc-port", "set")),
        "refuse",
        "grpc and grpc_port are two servers that exclude each other.",
        _CODE.format("0.33.0", "entrypoints/common/cli_args.py"),
    ),
    KnownBad(
        "capture_sizes_twice",
        "0.11.1",
        "",
        (_C("cudagraph-capture-sizes", "set"), _C("compilation-config.cudagraph_capture_sizes", "set")),
        "refuse",
        "cudagraph_capture_sizes is set twice, beside and in compilation_config: keep one.",
        _CODE.format("0.33.0", "engine/arg_utils.py"),
    ),
)
