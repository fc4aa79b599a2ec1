# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lines by which C(_diagnose.py) knows a cause, over vLLM 0.4 to 0.33 and the libraries below it.

This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import re
from typing import List, NamedTuple, Optional, Pattern, Tuple

# How near a line is to the root. Within a rank the earlier line wins.
NAMED = 10  # says by itself what is wrong
LIKELY = 20  # says it, but is also seen as a consequence of something NAMED
GENERAL = 40  # a class of errors that something more specific usually explains
CRASH = 60  # that a process died, not why
STOP = 80  # orderly ends and echoes of a crash


class Signature(NamedTuple):
    """A pattern for one line; C(also) and C(unless) look at the whole log of the failed run."""

    slug: str
    rank: int
    pattern: Pattern[str]
    also: Optional[Pattern[str]] = None
    unless: Optional[Pattern[str]] = None


def _signatures(slug: str, rank: int, *patterns: str, also: str = "", unless: str = "") -> List[Signature]:
    return [
        Signature(
            slug,
            rank,
            re.compile(pattern),
            re.compile(also) if also else None,
            re.compile(unless) if unless else None,
        )
        for pattern in patterns
    ]


_GATED = r"(access|to) a? ?gated repo|Access to model .* is restricted|GatedRepoError"
_UNAUTHORIZED = r"401 Client Error|[Pp]lease log in|must have access to it and be authenticated"
_FORBIDDEN = r"403 Client Error|not in the authorized list|awaiting a review|fine-grained token"

