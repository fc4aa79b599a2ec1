# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What would work instead of a plan that does not: only changes that were computed to.

This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import re
from typing import List, Optional, Sequence

from ansible_collections.llmserve.vllm.plugins.module_utils._planner.engine import utilization
from ansible_collections.llmserve.vllm.plugins.module_utils._planner.fit import Fit, longest
from ansible_collections.llmserve.vllm.plugins.module_utils._planner.formats import named
from ansible_collections.llmserve.vllm.plugins.module_utils._planner.layouts import (
    Layout,
    legal_tensor_sizes,
    many,
    tensor_problems,
)
from ansible_collections.llmserve.vllm.plugins.module_utils._planner.offload import host_memory_gib, smallest_offload
from ansible_collections.llmserve.vllm.plugins.module_utils._planner.task import (
    AUTO_LENGTH,
    Task,
    accepted,
    evaluate_layout,
    may_fit,
)

# More nodes than this are no advice.
MOST_NODES = 64


def remedies(task: Task, found: Fit, ranked: Sequence[Layout]) -> List[str]:
    """Changes that were computed to work, the cheapest first."""
    listed: List[str] = []
    most = longest(found, task.model)
    if task.length is not None and 512 <= most < task.length:
        listed.append("max_model_len of at most {0}".format(_rounded(most)))
    share = _larger_share(task, found)
    if share:
        listed.append(share)
    gpus = _more_gpus(task, found)
    if gpus:
        listed.append(gpus)
    listed += smaller_formats(task, ranked)
    offload = smallest_offload(task, found.layout) if not task.stated_offload else None
    if offload:
        listed.append(
            "cpu_offload_gb of {0:g}, with {1:.0f} GiB of host memory{2}".format(
                offload,
                host_memory_gib(task.pool, found.layout, offload),
                "" if shares_nvlink(task) else ", and much slower",
            )
        )
    return listed


def _larger_share(task: Task, found: Fit) -> Optional[str]:
    """vLLM's own share of a GPU, where somebody asked for less."""
    default = utilization(found.settings.release)
    if (task.question.gpu_memory_utilization or default) >= default:
        return None
    roomy = task._replace(question=task.question._replace(gpu_memory_utilization=None))
    if not accepted(roomy, evaluate_layout(roomy, found.layout, task.stated_offload)):
        return None
    return "gpu_memory_utilization of {0:g}".format(default)


def _more_gpus(task: Task, found: Fit) -> Optional[str]:
    """The fewest GPUs like these, in the largest groups that a node has, that hold it."""
    per_node = task.pool.per_node
    sizes = legal_tensor_sizes(task.model, task.form, per_node, task.question.expert_parallel)
    if not sizes:
        return None
    tensor = task.question.tensor or sizes[-1]
    for pipeline in range(1, min(per_node * MOST_NODES // tensor, len(task.model.layers)) + 1):
        layout = Layout(tensor, pipeline)
        if layout.gpus <= found.layout.gpus or not may_fit(task, layout):
            continue
        if accepted(task, evaluate_layout(task, layout, task.stated_offload)):
            return "{0} such GPUs (TP {1} x PP {2})".format(layout.gpus, tensor, pipeline)
    return None


def smaller_formats(task: Task, ranked: Sequence[Layout]) -> List[str]:
    """Quantized variants that would work, up to the first that holds the whole context."""
    found: List[str] = []
    if not task.form.plain or task.gpu is None:
        return found
    for name, title in (("fp8", "an FP8 variant of the model"), ("int4_g128", "a 4-bit variant (AWQ or GPTQ)")):
        form = named(name)
        smaller = task._replace(form=form, checkpoint=task.checkpoint._replace(scale=1.0))
        legal = [
            layout
            for layout in ranked
            if not tensor_problems(task.model, form, layout.tensor, task.question.expert_parallel)
        ]
        for layout in legal:
            if may_fit(smaller, layout, 0.0) and accepted(
                smaller, evaluate_layout(smaller, layout, task.stated_offload)
            ):
                return [*found, _variant(title, layout)]
        if legal:
            # on the most GPUs, at least a shorter context
            largest = max(legal, key=lambda item: (item.gpus, -item.pipeline))
            most = longest(evaluate_layout(smaller, largest, task.stated_offload), task.model)
            if most >= AUTO_LENGTH:
                found.append("{0} with max_model_len of at most {1}".format(_variant(title, largest), _rounded(most)))
    return found


def _variant(title: str, layout: Layout) -> str:
    return "{0} on {1} (TP {2} x PP {3})".format(title, many(layout.gpus, "GPU"), layout.tensor, layout.pipeline)


def _rounded(length: int) -> int:
    return length // 256 * 256 or length


def shares_nvlink(task: Task) -> bool:
    """Whether GPU and host are joined by NVLink (GH200, GB200), so that offload costs little."""
    return task.gpu is not None and re.search(r"\bg[hb][23]00", task.gpu.name.lower()) is not None
