# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The script of a Slurm job that serves a model: the same arguments and environment as everywhere else, in Bash.

Which nodes and ports it gets is known inside of the job only. So what differs from job to job is a variable of the
script, and all the rest is written out.

This plugin util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import hashlib
import json
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from ansible_collections.llmserve.vllm.plugins.module_utils._engine_launch import (
    RAY,
    Engine,
    Host,
    Launch,
    Launches,
    Ray,
    launches,
)
from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

_TEMPLATE = "slurm_job.sh.j2"
# Ray adds some 64 bytes to it, and the path of a socket ends at 107; the number of the job takes up to 14.
MOST_TEMP_ROOT = 26
# What the script calls what only the job knows. The first address is that of the first node.
_OF_FLAG = {
    "--host": '"$head_address"',
    "--port": '"$port"',
    "--master-addr": '"$head_address"',
    "--master-port": "$((port + 1))",
    "--node-rank": '"$rank"',
}
_OF_VARIABLE = {
    "VLLM_HOST_IP": "$address",
    "RAY_ADDRESS": "$head_address:$((port + 1))",
    "VLLM_CONFIG_ROOT": "$temp/engine/config",
    "VLLM_RPC_BASE_PATH": "$temp/engine",
}
# What differs between the nodes of a job, or is no business of the workers.
_NOT_COPIED = (
    "CUDA_VISIBLE_DEVICES",
    "RAY_AUTH_TOKEN_PATH",
    "TMPDIR",
    "VLLM_API_KEY",
    "VLLM_CONFIG_ROOT",
    "VLLM_HOST_IP",
    "VLLM_RPC_BASE_PATH",
)
_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f]")


class ScriptError(ValueError):
    """No script can be made of this: why, and what to do."""


@dataclass(frozen=True)
class Wanted:
    """What the job asks Slurm for; empty leaves it to the site."""

    nodes: int
    gpus_per_node: int
    name: str = "llmserve"
    gpu_type: str = ""
    partition: str = ""
    account: str = ""
    qos: str = ""
    reservation: str = ""
    constraint: str = ""
    time: str = ""
    exclusive: bool = True
    cpus_per_node: int = 0
    memory: str = ""
    directives: Sequence[str] = ()


@dataclass(frozen=True)
class Places:
    """Directories and files, all of them on the filesystem that the nodes share, but for the temporary root."""

    home: str
    temp_root: str = "/tmp"
    api_key_file: str = ""
    ray_token_file: str = ""

    def at(self, name: str) -> str:
        return f"{self.home.rstrip('/')}/{name}"


@dataclass(frozen=True)
class Ways:
    """How vLLM is started on a node, and how long what may take."""

    setup_commands: Sequence[str] = ()
    # words in front of every command of the environment: a container's, for example
    launcher: Sequence[str] = ()
    interface: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    join_seconds: int = 300
    drain_seconds: int = 240
    stop_seconds: int = 20
    chain: int = 0
    chain_lead_seconds: int = 3600
    object_store_memory: int = 1073741824


def slurm_script(engine: Engine, wanted: Wanted, places: Places, ways: Ways) -> str:
    """The whole script. Its comment line tells it from every other one of the same name."""
    _check(wanted, places, ways)
    text = _template().render(_view(engine, wanted, places, ways))
    mark = hashlib.sha256(text.encode()).hexdigest()[:12]
    return text.replace("#SBATCH --comment=llmserve\n", f"#SBATCH --comment=llmserve-{mark}\n", 1)


def warnings_of(engine: Engine, nodes: int, places: Places) -> list[str]:
    """What the operator should know about the arguments."""
    return _launches(engine, nodes, places).warnings


def job_launches(engine: Engine, nodes: int, places: Places) -> list[Launch]:
    """How each node starts vLLM, by the function that knows it for all deployments."""
    return _launches(engine, nodes, places).launches


def _launches(engine: Engine, nodes: int, places: Places) -> Launches:
    # names in place of addresses, which the job alone knows
    hosts = [Host(f"node{number}", f"address-of-node{number}") for number in range(nodes)]
    ray = Ray("ray", places.ray_token_file, "config", "temp") if engine.executor == RAY else None
    return launches(engine._replace(ray=ray, listen=hosts[0].address), hosts)


def _view(engine: Engine, wanted: Wanted, places: Places, ways: Ways) -> dict[str, Any]:
    started = job_launches(engine, wanted.nodes, places)
    tensor, pipeline = (engine.planned_args.get(f"{name}_parallel_size", 1) for name in ("tensor", "pipeline"))
    served = [engine.served_name] if isinstance(engine.served_name, str) else list(engine.served_name)
    constant = {name: value for name, value in started[0].environment.items() if name not in _OF_VARIABLE}
    own = dict(constant, **{str(name): str(value) for name, value in ways.environment.items()})
    if "VLLM_HOST_IP" in own:
        raise ScriptError("VLLM_HOST_IP differs from node to node: take it out, and set slurm_serve_interface.")
    question = {"model": served[0], "prompt": "Hello", "max_tokens": 1}
    return {
        "directives": _directives(wanted, places, ways),
        "model_name": served[0],
        "layout": f"TP {tensor} x PP {pipeline}",
        "nodes": wanted.nodes,
        "gpus": wanted.gpus_per_node,
        "path": shlex.quote(places.at("job.sh")),
        "endpoint_file": shlex.quote(places.at("endpoint.json")),
        "diagnosis": shlex.quote(places.at("diagnosis.py")),
        "next_script": shlex.quote(places.at("logs/next.sh")),
        "log_file": shlex.quote(places.at("logs")) + '/"$SLURM_JOB_ID.log"',
        "temp_root": shlex.quote(places.temp_root.rstrip("/")),
        "api_key_file": shlex.quote(places.api_key_file) if places.api_key_file else "",
        "ready_seconds": engine.ready_seconds,
        "executor": engine.executor,
        "environment": {name: shlex.quote(value) for name, value in sorted(own.items())},
        "launcher": "".join(shlex.quote(word) + " " for word in ways.launcher),
        "interface": shlex.quote(ways.interface),
        "not_copied": json.dumps(sorted(_NOT_COPIED)),
        "question": shlex.quote(json.dumps(question)),
        "engines": [_engine(launch) for launch in started[:2]],
        **{
            name: getattr(ways, name)
            for name in (
                "setup_commands",
                "join_seconds",
                "drain_seconds",
                "stop_seconds",
                "chain",
                "chain_lead_seconds",
                "object_store_memory",
            )
        },
    }


