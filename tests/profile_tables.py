# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write docs/profiles.md: what each profile runs, beside the command of the tutorial that it replaces.

The commands are made by the planner and by the function that the roles use, from the inventories as they are.
With --check nothing is written and a stale page is an error.
"""

from __future__ import annotations

import json
import re
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import yaml

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "profiles.md"
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT / ".ansible" / "collections"))

# they need the path above
from ansible_collections.llmserve.vllm.plugins.filter.declared_gpus import declared_gpus  # noqa: E402 (path)
from ansible_collections.llmserve.vllm.plugins.module_utils._engine_launch import (  # noqa: E402 (path)
    Engine,
    Host,
    Launch,
    Ray,
    launches,
)
from ansible_collections.llmserve.vllm.plugins.module_utils._planner.plan import make_plan  # noqa: E402 (path)
from ansible_collections.llmserve.vllm.plugins.module_utils._vllm_args import build_argv  # noqa: E402 (path)
from ansible_collections.llmserve.vllm.tests import slurm_profiles  # noqa: E402 (path)

CONFIGS = ROOT / "tests/unit/fixtures/planner/models"
# The configuration to plan with, and the bytes that the index of the checkpoint names, where it has one that is public.
MODELS = {
    "meta-llama/Llama-3.1-8B-Instruct": ("llama-3.1-8b", 16060522496, {}),
    "meta-llama/Llama-3.1-70B-Instruct": ("llama-3.1-70b", 141107412992, {}),
    "meta-llama/Llama-3.1-405B-Instruct": ("llama-3.1-405b", 811706744832, {}),
    "meta-llama/Llama-3.1-405B-Instruct-FP8": ("llama-3.1-405b-fp8", None, {}),
    "RedHatAI/Meta-Llama-3.1-70B-Instruct-FP8": (
        "llama-3.1-70b",
        None,
        {"quantization_config": {"quant_method": "fp8", "activation_scheme": "static", "ignored_layers": ["lm_head"]}},
    ),
}


class Profile(NamedTuple):
    """A deployment, and the command that somebody types otherwise."""

    title: str
    run: str
    inventory: str
    variant: str = ""
    more: Mapping[str, Any] = MappingProxyType({})
    # what the tutorial says, word by word: an option with its value, and why ours differs
    published: str = ""
    notes: Mapping[str, str] = MappingProxyType({})


PRIVILEGED = "no privileges: GPUs by device request, InfiniBand by its devices, CAP_IPC_LOCK and CAP_DAC_OVERRIDE"
IB = "preflight finds the ports of the cluster's fabric on each host (`NCCL_IB_HCA`, `NCCL_SOCKET_IFNAME`)"
RUNS = {
    "run_cluster.sh": "roles `ray_head` and `ray_worker`: fixed ports, a token, restarts by themselves",
    "--privileged": PRIVILEGED,
    "NCCL_IB_HCA=^mlx5_0": IB,
    "NCCL_IB_HCA=mlx5": IB,
    "vllm/vllm-openai": "the tag is pinned; Ray is put into an image of its own, since vLLM's has none from 0.18 on",
}
BOX = {
    "--runtime nvidia": "`--gpus` alone does it, with any runtime",
    "-p 8000:8000": "the host's network, and the API on `llmserve_node_ip` only",
    "--ipc=host": "16 GiB of `/dev/shm` of its own: one container holds all ranks",
    "vllm/vllm-openai:latest": "the tag is pinned",
}
SERVE_405B = (
    "run_cluster.sh vllm/vllm-openai ${HEAD_IP} --head ${HF_HOME} --privileged -e NCCL_IB_HCA=^mlx5_0\n"
    "vllm serve ${MODEL_PATH} --tensor-parallel-size 8 --pipeline-parallel-size 2"
)
BOX_COMMAND = (
    "docker run --runtime nvidia --gpus all -v ~/.cache/huggingface:/root/.cache/huggingface \\\n"
    "  -p 8000:8000 --ipc=host vllm/vllm-openai:latest --model ${MODEL} --swap-space 16 --disable-log-requests"
)
JOB = (
    "conda create -n vllm-inference python=3.10\nconda activate vllm-inference\npip install -r requirements.txt\n"
    "sbatch {}"
)

PROFILES = (
    Profile("405B on 2 nodes, with Ray", "serve_405b.yml", "1cc", published=SERVE_405B, notes=RUNS),
    Profile(
        "405B on 2 nodes, without Ray",
        "serve_405b.yml",
        "1cc",
        more={"llmserve_executor": "mp"},
        published=SERVE_405B,
        notes={
            **RUNS,
            "run_cluster.sh": "no Ray: each node starts a rank",
            "vllm/vllm-openai": "the tag is pinned; the image as it comes",
        },
    ),
    Profile(
        "405B on 4 nodes, with Ray",
        "serve_405b.yml",
        "1cc_4nodes",
        published=SERVE_405B.replace("^mlx5_0", "mlx5").replace("size 2", "size 4"),
        notes=RUNS,
    ),
    Profile(
        "405B in FP8 on one node",
        "serve_fp8.yml",
        "fp8",
        published=BOX_COMMAND + " --tensor-parallel-size 8",
        notes=BOX,
    ),
    Profile(
        "70B on one node",
        "serve_fp8.yml",
        "fp8",
        "fp8_70b",
        published=BOX_COMMAND + " --tensor-parallel-size 8",
        notes=BOX,
    ),
    Profile("8B on one GPU of a node", "serve_fp8.yml", "fp8", "fp8_8b", published=BOX_COMMAND, notes=BOX),
    Profile(
        "8B on GH200",
        "serve_gh200.yml",
        "gh200",
        "gh200_8b",
        published="vllm serve ${MODEL_REPO} --dtype auto",
        notes={"--dtype auto": "vLLM's default"},
    ),
    Profile(
        "70B on GH200, with CPU offload",
        "serve_gh200.yml",
        "gh200",
        published="vllm serve ${MODEL_REPO} --dtype auto --cpu-offload-gb 90",
        notes={
            "--dtype auto": "vLLM's default",
            "--cpu-offload-gb 90": "the least that has to leave the GPU: it is read again for every step",
        },
    ),
    Profile("70B in FP8 on GH200", "serve_gh200.yml", "gh200", "gh200_70b_fp8"),
    Profile("405B by a Slurm job on 2 nodes", "serve_slurm.yml", "slurm", published=JOB.format("server/405b_slurm.sh")),
    Profile(
        "405B by a Slurm job on 4 nodes",
        "serve_slurm.yml",
        "slurm",
        "slurm_405b_4x4",
        published=JOB.format("server/405b_slurm.sh"),
    ),
    Profile(
        "70B by a Slurm job on a part of a node",
        "serve_slurm.yml",
        "slurm",
        "slurm_70b",
        published=JOB.format("the script of the 70B model"),
    ),
)

WHY = {
    "--max-model-len": "the context that was planned; without it, vLLM takes 131,072 tokens or refuses to start",
    "--gpu-memory-utilization": "the share that was planned with",
    "--served-model-name": "requests name the model, not a path in a container",
    "--host": "the address between the nodes, instead of every network of the host",
    "--port": "vLLM's default; preflight finds out whether it is free",
    "--distributed-executor-backend ray": "has to be said: since 0.13, vLLM no longer falls back to Ray",
    "--distributed-executor-backend mp": "vLLM's own processes; said, so that no release chooses otherwise",
    "--tensor-parallel-size": "from the plan: the GPUs of a node that the model's heads can be shared out over",
    "--pipeline-parallel-size": "from the plan: a stage for each node",
    "--cpu-offload-gb": "from the plan; the host needs twice as much, since pinned memory is rounded up",
    "--nnodes": "vLLM's own multi-node mode",
    "--node-rank": "another one for each host; the head is 0",
    "--master-addr": "the head, where all ranks meet",
    "--master-port": "looked at by preflight, reached from every host",
    "--headless": "on the other hosts: ranks without an API",
}


class Made(NamedTuple):
    """What comes out for a profile."""

    plan: dict[str, Any]
    executor: str
    launches: list[Launch]


def variables(profile: Profile) -> dict[str, Any]:
    """The inventory's variables for all hosts, with those of the variant and of the command line."""
    files = [ROOT / f"inventories/{profile.inventory}/group_vars/all/main.yml"]
    if profile.variant:
        files.append(ROOT / f"inventories/variants/{profile.variant}.yml")
    found: dict[str, Any] = {}
    for file in files:
        found.update(yaml.safe_load(file.read_text(encoding="utf-8")))
    return {**found, **profile.more}


