# SPDX-License-Identifier: GPL-3.0-or-later
"""Peaks of the profile run, beside those that were logged."""

from __future__ import annotations

import pytest
from ansible_collections.llmserve.vllm.plugins.module_utils._planner import activations, engine
from ansible_collections.llmserve.vllm.plugins.module_utils._planner.engine import Settings
from ansible_collections.llmserve.vllm.plugins.module_utils._planner.model import Model, read_model
from ansible_collections.llmserve.vllm.tests.unit.plugins.module_utils._planner.questions import config

ALONE = activations.Place(1, 1, True, True)


def settings_for(model: Model, release: tuple[int, ...], total_gib: float = 79.18, gpu: str = "H100") -> Settings:
    return engine.settings(
        release=release,
        capability=(9, 0),
        total_gib=total_gib,
        gpu=gpu,
        model=model,
        length=8192,
        gpu_memory_utilization=None,
        max_num_seqs=None,
        max_num_batched_tokens=None,
        enforce_eager=False,
        kv_cache_dtype="auto",
    )


@pytest.mark.parametrize(
    ("name", "release", "total_gib", "gib"),
    [
        ("llama-3.1-8b", (0, 11, 0), 79.18, 4.76),
        ("qwen3-32b", (0, 11, 0), 79.18, 5.64),
        ("gpt-oss-20b", (0, 11, 0), 79.18, 7.38),
        # torch.compile tries the embedding on a table of its own
        ("llama-3.1-8b", (0, 29, 0), 23.5, 1_084_479_242 / 1024**3),
        ("qwen3-32b", (0, 29, 0), 79.18, 1.61),
    ],
)
def test_peaks_that_were_logged(name: str, release: tuple[int, ...], total_gib: float, gib: float) -> None:
    model = read_model(config(name))
    peak = activations.peak_bytes(model, settings_for(model, release, total_gib), ALONE, 8192)
    assert peak / 1024**3 == pytest.approx(gib, rel=0.025)


@pytest.mark.parametrize(
    ("total_gib", "gpu", "tokens", "sequences"),
    [
        (22.09, "NVIDIA A10", 2048, 256),
        (79.14, "NVIDIA A100-SXM4-80GB", 2048, 256),
        (79.18, "NVIDIA H100 80GB HBM3", 8192, 1024),
        (178.35, "NVIDIA B200", 16384, 1024),
        (122.0, "NVIDIA GB10", 2048, 256),
    ],
)
def test_batches_by_gpu(total_gib: float, gpu: str, tokens: int, sequences: int) -> None:
    found = settings_for(read_model(config("llama-3.1-8b")), (0, 33), total_gib, gpu)
    assert (found.max_num_batched_tokens, found.max_num_seqs) == (tokens, sequences)


def test_utilization_changed() -> None:
    assert (engine.utilization((0, 19, 1)), engine.utilization((0, 20))) == (0.9, 0.92)


def test_graphs_are_counted_since_0_20_and_not_when_eager() -> None:
    model = read_model(config("llama-3.1-8b"))
    today = settings_for(model, (0, 33))
    assert activations.graph_bytes(model, today, 32, 79.18) > 0
    assert activations.graph_bytes(model, today._replace(enforce_eager=True), 32, 79.18) == 0
    old = settings_for(model, (0, 11))
    assert activations.graph_bytes(model, old, 32, 79.18) == 0
    assert activations.uncounted_graph_bytes(model, old) > 0
    assert activations.uncounted_graph_bytes(model, today) == 0


def test_only_the_last_stage_samples() -> None:
    model = read_model(config("llama-3.1-8b"))
    old = settings_for(model, (0, 11))
    first = activations.peak_bytes(model, old, activations.Place(1, 2, True, False), 8192)
    last = activations.peak_bytes(model, old, activations.Place(1, 2, False, True), 8192)
    assert first < last
