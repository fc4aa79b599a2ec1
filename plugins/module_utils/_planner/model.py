# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a model is made of, as its config.json says: layers, heads, experts, embeddings.

This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Tuple

from ansible_collections.llmserve.vllm.plugins.module_utils._planner import families
from ansible_collections.llmserve.vllm.plugins.module_utils._planner.errors import PlanError, label, shown
from ansible_collections.llmserve.vllm.plugins.module_utils._planner.figures import (
    CHOSEN,
    EXPERTS,
    HEADS,
    HIDDEN,
    KV_HEADS,
    LARGEST,
    LAYERS,
    POSITIONS,
    VOCAB,
    WIDTH,
    figure,
    flag,
)
from ansible_collections.llmserve.vllm.plugins.module_utils._planner.vision import Vision, is_multimodal, read_vision


class Attention(NamedTuple):
    """How one layer attends. C(kind) is full, sliding, chunked, latent, linear, cross or none (a cache of others)."""

    kind: str
    heads: int
    kv_heads: int
    head_dim: int
    window: int = 0


class Latent(NamedTuple):
    """Multi-head latent attention: one compressed cache instead of keys and values."""

    q_rank: int
    kv_rank: int
    nope_dim: int
    rope_dim: int
    value_dim: int
    index_heads: int = 0
    index_dim: int = 0

    @property
    def cached(self) -> int:
        """Values per token in the cache of one layer."""
        return self.kv_rank + self.rope_dim


class Experts(NamedTuple):
    """The experts of a mixture-of-experts layer."""

    number: int
    chosen: int
    width: int
    shared_width: int
    shared_gate: bool = False


class Recurrence(NamedTuple):
    """Linear attention (gated delta net): a state per sequence instead of a cache per token."""

    key_heads: int
    value_heads: int
    key_dim: int
    value_dim: int
    kernel: int
    # bytes of a value of the state; the convolution's are always of 16 bit
    state_value: float = 2.0


class Layer(NamedTuple):
    """One decoder layer."""

    attention: Attention
    experts: bool
    # 0 where the MLP is a mixture of experts
    width: int


class Model(NamedTuple):
    """The figures of a model that decide how it splits and what it costs."""

    architecture: str
    model_type: str
    known: bool
    hidden: int
    vocab: int
    tied: bool
    positions: int
    stretched: bool
    rope_rows: Tuple[Tuple[int, int], ...]
    learned_positions: int
    heads: int
    kv_heads: int
    head_dim: int
    width: int
    gated: bool
    qkv_bias: bool
    biases: bool
    family: families.Traits
    q_gate: bool
    latent: Optional[Latent]
    experts: Optional[Experts]
    recurrence: Optional[Recurrence]
    vision: Optional[Vision]
    multimodal: bool
    layers: Tuple[Layer, ...]
    skipped_layers: int
    # whether config.json tells so little that the layers are made up, see standin.py
    opaque: bool = False


_TEXT_CONFIGS = ("text_config", "llm_config", "language_config", "thinker_config")


# The deepest published model has 126 layers.
MOST_LAYERS = 400


