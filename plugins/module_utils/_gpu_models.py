# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an NVIDIA GPU's name tells: compute capability, and where its memory is.

This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import re
from typing import Optional, Tuple

# First match wins, so what is special comes first. Source: NVIDIA's table of CUDA GPUs.
_CAPABILITIES: Tuple[Tuple[str, str], ...] = (
    (r"\bgb10\b|dgx spark|\bn1x\b", "12.1"),
    (r"\b(gb300|b300)\b", "10.3"),
    (r"\b(gb200|b200|b100|hgx b200)\b", "10.0"),
    (r"\bthor\b|jetson t[45]000", "11.0"),
    (r"\borin\b", "8.7"),
    (r"\bxavier\b", "7.2"),
    (r"\btx2\b", "6.2"),
    (r"rtx pro \d{4}|blackwell|(rtx|geforce) ?50[5-9]0", "12.0"),
    (r"\b(gh200|h200|h100|h800|h20)\b|\bhopper\b", "9.0"),
    (r"\b(l4|l40s?|l20|l2)\b|\d{4} (sff )?ada\b|ada generation|(rtx|geforce) ?40[5-9]0", "8.9"),
    (r"\b(a100|a800|a30)\b|grid a100", "8.0"),
    (r"\b(a40|a10g?|a10m|a16|a2)\b|\ba[1-6]\d00\b|rtx a\d{3,4}|(rtx|geforce) ?30[5-9]0", "8.6"),
    (r"\bt4g?\b|\bt(400|500|550|600|1000|1200|2000)\b|quadro rtx|titan rtx|(rtx|geforce) ?20[5-9]0|gtx 16\d0", "7.5"),
    (r"\b(v100s?|gv100|titan v)\b", "7.0"),
    (r"\b(p100|gp100)\b", "6.0"),
    (r"\bp(4|6|10|40)\b|quadro p\d{3,4}|titan xp?\b|gtx 10\d0|gt 10\d0", "6.1"),
    (r"\b(m4|m6|m10|m40|m60)\b|quadro m\d{4}|gtx 9\d0", "5.2"),
    (r"\bk80\b", "3.7"),
    (r"\bk(20|40)", "3.5"),
)
# Only the architectures that come in one capability; Blackwell, Ampere, Volta and Pascal come in several.
_ARCHITECTURES = {"hopper": "9.0", "ada lovelace": "8.9", "turing": "7.5"}
# GPUs without memory of their own. nvidia-smi has no figure for some and a meaningless one for others (N1X: 8 GiB).
_SHARED = re.compile(r"\b(gb10|dgx spark|n1x|thor|orin|xavier|tegra|nvgpu|tx2)\b|jetson")
# GPUs whose own memory is a NUMA node of the host as well.
_COHERENT = re.compile(r"\b(gh200|gb200|gb300)\b|grace hopper")


def compute_capability(name: Optional[str], architecture: Optional[str]) -> Optional[str]:
    """The compute capability, C("9.0") for example; None when neither name nor architecture is known.

    The XML report lacks it, and asking nvidia-smi again takes seconds on a host without persistence mode.
    """
    text = (name or "").lower()
    for pattern, capability in _CAPABILITIES:
        if re.search(pattern, text):
            return capability
    return _ARCHITECTURES.get((architecture or "").lower())


def shares_host_memory(name: Optional[str]) -> bool:
    """Whether a GPU of this name works in the host's memory."""
    return bool(_SHARED.search((name or "").lower()))


def memory_is_numa_node(name: Optional[str]) -> bool:
    """Whether the driver gives the memory of a GPU of this name to the host as a NUMA node."""
    return bool(_COHERENT.search((name or "").lower()))
