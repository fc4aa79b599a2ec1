# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan: choose a layout, and say what it costs.

This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Sequence

from ansible_collections.llmserve.vllm.plugins.module_utils._planner import findings
from ansible_collections.llmserve.vllm.plugins.module_utils._planner.errors import PlanError
from ansible_collections.llmserve.vllm.plugins.module_utils._planner.explain import Choice, describe
from ansible_collections.llmserve.vllm.plugins.module_utils._planner.fit import Fit
from ansible_collections.llmserve.vllm.plugins.module_utils._planner.layouts import (
    Layout,
    legal_tensor_sizes,
    tensor_problems,
)
from ansible_collections.llmserve.vllm.plugins.module_utils._planner.offload import smallest_offload
from ansible_collections.llmserve.vllm.plugins.module_utils._planner.question import read_question
from ansible_collections.llmserve.vllm.plugins.module_utils._planner.task import (
    Task,
    accepted,
    evaluate_layout,
    make_task,
    may_fit,
)

__all__ = ["PlanError", "make_plan"]


def make_plan(options: Mapping[str, Any]) -> Dict[str, Any]:
    """The plan for the options of parallel_plan. Raises PlanError when the question itself is wrong."""
    task = make_task(read_question(options))
    reasons, warnings = findings.hosts(task)
    if not task.pool.total:
        asked = Layout(task.question.tensor or 1, task.question.pipeline or 1)
        return describe(task, Choice(asked), reasons, warnings)
    ranked = _ranked(task)
    if not ranked:
        asked = _asked_layout(task)
        reasons = reasons + (findings.layout_problems(task, asked) or [findings.no_layout(task)])
        return describe(task, Choice(asked), reasons, warnings)
    warnings = warnings + findings.model_warnings(task)
    if task.gpu is None or not task.gpu.total_gib:
        return describe(task, Choice(ranked[0]), reasons, warnings)
    choice = _choose(task, ranked)
    if choice.found is not None:
        reasons = reasons + findings.memory_reasons(task, choice.found, choice.offload, ranked)
        warnings = warnings + findings.layout_warnings(task, choice.found, choice.offload)
    return describe(task, choice, reasons, warnings)


def _asked_layout(task: Task) -> Layout:
    """What was asked for, whether it is legal or not; every GPU where nothing was."""
    tensor, pipeline = task.question.tensor, task.question.pipeline
    if tensor is None:
        tensor = task.pool.per_node if pipeline is None else min(task.pool.per_node, task.pool.total // pipeline)
        tensor = max(1, tensor)
    return Layout(tensor, pipeline or max(1, task.pool.total // tensor))


def _ranked(task: Task) -> List[Layout]:
    """The layouts that vLLM accepts, best first: by strategy, then few stages, since stages wait for each other."""
    question, pool = task.question, task.pool
    if question.tensor and question.tensor > pool.per_node:
        asked = _asked_layout(task)
        return [] if findings.layout_problems(task, asked) else [asked]
    if question.tensor:
        legal = not tensor_problems(task.model, task.form, question.tensor, question.expert_parallel)
        sizes = [question.tensor] if legal else []
    else:
        sizes = legal_tensor_sizes(task.model, task.form, pool.per_node, question.expert_parallel)
    found: List[Layout] = []
    for tensor in sizes:
        # a group that was asked for may span nodes; the planner's own stay inside
        groups = pool.total // tensor if question.tensor else pool.per_node // tensor * pool.nodes
        most = min(groups, len(task.model.layers))
        stages = [question.pipeline] if question.pipeline else list(range(1, most + 1))
        found += [Layout(tensor, pipeline) for pipeline in stages if pipeline <= most]
    if question.strategy == "fill":
        return sorted(found, key=lambda layout: (-layout.gpus, layout.pipeline))
    return sorted(found, key=lambda layout: (layout.gpus, layout.pipeline))


def _choose(task: Task, ranked: Sequence[Layout]) -> Choice:
    """The first layout that fits, with the least offload; else the one that comes closest."""
    tried: List[Fit] = []
    offload = task.stated_offload
    for layout in ranked:
        # the computed weights may be a little too much, the refusal must be sure
        if not may_fit(task, layout):
            continue
        found = evaluate_layout(task, layout, offload)
        if accepted(task, found):
            others = [evaluate_layout(task, item, offload) for item in _rivals(ranked, layout)]
            return Choice(layout, found, offload, tuple(others + tried[-4:]))
        tried.append(found)
    if task.question.cpu_offload_gb == "auto":
        for layout in sorted(ranked, key=lambda item: (-item.gpus, item.pipeline))[:8]:
            least = smallest_offload(task, layout)
            if least is not None:
                return Choice(layout, evaluate_layout(task, layout, least), least, tuple(tried[-4:]))
    if not tried:
        # nothing came near: show the largest
        tried = [evaluate_layout(task, max(ranked, key=lambda item: (item.gpus, -item.pipeline)), offload)]
    best = max(tried, key=lambda item: min(stage.available for stage in item.stages))
    return Choice(best.layout, best._replace(fits=False), offload, ())


def _rivals(ranked: Sequence[Layout], chosen: Layout) -> List[Layout]:
    """Other layouts of as many GPUs, for comparison."""
    return [item for item in ranked if item.gpus == chosen.gpus and item != chosen][:3]
