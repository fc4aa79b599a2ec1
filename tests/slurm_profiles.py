# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The profiles on Slurm for docs/profiles.md: the job script that the role writes, beside what the tutorial does."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from ansible_collections.llmserve.vllm.plugins.module_utils._engine_launch import Engine
from ansible_collections.llmserve.vllm.plugins.plugin_utils._slurm_script import Places, Wanted, Ways, slurm_script

HOME = "/shared/YOUR-NAME/llmserve/llmserve"
VENV = "/shared/YOUR-NAME/llmserve/venv/bin"
DEFAULTS = yaml.safe_load(
    (Path(__file__).parents[1] / "roles/slurm_serve/defaults/main.yml").read_text(encoding="utf-8")
)
# What the tutorial says, what is here instead, and why.
ROWS = (
    (
        "`conda create -n vllm-inference python=3.10`, `pip install -r requirements.txt`",
        "`slurm_serve_lock`: a virtual environment with versions and hashes; or the site's `conda activate` in "
        "`slurm_serve_setup_commands`",
        "vLLM from 0.32 on needs Python 3.11, so 3.10 gets an old release; what is there is compared with the plan",
    ),
    (
        "`--account`, `--partition`, `--time`, `--job-name` edited in the script",
        "`slurm_serve_account`, `slurm_serve_partition`, `slurm_serve_time`, `llmserve_cluster`",
        "looked up before anything is submitted: what would wait for ever is refused",
    ),
    ("`--output` and `--error`", "`--output=…/logs/%j.log`", "one log for each job, with the cause at its end"),
    (
        "a Ray cluster over the job's nodes",
        "a step of its own for each part; ports by the number of the job, a token, a deadline",
        "jobs on one node do not meet, and the engine starts when all GPUs are there",
    ),
    (
        "`squeue` and `ssh` to the first node, `localhost:8000`",
        "`endpoint.json`, and the line for a tunnel; a key",
        "ready when a completion has come back, not when a line is in a log",
    ),
    (
        "`Loading safetensors checkpoint shards` in the error log",
        "the play shows the place in line and why, then the shards",
        "and ends at once with the cause when the job fails",
    ),
)
OTHER_WHY = {
    "--served-model-name": "requests name the model by its id or by its directory",
    "--host": "the first node's address, which the job finds out",
    "--port": "free on all nodes of the job; found out by it",
    "--master-addr": "the first node, where all ranks meet",
    "--master-port": "the port after the API's",
}


def job_script(given: Mapping[str, Any], plan: Mapping[str, Any]) -> str:
    """What the role slurm_serve writes from the inventory."""
    executor = given["llmserve_executor"]
    engine = Engine(
        executor=executor,
        model="${SNAPSHOT}",
        served_name=[given["llmserve_model"], "${SNAPSHOT}"],
        engine_args=given["llmserve_engine_args"],
        planned_args=plan["engine_args"],
        version=given["llmserve_vllm_version"],
    )
    wanted = Wanted(
        nodes=given["slurm_serve_nodes"],
        gpus_per_node=given["llmserve_gpus_per_node"],
        partition=given["slurm_serve_partition"],
        time=given["slurm_serve_time"],
        exclusive=given.get("slurm_serve_exclusive", True),
        cpus_per_node=given.get("slurm_serve_cpus_per_node", 0),
        memory=given.get("slurm_serve_memory", ""),
    )
    places = Places(HOME, api_key_file=f"{HOME}/api_key", ray_token_file=f"{HOME}/ray_token" * (executor == "ray"))
    ways = Ways(
        setup_commands=[f"export PATH={VENV}:$PATH"],
        drain_seconds=DEFAULTS["slurm_serve_drain_timeout"],
        stop_seconds=DEFAULTS["slurm_serve_stop_timeout"],
    )
    return slurm_script(engine, wanted, places, ways)


def asked(script: str) -> list[str]:
    """What the job asks Slurm for; its comment is a digest of all the rest."""
    lines = [line for line in script.splitlines() if line.startswith("#SBATCH ")]
    return [line for line in lines if not line.startswith("#SBATCH --comment=")]


def command(script: str) -> list[str]:
    """The engine's command of the first node, an option a line."""
    found = re.search(r"^  run engine in_environment (vllm serve .*?[^\\])\n", script, re.MULTILINE | re.DOTALL)
    if found is None:
        raise SystemExit("The job script starts no engine.")
    lines = found.group(1).replace("'${SNAPSHOT}'", "${SNAPSHOT}").splitlines()
    return [line.replace("    ", "  ", 1) for line in lines]


def details(given: Mapping[str, Any], plan: Mapping[str, Any], why: Mapping[str, str]) -> list[str]:
    """The part of a profile's section that differs on Slurm."""
    script = job_script(given, plan)
    engine = command(script)
    lines = ["What the job asks for:", "", "```sh", *asked(script), "```", ""]
    lines += ["What it starts on its first node:", "", "```sh", *engine, "```", ""]
    lines += ["| As published | Here | Why |", "| --- | --- | --- |"]
    lines += [f"| {theirs} | {ours} | {because} |" for theirs, ours, because in ROWS]
    for line in engine[2:]:
        text = line.rstrip("\\").strip()
        name = text.partition(" ")[0]
        lines.append(f"|  | `{text}` | {OTHER_WHY.get(name) or why.get(text) or why[name]} |")
    return [*lines, ""]