def hosts(profile: Profile) -> list[Host]:
    """The hosts of the inventory. Which nodes a job gets is Slurm's choice, so they have numbers."""
    given = variables(profile)
    if "slurm_serve_nodes" in given:
        return [Host(f"node {number + 1}", f"address-{number + 1}") for number in range(given["slurm_serve_nodes"])]
    inventory = yaml.safe_load((ROOT / f"inventories/{profile.inventory}/hosts.yml").read_text(encoding="utf-8"))
    groups = inventory["all"]["children"]["llm_nodes"]["children"]
    return [
        Host(name, values["llmserve_node_ip"])
        for group in ("ray_head", "ray_workers")
        for name, values in groups[group]["hosts"].items()
    ]


def made(profile: Profile) -> Made:
    """The plan of the role preflight, and what the role vllm_serve starts."""
    given, nodes = variables(profile), hosts(profile)
    name = given["llmserve_model"]
    fixture, size, more = MODELS[name]
    config = {**json.loads((CONFIGS / f"{fixture}.json").read_text(encoding="utf-8")), **more}
    version = (
        given["llmserve_image"].rpartition(":v")[2] if "llmserve_image" in given else given["llmserve_vllm_version"]
    )
    memory = int(given.get("llmserve_host_memory_gib", 0) * 1024)
    engine_args = given["llmserve_engine_args"]
    model: dict[str, Any] = {"name": name, "config": config}
    if size:
        model.update(weights_bytes=size, weights_source="index")
    plan = make_plan(
        {
            "model": model,
            "nodes": [
                {"name": node.name, "gpus": declared_gpus(given["llmserve_gpus"]), "host_memory_mib": memory}
                for node in nodes
            ],
            "strategy": given.get("llmserve_strategy", "fill"),
            "vllm_version": version,
            **engine_args,
        }
    )
    engine = Engine(
        executor=given["llmserve_executor"],
        model="${SNAPSHOT}",
        served_name=name,
        listen=nodes[0].address,
        port=given.get("llmserve_port", 8000),
        engine_args=engine_args,
        planned_args=plan["engine_args"],
        version=version,
        ray=Ray(f"{nodes[0].address}:6379"),
    )
    started = launches(engine, nodes[: plan["nodes_used"]]).launches
    return Made(plan, engine.executor, started)


