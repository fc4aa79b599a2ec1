# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a failure is, and ways to bring one about on a node of the sandbox."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

# How it is brought about.
PREFLIGHT = "preflight"  # playbooks/serve.yml, which looks before it changes anything
ENGINE = "engine"  # the role vllm_serve on one node, without Ray
RAY = "ray"  # the role vllm_serve on a Ray cluster of both nodes
GATE = "gate"  # the gate of the role ray_head on that cluster
RANKS = "ranks"  # the role vllm_serve on both nodes, without Ray
SERVING = "serving"  # an engine that serves, and playbooks/doctor.yml afterwards

# From when the seconds count.
START = "start"  # of the command, which cannot work
DEATH = "death"  # of the first process
STRIKE = "strike"  # of what the test did

CONTAINER = "llmserve-vllm"
HOME = "/var/lib/llmserve/huggingface"
LLAMA = "sandbox--tiny-llama-instruct"
ODD_HEADS = "sandbox--odd-heads"


class Failure(NamedTuple):
    """One failure: how it comes about, and what has to be said of it."""

    name: str
    what: str
    # all of them in the message
    words: tuple[str, ...]
    # what vllm_ready has to find, with its detail; empty where something else tells
    cause: str = ""
    way: str = ENGINE
    variables: Mapping[str, Any] = {}
    # shell commands for the node, before and after
    do: str = ""
    undo: str = ""
    # and for the other node
    peer_do: str = ""
    peer_undo: str = ""
    # shell commands while it starts, or serves; they print the time when they have struck
    strike: str = ""
    struck: str = "node1"
    since: str = DEATH
    # words that are displayed while it still waits
    hint: str = ""
    # why the message may come later than in 15 s; empty where it may not
    late: str = ""


def engine_arguments(**values: Any) -> dict[str, Any]:
    return {"vllm_serve_engine_args": {"max_model_len": 1024, **values}}


def past_the_role(flags: str) -> dict[str, Any]:
    """Arguments that the role would refuse, behind its own: what vLLM itself makes of them."""
    return started_by(f'exec vllm serve "$@" {flags}')


def started_by(script: str) -> dict[str, Any]:
    """Another way to start the program in the container."""
    return {"__vllm_serve_entrypoint": ["/bin/sh", "-c", script, "vllm-serve"]}


def snapshot(name: str) -> str:
    """The directory of a model on the node, for a shell."""
    return f"$(ls -d {HOME}/hub/models--{name}/snapshots/* | head -1)"


def model(name: str, spoil: str, source: str = LLAMA, **variables: Any) -> dict[str, Any]:
    """A copy of the model on the node with something wrong: what to do, how to undo it, and the variables."""
    folder = f"{HOME}/faults/{name}"
    return {
        "do": f"mkdir -p {HOME}/faults && cp -rL {snapshot(source)} {folder} && cd {folder} && {spoil}",
        "undo": f"rm -rf {folder}",
        "variables": {"vllm_serve_model_path": folder, **variables},
    }


def loop(condition: str) -> str:
    """Wait on a node until something is so, a minute and a half at most, and end the script when it never is."""
    return f"for n in $(seq 900); do {condition} && break; sleep 0.1; done; [ $n -lt 900 ] || exit 1; "


STRUCK = "date +%s.%N; "
# The brackets keep pgrep from finding the shell that runs it.
CORE = "pgrep -f 'Engine[C]ore' | head -1"
LOADING = loop(f'core=$({CORE}); [ "$core" ]')


def running(container: str) -> str:
    return loop(f"[ \"$(docker inspect -f '{{{{.State.Running}}}}' {container} 2>&-)\" = true ]")


def main_process(container: str) -> str:
    return f"$(docker inspect -f '{{{{.State.Pid}}}}' {container})"
