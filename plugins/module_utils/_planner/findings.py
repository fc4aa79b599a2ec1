# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with a plan; and what works, but not as one may expect.

This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

from typing import Iterable, List, Sequence, Tuple

from ansible_collections.llmserve.vllm.plugins.module_utils._planner.engine import GIB
from ansible_collections.llmserve.vllm.plugins.module_utils._planner.fit import Fit
from ansible_collections.llmserve.vllm.plugins.module_utils._planner.layouts import (
    Layout,
    legal_tensor_sizes,
    many,
    tensor_problems,
)
from ansible_collections.llmserve.vllm.plugins.module_utils._planner.offload import (
    host_memory_gib,
    ranks_per_node,
)
from ansible_collections.llmserve.vllm.plugins.module_utils._planner.remedies import (
    remedies,
    shares_nvlink,
    smaller_formats,
)
from ansible_collections.llmserve.vllm.plugins.module_utils._planner.task import (
    Task,
    accepted,
    evaluate_layout,
    may_fit,
)

# The first and last release with GHSA-v97p-wpxp-px84.
LEAKY_PIPELINE = ((0, 16), (0, 21))


def hosts(task: Task) -> Tuple[List[str], List[str]]:
    """Problems of the hosts themselves, and what is odd about them."""
    nodes = task.question.nodes
    if not nodes:
        return ["No nodes were given: put at least one host into the inventory group llm_nodes."], []
    empty = [node.name for node in nodes if not node.gpus]
    if empty:
        return [
            "No GPUs on {0}: mend the driver there (llmserve.vllm.gpu_info says what is wrong), or take the host out "
            "of the inventory group llm_nodes.".format(_few(empty))
        ], []
    warnings = []
    least = min(len(node.gpus) for node in nodes)
    richer = ["{0} ({1})".format(node.name, len(node.gpus)) for node in nodes if len(node.gpus) > least]
    if richer:
        warnings.append(
            "The nodes have different numbers of GPUs: {0} of each are used, the rest of {1} stay idle.".format(
                least, _few(richer)
            )
        )
    return [], warnings + _gpu_warnings(task)


def _gpu_warnings(task: Task) -> List[str]:
    cards = {card for node in task.question.nodes for card in node.gpus}
    names = sorted({card.name for card in cards})
    warnings = []
    sizes = {round(card.total_gib) for card in cards}
    if len(names) > 1 and task.gpu is not None and len(sizes) > 1:
        warnings.append(
            "The GPUs differ ({0}): every one is planned as the smallest, {1} with {2:.1f} GiB.".format(
                ", ".join(names), task.gpu.name, task.gpu.total_gib
            )
        )
    elif len(names) > 1:
        warnings.append("The GPUs differ ({0}): every stage waits for the slowest.".format(", ".join(names)))
    if any(card.sliced for card in cards):
        warnings.append("A GPU is split (MIG): vLLM uses one slice of it, and NCCL does not join slices of one GPU.")
    if any(not card.total_gib for card in cards):
        unknown = sorted({card.name for card in cards if not card.total_gib})
        warnings.append(
            "The memory of {0} is not known, so nothing is said about memory: give memory_total_mib as nvidia-smi "
            "shows it.".format(", ".join(unknown))
        )
    return warnings


def layout_problems(task: Task, layout: Layout) -> List[str]:
    """Why vLLM would refuse a layout, whatever the memory."""
    model, pool, name = task.model, task.pool, task.question.name
    reasons = []
    problems = tensor_problems(model, task.form, layout.tensor, task.question.expert_parallel)
    if problems:
        limit = max(pool.per_node, min(layout.tensor, pool.total))
        legal = legal_tensor_sizes(model, task.form, limit, task.question.expert_parallel)
        reasons.append(
            "{0} cannot be split over {1} GPUs: {2}. Tensor parallel sizes that work, up to {3}: {4}. Set "
            "llmserve_tensor_parallel_size to one of them{5}.".format(
                name, layout.tensor, " and ".join(problems), limit, _comma(legal), _expert_hint(task, layout.tensor)
            )
        )
    if layout.pipeline > len(model.layers):
        reasons.append(
            "{0} pipeline stages need at least as many layers, but {1} has {2}: set llmserve_pipeline_parallel_size to "
            "at most {2}, or use fewer nodes.".format(layout.pipeline, name, len(model.layers))
        )
    if layout.gpus > pool.total:
        reasons.append(_room_reason(task, layout))
    return reasons


