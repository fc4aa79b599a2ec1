"""The CPU platform of vLLM under the rules of a GPU node."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch
from vllm.platforms.cpu import CpuPlatform

GPU_TABLE = Path("/opt/simgpu/gpus.tsv")
KV_CACHE_MIB = 64

# The image keeps only the AVX2 kernels, for every x86 host to run the same code. vLLM asks torch what the CPU can
# do before it calls a kernel that the AVX2 library lacks.
for _feature in ("amx_tile", "amx_fp16", "avx512", "avx512_bf16", "avx512_vnni"):
    setattr(torch.cpu, f"_is_{_feature}_supported", lambda: False)


class SimGpuPlatform(CpuPlatform):
    """CPU platform that Ray schedules as if it had GPUs."""

    ray_device_key = "GPU"
    device_control_env_var = "CUDA_VISIBLE_DEVICES"
    # with TP > 1 vLLM compiles small helpers; the default backend needs a C++ compiler at the first request
    simple_compile_backend = "eager"

    @classmethod
    def check_and_update_config(cls, vllm_config: Any) -> None:
        """Keep the user's flags, but compile nothing and reserve little memory for the KV cache."""
        super().check_and_update_config(vllm_config)
        # only importable once vLLM has chosen its platform
        from vllm.config import CompilationMode  # noqa: PLC0415

        parallel = vllm_config.parallel_config
        if parallel.worker_cls == "vllm.v1.worker.cpu_worker.CPUWorker":
            parallel.worker_cls = "vllm_simgpu.worker.SimGpuWorker"
        vllm_config.compilation_config.mode = CompilationMode.NONE
        if vllm_config.cache_config is not None:
            vllm_config.cache_config.kv_cache_memory_bytes = KV_CACHE_MIB << 20

    @classmethod
    def device_count(cls) -> int:
        """Count the GPUs given to this container: multi-node mp derives the ranks per node from it."""
        visible = os.environ.get("CUDA_VISIBLE_DEVICES")
        if visible:
            return max(1, len([device for device in visible.split(",") if device.strip()]))
        if GPU_TABLE.exists():
            return max(1, len(GPU_TABLE.read_text(encoding="utf-8").splitlines()))
        return int(super().device_count())

    @classmethod
    def import_kernels(cls) -> None:
        """Load the one kernel library that the image keeps."""
        try:
            import vllm._C_AVX2  # noqa: F401, PLC0415
        except ImportError as error:
            # it registers torch operators and is no Python module: that it is loaded is enough
            if "dynamic module does not define module export function" not in str(error):
                raise
