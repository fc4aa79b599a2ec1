# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What happens to a serving deployment on the sandbox, and how the hardware comes back where it was gone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

RAY, MP = "ray", "mp"
BOTH = (RAY, MP)
HEAD, WORKER = "node1", "node2"

# Said before it happens, and only when there is something to strike.
_STRUCK = "date +%s.%N && "
_CORE = "$(pgrep -f 'Engine[C]ore' | head -1)"
# What runs on the second node, whichever executor it belongs to.
_REMOTE = "$(docker ps --format '{{.Names}}' | grep -E '^llmserve-(ray-worker|vllm-headless)$')"
_RANK = "Worke[r]"
_NFT = "nft add table inet fault && nft add chain inet fault {0} '{{ type filter hook {0} priority -5; }}' && "
_APART = (
    _NFT.format("input") + _NFT.format("output") + "nft add rule inet fault input ip saddr 10.89.77.11 drop && "
    "nft add rule inet fault output ip daddr 10.89.77.11 drop"
)


def _main_of(container: str) -> str:
    return f"$(docker inspect -f '{{{{.State.Pid}}}}' {container})"


class Trouble(NamedTuple):
    """One thing that happens, once for each executor that it concerns."""

    name: str
    what: str
    # a script for a node; it prints the time when it has struck
    node: str
    strike: str
    executors: tuple[str, ...] = BOTH
    # what brings the hardware back, and after how many seconds
    heal: str = ""
    heal_seconds: float = 0
    # whether the node itself is switched off instead, and on again
    power: bool = False
    # whether nobody asks anything then, and for 20 s after
    idle: bool = False
    # how containers are called whose end is the trouble itself
    ends: tuple[str, ...] = ()


_REMOTE_NAMES = ("llmserve-ray-worker", "llmserve-vllm-headless")

TROUBLES = (
    Trouble(
        "engine_restarted",
        "`docker restart` of the engine, for comparison: what a restart and the load take",
        HEAD,
        _STRUCK + "docker restart -t 1 llmserve-vllm",
        ends=("llmserve-vllm",),
    ),
    Trouble("core_killed", "`kill -9` of the engine core", HEAD, f"core={_CORE}; [ $core ] && {_STRUCK}kill -9 $core"),
    Trouble(
        "api_killed",
        "`kill -9` of the main process of the container with the API",
        HEAD,
        f"main={_main_of('llmserve-vllm')}; [ $main ] && {_STRUCK}kill -9 $main",
        ends=("llmserve-vllm",),
    ),
    Trouble(
        "core_hangs",
        "SIGSTOP to the engine core: it hangs, and `/health` stays green",
        HEAD,
        f"core={_CORE}; [ $core ] && {_STRUCK}kill -STOP $core",
    ),
    Trouble(
        "worker_hangs",
        "SIGSTOP to the worker on the second node",
        WORKER,
        f"pgrep -f '{_RANK}' >/dev/null && {_STRUCK}pkill -STOP -f '{_RANK}'",
    ),
    Trouble(
        "ray_worker_killed",
        "`kill -9` of Ray on the second node",
        WORKER,
        f"main={_main_of('llmserve-ray-worker')}; [ $main ] && {_STRUCK}kill -9 $main",
        (RAY,),
        ends=("llmserve-ray-worker",),
    ),
    Trouble(
        "ray_head_killed",
        "`kill -9` of Ray on the head",
        HEAD,
        f"main={_main_of('llmserve-ray-head')}; [ $main ] && {_STRUCK}kill -9 $main",
        (RAY,),
        ends=("llmserve-ray-head",),
    ),
    Trouble(
        "rank_killed",
        "`kill -9` of the second rank, with requests in flight",
        WORKER,
        f"main={_main_of('llmserve-vllm-headless')}; [ $main ] && {_STRUCK}kill -9 $main",
        (MP,),
        ends=("llmserve-vllm-headless",),
    ),
    Trouble(
        "rank_killed_idle",
        "`kill -9` of the second rank while nobody asks anything",
        WORKER,
        f"main={_main_of('llmserve-vllm-headless')}; [ $main ] && {_STRUCK}kill -9 $main",
        (MP,),
        idle=True,
        ends=("llmserve-vllm-headless",),
    ),
    Trouble(
        "docker_restart_worker",
        "`systemctl restart docker` on the second node",
        WORKER,
        f"{_STRUCK}systemctl restart docker",
        ends=_REMOTE_NAMES,
    ),
    Trouble(
        "docker_restart_head",
        "`systemctl restart docker` on the head",
        HEAD,
        f"{_STRUCK}systemctl restart docker",
        ends=("llmserve-vllm", "llmserve-ray-head"),
    ),
    Trouble(
        "power_off_worker",
        "the second node loses power for 15 s",
        WORKER,
        "",
        heal_seconds=15,
        power=True,
        ends=_REMOTE_NAMES,
    ),
    Trouble(
        "power_off_head",
        "the head loses power for 15 s",
        HEAD,
        "",
        heal_seconds=15,
        power=True,
        ends=("llmserve-vllm", "llmserve-ray-head"),
    ),
    Trouble(
        "partition",
        "nothing passes between the nodes for 30 s",
        WORKER,
        f"{_STRUCK}{_APART}",
        heal="nft delete table inet fault",
        heal_seconds=30,
    ),
    Trouble(
        "gpu_lost",
        "the GPU of the second node is gone for 60 s, and what used it dies",
        WORKER,
        f"main={_main_of(_REMOTE)}; [ $main ] && cp /opt/simgpu/gpus.tsv /opt/simgpu/gpus.kept && "
        f"{_STRUCK}: > /opt/simgpu/gpus.tsv && kill -9 $main",
        heal="cat /opt/simgpu/gpus.kept > /opt/simgpu/gpus.tsv",
        heal_seconds=60,
        ends=_REMOTE_NAMES,
    ),
)
BY_NAME: Mapping[str, Trouble] = {trouble.name: trouble for trouble in TROUBLES}
