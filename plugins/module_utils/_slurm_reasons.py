# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why Slurm refuses a job, lets it wait, or has ended it, in words that say what to do.

This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import re
from typing import NamedTuple, Optional, Tuple

from ansible_collections.llmserve.vllm.plugins.module_utils._slurm_text import Job


class Reason(NamedTuple):
    """A reason that squeue shows, explained."""

    text: str
    # waiting cannot mend it
    final: bool


# The first that matches counts.
_PENDING: Tuple[Tuple[str, str, bool], ...] = (
    ("Resources", "it is the next in line and waits for GPUs or nodes that others use", False),
    ("Priority", "jobs with a higher priority are before it", False),
    ("Dependency", "it waits for another job", False),
    ("DependencyNeverSatisfied", "the job that it depends on has failed: cancel it and submit anew", True),
    ("BeginTime", "it starts later, as it was asked to", False),
    ("Prolog|Cleaning|NodesNotAvail", "its nodes are being made ready", False),
    ("Reservation", "its reservation has not begun", False),
    ("ReservationDeleted|InvalidReservation", "its reservation is gone: change slurm_serve_reservation", True),
    ("Licenses|BurstBuffer.*", "it waits for something else than nodes that the site deals out", False),
    ("JobHeldUser", "you have put it on hold: scontrol release it", True),
    ("JobHeldAdmin|JobHoldMaxRequeue", "an administrator or Slurm itself holds it: ask your site", True),
    (
        "job_requeued_in_held_state|launch_failed_requeued_held",
        "it could not be started on its nodes and is held",
        True,
    ),
    ("PartitionDown|PartitionInactive", "its partition takes jobs, but starts none just now", False),
    (
        "PartitionConfig|PartitionNodeLimit",
        "its partition never gives so many nodes, GPUs or so much time: change slurm_serve_nodes, "
        "slurm_serve_gpus_per_node or slurm_serve_partition",
        True,
    ),
    ("PartitionTimeLimit", "it asks for more time than its partition gives: lower slurm_serve_time", True),
    ("BadConstraints|FeatureMismatch", "no node fits its constraints: change slurm_serve_constraint", True),
    ("AccountNotAllowed|InvalidAccount", "its account may not use this: change slurm_serve_account", True),
    ("InvalidQOS|QOSNotAllowed", "its QOS may not be used here: change slurm_serve_qos", True),
    ("QOSResourceLimit|QOSUsageThreshold|AssociationResourceLimit", "a quota is used up by your running jobs", False),
    (
        "QOSTimeLimit|QOSMaxWallDurationPerJobLimit",
        "it asks for more time than its QOS allows: lower slurm_serve_time",
        True,
    ),
    (
        "(QOS|Assoc)Max[A-Za-z]*PerJob.*",
        "it alone asks for more than the limit of one job: ask for less, or for another QOS (slurm_serve_qos)",
        True,
    ),
    (
        "(QOS|Assoc)(Max|Grp)?[A-Za-z]*(Minutes|Mins|RunMinutes).*",
        "the quota of GPU or CPU time of your group is used up: it starts when time comes back, or "
        "never; ask your site",
        False,
    ),
    (
        "(QOS|Assoc)(Max|Grp)[A-Za-z]*(User|PU|Account|PA).*",
        "your quota is full: it starts when other jobs of yours or of your account end",
        False,
    ),
    ("(QOS|Assoc)Grp.*", "the quota of your group is full: it starts when other jobs of the group end", False),
    ("(QOS|Assoc)Max.*", "your quota is full: it starts when other jobs of yours end", False),
    ("(QOS|Assoc)Min.*", "it asks for less than the least that is allowed: ask for more, or for another QOS", True),
    (
        "ReqNodeNotAvail.*|NodeDown|Nodes_required_for_job_are_DOWN.*",
        "nodes that it could have are down, drained or reserved: it starts when they come back, or "
        "when others are free",
        False,
    ),
    ("None|", "Slurm has not looked at it yet", False),
)

_REFUSED: Tuple[Tuple[str, str], ...] = (
    (r"invalid partition", "there is no such partition: change slurm_serve_partition"),
    (
        r"invalid account|account/partition",
        "the account is unknown, or may not use this partition: change slurm_serve_account",
    ),
    (r"(invalid|not permitted to use this) qos|job'?s QOS", "the QOS is unknown, or not yours: change slurm_serve_qos"),
    (
        r"group not permitted|not permitted to use this partition",
        "your group may not use this partition: change slurm_serve_partition",
    ),
    (
        r"reservation is invalid|access/permission denied.*reservation",
        "the reservation is unknown, over or not yours: change slurm_serve_reservation",
    ),
    (r"invalid feature", "no node has this feature: change slurm_serve_constraint"),
    (r"invalid generic resource", "no node has this type of GPU: change slurm_serve_gpu_type"),
    (
        r"accounting/QOS policy|job violates",
        "a quota is full or too small for it: see sacctmgr show assoc and show qos, ask for less, or ask your site",
    ),
    (r"time limit", "the partition or QOS gives less time: lower slurm_serve_time"),
    (r"memory specification", "no node has so much memory: lower slurm_serve_memory"),
    (
        r"node configuration is not available|more processors requested|node count specification",
        "the partition never has so many nodes with so many GPUs: lower slurm_serve_nodes or "
        "slurm_serve_gpus_per_node, or change slurm_serve_partition",
    ),
    (
        r"unable to contact slurm|connection refused|communications? error|munge",
        "the controller does not answer: see scontrol ping, and ask your site",
    ),
    (r"disk quota|no space left", "the disk or your quota is full: make room"),
)

_ENDED = {
    "CANCELLED": "it was cancelled",
    "TIMEOUT": "it came to its time limit before it was drained: raise slurm_serve_time, or let others "
    "follow with slurm_serve_chain",
    "DEADLINE": "it came to its deadline",
    "NODE_FAIL": "a node of it was lost: run the playbook again, Slurm takes other nodes",
    "BOOT_FAIL": "a node of it did not come up: run the playbook again, Slurm takes other nodes",
    "OUT_OF_MEMORY": "it took more of the hosts' memory than it had asked for: raise slurm_serve_memory",
    "PREEMPTED": "a job with more rights took its nodes: choose another slurm_serve_qos or slurm_serve_partition",
    "REVOKED": "another cluster of the federation took it",
}


def explain_pending(reason: str) -> Reason:
    """What a job waits for, by the reason that squeue shows."""
    word = reason.strip("()").partition(",")[0].strip()
    for pattern, text, final in _PENDING:
        if re.match("(?:{0})$".format(pattern), word, re.IGNORECASE):
            return Reason(text, final)
    return Reason("the reason is not known here, see man squeue", False)


def explain_refusal(message: str) -> str:
    """What to do about the words with which sbatch refuses a job; empty when they are not known."""
    for pattern, text in _REFUSED:
        if re.search(pattern, message, re.IGNORECASE):
            return text
    return ""


def explain_end(job: Job) -> Optional[str]:
    """Why a job serves no more; nothing while it lives, or is ending: Slurm says how when its nodes are free."""
    if not job.gone:
        return None
    if job.state in _ENDED:
        return _ENDED[job.state]
    if job.state == "COMPLETED":
        return "it was drained near its time limit and has ended in good order: run the playbook again for the next one"
    return "it has ended as {0} with exit code {1}".format(job.state, job.exit_code.partition(":")[0])
