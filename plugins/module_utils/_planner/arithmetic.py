# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The arithmetic of a plan, line by line.

This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

from typing import List, Optional

from ansible_collections.llmserve.vllm.plugins.module_utils._planner.cache import (
    in_flight_tokens,
    layer_token_bytes,
    value_bytes,
)
from ansible_collections.llmserve.vllm.plugins.module_utils._planner.engine import GIB
from ansible_collections.llmserve.vllm.plugins.module_utils._planner.fit import Fit, Stage
from ansible_collections.llmserve.vllm.plugins.module_utils._planner.layouts import Layout, many, stage_bounds
from ansible_collections.llmserve.vllm.plugins.module_utils._planner.task import Task


def arithmetic(task: Task, layout: Layout, found: Optional[Fit], legal: bool) -> List[str]:
    """Every step from the sizes to the cache, one line each."""
    lines = _split_lines(task, layout, legal)
    if found is not None and found.fits:
        lines.append("chosen for: " + _merits(task))
    lines.append(_weights_line(task))
    if found is not None:
        lines += _memory_lines(task, found)
    return lines


def _merits(task: Task) -> str:
    """Why the layout came first, in the order of what counts."""
    asked = task.question
    if asked.tensor and asked.pipeline:
        return "both sizes were asked for"
    merits = ["all GPUs in use" if asked.strategy == "fill" else "fewest GPUs"]
    if not asked.tensor:
        merits.append("tensor parallel groups inside a node")
    merits.append("fewest stages" if not asked.pipeline else "as many stages as asked for")
    return ", then ".join(merits)


def _split_lines(task: Task, layout: Layout, legal: bool) -> List[str]:
    model, tensor = task.model, layout.tensor
    lines = ["TP {0} x PP {1} = {2}".format(tensor, layout.pipeline, many(layout.gpus, "GPU"))]
    if model.opaque:
        return lines
    if model.heads % tensor == 0:
        lines.append("{0} attention heads / TP {1} = {2} per GPU".format(model.heads, tensor, model.heads // tensor))
    if model.latent:
        lines.append("the latent cache is whole on every GPU of a stage")
    elif model.kv_heads % tensor == 0:
        lines.append(
            "{0} key/value heads / TP {1} = {2} per GPU".format(model.kv_heads, tensor, model.kv_heads // tensor)
        )
    elif tensor % model.kv_heads == 0:
        lines.append(
            "{0} key/value heads < TP {1}: each is kept on {2} GPUs".format(
                model.kv_heads, tensor, tensor // model.kv_heads
            )
        )
    if legal:
        counts = [after - first for first, after in stage_bounds(len(model.layers), layout.pipeline)]
        lines.append(
            "{0} layers / PP {1} = {2} per stage".format(
                len(model.layers), layout.pipeline, " + ".join(str(count) for count in counts)
            )
        )
    return lines


def _weights_line(task: Task) -> str:
    total = task.checkpoint.total
    return "weights: {0:.1f} GB = {1:.1f} GiB in {2}, {3}".format(
        total / 1e9, total / GIB, task.form.title, _SOURCES.get(task.checkpoint.source, task.checkpoint.source)
    )


_SOURCES = {
    "config": "computed from config.json",
    "given": "as given",
    "index": "as the index of the checkpoint says",
    "headers": "as the headers of the safetensors files say",
    "files": "as the sizes of the files say",
}


def _memory_lines(task: Task, found: Fit) -> List[str]:
    gpu, settings = task.card, found.settings
    stage, number = found.stages[found.binding], found.binding + 1
    where = "stage {0}".format(number) if len(found.stages) > 1 else "each GPU"
    lines = [
        "budget: {0:.2f} GiB x {1:g} = {2:.2f} GiB per GPU".format(
            gpu.total_gib, settings.utilization, gpu.total_gib * settings.utilization
        ),
        "{0}: weights {1:.2f} GiB ({2} layers, {3:.2f} GiB embeddings, head and tables)".format(
            where, stage.weights / GIB, stage.layers, stage.fixed / GIB
        ),
    ]
    if stage.offloaded:
        lines.append("{0}: {1:.2f} GiB of weights moved to host memory".format(where, stage.offloaded / GIB))
    lines += [
        "{0}: activations {1:.2f} GiB (profile run: {2} tokens, {3} sequences)".format(
            where, stage.activation / GIB, settings.max_num_batched_tokens, settings.max_num_seqs
        ),
        "{0}: CUDA graphs {1:.2f} GiB, NCCL and other libraries {2:.2f} GiB".format(
            where, stage.graphs / GIB, stage.outside / GIB
        ),
        "{0}: KV cache {1:.2f} - {2:.2f} - {3:.2f} - {4:.2f} = {5:.2f} GiB".format(
            where,
            gpu.total_gib * settings.utilization,
            stage.weights / GIB,
            stage.activation / GIB,
            stage.overhead / GIB,
            stage.available / GIB,
        ),
    ]
    return lines if task.model.opaque else lines + _cache_lines(task, found, stage)


def _cache_lines(task: Task, found: Fit, stage: Stage) -> List[str]:
    whole = _token_bytes_of_model(task, found)
    length = max(1, found.length or task.least)
    in_flight = in_flight_tokens(found.settings, found.layout.pipeline)
    needed = [item.cache.blocks_needed(length, in_flight) * item.cache.bytes_per_block for item in found.stages]
    lines = [
        "KV cache per token: {0:,.0f} B in the model, {1:,.0f} B on a GPU of the stage".format(
            whole, stage.cache.bytes_per_token
        ),
        "one request of {0:,} tokens: {1:.2f} GiB in the model, {2:.2f} GiB on such a GPU".format(
            length, whole * length / GIB, needed[found.binding] / GIB
        ),
    ]
    if found.tokens:
        lines.append(
            "cache for {0:,} tokens = {1:.2f} requests of {2:,} tokens at once".format(
                found.tokens, found.concurrency, length
            )
        )
    return lines


def _token_bytes_of_model(task: Task, found: Fit) -> float:
    """Bytes of one token's keys and values over all layers, counted once however many GPUs keep a copy."""
    size = value_bytes(task.model, found.settings.kv_cache_dtype, task.form.cache_fp8)
    kinds = ("shared", "cross", "none", "linear")
    return sum(
        layer_token_bytes(task.model, layer.attention, 1, size)
        for layer in task.model.layers
        if layer.attention.kind not in kinds
    )
