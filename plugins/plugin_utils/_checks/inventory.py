# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the inventory makes sense: nothing on any host is needed for it.


This plugin util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from ansible_collections.llmserve.vllm.plugins.module_utils import _engine_launch as launch
from ansible_collections.llmserve.vllm.plugins.module_utils._vllm_args import VllmArgsError, build_argv
from ansible_collections.llmserve.vllm.plugins.plugin_utils._checks import names
from ansible_collections.llmserve.vllm.plugins.plugin_utils._checks.base import (
    CLUSTER,
    ERROR,
    Cluster,
    Finding,
    Group,
    Host,
)

GROUP = Group("inventory")

_PLACEHOLDER = re.compile(r"FILL.?IN|FILE-SYSTEM-NAME|CHANGE.?ME|<[A-Za-z _-]+>|\bTODO\b", re.IGNORECASE)
_NO_SECRET = re.compile(r"(hf_)?(x{3,}|\.{3,}|y?our.*|example.*|secret|token|password|none|null|empty)$", re.IGNORECASE)


@GROUP.add("one_head", ERROR, "exactly one host is the head")
def one_head(cluster: Cluster) -> Iterator[Finding]:
    heads = [host.name for host in cluster.hosts if host.wish.get("is_head")]
    if cluster.hosts and len(heads) != 1 and any("is_head" in host.wish for host in cluster.hosts):
        yield Finding(
            CLUSTER,
            f"{len(heads)} heads" + (f": {', '.join(heads)}" if heads else ""),
            "one host in the group ray_head",
            "Leave one host in the inventory group ray_head and put the others into ray_workers.",
        )


@GROUP.add("variable_names", ERROR, "every llmserve_* and role variable is one that exists")
def variable_names(cluster: Cluster) -> Iterator[Finding]:
    known = cluster.wish.get("names") or names.known_names()
    for host in cluster.hosts:
        for unknown in names.unknown_names(list(host.wish.get("variables") or ()), known):
            nearest = " or ".join(unknown.nearest)
            yield Finding(
                host.name,
                f"{unknown.name} is set, which nothing reads",
                nearest or "a name that a role's README lists",
                f"Rename it to {nearest} in the inventory." if nearest else "Remove it from the inventory.",
            )


@GROUP.add("placeholders", ERROR, "nothing that is to be filled in was left as it came")
def placeholders(cluster: Cluster) -> Iterator[Finding]:
    for host in cluster.hosts:
        for name, value in (host.wish.get("texts") or {}).items():
            if _PLACEHOLDER.search(str(value)):
                yield Finding(host.name, f"{name}: {value}", "your own value", f"Set {name} in the inventory.")


@GROUP.add("secrets", ERROR, "tokens and keys are real ones, without spaces")
def secrets(cluster: Cluster) -> Iterator[Finding]:
    for name, value in (cluster.wish.get("secrets") or {}).items():
        text = str(value or "")
        mend = f"Put the real one into {name}, with ansible-vault or from the environment."
        if not text:
            continue
        if text.startswith("$ANSIBLE_VAULT"):
            yield Finding(
                CLUSTER, f"{name} is still encrypted", "its value", "Run with --ask-vault-pass or a vault id."
            )
        elif _NO_SECRET.match(text) or _PLACEHOLDER.search(text):
            yield Finding(CLUSTER, f"{name} is a placeholder", "a real secret", mend)
        elif re.search(r"\s", text):
            yield Finding(CLUSTER, f"{name} has spaces or line ends in it", "one word", mend)


@GROUP.add("engine_args", ERROR, "vLLM knows every engine argument")
def engine_args(cluster: Cluster) -> Iterator[Finding]:
    version = str(cluster.wish.get("vllm_version") or "")
    try:
        build_argv(launch.settled(cluster.wish.get("engine_args") or {}), version or None)
    except (VllmArgsError, launch.LaunchError) as exc:
        yield Finding(
            CLUSTER,
            str(exc),
            f"arguments of vLLM {version}".rstrip(),
            "Correct llmserve_engine_args in the inventory.",
        )