def options(argv: list[str]) -> dict[str, str]:
    """Options of a command line by name; what follows one up to the next is its value."""
    found: dict[str, str] = {}
    name = ""
    for word in argv:
        if word.startswith("--"):
            name, _equals, value = word.partition("=")
            found[name] = value
        elif name:
            found[name] = f"{found[name]} {word}".strip()
    return found


def code(text: str) -> str:
    return f"`{text.strip()}`" if text.strip() else ""


def rows(profile: Profile, result: Made) -> list[str]:
    """One row for each option: as published, as it is here, and why."""
    lines = ["| As published | Here | Why |", "| --- | --- | --- |"]
    ours = {name: value for launch in reversed(result.launches) for name, value in options(launch.argv).items()}
    theirs = options(shlex.split(profile.published.partition("vllm serve ")[2] or profile.published))
    for word, why in profile.notes.items():
        name, _space, value = word.partition(" ")
        if word not in profile.published:
            continue
        if name in ours and value != ours[name]:
            lines.append(f"| {code(word)} | {code(f'{name} {ours.pop(name)}')} | {why} |")
        else:
            lines.append(f"| {code(word)} | | {why} |")
    for name in ("--swap-space", "--disable-log-requests"):
        if name in theirs:
            value = theirs[name] or "true"
            said = build_argv({name[2:]: value if value != "true" else True}, result.plan["vllm_version"]).warnings
            lines.append(f"| {code(f'{name} {theirs[name]}')} | | {' '.join(said)} |")
    for name, value in ours.items():
        here = value if name != "--node-rank" else ", ".join(str(launch.rank) for launch in result.launches)
        same = theirs.get(name) == value
        why = "as published" if same else WHY.get(f"{name} {value}") or WHY[name]
        lines.append(
            f"| {code(f'{name} {theirs[name]}') if name in theirs else ''} | {code(f'{name} {here}')} | {why} |"
        )
    return lines


