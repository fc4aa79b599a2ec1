# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bytes of weights that vLLM holds on each GPU, matrix by matrix.

This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import functools
from typing import Dict, List, NamedTuple, Sequence, Tuple

from ansible_collections.llmserve.vllm.plugins.module_utils._planner.formats import PLAIN, Format
from ansible_collections.llmserve.vllm.plugins.module_utils._planner.model import (
    Attention,
    Latent,
    Layer,
    Model,
    Recurrence,
)
from ansible_collections.llmserve.vllm.plugins.module_utils._planner.padding import expert_padding
from ansible_collections.llmserve.vllm.plugins.module_utils._planner.vectors import layer_vectors

# W_UK and W_UV of MLA (quant_utils.py, get_and_maybe_dequant_weights): views of kv_b_proj where that is in 16 bit (GLM
# 4.7 Flash loads 55.87 GiB; 55.77 computed so, 56.18 with a copy), an unpacked copy where it is quantized.
ABSORBED = "absorbed"
# vLLM pads the vocabulary to a multiple of this (vocab_parallel_embedding.py, DEFAULT_VOCAB_PADDING_SIZE).
VOCAB_PADDING = 64


class Matrix(NamedTuple):
    """A matrix of a decoder layer, as it lies on one GPU."""

    module: str
    inputs: float
    outputs: float
    copies: int = 1
    # the bias lies beside it, in 16 bit
    bias: bool = False
    # never quantized, whatever the format says
    plain: bool = False
    # bytes of a value where it is not quantized
    value: float = PLAIN
    # how tensor parallelism cuts it: inputs, outputs, or not at all
    split: str = "outputs"


class Shard(NamedTuple):
    """What one GPU of a tensor parallel group takes."""

    tensor: int
    expert_parallel: bool = False
    # how the experts are padded, see padding.py
    kernel: str = ""
    # 0.7 kept two more matrices for decoding in MLA's compressed space (attention/backends/mla/utils.py)
    absorbs: bool = False


class StageWeights(NamedTuple):
    """Bytes of weights on each GPU of a pipeline stage."""

    layers: float
    embedding: float
    head: float
    other: float

    @property
    def total(self) -> float:
        return self.layers + self.embedding + self.head + self.other


