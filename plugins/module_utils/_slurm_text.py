# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What C(scontrol --oneliner) prints, from Slurm 21.08 to 25: one record per line, name=value with spaces between.

JSON would take a plugin that many sites have not installed.
This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import re
from typing import Dict, List, NamedTuple, Tuple

_FIELD = re.compile(r"(?:^| )([A-Za-z][\w:/()-]*)=")
# These go on to the end, and may have spaces and equals signs in them: how to know where they end.
_FREE = {"Comment": " StdErr=", "Reason": "", "OS": " RealMemory=", "Command": " WorkDir="}
_NOTHING = ("", "(null)", "N/A", "None", "Unknown", "UNLIMITED")
_GRES = re.compile(r"^gpu(?::(?P<type>[A-Za-z][^:(,]*))?:(?P<count>\d+)")


class Gpus(NamedTuple):
    """GPUs of one kind on a node; the type is empty where the site names none."""

    type: str
    number: int


class Node(NamedTuple):
    """A node as Slurm knows it."""

    name: str
    # in lower case, without the marks and flags that follow: idle, mixed, drained...
    states: Tuple[str, ...]
    gpus: Tuple[Gpus, ...]
    memory_mib: int
    cpus: int
    partitions: Tuple[str, ...]
    reason: str

    @property
    def usable(self) -> bool:
        """Whether jobs can start on it, now or when others have ended."""
        return not any(state in ("down", "drain", "fail", "not_responding", "planned_down") for state in self.states)

    def gpus_of(self, kind: str = "") -> int:
        """How many of this type; of any without one."""
        return sum(gpus.number for gpus in self.gpus if not kind or gpus.type.lower() == kind.lower())


class Partition(NamedTuple):
    """A partition as Slurm knows it."""

    name: str
    state: str
    max_time: str
    default: bool
    accounts: Tuple[str, ...]
    qos: Tuple[str, ...]
    max_nodes: str


class Job(NamedTuple):
    """A job as Slurm knows it."""

    id: int
    name: str
    user: str
    state: str
    reason: str
    partition: str
    # its first word
    comment: str
    nodes: str
    batch_host: str
    start: str
    end: str
    exit_code: str
    log: str

    @property
    def pending(self) -> bool:
        return self.state in ("PENDING", "REQUEUED", "REQUEUE_HOLD", "SPECIAL_EXIT", "RESV_DEL_HOLD")

    @property
    def live(self) -> bool:
        """Whether it waits, runs, or is about to."""
        return self.pending or self.state in ("RUNNING", "CONFIGURING", "SUSPENDED", "STOPPED", "SIGNALING", "RESIZING")

    @property
    def gone(self) -> bool:
        """Whether nothing of it is on any node any more."""
        return not self.live and self.state not in ("COMPLETING", "STAGE_OUT")


def fields(line: str) -> Dict[str, str]:
    """The fields of one record."""
    found: Dict[str, str] = {}
    at = 0
    while True:
        match = _FIELD.search(line, at)
        if match is None:
            return found
        name, begin = match.group(1), match.end()
        if name in _FREE and (name != "Reason" or "JobId" not in found):
            stop = line.find(_FREE[name], begin) if _FREE[name] else len(line)
            stop = len(line) if stop < 0 else stop
        else:
            space = line.find(" ", begin)
            stop = len(line) if space < 0 else space
        found.setdefault(name, line[begin:stop].strip())
        at = stop


def records(text: str, first: str) -> List[Dict[str, str]]:
    """All records that begin with this field; other lines are messages."""
    return [fields(line) for line in text.splitlines() if line.startswith(first + "=")]


def parse_gres(text: str) -> Tuple[Gpus, ...]:
    """The GPUs in C(gpu:h100:8(S:0-1),gpu:a100:2), and in C(gpu:8)."""
    found = []
    # the sockets behind a number may have commas
    for part in re.sub(r"\([^)]*\)", "", text).split(","):
        match = _GRES.match(part.strip())
        if match:
            found.append(Gpus(match.group("type") or "", int(match.group("count"))))
    return tuple(found)


def parse_nodes(text: str) -> List[Node]:
    """The nodes in C(scontrol show node --oneliner)."""
    return [
        Node(
            name=record["NodeName"],
            states=tuple(re.findall(r"[a-z_]+", record.get("State", "").lower())),
            gpus=parse_gres(record.get("Gres", "")),
            memory_mib=_number(record.get("RealMemory", "")),
            cpus=_number(record.get("CPUEfctv", record.get("CPUTot", ""))),
            partitions=_list(record.get("Partitions", "")),
            reason=plain(record.get("Reason", "")),
        )
        for record in records(text, "NodeName")
    ]


def parse_partitions(text: str) -> List[Partition]:
    """The partitions in C(scontrol show partition --oneliner)."""
    return [
        Partition(
            name=record["PartitionName"],
            state=record.get("State", "").upper(),
            max_time=record.get("MaxTime", ""),
            default=record.get("Default", "") == "YES",
            accounts=_allowed(record.get("AllowAccounts", "")),
            qos=_allowed(record.get("AllowQos", "")),
            max_nodes=plain(record.get("MaxNodes", "")),
        )
        for record in records(text, "PartitionName")
    ]


def parse_jobs(text: str) -> List[Job]:
    """The jobs in C(scontrol show job --oneliner)."""
    return [
        Job(
            id=int(record["JobId"]),
            name=record.get("JobName", ""),
            user=record.get("UserId", "").partition("(")[0],
            state=record.get("JobState", ""),
            reason=plain(record.get("Reason", "")),
            partition=record.get("Partition", ""),
            comment=plain(record.get("Comment", "")).partition(" ")[0],
            nodes=plain(record.get("NodeList", "")),
            batch_host=plain(record.get("BatchHost", "")),
            start=plain(record.get("StartTime", "")),
            end=plain(record.get("EndTime", "")),
            exit_code=record.get("ExitCode", ""),
            log=record.get("StdOut", ""),
        )
        for record in records(text, "JobId")
        if record["JobId"].isdigit()
    ]


def parse_version(text: str) -> str:
    """The release in C(slurm 22.05.8) or C(slurm-wlm 22.05.8)."""
    match = re.search(r"slurm\S* +(\d+\.\d+[\w.-]*)", text)
    return match.group(1) if match else ""


def plain(value: str) -> str:
    """A value, empty where Slurm writes that there is none."""
    return "" if value in _NOTHING else value


def _list(value: str) -> Tuple[str, ...]:
    return tuple(part for part in plain(value).split(",") if part)


def _allowed(value: str) -> Tuple[str, ...]:
    return () if value == "ALL" else _list(value)


def _number(value: str) -> int:
    return int(value) if value.isdigit() else 0
