# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Figures that a log gives with a failure: what was asked for, and what there was.

This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import re
from typing import Callable, Dict, Tuple, Union

Figure = Union[int, float, str]

# A pair of groups x_amount and x_unit becomes x_mib.
_PATTERNS = tuple(
    re.compile(pattern)
    for pattern in (
        r"max seq len \((?P<asked_max_len>\d+)\)",
        r"max_model_len \((?P<asked_max_len>\d+)\) is greater",
        r"the derived max_model_len \(\D*(?P<model_max_len>\d+)",
        r"estimated maximum model length is (?P<fitting_max_len>\d+)",
        r"stored in (?:the )?KV cache \((?P<fitting_max_len>\d+)\)",
        r"\((?P<kv_needed_gib>[\d.]+) GiB KV cache is needed",
        r"available KV cache memory \((?P<kv_available_gib>[\d.]+) GiB\)",
        r"Tried to allocate (?P<asked_amount>[\d.]+) (?P<asked_unit>[KMG]iB)",
        r"total capacity of (?P<total_amount>[\d.]+) (?P<total_unit>[KMG]iB)",
        r"of which (?P<free_amount>[\d.]+) (?P<free_unit>[KMG]iB) is free",
        r"Free memory on device.*?\((?P<free_gib>[\d.]+)/(?P<total_gib>[\d.]+) GiB\)",
        r"(?:utilization|budget) \((?:[\d.]+, )?(?P<wanted_gib>[\d.]+) GiB\)",
        r"anon-rss:(?P<resident_kib>\d+)kB",
        r"(?P<shm_needed_mib>[\d.]+) MiB required, (?P<shm_free_mib>[\d.]+) MiB free",
        r"attention heads \((?P<heads>\d+)\) must be divisible by tensor parallel size \((?P<tensor_parallel>\d+)\)",
        r"World size \((?P<world_size>\d+)\) is larger than the number of available GPUs \((?P<gpus>\d+)\)",
        r"The cluster was started with:\s+Ray: (?P<cluster_ray>\S+)\s+Python: (?P<cluster_python>\S+)",
        r"This process on .* was started with:\s+Ray: (?P<own_ray>\S+)\s+Python: (?P<own_python>\S+)",
        r"Timeout\(ms\)=(?P<timeout_ms>\d+)",
        r"NVRM: Xid \(PCI:(?P<pci>[\w:.]+)\): (?P<xid>\d+)",
        r"bind on address \('[^']*', (?P<port>\d+)\)",
        r"Waiting for creating a placement group of specs for (?P<waited_s>\d+) seconds",
        r"LoRA rank (?P<lora_rank>\d+) is greater than max_lora_rank (?P<max_lora_rank>\d+)",
        r"file should be of size (?P<expected_bytes>\d+) but has size (?P<found_bytes>\d+)",
        r"Minimum capability: (?P<minimum_capability>\d+)\. Current capability: (?P<capability>\d+)",
        r"max_num_batched_tokens \((?P<max_num_batched_tokens>\d+)\)",
    )
)
_MIB: Dict[str, float] = {"KiB": 1 / 1024, "MiB": 1.0, "GiB": 1024.0}


def figures(text: str) -> Dict[str, Figure]:
    """Figures in the lines of a failure, by name; sizes as numbers in the unit that their name ends with."""
    found: Dict[str, str] = {}
    for pattern in _PATTERNS:
        match = pattern.search(text)
        if match:
            found.update((name, value) for name, value in match.groupdict().items() if name not in found)
    result: Dict[str, Figure] = {}
    for name, value in found.items():
        if name.endswith("_amount"):
            unit = found[name.replace("_amount", "_unit")]
            result[name.replace("_amount", "_mib")] = round(float(value) * _MIB[unit], 2)
        elif name == "resident_kib":
            result["resident_gib"] = round(int(value) / 1024**2, 2)
        elif not name.endswith("_unit"):
            result[name] = _number(value)
    return result


def _number(value: str) -> Figure:
    kinds: Tuple[Callable[[str], Figure], ...] = (int, float)
    for kind in kinds:
        try:
            return kind(value)
        except ValueError:
            continue
    return value
