# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What /proc, /sys and C(ip) say about a host, and the readers for it.

Every reader takes the root of the tree that it reads, so that tests need no hardware.

This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import json
import os
import re
from typing import Any, Dict, List, Optional, Union

# More than any file that is read whole; a file without end must not take the host's memory.
_MOST = 1 << 24


def read_text(path: str) -> Optional[str]:
    """The stripped text of a file, None when it cannot be read (a port that is down may answer EINVAL)."""
    try:
        with open(path, encoding="utf-8", errors="replace") as handle:
            return handle.read(_MOST).strip()
    except OSError:
        return None


def entries(path: str) -> List[str]:
    """The names in a directory, C(mlx5_10) after C(mlx5_2); none when it cannot be read."""

    def natural(name: str) -> List[Union[int, str]]:
        # every second part is a number, so that like is compared with like
        return [int(part) if index % 2 else part for index, part in enumerate(re.split(r"([0-9]+)", name))]

    try:
        return sorted(os.listdir(path), key=natural)
    except OSError:
        return []


def numa_node(device: str) -> Optional[int]:
    """The NUMA node of a device's directory in /sys, None on hosts that have only one."""
    text = read_text(os.path.join(device, "numa_node")) or ""
    return int(text) if re.match(r"[0-9]{1,6}$", text) else None


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


def local_addresses(module: Any) -> Optional[List[Dict[str, Any]]]:
    """The host's addresses, None when it has no C(ip) command; C(module) offers get_bin_path and run_command."""
    ip_command = module.get_bin_path("ip")
    if ip_command is None:
        return None
    rc, out, _err = module.run_command([ip_command, "-j", "addr"])
    return parse_addresses(out) if rc == 0 else None