SIGNATURES: Tuple[Signature, ...] = tuple(
    # --- command line and configuration
    _signatures(
        "unknown_flag",
        NAMED,
        r"error: unrecognized arguments:",
        r"error: ambiguous option:",
        r"EngineArgs\.__init__\(\) got an unexpected keyword argument",
    )
    + _signatures(
        "invalid_flag_value",
        NAMED,
        r"error: argument [-\w/, ]+: (invalid|expected|not allowed|Value)",
        r"error: the following arguments are required",
        r"Unknown quantization method",
        r"Unknown (dtype|executor backend|load format)|Invalid (attention backend|distributed executor backend)",
        r"`served[-_]model[-_]name` .*(must|requires)",
    )
    # pydantic's frame around whatever a configuration class refuses; what it refuses is on the next line
    + _signatures("invalid_flag_value", GENERAL, r"\d+ validation errors? for (\w*Config|EngineArgs|AsyncEngineArgs)\b")
    + _signatures("max_model_len_gt_model", NAMED, r"max_model_len \(\d+\) is greater than the derived max_model_len")
    + _signatures(
        "max_model_len_exceeds_kv_cache",
        NAMED,
        r"is larger than the maximum number of tokens that can be stored in (the )?KV cache",
        r"To serve at least one request with the model'?s max seq len",
    )
    + _signatures("kv_cache_no_memory", NAMED, r"No available memory for the cache blocks")
    + _signatures(
        "tp_heads_not_divisible",
        NAMED,
        r"Total number of attention heads \(\d+\) must be divisible by",
        r"\d+ is not divisible by \d+$",
        r"(input|output)_size\b.* is not divisible by weight quantization block",
        r"num(ber of)?[_ ](kv|key.value|query|attention)?_?\s?heads\b.*(must be divisible|not divisible)",
    )
    + _signatures(
        "world_size_exceeds_gpus",
        NAMED,
        r"World size \(\d+\) is larger than the number of available GPUs",
        r"please (ensure|make sure) that world_size \(\d+\) is less than than max local",
    )
    # --- memory and devices
    + _signatures(
        "gpu_memory_in_use",
        NAMED,
        r"Free memory on device .* on startup is less than (desired GPU memory|the engine's budget)",
        r"Error in memory profiling\.",
    )
    + _signatures(
        "cuda_oom",
        LIKELY,
        r"(torch\.|torch\.cuda\.)OutOfMemoryError",
        r"CUDA out of memory",
        r"CUDA error: out of memory",
        r"CUDA_ERROR_OUT_OF_MEMORY|cudaErrorMemoryAllocation",
    )
    + _signatures(
        "host_oom",
        LIKELY,
        r"^MemoryError|: MemoryError\b|\bMemoryError:",
        r"DefaultCPUAllocator: can't allocate memory|DefaultCPUAllocator: not enough memory",
        r"\[Errno 12\] Cannot allocate memory",
        r"Out of memory: Killed process|oom-kill|oom_reaper",
        r"ray\.exceptions\.OutOfMemoryError",
        r"killed due to (memory pressure|the node running low on memory)",
        r"Task was killed due to the node running low on memory",
    )
    + _signatures(
        "fabric_manager_down",
        NAMED,
        r"Error 802: system not yet initialized|CUDA error: system not yet initialized|cudaErrorSystemNotReady",
    )
    + _signatures(
        "driver_too_old",
        NAMED,
        r"NVIDIA driver on your system is too old",
        r"CUDA driver version is insufficient for CUDA runtime version",
        r"Error 80[34]\b",
        r"forward compatibility was attempted on non supported HW",
        r"unsupported display driver / cuda driver combination",
        r"PTX was compiled with an unsupported toolchain",
        r"requirement error: unsatisfied condition: cuda",
    )
    + _signatures(
        "gpu_arch_unsupported",
        NAMED,
        r"no kernel image is available for execution on the device",
        r"Bfloat16 is only supported on GPUs with compute capability",
        r"quantization method .* is not supported for the current GPU",
        r"only supports? Ampere GPUs or newer",
        r"ptxas fatal.*sm_\d+",
        r"(fp8e4nv|FP8).* not supported (in|on) this architecture",
    )
    + _signatures(
        "gpu_not_visible",
        LIKELY,
        r"No CUDA GPUs are available",
        r"no CUDA-capable device is detected",
        r"CUDA error: invalid device ordinal",
        r"Failed to initialize NVML: Unknown Error",
        r"NVML_ERROR_(NO_PERMISSION|GPU_NOT_FOUND)|NVMLError_\w*(NotFound|InvalidArgument)",
        r"could not select device driver",
    )
    + _signatures(
        "no_gpu_platform",
        LIKELY,
        r"Failed to infer device type",
        r"Device string must not be empty",
        r"libcuda\.so\.1: cannot open shared object file",
        r"Found no NVIDIA driver on your system",
        r"Torch not compiled with CUDA enabled",
    )
    # --- the model
    + _signatures(
        "trust_remote_code_required",
        NAMED,
        r"contains custom code which must be executed",
        r"[Pp]lease pass the argument `?trust_remote_code=True",
        r"set(ting)? (the option )?`?(--trust-remote-code|trust_remote_code=True)",
        r"requires you to execute the .* in that repo",
    )
    + _signatures(
        "transformers_too_old",
        NAMED,
        r"but Transformers does not recognize this architecture",
        r"Transformers does not recognize this architecture",
        r"requires? transformers\s?(version)?\s?[><=]=?",
        r"(upgrade|update) (to )?(a newer version of )?[Tt]ransformers",
        r"cannot import name '\w+' from 'transformers",
    )
    + _signatures(
        "model_arch_unsupported",
        LIKELY,
        r"Model architectures? .* (is|are) not supported",
        r"has no vLLM implementation",
        r"does not support (the )?Transformers (backend|implementation)|no .*-compatible Transformers implementation",
        r"Unrecognized (model|configuration class)",
    )
    + _signatures(
        "gated_repo_unauthenticated",
        NAMED,
        _GATED,
        also=_UNAUTHORIZED,
        unless=_FORBIDDEN,
    )
    + _signatures(
        "gated_repo_not_authorized",
        NAMED,
        _GATED,
        r"awaiting a review from the repo authors|not in the authorized list",
        also=_FORBIDDEN,
    )
    + _signatures("gated_repo_unauthenticated", LIKELY, r"You are trying to access a gated repo|GatedRepoError")
    + _signatures(
        "hub_offline_not_cached",
        NAMED,
        r"outgoing traffic has been disabled",
        r"OfflineModeIsEnabled|offline mode is enabled",
        r"IncompleteSnapshotError",
    )
    + _signatures(
        "hub_unreachable",
        LIKELY,
        r"We couldn't connect to 'https?://",
        r"host='huggingface\.co'.*(Max retries|NameResolution|NewConnection|ConnectTimeout|ReadTimeout)",
        r"Failed to resolve '[\w.-]*(huggingface|hf)\.co'",
        r"An error happened while trying to locate the files? on the Hub",
        r"(ConnectError|ConnectTimeout|ConnectionError|MaxRetryError).*(huggingface|hf\.co)",
    )
    + _signatures(
        "hub_unreachable",
        GENERAL,
        r"(httpx2?|httpcore2?)\.Connect(Error|Timeout)",
        r"Temporary failure in name resolution|Name or service not known",
        also=r"hugging|hf_hub|hf\.co",
    )
    + _signatures(
        "model_path_missing",
        NAMED,
        r"Repo id must (be in the form|use alphanumeric).*'[./]",
        r"Invalid repository ID or local directory specified: '?[./]",
        r"['\" ]/\S+ does not appear to have a file named config\.json",
        r"(is not a local folder|Can't load the configuration of).*'/",
        r"No such file or directory: '/\S*config\.json'",
    )
    + _signatures(
        "model_not_found_or_private",
        LIKELY,
        r"is not a local folder and is not a valid model identifier",
        r"RepositoryNotFoundError|RevisionNotFoundError|Repository Not Found for url|Revision Not Found for url",
        r"Invalid repository ID or local directory specified",
        r"Repo id must (be in the form|use alphanumeric)",
        r"does not appear to have a file named config\.json",
        r"is not a valid git identifier",
    )
    + _signatures(
        "tokenizer_missing",
        LIKELY,
        r"Can't load tokenizer for",
        r"Couldn't instantiate the backend tokenizer",
        r"Unable to load vocabulary from file",
        r"Tokenizer class \w+ does not exist",
        r"No tokenizer file found",
    )
    + _signatures(
        "weights_missing",
        LIKELY,
        r"Cannot find any model weights",
        r"weights were not initialized from checkpoint",
        r"No such file or directory: .*\.(safetensors|bin|pt)\b",
        r"No files? matching .*safetensors",
    )
    + _signatures(
        "weights_corrupt",
        NAMED,
        r"SafetensorError|Error while deserializing header|HeaderTooLarge|MetadataIncompleteBuffer",
        r"incomplete metadata, file not fully covered",
        r"PytorchStreamReader failed",
        r"UnpicklingError",
    )
    # --- host and network
    + _signatures(
        "shm_too_small",
        NAMED,
        r"Insufficient space in /dev/shm",
        r"insufficient shared memory",
        r"Error while creating shared memory segment /dev/shm",
        r"No space left on device.*/dev/shm|/dev/shm.*No space left on device",
        r"Unexpected bus error|Fatal Python error: Bus error",
    )
    + _signatures(
        "disk_full", LIKELY, r"No space left on device|Disk quota exceeded", unless=r"No space left on device.*/dev/shm"
    )
    + _signatures(
        "port_in_use",
        NAMED,
        r"\[Errno 98\]",
        r"[Aa]ddress already in use",
        r"EADDRINUSE",
    )
    + _signatures(
        "insufficient_ray_resources",
        LIKELY,
        r"Cannot provide a placement group",
        r"number of required \w+s exceeds the total number of available",
        r"No available node types can fulfill resource request",
        r"Waiting for creating a placement group of specs for (?:[3-9]\d|\d{3,}) seconds",
        r"Tensor parallel size \(\d+\) (exceeds|cannot be larger)",
    )
    + _signatures(
        "ray_driver_node_without_gpu",
        NAMED,
        r"Ray does not allocate any \w+s on the driver node",
        r"Current node has no \w+ available",
        r"driver node .*(no|without) GPU",
    )
    + _signatures("ray_version_mismatch", NAMED, r"(?<!patch )[Vv]ersion mismatch: (cluster has|The cluster was)")
    + _signatures(
        "ray_auth", NAMED, r"ray\.exceptions\.AuthenticationError|InvalidAuthToken|no authentication token was found"
    )
    + _signatures(
        "ray_missing",
        NAMED,
        r"No module named 'ray'",
        r"Failed to import Ray|Ray is not installed|[Pp]lease install ray",
        r"\bray: (command )?not found|\"ray\": executable file not found",
    )
    + _signatures(
        "ray_unreachable",
        LIKELY,
        r"Failed to connect to Ray cluster|Could not find any running Ray instance",
        r"Timed out while waiting for GCS|Failed to connect to GCS",
    )
    + _signatures(
        "rendezvous_timeout",
        LIKELY,
        r"DistStoreError|DistNetworkError",
        r"client socket has (timed out|failed to connect)",
        r"Timed out after \d+ seconds waiting for clients",
        r"[Ww]ait timeout after \d+ms, keys",
        r"Gloo connectFullMesh failed",
        r"Timed out waiting for (new )?engine core processes",
        r"The IPv[46] network addresses of .* cannot be retrieved",
    )
    + _signatures(
        "nccl_timeout",
        LIKELY,
        r"Watchdog caught collective operation timeout",
        r"Watchdog got stuck|NCCL.*[Tt]imed? ?out",
    )
    + _signatures(
        "nccl_system_error",
        LIKELY,
        r"NCCL error|ncclSystemError|ncclInternalError|ncclRemoteError|ncclUnhandledCudaError",
        r"NCCL WARN (Call to ibv_|Bootstrap : no socket interface|.*No such device)",
    )
    + _signatures(
        "broken_install",
        GENERAL,
        r"undefined symbol:",
        r"version `(GLIBC|GLIBCXX|CXXABI)_[\d.]+' not found",
        r"ModuleNotFoundError: No module named",
        r"ImportError: (cannot import name|lib\S+: cannot open shared object)",
        r"failed to be inspected",
        r"_C\w*' object has no attribute|torch\.ops\._C",
        r"PackageNotFoundError",
    )
    # --- how it ended, not why
    + _signatures(
        "worker_crash_native",
        CRASH,
        r"Fatal Python error: (Segmentation fault|Aborted|Illegal instruction|Floating)",
        r"Segfault encountered|SIGSEGV|SIGABRT|SIGILL\b|SIGFPE",
        r"exit ?code: -(4|6|7|8|11)\b",
        r"(an illegal memory access was encountered|device-side assert triggered|unspecified launch failure)",
        r"core dumped",
    )
    + _signatures("engine_killed", CRASH + 5, r"exit ?code: (-9|137)\b", r"^Killed$", r"\bSIGKILL\b")
    + _signatures(
        "stopped_by_signal",
        STOP,
        r"received signal[= ]+(SIG)?(TERM|INT|15|2)\b",
        r"[Rr]eceived (SIGTERM|SIGINT)",
        r"KeyboardInterrupt",
        r"^INFO: +Shutting down$",
    )
)

# The only causes that may be read from a line of level INFO or WARNING.
MENTIONED = ("insufficient_ray_resources", "stopped_by_signal")

# Waiting for these may still succeed, so they only count when nothing after them shows that it went on.
WAITING = ("insufficient_ray_resources", "hub_unreachable")

# Signs that the start went on.
PROGRESS = (
    re.compile(r"Loading (safetensors|pt|bin|weights|model)\b.*(shards|Completed|weights)"),
    re.compile(r"Loading weights took|Model loading took|Starting to load model"),
    re.compile(r"KV cache size|Available KV cache memory|Capturing CUDA graph|Graph capturing finished"),
    re.compile(r"Application startup complete"),
)

# Nothing comes after these but the clean-up.
TERMINAL = (
    re.compile(r"EngineCore failed to start|Engine core initialization failed|Engine process failed to start"),
    re.compile(r"WorkerProc (initialization )?failed|EngineCore encountered a fatal error|EngineDeadError"),
    re.compile(r"died unexpectedly|EngineGenerateError|See (stack trace for (the )?)?root cause"),
)
