# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What one layout costs on every GPU, stage by stage, and whether a request of the wanted length fits.

This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

from ansible_collections.llmserve.vllm.plugins.module_utils._planner import activations, cache, weights
from ansible_collections.llmserve.vllm.plugins.module_utils._planner.engine import GIB, Settings
from ansible_collections.llmserve.vllm.plugins.module_utils._planner.formats import Format
from ansible_collections.llmserve.vllm.plugins.module_utils._planner.layouts import Layout, stage_bounds
from ansible_collections.llmserve.vllm.plugins.module_utils._planner.model import Model
from ansible_collections.llmserve.vllm.plugins.module_utils._planner.padding import mxfp4_kernel
from ansible_collections.llmserve.vllm.plugins.module_utils._planner.question import Gpu

# What the CUDA context takes outside of the budget: 78.57 of 79.18 GiB are free on an idle H100 (0.61).
CONTEXT_GIB = 0.6


class Stage(NamedTuple):
    """One pipeline stage, in bytes per GPU."""

    first: int
    layers: int
    weights: float
    offloaded: float
    # weights that cannot be offloaded: embedding, head, rotary table, vision tower
    fixed: float
    activation: float
    graphs: float
    outside: float
    available: float
    cache: cache.Cache

    @property
    def overhead(self) -> float:
        return self.graphs + self.outside


class Fit(NamedTuple):
    """A layout with its memory. C(length) is 0 when the longest was asked for and nothing fits."""

    layout: Layout
    settings: Settings
    stages: Tuple[Stage, ...]
    length: int
    blocks: int
    tokens: int
    concurrency: float
    fits: bool
    # the stage with the least room
    binding: int
    needed_gib: float
    problem: str


def total_bytes(gpu: Gpu) -> float:
    """Bytes that CUDA reports for a GPU."""
    return gpu.total_gib * GIB


def evaluate(
    model: Model,
    form: Format,
    layout: Layout,
    gpu: Gpu,
    settings: Settings,
    *,
    length: Optional[int],
    offload_gib: float = 0.0,
    expert_parallel: bool = False,
    scale: float = 1.0,
) -> Fit:
    """Add up a layout. C(length) None asks for the longest context that fits, C(scale) corrects computed weights."""
    stages = _stages(
        model,
        form,
        layout,
        gpu,
        settings,
        length=length,
        offload_gib=offload_gib,
        expert_parallel=expert_parallel,
        scale=scale,
    )
    in_flight = cache.in_flight_tokens(settings, layout.pipeline)
    wanted = length if length is not None else _longest(stages, model.positions, in_flight)
    binding = _binding(stages, wanted, in_flight)
    worst = stages[binding]
    blocks = min((stage.cache.blocks(stage.available) for stage in stages if not stage.cache.empty), default=0)
    needed = worst.cache.blocks_needed(max(1, wanted), in_flight)
    tokens = worst.cache.tokens(blocks, max(1, wanted), in_flight, settings.release)
    problem = _problem(model, settings, gpu, stages, layout)
    room = all(_has_room(stage, max(1, wanted), in_flight) for stage in stages)
    return Fit(
        layout=layout,
        settings=settings,
        stages=tuple(stages),
        length=wanted,
        blocks=blocks,
        tokens=tokens,
        concurrency=blocks / needed if needed else 0.0,
        fits=room and wanted > 0 and not problem,
        binding=binding,
        needed_gib=needed * worst.cache.bytes_per_block / GIB,
        problem=problem,
    )


def _has_room(stage: Stage, length: int, in_flight: int) -> bool:
    """Whether a request fits; one block is never given out."""
    if stage.cache.empty:
        return stage.available > 0
    return stage.cache.blocks_needed(length, in_flight) <= stage.cache.blocks(stage.available) - 1


def longest(found: Fit, model: Model) -> int:
    """The longest request that a layout holds, up to what the model was made for; 0 when none."""
    in_flight = cache.in_flight_tokens(found.settings, found.layout.pipeline)
    return _longest(found.stages, model.positions, in_flight)


