# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""CPU offload: how much of the weights has to leave each GPU, and what that takes of the host's memory.

This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import math
from typing import Optional

from ansible_collections.llmserve.vllm.plugins.module_utils._planner.engine import GIB
from ansible_collections.llmserve.vllm.plugins.module_utils._planner.layouts import Layout, Pool
from ansible_collections.llmserve.vllm.plugins.module_utils._planner.task import Task, accepted, evaluate_layout

# Pinned memory is rounded up to powers of two, tensor by tensor: 1.78 to 1.9 times the request was measured (vLLM
# #56410).
PINNED = 2.0
# Host memory of one engine process (CUDA, PyTorch, buffers for loading). Assumed: nothing was measured.
PROCESS_GIB = 4.0


def ranks_per_node(pool: Pool, layout: Layout) -> int:
    """GPUs in use on the busiest node."""
    return min(pool.per_node, layout.gpus)


def host_memory_gib(pool: Pool, layout: Layout, offload: float) -> float:
    """GiB of memory that a host needs while it serves."""
    return ranks_per_node(pool, layout) * (PINNED * offload + PROCESS_GIB)


def smallest_offload(task: Task, layout: Layout) -> Optional[float]:
    """Whole GiB per GPU that make a layout fit, None when nothing does."""
    bare = evaluate_layout(task, layout, 0.0, task.least)
    if accepted(task, bare):
        return 0.0
    most = max((stage.weights - stage.fixed) / GIB for stage in bare.stages)
    low, high = 1, math.ceil(most)
    best: Optional[float] = None
    while low <= high:
        middle = (low + high) // 2
        found = evaluate_layout(task, layout, float(middle), task.least)
        if found.fits:
            best, high = float(middle), middle - 1
        else:
            low = middle + 1
    return best
