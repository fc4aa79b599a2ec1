# SPDX-License-Identifier: GPL-3.0-or-later
"""Questions to put to the planner: models of tests/unit/fixtures/planner/models, and hosts."""

from __future__ import annotations

import copy
import functools
import json
from pathlib import Path
from typing import Any

from ansible_collections.llmserve.vllm.plugins.module_utils._planner.plan import make_plan

FIXTURES = Path(__file__).resolve().parents[3] / "fixtures" / "planner"
NAMES = sorted(path.stem for path in (FIXTURES / "models").glob("*.json"))

H100 = "NVIDIA H100 80GB HBM3"
A100 = "NVIDIA A100-SXM4-80GB"


@functools.cache
def _config(name: str) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((FIXTURES / "models" / f"{name}.json").read_text(encoding="utf-8"))
    return read


def config(name: str, **changes: Any) -> dict[str, Any]:
    """The config.json of a model, which a test may change."""
    return {**copy.deepcopy(_config(name)), **changes}


def hosts(
    count: int, gpus: int, name: str = H100, host_memory_mib: int | None = None, **gpu: Any
) -> list[dict[str, Any]]:
    """Equal hosts with equal GPUs."""
    cards = [{"name": name, **gpu}] * gpus
    return [
        {"name": f"node-{number:03}", "gpus": cards, "host_memory_mib": host_memory_mib}
        for number in range(1, count + 1)
    ]


def plan(name: str, nodes: list[dict[str, Any]], model: dict[str, Any] | None = None, **options: Any) -> dict[str, Any]:
    """The plan for a model on some hosts."""
    return make_plan({"model": {"name": name, "config": config(name), **(model or {})}, "nodes": nodes, **options})


def layout(plan: dict[str, Any]) -> tuple[int, int]:
    """Tensor and pipeline parallel size."""
    return plan["tensor_parallel_size"], plan["pipeline_parallel_size"]
