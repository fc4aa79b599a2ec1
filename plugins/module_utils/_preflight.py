# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find out on one host, and across hosts, what would make a deployment fail later.

A problem is a dictionary: C(check), a name for programs; C(problem), what is wrong where; C(mend), what to do.
This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import ipaddress
import os
import re
from collections import Counter
from typing import Any, Callable, Dict, Iterable, List, Mapping, NamedTuple, Optional, Sequence

from ansible_collections.llmserve.vllm.plugins.module_utils._host import read_text

Problem = Dict[str, str]

CLUSTER_LABEL = "llmserve.cluster"
_LISTEN = "0A"
# Interfaces of containers and bridges: their addresses are the same on every host.
_VIRTUAL = re.compile(r"lo$|docker|br-|veth|virbr|cni|flannel|cali|podman")


class Container(NamedTuple):
    """A container, as the engine that runs it describes it."""

    name: str
    labels: Dict[str, str]


class Owner(NamedTuple):
    """The process that listens on a port; all None when it may not be looked at."""

    pid: Optional[int]
    command: Optional[str]
    container_id: Optional[str]


def problem(check: str, what: str, mend: str) -> Problem:
    """One finding."""
    return {"check": check, "problem": what, "mend": mend}


def address_problems(
    node_ip: str,
    addresses: Optional[Sequence[Mapping[str, Any]]],
    allow_public: bool,
    is_local: Callable[[str], bool],
) -> List[Problem]:
    """What is wrong with a node's address. Without a list of addresses, C(is_local) tries to bind to it."""
    candidates = _candidates(addresses or ())
    hint = " This host has: {0}.".format(", ".join(candidates)) if candidates else ""
    choose = "Set llmserve_node_ip of this host to its address in the cluster's private network." + hint
    if not node_ip:
        return [problem("node_ip", "llmserve_node_ip is not set.", choose)]
    try:
        address = ipaddress.ip_address(node_ip)
    except ValueError:
        return [
            problem(
                "node_ip",
                "llmserve_node_ip is {0!r}, which is not an IP address (names do not do).".format(node_ip),
                choose,
            )
        ]
    if address.is_loopback or address.is_unspecified or address.is_multicast:
        kind = "a loopback" if address.is_loopback else "no host's"
        return [
            problem(
                "node_ip",
                "llmserve_node_ip {0} is {1} address: the other nodes cannot reach it.".format(address, kind),
                choose,
            )
        ]
    if address.version == 6 and address.is_link_local:
        return [
            problem(
                "node_ip",
                "llmserve_node_ip {0} is link-local, which needs a zone that Ray cannot name.".format(address),
                choose,
            )
        ]
    found = []
    if addresses is None:
        local = is_local(str(address))
    else:
        local = address in {_parse(str(item["address"])) for item in addresses}
    if not local:
        found.append(
            problem(
                "node_ip_local",
                "llmserve_node_ip {0} is not configured on any interface of this host (a NAT address does not "
                "do).".format(address),
                choose,
            )
        )
    if address.is_global and not allow_public:
        found.append(
            problem(
                "node_ip_public",
                "llmserve_node_ip {0} is a public address: traffic between nodes is neither encrypted nor "
                "authenticated.".format(address),
                choose + " Where a firewall protects the public one, set preflight_allow_public: true.",
            )
        )
    return found


def _parse(text: str) -> Any:
    try:
        return ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None


def _candidates(addresses: Iterable[Mapping[str, Any]]) -> List[str]:
    names = []
    for item in addresses:
        address = _parse(str(item["address"]))
        interface = str(item.get("interface") or "")
        if address is None or address.is_loopback or address.is_link_local or address.is_global:
            continue
        if not _VIRTUAL.match(interface):
            names.append("{0} ({1})".format(address, interface))
    return names


def gpu_problems(expected: int, found: Optional[int], reason: str) -> List[Problem]:
    """Compare the GPUs with the inventory; C(expected) 0 means any number but none."""
    if found is None or (found > 0 and expected in (0, found)):
        return []
    if not found:
        return [
            problem(
                "gpus",
                "No GPU can be used. {0}".format(reason or "The driver reports none."),
                "Mend that, or take the host out of the inventory group llm_nodes.",
            )
        ]
    return [
        problem(
            "gpus",
            "{0} GPUs are there, but llmserve_gpus_per_node says {1}.".format(found, expected),
            "Look for 'Xid' and 'NVRM' in the kernel log (dmesg) and reboot the host, or set llmserve_gpus_per_node to "
            "{0}.".format(found),
        )
    ]


