# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Causes in memory: of the GPUs, of the host, and shared.

This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

from typing import Tuple

from ansible_collections.llmserve.vllm.plugins.module_utils._diagnosis.model import (
    CRASH,
    LIKELY,
    NAMED,
    STOP,
    Cause,
    cause,
    seen,
)

_ISSUES = "https://github.com/vllm-project/vllm/issues/"
_CONSERVE = "https://docs.vllm.ai/en/latest/configuration/conserving_memory/"
_OUT_OF_MEMORY = (
    r"(torch\.|torch\.cuda\.)OutOfMemoryError",
    r"CUDA out of memory",
    r"CUDA [Ee]rror: out of memory",
    r"CUDA_ERROR_OUT_OF_MEMORY|cudaErrorMemoryAllocation",
    r"Cuda failure (2 )?'out of memory'|HIP out of memory|HIP failure: 'out of memory'",
)
_KILLED = r"Out of memory: Killed process|Memory cgroup out of memory: Killed process"

CAUSES: Tuple[Cause, ...] = (
    cause(
        "max_model_len_exceeds_kv_cache",
        "One request of the full context length needs more KV cache than the GPUs have left after the weights.",
        "Lower max_model_len to at most the estimated maximum in the evidence, raise gpu_memory_utilization, use an "
        "fp8 KV cache (kv_cache_dtype: fp8), or use more GPUs; all of them are set in llmserve_engine_args.",
        seen(
            NAMED,
            r"is larger than the maximum number of tokens that can be stored in (the )?KV cache",
            r"To serve at least one request with the model\S* max seq len",
        ),
        exact="Set max_model_len in llmserve_engine_args to at most {fitting_max_len:.0f} (asked for: "
        "{asked_max_len:.0f}), or make room with a higher gpu_memory_utilization, kv_cache_dtype: fp8, or more GPUs.",
        source=_ISSUES + "2418",
    ),
    cause(
        "kv_cache_no_memory",
        "Weights and activations leave no GPU memory for the KV cache.",
        "Use more GPUs or a quantized model, raise gpu_memory_utilization, or lower max_num_batched_tokens in "
        "llmserve_engine_args; cpu_offload_gb moves weights to host memory.",
        seen(
            NAMED,
            r"No available memory for the cache blocks",
            r"on kv cache allocation is less than requested memory for kv",
        ),
        source=_CONSERVE,
    ),
    cause(
        "gpu_memory_in_use",
        "Another process already holds memory of the GPU, so the share that vLLM wants is not free.",
        "Find the process with nvidia-smi and stop it (often an engine that was left behind), or lower "
        "gpu_memory_utilization in llmserve_engine_args.",
        seen(
            NAMED,
            r"Free memory on device .* on startup is less than (desired GPU memory|the engine's budget)",
            r"Error in memory profiling\.",
            r"Free memory grew by .* GiB during profiling.*(abort|fail|raise)",
        ),
        exact="{free_gib} of {total_gib} GiB are free and vLLM wants {wanted_gib}: find who holds the rest with "
        "nvidia-smi and stop it (often an engine that was left behind), or lower gpu_memory_utilization in "
        "llmserve_engine_args.",
        source=_ISSUES + "42017",
    ),
    cause(
        "cuda_oom/graph_capture",
        "The GPU ran out of memory while CUDA graphs were captured: the KV cache left too little for them.",
        "Lower gpu_memory_utilization or max_num_seqs in llmserve_engine_args (fewer and smaller graphs), or "
        "enforce_eager: true, which captures none and answers more slowly.",
        seen(
            LIKELY - 1,
            *_OUT_OF_MEMORY,
            near=r"in (capture_model|capture_graph|_capture_cudagraphs|_warmup_and_capture)\b",
        ),
        source=_CONSERVE,
    ),
    cause(
        "cuda_oom/sampler_warmup",
        "The GPU ran out of memory when vLLM tried a full batch before it started to serve.",
        "Lower max_num_seqs or gpu_memory_utilization in llmserve_engine_args.",
        seen(LIKELY - 2, r"CUDA out of memory occurred when warming up sampler"),
        source=_CONSERVE,
    ),
    cause(
        "cuda_oom/load",
        "The weights do not fit into the memory of a GPU.",
        "Use more GPUs (llmserve_tensor_parallel_size, llmserve_pipeline_parallel_size) or a quantized model, or "
        "cpu_offload_gb in llmserve_engine_args; playbooks/plan.yml says beforehand what fits. Make sure with "
        "nvidia-smi that nothing else uses the GPU.",
        seen(
            LIKELY - 1,
            *_OUT_OF_MEMORY,
            near=r"in (load_model|load_weights|create_weights|initialize_model|_initialize_model)\b",
        ),
        source=_ISSUES + "6746",
    ),
    cause(
        "cuda_oom",
        "A GPU ran out of memory.",
        "Use more GPUs (llmserve_tensor_parallel_size) or a quantized model, lower gpu_memory_utilization, "
        "max_model_len or max_num_seqs in llmserve_engine_args, and make sure with nvidia-smi that nothing else uses "
        "the GPU.",
        seen(LIKELY, *_OUT_OF_MEMORY),
        # how the libraries say that nothing was left for their workspace
        seen(LIKELY + 1, r"CUBLAS_STATUS_(ALLOC_FAILED|NOT_INITIALIZED)|CUDNN_STATUS_ALLOC_FAILED"),
        source=_CONSERVE,
    ),
    cause(
        "host_oom/cgroup",
        "The kernel killed a process because its container had reached its memory limit.",
        "Raise or remove the container's memory limit, or lower cpu_offload_gb (pinned memory may take twice what it "
        "says) in llmserve_engine_args.",
        seen(LIKELY - 2, r"Memory cgroup out of memory: Killed process", r"oom-kill:constraint=CONSTRAINT_MEMCG"),
        exact="The killed process held {resident_gib:.1f} GiB: raise or remove the container's memory limit, or lower "
        "cpu_offload_gb in llmserve_engine_args.",
        source=_ISSUES + "56410",
    ),
    cause(
        "host_oom/ray",
        "Ray's memory monitor killed a worker because the node was almost out of main memory.",
        "Free host memory or lower cpu_offload_gb in llmserve_engine_args; RAY_memory_usage_threshold in ray_node_env "
        "moves the limit, RAY_memory_monitor_refresh_ms: '0' turns the monitor off.",
        seen(
            LIKELY - 1,
            r"ray\.exceptions\.OutOfMemoryError",
            r"killed due to (memory pressure|the node running low on memory)",
            r"Task was killed due to the node running low on memory",
            r"NODE_OUT_OF_MEMORY",
            mild=True,
            unless=_KILLED,
        ),
        source="https://docs.ray.io/en/latest/ray-core/scheduling/ray-oom-prevention.html",
    ),
    cause(
        "host_oom",
        "The host or the container ran out of main memory.",
        "Free host memory, raise the container's memory limit, or lower cpu_offload_gb in llmserve_engine_args (it may "
        "need twice what it says); `dmesg` names the process that the kernel killed.",
        seen(
            LIKELY,
            r"^MemoryError|: MemoryError\b|\bMemoryError:",
            r"DefaultCPUAllocator: can't allocate memory|DefaultCPUAllocator: not enough memory",
            r"\[Errno 12\] Cannot allocate memory|std::bad_alloc|unable to mmap \d+ bytes",
            r"Available memory on node .* on startup is less than desired CPU memory utilization",
            r"Out of memory: Killed process|oom-kill:|oom_reaper|invoked oom-killer",
            r"Failed with result 'oom-kill'|OOMKilled[=:] ?true|[Dd]etected \d+ oom[_-]kill event",
        ),
        exact="The killed process held {resident_gib:.1f} GiB: free host memory, or lower cpu_offload_gb in "
        "llmserve_engine_args (it may need twice what it says).",
        source=_ISSUES + "1160",
    ),
    cause(
        "pinned_memory_failed",
        "The host memory for offloaded weights or KV cache could not be locked for the GPU.",
        "Lower cpu_offload_gb or kv_offloading_size in llmserve_engine_args, allow the container unlimited memlock, or "
        "set VLLM_WEIGHT_OFFLOADING_DISABLE_PIN_MEMORY: '1' in vllm_serve_env.",
        seen(
            NAMED,
            r"cudaHostAlloc.*fail|cudaHostRegister.*fail|Failed to CUDA host alloc",
            r"CUDA error: (resource already mapped|OS call failed)",
            r"requires uva \(pin memory\) support|UVA is not available|CPU offload(ing)? requires UVA",
            r"[Cc]annot pin .*memory|pin_memory.* failed|CPU tensor must be pinned",
        ),
        seen(LIKELY - 1, *_OUT_OF_MEMORY, near=r"in (pin_memory|_pin_memory)\b|\.pin_memory\(\)"),
        source=_ISSUES + "56410",
    ),
    cause(
        "cpu_offload_unsupported",
        "CPU offload does not work with this model or engine.",
        "Take cpu_offload_gb out of llmserve_engine_args and use more GPUs or a quantized model, or another "
        "llmserve_image.",
        seen(
            NAMED,
            r"Cannot re-initialize the input batch when CPU weight offloading is enabled",
            r"cpu_offload_gb.*(not supported|unsupported|must be|incompatible|ignored and)",
            r"CPU (weight )?offload(ing)? is not supported",
        ),
        source=_ISSUES + "51396",
    ),
    cause(
        "shm_too_small",
        "The container's shared memory is too small for the traffic between the workers.",
        "Run the container with ipc_mode: host, or a larger shm_size; the roles of this collection do.",
        seen(
            NAMED,
            r"Insufficient space in /dev/shm",
            r"insufficient shared memory",
            r"Error(:| while) .*shared memory (segment|file) .*/dev/shm",
            r"No space left on device.*/dev/shm|/dev/shm.*No space left on device",
            r"Unexpected bus error|Fatal Python error: Bus error|Bus error +\(core dumped\)",
            r"exceeds /dev/shm size",
        ),
        # SIGBUS is how a full /dev/shm kills
        seen(CRASH - 1, r"exit ?code:? (-7|135)\b|exited with code 135\b"),
        exact="Run the container with ipc_mode: host, or a shm_size well above {shm_needed_mib:.0f} MiB (it has "
        "{shm_free_mib:.0f}).",
        source=_ISSUES + "322",
    ),
    cause(
        "swap_space_too_large",
        "More main memory was set aside for swapped KV cache than the host has.",
        "Take swap_space out of llmserve_engine_args: engines since 0.11 never use it, and 0.18 removed it.",
        seen(NAMED, r"Too large swap space\."),
        source="https://github.com/vllm-project/vllm/pull/36216",
    ),
    cause(
        "engine_killed/silent",
        "A process of the engine is gone, without a word and without telling how it ended; most often it was killed.",
        "Look at `dmesg -T` for an out-of-memory kill and at the journal of that time on the same host.",
        seen(
            CRASH + 6,
            r"(Worker|Engine core) proc(ess)? \S+ died unexpectedly(, shutting down|\.)",
            r"RayWorkerProc rank=\S+ died unexpectedly",
        ),
        # systemd and Ctrl-C stop the engine core at the same time as the server, which is surprised
        seen(
            CRASH + 6,
            r"MPClient: engine core exited unexpectedly",
            mild=True,
            unless=r"received signal|[Rr]eceived (SIGTERM|SIGINT)|KeyboardInterrupt",
        ),
        source=_ISSUES + "1160",
    ),
    cause(
        "engine_killed",
        "A process of the engine was killed from outside, most often by the kernel for lack of memory.",
        "Look at `dmesg -T` for an out-of-memory kill; free host memory or raise the container's limit.",
        seen(
            CRASH + 5,
            r"exit ?code:? (-9|137)\b|exited with code 137\b|is killed by signal: Killed",
            r"Failed core proc\(s\): \{.*: (-9|137)\b",
            r"^Killed$|^\S*: line \d+: +\d+ Killed ",
            r"(?<!by )\bSIGKILL\b",
            r"Main process exited, code=killed, status=9/KILL",
        ),
        source=_ISSUES + "1160",
    ),
    cause(
        "stopped_by_signal",
        "Somebody or something asked the server to stop.",
        "Nothing to mend when that was intended; else look who stopped the container (`docker events`, systemd).",
        seen(
            STOP,
            r"received signal[= ]+(SIG)?(TERM|INT|15|2)\b",
            r"[Rr]eceived (SIGTERM|SIGINT)",
            r"KeyboardInterrupt",
            r"\*\*\* SIGTERM received at|exited with code (130|143)\b|CANCELLED AT [^ ]+( \*+)?$",
            r"^INFO: +Shutting down$",
            mild=True,
        ),
    ),
)