def _expert_hint(task: Task, size: int) -> str:
    if task.model.experts is None or task.question.expert_parallel:
        return ""
    if tensor_problems(task.model, task.form, size, expert_parallel=True):
        return ""
    return ", or enable_expert_parallel: true in llmserve_engine_args, which keeps the experts whole"


def _room_reason(task: Task, layout: Layout) -> str:
    pool = task.pool
    fitting = [
        "{0} x {1}".format(size, min(pool.total // size, len(task.model.layers)))
        for size in reversed(legal_tensor_sizes(task.model, task.form, pool.per_node, task.question.expert_parallel))
    ]
    return (
        "TP {0} x PP {1} needs {2} GPUs, but {3} with {4} each have {5}. TP x PP that fits, at most: {6}. "
        "Set llmserve_tensor_parallel_size and llmserve_pipeline_parallel_size, or add nodes.".format(
            layout.tensor,
            layout.pipeline,
            layout.gpus,
            many(pool.nodes, "node"),
            many(pool.per_node, "GPU"),
            pool.total,
            _comma(fitting),
        )
    )


def no_layout(task: Task) -> str:
    """When every layout that vLLM accepts is ruled out by what was fixed."""
    return (
        "No layout of {0} GPUs is possible with pipeline_parallel_size {1}: leave it to the plan, or fix both.".format(
            task.pool.total, task.question.pipeline
        )
    )


def memory_reasons(task: Task, found: Fit, offload: float, ranked: Sequence[Layout]) -> List[str]:
    """Why a layout does not hold the model, with what would."""
    if not found.fits or not accepted(task, found):
        return [_refusal(task, found, offload, ranked)]
    return _host_reasons(task, found, offload)


def _host_reasons(task: Task, found: Fit, offload: float) -> List[str]:
    needed = host_memory_gib(task.pool, found.layout, offload)
    if not offload:
        return []
    poor = [node for node in task.question.nodes if 0 < node.memory_gib < needed]
    if not poor:
        return []
    return [
        "cpu_offload_gb {0:g} on {1} needs about {2:.0f} GiB of host memory (twice the offload, because pinned "
        "memory is rounded up), but {3} has {4:.0f} GiB: use more GPUs, an FP8 variant of the model, or fewer "
        "tokens.".format(
            offload,
            many(ranks_per_node(task.pool, found.layout), "GPU"),
            needed,
            _few([node.name for node in poor]),
            min(node.memory_gib for node in poor),
        )
    ]


def _refusal(task: Task, found: Fit, offload: float, ranked: Sequence[Layout]) -> str:
    stage = found.stages[found.binding]
    layout = found.layout
    where = "stage {0} of {1}".format(found.binding + 1, layout.pipeline) if layout.pipeline > 1 else "every GPU"
    start = "{0} does not fit on {1} (TP {2} x PP {3}): ".format(
        task.question.name, many(layout.gpus, "GPU"), layout.tensor, layout.pipeline
    )
    if found.problem:
        return start + found.problem + "."
    available = stage.available / GIB
    needed = _needed_gib(task, found)
    if available < 0.05:
        budget = found.settings.utilization * (task.gpu.total_gib if task.gpu else 0.0)
        text = (
            "{0} needs {1:.1f} GiB for weights and {2:.1f} GiB for activations and overhead, {3:.1f} GiB in all, and "
            "has {4:.1f} GiB, without a cache for a single token".format(
                where,
                stage.weights / GIB,
                (stage.activation + stage.overhead) / GIB,
                (stage.weights + stage.activation + stage.overhead) / GIB,
                budget,
            )
        )
    else:
        text = "{0} needs {1:.2f} GiB of KV cache for one request of {2} tokens and has {3:.2f} GiB".format(
            where, needed, task.least, available
        )
    changes = remedies(task, found, ranked)
    return start + text + ". " + ("What would work: " + "; ".join(changes) + "." if changes else _hopeless(task))


def _needed_gib(task: Task, found: Fit) -> float:
    if found.length == task.least:
        return found.needed_gib
    return evaluate_layout(task, found.layout, 0.0, task.least).needed_gib


def _hopeless(task: Task) -> str:
    return "Use more or larger GPUs, or a smaller or quantized variant of the model."


def model_warnings(task: Task) -> List[str]:
    """What the model and its format ask of the GPUs."""
    warnings = [task.checkpoint.note] if task.checkpoint.note else []
    form, model, gpu = task.form, task.model, task.gpu
    if model.opaque:
        warnings.append(
            "config.json lacks heads, layers or other figures: the weights are spread evenly over {0} layers, the "
            "tensor parallel size is taken to be any power of two, and the KV cache is unknown, so nothing is said "
            "about context and concurrency.".format(len(model.layers))
        )
    if gpu is not None and not form.plain:
        if gpu.capability < form.oldest:
            warnings.append(
                "{0} needs compute capability {1}.{2}, {3} has {4}.{5}.".format(
                    form.title, form.oldest[0], form.oldest[1], gpu.name, *gpu.capability
                )
            )
        elif gpu.capability < form.native:
            warnings.append(
                "{0}: GPUs compute it natively from compute capability {1}.{2} on; on {3} ({4}.{5}) vLLM unpacks the "
                "weights (Marlin): the memory is saved, the speed is not.".format(
                    form.title, form.native[0], form.native[1], gpu.name, *gpu.capability
                )
            )
    if gpu is not None and gpu.capability < (8, 0):
        warnings.append("{0} has no bfloat16: set dtype: half in llmserve_engine_args.".format(gpu.name))
    if model.multimodal:
        warnings.append(
            "Unknown encoder peak: the memory that images take while vLLM starts is not computed. Set "
            "limit_mm_per_prompt or a low max_num_seqs, or language_model_only if nobody sends images."
        )
    if task.length and task.length > model.positions and not model.stretched:
        warnings.append(
            "max_model_len {0} is beyond the {1} tokens that {2} was made for: vLLM refuses it.".format(
                task.length, model.positions, task.question.name
            )
        )
    return warnings


def layout_warnings(task: Task, found: Fit, offload: float) -> List[str]:
    """What is to be known about the chosen layout."""
    layout, pool = found.layout, task.pool
    warnings = []
    if layout.tensor > pool.per_node:
        warnings.append(
            "TP {0} spans nodes of {1} GPUs: every layer waits for the network, which is slow without InfiniBand. "
            "Prefer TP inside the nodes and PP over them.".format(layout.tensor, pool.per_node)
        )
    elif layout.pipeline > pool.per_node // layout.tensor * pool.nodes:
        warnings.append(
            "TP {0} does not divide the {1} GPUs of a node, so one tensor parallel group spans two nodes.".format(
                layout.tensor, pool.per_node
            )
        )
    if layout.gpus < pool.total and task.question.strategy == "fill":
        warnings.append("{0} of {1} GPUs stay idle.".format(pool.total - layout.gpus, pool.total))
    release = task.question.release
    leaks = release is not None and LEAKY_PIPELINE[0] <= release < LEAKY_PIPELINE[1] and task.question.async_scheduling
    if layout.pipeline > 1 and release and leaks:
        warnings.append(
            "vLLM {0}.{1} can leak tokens between requests when pipeline stages are scheduled asynchronously "
            "(GHSA-v97p-wpxp-px84): use 0.21 or newer, or set async_scheduling: false in "
            "llmserve_engine_args.".format(*release)
        )
    if offload and not shares_nvlink(task):
        warnings.append(
            "{0:g} GiB of weights per GPU cross PCIe in every step: expect a few tokens per second.".format(offload)
        )
    if offload:
        faster = smaller_formats(task, [layout])
        if faster:
            warnings.append("Faster than offload: {0}.".format("; or ".join(faster)))
    return warnings + _crowd_warning(task, found)


def _crowd_warning(task: Task, found: Fit) -> List[str]:
    """With all GPUs in one engine: how many engines they would make."""
    layout = found.layout
    if task.question.strategy != "fill" or layout.pipeline < 2 or not found.fits:
        return []
    for pipeline in range(1, layout.pipeline // 2 + 1):
        smaller = Layout(layout.tensor, pipeline)
        if not may_fit(task, smaller):
            continue
        if accepted(task, evaluate_layout(task, smaller, task.stated_offload)):
            return [
                "One copy of the model fits on {0} (TP {1} x PP {2}): these {3} would hold {4} copies, each with "
                "requests of its own and fewer stages that wait for each other (strategy fit).".format(
                    many(smaller.gpus, "GPU"), smaller.tensor, pipeline, layout.gpus, layout.pipeline // pipeline
                )
            ]
    return []


def _comma(items: Iterable[object]) -> str:
    return ", ".join(str(item) for item in items) or "none"


def _few(names: Sequence[str]) -> str:
    return ", ".join(names) if len(names) <= 5 else "{0} and {1} more".format(", ".join(names[:4]), len(names) - 4)