def _engine(launch: Launch) -> dict[str, Any]:
    """A function of the script; all ranks but the first one have theirs in common."""
    return {
        "name": "rank" if launch.headless else "engine",
        "headless": launch.headless,
        "has_rank": launch.headless,
        "environment": {name: f'"{_OF_VARIABLE[name]}"' for name in launch.environment if name in _OF_VARIABLE},
        "arguments": _lines(launch),
    }


def _lines(launch: Launch) -> list[str]:
    """The arguments, a flag with its values on each line."""
    lines: list[list[str]] = []
    flag = ""
    for word in launch.argv:
        if word.startswith("--"):
            flag = word
            lines.append([word])
        elif flag == "--node-rank" and not launch.headless:
            lines[-1].append(word)
        elif flag in _OF_FLAG:
            lines[-1].append(_OF_FLAG[flag])
        elif not flag:
            lines.append([shlex.quote(word)])
        else:
            lines[-1].append(shlex.quote(word))
    return [" ".join(line) for line in lines]


def _directives(wanted: Wanted, places: Places, ways: Ways) -> list[str]:
    kind = f"gpu:{wanted.gpu_type}:" if wanted.gpu_type else "gpu:"
    options = [
        ("job-name", wanted.name),
        ("partition", wanted.partition),
        ("account", wanted.account),
        ("qos", wanted.qos),
        ("reservation", wanted.reservation),
        ("constraint", wanted.constraint),
        ("time", wanted.time),
        ("nodes", str(wanted.nodes)),
        ("ntasks-per-node", "1"),
        ("gres", f"{kind}{wanted.gpus_per_node}"),
        ("cpus-per-task", str(wanted.cpus_per_node or "")),
        ("mem", wanted.memory or ("0" if wanted.exclusive else "")),
        # whatever directory it is submitted from
        ("chdir", places.home),
        ("output", places.at("logs/%j.log")),
        ("open-mode", "append"),
        ("signal", f"B:USR1@{_signal_seconds(ways)}"),
        # nothing of the shell that submits it, secrets least of all
        ("export", "NONE"),
    ]
    lines = [f"--{name}={_directive(value)}" for name, value in options if value]
    lines += ["--exclusive"] if wanted.exclusive else []
    # A job that starts again by itself after the loss of a node would do so under the same number, in the same log.
    return [*lines, "--no-requeue", *wanted.directives, "--comment=llmserve"]


def _signal_seconds(ways: Ways) -> int:
    """How long before the limit Slurm is to say so; it may be a minute late, and vLLM takes a while to end."""
    return ways.drain_seconds + ways.stop_seconds + 60


def _directive(value: str) -> str:
    return value if re.fullmatch(r"[\w%+,./:@=|&*-]+", value) else '"{}"'.format(value.replace('"', '\\"'))


def _check(wanted: Wanted, places: Places, ways: Ways) -> None:
    texts = [*vars(wanted).values(), *vars(places).values(), ways.interface, *wanted.directives]
    for text in texts:
        if isinstance(text, str) and _FORBIDDEN.search(text):
            raise ScriptError(f"{text!r} has a line break or another control character: take it out.")
    if not places.home.startswith("/"):
        raise ScriptError(f"slurm_serve_dir is {places.home!r}: give a path from the root on, the nodes look for it.")
    if "%" in places.home:
        raise ScriptError(f"slurm_serve_dir is {places.home!r}: Slurm takes a % in it for something else.")
    if not places.temp_root.startswith("/") or len(places.temp_root) > MOST_TEMP_ROOT:
        raise ScriptError(
            f"slurm_serve_temp_root is {places.temp_root!r}: give a path from the root on with at most "
            f"{MOST_TEMP_ROOT} characters, because Ray makes sockets in it and their paths end at 107."
        )
    if ways.chain and ways.chain_lead_seconds <= _signal_seconds(ways):
        raise ScriptError(
            f"slurm_serve_chain_lead is {ways.chain_lead_seconds} s, but a job begins to drain {_signal_seconds(ways)} "
            "s before its end: give the next job longer, what it takes to load and more."
        )
    if wanted.nodes < 1 or wanted.gpus_per_node < 1:
        raise ScriptError("slurm_serve_nodes and slurm_serve_gpus_per_node are 1 or more.")


@cache
def _template() -> Template:
    """Lies next to this file, so that it travels with the collection."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        # Bash has ${#array[@]}
        comment_start_string="{##",
        comment_end_string="##}",
        lstrip_blocks=True,
        trim_blocks=True,
        keep_trailing_newline=True,
        undefined=StrictUndefined,
    )
    return environment.get_template(_TEMPLATE)