def read_model(config: Mapping[str, Any]) -> Model:
    """The model in a config.json; a multimodal one nests its language model's figures."""
    if not config:
        raise PlanError(
            "The model has no config.json, so its layers and heads are unknown: vLLM serves repositories in the "
            "transformers format; check llmserve_model and llmserve_model_revision."
        )
    text = families.with_defaults(text_config(config), config)
    architecture = architecture_of(config)
    hidden = figure(text, HIDDEN, required=True)
    heads = figure(text, HEADS, required=True)
    count = figure(text, LAYERS, required=True)
    vocab = figure(text, VOCAB, required=True)
    latent = _latent(text)
    kv_heads = 1 if latent else figure(text, KV_HEADS) or (1 if text.get("multi_query") else heads)
    head_dim = figure(text, ("head_dim",)) or max(1, hidden // heads)
    experts = _experts(text)
    width = figure(text, WIDTH) or (0 if experts else 4 * hidden)
    model_type = label(text.get("model_type"), "")
    family = families.traits(text, architecture)
    layers = _layers(
        text, count, Attention("full", heads, kv_heads, head_dim), latent=latent, experts=experts, width=width
    )
    vision = config.get("vision_config")
    positions = figure(text, POSITIONS) or 2048
    return Model(
        architecture=architecture,
        model_type=model_type,
        known=family.known,
        hidden=hidden,
        vocab=vocab,
        tied=flag(text, "tie_word_embeddings", flag(config, "tie_word_embeddings", False)),
        positions=positions,
        stretched=bool(text.get("rope_scaling") or _scaled(text.get("rope_parameters"))),
        rope_rows=() if family.learns_positions else _rope_rows(text, head_dim, latent, positions),
        learned_positions=positions + family.spare_positions if family.learns_positions else 0,
        heads=heads,
        kv_heads=kv_heads,
        head_dim=head_dim,
        width=width,
        gated=family.gated,
        qkv_bias=flag(text, "attention_bias", family.qkv_bias) or flag(text, "qkv_bias", False),
        biases=flag(text, "mlp_bias", family.biases),
        family=family,
        q_gate=flag(text, "attn_output_gate", family.q_gate),
        latent=latent,
        experts=experts,
        recurrence=_recurrence(text),
        vision=read_vision(vision, architecture, hidden) if isinstance(vision, Mapping) and vision else None,
        multimodal=is_multimodal(config),
        layers=layers,
        skipped_layers=figure(text, ("num_nextn_predict_layers", "mtp_num_hidden_layers"), minimum=0) or 0,
    )


def text_config(config: Mapping[str, Any]) -> Mapping[str, Any]:
    if any(name in config for name in HEADS):
        return config
    for key in _TEXT_CONFIGS:
        nested = config.get(key)
        if nested is None:
            continue
        if not isinstance(nested, Mapping):
            raise PlanError("model.config.{0} must be a dictionary, not {1}.".format(key, shown(nested)))
        return text_config(nested)
    return config


def architecture_of(config: Mapping[str, Any]) -> str:
    names = config.get("architectures")
    if names is None:
        return label(config.get("model_type"), "unknown")
    if not isinstance(names, (list, tuple)) or not names or not isinstance(names[0], str):
        raise PlanError(
            "model.config.architectures must be a list of class names such as ['LlamaForCausalLM'], not {0}.".format(
                shown(names)
            )
        )
    return label(names[0], "unknown")


def _latent(text: Mapping[str, Any]) -> Optional[Latent]:
    rank = figure(text, ("kv_lora_rank",))
    if not rank:
        return None
    indexed = families.has_indexer(text)
    return Latent(
        q_rank=figure(text, ("q_lora_rank",)),
        kv_rank=rank,
        nope_dim=figure(text, ("qk_nope_head_dim",)) or 128,
        rope_dim=figure(text, ("qk_rope_head_dim",)) or 64,
        value_dim=figure(text, ("v_head_dim",)) or 128,
        index_heads=(figure(text, ("index_n_heads",)) or 64) if indexed else 0,
        index_dim=(figure(text, ("index_head_dim",)) or 128) if indexed else 0,
    )


def _experts(text: Mapping[str, Any]) -> Optional[Experts]:
    count = figure(text, EXPERTS, minimum=0)
    if count < 2:
        return None
    width = figure(text, ("moe_intermediate_size", "expert_intermediate_size")) or figure(text, WIDTH)
    if not width:
        raise PlanError("model.config has experts, but neither moe_intermediate_size nor intermediate_size.")
    shared = figure(text, ("shared_expert_intermediate_size", "shared_intermediate_size"), minimum=0)
    gate = bool(shared) and families.has_shared_gate(text)
    if not shared:
        shared = (figure(text, ("n_shared_experts", "num_shared_experts"), minimum=0)) * width
    if not shared and families.shares_one_expert(text):
        shared = width
    return Experts(count, figure(text, CHOSEN) or 2, width, shared, gate)


def _recurrence(text: Mapping[str, Any]) -> Optional[Recurrence]:
    value_heads = figure(text, ("linear_num_value_heads",))
    if not value_heads:
        return None
    return Recurrence(
        figure(text, ("linear_num_key_heads",)) or value_heads,
        value_heads,
        figure(text, ("linear_key_head_dim",)) or 128,
        figure(text, ("linear_value_head_dim",)) or 128,
        figure(text, ("linear_conv_kernel_dim",)) or 4,
        families.state_value(text),
    )


def _layers(
    text: Mapping[str, Any],
    count: int,
    full: Attention,
    *,
    latent: Optional[Latent],
    experts: Optional[Experts],
    width: int,
) -> Tuple[Layer, ...]:
    if count > MOST_LAYERS:
        raise PlanError(
            "model.config.num_hidden_layers is {0}: no model has more than {1} layers.".format(count, MOST_LAYERS)
        )
    kinds = families.attention_kinds(text, count)
    window = figure(text, ("sliding_window",), minimum=0)
    chunk = figure(text, ("attention_chunk_size",), minimum=0)
    sparse = families.expert_layers(text, count) if experts else [False] * count
    wide = figure(text, ("intermediate_size_mlp",)) or width
    layers: List[Layer] = []
    seen: Dict[Tuple[str, bool], Layer] = {}
    for kind, moe in zip(kinds, sparse):
        if (kind, moe) not in seen:
            attention = full._replace(kind=kind)
            if latent and kind == "full":
                attention = full._replace(kind="latent")
            elif kind == "full":
                attention = _global_attention(text, full)
            elif kind in ("sliding", "chunked"):
                attention = attention._replace(window=window if kind == "sliding" else chunk)
            seen[(kind, moe)] = Layer(attention, moe, 0 if moe else wide)
        layers.append(seen[(kind, moe)])
    return tuple(layers)


def _global_attention(text: Mapping[str, Any], full: Attention) -> Attention:
    """Gemma 4 gives the layers that see everything larger and fewer heads."""
    return full._replace(
        head_dim=figure(text, ("global_head_dim",)) or full.head_dim,
        kv_heads=figure(text, ("num_global_key_value_heads",)) or full.kv_heads,
    )


def _scaled(parameters: object) -> bool:
    if not isinstance(parameters, Mapping):
        return False
    kind = parameters.get("rope_type", parameters.get("type"))
    return kind not in (None, "default")


def _rope_rows(
    text: Mapping[str, Any], head_dim: int, latent: Optional[Latent], positions: int
) -> Tuple[Tuple[int, int], ...]:
    """Rows and width of every table of cosines and sines."""
    width = latent.rope_dim if latent else head_dim
    parameters = text.get("rope_parameters")
    part = parameters.get("partial_rotary_factor") if isinstance(parameters, Mapping) else None
    part = text.get("partial_rotary_factor", text.get("rotary_pct", part))
    width = min(width, figure(text, ("rotary_dim",)) or width)
    if isinstance(part, (int, float)) and not isinstance(part, bool) and 0 < part < 1 and not latent:
        width = int(width * part)
    scaling = text.get("rope_scaling") or text.get("rope_parameters")
    rows = positions
    if isinstance(scaling, Mapping):
        rows = _scaled_rows(scaling, positions)
    tables = [(rows, width)]
    if latent and latent.index_heads:
        # the index of sparse attention turns its keys in another order
        tables.append((rows, width))
    if families.has_local_rope(text):
        tables.append((positions, head_dim))
        wide = figure(text, ("global_head_dim",))
        if wide:
            tables[0] = (rows, wide)
    return tuple(tables)


def _scaled_rows(scaling: Mapping[str, Any], positions: int) -> int:
    """Rows of the table where a scaling makes it longer (rotary_embedding: linear and YaRN)."""
    kind = scaling.get("rope_type", scaling.get("type"))
    factor = scaling.get("factor")
    if isinstance(factor, bool) or not isinstance(factor, (int, float)) or not 1 <= factor <= 10000:
        return positions
    if kind == "linear":
        return int(positions * factor)
    original = scaling.get("original_max_position_embeddings")
    if kind in ("yarn", "deepseek_yarn") and isinstance(original, int) and 0 < original <= LARGEST:
        return int(original * factor)
    return positions
