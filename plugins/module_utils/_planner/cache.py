# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The KV cache: groups of layers, bytes per block, blocks that a request needs.

Follows vllm/v1/core/kv_cache_planning.py and v1/kv_cache_interface.py.
This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import functools
from bisect import bisect_left
from typing import Dict, List, NamedTuple, Tuple

from ansible_collections.llmserve.vllm.plugins.module_utils._planner.engine import Release, Settings
from ansible_collections.llmserve.vllm.plugins.module_utils._planner.model import Attention, Model

BLOCK = 16
# MLA's kernels want larger pages (FlashMLA, CUTLASS MLA).
LATENT_BLOCK = 64
# Sliding layers have groups of their own since this release; before, every layer kept the whole context.
HYBRID_SINCE: Release = (0, 9, 2)
# "GPU KV cache size" counts concurrency x max_model_len since then, blocks / groups before.
TOKENS_CHANGED: Release = (0, 20)


class Group(NamedTuple):
    """Layers that share a block table."""

    kind: str
    window: int
    block: int
    layers: int


class Cache(NamedTuple):
    """The KV cache of one pipeline stage on one GPU."""

    groups: Tuple[Group, ...]
    bytes_per_block: float
    bytes_per_token: float

    def blocks(self, available: float) -> int:
        """Blocks that fit into some bytes."""
        return max(0, int(available // self.bytes_per_block)) if self.bytes_per_block else 0

    @property
    def empty(self) -> bool:
        """Whether no layer of the stage keeps a cache."""
        return not self.bytes_per_block

    def blocks_needed(self, length: int, in_flight: int) -> int:
        """Blocks that one request of a length takes from the shared pool."""
        return sum(_group_blocks(group, length, in_flight) for group in self.groups)

    def tokens(self, blocks: int, length: int, in_flight: int, release: Release) -> int:
        """The figure that vLLM logs as the size of the cache."""
        if not self.groups:
            return 0
        if release >= TOKENS_CHANGED:
            return int(blocks / max(1, self.blocks_needed(length, in_flight)) * length)
        return blocks // len(self.groups) * self.groups[0].block

    def longest(self, available: float, limit: int, in_flight: int) -> int:
        """The longest request that fits, by vLLM's own binary search; 0 when none does."""
        if self.empty:
            return limit if available > 0 else 0
        room = self.blocks(available) - 1
        low, high, best = 1, limit, 0
        while low <= high:
            middle = (low + high) // 2
            if self.blocks_needed(middle, in_flight) <= room:
                best, low = middle, middle + 1
            else:
                high = middle - 1
        return best


def _group_blocks(group: Group, length: int, in_flight: int) -> int:
    if group.kind in ("sliding", "chunked"):
        held = group.window + in_flight if group.kind == "chunked" else group.window - 1 + in_flight
        return -(-min(held, length) // group.block) + (1 if group.kind == "sliding" else 0)
    if group.kind == "linear":
        return 1
    return -(-length // group.block)


def value_bytes(model: Model, kv_cache_dtype: str, checkpoint_fp8: bool) -> float:
    """Bytes of one cached value."""
    if kv_cache_dtype.startswith("fp8") or (kv_cache_dtype == "auto" and checkpoint_fp8):
        return 1.0
    return 2.0


def layer_token_bytes(model: Model, attention: Attention, tensor: int, size: float) -> float:
    """Bytes that one token leaves in the cache of one layer on one GPU."""
    latent = model.latent
    if attention.kind == "latent" and latent:
        # the compressed cache is the same on every GPU
        if latent.index_heads:
            # sparse attention: 656 bytes when packed in FP8 (fp8_ds_mla), and an index of 8-bit keys with a scale
            return (656.0 if size == 1.0 else latent.cached * size) + latent.index_dim + 4.0
        return latent.cached * size
    return 2.0 * max(1, attention.kv_heads // tensor) * attention.head_dim * size


def state_bytes(model: Model, tensor: int) -> float:
    """Bytes of the state that one sequence keeps in one layer of linear attention."""
    state = model.recurrence
    if state is None:
        return 0.0
    keys, values = state.key_heads * state.key_dim, state.value_heads * state.value_dim
    convolution = (2 * keys + values) * (state.kernel - 1) * 2.0
    return (convolution + state.value_heads * state.key_dim * state.value_dim * state.state_value) / tensor


def in_flight_tokens(settings: Settings, pipeline: int) -> int:
    """Tokens that are scheduled but not settled (config/vllm.py, max_in_flight_tokens)."""
    if settings.release < (0, 20):
        return settings.max_num_batched_tokens
    batches = pipeline + 1 if settings.release >= (0, 29) or pipeline == 1 else pipeline
    return batches * settings.max_num_batched_tokens


class Plan(NamedTuple):
    """How the layers of the whole model are grouped; a stage keeps its members of every group."""

    groups: Tuple[Group, ...]
    # layers of each group
    members: Tuple[Tuple[int, ...], ...]
    # bytes that a block takes per layer
    page: float
    # bytes per layer that a token leaves
    token_bytes: Tuple[float, ...]


@functools.lru_cache(maxsize=128)
def plan_cache(model: Model, tensor: int, size: float, settings: Settings) -> Plan:
    """Group the layers as get_kv_cache_groups does."""
    buckets: Dict[Tuple[str, int, float], List[int]] = {}
    token_bytes: List[float] = []
    for index, layer in enumerate(model.layers):
        item = layer.attention
        token_bytes.append(0.0)
        if item.kind in _UNCACHED:
            continue
        if item.kind == "linear":
            key = ("linear", 0, 0.0)
        else:
            token_bytes[-1] = layer_token_bytes(model, item, tensor, size)
            key = (*_placement(item, settings), token_bytes[-1])
        buckets.setdefault(key, []).append(index)
    if not buckets:
        return Plan((), (), 0.0, tuple(token_bytes))
    block = LATENT_BLOCK if model.latent else BLOCK
    most = max(token for _kind, _window, token in buckets)
    if model.recurrence:
        # the page of an attention layer grows until it holds the state of a linear layer (_align_hybrid_block_size)
        state = state_bytes(model, tensor)
        block = -(-int(state) // int(block * most)) * block if most else 1
        page = block * most if most else state
    else:
        page = block * most
    groups, members = _grouped(buckets, block, page)
    return Plan(groups, members, page, tuple(token_bytes))


# Layers without a cache of their own: they read another layer's, or nothing per token.
_UNCACHED = ("shared", "cross", "none")


def stage_cache(plan: Plan, first: int, after: int) -> Cache:
    """The cache of a stage's layers: every group of the model, with the members that lie on the stage."""
    most = max((bisect_left(members, after) - bisect_left(members, first) for members in plan.members), default=0)
    return Cache(plan.groups, plan.page * most, sum(plan.token_bytes[first:after]))


def _placement(attention: Attention, settings: Settings) -> Tuple[str, int]:
    kind = "full" if attention.kind == "latent" else attention.kind
    if kind in ("sliding", "chunked") and (not settings.v1 or settings.release < HYBRID_SINCE):
        return "full", 0
    return kind, attention.window if kind != "full" else 0


def _grouped(
    buckets: Dict[Tuple[str, int, float], List[int]], block: int, page: float
) -> Tuple[Tuple[Group, ...], Tuple[Tuple[int, ...], ...]]:
    """Cut the kinds of layers into groups of one size, and their pages to one size."""
    counts = [len(layers) for layers in buckets.values()]
    least, most = min(counts), max(counts)
    # a last group is filled up with padding rather than cut into many (1.5: kv_cache_planning.py)
    size = most if most < least * 1.5 else least
    groups: List[Group] = []
    members: List[Tuple[int, ...]] = []
    for (kind, window, token), layers in buckets.items():
        # a smaller page gets more tokens per block until it is as large as the largest, or is padded
        ratio, rest = divmod(page, token * block) if token else (0.0, 0.0)
        tokens = block if rest else int(ratio) * block
        number = -(-len(layers) // size)
        for start in range(number):
            # dealt out in turn, so that every stage has its share of each group
            members.append(tuple(layers[start::number]))
            groups.append(Group(kind, window, tokens, len(members[-1])))
    return tuple(groups), tuple(members)
