# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who holds a port or a GPU of a host: this cluster's own containers, or somebody else.

This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import json
import os
import re
from typing import Any, Callable, Dict, Iterable, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from ansible_collections.llmserve.vllm.plugins.module_utils._host import read_text
from ansible_collections.llmserve.vllm.plugins.module_utils._unit_file import UnitFile, read

CLUSTER_LABEL = "llmserve.cluster"
# The collection's own processes in the background, such as a mirror of models, are called so.
_OWN_PROCESS = "llmserve-"
_LISTEN = "0A"
_TEMPLATE = '{"name": {{json .Name}}, "labels": {{json .Config.Labels}}}'


class Container(NamedTuple):
    """A container, as the engine that runs it describes it."""

    name: str
    labels: Dict[str, str]


class Owner(NamedTuple):
    """The process that listens on a port; all None when it may not be looked at."""

    pid: Optional[int]
    command: Optional[str]
    container_id: Optional[str]
    name: str = ""
    # the systemd unit that it belongs to, where that is one of this collection's
    unit: str = ""


Find = Callable[[str], Optional[Container]]
UNIT_DIR = "/etc/systemd/system"


def unit_file(name: str, folder: str = UNIT_DIR) -> UnitFile:
    """The file of a unit; empty where there is none."""
    return read(read_text(os.path.join(folder, name)) or "")


class Containers:
    """The containers of a host by id, asked for once each. C(run) takes an argv and returns what it printed."""

    def __init__(self, client: Optional[str], run: Callable[[List[str]], str]) -> None:
        self._client = client
        self._run = run
        self._known: Dict[str, Optional[Container]] = {}

    def __call__(self, identity: str) -> Optional[Container]:
        if identity not in self._known:
            self._known[identity] = self._inspect(identity)
        return self._known[identity]

    def _inspect(self, identity: str) -> Optional[Container]:
        if self._client is None:
            return None
        try:
            found = json.loads(
                self._run([self._client, "inspect", "--type", "container", "--format", _TEMPLATE, identity])
            )
            return Container(found["name"].lstrip("/"), found["labels"] or {})
        except (ValueError, KeyError, TypeError):
            # not a container of this engine, or no engine that answers
            return None


def held_ports(
    ports: Sequence[Mapping[str, Any]], cluster: str, container_of: Find, proc: str = "/proc"
) -> List[Dict[str, Any]]:
    """The planned ports that something listens on, each with its C(holder) in words, None when it is this cluster."""
    wanted = {int(item["port"]): str(item["name"]) for item in ports}
    inodes = {port: held for port, held in listeners(proc).items() if port in wanted}
    owners = find_owners({inode for held in inodes.values() for inode in held}, proc)
    found = []
    for port in sorted(inodes):
        holders = [_holder(owners.get(inode, Owner(None, None, None)), cluster, container_of) for inode in inodes[port]]
        foreign = [holder for holder in dict.fromkeys(holders) if holder]
        found.append({"name": wanted[port], "port": port, "holder": " and ".join(foreign) or None})
    return found


def gpu_processes(
    gpus: Sequence[Mapping[str, Any]], cluster: str, container_of: Find, proc: str = "/proc"
) -> List[Dict[str, Any]]:
    """The processes that compute on a GPU, each with its C(holder) in words, None when it is this cluster."""
    found = []
    for gpu in gpus:
        for process in gpu.get("processes") or ():
            if not process.get("compute"):
                continue
            used = process.get("memory_used_mib")
            holder = _holder(_owner(os.path.join(proc, str(process["pid"])), process["pid"]), cluster, container_of)
            found.append({"gpu": gpu["index"], "memory_used_mib": used, "holder": holder})
    return found


def _holder(owner: Owner, cluster: str, container_of: Find) -> Optional[str]:
    """Who holds a port, in words; None when it is this cluster itself."""
    if owner.pid is None:
        return "a process that this user may not look at (run the task with become)"
    if owner.name.startswith(_OWN_PROCESS):
        return None
    process = "process {0} ({1})".format(owner.pid, owner.command)
    place, other = _place(owner, container_of)
    if not place:
        return process
    if other == cluster:
        return None
    whose = "of the llmserve cluster '{0}', {1}".format(other, process) if other else process
    return "{0}, {1}".format(place, whose)


def _place(owner: Owner, container_of: Find) -> Tuple[str, Optional[str]]:
    """The unit or container that a process is in, and the cluster that it names; empty for any other process."""
    if owner.unit:
        return "unit " + owner.unit, unit_file(owner.unit).labels.get("Cluster")
    container = container_of(owner.container_id) if owner.container_id else None
    if container is None:
        return "", None
    return "container " + container.name, container.labels.get(CLUSTER_LABEL)


def listeners(proc: str = "/proc") -> Dict[int, List[int]]:
    """The listening TCP ports, each with the inodes of its sockets."""
    found: Dict[int, List[int]] = {}
    for table in ("tcp", "tcp6"):
        for line in (read_text(os.path.join(proc, "net", table)) or "").splitlines()[1:]:
            fields = line.split()
            if len(fields) > 9 and fields[3] == _LISTEN:
                found.setdefault(int(fields[1].rpartition(":")[2], 16), []).append(int(fields[9]))
    return found


def find_owners(inodes: Iterable[int], proc: str = "/proc") -> Dict[int, Owner]:
    """The processes behind sockets, as far as this user may see them."""
    missing = {"socket:[{0}]".format(inode): inode for inode in inodes}
    owners: Dict[int, Owner] = {}
    for pid in sorted(int(name) for name in os.listdir(proc) if name.isdigit()) if missing else ():
        base = os.path.join(proc, str(pid))
        for inode in _sockets(os.path.join(base, "fd"), missing):
            owners.setdefault(inode, _owner(base, pid))
    return owners


def _sockets(fd_dir: str, wanted: Mapping[str, int]) -> List[int]:
    try:
        names = os.listdir(fd_dir)
    except OSError:
        # gone meanwhile, or of another user
        return []
    found = []
    for name in names:
        try:
            link = os.readlink(os.path.join(fd_dir, name))
        except OSError:
            # closed meanwhile, as the descriptor behind listdir above always is
            continue
        if link in wanted:
            found.append(wanted[link])
    return found


def _owner(base: str, pid: int) -> Owner:
    cgroup = read_text(os.path.join(base, "cgroup")) or ""
    name = (read_text(os.path.join(base, "comm")) or "").strip()
    return Owner(pid, _command(base), container_id(cgroup), name, own_unit(cgroup))


def _command(base: str) -> str:
    words = (read_text(os.path.join(base, "cmdline")) or "").split("\0")
    # only the program: the rest of a command line may hold a secret
    return os.path.basename(words[0]) or read_text(os.path.join(base, "comm")) or "unknown"


def container_id(cgroup: str) -> Optional[str]:
    """The innermost container in the text of C(/proc/PID/cgroup), for cgroup v1 and v2, cgroupfs and systemd."""
    ids = [re.findall(r"[0-9a-f]{64}", line) for line in cgroup.splitlines()]
    deepest = max(ids, key=len, default=[])
    return deepest[-1] if deepest else None


def own_unit(cgroup: str) -> str:
    """The unit of this collection in the text of C(/proc/PID/cgroup); empty for any other process."""
    match = re.search(r"/system\.slice/(llmserve-[a-z-]+\.service)(?:/|$)", cgroup, re.M)
    return match.group(1) if match else ""
