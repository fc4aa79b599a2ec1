# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The towers of multimodal models, as far as their weights go.

This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

from typing import Any, Mapping, NamedTuple

from ansible_collections.llmserve.vllm.plugins.module_utils._planner import families
from ansible_collections.llmserve.vllm.plugins.module_utils._planner.figures import figure


class Vision(NamedTuple):
    """A vision tower, as far as its weights go."""

    parameters: int
    heads: int


def is_multimodal(config: Mapping[str, Any]) -> bool:
    return any(bool(config.get(key)) for key in ("vision_config", "audio_config", "vision_tower", "audio_encoder"))


def read_vision(config: Mapping[str, Any], architecture: str, hidden: int) -> Vision:
    """The parameters of a vision transformer; small beside the language model, so an estimate is enough."""
    embed = figure(config, ("embed_dim",)) or figure(config, ("hidden_size", "width"))
    depth = figure(config, ("num_hidden_layers", "depth", "layers"))
    if not embed or not depth:
        return Vision(0, 1)
    ratio = config.get("mlp_ratio")
    width = figure(config, ("intermediate_size",))
    if not width:
        width = int(embed * ratio) if isinstance(ratio, (int, float)) and 0 < ratio < 100 else 4 * embed
    matrices = 3 if families.vision_is_gated(config, architecture) else 2
    parameters = depth * (4 * embed * embed + matrices * embed * width)
    out = figure(config, ("out_hidden_size",)) or (figure(config, ("hidden_size",)) if config.get("embed_dim") else 0)
    if out:
        # the merger joins four patches and projects them to the language model
        parameters += (4 * embed) * (4 * embed) + 4 * embed * out
    else:
        parameters += embed * hidden + (hidden * hidden + 4 * embed * embed if matrices == 3 else 0)
    return Vision(parameters, figure(config, ("num_attention_heads", "num_heads")) or 1)
