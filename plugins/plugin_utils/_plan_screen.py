# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A plan on one screen: ASCII, at most 80 columns, so that it reads the same in a terminal and in a log file.

This plugin util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any

from ansible_collections.llmserve.vllm.plugins.plugin_utils._plan_view import KINDS, Node, Stage, View, read_plan
from ansible_collections.llmserve.vllm.plugins.plugin_utils._plan_words import gib, host_range, plural, ranges

WIDTH = 80
_LABEL = 13
# A bar next to the figures, and one below them.
_BAR = 19
_WIDE_BAR = WIDTH - 6
# Up to so many hosts are shown one by one, and so many lines of hosts and of stages in all.
_HOSTS_APART = 4
_HOST_LINES = 8
_STAGE_LINES = 16
_STAGES_APART = 4


def plan_screen(plan: Mapping[str, Any], arithmetic: bool = False) -> str:
    """The plan as text; with C(arithmetic) also how its figures come about."""
    view = read_plan(plan)
    lines = [*_head(view), *_facts(view), *_hosts(view), *_memory(view)]
    lines += _bullets("Why it does not work", view.whys)
    lines += _bullets("What would work", [*view.remedies, *_fitting(view)])
    lines += _bullets("Warnings", view.warnings)
    if arithmetic:
        lines += _bullets("Arithmetic", view.arithmetic)
    return "\n".join(lines)


def _ascii(text: str) -> str:
    """One column per character, everywhere."""
    return text.encode("ascii", "backslashreplace").decode("ascii")


def _wrap(text: str, first: str = "", rest: str = "") -> list[str]:
    """Lines that fit; words that do not are cut."""
    return textwrap.wrap(_ascii(text), WIDTH, initial_indent=first, subsequent_indent=rest, break_on_hyphens=False) or [
        first.rstrip()
    ]


def _labelled(label: str, text: str) -> list[str]:
    return _wrap(text, _ascii(label)[: _LABEL - 1].ljust(_LABEL), " " * _LABEL)


def _bullets(title: str, items: Iterable[str]) -> list[str]:
    lines = [line for item in items for line in _wrap(item, "  - ", "    ")]
    return ["", title, *lines] if lines else []


def _head(view: View) -> list[str]:
    verdict, rule = view.verdict.upper(), "=" * WIDTH
    name = _wrap(view.model)
    if len(name[-1]) + 2 + len(verdict) <= WIDTH:
        name[-1] = name[-1].ljust(WIDTH - len(verdict)) + verdict
    else:
        name.append(verdict.rjust(WIDTH))
    return [rule, *name, *(_wrap(view.about) if view.about else []), rule]


def _facts(view: View) -> list[str]:
    lines = []
    for fact in view.facts:
        lines += _labelled(fact.title, ", ".join(part for part in (fact.value, fact.note) if part))
    if view.arguments:
        lines += _labelled("Arguments", " ".join(f"{key}={value}" for key, value in view.arguments))
    return lines


def _hosts(view: View) -> list[str]:
    if not view.nodes:
        return []
    if len(view.nodes) <= _HOSTS_APART:
        groups = [[node] for node in view.nodes]
    else:
        groups = [
            list(found)
            for _key, found in groupby(view.nodes, key=lambda node: (node.gpu_name, len(node.gpus), node.idle))
        ]
    lines = [""]
    for number, group in enumerate(groups[:_HOST_LINES]):
        lines += _labelled("" if number else "Hosts", _host_line(group))
    rest = [node for group in groups[_HOST_LINES:] for node in group]
    if rest:
        gpus = sum(len(node.gpus) for node in rest)
        lines += _labelled("", f"and {plural(len(rest), 'host')} more, with {plural(gpus, 'GPU')}")
    return lines


