# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Figures of a vLLM server from its C(/metrics), which have other names in other releases.

This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import re
from typing import Callable, Dict, List, NamedTuple, Optional, Tuple

_SAMPLE = re.compile(r"([A-Za-z_:][\w:]*)(?:\{(.*)\})?\s+([^\s]+)(?:\s+-?\d+)?$")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


class Sample(NamedTuple):
    """One line of the Prometheus text format."""

    name: str
    labels: Dict[str, str]
    value: float


def parse_metrics(text: str) -> List[Sample]:
    """The samples of a page; what is no sample, comments included, is passed over."""
    found = []
    for line in text.splitlines():
        match = _SAMPLE.match(line.strip()) if line[:1] != "#" else None
        if match is None:
            continue
        try:
            value = float(match.group(3))
        except ValueError:
            continue
        labels = {name: _unescape(quoted) for name, quoted in _LABEL.findall(match.group(2) or "")}
        found.append(Sample(match.group(1), labels, value))
    return found


def _unescape(quoted: str) -> str:
    return re.sub(r"\\(.)", lambda match: "\n" if match.group(1) == "n" else match.group(1), quoted)


def _mean(values: List[float]) -> float:
    return sum(values) / len(values)


# The first name that a page has counts. Several engines behind one server each have a sample of their own.
_FIGURES: Tuple[Tuple[str, Tuple[str, ...], Callable[[List[float]], float]], ...] = (
    ("requests_running", ("vllm:num_requests_running",), sum),
    ("requests_waiting", ("vllm:num_requests_waiting",), sum),
    ("requests_ended", ("vllm:request_success_total", "vllm:request_success"), sum),
    ("kv_cache_used", ("vllm:kv_cache_usage_perc", "vllm:gpu_cache_usage_perc"), _mean),
    ("prompt_tokens", ("vllm:prompt_tokens_total", "vllm:prompt_tokens"), sum),
    ("generated_tokens", ("vllm:generation_tokens_total", "vllm:generation_tokens"), sum),
    ("preemptions", ("vllm:num_preemptions_total", "vllm:num_preemptions"), sum),
    ("started", ("process_start_time_seconds",), min),
)


def engine_figures(text: str) -> Dict[str, float]:
    """The figures of a page by their own names; one that the release does not tell is not there."""
    values: Dict[str, List[float]] = {}
    for sample in parse_metrics(text):
        # a histogram's buckets are no figures
        if "le" not in sample.labels and sample.value == sample.value:
            values.setdefault(sample.name, []).append(sample.value)
    found = {}
    for figure, names, together in _FIGURES:
        name: Optional[str] = next((name for name in names if name in values), None)
        if name is not None:
            found[figure] = together(values[name])
    return found
