# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What there is to show of the plan of llmserve.vllm.parallel_plan, for the screen and the page alike.

This plugin util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.llmserve.vllm.plugins.plugin_utils._plan_facts import Fact, headlines
from ansible_collections.llmserve.vllm.plugins.plugin_utils._plan_words import (
    argument,
    count,
    gib,
    mapping,
    mappings,
    number,
    sentences,
    split_reason,
    words,
)

# What a GPU's memory is spent on: the key in the picture, the title, and the letter in a bar of text.
KINDS = (
    ("weights", "Weights", "W"),
    ("kv", "KV cache", "K"),
    ("activation", "Activations", "A"),
    ("overhead", "Overhead", "O"),
    ("free", "Free", "."),
)
# No model is that deep: a slip in a plan must not take all memory.
_MOST_LAYERS = 10_000


@dataclass(frozen=True)
class Stage:
    """A pipeline stage. Sizes are GiB per GPU by kind, None where the plan does not say."""

    index: int
    layers: int | None
    first_layer: int | None
    sizes: Mapping[str, float | None]
    total: float | None
    # what vLLM may take of it, where the plan does not fit
    limit: float | None
    offloaded: float

    @property
    def known(self) -> bool:
        return any(size is not None for size in self.sizes.values())

    @property
    def used(self) -> float:
        """GiB that are needed; more than there is in a plan that does not fit."""
        return sum(max(0.0, size or 0.0) for kind, size in self.sizes.items() if kind != "free")

    @property
    def short(self) -> float:
        """GiB that are lacking; sums of rounded figures do not count."""
        lacking = self.used - self.limit if self.limit is not None else 0.0
        return lacking if lacking > 0.05 else 0.0

    @property
    def layer_numbers(self) -> range:
        """The layers' numbers, as the names of the weights have them."""
        if self.layers is None or self.first_layer is None:
            return range(0)
        return range(self.first_layer, self.first_layer + min(self.layers, _MOST_LAYERS))


@dataclass(frozen=True)
class Node:
    """A host with the stage of each of its GPUs, None for an idle one."""

    name: str
    gpu_name: str
    gpus: tuple[int | None, ...]

    @property
    def stages(self) -> tuple[int, ...]:
        return tuple(sorted({stage for stage in self.gpus if stage is not None}))

    @property
    def idle(self) -> int:
        return sum(stage is None for stage in self.gpus)


@dataclass(frozen=True)
class Alternative:
    """Another layout that was looked at."""

    layout: str
    fits: bool
    tokens: float | None
    why: str


@dataclass(frozen=True)
class View:
    """Everything that is shown of a plan."""

    model: str
    about: str
    fits: bool | None
    facts: tuple[Fact, ...]
    stages: tuple[Stage, ...]
    nodes: tuple[Node, ...]
    memory: str
    whys: tuple[str, ...]
    remedies: tuple[str, ...]
    warnings: tuple[str, ...]
    alternatives: tuple[Alternative, ...]
    arguments: tuple[tuple[str, str], ...]
    arithmetic: tuple[str, ...]

    @property
    def verdict(self) -> str:
        return {True: "fits", False: "does not fit", None: "memory unknown"}[self.fits]


def read_plan(plan: Mapping[str, Any]) -> View:
    """The plan, put into words. Figures that it lacks are left out or called unknown."""
    whys: list[str] = []
    remedies: list[str] = []
    for reason in sentences(plan.get("reasons")):
        why, better = split_reason(reason)
        whys += [why] if why else []
        remedies += better
    fits = plan.get("fits")
    # reasons outweigh the flag, so that no refusal is ever shown as a success
    verdict = False if whys or remedies else fits if isinstance(fits, bool) else None
    requested = number(mapping(plan.get("gpu")).get("requested_gib")) if verdict is False else None
    return View(
        model=words(plan.get("model")) or "Unnamed model",
        about=_about(plan),
        fits=verdict,
        facts=tuple(headlines(plan)),
        stages=tuple(_stage(index, item, requested) for index, item in enumerate(mappings(plan.get("stages")))),
        nodes=tuple(_node(item) for item in mappings(plan.get("nodes"))),
        memory=_memory(plan),
        whys=tuple(whys),
        remedies=tuple(remedies),
        warnings=tuple(sentences(plan.get("warnings"))),
        alternatives=tuple(_alternative(item) for item in mappings(plan.get("alternatives"))),
        arguments=tuple((words(key), argument(value)) for key, value in mapping(plan.get("engine_args")).items()),
        arithmetic=tuple(sentences(plan.get("arithmetic"))),
    )


def _about(plan: Mapping[str, Any]) -> str:
    parts = [words(plan.get("architecture")), words(plan.get("quantization"))]
    for key, pattern in (("vllm_version", "vLLM {}"), ("strategy", "strategy {}"), ("confidence", "confidence {}")):
        text = words(plan.get(key))
        parts.append(pattern.format(text) if text else "")
    return ", ".join(part for part in parts if part)


def _stage(index: int, stage: Mapping[str, Any], requested: float | None) -> Stage:
    layers, first = number(stage.get("layers")), number(stage.get("first_layer"))
    total = number(stage.get("total_gib"))
    return Stage(
        index=index,
        layers=None if layers is None else int(layers),
        first_layer=None if first is None else int(first),
        sizes={kind: number(stage.get(f"{kind}_gib")) for kind, _title, _letter in KINDS},
        total=total,
        limit=total if requested is None else requested,
        offloaded=number(stage.get("offloaded_gib")) or 0.0,
    )


def _node(node: Mapping[str, Any]) -> Node:
    gpus = node.get("gpus")
    stages = [number(stage) for stage in gpus] if isinstance(gpus, (list, tuple)) else []
    return Node(
        name=words(node.get("name")) or "unnamed host",
        gpu_name=words(node.get("gpu_name")) or "GPU",
        gpus=tuple(None if stage is None else int(stage) for stage in stages),
    )


def _alternative(item: Mapping[str, Any]) -> Alternative:
    tensor, pipeline = count(item.get("tensor_parallel_size")), count(item.get("pipeline_parallel_size"))
    return Alternative(
        layout=f"TP {tensor} x PP {pipeline}",
        fits=item.get("fits") is True,
        tokens=number(item.get("kv_cache_tokens")),
        why=words(item.get("why")),
    )


def _memory(plan: Mapping[str, Any]) -> str:
    """The size of a GPU, and what vLLM takes of it."""
    gpu = mapping(plan.get("gpu"))
    total, requested = number(gpu.get("total_gib")), number(gpu.get("requested_gib"))
    if total is None:
        return ""
    return f"{gib(total, 2)} GiB" + (f", of which vLLM takes {gib(requested, 2)}" if requested is not None else "")