def padded_vocab(vocab: int) -> int:
    """The vocabulary as vLLM stores it."""
    return -(-vocab // VOCAB_PADDING) * VOCAB_PADDING


def layer_matrices(model: Model, layer: Layer, shard: Shard, form: Format) -> List[Matrix]:
    """The matrices of a layer on one GPU."""
    return _attention_matrices(model, layer.attention, shard) + _mlp_matrices(model, layer, shard, form)


def _attention_matrices(model: Model, attention: Attention, shard: Shard) -> List[Matrix]:
    tensor = shard.tensor
    if attention.kind == "latent" and model.latent:
        return _latent_matrices(model, model.latent, attention.heads / shard.tensor, shard)
    if attention.kind == "linear" and model.recurrence:
        return _recurrent_matrices(model.hidden, model.recurrence, tensor)
    hidden, dim = model.hidden, attention.head_dim
    heads = attention.heads / tensor
    # fewer KV heads than GPUs are copied (linear.py, QKVParallelLinear)
    kv_heads = max(attention.kv_heads / tensor, 1.0)
    queries = heads * dim * (2 if model.q_gate else 1)
    bias = model.qkv_bias
    matrices = [Matrix("self_attn.qkv_proj", hidden, queries, bias=bias)]
    if attention.kind != "shared":
        matrices.append(Matrix("self_attn.kv_proj", hidden, 2 * kv_heads * dim, bias=bias))
    matrices.append(Matrix("self_attn.o_proj", heads * dim, hidden, bias=model.biases, split="inputs"))
    return matrices


def _latent_matrices(model: Model, latent: Latent, heads: float, shard: Shard) -> List[Matrix]:
    hidden = model.hidden
    head = latent.nope_dim + latent.rope_dim
    # the compressed halves are on every GPU, only what is per head is cut
    matrices = [Matrix("self_attn.kv_a_proj_with_mqa", hidden, latent.cached, split="none")]
    if latent.q_rank:
        matrices.append(Matrix("self_attn.q_a_proj", hidden, latent.q_rank, split="none"))
        matrices.append(Matrix("self_attn.q_b_proj", latent.q_rank, heads * head))
    else:
        matrices.append(Matrix("self_attn.q_proj", hidden, heads * head))
    up = latent.nope_dim + latent.value_dim
    matrices.append(Matrix("self_attn.kv_b_proj", latent.kv_rank, heads * up))
    matrices.append(Matrix("self_attn.o_proj", heads * latent.value_dim, hidden, split="inputs"))
    # once more in 16 bit, for decoding in the compressed space (mla process_weights_after_loading: W_UK, W_UV)
    matrices.append(Matrix(ABSORBED, latent.kv_rank, heads * up, plain=True))
    if shard.absorbs:
        queries = latent.q_rank or hidden
        matrices.append(Matrix("self_attn.absorbed", queries, heads * latent.kv_rank))
        matrices.append(Matrix("self_attn.absorbed", queries, heads * latent.rope_dim, plain=True))
        matrices.append(Matrix("self_attn.absorbed", heads * latent.kv_rank, hidden))
    if latent.index_heads:
        matrices.append(Matrix("indexer.wq_b", latent.q_rank, latent.index_heads * latent.index_dim, split="none"))
        matrices.append(Matrix("indexer.wk", hidden, latent.index_dim, split="none"))
        matrices.append(Matrix("indexer.weights_proj", hidden, latent.index_heads, plain=True, split="none"))
    return matrices


def _recurrent_matrices(hidden: int, state: Recurrence, tensor: int) -> List[Matrix]:
    keys = state.key_heads * state.key_dim / tensor
    values = state.value_heads * state.value_dim / tensor
    return [
        Matrix("linear_attn.in_proj_qkvz", hidden, 2 * keys + 2 * values),
        Matrix("linear_attn.in_proj_ba", hidden, 2 * state.value_heads / tensor, plain=True),
        Matrix("linear_attn.conv1d", state.kernel, 2 * keys + values, plain=True),
        Matrix("linear_attn.out_proj", values, hidden, split="inputs"),
    ]


def _mlp_matrices(model: Model, layer: Layer, shard: Shard, form: Format) -> List[Matrix]:
    tensor, hidden = shard.tensor, model.hidden
    ups = 2 if model.gated else 1
    experts = model.experts
    if not layer.experts or experts is None:
        width = layer.width / tensor
        if not width:
            return []
        return [
            Matrix("mlp.gate_up_proj", hidden, ups * width, bias=model.biases),
            Matrix("mlp.down_proj", width, hidden, bias=model.biases, split="inputs"),
        ]
    # expert parallelism deals out whole experts, tensor parallelism cuts each of them
    count = -(-experts.number // tensor) if shard.expert_parallel else experts.number
    width = float(experts.width) if shard.expert_parallel else experts.width / tensor
    rows, width = expert_padding(form, shard.kernel, hidden, width)
    matrices = [
        Matrix("mlp.experts", rows, ups * width, count, bias=model.biases),
        Matrix("mlp.experts", width, rows, count, bias=model.biases, split="inputs"),
        Matrix("mlp.gate", hidden, experts.number, plain=True, value=model.family.router, split="none"),
    ]
    if experts.shared_width:
        shared = experts.shared_width / tensor
        matrices.append(Matrix("mlp.shared_experts", hidden, ups * shared))
        matrices.append(Matrix("mlp.shared_experts", shared, hidden, split="inputs"))
        if experts.shared_gate:
            matrices.append(Matrix("mlp.shared_expert_gate", hidden, 1, plain=True, split="none"))
    return matrices


def matrix_bytes(matrix: Matrix, form: Format, quantized: bool) -> float:
    """Bytes of a matrix, its scales and its bias."""
    if quantized and not matrix.plain:
        each = form.matrix_bytes(matrix.inputs, matrix.outputs)
    else:
        each = matrix.inputs * matrix.outputs * matrix.value
    if matrix.bias:
        each += matrix.outputs * PLAIN
    return each * matrix.copies


def layer_bytes(model: Model, index: int, shard: Shard, form: Format) -> float:
    """Bytes of one decoder layer on one GPU."""
    layer = model.layers[index]
    total = 0.0
    for matrix in layer_matrices(model, layer, shard, form):
        quantized = not form.plain and form.quantizes(index, len(model.layers), _listed_as(matrix))
        if quantized or matrix.module != ABSORBED:
            total += matrix_bytes(matrix, form, quantized)
    return total + layer_vectors(model, layer, shard.tensor)


def _listed_as(matrix: Matrix) -> str:
    return "self_attn.kv_b_proj" if matrix.module == ABSORBED else matrix.module


def stage_weights(model: Model, bounds: Sequence[Tuple[int, int]], shard: Shard, form: Format) -> List[StageWeights]:
    """Bytes on each GPU of every stage; C(bounds) are the first and the last layer plus one of each stage."""
    vocab = padded_vocab(model.vocab) / shard.tensor
    table = vocab * model.hidden * PLAIN
    per_layer = _layer_sizes(model, shard, form)
    rope = sum(rows * width for rows, width in model.rope_rows) * model.family.rope
    everywhere = model.family.everywhere
    stages = []
    for number, (first, after) in enumerate(bounds):
        is_first, is_last = number == 0, number == len(bounds) - 1
        embedding = table if is_first or everywhere else 0.0
        if is_first or everywhere == "both":
            embedding += model.learned_positions * model.hidden * PLAIN
        # a tied head shares the embedding's memory, unless that lies on another GPU
        head = table if (is_last or everywhere == "both") and not (model.tied and embedding) else 0.0
        other = rope + (_vision_bytes(model, shard.tensor) if is_first else 0.0)
        other += model.family.final_norms * model.hidden * PLAIN if is_last or everywhere == "both" else 0.0
        stages.append(StageWeights(sum(per_layer[first:after]), embedding, head, other))
    return stages


@functools.lru_cache(maxsize=128)
def _layer_sizes(model: Model, shard: Shard, form: Format) -> List[float]:
    """Bytes of every layer; kept, because layouts differ in their stages more often than in their groups."""
    if form.spared_names or form.spared_patterns or form.spares_ends:
        return [layer_bytes(model, index, shard, form) for index in range(len(model.layers))]
    sizes: Dict[Layer, float] = {}
    for index, layer in enumerate(model.layers):
        if layer not in sizes:
            sizes[layer] = layer_bytes(model, index, shard, form)
    return [sizes[layer] for layer in model.layers]


def _vision_bytes(model: Model, tensor: int) -> float:
    if model.vision is None:
        return 0.0
    cut = tensor if model.vision.heads % tensor == 0 else 1
    return model.vision.parameters * PLAIN / cut