def port_problems(
    ports: Sequence[Mapping[str, Any]],
    cluster: str,
    container_of: Callable[[str], Optional[Container]],
    proc: str = "/proc",
) -> List[Problem]:
    """Ports that are asked for twice, or that something else than this cluster's containers listens on."""
    found = []
    wanted: Dict[int, str] = {}
    for item in ports:
        name, port = str(item["name"]), int(item["port"])
        if not 1 <= port <= 65535:
            found.append(problem("port", "{0} is {1}, which is not a port.".format(name, port), _choose_port(name)))
        elif port in wanted:
            found.append(
                problem("port", "{0} and {1} are both {2}.".format(wanted[port], name, port), _choose_port(name))
            )
        else:
            wanted[port] = name
    inodes = {port: held for port, held in listeners(proc).items() if port in wanted}
    owners = find_owners({inode for held in inodes.values() for inode in held}, proc)
    for port in sorted(inodes):
        holders = [owners.get(inode, Owner(None, None, None)) for inode in sorted(inodes[port])]
        for holder in dict.fromkeys(_holder(owner, cluster, container_of) for owner in holders):
            if holder:
                found.append(
                    problem(
                        "port",
                        "Port {0} ({1}) is taken by {2}.".format(port, wanted[port], holder),
                        "Stop it, or c{0}".format(_choose_port(wanted[port])[1:]),
                    )
                )
    return found


def _choose_port(name: str) -> str:
    return "Choose another port for {0} in the inventory.".format(name)


def _holder(owner: Owner, cluster: str, container_of: Callable[[str], Optional[Container]]) -> Optional[str]:
    """Who holds a port, in words; None when it is this cluster itself."""
    if owner.pid is None:
        return "a process that this user may not look at (run the task with become)"
    process = "process {0} ({1})".format(owner.pid, owner.command)
    container = container_of(owner.container_id) if owner.container_id else None
    if container is None:
        return process
    other = container.labels.get(CLUSTER_LABEL)
    if other == cluster:
        return None
    whose = "of the llmserve cluster '{0}', {1}".format(other, process) if other else process
    return "container {0}, {1}".format(container.name, whose)


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
            owners.setdefault(
                inode, Owner(pid, _command(base), container_id(read_text(os.path.join(base, "cgroup")) or ""))
            )
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


def _command(base: str) -> str:
    words = (read_text(os.path.join(base, "cmdline")) or "").split("\0")
    # only the program: the rest of a command line may hold a secret
    return os.path.basename(words[0]) or read_text(os.path.join(base, "comm")) or "unknown"


def container_id(cgroup: str) -> Optional[str]:
    """The innermost container in the text of C(/proc/PID/cgroup), for cgroup v1 and v2, cgroupfs and systemd."""
    ids = [re.findall(r"[0-9a-f]{64}", line) for line in cgroup.splitlines()]
    deepest = max(ids, key=len, default=[])
    return deepest[-1] if deepest else None


def cluster_problems(nodes: Sequence[Mapping[str, Any]]) -> List[Problem]:
    """The problems of every host, with its name, and those that only show when hosts are compared."""
    found = []
    for node in nodes:
        found += [dict(item, host=str(node["name"])) for item in node.get("problems") or ()]
    found += _duplicate_addresses(nodes)
    for key, check, what, mend in (
        ("image", "image", "runs the image {0}", "Set llmserve_image once, for the whole group llm_nodes."),
        ("ray_version", "ray_version", "has Ray {0}", "Set llmserve_ray_version once, for the whole group llm_nodes."),
    ):
        values = {str(node["name"]): str(node[key]) for node in nodes if node.get(key)}
        found += _deviations(values, check, what, mend)
    for package in sorted({key for node in nodes for key in node.get("versions") or {}}):
        versions = {str(node["name"]): str((node.get("versions") or {}).get(package) or "missing") for node in nodes}
        found += _deviations(
            versions,
            "image_versions",
            "has {0} {{0}} in its image".format(package),
            "Give all nodes one llmserve_image and one llmserve_ray_version, and remove stale images (docker rmi).",
        )
    broken = {item["host"] for item in found if item["check"] == "gpus"}
    counts = {str(node["name"]): str(len(node.get("gpus") or ())) for node in nodes if str(node["name"]) not in broken}
    found += _deviations(
        counts,
        "gpu_count",
        "has {0} GPUs",
        "Tensor parallel groups need the same number on every node: mend the host, or take it out of the inventory.",
    )
    return found


def _duplicate_addresses(nodes: Sequence[Mapping[str, Any]]) -> List[Problem]:
    first: Dict[str, str] = {}
    found = []
    for node in nodes:
        address, name = str(node.get("node_ip") or ""), str(node["name"])
        address = str(_parse(address) or address)
        if address and address in first:
            found.append(
                dict(
                    problem(
                        "duplicate_node_ip",
                        "llmserve_node_ip {0} is also that of {1}.".format(address, first[address]),
                        "Set llmserve_node_ip to an address of its own for every host (host_vars, not group_vars).",
                    ),
                    host=name,
                )
            )
        elif address:
            first[address] = name
    return found


def _deviations(values: Mapping[str, str], check: str, what: str, mend: str) -> List[Problem]:
    """The hosts that differ from what most hosts have; the first host decides a tie."""
    if len(set(values.values())) < 2:
        return []
    usual, _count = Counter(values.values()).most_common(1)[0]
    like = next(name for name, value in values.items() if value == usual)
    return [
        dict(
            problem(check, "It {0}, but {1} {2}.".format(what.format(value), like, what.format(usual)), mend),
            host=name,
        )
        for name, value in values.items()
        if value != usual
    ]
