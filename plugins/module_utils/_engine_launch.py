# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How vLLM is started on each host of a deployment, for every executor: arguments and environment, from data alone.

Whatever starts vLLM (a container, a unit, a batch job) takes both from here, so that they cannot drift apart.
This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple, Union

from ansible_collections.llmserve.vllm.plugins.module_utils._vllm_args import VllmArgsError, build_argv
from ansible_collections.llmserve.vllm.plugins.module_utils._vllm_flags import Flag

RAY, MP = "ray", "mp"
EXECUTORS = (RAY, MP)
# vLLM's own default for --master-port.
MASTER_PORT = 29501
# What tells one host of the group from another: nobody but launches() knows it.
OWN_ARGUMENTS = ("nnodes", "node_rank", "master_addr", "master_port", "headless")


class LaunchError(ValueError):
    """vLLM cannot be started in this way: why, and what to do."""

    def __init__(self, why: str, mend: str = "") -> None:
        super().__init__(": ".join(part for part in (why, mend) if part))
        self.why = why
        self.mend = mend


class Host(NamedTuple):
    """A host by its name and its address on the network between the hosts."""

    name: str
    address: str


class Ray(NamedTuple):
    """What the engine needs of the Ray cluster that it joins."""

    address: str
    token_file: str = ""
    # where vLLM reads which variables it must not copy to other hosts
    config_root: str = ""
    # shared with Ray's own container
    temp_dir: str = ""


class Engine(NamedTuple):
    """What is to be served, alike for all hosts."""

    executor: str
    model: str
    # one, or several under which it is served alike
    served_name: Union[str, Sequence[str]]
    listen: str = "127.0.0.1"
    port: int = 8000
    # the operator's arguments, and the plan's, which win
    engine_args: Mapping[str, Any] = {}
    planned_args: Mapping[str, Any] = {}
    version: str = ""
    accepted: Optional[Mapping[str, Flag]] = None
    master_port: int = MASTER_PORT
    ready_seconds: int = 7200
    execute_seconds: int = 120
    ray: Optional[Ray] = None


class Launch(NamedTuple):
    """One process group on one host."""

    name: str
    rank: int
    # a rank that answers no requests
    headless: bool
    # of C(vllm serve), the model included
    argv: List[str]
    environment: Dict[str, str]
    # GPUs that it has to see, neither more nor fewer; 0 for all, where Ray deals them out
    gpus: int


class Launches(NamedTuple):
    """What runs where, and what the operator should know."""

    launches: List[Launch]
    warnings: List[str]


def launches(engine: Engine, hosts: Sequence[Host]) -> Launches:
    """How each host starts vLLM; the first one is the head and answers requests."""
    if engine.executor not in EXECUTORS:
        raise LaunchError(
            "llmserve_executor is {0!r}".format(engine.executor), "it is one of {0}.".format(" and ".join(EXECUTORS))
        )
    if not hosts:
        raise LaunchError("There is no host to start vLLM on.")
    if engine.executor == RAY:
        argv, warnings = _argv(engine, {})
        environment = dict(_environment(engine, hosts[0]), **_ray_environment(engine.ray))
        return Launches([Launch(hosts[0].name, 0, False, argv, environment, 0)], warnings)
    return _mp(engine, hosts)


def _mp(engine: Engine, hosts: Sequence[Host]) -> Launches:
    _refuse_own(engine.engine_args)
    share = _share(_arguments(engine, {}), hosts)
    found: List[Launch] = []
    said: List[str] = []
    for rank, host in enumerate(hosts):
        argv, warnings = _argv(engine, _rank_arguments(rank, hosts, engine.master_port))
        said += [warning for warning in warnings if warning not in said]
        found.append(Launch(host.name, rank, rank > 0, argv, _environment(engine, host), share))
    return Launches(found, said)


def _rank_arguments(rank: int, hosts: Sequence[Host], port: int) -> Dict[str, Any]:
    """What vLLM calls multi-node; a single host has none of it."""
    if len(hosts) == 1:
        return {}
    own: Dict[str, Any] = {
        "nnodes": len(hosts),
        "node_rank": rank,
        "master_addr": hosts[0].address,
        "master_port": port,
    }
    return dict(own, headless=True) if rank else own


