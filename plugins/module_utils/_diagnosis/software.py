# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Causes in the software: installation, compilers, caches, and crashes in native code.

This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

from typing import Tuple

from ansible_collections.llmserve.vllm.plugins.module_utils._diagnosis.model import (
    CRASH,
    GENERAL,
    LIKELY,
    NAMED,
    Cause,
    cause,
    seen,
)

_VLLM = "https://github.com/vllm-project/vllm/issues/"

CAUSES: Tuple[Cause, ...] = (
    cause(
        "compiler_missing",
        "Triton or torch.compile need a C compiler (and Python's headers), and the image or venv has none.",
        "Use the official llmserve_image, or install gcc and the python3-dev of the venv's Python.",
        seen(
            NAMED,
            r"Failed to find C compiler",
            r"\bgcc'?: (No such file or directory|(command )?not found)",
            r"No such file or directory: '(gcc|cc|g\+\+|clang|ninja|x86_64-linux-gnu-gcc)'",
            r"fatal error: (Python\.h|cuda\.h|stdlib\.h): No such file",
            r"InvalidCxxCompiler|No working C\+\+ compiler found",
            r"/usr/bin/ld: cannot find -lcuda\b",
        ),
    ),
    cause(
        "jit_kernels_missing",
        "Kernels that are built on first use (FlashInfer, DeepGEMM) cannot be built: nvcc or ninja is missing.",
        "Use the official llmserve_image, which has them built, or install the CUDA toolkit and set CUDA_HOME; "
        "VLLM_USE_FLASHINFER_SAMPLER: '0' in vllm_serve_env avoids some of them.",
        seen(
            NAMED,
            r"Could not find nvcc|nvcc: (command )?not found|No such file or directory: '\S*nvcc'",
            r"CUDA_HOME environment variable is not set",
            r"Ninja is required to load C\+\+ extensions|Ninja build failed",
            r"FlashInfer is required",
            r"FlashInfer .*not (installed|available|found)|flashinfer.*(JIT|jit).*([Ff]ailed|[Ee]rror)",
            r"(DeepEP|MoRI) kernels not found|Cutlass is required for",
            r"Assertion error \(\S*jit\S*\): exit_code == 0",
        ),
        source="https://docs.flashinfer.ai/installation.html",
    ),
    cause(
        "compile_failed",
        "torch.compile or Triton could not compile the model.",
        "Try enforce_eager: true in llmserve_engine_args; if that works, remove the compile cache in "
        "llmserve_state_dir and try another llmserve_image.",
        seen(
            LIKELY + 3,
            r"torch\._dynamo\.exc\.\w+|torch\._inductor\.exc\.\w+|BackendCompilerFailed|InductorError",
            r"triton\.(compiler\.errors\.)?CompilationError|PassManager::run failed|triton\.runtime\.errors\.\w+",
            r"failed to get the hash of the compiled graph|Failed to compile the graph",
            r"Inductor cache lookup failed",
        ),
        source="https://docs.vllm.ai/en/latest/design/debug_vllm_compile/",
    ),
    cause(
        "kernel_failed",
        "A GPU kernel does not work for this combination of GPU, model, data types and sizes.",
        "Choose another attention_backend, moe_backend or linear_backend in llmserve_engine_args, or another "
        "llmserve_image; the evidence names the library.",
        seen(
            LIKELY + 2,
            r"Failed to find a kernel that can implement",
            r"Check failed: .*cudaSuccess.*(failed with error|error: )",
            r"\[(FP4|FP8) [Gg]emm Runner\] Failed|Failed to (initialize|run) (cutlass|the cutlass|CUTLASS)",
            r"Assertion error \(\S*jit_kernels/|cutlass (\w+ )*error:? Error Internal|cutlass cannot (run|implement)",
            r"No valid (cutlass|GEMM|tactic)\w* .*(found|available)|FlashAttention forward .* (failed|not support)",
        ),
        source=_VLLM + "24377",
    ),
    cause(
        "compile_cache_corrupt",
        "A cache of compiled code is damaged, or several ranks wrote it at the same time.",
        "Remove the compile cache (in llmserve_state_dir; ~/.triton, ~/.cache/vllm and /tmp/torchinductor_* in a venv) "
        "and start again.",
        seen(
            NAMED,
            r"No such file or directory: '\S*/(\.triton/cache|triton_cache|torchinductor_\w+|torch_compile_cache)/",
            r"torch_compile_cache.*(EOFError|JSONDecodeError|file too short)",
            r"\.triton.*(JSONDecodeError|file too short)",
            r"Please remove ?the cache file",
        ),
        source=_VLLM + "6276",
    ),
    cause(
        "cuda_fork",
        "CUDA was already in use when the workers were forked.",
        "Set VLLM_WORKER_MULTIPROC_METHOD: spawn in vllm_serve_env.",
        seen(NAMED, r"Cannot re-initialize CUDA in forked subprocess"),
        seen(LIKELY, r"CUDA error: initialization error"),
        source=_VLLM + "14535",
    ),
    cause(
        "multiprocessing_main_guard",
        "A script of your own starts vLLM without the guard that starting processes by spawn needs.",
        "Put the script's code under `if __name__ == '__main__':`, or serve with the role vllm_serve.",
        seen(NAMED, r"An attempt has been made to start a new process before the"),
        source="https://docs.vllm.ai/en/latest/usage/troubleshooting/",
    ),
    cause(
        "cpu_instructions_missing",
        "The host's CPU lacks instructions that the program was built for.",
        "Use a build for this CPU, or a host with AVX2 or AVX512.",
        seen(NAMED, r"Fatal Python error: Illegal instruction|SIGILL\b|exit ?code: -4\b"),
        source="https://docs.vllm.ai/en/latest/getting_started/installation/cpu/",
    ),
    cause(
        "build_failed",
        "Building vLLM or one of its packages from source failed.",
        "Use the wheels or the official llmserve_image: both exist for x86_64 and, since 0.10.2, for arm64.",
        seen(
            LIKELY + 4,
            r"ninja: build stopped: subcommand failed",
            r"error: subprocess-exited-with-error|Failed building wheel for|Failed to build \S*vllm",
            r"RuntimeError: Error compiling objects for extension|CMake Error at ",
        ),
        source=_VLLM + "15435",
    ),
    cause(
        "broken_install/abi",
        "A compiled part was built for other versions of torch or of the C library than those present.",
        "Use the official llmserve_image unchanged, or rebuild image or venv with the versions that this vLLM pins; a "
        "torch upgraded afterwards is the usual culprit.",
        seen(
            GENERAL - 1,
            r"undefined symbol:",
            r"version `(GLIBC|GLIBCXX|CXXABI)_[\d.]+' not found",
            r"operator torchvision::nms does not exist",
        ),
        source=_VLLM + "13608",
    ),
    cause(
        "broken_install",
        "Python packages or libraries in the image or venv do not fit together.",
        "Use the official llmserve_image unchanged, or rebuild the image or venv with the versions that this "
        "vLLM pins.",
        seen(
            GENERAL,
            r"ModuleNotFoundError: No module named",
            r"ImportError: (cannot import name|\S+: cannot open shared object)",
            r"OSError: \S+\.so\S*: cannot open shared object file",
            r"failed to be inspected",
            # transformers 5 under a vLLM made for 4
            r"Tokenizer\w* has no attribute",
            r"_C\w*' object has no attribute",
            r"PackageNotFoundError",
            r"partially initialized module '\w+' has no attribute|A module that was compiled using NumPy 1\.x",
            r"^ImportError: ",
        ),
        source="https://docs.vllm.ai/en/latest/getting_started/installation/gpu/",
    ),
    cause(
        "package_missing",
        "The model or a setting needs a Python package that the image does not have.",
        "Add the package of the evidence to a derived image (llmserve_image), or leave the setting out.",
        seen(
            NAMED + 1,
            r"ImportError: Please install \S+|please install by `?pip install|Try .pip install .hf_xet",
            r"(requires|required).*Please (run|install).*pip install|but is not installed\. (Install|Please)",
            r"Please install (vllm\[\w+\]|bitsandbytes|modelscope|timm|librosa|mistral_common|tiktoken)",
        ),
        source="https://docs.vllm.ai/en/latest/getting_started/installation/gpu/",
    ),
    cause(
        "worker_crash_native/illegal_memory_access",
        "A kernel on the GPU used memory that it may not: a bug of vLLM or a library, or a GPU with faulty memory.",
        "Try another llmserve_image, enforce_eager: true or another attention backend in llmserve_engine_args; "
        "CUDA_LAUNCH_BLOCKING: '1' in vllm_serve_env names the kernel. Look for Xid lines in dmesg.",
        seen(
            CRASH - 2,
            r"an illegal memory access was encountered|device-side assert triggered|unspecified launch failure",
            r"CUDA_ERROR_ILLEGAL_ADDRESS|cudaErrorIllegalAddress",
            r"CUBLAS_STATUS_(EXECUTION_FAILED|INTERNAL_ERROR)",
            r"CUDA error: (misaligned address|an illegal instruction was encountered)",
        ),
        source=_VLLM + "6776",
    ),
    cause(
        "worker_crash_native/ray_actor",
        "A worker of the engine, an actor in Ray's words, died; Ray does not say why.",
        "Look at the log of that worker in /tmp/ray/session_latest/logs of its host, at its container and at dmesg.",
        seen(
            CRASH + 1,
            r"ray\.exceptions\.(ActorDiedError|RayActorError|ActorUnavailableError|WorkerCrashedError)",
            r"The actor died unexpectedly before finishing this task",
            r"A worker died or was killed while executing a task by an unexpected system error",
        ),
        source="https://docs.ray.io/en/latest/ray-core/fault_tolerance/actors.html",
    ),
    cause(
        "worker_crash_native",
        "A worker process crashed in native code.",
        "Look above for the first error of the same process; if there is none, try enforce_eager: true in "
        "llmserve_engine_args and another llmserve_image, and check the GPU with `nvidia-smi -q` and `dmesg` (Xid "
        "messages).",
        seen(
            CRASH,
            r"Fatal Python error: (Segmentation fault|Aborted|Floating)",
            r"Segfault encountered|\*\*\* SIG(?!TERM|INT)\w+ received|(?<!to )\bSIGSEGV\b|SIGABRT|SIGFPE",
            r"exit ?code:? (-(6|7|8|11)|13[24569])\b|exited with code 13[24569]\b",
            r"\(core dumped\)|^Segmentation fault",
            r"(vllm|VLLM|python\S*|ray)\S*\[\d+\]: segfault at |traps: \S*(python|VLLM)\S*\[\d+\]",
        ),
        source="https://docs.vllm.ai/en/latest/usage/troubleshooting/",
    ),
    cause(
        "unclassified_error",
        "The engine failed with an error that this collection does not know yet.",
        "Read the evidence and the lines above it in the log.",
        source="https://docs.vllm.ai/en/latest/usage/troubleshooting/",
    ),
)