def _host_line(group: Sequence[Node]) -> str:
    """Hosts that are alike."""
    node, stages = group[0], sorted({stage for node in group for stage in node.stages})
    text = f"{host_range([node.name for node in group])}: "
    text += f"{len(node.gpus)} x {node.gpu_name}" if node.gpus else "no GPUs"
    if stages:
        text += f", {'stage' if len(stages) == 1 else 'stages'} {ranges(stage + 1 for stage in stages)}"
    if node.idle:
        text += f", {node.idle} idle" + (" each" if len(group) > 1 else "")
    return text


def _cells(stage: Stage) -> tuple[str, ...]:
    layers = "?" if stage.layers is None else str(stage.layers)
    return (layers[:6], *(gib(stage.sizes[kind]) for kind, _title, _letter in KINDS))


def _memory(view: View) -> list[str]:
    """A line per stage; stages in a row that show the same figures share one."""
    if not any(stage.known for stage in view.stages):
        return _labelled("Memory", "not known") if view.stages else []
    folded = [list(found) for _key, found in groupby(view.stages, key=lambda stage: (_cells(stage), _bar(stage, _BAR)))]
    shown, hidden = _tightest(folded)
    lines = ["", *_wrap(f"Memory of each GPU: {view.memory}" if view.memory else "Memory of each GPU in GiB")]
    lines.append("  {:<9}{:>6}{:>9}{:>7}{:>8}{:>7}{:>7}".format("stage", "layers", *_TITLES))
    for group in shown:
        lines += _stage_lines(group, len(shown) <= _STAGES_APART)
    if hidden:
        lines += _wrap(f"{plural(hidden, 'stage')} more, with more room for the KV cache", "  ", "  ")
    legend = [f"{letter} {title}" for _kind, title, letter in KINDS]
    legend += ["! lacking"] if any(stage.short for stage in view.stages) else []
    return lines + _wrap("   ".join(legend), "  ", "  ")


_TITLES = ("weights", "KV", "activ.", "overh.", "free")


def _tightest(groups: list[list[Stage]]) -> tuple[list[list[Stage]], int]:
    """What fits on the screen: the stages with the least room, in order, and how many others there are."""
    if len(groups) <= _STAGE_LINES:
        return groups, 0
    order = sorted(range(len(groups)), key=lambda at: (groups[at][0].sizes["kv"] or 0.0, -groups[at][0].used, at))
    kept = sorted(order[:_STAGE_LINES])
    return [groups[at] for at in kept], sum(len(groups[at]) for at in order[_STAGE_LINES:])


def _stage_lines(group: Sequence[Stage], apart: bool) -> list[str]:
    """The figures with a short bar beside them, or with a long one below."""
    name = ranges(stage.index + 1 for stage in group)
    figures = "  {:<9}{:>6}{:>9}{:>7}{:>8}{:>7}{:>7}".format(name, *_cells(group[0]))
    if apart:
        return [figures[:WIDTH], f"    [{_bar(group[0], _WIDE_BAR)}]"]
    return [f"{figures}  [{_bar(group[0], _BAR)}]"[:WIDTH]]


def _bar(stage: Stage, width: int) -> str:
    """The bar spans the GPU, or what is needed when that is more: exclamation marks are beyond what vLLM may take."""
    sizes = [max(0.0, stage.sizes[kind] or 0.0) for kind, _title, _letter in KINDS]
    whole = max(stage.total or 0.0, sum(sizes))
    if not whole:
        return " " * width
    drawn, reached = "", 0.0
    for (_kind, _title, letter), size in zip(KINDS, sizes, strict=True):
        reached += size
        drawn += letter * (round(reached / whole * width) - len(drawn))
    if stage.short:
        end = round(stage.used / whole * width)
        inside = round((stage.used - stage.short) / whole * width)
        drawn = drawn[: max(0, inside)].ljust(end, "!") + drawn[end:]
    return drawn.ljust(width)


def _fitting(view: View) -> list[str]:
    """The alternatives that fit, where the plan does not."""
    if view.fits is not False:
        return []
    return [f"{item.layout}{f': {item.why}' if item.why else ''}" for item in view.alternatives if item.fits]
