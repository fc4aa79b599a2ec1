# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Memory that a forward pass and the sampler take at their peak, and what lies outside of PyTorch.

vLLM measures this with a dummy run at start-up; the sums here follow what that run allocates.
This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

from typing import NamedTuple, Tuple

from ansible_collections.llmserve.vllm.plugins.module_utils._planner.engine import GIB, Release, Settings
from ansible_collections.llmserve.vllm.plugins.module_utils._planner.model import Model


class Place(NamedTuple):
    """Where a GPU stands in the layout."""

    tensor: int
    pipeline: int
    is_first: bool
    is_last: bool
    expert_parallel: bool = False


# Bytes per logit (rows of the dummy sampler run x vocabulary), by release. Up to 0.16 the sampler is written in
# PyTorch: logits in 16 and 32 bit, sorted values with 8-byte indices, softmax, cumulative sum and the sort's own
# buffers. 38.6 reproduces the activation peaks logged for 125M to 70B models (Llama 8B 4.76 GiB: 4.72; Qwen3 0.6B
# 5.56: 5.59). 0.17 to 0.19 choose top-k and top-p in Triton, which keeps one copy less of the sorted values (one
# published log).
_LOGIT_BYTES: Tuple[Tuple[Release, float], ...] = (((0, 17), 38.6), ((0, 20), 22.0))
# Since 0.20: the logits in 16 bit and a part of them in 32 (Qwen3 8B on 2 GPUs: 0.21 GiB logged, 0.20 computed).
_LOGIT_BYTES_TODAY = 5.0

# torch.compile tries the embedding on a random table of its own size (cold cache, one GPU): 1,084,479,242 bytes
# measured for Llama 8B, 1,084,227,584 computed. Seen in 0.29 and 0.30; 0.22 held more than that would have left.
_COMPILED_EMBEDDING_SINCE: Release = (0, 29)


# Up to 0.6.3 the peak was what PyTorch's allocator had reserved, gaps included (worker.py: mem_get_info after the run):
# 4.1 GiB where 3.4 were in use for Mistral 7B on an A10G.
RESERVED_UNTIL: Release = (0, 6, 4)
RESERVED = 1.2


def peak_bytes(model: Model, settings: Settings, place: Place, length: int) -> float:
    """The peak of the profile run on one GPU, above weights."""
    tokens = settings.max_num_batched_tokens
    phases = [_forward(model, settings, place, tokens)]
    if place.is_last:
        rows = min(settings.max_num_seqs, tokens)
        phases.append(rows * model.vocab * _logit_bytes(settings.release) + tokens * model.hidden * 2.0)
    if _compiles_embedding(settings, place):
        phases.append(model.vocab * model.hidden * 2.0 + 2 * tokens * model.hidden * 2.0)
    peak = max(phases) + _latent_prefill(model, settings, place, length) + _cross_attention(model, settings)
    return peak * (RESERVED if settings.release < RESERVED_UNTIL else 1.0)


def _compiles_embedding(settings: Settings, place: Place) -> bool:
    compiled = settings.release >= _COMPILED_EMBEDDING_SINCE and not settings.enforce_eager
    return compiled and place.tensor == 1 and place.is_first


def _logit_bytes(release: Release) -> float:
    for until, size in _LOGIT_BYTES:
        if release < until:
            return size
    return _LOGIT_BYTES_TODAY


def _forward(model: Model, settings: Settings, place: Place, tokens: int) -> float:
    """What lives at the widest point of a layer: residual and hidden state, queries, gate, up and their product."""
    width = max((layer.width for layer in model.layers), default=0) / place.tensor
    if model.experts:
        width = max(width, model.experts.shared_width / place.tensor)
    heads = model.heads * model.head_dim / place.tensor
    live = tokens * 2.0 * (2 * model.hidden + heads + (3 if model.gated else 2) * width)
    if not model.experts:
        return live
    experts = model.experts
    wide = float(experts.width) if place.expert_parallel else experts.width / place.tensor
    # two workspaces of the fused kernel (fused_moe, workspace_shapes)
    workspace = tokens * experts.chosen * (max(wide, model.hidden) + max(2 * wide, model.hidden)) * 2.0
    return live + workspace


