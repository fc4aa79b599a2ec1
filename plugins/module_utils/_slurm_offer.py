# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a partition offers a deployment, and why it cannot take one, before anything is submitted.

This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import re
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from ansible_collections.llmserve.vllm.plugins.module_utils._slurm_text import Node, Partition

# What a site writes between parentheses of --gres tells nothing of the GPU; a type may.
UNKNOWN = "unknown GPU"


class OfferError(ValueError):
    """The partition cannot take the deployment: what is asked, what there is, and what to change."""


class Wish(NamedTuple):
    """What a deployment asks for; empty and 0 leave it open."""

    partition: str = ""
    account: str = ""
    qos: str = ""
    nodes: int = 0
    gpus_per_node: int = 0
    gpu_type: str = ""
    time: str = ""


class Offer(NamedTuple):
    """What there is for it."""

    partition: str
    max_time: str
    gpu_type: str
    gpus_per_node: int
    # nodes that can have it, whether in use or not, and those that could have it were they not down or drained
    nodes: List[str]
    down: List[str]
    memory_mib: int
    cpus: int


def offer_of(
    wish: Wish, partitions: Sequence[Partition], nodes: Sequence[Node], accounts: Sequence[Mapping[str, str]] = ()
) -> Offer:
    """What the partition has for the wish. Refuses what Slurm would let wait for ever."""
    partition = _partition(wish, partitions)
    _permitted(wish, partition, accounts)
    inside = [node for node in nodes if partition.name in node.partitions]
    kind = wish.gpu_type
    with_gpus = [node for node in inside if node.gpus_of()]
    if not with_gpus:
        raise OfferError(
            "The partition {0} has no node with GPUs: choose slurm_serve_partition of {1}.".format(
                partition.name,
                _or(_with_gpus(partitions, nodes), "those that your site has for GPUs (sinfo)"),
            )
        )
    fitting = [node for node in with_gpus if node.gpus_of(kind)]
    if not fitting:
        raise OfferError(
            "No node of the partition {0} has GPUs of the type {1}: choose slurm_serve_gpu_type of {2}.".format(
                partition.name, kind, _or(_types(with_gpus), "none at all, since the site names no types")
            )
        )
    wanted = wish.gpus_per_node or max(node.gpus_of(kind) for node in fitting)
    enough = [node for node in fitting if node.gpus_of(kind) >= wanted]
    asked = max(1, wish.nodes)
    if len(enough) < asked:
        raise OfferError(
            "{0} node(s) with {1} {2}GPUs each are asked for, and the partition {3} has {4}, however long one waits: "
            "it has {5}. Lower slurm_serve_nodes or slurm_serve_gpus_per_node, or change slurm_serve_partition.".format(
                asked, wanted, kind + " " if kind else "", partition.name, len(enough) or "none", _stock(fitting)
            )
        )
    if partition.max_nodes.isdigit() and int(partition.max_nodes) < asked:
        raise OfferError(
            "{0} nodes are asked for, and the partition {1} gives a job at most {2}: lower slurm_serve_nodes.".format(
                asked, partition.name, partition.max_nodes
            )
        )
    asked_for, given = seconds_of(wish.time), seconds_of(partition.max_time)
    if asked_for is not None and given is not None and asked_for > given:
        raise OfferError(
            "A time limit of {0} is asked for, and the partition {1} gives at most {2}: lower slurm_serve_time, and "
            "let other jobs follow with slurm_serve_chain.".format(wish.time, partition.name, partition.max_time)
        )
    return Offer(
        partition=partition.name,
        max_time=partition.max_time,
        gpu_type=kind or _only(_types(enough)),
        gpus_per_node=wanted,
        nodes=[node.name for node in enough if node.usable],
        down=[node.name for node in enough if not node.usable],
        memory_mib=min(node.memory_mib for node in enough),
        cpus=min(node.cpus for node in enough),
    )