def command(launch: Launch) -> list[str]:
    """The command of a host, an option a line."""
    text = "vllm serve " + " ".join(launch.argv)
    parts = re.split(r" (?=--)", text)
    return " \\\n  ".join(parts).splitlines()


def summary(result: Made) -> str:
    plan = result.plan
    words = [
        f"TP {plan['tensor_parallel_size']} x PP {plan['pipeline_parallel_size']} on {plan['gpus_used']} of "
        f"{plan['gpus_total']} GPUs",
        f"{plan['weights_gib_per_gpu']:.1f} GiB of weights and {plan['kv_cache_gib_per_gpu']:.1f} GiB of KV cache on "
        "a GPU",
        f"{plan['kv_cache_tokens']:,} tokens",
    ]
    if plan["cpu_offload_gb"]:
        words.append(
            f"{plan['cpu_offload_gb']:g} GiB of weights in host memory, which takes "
            f"{plan['host_memory_needed_gib']:.0f} GiB of it"
        )
    said = " ".join(f"The plan says: {warning}" for warning in plan["warnings"])
    return f"{'; '.join(words)}. {said}".strip()


def section(profile: Profile) -> list[str]:
    result = made(profile)
    if not result.plan["fits"]:
        raise SystemExit(f"{profile.title} does not fit: {result.plan['reasons']}")
    arguments = [f"-i inventories/{profile.inventory}"]
    arguments += [f"-e @inventories/variants/{profile.variant}.yml"] if profile.variant else []
    arguments += [f"-e {name}={value}" for name, value in profile.more.items()]
    lines = [f"## {profile.title}", "", "```console"]
    lines += [f"$ ansible-playbook playbooks/{profile.run} {' '.join(arguments)}", "```", "", summary(result), ""]
    if profile.published:
        lines += ["As published:", "", "```sh", *profile.published.splitlines(), "```", ""]
    if profile.inventory == "slurm":
        return [*lines, *slurm_profiles.details(variables(profile), result.plan, WHY)]
    head = result.launches[0]
    where = f"On {head.name}" + (", and Ray starts the ranks on all nodes:" if result.executor == "ray" else ":")
    lines += [where, "", "```sh", *command(head), "```", ""]
    if len(result.launches) > 1:
        others = ", ".join(f"{launch.name} with `--node-rank {launch.rank}`" for launch in result.launches[1:])
        lines += [f"The same on {others}, and `--headless`.", ""]
    return [*lines, *rows(profile, result), ""]


def rendered(page: str) -> str:
    """The page with its generated part as it should be."""
    begin, end = "<!-- BEGIN profiles -->\n", "<!-- END profiles -->"
    before, rest = page.split(begin)
    text = "\n".join(line for profile in PROFILES for line in section(profile))
    return before + begin + text + "\n" + end + rest.split(end, 1)[1]


def main() -> int:
    old = PAGE.read_text(encoding="utf-8")
    new = rendered(old)
    if new == old:
        return 0
    if "--check" in sys.argv:
        print(f"{PAGE} is stale: run python tests/profile_tables.py.", file=sys.stderr)
        return 1
    PAGE.write_text(new, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
