# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A question with everything that follows from it before a layout is chosen.

This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

from typing import NamedTuple, Optional, Tuple

from ansible_collections.llmserve.vllm.plugins.module_utils._planner import cache, engine
from ansible_collections.llmserve.vllm.plugins.module_utils._planner.checkpoint import Checkpoint, weigh
from ansible_collections.llmserve.vllm.plugins.module_utils._planner.errors import PlanError
from ansible_collections.llmserve.vllm.plugins.module_utils._planner.fit import Fit, evaluate
from ansible_collections.llmserve.vllm.plugins.module_utils._planner.formats import Format, read_format
from ansible_collections.llmserve.vllm.plugins.module_utils._planner.layouts import Layout, Pool
from ansible_collections.llmserve.vllm.plugins.module_utils._planner.model import Model
from ansible_collections.llmserve.vllm.plugins.module_utils._planner.question import Gpu, Question
from ansible_collections.llmserve.vllm.plugins.module_utils._planner.standin import read_any_model

# max_model_len auto: a layout that holds less than this is not worth serving on (or less than the model was made for).
AUTO_LENGTH = 8192


# Of a checkpoint at least this is loaded, whatever it holds besides (layers for MTP, a second head).
SURE_SHARE = 0.9


class Task(NamedTuple):
    """What every layout is measured by."""

    question: Question
    model: Model
    form: Format
    checkpoint: Checkpoint
    pool: Pool
    gpu: Optional[Gpu]

    @property
    def card(self) -> Gpu:
        """The poorest GPU, for those who only ask where there are GPUs."""
        if self.gpu is None:
            raise PlanError("No GPUs were given, so there is no memory to add up: give nodes with gpus.")
        return self.gpu

    @property
    def length(self) -> Optional[int]:
        """The context that has to fit; None for the longest that does."""
        wanted = self.question.max_model_len
        if wanted == "auto":
            return None
        return int(wanted) if wanted else self.model.positions

    @property
    def least(self) -> int:
        """The shortest context that counts as fitting."""
        return self.length or min(AUTO_LENGTH, self.model.positions)

    @property
    def stated_offload(self) -> float:
        """GiB per GPU that somebody fixed."""
        wanted = self.question.cpu_offload_gb
        return wanted if isinstance(wanted, float) else 0.0


def make_task(question: Question) -> Task:
    """Read the model and find the GPUs that can be used."""
    model = read_any_model(question.config, question.weights_bytes)
    form = read_format(question.config, question.quantization)
    pool, gpu = _pool(question)
    return Task(question, model, form, weigh(model, form, question), pool, gpu)


def _pool(question: Question) -> Tuple[Pool, Optional[Gpu]]:
    """The GPUs in use, and the poorest of them: it decides."""
    filled = [node for node in question.nodes if node.gpus]
    if not filled or len(filled) < len(question.nodes):
        return Pool(0, 0), None
    cards = {card for node in filled for card in node.gpus}
    poorest = min(cards, key=lambda card: card.total_gib)
    poorest = poorest._replace(
        capability=min(card.capability for card in cards),
        nvlink=all(card.nvlink for card in cards),
        used_gib=max(card.used_gib for card in cards),
    )
    return Pool(min(len(node.gpus) for node in filled), len(filled)), poorest


def settings_of(task: Task) -> engine.Settings:
    """The engine's settings on the poorest GPU."""
    asked, gpu = task.question, task.gpu
    return engine.settings(
        release=asked.release,
        capability=gpu.capability if gpu else (8, 0),
        total_gib=gpu.total_gib if gpu else 0.0,
        gpu=gpu.name if gpu else "",
        model=task.model,
        length=task.length or task.model.positions,
        gpu_memory_utilization=asked.gpu_memory_utilization,
        max_num_seqs=asked.max_num_seqs,
        max_num_batched_tokens=asked.max_num_batched_tokens,
        enforce_eager=asked.enforce_eager,
        kv_cache_dtype=asked.kv_cache_dtype,
    )


def evaluate_layout(task: Task, layout: Layout, offload: float, length: Optional[int] = None) -> Fit:
    """Add up one layout."""
    return evaluate(
        task.model,
        task.form,
        layout,
        task.card,
        settings_of(task),
        length=length or task.length,
        offload_gib=offload,
        expert_parallel=task.question.expert_parallel,
        scale=task.checkpoint.scale,
    )


def accepted(task: Task, found: Fit) -> bool:
    """Whether a layout holds what was asked for."""
    return found.fits and found.length >= task.least


def may_fit(task: Task, layout: Layout, weights: Optional[float] = None) -> bool:
    """A bound that costs nothing, so that hundreds of layouts do not: the mean over the GPUs has to fit.

    Counted are bytes of weights (the checkpoint's where none are given) and, of the cache, the layers that keep the
    whole context.
    """
    if weights is None:
        weights = task.checkpoint.total * SURE_SHARE
    settings = settings_of(task)
    size = cache.value_bytes(task.model, settings.kv_cache_dtype, task.form.cache_fp8)
    grouped = cache.plan_cache(task.model, layout.tensor, size, settings)
    whole = sum(
        grouped.token_bytes[index]
        for group, members in zip(grouped.groups, grouped.members)
        if group.kind == "full"
        for index in members
    )
    mean = weights / layout.gpus + whole * task.least / layout.pipeline
    return mean <= (task.card.total_gib * settings.utilization + task.stated_offload) * engine.GIB
