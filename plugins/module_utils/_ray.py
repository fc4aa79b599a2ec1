# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a Ray cluster has, asked from Ray itself, and whether that is what was wanted.

This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import json
import re
from typing import Any, Dict, List, NamedTuple, Optional, Sequence

PROBE_MARK = "LLMSERVE_RAY_CLUSTER "

# Runs inside the container with its Python and its Ray, so it may use nothing but them. SIGALRM keeps its default
# action: it ends the process even while Ray's C++ client waits for a head that does not answer.
PROBE_SCRIPT = (
    """
import json, signal, sys
signal.alarm(int(sys.argv[2]))
import ray
ray.init(address=sys.argv[1], log_to_driver=False, logging_level="ERROR")
from ray._private.state import state
try:
    free = state.available_resources_per_node()
except AttributeError:
    free = state._available_resources_per_node()
free = {n: {k: v for k, v in r.items() if k.startswith("GPU")} for n, r in free.items()}
nodes = [{k: n.get(k) for k in ("NodeID", "Alive", "NodeManagerAddress", "NodeManagerHostname", "Resources",
         "DeathReasonMessage")} for n in ray.nodes()]
groups = [{k: g.get(k) for k in ("state", "bundles", "bundles_to_node_id")}
          for g in ray.util.placement_group_table().values()]
print("%s" + json.dumps({"version": ray.__version__, "nodes": nodes, "free": free, "groups": groups}))
""".strip()
    % PROBE_MARK
)

_GROUP_KEY = re.compile(r"^GPU_group_[0-9a-f]{16,}$")


class RayNode(NamedTuple):
    """One node that the head knows, dead ones included."""

    id: str
    address: str
    hostname: str
    alive: bool
    head: bool
    gpus_total: float
    gpus_used: float
    gpus_reserved: float
    death_reason: str


class RayCluster(NamedTuple):
    """The nodes, and the GPUs of those that are alive."""

    version: str
    nodes: List[RayNode]

    @property
    def alive(self) -> List[RayNode]:
        return [node for node in self.nodes if node.alive]

    @property
    def gpus_total(self) -> float:
        return sum(node.gpus_total for node in self.alive)

    @property
    def gpus_used(self) -> float:
        return sum(node.gpus_used for node in self.alive)

    @property
    def gpus_reserved(self) -> float:
        return sum(node.gpus_reserved for node in self.alive)


class Verdict(NamedTuple):
    """Whether the cluster is what was asked for, in a sentence, and who is not there."""

    healthy: bool
    sentence: str
    missing: List[str]


def parse_probe(stdout: str) -> Optional[RayCluster]:
    """The cluster from what C(PROBE_SCRIPT) printed, or C(None) when its line is not there."""
    payload = None
    for line in stdout.splitlines():
        if line.startswith(PROBE_MARK):
            payload = line[len(PROBE_MARK) :]
    if payload is None:
        return None
    data = json.loads(payload)
    reserved: Dict[str, float] = {}
    for group in data["groups"]:
        if group.get("state") not in ("CREATED", "RESCHEDULING"):
            continue
        places = {str(bundle): node for bundle, node in (group.get("bundles_to_node_id") or {}).items()}
        for bundle, resources in (group.get("bundles") or {}).items():
            node_id = places.get(str(bundle))
            if node_id:
                reserved[node_id] = reserved.get(node_id, 0.0) + float(resources.get("GPU", 0.0))
    nodes = [_node(item, data["free"].get(item["NodeID"]), reserved.get(item["NodeID"], 0.0)) for item in data["nodes"]]
    nodes.sort(key=lambda node: (not node.head, not node.alive, node.address, node.id))
    return RayCluster(str(data["version"]), nodes)


def _node(item: Dict[str, Any], free: Optional[Dict[str, float]], reserved: float) -> RayNode:
    resources = item.get("Resources") or {}
    alive = bool(item.get("Alive"))
    total = float(resources.get("GPU", 0.0)) if alive else 0.0
    used = 0.0
    reserved = reserved if alive else 0.0
    if alive and free is not None:
        # A placement group takes its GPUs out of "GPU" when it is made; what is still idle inside of it is
        # counted in GPU_group_<id>. Used is what actors really hold, as in `ray status`.
        idle_reserved = sum(value for key, value in free.items() if _GROUP_KEY.match(key))
        used = max(0.0, total - float(free.get("GPU", 0.0)) - idle_reserved)
    return RayNode(
        id=str(item["NodeID"]),
        address=str(item.get("NodeManagerAddress") or ""),
        hostname=str(item.get("NodeManagerHostname") or ""),
        alive=alive,
        head="node:__internal_head__" in resources,
        gpus_total=total,
        gpus_used=used,
        gpus_reserved=reserved,
        death_reason=str(item.get("DeathReasonMessage") or ""),
    )


def judge(
    cluster: RayCluster, nodes: Optional[int], gpus: Optional[float], expected_addresses: Sequence[str] = ()
) -> Verdict:
    """Compare the alive nodes with what is wanted. GPUs that an engine already uses count: they are there."""
    addresses = [node.address for node in cluster.alive]
    missing = [address for address in expected_addresses if address not in addresses]
    twice = sorted({address for address in expected_addresses if addresses.count(address) > 1})
    parts = [_of(len(addresses), nodes, "node"), _of(cluster.gpus_total, gpus, "GPU")]
    if missing:
        parts.append("missing " + ", ".join(missing))
    if twice:
        # for some 15 s after a worker restarts its dead registration still counts as alive, GPUs included
        parts.append("an old registration of " + ", ".join(twice) + " has not expired yet")
    healthy = (
        len(addresses) >= (nodes or 0)
        and cluster.gpus_total >= (gpus or 0)
        and not missing
        and not twice
        and bool(addresses)
    )
    return Verdict(healthy, ", ".join(parts), missing)


def _of(have: float, want: Optional[float], what: str) -> str:
    if want is None:
        return "{0:g} {1}{2}".format(have, what, "" if have == 1 else "s")
    return "{0:g} of {1:g} {2}{3}".format(have, want, what, "" if want == 1 else "s")
