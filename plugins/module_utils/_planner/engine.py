# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Defaults of vLLM by release: utilization, batch sizes, context.

This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

from typing import NamedTuple, Optional, Tuple

from ansible_collections.llmserve.vllm.plugins.module_utils._planner.model import Model

Release = Tuple[int, ...]

GIB = 1024.0**3
# What is planned for when the release is not given.
NEWEST: Release = (0, 33)

# The V1 engine became the default with 0.8 (on GPUs of capability 8.0 and newer), V0 was removed in 0.11.
V1_SINCE: Release = (0, 8)
V0_REMOVED: Release = (0, 11)
V1_OLDEST_GPU = (8, 0)
# config/cache.py: gpu_memory_utilization
UTILIZATION_CHANGED: Release = (0, 20)


class Settings(NamedTuple):
    """The engine's settings that memory depends on."""

    release: Release
    v1: bool
    utilization: float
    max_num_seqs: int
    max_num_batched_tokens: int
    enforce_eager: bool
    kv_cache_dtype: str


def utilization(release: Release) -> float:
    """Default of --gpu-memory-utilization."""
    return 0.92 if release >= UTILIZATION_CHANGED else 0.9


def uses_v1(release: Release, capability: Tuple[int, int]) -> bool:
    """Whether a release runs its V1 engine on such a GPU by default."""
    if release >= V0_REMOVED:
        return True
    return release >= V1_SINCE and capability >= V1_OLDEST_GPU


def default_sequences(release: Release, v1: bool, total_gib: float, gpu: str) -> int:
    """Default of --max-num-seqs for vllm serve (engine/arg_utils.py, get_batch_defaults)."""
    if not v1:
        return 256
    if release < (0, 8, 5):
        return 1024
    return 1024 if _is_large(release, total_gib, gpu) else 256


def default_batched_tokens(release: Release, v1: bool, total_gib: float, gpu: str, *, model: Model, length: int) -> int:
    """Default of --max-num-batched-tokens for vllm serve."""
    if not v1:
        return _v0_batched_tokens(release, model, length)
    if total_gib >= 160 and release >= (0, 29):
        return 16384
    return 8192 if _is_large(release, total_gib, gpu) else 2048


def _is_large(release: Release, total_gib: float, gpu: str) -> bool:
    name = gpu.lower()
    # the A100 was taken out in 0.9 (vLLM #17885), GB10 has the memory but not the compute
    small = ("a100" in name and release >= (0, 9)) or "gb10" in name
    return total_gib >= 70 and not small


def _v0_batched_tokens(release: Release, model: Model, length: int) -> int:
    # V0 prefills a whole prompt at once, unless the context is beyond 32K (chunked prefill, text models, since 0.5.4)
    if length > 32768 and release >= (0, 5) and not model.multimodal:
        return 512 if release < (0, 6, 5) else 2048
    return max(length, 2048)


def settings(
    *,
    release: Optional[Release],
    capability: Tuple[int, int],
    total_gib: float,
    gpu: str,
    model: Model,
    length: int,
    gpu_memory_utilization: Optional[float],
    max_num_seqs: Optional[int],
    max_num_batched_tokens: Optional[int],
    enforce_eager: bool,
    kv_cache_dtype: str,
) -> Settings:
    """The settings that vLLM would use, where they are not given."""
    chosen = release or NEWEST
    v1 = uses_v1(chosen, capability)
    sequences = max_num_seqs or default_sequences(chosen, v1, total_gib, gpu)
    tokens = max_num_batched_tokens or default_batched_tokens(chosen, v1, total_gib, gpu, model=model, length=length)
    # V1 never batches more than max_num_seqs times the context
    if v1 and not max_num_batched_tokens:
        tokens = min(tokens, max(sequences * length, 1))
    return Settings(
        release=chosen,
        v1=v1,
        utilization=gpu_memory_utilization or utilization(chosen),
        max_num_seqs=sequences,
        max_num_batched_tokens=tokens,
        enforce_eager=enforce_eager,
        kv_cache_dtype=kv_cache_dtype,
    )