def _partition(wish: Wish, partitions: Sequence[Partition]) -> Partition:
    names = [partition.name for partition in partitions]
    found: Optional[Partition] = None
    for partition in partitions:
        if partition.name == wish.partition or (not wish.partition and partition.default):
            found = partition
    if found is None and wish.partition:
        raise OfferError(
            "There is no partition {0}, or none that you may see: choose slurm_serve_partition of {1}.".format(
                wish.partition, ", ".join(names) or "none"
            )
        )
    if found is None:
        raise OfferError(
            "The site has no default partition: choose slurm_serve_partition of {0}.".format(", ".join(names))
        )
    if found.state in ("DOWN", "INACTIVE", "DRAIN"):
        raise OfferError(
            "The partition {0} is {1}, so nothing starts in it: wait until your site opens it, or change "
            "slurm_serve_partition.".format(found.name, found.state)
        )
    return found


def _permitted(wish: Wish, partition: Partition, accounts: Sequence[Mapping[str, str]]) -> None:
    """What the partition and the accounting say; a site without accounting takes any account."""
    mine = sorted({row["account"] for row in accounts if row["account"]})
    if wish.account and mine and wish.account not in mine:
        raise OfferError(
            "You have no account {0} here: choose slurm_serve_account of {1}.".format(wish.account, ", ".join(mine))
        )
    allowed = [account for account in partition.accounts if not mine or account in mine]
    if partition.accounts and wish.account not in partition.accounts and (wish.account or not allowed):
        raise OfferError(
            "The partition {0} takes the account(s) {1}, and not {2}: change slurm_serve_account or "
            "slurm_serve_partition.".format(
                partition.name, ", ".join(partition.accounts), wish.account or "any of yours"
            )
        )
    rows = [row for row in accounts if row["account"] == (wish.account or row["account"])]
    quality = sorted({name for row in rows for name in row["qos"].split(",") if name})
    if wish.qos and quality and wish.qos not in quality:
        raise OfferError(
            "You may not use the QOS {0}: choose slurm_serve_qos of {1}.".format(wish.qos, ", ".join(quality))
        )
    if wish.qos and partition.qos and wish.qos not in partition.qos:
        raise OfferError(
            "The partition {0} takes the QOS {1}, and not {2}: change slurm_serve_qos.".format(
                partition.name, ", ".join(partition.qos), wish.qos
            )
        )


def seconds_of(text: str) -> Optional[int]:
    """A time as Slurm writes it, from minutes to days-hours:minutes:seconds; nothing for none, or no limit."""
    match = re.match(r"(?:(\d+)-)?(\d+)(?::(\d+))?(?::(\d+))?$", text.strip())
    if match is None:
        return None
    days, *rest = match.groups()
    numbers = [int(part) for part in rest if part is not None]
    if days is not None or len(numbers) == 3:
        hours, minutes, seconds = [*numbers, 0, 0][:3]
    else:
        hours, minutes, seconds = 0, numbers[0], [*numbers, 0][1]
    return int(days or 0) * 86400 + hours * 3600 + minutes * 60 + seconds


def plan_nodes(offer: Offer, count: int, gpus: Sequence[Mapping[str, Any]] = ()) -> List[Dict[str, Any]]:
    """The nodes of a job for the planner. Which ones it gets is not known, so they have numbers instead of names."""
    own = list(gpus)[: offer.gpus_per_node] or [{"name": offer.gpu_type or UNKNOWN}] * offer.gpus_per_node
    return [
        {"name": "{0}-{1}".format(offer.partition, number + 1), "gpus": own, "host_memory_mib": offer.memory_mib}
        for number in range(count)
    ]


def _with_gpus(partitions: Sequence[Partition], nodes: Sequence[Node]) -> List[str]:
    return [item.name for item in partitions if any(item.name in node.partitions and node.gpus_of() for node in nodes)]


def _types(nodes: Sequence[Node]) -> List[str]:
    return sorted({gpus.type for node in nodes for gpus in node.gpus if gpus.type})


def _only(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else ""


def _or(names: Sequence[str], otherwise: str) -> str:
    return ", ".join(names) or otherwise


def _stock(nodes: Sequence[Node]) -> str:
    """What there is, as in: 2 x 8 h100, 1 x 4 a100."""
    seen: Dict[Tuple[int, str], int] = {}
    for node in nodes:
        for gpus in node.gpus:
            key = (gpus.number, gpus.type)
            seen[key] = seen.get(key, 0) + 1
    return ", ".join(
        "{0} node(s) with {1}{2}".format(count, gpus, " " + kind if kind else "")
        for (gpus, kind), count in sorted(seen.items(), reverse=True)
    )
