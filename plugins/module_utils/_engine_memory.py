# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What vLLM says about memory while it starts, and how far that is from the plan.

This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import re
from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Optional, Pattern, Sequence, Tuple

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
    # vllm/model_executor/offloader/uva.py, since 0.17
    ("offloaded_gib_per_gpu", re.compile(r"Total CPU offloaded parameters: ([\d.]+)"), max),
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
    ("offloaded_gib_per_gpu", "weights in host memory", "{0:.2f} GiB per GPU"),
    ("kv_cache_gib_per_gpu", "KV cache", "{0:.2f} GiB per GPU"),
    ("kv_cache_tokens", "KV cache", "{0:,.0f} tokens"),
)


def compare(planned: Mapping[str, Any], measured: Mapping[str, float]) -> List[Difference]:
    """Every figure that both sides have."""
    found = []
    planned = dict(planned, offloaded_gib_per_gpu=planned_offload(planned))
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


def planned_offload(planned: Mapping[str, Any]) -> float:
    """GiB of weights that the plan keeps in the host's memory for the GPU with the most of them."""
    stages = planned.get("stages") or ()
    return max([float(stage.get("offloaded_gib") or 0) for stage in stages if isinstance(stage, Mapping)] or [0.0])


class Offload(NamedTuple):
    """Whether weights lie in the host's memory as planned: C(None) where nothing tells."""

    took_place: Optional[bool]
    evidence: List[str]


def offload_proof(
    planned: Mapping[str, Any], measured: Mapping[str, float], used_mib: Sequence[float] = ()
) -> Optional[Offload]:
    """What the log and the GPUs say about an offload that was planned; C(None) when none was.

    The log may say what was moved, and says what was left on the GPU. A GPU that uses less than all weights take cannot
    hold them all; one that uses more proves nothing, because the KV cache fills what is free.
    """
    moved = planned_offload(planned)
    if not moved:
        return None
    stages = [stage for stage in planned.get("stages") or () if isinstance(stage, Mapping)]
    whole = max(float(stage.get("weights_gib") or 0) + float(stage.get("offloaded_gib") or 0) for stage in stages)
    votes: List[bool] = []
    evidence: List[str] = []
    said = measured.get("offloaded_gib_per_gpu")
    if said is not None:
        votes.append(said >= moved * (1 - TOLERANCE))
        evidence.append("{0:.1f} of {1:.1f} GiB moved to host memory, says vLLM".format(said, moved))
    left = measured.get("weights_gib_per_gpu")
    if left is not None:
        # half way between what stays on the GPU and all of it
        votes.append(left < whole - moved / 2)
        evidence.append("{0:.1f} of {1:.1f} GiB of weights loaded onto the GPU".format(left, whole))
    fullest = max(used_mib) / 1024 if used_mib else 0.0
    if fullest:
        evidence.append("the GPU uses {0:.1f} GiB in all".format(fullest))
        if fullest < whole:
            votes.append(True)
    return Offload(all(votes) if votes else None, evidence)
