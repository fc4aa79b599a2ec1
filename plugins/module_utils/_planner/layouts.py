# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which tensor and pipeline parallel sizes vLLM accepts, whatever the memory.

This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import math
from typing import List, NamedTuple, Tuple

from ansible_collections.llmserve.vllm.plugins.module_utils._planner.formats import Format
from ansible_collections.llmserve.vllm.plugins.module_utils._planner.model import Model
from ansible_collections.llmserve.vllm.plugins.module_utils._planner.weights import Matrix, Shard, layer_matrices

# marlin_utils.py: verify_marlin_supports_shape
MARLIN_OUTPUTS = 64
MARLIN_INPUTS = 128


class Pool(NamedTuple):
    """The GPUs that can be used: as many of every node as the poorest node has."""

    per_node: int
    nodes: int

    @property
    def total(self) -> int:
        return self.per_node * self.nodes


class Layout(NamedTuple):
    """Tensor and pipeline parallel size."""

    tensor: int
    pipeline: int

    @property
    def gpus(self) -> int:
        return self.tensor * self.pipeline


def many(count: int, noun: str) -> str:
    """A number with its noun: 1 GPU, 2 GPUs."""
    return "{0} {1}{2}".format(count, noun, "" if count == 1 else "s")


def stage_layers(layers: int, stages: int) -> List[int]:
    """Layers per pipeline stage as vLLM partitions them: the remainder goes to the stages before the last one."""
    sizes = [layers // stages] * stages
    for back in range(2, 2 + layers % stages):
        sizes[-back] += 1
    return sizes


def stage_bounds(layers: int, stages: int) -> List[Tuple[int, int]]:
    """First layer of each stage, and the one after its last."""
    bounds, first = [], 0
    for count in stage_layers(layers, stages):
        bounds.append((first, first + count))
        first += count
    return bounds


def tensor_problems(model: Model, form: Format, size: int, expert_parallel: bool = False) -> List[str]:
    """Why a tensor parallel size cannot be; empty when it can."""
    problems = []
    if model.heads % size:
        problems.append("{0} attention heads cannot be divided by {1}".format(model.heads, size))
    # fewer KV heads than ranks are copied, but only evenly
    kv_heads = sorted({layer.attention.kv_heads for layer in model.layers}) or [model.kv_heads]
    for heads in kv_heads:
        if heads % size and size % heads:
            problems.append(
                "{0} key/value heads can neither be divided over {1} GPUs nor be copied evenly to them".format(
                    heads, size
                )
            )
    if problems:
        return problems
    return _shape_problems(model, form, size, expert_parallel)


def _shape_problems(model: Model, form: Format, size: int, expert_parallel: bool) -> List[str]:
    problems: List[str] = []
    for layer in sorted(set(model.layers), key=str):
        for matrix in layer_matrices(model, layer, Shard(size, expert_parallel), form):
            problem = _matrix_problem(matrix, model, form, size, expert_parallel)
            if problem and problem not in problems:
                problems.append(problem)
    return problems


def _matrix_problem(matrix: Matrix, model: Model, form: Format, size: int, expert_parallel: bool) -> str:
    cut = matrix.outputs if matrix.split == "outputs" else matrix.inputs
    if matrix.split == "none" or matrix.module.endswith("absorbed"):
        return ""
    whole = expert_parallel and matrix.module == "mlp.experts"
    what = _TITLES.get(matrix.module, matrix.module)
    if not whole and abs(cut - round(cut)) > 1e-6:
        return "the {0} of width {1:g} cannot be divided by {2}".format(what, cut * size, size)
    if matrix.plain or form.plain or not form.stated or not form.quantizes(1, 3, matrix.module):
        return ""
    if form.block and not whole and "mlp" in matrix.module:
        width = (
            matrix.inputs
            if matrix.split == "inputs"
            else model.experts.width / size
            if (model.experts and matrix.module == "mlp.experts")
            else matrix.outputs / (2 if model.gated else 1)
        )
        if width % form.block:
            return "FP8 in blocks of {0} needs a multiple of {0} per GPU, but the {1} have {2:g} / {3} = {4:g}".format(
                form.block, what, width * size, size, width
            )
    if form.marlin and _breaks_marlin(matrix, form, size):
        return (
            "the kernel for {0} (Marlin) needs outputs in multiples of {1} and inputs in multiples of {2} per GPU, but "
            "the {3} have {4:g} x {5:g}".format(
                form.title, MARLIN_OUTPUTS, MARLIN_INPUTS, what, matrix.inputs, matrix.outputs
            )
        )
    return ""


def _breaks_marlin(matrix: Matrix, form: Format, size: int) -> bool:
    if size == 1 and matrix.split != "inputs":
        return False
    if matrix.outputs % MARLIN_OUTPUTS:
        return True
    if matrix.split != "inputs":
        return False
    group = form.group or MARLIN_INPUTS
    return bool(matrix.inputs % MARLIN_INPUTS or matrix.inputs % group)


_TITLES = {
    "self_attn.qkv_proj": "query heads",
    "self_attn.kv_proj": "key/value heads",
    "self_attn.o_proj": "attention outputs",
    "mlp.gate_up_proj": "MLP layers",
    "mlp.down_proj": "MLP layers",
    "mlp.experts": "experts",
    "mlp.shared_experts": "shared experts",
}


def legal_tensor_sizes(model: Model, form: Format, limit: int, expert_parallel: bool = False) -> List[int]:
    """The tensor parallel sizes up to a limit that vLLM accepts."""
    divisors = [size for size in _divisors(model.heads) if size <= limit]
    return [size for size in divisors if not tensor_problems(model, form, size, expert_parallel)]


def _divisors(number: int) -> List[int]:
    """Every size has to divide the heads, of which a broken config.json may claim millions."""
    small = [size for size in range(1, math.isqrt(number) + 1) if number % size == 0]
    return sorted({*small, *(number // size for size in small)})
