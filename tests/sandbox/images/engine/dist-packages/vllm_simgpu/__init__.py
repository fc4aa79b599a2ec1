"""vLLM platform plugin of the sandbox: the CPU platform, scheduled as if it had GPUs."""

from __future__ import annotations


def register() -> str:
    """Tell vLLM which platform class to use."""
    return "vllm_simgpu.platform.SimGpuPlatform"
