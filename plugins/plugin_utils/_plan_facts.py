# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The headlines of a plan: layout, context, concurrency, memory, and how long it takes.

This plugin util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.llmserve.vllm.plugins.plugin_utils._plan_words import (
    UNKNOWN,
    bytes_gb,
    bytes_gib,
    count,
    decimal,
    duration,
    gib,
    mapping,
    number,
    plural,
    words,
)

_SOURCES = {
    "config": "computed from config.json",
    "given": "as given",
    "index": "as the index of the checkpoint says",
    "headers": "as the headers of the checkpoint say",
    "files": "as the sizes of the files say",
}


@dataclass(frozen=True)
class Fact:
    """A headline: a value, what it is about, and the figures of the plan that are behind it."""

    key: str
    title: str
    value: str
    note: str
    figures: Mapping[str, Any]


def headlines(plan: Mapping[str, Any]) -> list[Fact]:
    """The facts that the plan has figures for."""
    facts = [
        _layout(plan),
        _weights(plan),
        _context(plan),
        _concurrency(plan),
        _cache(plan),
        _utilization(plan),
        _offload(plan),
        _download(plan),
        _load(plan),
    ]
    return [fact for fact in facts if fact is not None]


def _picked(plan: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    return {key: plan[key] for key in keys if number(plan.get(key)) is not None}


def _layout(plan: Mapping[str, Any]) -> Fact:
    figures = _picked(plan, "tensor_parallel_size", "pipeline_parallel_size", "gpus_used", "gpus_total", "nodes_used")
    figures.update(_picked(plan, "replicas"))
    value = "TP {} x PP {}".format(count(plan.get("tensor_parallel_size")), count(plan.get("pipeline_parallel_size")))
    used, total, replicas = (number(plan.get(key)) for key in ("gpus_used", "gpus_total", "replicas"))
    note = f"{count(used)} of {plural(total, 'GPU')}" if total is not None else plural(used, "GPU")
    if number(plan.get("nodes_used")):
        note += " on " + plural(plan.get("nodes_used"), "host")
    if replicas is not None and replicas > 1:
        note += f"; room for {count(replicas)} replicas"
    if plan.get("expert_parallel") is True:
        note += "; experts dealt out whole"
    return Fact("layout", "Layout", value, note, figures)


def _weights(plan: Mapping[str, Any]) -> Fact | None:
    if number(plan.get("weights_bytes")) is None:
        return None
    source = words(plan.get("weights_source"))
    note = _SOURCES.get(source, source)
    return Fact("weights", "Weights", bytes_gib(plan["weights_bytes"]), note, _picked(plan, "weights_bytes"))


def _context(plan: Mapping[str, Any]) -> Fact | None:
    if number(plan.get("max_model_len")) is None:
        return None
    return Fact(
        "context",
        "Context",
        f"{count(plan['max_model_len'])} tokens",
        "longest request with its answer",
        _picked(plan, "max_model_len"),
    )


def _concurrency(plan: Mapping[str, Any]) -> Fact | None:
    figures = _picked(plan, "max_concurrency", "max_num_seqs", "max_num_batched_tokens")
    if "max_concurrency" not in figures:
        return None
    note = "requests of full length at once"
    if "max_num_seqs" in figures and figures["max_concurrency"] > 0:
        note += f"; up to {count(figures['max_num_seqs'])} shorter ones"
    return Fact("concurrency", "Concurrency", f"{decimal(figures['max_concurrency'])}x", note, figures)


def _cache(plan: Mapping[str, Any]) -> Fact | None:
    figures = _picked(plan, "kv_cache_tokens", "kv_bytes_per_token", "kv_cache_gib_per_gpu")
    if "kv_cache_tokens" not in figures:
        return None
    parts = []
    if "kv_cache_gib_per_gpu" in figures:
        parts.append(f"{gib(figures['kv_cache_gib_per_gpu'])} GiB on the GPU with the least room")
    dtype = words(plan.get("kv_cache_dtype"))
    if dtype and dtype != "auto":
        parts.append(dtype)
    return Fact("cache", "KV cache", f"{count(figures['kv_cache_tokens'])} tokens", ", ".join(parts), figures)


def _utilization(plan: Mapping[str, Any]) -> Fact | None:
    share = number(plan.get("gpu_memory_utilization"))
    if share is None:
        return None
    gpu = mapping(plan.get("gpu"))
    total, requested = number(gpu.get("total_gib")), number(gpu.get("requested_gib"))
    note = "of each GPU"
    if total is not None and requested is not None:
        note = f"{gib(requested, 2)} of {gib(total, 2)} GiB of each GPU"
    return Fact(
        "utilization",
        "vLLM's share",
        f"{decimal(share * 100, 1)} %",
        note,
        _picked(plan, "gpu_memory_utilization"),
    )


def _offload(plan: Mapping[str, Any]) -> Fact | None:
    if not number(plan.get("cpu_offload_gb")):
        return None
    needed = number(plan.get("host_memory_needed_gib"))
    return Fact(
        "offload",
        "CPU offload",
        f"{decimal(plan['cpu_offload_gb'], 1)} GiB per GPU",
        "" if needed is None else f"{decimal(needed, 1)} GiB of memory needed on each host",
        _picked(plan, "cpu_offload_gb", "host_memory_needed_gib"),
    )


def _download(plan: Mapping[str, Any]) -> Fact | None:
    if "download" not in plan:
        return None
    found = mapping(plan["download"])
    if not found:
        return Fact("download", "Download", "none", "everything is there", {})
    note = f"{bytes_gb(found.get('bytes'))} at {decimal(found.get('mb_per_second'))} MB/s{_origin(found)}"
    figures = {f"download_{key}": value for key, value in _picked(found, "bytes", "seconds", "mb_per_second").items()}
    return Fact("download", "Download", _about_time(found), note, figures)


def _load(plan: Mapping[str, Any]) -> Fact | None:
    found = mapping(plan.get("load"))
    if not found:
        return None
    rate = f"{decimal(found.get('gb_per_second'))} GB/s{_origin(found)}"
    figures = {f"load_{key}": value for key, value in _picked(found, "bytes_per_node", "seconds").items()}
    note = f"{bytes_gb(found.get('bytes_per_node'))} per host at {rate}"
    return Fact("load", "Load", _about_time(found), note, figures)


def _about_time(found: Mapping[str, Any]) -> str:
    text = duration(found.get("seconds"))
    return text if text == UNKNOWN else f"about {text}"


def _origin(found: Mapping[str, Any]) -> str:
    """Whether a rate was measured, stated by the operator, or assumed."""
    if found.get("measured") is True:
        return " (measured)"
    if found.get("stated") is True:
        return " (as stated)"
    return " (assumed)" if "measured" in found or "stated" in found else ""
