# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Figures out of a config.json: whole numbers and switches, checked, by any of their names.

This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

from typing import Any, Mapping, Sequence

from ansible_collections.llmserve.vllm.plugins.module_utils._planner.errors import PlanError, shown

# The names that configurations use for the same figure, the common one first.
HIDDEN = ("hidden_size", "n_embd", "d_model", "dim")
HEADS = ("num_attention_heads", "n_head", "n_heads", "num_heads")
KV_HEADS = ("num_key_value_heads", "n_head_kv", "num_kv_heads", "multi_query_group_num")
LAYERS = ("num_hidden_layers", "n_layer", "n_layers", "num_layers")
WIDTH = ("intermediate_size", "ffn_dim", "ffn_hidden_size", "n_inner", "mlp_hidden_size")
VOCAB = ("vocab_size", "padded_vocab_size")
POSITIONS = ("max_position_embeddings", "n_positions", "max_sequence_length", "seq_length", "n_ctx")
EXPERTS = ("n_routed_experts", "num_local_experts", "num_experts", "moe_num_experts")
CHOSEN = ("num_experts_per_tok", "experts_per_token", "num_experts_per_token", "moe_topk", "moe_top_k")
# Positions of the longest contexts are some millions, vocabularies less than one.
LARGEST = 10**9


def figure(config: Mapping[str, Any], names: Sequence[str], required: bool = False, minimum: int = 1) -> int:
    """A whole number by the first of its names that is there; 0 when none is."""
    for name in names:
        value = config.get(name)
        if value is None:
            continue
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or not minimum <= value <= LARGEST:
            raise PlanError(
                "model.config.{0} must be a whole number from {1} to {2}, not {3}: check the model's "
                "config.json.".format(name, minimum, LARGEST, shown(value))
            )
        return value
    if required:
        raise PlanError(
            "model.config has no {0} (model_type {1}), so the model cannot be planned from it: check that config.json "
            "is that of a language model which vLLM serves, or give model.weights_bytes to plan by its size.".format(
                names[0], shown(config.get("model_type"))
            )
        )
    return 0


def flag(config: Mapping[str, Any], name: str, default: bool) -> bool:
    value = config.get(name)
    if value is None:
        return default
    if not isinstance(value, bool):
        raise PlanError("model.config.{0} must be true or false, not {1}.".format(name, shown(value)))
    return value
