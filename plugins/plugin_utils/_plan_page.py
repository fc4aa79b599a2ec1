# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A plan as one HTML page that needs nothing else: no script, no font, no request.

This plugin util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any

from ansible_collections.llmserve.vllm.plugins.plugin_utils._plan_view import KINDS, Node, Stage, View, read_plan
from ansible_collections.llmserve.vllm.plugins.plugin_utils._plan_words import count, gib, host_range, plural, ranges
from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

_TIMES, _DASH = "\u00d7", "\u2013"
_TEMPLATE = "plan_page.html.j2"
# As many colours as the template has that colour-blind people can tell apart; the number in each box tells the rest.
_COLOURS = 7
_GPUS_IN_A_ROW = 8
# From so many hosts or stages on they are drawn small.
_MANY = 8


@dataclass(frozen=True)
class Box:
    """A GPU in the drawing of its host."""

    index: int
    stage: int | None
    x: int
    y: int
    colour: str
    label: str
    title: str


@dataclass(frozen=True)
class Host:
    """A host as it is drawn."""

    name: str
    about: str
    summary: str
    boxes: tuple[Box, ...]
    size: int
    width: int
    height: int


@dataclass(frozen=True)
class Part:
    """A part of a stage's bar: what it is, how much, and where, in percent of the bar."""

    kind: str
    title: str
    value: float
    text: str
    x: float
    width: float


@dataclass(frozen=True)
class Bar:
    """The memory of one GPU of a stage, or of several stages in a row that are alike."""

    index: int
    last: int
    name: str
    label: str
    colour: str
    about: str
    total: str
    summary: str
    parts: tuple[Part, ...]
    # GiB and place of what the GPU lacks
    short: Part | None


def plan_page(plan: Mapping[str, Any]) -> str:
    """The whole document."""
    view = read_plan(plan)
    scale = max((max(stage.used, stage.total or 0.0) for stage in view.stages), default=0.0)
    gpus = {(len(node.gpus), node.gpu_name) for node in view.nodes}
    return _template().render(
        view=view,
        verdict={True: "good", False: "bad", None: "open"}[view.fits],
        hosts=[_host(node, len(view.nodes) > _MANY, len(gpus) > 1) for node in view.nodes],
        hosts_about=_hosts_about(view),
        idle=any(node.idle for node in view.nodes),
        bars=[_bar(group, view, scale) for group in _groups(view)],
        scale=scale,
        many=_MANY,
        kinds=KINDS,
        count=count,
    )


@cache
def _template() -> Template:
    """Lies next to this file, so that it travels with the collection."""
    environment = Environment(
        autoescape=True,
        loader=FileSystemLoader(Path(__file__).parent),
        lstrip_blocks=True,
        trim_blocks=True,
        undefined=StrictUndefined,
    )
    return environment.get_template(_TEMPLATE)


def _colour(stage: int | None) -> str:
    return "idle" if stage is None else f"s{stage % _COLOURS}"


def _hosts_about(view: View) -> str:
    """What all hosts have in common, so that it does not stand in each box."""
    kinds = {(len(node.gpus), node.gpu_name) for node in view.nodes}
    text = plural(len(view.nodes), "host")
    if len(kinds) == 1:
        gpus, name = kinds.pop()
        each = " each" if len(view.nodes) > 1 else ""
        text += f" with {gpus} {_TIMES} {name}{each}" if gpus else " without GPUs"
    return text


def _host(node: Node, small: bool, varied: bool) -> Host:
    size, gap = (22, 3) if small else (34, 5)
    boxes = []
    for index, stage in enumerate(node.gpus):
        row, column = divmod(index, _GPUS_IN_A_ROW)
        what = "idle" if stage is None else f"stage {stage + 1}"
        boxes.append(
            Box(
                index=index,
                stage=stage,
                x=column * (size + gap) + 1,
                y=row * (size + gap) + 1,
                colour=_colour(stage),
                label=_DASH if stage is None else str(stage + 1),
                title=f"GPU {index}: {what}",
            )
        )
    columns, rows = min(len(boxes), _GPUS_IN_A_ROW), -(-len(boxes) // _GPUS_IN_A_ROW)
    return Host(
        name=node.name,
        about=f"{len(node.gpus)} {_TIMES} {node.gpu_name}" if varied and node.gpus else "",
        summary=_host_summary(node),
        boxes=tuple(boxes),
        size=size,
        width=columns * (size + gap) - gap + 2,
        height=rows * (size + gap) - gap + 2,
    )


def _host_summary(node: Node) -> str:
    parts = []
    for stage in node.stages:
        gpus = ranges((index for index, found in enumerate(node.gpus) if found == stage), _DASH)
        parts.append(f"GPU {gpus} stage {stage + 1}")
    if node.idle:
        parts.append(f"{node.idle} idle")
    return f"{node.name}: " + ("; ".join(parts) or "no GPUs")


def _groups(view: View) -> list[list[Stage]]:
    """The stages one by one; where they are many, equal ones in a row together."""
    stages = [stage for stage in view.stages if stage.known]
    if len(stages) <= _MANY:
        return [[stage] for stage in stages]
    return [list(found) for _key, found in groupby(stages, key=lambda stage: replace(stage, index=0, first_layer=0))]


def _bar(group: Sequence[Stage], view: View, scale: float) -> Bar:
    """Every stage is drawn to the same scale."""
    stage, last = group[0], group[-1].index
    label = ranges((item.index + 1 for item in group), _DASH)
    name = f"{'Stages' if len(group) > 1 else 'Stage'} {label}"
    parts, reached = [], 0.0
    for kind, title, _letter in KINDS:
        size = stage.sizes[kind]
        if size is None:
            continue
        drawn = max(0.0, size)
        parts.append(Part(kind, title, size, gib(size, 2), _percent(reached, scale), _percent(drawn, scale)))
        reached += drawn
    short = None
    if stage.short:
        place, width = (
            _percent(max(0.0, stage.used - stage.short), scale),
            _percent(min(stage.short, stage.used), scale),
        )
        short = Part("short", "Lacking", round(stage.short, 3), gib(stage.short, 2), place, width)
    shown = [part for part in parts if part.value >= 0] + ([short] if short else [])
    return Bar(
        index=stage.index,
        last=last,
        name=name,
        label=label,
        colour=_colour(stage.index) if len(group) == 1 else "",
        about=_stage_about(group, view),
        total="" if stage.total is None else gib(stage.total, 2),
        summary=f"{name}: " + ", ".join(f"{part.title} {part.text} GiB" for part in shown),
        parts=tuple(parts),
        short=short,
    )


def _percent(size: float, scale: float) -> float:
    return round(size / scale * 100, 4) if scale else 0.0


def _stage_about(group: Sequence[Stage], view: View) -> str:
    """The layers and the hosts of stages that are alike."""
    parts, stage, indices = [], group[0], {item.index for item in group}
    if stage.layers is not None:
        each = " each" if len(group) > 1 else ""
        numbers = ranges((layer for item in group for layer in item.layer_numbers), _DASH)
        parts.append(plural(stage.layers, "layer") + each + (f" ({numbers})" if numbers else ""))
    hosts = [node.name for node in view.nodes if indices.intersection(node.stages)]
    if hosts:
        parts.append(host_range(hosts))
    if stage.offloaded:
        parts.append(f"{gib(stage.offloaded, 2)} GiB of weights in host memory")
    return " · ".join(parts)
