# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What scontrol of Slurm 22.05 has printed, and lines as other releases and sites write them."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.llmserve.vllm.plugins.module_utils._slurm_text import (
    Gpus,
    fields,
    parse_gres,
    parse_jobs,
    parse_nodes,
    parse_partitions,
    parse_version,
)

RECORDED = Path(__file__).parents[2] / "fixtures" / "slurm"


def recorded(name: str) -> str:
    return (RECORDED / f"{name}_22.05.txt").read_text()


def test_nodes() -> None:
    first, second, third = parse_nodes(recorded("nodes"))
    assert (first.name, first.memory_mib, first.cpus, first.partitions) == ("n1", 20000, 16, ("gpu", "closed", "staff"))
    assert first.gpus == (Gpus("h100", 8),)
    assert first.usable and second.usable
    assert (third.gpus, third.gpus_of()) == ((), 0)


@pytest.mark.parametrize(
    ("state", "usable"),
    [
        ("IDLE", True),
        ("MIXED+PLANNED", True),
        ("ALLOCATED", True),
        ("IDLE+DRAIN", False),
        ("DOWN*+NOT_RESPONDING", False),
    ],
)
def test_a_node_that_is_drained_or_down_starts_nothing(state: str, usable: bool) -> None:
    text = recorded("nodes").replace("State=IDLE", f"State={state}")
    assert parse_nodes(text)[2].usable is usable


def test_the_reason_of_a_drained_node_may_have_spaces_and_equals_signs() -> None:
    line = recorded("nodes").splitlines()[0] + " Reason=GPU 3: Xid=79 fell off [root@2026-11-21T10:00:00]"
    node = parse_nodes(line)[0]
    assert node.reason == "GPU 3: Xid=79 fell off [root@2026-11-21T10:00:00]"
    assert node.memory_mib == 20000


def test_partitions() -> None:
    gpu, cpu, closed, staff = parse_partitions(recorded("partitions"))
    assert (gpu.name, gpu.state, gpu.default, gpu.max_time, gpu.accounts) == ("gpu", "UP", True, "1-00:00:00", ())
    assert (cpu.default, cpu.max_nodes) == (False, "")
    assert closed.state == "DOWN"
    assert staff.accounts == ("staff",)


def test_jobs() -> None:
    (job,) = parse_jobs(recorded("jobs"))
    assert (job.name, job.user, job.state, job.partition) == ("llmserve", "alice", "RUNNING", "gpu")
    assert job.comment.startswith("llmserve-") and len(job.comment) == 21
    assert (job.nodes, job.batch_host) == ("n[1-2]", "n1")
    assert job.log.startswith("/shared/alice/llmserve/llmserve/logs/")
    assert job.live and not job.pending and not job.gone


@pytest.mark.parametrize(
    ("state", "live", "gone"),
    [("PENDING", True, False), ("CONFIGURING", True, False), ("COMPLETING", False, False), ("NODE_FAIL", False, True)],
)
def test_states_of_jobs(state: str, live: bool, gone: bool) -> None:
    (job,) = parse_jobs(recorded("jobs").replace("JobState=RUNNING", f"JobState={state}"))
    assert (job.live, job.gone) == (live, gone)


def test_a_comment_in_words_hides_no_field_behind_it() -> None:
    found = fields("JobId=7 JobName=x Comment=a b=c d  StdErr=/e StdIn=/dev/null StdOut=/o")
    assert (found["Comment"], found["StdErr"], found["StdOut"]) == ("a b=c d", "/e", "/o")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("gpu:h100:8(S:0-1)", (Gpus("h100", 8),)),
        ("gpu:8", (Gpus("", 8),)),
        ("gpu:a100:4(S:0,2),gpu:h100:4,shard:h100:80", (Gpus("a100", 4), Gpus("h100", 4))),
        ("gpu:nvidia_h100_80gb_hbm3:8,nvme:1", (Gpus("nvidia_h100_80gb_hbm3", 8),)),
        ("(null)", ()),
        ("craynetwork:4", ()),
    ],
)
def test_gres(text: str, found: tuple[Gpus, ...]) -> None:
    assert parse_gres(text) == found


def test_version() -> None:
    assert parse_version("slurm-wlm 22.05.8\n") == "22.05.8"
    assert parse_version("slurm 25.05.2") == "25.05.2"
    assert parse_version("something else") == ""
