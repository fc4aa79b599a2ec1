# SPDX-License-Identifier: GPL-3.0-or-later
"""What the probe prints, and what is made of it."""

from __future__ import annotations

import json
from typing import Any

from ansible_collections.llmserve.vllm.plugins.module_utils._ray import PROBE_MARK, PROBE_SCRIPT, judge, parse_probe

GROUP = "c3eb82dc174e9d7be41b1bd84aea02000000"


def probe(*nodes: dict[str, Any], free: dict[str, Any] | None = None, groups: Any = ()) -> str:
    data = {"version": "2.56.1", "nodes": list(nodes), "free": free or {}, "groups": list(groups)}
    return "a line of a chatty library\n" + PROBE_MARK + json.dumps(data) + "\n"


def node(name: str, address: str, alive: bool = True, gpus: float = 8.0, head: bool = False) -> dict[str, Any]:
    resources = {"CPU": 208.0, "GPU": gpus, "node:" + address: 1.0}
    if head:
        resources["node:__internal_head__"] = 1.0
    return {
        "NodeID": name,
        "Alive": alive,
        "NodeManagerAddress": address,
        "NodeManagerHostname": "host-" + name,
        "Resources": resources if alive else {},
        "DeathReasonMessage": "" if alive else "health check failed",
    }


def test_the_script_is_python() -> None:
    compile(PROBE_SCRIPT, "probe", "exec")


def test_without_the_line_there_is_no_cluster() -> None:
    assert parse_probe("Traceback ...") is None


def test_gpus_in_and_outside_of_a_placement_group() -> None:
    # recorded: 8 GPUs, a group of 4 of which 2 are used, and one actor outside of it
    cluster = parse_probe(
        probe(
            node("a", "10.0.0.1", head=True),
            free={
                "a": {"GPU": 3.0, "GPU_group_" + GROUP: 2.0, "GPU_group_2_" + GROUP: 1.0, "GPU_group_3_" + GROUP: 1.0}
            },
            groups=[
                {
                    "state": "CREATED",
                    "bundles": {str(n): {"GPU": 1.0} for n in range(4)},
                    "bundles_to_node_id": {str(n): "a" for n in range(4)},
                },
                {"state": "REMOVED", "bundles": {"0": {"GPU": 8.0}}, "bundles_to_node_id": {"0": "a"}},
                {"state": "PENDING", "bundles": {"0": {"GPU": 8.0}}, "bundles_to_node_id": {}},
            ],
        )
    )
    assert cluster is not None
    assert (cluster.gpus_total, cluster.gpus_used, cluster.gpus_reserved) == (8.0, 3.0, 4.0)
    assert cluster.nodes[0].head


def test_dead_nodes_are_listed_and_do_not_count() -> None:
    cluster = parse_probe(probe(node("b", "10.0.0.2", alive=False), node("a", "10.0.0.1", head=True), free={"a": {}}))
    assert cluster is not None
    assert [(n.address, n.alive, n.death_reason) for n in cluster.nodes] == [
        ("10.0.0.1", True, ""),
        ("10.0.0.2", False, "health check failed"),
    ]
    assert cluster.gpus_total == 8.0
    verdict = judge(cluster, 2, 16, ["10.0.0.1", "10.0.0.2"])
    assert not verdict.healthy
    assert verdict.missing == ["10.0.0.2"]
    assert verdict.sentence == "1 of 2 nodes, 8 of 16 GPUs, missing 10.0.0.2"


def test_busy_gpus_are_present() -> None:
    cluster = parse_probe(probe(node("a", "10.0.0.1"), node("b", "10.0.0.2"), free={"a": {}, "b": {}}))
    assert cluster is not None
    assert cluster.gpus_used == 16.0
    verdict = judge(cluster, 2, 16, ["10.0.0.1", "10.0.0.2"])
    assert verdict.healthy
    assert verdict.sentence == "2 of 2 nodes, 16 of 16 GPUs"


def test_an_old_registration_of_a_restarted_worker_is_waited_out() -> None:
    cluster = parse_probe(probe(node("a", "10.0.0.1"), node("b", "10.0.0.2"), node("b2", "10.0.0.2")))
    assert cluster is not None
    verdict = judge(cluster, 2, 16, ["10.0.0.1", "10.0.0.2"])
    assert not verdict.healthy
    assert "an old registration of 10.0.0.2 has not expired yet" in verdict.sentence
    # without expected addresses more nodes than asked for are as good
    assert judge(cluster, 2, 16).healthy


def test_a_cluster_without_wishes_only_has_to_be_alive() -> None:
    cluster = parse_probe(probe(node("a", "10.0.0.1", gpus=0)))
    assert cluster is not None
    assert judge(cluster, None, None) == (True, "1 node, 0 GPUs", [])
    nobody = parse_probe(probe())
    assert nobody is not None
    assert not judge(nobody, None, None).healthy
