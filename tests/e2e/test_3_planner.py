# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The planner beside vLLM itself: what it tells vLLM, and what vLLM holds of a model.

Unit tests compare the planner with figures that vLLM's CPU build gave once; here they are taken again.
"""

from __future__ import annotations

import itertools
import json
import subprocess
from typing import Any

import pytest
from ansible_collections.llmserve.vllm.plugins.filter.vllm_args import vllm_args
from ansible_collections.llmserve.vllm.plugins.module_utils._planner.plan import make_plan

from tests.e2e.conftest import ROOT, Operator

MODELS = ROOT / "tests/planner/models"
RECORDED = ROOT / "tests/unit/fixtures/planner/vllm_0.32_cpu.jsonl"
# One of each family: GQA, tied embeddings, mixtures without and with shared experts, MLA, sliding windows, FP8.
FAMILIES = ["llama", "qwen2_tied", "mixtral", "qwen2_moe", "deepseek_v2_lite", "gemma3", "llama_fp8_channel", "opt"]
VERSION = "0.32.0"


@pytest.fixture(scope="module")
def engine(sandbox: Operator) -> str:
    """The image with vLLM's CPU build that the sandbox made."""
    images = sandbox.command("docker", "images", "llmserve-sandbox/engine", "--format", "{{.Repository}}:{{.Tag}}").ok()
    return images.output.split()[0]


def inside(engine: str, script: str, *arguments: str, lines: str = "", timeout: int = 600) -> list[dict[str, Any]]:
    """Run a script of tests/planner in the image; what it prints as JSON lines."""
    command = ["docker", "run", "--rm", "-i", "--network", "none", "--shm-size", "1g", "--entrypoint", "python3"]
    command += ["-v", f"{ROOT}/tests/planner:/planner:ro", engine, f"/planner/{script}", *arguments]
    done = subprocess.run(command, input=lines, capture_output=True, text=True, timeout=timeout, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def plans() -> list[dict[str, Any]]:
    """Plans of many models, layouts and options; those that fit."""
    gpu = {"name": "NVIDIA H100 80GB HBM3", "memory_total_mib": 81559}
    options: list[dict[str, Any]] = [
        {},
        {"max_model_len": "auto"},
        {"max_model_len": "1k", "kv_cache_dtype": "fp8", "gpu_memory_utilization": 0.9},
        {"max_num_seqs": 8, "max_num_batched_tokens": 4096, "enforce_eager": True, "cpu_offload_gb": "1.5"},
        {"enable_expert_parallel": True, "max_model_len": 512},
    ]
    found = []
    for path, (hosts, gpus), strategy, more in itertools.product(
        sorted(MODELS.glob("*.json")), [(1, 1), (1, 2), (2, 1), (2, 4)], ["fill", "fit"], options
    ):
        nodes = [{"name": f"n{number}", "gpus": [gpu] * gpus, "host_memory_mib": 500000} for number in range(hosts)]
        model = {"name": path.stem, "config": json.loads(path.read_text())["config"]}
        found.append(make_plan({"model": model, "nodes": nodes, "strategy": strategy, "vllm_version": VERSION, **more}))
    return [plan for plan in found if plan["fits"]]


def test_vllm_accepts_what_every_plan_tells_it(engine: str) -> None:
    argvs = [["/model", *vllm_args(plan["engine_args"], VERSION)] for plan in plans()]
    assert len(argvs) > 500
    unique = [json.loads(line) for line in sorted({json.dumps(argv) for argv in argvs})]
    verdicts = inside(engine, "parse_args.py", lines="".join(json.dumps(argv) + "\n" for argv in unique))
    assert len(verdicts) == len(unique)
    assert [verdict for verdict in verdicts if not verdict["ok"]] == []


def test_vllm_still_holds_what_was_recorded(engine: str) -> None:
    recorded = [json.loads(line) for line in RECORDED.read_text().splitlines()]
    wanted = {key(line): line for line in recorded if line["name"] in FAMILIES}
    measured = {key(line): line for line in inside(engine, "measure_vllm.py", *FAMILIES)}
    assert measured.keys() == wanted.keys()
    for name, line in measured.items():
        for figure in ("weights_bytes", "weights", "kv_bytes_per_token", "kv_groups", "kv_cache_tokens"):
            assert line[figure] == wanted[name][figure], (name, figure)


def key(line: dict[str, Any]) -> tuple[Any, ...]:
    """What tells two measurements apart."""
    arguments = line["engine_args"]
    return (line["name"], line["rank"], json.dumps(arguments, sort_keys=True))
