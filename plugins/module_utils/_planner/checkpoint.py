# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compare the weights that are there with the ones that config.json describes.

This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

from typing import NamedTuple, Optional

from ansible_collections.llmserve.vllm.plugins.module_utils._planner.formats import Format
from ansible_collections.llmserve.vllm.plugins.module_utils._planner.layouts import stage_bounds
from ansible_collections.llmserve.vllm.plugins.module_utils._planner.model import Model
from ansible_collections.llmserve.vllm.plugins.module_utils._planner.question import Question
from ansible_collections.llmserve.vllm.plugins.module_utils._planner.weights import Shard, stage_weights

# A checkpoint may hold layers that vLLM does not load (MTP), or a second copy of a tied head: up to a tenth more.
LESS, MORE = 0.97, 1.1


class Checkpoint(NamedTuple):
    """What is known of a model's weights."""

    # bytes that vLLM loads
    total: float
    source: str
    # what computed sizes are multiplied by, where the files are right and the formula is not
    scale: float
    confidence: str
    note: str


def computed_bytes(model: Model, form: Format) -> float:
    """Bytes of the checkpoint that config.json describes, without what vLLM adds when it loads."""
    bare = model._replace(rope_rows=())
    size = stage_weights(bare, stage_bounds(len(model.layers), 1), Shard(1), form)[0].total
    if model.latent and not form.plain:
        absorbed = model.latent.kv_rank * model.heads * (model.latent.nope_dim + model.latent.value_dim) * 2.0
        size -= absorbed * sum(
            layer.attention.kind == "latent" and form.quantizes(index, len(model.layers), "self_attn.kv_b_proj")
            for index, layer in enumerate(model.layers)
        )
    return size


def weigh(model: Model, form: Format, question: Question) -> Checkpoint:
    """Decide between the given bytes and the computed ones, and say how sure that is."""
    computed = computed_bytes(model, form)
    given: Optional[int] = question.weights_bytes
    sure = model.known and form.known
    if given is None:
        if sure:
            return Checkpoint(computed, "config", 1.0, "medium" if model.multimodal else "high", "")
        return Checkpoint(computed, "config", 1.0, "low", _guess_note(model, form))
    ratio = given / computed if computed else 1.0
    source = question.weights_source
    if not sure:
        note = "{0} The weights are scaled to the {1:.1f} GB that the checkpoint holds.".format(
            _strange(model, form), given / 1e9
        )
        return Checkpoint(float(given), source, ratio, "low", note)
    if LESS <= ratio <= MORE:
        return Checkpoint(computed, source, 1.0, "medium" if model.multimodal else "high", "")
    note = "The checkpoint holds {0:.1f} GB, config.json describes {1:.1f} GB: the plan follows the checkpoint.".format(
        given / 1e9, computed / 1e9
    )
    return Checkpoint(float(given), source, ratio, "medium", note)


def _strange(model: Model, form: Format) -> str:
    if not model.known:
        return "The architecture {0} is not known to the planner.".format(model.architecture)
    return "The quantization method {0} is not known to the planner.".format(form.title)


def _guess_note(model: Model, form: Format) -> str:
    return (
        "{0} Its weights are computed as a llama's in 16 bit: give model.weights_bytes for a plan to rely on.".format(
            _strange(model, form)
        )
    )