def _longest(stages: Sequence[Stage], limit: int, in_flight: int) -> int:
    return min(stage.cache.longest(stage.available, limit, in_flight) for stage in stages)


def _stages(
    model: Model,
    form: Format,
    layout: Layout,
    gpu: Gpu,
    settings: Settings,
    *,
    length: Optional[int],
    offload_gib: float,
    expert_parallel: bool,
    scale: float,
) -> List[Stage]:
    bounds = stage_bounds(len(model.layers), layout.pipeline)
    kernel = mxfp4_kernel((settings.release[0], settings.release[1]), gpu.capability)
    sizes = weights.stage_weights(
        model, bounds, weights.Shard(layout.tensor, expert_parallel, kernel, (0, 7) <= settings.release < (0, 8)), form
    )
    value = cache.value_bytes(model, settings.kv_cache_dtype, form.cache_fp8)
    grouped = cache.plan_cache(model, layout.tensor, value, settings)
    requested = total_bytes(gpu) * settings.utilization
    stages = []
    # the stages in the middle are alike
    known: Dict[activations.Place, Tuple[float, float]] = {}
    for number, ((first, after), size) in enumerate(zip(bounds, sizes)):
        last = number == layout.pipeline - 1
        place = activations.Place(layout.tensor, layout.pipeline, number == 0, last, expert_parallel)
        if place not in known:
            known[place] = (
                activations.peak_bytes(model, settings, place, length or model.positions),
                activations.outside_bytes(settings, place, gpu.nvlink),
            )
        peak, outside = known[place]
        graphs = activations.graph_bytes(model, settings, after - first, gpu.total_gib)
        loaded = size.total * scale
        # only decoder layers are offloaded (models/utils.py, make_layers)
        offloaded = min(offload_gib * GIB, size.layers * scale)
        stages.append(
            Stage(
                first=first,
                layers=after - first,
                weights=loaded - offloaded,
                offloaded=offloaded,
                fixed=loaded - size.layers * scale,
                activation=peak,
                graphs=graphs,
                outside=outside,
                available=requested - (loaded - offloaded) - peak - graphs - outside,
                cache=cache.stage_cache(grouped, first, after),
            )
        )
    return stages


def _binding(stages: Sequence[Stage], length: int, in_flight: int) -> int:
    """The stage whose cache holds the fewest such requests."""
    room = []
    for number, stage in enumerate(stages):
        needed = stage.cache.blocks_needed(max(1, length), in_flight) * stage.cache.bytes_per_block
        room.append((stage.available / needed if needed else float("inf"), number))
    return min(room)[1]


def _problem(model: Model, settings: Settings, gpu: Gpu, stages: Sequence[Stage], layout: Layout) -> str:
    """What kills the engine besides a lack of cache."""
    total = gpu.total_gib
    asked = total * settings.utilization
    free = total - gpu.used_gib - CONTEXT_GIB
    if gpu.used_gib > 0.5 and asked > free:
        return (
            "{0:.1f} GiB of {1:.1f} GiB are asked for (gpu_memory_utilization {2:g}), but other processes hold {3:.1f} "
            "GiB of a GPU, so {4:.1f} GiB are free: end them, or lower gpu_memory_utilization to {5:.2f}".format(
                asked, total, settings.utilization, gpu.used_gib, max(0.0, free), max(0.0, free) / total
            )
        )
    slack = (1 - settings.utilization) * total - CONTEXT_GIB
    graphs = activations.uncounted_graph_bytes(model, settings) / GIB
    # twice: the estimate is rough, and a refusal must be sure
    if graphs > max(0.3, slack) * 1.25:
        return (
            "the CUDA graphs need about {0:.1f} GiB outside of gpu_memory_utilization, but {1:g} leaves {2:.1f} GiB: "
            "lower it, or set enforce_eager".format(graphs, settings.utilization, max(0.0, slack))
        )
    return ""
