# SPDX-License-Identifier: GPL-3.0-or-later
"""Figures of vLLM's metrics, over its releases."""

from __future__ import annotations

from ansible_collections.llmserve.vllm.plugins.module_utils._metrics import engine_figures, parse_metrics

TODAY = """
# HELP vllm:num_requests_running Number of requests in model execution batches.
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="a \\"quoted\\" {model}"} 3.0
vllm:num_requests_running{engine="1",model_name="m"} 2.0
vllm:num_requests_waiting{engine="0",model_name="m"} 7.0
vllm:kv_cache_usage_perc{engine="0",model_name="m"} 0.5
vllm:kv_cache_usage_perc{engine="1",model_name="m"} 0.25
vllm:request_success_total{engine="0",finished_reason="stop",model_name="m"} 40.0
vllm:request_success_total{engine="0",finished_reason="length",model_name="m"} 2.0
vllm:generation_tokens_total{engine="0",model_name="m"} 1.2e+06
vllm:generation_tokens_created{engine="0",model_name="m"} 1.79e+09
vllm:iteration_tokens_total_bucket{engine="0",le="+Inf",model_name="m"} 3.0
vllm:request_prompt_tokens_bucket{le="NaN"} NaN
process_start_time_seconds 1.795e+09
"""
OLD = """
vllm:num_requests_running{model_name="m"} 1.0
vllm:gpu_cache_usage_perc{model_name="m"} 0.125 1395066363000
vllm:num_requests_swapped{model_name="m"} 0.0
"""


def test_the_figures_of_today() -> None:
    assert engine_figures(TODAY) == {
        "requests_running": 5,
        "requests_waiting": 7,
        "requests_ended": 42,
        "kv_cache_used": 0.375,
        "generated_tokens": 1.2e6,
        "started": 1.795e9,
    }


def test_the_names_of_old_releases() -> None:
    assert engine_figures(OLD) == {"requests_running": 1, "kv_cache_used": 0.125}


def test_labels_are_unescaped() -> None:
    sample = next(item for item in parse_metrics(TODAY) if item.labels.get("engine") == "0")
    assert sample.labels["model_name"] == 'a "quoted" {model}'


def test_what_is_no_metrics_page_has_no_figures() -> None:
    assert engine_figures("<html><body>502 Bad Gateway</body></html>\n\n{") == {}