def _latent_prefill(model: Model, settings: Settings, place: Place, length: int) -> float:
    """MLA unpacks a stretch of cached context into full keys and values (mla/common.py, chunked_prefill_workspace)."""
    latent = model.latent
    if latent is None or not settings.v1:
        return 0.0
    rows = min(max(8 * length, 4 * settings.max_num_seqs * 16), 65536)
    return rows * model.heads / place.tensor * (latent.nope_dim + latent.value_dim) * 2.0


# Llama 3.2 Vision: 4 tiles of 1601 patches an image.
_CROSS_TOKENS = 4 * 1601


def _cross_attention(model: Model, settings: Settings) -> float:
    """Llama 3.2 Vision is profiled with an image for every sequence: its states, and a mask of all its patches.

    The mask alone is 82 MB an image (mllama.py, _prepare_aspect_ratio_attention_mask): the reason why the default of
    256 sequences ends in an out-of-memory error on every GPU.
    """
    if not any(layer.attention.kind == "cross" for layer in model.layers):
        return 0.0
    states = _CROSS_TOKENS * model.hidden * 2.0
    mask = _CROSS_TOKENS**2 * 2.0
    return settings.max_num_seqs * (states + 2 * mask)


def outside_bytes(settings: Settings, place: Place, nvlink: bool) -> float:
    """What counts against the budget besides PyTorch: NCCL, and the CUDA context where vLLM counts it."""
    group = place.tensor
    release = settings.release
    if not settings.v1:
        # logged: 0.11 to 0.35 on PCIe cards; 5.2 to 7.7 on 8 H200, where NCCL takes buffers for NVSwitch
        if group >= 8 and nvlink:
            return 6.4 * GIB
        return (0.25 if group == 1 else 0.35) * GIB
    # 0.14, 0.54 to 0.55 and about 1 GiB logged on one, two, and four to eight GPUs; a group over nodes takes buffers
    # for every peer, which no log shows by itself
    count = 0.14 if group * place.pipeline == 1 else 0.35 if group == 1 else 0.55 if group == 2 else 1.0
    if group > 8:
        count = 2.0
    if release < (0, 9):
        # everything that is used on the GPU counted, so the CUDA context, too (gpu_worker.py of 0.8)
        count += 0.6
    return count * GIB


# Batch sizes that are captured: 1, 2, 4, 8 to 248 in steps of 8, 256 to 512 in steps of 16 (config/vllm.py); 67 in
# steps of 8 before 0.20.
CAPTURES = 51
CAPTURES_BEFORE = 67


def graph_bytes(model: Model, settings: Settings, layers: int, total_gib: float) -> float:
    """CUDA graphs of a stage as far as they count against the budget: since 0.20."""
    if settings.enforce_eager or settings.release < (0, 20):
        return 0.0
    # KAITO measured 1.5 to 1.9 GiB on H100 with 0.22, whatever the model, and a fraction of that on small cards
    size = (1.5 if total_gib >= 70 else 0.1) * GIB
    if model.experts is not None or model.recurrence is not None:
        # more kernels a layer: least squares through the two logs of 0.29 on H100 (4.4 GiB for 36 layers, 6.3 for 47)
        size += 1.75 * 1024.0**2 * layers * CAPTURES
    return size


def uncounted_graph_bytes(model: Model, settings: Settings) -> float:
    """CUDA graphs before 0.20: they come out of what utilization leaves free, and kill the engine where that is less.

    0.4 MiB a layer and captured size in 0.8: 2.65 GiB logged for 80 layers, 4.95 for 126, 0.86 for 32. 0.2 MiB from
    0.11 on: 0.45 GiB for 32 layers, 0.88 for 64.
    """
    if settings.enforce_eager or settings.release >= (0, 20) or not settings.v1:
        return 0.0
    each = 0.4 if settings.release < (0, 11) else 0.2
    return each * 1024.0**2 * len(model.layers) * CAPTURES_BEFORE
