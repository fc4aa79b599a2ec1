# SPDX-License-Identifier: GPL-3.0-or-later
"""Logs of a host, with and without a journal."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from ansible_collections.llmserve.vllm.plugins.module_utils._capture import Captured
from ansible_collections.llmserve.vllm.plugins.module_utils._host_texts import (
    begin_of,
    container_logs,
    journal,
    kernel_lines,
    since_only,
    stamp_of,
    without_kills_of_others,
)

XID = "NVRM: Xid (PCI:0000:3b:00): 79, pid=1234, GPU has fallen off the bus."
DMESG = f"""2026-11-21T08:00:00,000001+00:00 NVRM: Xid (PCI:0000:3b:00): 31, pid=1
2026-11-21T09:30:00,123456+00:00 {XID}
 a line that goes on about nvidia
2026-11-21T09:31:00,123456+00:00 usb 1-1: new device
"""
NINE = 1795251600


def of(component: str, status: str = "running", started: int = NINE, restarts: int = 0) -> dict[str, object]:
    created = NINE - 10 * 86400
    state = {"status": status, "restarts": restarts, "started": started, "created": created}
    return {**state, "component": component, "name": f"llmserve-{component}", "id": component}


def test_the_look_back_begins_shortly_before_the_engine() -> None:
    assert begin_of([of("vllm"), of("nccl_check", started=5)], NINE + 7200) == NINE - 300
    assert begin_of([], NINE) == NINE - 86400 - 300
    # one that dies over and over was made ten days ago: that is too much
    assert begin_of([of("vllm", restarts=9)], NINE) == NINE - 86400 - 300


def test_without_a_journal_the_kernel_is_asked_itself() -> None:
    def capture(argv: Sequence[str], _seconds: float, _most: int) -> Captured:
        if argv[0] == "journalctl":
            return Captured(None, "", "journalctl: No such file or directory")
        return Captured(0, DMESG)

    found = journal(NINE, 10000, capture)
    assert found.texts["kernel"].splitlines() == [DMESG.splitlines()[1], " a line that goes on about nvidia"]
    assert found.problems == ["The journal could not be read: journalctl: No such file or directory."]


def test_without_anything_the_problems_say_so() -> None:
    def capture(argv: Sequence[str], _seconds: float, _most: int) -> Captured:
        return Captured(1, f"{argv[0]}: Operation not permitted\n")

    found = journal(NINE, 100, capture)
    assert found.texts == {"kernel": ""}
    assert len(found.problems) == 2
    assert "dmesg: Operation not permitted" in found.problems[1]


def test_the_journal_since_the_engine_runs() -> None:
    asked: list[Sequence[str]] = []

    def capture(argv: Sequence[str], _seconds: float, _most: int) -> Captured:
        asked.append(argv)
        return Captured(0, f"2026-11-21T09:30:00+0000 node1 kernel: {XID}\n")

    found = journal(NINE, 10000, capture)
    assert set(found.texts) == {"journal", "kernel"}
    assert XID in found.texts["kernel"]
    assert all(argv[argv.index("--since") + 1] == f"@{NINE}" for argv in asked)
    assert "docker.service" in asked[0]


def test_logs_of_containers_since_their_present_run() -> None:
    def capture(argv: Sequence[str], _seconds: float, most: int) -> Captured:
        return Captured(0, f"{' '.join(argv)} {most}")

    found = container_logs("docker", [of("vllm"), of("ray_head", restarts=2)], 99, capture)
    assert found == {
        "llmserve-vllm": f"docker logs --tail 20000 --since {NINE} vllm 99",
        "llmserve-ray_head": f"docker logs --tail 20000 --since {NINE - 10 * 86400} ray_head 99",
    }


def test_only_lines_that_may_explain_something_leave_the_kernel_log() -> None:
    text = f"usb 1-1: new device\n{XID}\nOut of memory: Killed process 1 (x)\naudit: user=root acct=alice\n"
    assert kernel_lines(text, 1000).splitlines() == [XID, "Out of memory: Killed process 1 (x)"]
    assert kernel_lines(text, 50) == "Out of memory: Killed process 1 (x)"


def killed(pid: int, cgroup: str, constraint: str = "CONSTRAINT_MEMCG") -> str:
    words = "Memory cgroup out of memory" if constraint == "CONSTRAINT_MEMCG" else "Out of memory"
    return (
        "vllm invoked oom-killer: gfp_mask=0x100cca(GFP_HIGHUSER_MOVABLE), order=0, oom_score_adj=0\n"
        f"oom-kill:constraint={constraint},nodemask=(null),cpuset=x,mems_allowed=0,oom_memcg={cgroup},"
        f"task_memcg={cgroup},task=vllm,pid={pid},uid=0\n"
        f"{words}: Killed process {pid} (vllm) total-vm:885444kB, anon-rss:305020kB\n"
        f"oom_reaper: reaped process {pid} (vllm), now anon-rss:0kB\n"
    )


@pytest.mark.parametrize(
    ("cgroup", "own", "told"),
    [
        (f"/system.slice/docker-{'a' * 64}.scope", ["a" * 64], True),
        # in a container of its own, as in the sandbox
        (f"/docker/{'b' * 64}/docker/{'a' * 64}", ["a" * 64], True),
        (f"/docker/{'b' * 64}", ["a" * 64], False),
        # a unit, or nothing of ours to compare with: anybody's guess
        ("/system.slice/llmserve-vllm.service", ["a" * 64], True),
        (f"/docker/{'b' * 64}", [], True),
    ],
)
def test_what_the_kernel_killed_for_the_limit_of_another_container_is_left_out(
    cgroup: str, own: list[str], told: bool
) -> None:
    assert without_kills_of_others(killed(7, cgroup), own).splitlines() == (
        killed(7, cgroup).splitlines() if told else []
    )
    # a log that was cut off before it says who asked for the memory
    cut = f"{XID}\n" + killed(7, cgroup).split("\n", 1)[1]
    assert without_kills_of_others(cut, own).startswith(XID)
    # memory of the host is everybody's
    whole = killed(77, cgroup, "CONSTRAINT_NONE")
    assert without_kills_of_others(killed(7, cgroup) + whole, own).endswith(whole.rstrip("\n") if not told else whole)


def test_lines_without_a_time_belong_to_the_one_before() -> None:
    assert since_only("no time\n", 0) == ""
    assert stamp_of("2026-11-21T10:00:00,5+0100 x") == NINE
    assert stamp_of("[   12.3] x") is None