def gpu_count(host: Host) -> int:
    """The host's GPUs: those that were seen there, else those that the inventory declares."""
    return len(host.facts_list("gpus")) if host.facts is not None else int(host.wish.get("gpus") or 0)


@GROUP.add("parallel_sizes", ERROR, "the fixed tensor and pipeline parallel sizes fit the number of GPUs")
def parallel_sizes(cluster: Cluster) -> Iterator[Finding]:
    tensor = int(cluster.wish.get("tensor_parallel_size") or 0)
    pipeline = int(cluster.wish.get("pipeline_parallel_size") or 0)
    # what a host should have: that some of it is missing is said elsewhere
    counts = [int(host.wish.get("gpus_per_node") or gpu_count(host)) for host in cluster.hosts]
    total, needed = sum(counts), (tensor or 1) * (pipeline or 1)
    if all(counts) and needed > total:
        yield Finding(
            CLUSTER,
            f"tensor parallel {tensor or 1} x pipeline parallel {pipeline or 1} = {needed} GPUs",
            f"at most {total}, as many as there are",
            "Set llmserve_tensor_parallel_size and llmserve_pipeline_parallel_size to sizes whose product is "
            f"{total}, or leave both to the plan.",
        )


@GROUP.add("plan", ERROR, "the model fits the GPUs in some layout")
def plan(cluster: Cluster) -> Iterator[Finding]:
    # without its GPUs a host makes every plan wrong, and that is said elsewhere
    if any(gpu_count(host) != int(host.wish.get("gpus_per_node") or gpu_count(host) or -1) for host in cluster.hosts):
        return
    said = cluster.plan_error or " ".join(str(reason) for reason in cluster.plan.get("reasons") or ())
    if said:
        yield Finding(
            CLUSTER,
            said,
            "a plan that works",
            "Change the model, the context or the sizes in llmserve_engine_args, or add GPUs.",
        )


@GROUP.add("executor", ERROR, "vLLM can be started as planned, with the executor that was chosen")
def executor(cluster: Cluster) -> Iterator[Finding]:
    planned = cluster.plan.get("engine_args")
    # what is wrong with the arguments themselves, or with the plan, is said above
    if not planned or cluster.plan.get("reasons") or any(engine_args(cluster)):
        return
    engine = launch.Engine(
        executor=str(cluster.wish.get("executor") or launch.RAY),
        model="/model",
        served_name="model",
        engine_args=cluster.wish.get("engine_args") or {},
        planned_args=planned,
        version=str(cluster.wish.get("vllm_version") or ""),
        ray=launch.Ray("head:6379"),
    )
    hosts = [launch.Host(host.name, host.node_ip) for host in cluster.hosts][: int(cluster.plan.get("nodes_used") or 1)]
    try:
        launch.launches(engine, hosts)
    except launch.LaunchError as exc:
        yield Finding(
            CLUSTER,
            exc.why,
            "a layout that every host can start",
            exc.mend[:1].upper() + exc.mend[1:] or "Choose another llmserve_executor, or a newer vLLM.",
        )


@GROUP.add("port_numbers", ERROR, "planned ports are ports, and no two of them are the same")
def port_numbers(cluster: Cluster) -> Iterator[Finding]:
    for host in cluster.hosts:
        taken: dict[int, str] = {}
        for item in host.wish.get("ports") or ():
            name, port = str(item["name"]), int(item["port"])
            mend = f"Choose another port for {name} in the inventory."
            if not 1 <= port <= 65535:
                yield Finding(host.name, f"{name} is {port}", "1 to 65535", mend)
            elif port in taken:
                yield Finding(host.name, f"{taken[port]} and {name} are both {port}", "a port for each", mend)
            else:
                taken[port] = name
