# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stand-in for models that are not made of attention heads and layers as their config.json tells it.

This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

from typing import Any, Mapping, Optional

from ansible_collections.llmserve.vllm.plugins.module_utils._planner import families
from ansible_collections.llmserve.vllm.plugins.module_utils._planner.figures import (
    HEADS,
    HIDDEN,
    LAYERS,
    POSITIONS,
    VOCAB,
    figure,
    flag,
)
from ansible_collections.llmserve.vllm.plugins.module_utils._planner.model import (
    MOST_LAYERS,
    Attention,
    Layer,
    Model,
    architecture_of,
    read_model,
    text_config,
)
from ansible_collections.llmserve.vllm.plugins.module_utils._planner.vision import is_multimodal

# Only powers of two divide it, which is what is assumed of the tensor parallel sizes.
_HEADS = 4096
# Assumed where config.json does not say: the sizes of an 8B model.
_HIDDEN, _LAYERS, _VOCAB = 4096, 32, 128000


def read_any_model(config: Mapping[str, Any], weights_bytes: Optional[int]) -> Model:
    """The model in a config.json; by its size alone where figures are missing and somebody gave the size."""
    text = text_config(config)
    missing = [names for names in (HEADS, HIDDEN, LAYERS, VOCAB) if all(text.get(name) is None for name in names)]
    if not config or not missing or not weights_bytes or _known(text, config):
        return read_model(config)
    return _stand_in(text, config, weights_bytes)


def _known(text: Mapping[str, Any], config: Mapping[str, Any]) -> bool:
    """Whether the family is known, so that defaults may fill the gaps and what is then missing is a mistake."""
    return families.traits(families.with_defaults(text, config), architecture_of(config)).known


def _stand_in(text: Mapping[str, Any], config: Mapping[str, Any], weights_bytes: int) -> Model:
    """Equal layers without a cache that weigh what the checkpoint does."""
    hidden, vocab = figure(text, HIDDEN) or _HIDDEN, figure(text, VOCAB) or _VOCAB
    # an even split over the stages is right only for equal layers; the plan's warning says so
    count = min(figure(text, LAYERS) or _LAYERS, MOST_LAYERS)
    per_layer = max(0.0, weights_bytes - 4.0 * vocab * hidden) / count
    width = max(1, round(per_layer / (6.0 * hidden * _HEADS))) * _HEADS
    family = families.Traits(known=False)
    return Model(
        architecture=architecture_of(config),
        model_type="",
        known=False,
        hidden=hidden,
        vocab=vocab,
        tied=flag(text, "tie_word_embeddings", False),
        positions=figure(text, POSITIONS) or 2048,
        stretched=True,
        rope_rows=(),
        learned_positions=0,
        heads=_HEADS,
        kv_heads=_HEADS,
        head_dim=1,
        width=width,
        gated=True,
        qkv_bias=False,
        biases=False,
        family=family,
        q_gate=False,
        latent=None,
        experts=None,
        recurrence=None,
        vision=None,
        multimodal=is_multimodal(config),
        layers=(Layer(Attention("none", _HEADS, _HEADS, 1), False, width),) * count,
        skipped_layers=0,
        opaque=True,
    )
