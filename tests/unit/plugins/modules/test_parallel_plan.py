# SPDX-License-Identifier: GPL-3.0-or-later
"""The shell of llmserve.vllm.parallel_plan."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.llmserve.vllm.tests.unit.plugins.modules.module_runner import run_module

MODEL: dict[str, Any] = {
    "name": "acme/odd",
    "config": {
        "architectures": ["Qwen2ForCausalLM"],
        "model_type": "qwen2",
        "hidden_size": 3584,
        "intermediate_size": 18944,
        "num_attention_heads": 28,
        "num_key_value_heads": 4,
        "num_hidden_layers": 28,
        "vocab_size": 152064,
        "max_position_embeddings": 32768,
    },
}


def nodes(*gpus: int, name: str = "H100") -> list[dict[str, Any]]:
    return [
        {"name": f"n{number}", "gpus": [{"name": name}] * count, "node_ip": "10.0.0.1"}
        for number, count in enumerate(gpus, 1)
    ]


def test_a_plan(capsys: pytest.CaptureFixture[str]) -> None:
    result = run_module("parallel_plan", capsys, model=MODEL, nodes=nodes(4, 4), vllm_version="0.33.0")
    assert result["plan"]["engine_args"] == {"tensor_parallel_size": 4, "pipeline_parallel_size": 2}
    assert result["changed"] is False
    assert result["plan"]["fits"] is True
    assert result["plan"]["kv_cache_tokens"] > 32768


def test_a_refusal_and_its_plan(capsys: pytest.CaptureFixture[str]) -> None:
    asked: dict[str, Any] = {"model": MODEL, "nodes": nodes(8), "tensor_parallel_size": 8}
    result = run_module("parallel_plan", capsys, **asked)
    assert result["failed"] is True
    assert "Tensor parallel sizes that work, up to 8: 1, 2, 4." in result["msg"]
    assert result["plan"]["fits"] is False
    result = run_module("parallel_plan", capsys, **asked, allow_unfit=True)
    assert "failed" not in result
    assert result["plan"]["reasons"]


def test_memory_that_does_not_suffice(capsys: pytest.CaptureFixture[str]) -> None:
    result = run_module("parallel_plan", capsys, model=MODEL, nodes=nodes(1, name="Tesla T4"))
    assert result["failed"] is True
    assert "acme/odd does not fit on 1 GPU (TP 1 x PP 1): every GPU needs 14.2 GiB for weights" in result["msg"]
    assert "What would work: " in result["msg"]


def test_sizes_may_be_fixed(capsys: pytest.CaptureFixture[str]) -> None:
    result = run_module(
        "parallel_plan", capsys, model=MODEL, nodes=nodes(8), tensor_parallel_size=4, pipeline_parallel_size=1
    )
    assert result["plan"]["gpus_used"] == 4
    assert "4 of 8 GPUs stay idle." in result["warned"]


def test_values_as_a_playbook_gives_them(capsys: pytest.CaptureFixture[str]) -> None:
    # templates make text of numbers
    asked: dict[str, Any] = {
        "model": dict(MODEL, weights_bytes="15231233024", weights_source="index"),
        "nodes": nodes(2),
        "strategy": "fit",
        "max_model_len": "16K",
        "gpu_memory_utilization": "0.9",
        "cpu_offload_gb": "2",
        "enforce_eager": "yes",
    }
    plan = run_module("parallel_plan", capsys, **asked)["plan"]
    assert plan["engine_args"] == {
        "tensor_parallel_size": 1,
        "pipeline_parallel_size": 1,
        "max_model_len": 16384,
        "gpu_memory_utilization": 0.9,
        "cpu_offload_gb": 2.0,
        "enforce_eager": True,
    }
    assert (plan["replicas"], plan["weights_source"], plan["confidence"]) == (2, "index", "high")


def test_gpus_whose_memory_nobody_knows(capsys: pytest.CaptureFixture[str]) -> None:
    asked: dict[str, Any] = {"model": MODEL, "nodes": nodes(4, name="Prototype")}
    result = run_module("parallel_plan", capsys, **asked)
    assert result["failed"] is True
    assert "give memory_total_mib of each GPU" in result["msg"]
    result = run_module("parallel_plan", capsys, **asked, allow_unfit=True)
    assert "fits" not in result["plan"]
    assert result["plan"]["engine_args"]["tensor_parallel_size"] == 4


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({"name": "x"}, "model.config must be"),
        ({"config": {}}, "no config.json"),
        ({"config": dict(MODEL["config"], num_attention_heads="28")}, "model.config.num_attention_heads must be"),
    ],
)
def test_models_that_cannot_be_read(model: dict[str, Any], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    result = run_module("parallel_plan", capsys, model=model, nodes=nodes(8))
    assert message in result["msg"]
    assert "plan" not in result


def test_a_broken_expectation_is_no_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    result = run_module("parallel_plan", capsys, model=MODEL, nodes=[{"name": "a", "gpus": "8 x H100"}])
    assert result["failed"] is True
    assert result["msg"] == "The gpus of a must be a list with one entry per GPU, not '8 x H100'."
