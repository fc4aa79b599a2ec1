# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a partition can take, and the words of what it cannot."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.llmserve.vllm.plugins.module_utils._slurm_offer import (
    OfferError,
    Wish,
    offer_of,
    plan_nodes,
    seconds_of,
)
from ansible_collections.llmserve.vllm.plugins.module_utils._slurm_text import parse_nodes, parse_partitions
from ansible_collections.llmserve.vllm.tests.unit.plugins.module_utils.test__slurm_text import recorded

MINE = [
    {"account": "alice", "partition": "", "qos": "normal,long"},
    {"account": "staff", "partition": "", "qos": "normal"},
]


def offer(accounts: Any = (), nodes: str = "", **wish: Any) -> Any:
    text = nodes or recorded("nodes")
    return offer_of(Wish(**wish), parse_partitions(recorded("partitions")), parse_nodes(text), accounts)


def test_the_default_partition_with_all_that_its_nodes_have() -> None:
    found = offer(nodes="", **{"gpus_per_node": 0})
    assert (found.partition, found.gpus_per_node, found.gpu_type, found.nodes) == ("gpu", 8, "h100", ["n1", "n2"])
    assert (found.memory_mib, found.cpus, found.down) == (20000, 16, [])


def test_a_drained_node_still_counts_but_is_named() -> None:
    text = recorded("nodes").replace("State=ALLOCATED", "State=IDLE+DRAIN", 1)
    assert offer(nodes=text).down == ["n1"]


def test_the_planner_gets_as_many_nodes_as_the_job() -> None:
    found = offer(gpus_per_node=4)
    nodes = plan_nodes(found, 2)
    assert [(node["name"], len(node["gpus"]), node["host_memory_mib"]) for node in nodes] == [
        ("gpu-1", 4, 20000),
        ("gpu-2", 4, 20000),
    ]
    assert nodes[0]["gpus"][0] == {"name": "h100"}
    declared = plan_nodes(found, 1, [{"name": "NVIDIA H100 NVL"}] * 8)
    assert declared[0]["gpus"] == [{"name": "NVIDIA H100 NVL"}] * 4


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        (
            {"partition": "nope"},
            "There is no partition nope, or none that you may see: choose slurm_serve_partition of gpu, cpu",
        ),
        ({"partition": "closed"}, "The partition closed is DOWN"),
        (
            {"partition": "cpu"},
            "The partition cpu has no node with GPUs: choose slurm_serve_partition of gpu, closed, staff.",
        ),
        ({"gpu_type": "a100"}, "has GPUs of the type a100: choose slurm_serve_gpu_type of h100."),
        ({"time": "9-0"}, "A time limit of 9-0 is asked for, and the partition gpu gives at most 1-00:00:00"),
        ({"gpus_per_node": 9}, "1 node(s) with 9 GPUs each are asked for, and the partition gpu has none"),
    ],
)
def test_refusals(wish: dict[str, Any], words: str) -> None:
    with pytest.raises(OfferError) as refused:
        offer(**wish)
    assert words in str(refused.value)


def test_more_gpus_than_there_are_is_refused_with_what_there_is() -> None:
    nodes, partitions = parse_nodes(recorded("nodes")), parse_partitions(recorded("partitions"))
    with pytest.raises(OfferError, match=r"3 node.* with 8 GPUs each .* has 2, .* has 2 node.s. with 8 h100"):
        offer_of(Wish(nodes=3, gpus_per_node=8), partitions, nodes)


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        ({"account": "bob"}, "You have no account bob here: choose slurm_serve_account of alice, staff."),
        ({"qos": "vip"}, "You may not use the QOS vip: choose slurm_serve_qos of long, normal."),
        ({"partition": "staff", "account": "alice"}, "takes the account(s) staff, and not alice"),
    ],
)
def test_accounting_knows_better(wish: dict[str, Any], words: str) -> None:
    with pytest.raises(OfferError) as refused:
        offer(MINE, **wish)
    assert words in str(refused.value)
    assert offer(MINE, partition="staff", account="staff", qos="normal").partition == "staff"


def test_without_accounting_slurm_itself_says_what_it_thinks_of_an_account() -> None:
    assert offer((), account="whatever", qos="any").partition == "gpu"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30", 1800),
        ("30:15", 1815),
        ("02:00:00", 7200),
        ("1-0", 86400),
        ("1-12:30", 131400),
        ("2-00:00:05", 172805),
        ("UNLIMITED", None),
        ("", None),
    ],
)
def test_times_as_slurm_writes_them(text: str, seconds: int | None) -> None:
    assert seconds_of(text) == seconds
