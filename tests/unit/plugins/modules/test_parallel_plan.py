# SPDX-License-Identifier: GPL-3.0-or-later
"""The shell of llmserve.vllm.parallel_plan."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.llmserve.vllm.tests.unit.plugins.modules.module_runner import run_module

MODEL = {"name": "acme/odd", "config": {"num_attention_heads": 28, "num_key_value_heads": 4, "num_hidden_layers": 28}}


def nodes(*gpus: int) -> list[dict[str, Any]]:
    return [
        {"name": f"n{number}", "gpus": [{"name": "H100"}] * count, "node_ip": "10.0.0.1"}
        for number, count in enumerate(gpus, 1)
    ]


def test_a_plan(capsys: pytest.CaptureFixture[str]) -> None:
    result = run_module("parallel_plan", capsys, model=MODEL, nodes=nodes(4, 4), vllm_version="0.33.0")
    assert result["plan"]["engine_args"] == {"tensor_parallel_size": 4, "pipeline_parallel_size": 2}
    assert result["changed"] is False


def test_a_refusal_and_its_plan(capsys: pytest.CaptureFixture[str]) -> None:
    result = run_module("parallel_plan", capsys, model=MODEL, nodes=nodes(8))
    assert result["failed"] is True
    assert "Tensor parallel sizes that work, up to 8: 1, 2, 4." in result["msg"]
    assert result["plan"]["fits"] is False
    result = run_module("parallel_plan", capsys, model=MODEL, nodes=nodes(8), allow_unfit=True)
    assert "failed" not in result
    assert result["plan"]["reasons"]


def test_sizes_may_be_fixed(capsys: pytest.CaptureFixture[str]) -> None:
    result = run_module(
        "parallel_plan", capsys, model=MODEL, nodes=nodes(8), tensor_parallel_size=4, pipeline_parallel_size=1
    )
    assert result["plan"]["gpus_used"] == 4
    assert "4 of 8 GPUs stay idle." in result["warned"]


@pytest.mark.parametrize(
    ("model", "message"), [({"name": "x"}, "model.config must be"), ({"config": {}}, "no config.json")]
)
def test_models_that_cannot_be_read(model: dict[str, Any], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert message in run_module("parallel_plan", capsys, model=model, nodes=nodes(8))["msg"]
