# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What vLLM says about memory while it starts, and how far that is from the plan.

This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import re
from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Pattern, Tuple

# A plan that is further off than this is worth a warning.
TOLERANCE = 0.1


class Difference(NamedTuple):
    """A planned figure beside the one that vLLM reports."""

    sentence: str
    # measured / planned - 1
    off: float
    # whether that is beyond TOLERANCE
    warn: bool


def _number(text: str) -> float:
    return float(text.replace(",", ""))


# Figures by name, with what is kept where several ranks report: the fullest GPU and the smallest cache decide.
# The wordings: 0.4 to 0.7 ("Loading model weights took 14.9888 GB", in GiB), V1 up to 0.12, 0.13 and newer.
_FIGURES: Tuple[Tuple[str, Pattern[str], Callable[[float, float], float]], ...] = (
    ("weights_gib_per_gpu", re.compile(r"(?:Model loading|Loading model weights) took ([\d.]+) Gi?B"), max),
    ("kv_cache_gib_per_gpu", re.compile(r"Available KV cache memory: ([\d.]+) GiB"), min),
    ("kv_cache_gib_per_gpu", re.compile(r"memory reserved for KV Cache is ([\d.]+) ?GiB"), min),
    ("kv_cache_tokens", re.compile(r"(?:GPU|CPU) KV cache size: ([\d,]+) tokens"), min),
    ("max_concurrency", re.compile(r"Maximum concurrency for [\d,]+ tokens per request: ([\d.]+)x"), min),
    (
        "load_seconds",
        re.compile(r"(?:Model loading|Loading model weights) took [\d.]+ Gi?B(?: memory)? and ([\d.]+) s"),
        max,
    ),
)
_BLOCKS = re.compile(r"# (?:GPU|cuda) blocks: (\d+)")
# V0 counted blocks of this many tokens by default.
_BLOCK = 16


def memory_figures(log: str) -> Dict[str, float]:
    """The figures of the last start in a log, by the names that a plan gives them."""
    start = log.rfind("Initializing a V")
    found: Dict[str, float] = {}
    text = log[start:] if start >= 0 else log
    for name, pattern, keep in _FIGURES:
        for match in pattern.finditer(text):
            value = _number(match.group(1))
            found[name] = keep(found[name], value) if name in found else value
    blocks = _BLOCKS.search(text)
    if blocks and "kv_cache_tokens" not in found:
        found["kv_cache_tokens"] = float(int(blocks.group(1)) * _BLOCK)
    return found


_COMPARED = (
    ("weights_gib_per_gpu", "weights", "{0:.2f} GiB per GPU"),
    ("kv_cache_gib_per_gpu", "KV cache", "{0:.2f} GiB per GPU"),
    ("kv_cache_tokens", "KV cache", "{0:,.0f} tokens"),
)


def compare(planned: Mapping[str, Any], measured: Mapping[str, float]) -> List[Difference]:
    """Every figure that both sides have."""
    found = []
    for name, title, form in _COMPARED:
        plan, real = planned.get(name), measured.get(name)
        if not plan or not real:
            continue
        off = real / float(plan) - 1
        found.append(
            Difference(
                "{0}: planned {1}, vLLM has {2} ({3:+.1f} %)".format(
                    title, form.format(float(plan)), form.format(real), 100 * off
                ),
                off,
                abs(off) > TOLERANCE,
            )
        )
    return found
