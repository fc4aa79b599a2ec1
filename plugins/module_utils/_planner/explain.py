# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Put a plan into words and figures: the dictionary that parallel_plan returns.

This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

from ansible_collections.llmserve.vllm.plugins.module_utils._planner.arithmetic import arithmetic
from ansible_collections.llmserve.vllm.plugins.module_utils._planner.engine import GIB
from ansible_collections.llmserve.vllm.plugins.module_utils._planner.fit import Fit, Stage
from ansible_collections.llmserve.vllm.plugins.module_utils._planner.layouts import Layout, many, stage_bounds
from ansible_collections.llmserve.vllm.plugins.module_utils._planner.offload import host_memory_gib
from ansible_collections.llmserve.vllm.plugins.module_utils._planner.task import Task, accepted, settings_of

# vLLM finds the longest context itself since then (read in 0.17.1, absent in 0.11.2).
AUTO_LENGTH_SINCE = (0, 17)
# Before, the plan's own figure is given, less what it may be wrong by.
LENGTH_MARGIN = 0.9


class Choice(NamedTuple):
    """What came out of trying layouts. C(found) is None where nothing could be added up."""

    layout: Layout
    found: Optional[Fit] = None
    offload: float = 0.0
    others: Tuple[Fit, ...] = ()


def describe(task: Task, choice: Choice, reasons: List[str], warnings: List[str]) -> Dict[str, Any]:
    """The plan as plain values."""
    layout, found, offload = choice.layout, choice.found, choice.offload
    question, pool = task.question, task.pool
    settings = settings_of(task)
    legal = layout.pipeline <= len(task.model.layers)
    used = layout.gpus if pool.total else 0
    plan: Dict[str, Any] = {
        "model": question.name,
        "architecture": task.model.architecture,
        "confidence": task.checkpoint.confidence,
        "quantization": task.form.name,
        "strategy": question.strategy,
        "vllm_version": question.version,
        "tensor_parallel_size": layout.tensor,
        "pipeline_parallel_size": layout.pipeline,
        "expert_parallel": question.expert_parallel,
        "gpus_used": used,
        "gpus_total": pool.total,
        "nodes_used": _nodes_used(task, layout) if used else 0,
        "replicas": _replicas(task, layout),
        "gpu": _gpu(task, settings.utilization),
        "gpu_memory_utilization": settings.utilization,
        "max_num_seqs": settings.max_num_seqs,
        "max_num_batched_tokens": settings.max_num_batched_tokens,
        "kv_cache_dtype": settings.kv_cache_dtype,
        "enforce_eager": settings.enforce_eager,
        "cpu_offload_gb": offload,
        "host_memory_needed_gib": round(host_memory_gib(pool, layout, offload), 1) if used else 0.0,
        "max_model_len": _length(task, found),
        "weights_bytes": int(task.checkpoint.total),
        "weights_source": task.checkpoint.source,
        "stages": _bare_stages(task, layout) if legal else [],
        "nodes": _placement(task, layout) if legal else [],
        "download": _download(task),
        "load": _load(task, found, layout),
        "alternatives": [_alternative(task, item) for item in _distinct(choice.others)],
        "engine_args": _engine_args(task, layout, found, offload),
        "reasons": reasons,
        "warnings": warnings,
        "arithmetic": arithmetic(task, layout, found, legal),
    }
    known = task.gpu is not None and bool(task.gpu.total_gib)
    if known or reasons:
        plan["fits"] = not reasons
    if found is not None:
        plan.update(_memory(task, found))
    return plan


def _length(task: Task, found: Optional[Fit]) -> Optional[int]:
    if task.model.opaque:
        # nothing tells what its cache takes, nor perhaps what it was made for
        return task.length if task.question.max_model_len else None
    return found.length if found else task.length or task.model.positions


def _gpu(task: Task, utilization: float) -> Optional[Dict[str, Any]]:
    gpu = task.gpu
    if gpu is None:
        return None
    return {
        "name": gpu.name,
        "total_gib": round(gpu.total_gib, 2) or None,
        "requested_gib": round(gpu.total_gib * utilization, 2) or None,
        "compute_capability": "{0}.{1}".format(*gpu.capability),
    }


def _memory(task: Task, found: Fit) -> Dict[str, Any]:
    worst = found.stages[found.binding]
    heaviest = max(found.stages, key=lambda stage: stage.weights)
    sizes = {
        "weights_gib_per_gpu": round(heaviest.weights / GIB, 4),
        "kv_cache_gib_per_gpu": round(max(0.0, worst.available) / GIB, 4),
        "stages": [_stage(task, stage) for stage in found.stages],
    }
    if task.model.opaque:
        return sizes
    return {
        **sizes,
        "kv_cache_tokens": found.tokens,
        "kv_bytes_per_token": int(worst.cache.bytes_per_token),
        "kv_cache_groups": len(worst.cache.groups),
        "max_concurrency": round(found.concurrency, 2),
    }


def _stage(task: Task, stage: Stage) -> Dict[str, Any]:
    total = task.gpu.total_gib if task.gpu else 0.0
    sizes = {
        "weights_gib": round(stage.weights / GIB, 3),
        "kv_gib": round(max(0.0, stage.available) / GIB, 3),
        "activation_gib": round(stage.activation / GIB, 3),
        "overhead_gib": round(stage.overhead / GIB, 3),
    }
    return dict(
        {"layers": stage.layers, "first_layer": stage.first, "total_gib": round(total, 3)},
        free_gib=round(total - sum(sizes.values()), 3),
        offloaded_gib=round(stage.offloaded / GIB, 3),
        **sizes,
    )