def _refuse_own(given: Mapping[str, Any]) -> None:
    taken = [name for name in settled(given) if name in OWN_ARGUMENTS]
    if taken:
        raise LaunchError(
            "{0} in llmserve_engine_args differ(s) from host to host".format(", ".join(taken)),
            "take it out, llmserve_executor: mp sets it.",
        )


def _share(arguments: Mapping[str, Any], hosts: Sequence[Host]) -> int:
    """The GPUs of each host. vLLM counts them itself, and takes all hosts to have as many."""
    tensor, pipeline = (_size(arguments.get(name)) for name in ("tensor_parallel_size", "pipeline_parallel_size"))
    world, count = tensor * pipeline, len(hosts)
    layout = "TP {0} x PP {1}".format(tensor, pipeline)
    mend = "choose llmserve_pipeline_parallel_size as a multiple of the hosts, or set llmserve_executor: ray."
    if world % count:
        raise LaunchError(
            "{0} = {1} GPUs cannot be shared out evenly over {2} hosts, which llmserve_executor: mp needs".format(
                layout, world, count
            ),
            mend,
        )
    share = world // count
    if share % tensor and tensor % share:
        raise LaunchError(
            "With {0} over {1} hosts, llmserve_executor: mp would put {2} GPUs on each and tear a tensor parallel "
            "group in two".format(layout, count, share),
            mend,
        )
    return share


def _size(value: Any) -> int:
    try:
        return max(1, int(value or 1))
    except (TypeError, ValueError):
        # what is no number is refused with the other arguments
        return 1


def settled(given: Mapping[str, Any]) -> Dict[str, Any]:
    """The operator's arguments with underscores, without those that leave the choice to the plan."""
    found = {}
    for key, value in given.items():
        head, dot, rest = str(key).partition(".")
        name = head.replace("-", "_") + dot + rest
        if name == "cpu_offload_gb" and str(value).strip().lower() == "auto":
            continue
        if name in found:
            raise LaunchError("{0} is in llmserve_engine_args twice".format(name), "keep one.")
        found[name] = value
    return found


def _arguments(engine: Engine, own: Mapping[str, Any]) -> Dict[str, Any]:
    """The operator's first: what is decided here and by the plan cannot be overridden by accident."""
    return dict(
        settled(engine.engine_args),
        **dict(
            {
                "served_model_name": engine.served_name,
                "host": engine.listen,
                "port": engine.port,
                "distributed_executor_backend": engine.executor,
            },
            **dict(engine.planned_args, **own),
        ),
    )


def _argv(engine: Engine, own: Mapping[str, Any]) -> Tuple[List[str], List[str]]:
    try:
        built = build_argv(_arguments(engine, own), engine.version or None, engine.accepted)
    except VllmArgsError as exc:
        raise LaunchError(str(exc)) from exc
    return [engine.model, *built.argv], built.warnings


def _environment(engine: Engine, host: Host) -> Dict[str, str]:
    return {
        # otherwise vLLM takes the address of the default route
        "VLLM_HOST_IP": host.address,
        "VLLM_ENGINE_READY_TIMEOUT_S": str(engine.ready_seconds),
        # a worker lost with a request in flight is noticed after this long
        "VLLM_EXECUTE_MODEL_TIMEOUT_SECONDS": str(engine.execute_seconds),
        "HF_HUB_OFFLINE": "1",
        "VLLM_NO_USAGE_STATS": "1",
        "DO_NOT_TRACK": "1",
    }


def _ray_environment(ray: Optional[Ray]) -> Dict[str, str]:
    if ray is None or not ray.address:
        raise LaunchError("llmserve_executor: ray needs the address of the Ray cluster.")
    wanted = {
        "RAY_ADDRESS": ray.address,
        "RAY_AUTH_MODE": "token" if ray.token_file else "",
        "RAY_AUTH_TOKEN_PATH": ray.token_file,
        "RAY_USAGE_STATS_ENABLED": "0",
        "VLLM_CONFIG_ROOT": ray.config_root,
        "VLLM_RPC_BASE_PATH": ray.temp_dir,
    }
    return {name: value for name, value in wanted.items() if value}
