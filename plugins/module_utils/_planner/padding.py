# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the kernels for MXFP4 experts round sizes up.

Source: mxfp4.py of vLLM (create_weights up to 0.19, mxfp4_round_up_hidden_size_and_intermediate_size since).
This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

from typing import Dict, Tuple

from ansible_collections.llmserve.vllm.plugins.module_utils._planner.formats import Format

# kernel -> multiples that (hidden, width of an expert) are rounded up to
_MULTIPLES: Dict[str, Tuple[int, int]] = {
    "marlin": (256, 128),
    "triton": (256, 64),
    "flashinfer": (256, 128),
    "exact": (1, 1),
}


def mxfp4_kernel(release: Tuple[int, int], capability: Tuple[int, int]) -> str:
    """The kernel that vLLM chooses for MXFP4 experts."""
    if capability[0] in (10, 11):
        return "flashinfer"
    if capability == (9, 0):
        # 0.10 had nothing but Marlin for Hopper; its Triton kernels came in 0.11 and need no padding since 0.29
        if release < (0, 11):
            return "marlin"
        return "triton" if release < (0, 20) else "exact"
    return "marlin"


def expert_padding(form: Format, kernel: str, hidden: float, width: float) -> Tuple[float, float]:
    """Hidden size and width of an expert as the kernel stores them."""
    if form.name != "mxfp4":
        return hidden, width
    rows, columns = _MULTIPLES.get(kernel, (1, 1))
    return _round_up(hidden, rows), _round_up(width, columns)


def _round_up(size: float, multiple: int) -> float:
    return float(-(-int(size) // multiple) * multiple) if multiple > 1 else size