def _bare_stages(task: Task, layout: Layout) -> List[Dict[str, Any]]:
    bounds = stage_bounds(len(task.model.layers), layout.pipeline)
    return [{"layers": after - first, "first_layer": first} for first, after in bounds]


def _groups_per_node(task: Task, layout: Layout) -> int:
    return max(1, task.pool.per_node // layout.tensor)


def _spans(task: Task, layout: Layout) -> bool:
    """Whether GPUs are taken one after the other, so that tensor parallel groups span nodes."""
    return layout.pipeline > task.pool.per_node // layout.tensor * task.pool.nodes


def _nodes_used(task: Task, layout: Layout) -> int:
    if _spans(task, layout):
        return -(-layout.gpus // task.pool.per_node)
    return -(-layout.pipeline // _groups_per_node(task, layout))


def _replicas(task: Task, layout: Layout) -> int:
    """How many copies of the layout the hosts could hold side by side."""
    pool = task.pool
    if not pool.total:
        return 0
    if _spans(task, layout) or layout.pipeline > _groups_per_node(task, layout):
        return max(1, pool.nodes // _nodes_used(task, layout)) if layout.gpus <= pool.total else 0
    return _groups_per_node(task, layout) // layout.pipeline * pool.nodes


def _placement(task: Task, layout: Layout) -> List[Dict[str, Any]]:
    """Per host and GPU the pipeline stage, None for idle GPUs. Tensor parallel groups are laid out node by node."""
    per_node, groups, spans = task.pool.per_node, _groups_per_node(task, layout), _spans(task, layout)
    placed = []
    for number, node in enumerate(task.question.nodes):
        stages: List[Optional[int]] = [None] * len(node.gpus)
        for index in range(min(per_node, len(stages))):
            if spans:
                stage = (number * per_node + index) // layout.tensor
                inside = number * per_node + index < layout.gpus
            else:
                stage = number * groups + index // layout.tensor
                inside = index < groups * layout.tensor
            if inside and stage < layout.pipeline:
                stages[index] = stage
        placed.append({"name": node.name, "gpu_name": node.gpus[0].name if node.gpus else "", "gpus": stages})
    return placed


def _download(task: Task) -> Optional[Dict[str, Any]]:
    size = task.question.download_bytes
    size = int(task.checkpoint.total) if size is None else size
    if not size:
        return None
    rates = task.question.rates
    return {
        "bytes": size,
        "seconds": round(size / (rates.download_mb_s * 1e6)),
        "mb_per_second": rates.download_mb_s,
        "stated": rates.download_stated,
    }


def _load(task: Task, found: Optional[Fit], layout: Layout) -> Optional[Dict[str, Any]]:
    if found is None or not task.pool.total:
        return None
    per_stage = max(stage.weights + stage.offloaded for stage in found.stages) * layout.tensor
    groups = min(_groups_per_node(task, layout), layout.pipeline)
    spans = _spans(task, layout)
    size = int(per_stage / layout.tensor * task.pool.per_node if spans else per_stage * groups)
    rates = task.question.rates
    return {
        "bytes_per_node": size,
        "seconds": round(size / (rates.load_gb_s * 1e9)),
        "gb_per_second": rates.load_gb_s,
        "stated": rates.load_stated,
    }


def _distinct(others: Sequence[Fit]) -> List[Fit]:
    found: Dict[Tuple[int, int], Fit] = {}
    for item in others:
        found.setdefault((item.layout.tensor, item.layout.pipeline), item)
    return list(found.values())[:6]


def _alternative(task: Task, item: Fit) -> Dict[str, Any]:
    fits = accepted(task, item)
    if not fits:
        why = "does not hold {0} tokens".format(task.least)
    elif item.layout.tensor > task.pool.per_node:
        why = "tensor parallel groups span nodes"
    else:
        why = "{0}, each of which waits for the one before".format(many(item.layout.pipeline, "pipeline stage"))
    return {
        "tensor_parallel_size": item.layout.tensor,
        "pipeline_parallel_size": item.layout.pipeline,
        "fits": fits,
        "kv_cache_tokens": item.tokens if fits else 0,
        "why": why,
    }


def _engine_args(task: Task, layout: Layout, found: Optional[Fit], offload: float) -> Dict[str, Any]:
    """What vLLM has to be told, so that it does what was planned; its own defaults are left to it."""
    asked = task.question
    chosen: Dict[str, Any] = {"tensor_parallel_size": layout.tensor, "pipeline_parallel_size": layout.pipeline}
    if asked.max_model_len == "auto" and found is not None and found.length:
        if not asked.release or asked.release >= AUTO_LENGTH_SINCE:
            chosen["max_model_len"] = "auto"
        else:
            length = found.length if found.length == task.model.positions else int(found.length * LENGTH_MARGIN)
            chosen["max_model_len"] = max(1, length)
    elif asked.max_model_len:
        chosen["max_model_len"] = asked.max_model_len
    for name, value in (
        ("gpu_memory_utilization", asked.gpu_memory_utilization),
        ("max_num_seqs", asked.max_num_seqs),
        ("max_num_batched_tokens", asked.max_num_batched_tokens),
        ("cpu_offload_gb", offload),
        ("enforce_eager", asked.enforce_eager),
        ("enable_expert_parallel", asked.expert_parallel),
    ):
        if value:
            chosen[name] = value
    if asked.kv_cache_dtype != "auto":
        chosen["kv_cache_dtype"] = asked.kv_cache_dtype
    return chosen
