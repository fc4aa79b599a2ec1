# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a decoder layer holds besides matrices: norms, sinks, corrections, scales.

Little, but with it the sum of a layer is vLLM's to the byte, so that a difference points at an error.
This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

from ansible_collections.llmserve.vllm.plugins.module_utils._planner.model import Attention, Layer, Model

_SHORT, _FLOAT = 2.0, 4.0
# attention.py, set_default_quant_scales: scales of keys, values, queries and probabilities, on the GPU
ATTENTION_SCALES = 4 * _FLOAT


def layer_vectors(model: Model, layer: Layer, tensor: int) -> float:
    """Bytes of a layer's vectors on one GPU."""
    total = model.family.norms * model.hidden * _SHORT + model.family.scalars
    total += _attention_vectors(model, layer.attention, tensor)
    if layer.experts and model.experts:
        # one bias per expert where everything has a bias (gpt-oss)
        each = model.family.correction + (_SHORT if model.biases else 0.0)
        total += model.experts.number * each
    return total


def _attention_vectors(model: Model, attention: Attention, tensor: int) -> float:
    if attention.kind == "linear" and model.recurrence:
        state = model.recurrence
        # decay in 32 bit and step in 16 bit per head, and the norm of the output
        return state.value_heads / tensor * (_FLOAT + _SHORT) + state.value_dim * _SHORT
    if attention.kind == "latent" and model.latent:
        total = (model.latent.q_rank + model.latent.kv_rank) * _SHORT + ATTENTION_SCALES
        # deepseek_v2.py, Indexer: a LayerNorm in 32 bit, with its bias
        return total + (2 * model.latent.index_dim * _FLOAT if model.latent.index_heads else 0.0)
    heads = attention.heads / tensor
    total = ATTENTION_SCALES + heads * model.family.sink
    if model.model_type == "llama4_text" and attention.kind == "full":
        # the layers without positions are not normalised (llama4.py)
        return total
    if model.family.wide_norms:
        return total + (heads + max(attention.kv_heads / tensor, 1.0)) * attention.head_dim * _SHORT
    return total + model.family.head_norms * attention.head_dim * _SHORT
