# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What /proc, /sys and C(ip) say about a host: memory, addresses, RDMA ports.

Every reader takes the root of the tree that it reads, so that tests need no hardware.
This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import json
import os
import re
from typing import Any, Dict, List, Optional, Union


def read_text(path: str) -> Optional[str]:
    """The stripped text of a small file, None when it cannot be read (a port that is down may answer EINVAL)."""
    try:
        with open(path, encoding="utf-8", errors="replace") as handle:
            return handle.read().strip()
    except OSError:
        return None


def memory_mib(proc: str = "/proc") -> Dict[str, Optional[int]]:
    """The host's memory in MiB: C(total), and C(available) without swapping."""
    found = {}
    for line in (read_text(os.path.join(proc, "meminfo")) or "").splitlines():
        match = re.match(r"(MemTotal|MemAvailable):\s+(\d+) kB", line)
        if match:
            found[match.group(1)] = int(match.group(2)) // 1024
    return {"total": found.get("MemTotal"), "available": found.get("MemAvailable")}


def parse_addresses(text: str) -> List[Dict[str, Any]]:
    """The addresses in the output of C(ip -j addr), loopback included."""
    try:
        links = json.loads(text)
    except ValueError:
        return []
    return [
        {"address": info["local"], "prefix": info.get("prefixlen"), "interface": link.get("ifname")}
        for link in links
        for info in link.get("addr_info", ())
        if "local" in info
    ]


def fabric(sys_root: str = "/sys") -> List[Dict[str, Any]]:
    """One entry per port of every RDMA device, InfiniBand and RoCE alike."""
    devices = os.path.join(sys_root, "class", "infiniband")
    ports = []
    for device in _entries(devices):
        base = os.path.join(devices, device)
        for port in _entries(os.path.join(base, "ports")):
            where = os.path.join(base, "ports", port)
            ports.append(
                {
                    "device": device,
                    "port": int(port),
                    "link_layer": read_text(os.path.join(where, "link_layer")),
                    "state": _after_colon(read_text(os.path.join(where, "state"))),
                    "rate_gbps": _rate(read_text(os.path.join(where, "rate"))),
                    "netdev": _netdev(base, where, int(port)),
                }
            )
    return ports


def _entries(path: str) -> List[str]:
    def natural(name: str) -> List[Union[int, str]]:
        return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]

    try:
        return sorted(os.listdir(path), key=natural)
    except OSError:
        return []


def _after_colon(text: Optional[str]) -> Optional[str]:
    return None if text is None else text.rpartition(":")[2].strip()


def _rate(text: Optional[str]) -> Union[int, float, None]:
    match = re.match(r"(\d+(?:\.\d+)?) Gb/sec", text or "")
    if not match:
        return None
    rate = float(match.group(1))
    return int(rate) if rate.is_integer() else rate


def _netdev(device: str, port_dir: str, port: int) -> Optional[str]:
    # The GID table is exact where it is filled, also for bonds; PCI functions with two ports share device/net.
    named = read_text(os.path.join(port_dir, "gid_attrs", "ndevs", "0"))
    if named:
        return named
    net = os.path.join(device, "device", "net")
    names = _entries(net)
    if len(names) == 1:
        return names[0]
    for name in names:
        number = read_text(os.path.join(net, name, "dev_port"))
        if number is not None and number == str(port - 1):
            return name
    return None


def local_addresses(module: Any) -> Optional[List[Dict[str, Any]]]:
    """The host's addresses, None when it has no C(ip) command; C(module) offers get_bin_path and run_command."""
    ip_command = module.get_bin_path("ip")
    if ip_command is None:
        return None
    rc, out, _err = module.run_command([ip_command, "-j", "addr"])
    return parse_addresses(out) if rc == 0 else None
