# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reasons and refusals, in the words in which Slurm gives them."""

from __future__ import annotations

import pytest
from ansible_collections.llmserve.vllm.plugins.module_utils._slurm_reasons import (
    explain_end,
    explain_pending,
    explain_refusal,
)
from ansible_collections.llmserve.vllm.plugins.module_utils._slurm_text import parse_jobs
from ansible_collections.llmserve.vllm.tests.unit.plugins.module_utils.test__slurm_text import recorded


@pytest.mark.parametrize(
    ("reason", "words", "final"),
    [
        ("Resources", "next in line", False),
        ("(Priority)", "higher priority", False),
        ("QOSMaxGRESPerUser", "your quota is full", False),
        ("QOSMaxGRESPerJob", "more than the limit of one job", True),
        ("AssocGrpGRES", "quota of your group is full", False),
        ("QOSGrpGRESMinutes", "GPU or CPU time", False),
        ("AssocGrpGRESRunMinutes", "GPU or CPU time", False),
        ("PartitionConfig", "never gives", True),
        ("PartitionTimeLimit", "lower slurm_serve_time", True),
        ("ReqNodeNotAvail, UnavailableNodes:n[1-2]", "down, drained or reserved", False),
        (
            "Nodes_required_for_job_are_DOWN,_DRAINED_or_reserved_for_jobs_in_higher_priority_partitions",
            "down, drained or reserved",
            False,
        ),
        ("DependencyNeverSatisfied", "has failed", True),
        ("JobHeldUser", "scontrol release", True),
        ("BeginTime", "starts later", False),
        ("", "not looked at it yet", False),
        ("SomethingNew", "man squeue", False),
    ],
)
def test_why_a_job_waits(reason: str, words: str, final: bool) -> None:
    found = explain_pending(reason)
    assert words in found.text
    assert found.final is final


@pytest.mark.parametrize(
    ("message", "words"),
    [
        # all but the accounting's recorded with 22.05
        ("sbatch: error: invalid partition specified: nope", "slurm_serve_partition"),
        ("Invalid account or account/partition combination specified", "slurm_serve_account"),
        ("Invalid qos specification", "slurm_serve_qos"),
        ("User's group not permitted to use this partition", "slurm_serve_partition"),
        ("Requested node configuration is not available", "slurm_serve_nodes"),
        ("Requested reservation is invalid", "slurm_serve_reservation"),
        ("Invalid feature specification", "slurm_serve_constraint"),
        ("sbatch: error: Invalid generic resource (gres) specification", "slurm_serve_gpu_type"),
        ("sbatch: error: Memory specification can not be satisfied", "slurm_serve_memory"),
        ("Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)", "quota"),
        ("Unable to contact slurm controller (connect failure)", "scontrol ping"),
        ("words that nobody knows", ""),
    ],
)
def test_why_a_job_is_refused(message: str, words: str) -> None:
    found = explain_refusal(message)
    assert words in found
    assert bool(found) is bool(words)


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("CANCELLED", "cancelled"),
        ("TIMEOUT", "slurm_serve_chain"),
        ("NODE_FAIL", "a node of it was lost"),
        ("OUT_OF_MEMORY", "slurm_serve_memory"),
        ("COMPLETED", "drained"),
        ("FAILED", "FAILED with exit code 1"),
    ],
)
def test_why_a_job_has_ended(state: str, words: str) -> None:
    text = recorded("jobs").replace("JobState=RUNNING", f"JobState={state}").replace("ExitCode=0:0", "ExitCode=1:0")
    said = explain_end(parse_jobs(text)[0])
    assert said is not None and words in said


def test_a_job_that_lives_has_not_ended() -> None:
    assert explain_end(parse_jobs(recorded("jobs"))[0]) is None
