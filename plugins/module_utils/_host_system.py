# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host says about its system: distribution, clock, names, interfaces, confinement.

This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import ipaddress
import os
import platform
import re
import socket
from typing import Any, Dict, List, Mapping, Optional, Sequence

from ansible_collections.llmserve.vllm.plugins.module_utils import _bounded, _gpu, _host_disks
from ansible_collections.llmserve.vllm.plugins.module_utils._host import entries, read_text

# A resolver without servers gives up after 10 s or more.
_RESOLVE_SECONDS = 3
_CAP_SYS_RESOURCE = 24


def os_release(text: str) -> Dict[str, str]:
    """The distribution in the text of C(/etc/os-release)."""
    found = {}
    for line in text.splitlines():
        match = re.match(r"""([A-Z_]+)=(["']?)(.*)\2$""", line.strip())
        if match:
            found[match.group(1)] = match.group(3)
    return {
        "id": found.get("ID", "").lower(),
        "version": found.get("VERSION_ID", ""),
        "name": found.get("PRETTY_NAME") or found.get("ID", ""),
    }


def interfaces(sys_root: str = "/sys") -> List[Dict[str, Any]]:
    """The network interfaces, each with its MTU and state."""
    base = os.path.join(sys_root, "class", "net")
    found = []
    for name in entries(base):
        mtu = read_text(os.path.join(base, name, "mtu"))
        if mtu is not None and mtu.isdigit():
            state = read_text(os.path.join(base, name, "operstate"))
            found.append({"name": name, "mtu": int(mtu), "state": state})
    return found


def default_interfaces(proc: str = "/proc") -> List[str]:
    """The interfaces of the default routes."""
    lines = (read_text(os.path.join(proc, "net", "route")) or "").splitlines()[1:]
    fields = [line.split() for line in lines]
    return sorted({words[0] for words in fields if len(words) > 7 and words[1] == words[7] == "00000000"})


def storage_servers(mountinfo: str) -> List[str]:
    """The addresses of the servers whose network filesystems are mounted."""
    found = []
    for line in mountinfo.splitlines():
        what = line.partition(" - ")[2].split(" ")
        if len(what) < 2 or not _host_disks.is_shared(what[0]):
            continue
        # NFS resolves its server into an option; the others name it before the path
        stated = re.findall(r"(?:^|,)addr=([0-9a-fA-F.:]+)", what[2] if len(what) > 2 else "")
        found += stated or re.findall(r"(?:^|[,:/])(\d+\.\d+\.\d+\.\d+)", what[1])
    return sorted(set(found))


def storage_interfaces(addresses: Sequence[Mapping[str, Any]], mountinfo: str) -> List[str]:
    """The interfaces through which network filesystems are reached."""
    owners = {str(item["address"]): str(item["interface"]) for item in addresses}
    found = {owners.get(str(_source_address(server)), "") for server in storage_servers(mountinfo)}
    return sorted(name for name in found if name and name != "lo")


def _source_address(server: str) -> Optional[str]:
    """The local address that packets to a server would have. Nothing is sent."""
    try:
        family = socket.AF_INET6 if ipaddress.ip_address(server).version == 6 else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((server, 9))
            return str(probe.getsockname()[0])
    except (OSError, ValueError):
        return None


def resolve(hostname: str) -> List[str]:
    """The addresses that a name stands for on this host; none when nobody knows it."""

    def ask() -> List[str]:
        try:
            answers = socket.getaddrinfo(hostname, None, 0, socket.SOCK_STREAM)
        except OSError:
            return []
        return sorted({str(answer[4][0]) for answer in answers})

    return _bounded.call_all([ask], _RESOLVE_SECONDS)[0].value or []


def may_raise_limits(status: str) -> bool:
    """Whether a process with this C(/proc/PID/status) may raise limits, as the container runtime has to."""
    match = re.search(r"^CapEff:\s*([0-9a-f]+)$", status, re.MULTILINE)
    return bool(match and int(match.group(1), 16) >> _CAP_SYS_RESOURCE & 1)


def fabric_manager(nvswitches: int, timeout: float = 10) -> Optional[Dict[str, Any]]:
    """State and version of the fabric manager, None on a host that needs none."""
    if not nvswitches:
        return None
    state = _gpu.run_bounded(["systemctl", "is-active", "nvidia-fabricmanager"], timeout)
    version = _gpu.run_bounded(["nv-fabricmanager", "--version"], timeout)
    match = re.search(r"(\d{3}\.\d+(?:\.\d+)?)", version.stdout)
    return {"state": state.stdout.strip() or "unknown", "version": match.group(1) if match else None}


def system_facts(addresses: Sequence[Mapping[str, Any]], nvswitches: int, sys_root: str = "/sys") -> Dict[str, Any]:
    """Everything above, of this host."""
    hostname = socket.gethostname()
    apparmor = read_text(os.path.join(sys_root, "module", "apparmor", "parameters", "enabled"))
    return {
        "os": os_release(read_text("/etc/os-release") or ""),
        "python": platform.python_version(),
        "hostname_addresses": resolve(hostname),
        "interfaces": interfaces(sys_root),
        "default_interfaces": default_interfaces(),
        "storage_interfaces": storage_interfaces(addresses, read_text("/proc/self/mountinfo") or ""),
        "may_raise_limits": may_raise_limits(read_text("/proc/self/status") or ""),
        "numa_balancing": (read_text("/proc/sys/kernel/numa_balancing") or "0") != "0",
        "selinux_enforcing": read_text(os.path.join(sys_root, "fs", "selinux", "enforce")) == "1",
        "apparmor": apparmor == "Y",
        "fabric_manager": fabric_manager(nvswitches),
    }
