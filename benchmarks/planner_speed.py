# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Time the planner: make_plan in its process, and the module parallel_plan as Ansible starts it.

    python benchmarks/planner_speed.py [--runs N]

Every case runs in a process of its own and prints its first run, the median of N runs, and the peak of the process's
resident memory. The first run is what a playbook waits for; later ones profit from what the planner
remembers. The module's time includes starting Python, importing, reading options and writing the plan. The model is
Llama 3.1 405B (8B on one GPU) on H100; "unfit" is 405B on T4, so that every remedy is computed.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
UTILS = "ansible_collections.llmserve.vllm.plugins.module_utils._planner"
MODULE = "ansible_collections.llmserve.vllm.plugins.modules.parallel_plan"

SIZES = {"1x1": (1, 1), "2x8": (2, 8), "64x8": (64, 8)}
STRATEGIES = ("fill", "fit", "auto", "unfit")

CONFIG = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 16384,
    "intermediate_size": 53248,
    "num_hidden_layers": 126,
    "num_attention_heads": 128,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "vocab_size": 128256,
    "max_position_embeddings": 131072,
    "tie_word_embeddings": False,
}
SMALL = dict(
    CONFIG, hidden_size=4096, intermediate_size=14336, num_hidden_layers=32, num_attention_heads=32, head_dim=128
)


def call(size: str, case: str) -> dict[str, Any]:
    """Options of parallel_plan for one case."""
    nodes, gpus = SIZES[size]
    card = {"name": "NVIDIA H100 80GB HBM3", "memory_total_mib": 81559, "compute_capability": "9.0"}
    options: dict[str, Any] = {
        "model": {"name": "a model", "config": SMALL if size == "1x1" else CONFIG},
        "nodes": [{"name": f"node-{number:03}", "gpus": [card] * gpus} for number in range(1, nodes + 1)],
        "strategy": "fit" if case == "fit" else "fill",
        "vllm_version": "0.33.0",
    }
    if case == "auto":
        options["max_model_len"] = "auto"
    if case == "unfit":
        # 64 nodes of small GPUs would still hold the model, so its MLPs are twenty times as wide there
        width = 20 * 53248 if size == "64x8" else 53248
        options["model"]["config"] = dict(CONFIG, intermediate_size=width)
        card = {"name": "Tesla T4", "memory_total_mib": 15360, "compute_capability": "7.5"}
        options["nodes"] = [dict(node, gpus=[card] * gpus) for node in options["nodes"]]
    return options


def work(size: str, case: str, runs: int) -> dict[str, float]:
    """Time make_plan in this process."""
    make_plan = importlib.import_module(f"{UTILS}.plan").make_plan
    options = call(size, case)
    times = []
    for _run in range(runs):
        start = time.perf_counter()
        plan = make_plan(options)
        times.append(time.perf_counter() - start)
    if plan["fits"] is not (case != "unfit"):
        raise SystemExit(f"{size} {case}: fits is {plan['fits']}: {plan['reasons']}")
    return {"first": times[0], "median": statistics.median(times), "peak_mib": own_peak_mib()}


def own_peak_mib() -> float:
    """The largest resident size of this process. (getrusage also counts what the parent had before exec.)"""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def in_process(size: str, case: str, runs: int, environment: dict[str, str]) -> dict[str, float]:
    """The same in a fresh process, so that its peak is its own."""
    command = [sys.executable, __file__, "--worker", size, case, "--runs", str(runs)]
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE)
    result: dict[str, float] = json.loads(done.stdout)
    return result


def module(size: str, case: str, runs: int, environment: dict[str, str]) -> dict[str, float]:
    """Start the module as Ansible does, with its options in a file."""
    times, peak = [], 0.0
    options = dict(call(size, case), allow_unfit=True)
    with tempfile.TemporaryDirectory() as folder:
        arguments = Path(folder) / "options.json"
        arguments.write_text(json.dumps({"ANSIBLE_MODULE_ARGS": options}))
        for _run in range(runs):
            start = time.perf_counter()
            with subprocess.Popen(
                [sys.executable, "-m", MODULE, str(arguments)], env=environment, stdout=subprocess.PIPE
            ) as child:
                assert child.stdout is not None
                answer = json.loads(child.stdout.read())
                _pid, status, usage = os.wait4(child.pid, 0)
                child.returncode = os.waitstatus_to_exitcode(status)
            times.append(time.perf_counter() - start)
            if child.returncode or not answer.get("plan"):
                raise SystemExit(f"{size} {case}: the module failed: {answer.get('msg')}")
            peak = max(peak, usage.ru_maxrss / 1024)
    return {"first": times[0], "median": statistics.median(times), "peak_mib": peak}


LINE = "{:<26}{:>12}{:>12}{:>14}"


def show(title: str, result: dict[str, float]) -> None:
    cells = [f"{1000 * result['first']:.1f} ms", f"{1000 * result['median']:.1f} ms", f"{result['peak_mib']:.0f} MiB"]
    print(LINE.format(title, *cells), flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=9, help="runs per case (default 9)")
    parser.add_argument("--worker", nargs=2, metavar=("SIZE", "CASE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.runs < 1:
        parser.error("--runs must be at least 1")
    if options.worker:
        size, case = options.worker
        print(json.dumps(work(size, case, options.runs)))
        return 0
    # a checkout links to itself below .ansible; an installed collection lies in its namespace already
    places = [str(ROOT / ".ansible" / "collections"), str(ROOT.parent.parent.parent), os.environ.get("PYTHONPATH", "")]
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join(place for place in places if place))
    print(LINE.format("nodes x GPUs, case", "first run", "median", "peak memory"))
    for size in SIZES:
        for case in STRATEGIES:
            show(f"{size} {case}", in_process(size, case, options.runs, environment))
    for size in SIZES:
        show(f"{size} fill, whole module", module(size, "fill", max(3, options.runs // 3), environment))
    return 0


if __name__ == "__main__":
    sys.exit(main())
