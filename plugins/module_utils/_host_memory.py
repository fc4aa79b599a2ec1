# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Memory of a host: NUMA nodes, huge pages, shared memory, swap, limits.

This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import os
import re
import resource
from typing import Any, Dict, List, Optional

from ansible_collections.llmserve.vllm.plugins.module_utils._host import entries, read_text

_MIB = 1024 * 1024
_MEMINFO = re.compile(r"(?:Node \d+ )?(\w+):\s+(\d+)(?: kB)?$")


def meminfo(path: str) -> Dict[str, int]:
    """The numbers of a meminfo file, the host's or a node's, in KiB or as the file counts them."""
    found = {}
    for line in (read_text(path) or "").splitlines():
        match = _MEMINFO.match(line.strip())
        if match:
            found[match.group(1)] = int(match.group(2))
    return found


def _mib(kib: Optional[int]) -> Optional[int]:
    return None if kib is None else kib // 1024


def memory_facts(proc: str = "/proc") -> Dict[str, Optional[int]]:
    """Memory and swap of the host, in MiB."""
    found = meminfo(os.path.join(proc, "meminfo"))
    return {
        "host_memory_mib": _mib(found.get("MemTotal")),
        "host_memory_available_mib": _mib(found.get("MemAvailable")),
        "swap_total_mib": _mib(found.get("SwapTotal")),
        "swap_free_mib": _mib(found.get("SwapFree")),
    }


def numa_nodes(sys_root: str = "/sys") -> List[Dict[str, Any]]:
    """The NUMA nodes; those with neither CPUs nor memory, which Grace keeps for MIG, are left out."""
    base = os.path.join(sys_root, "devices", "system", "node")
    nodes = []
    for name in entries(base):
        match = re.match(r"node(\d+)$", name)
        if not match:
            continue
        found = meminfo(os.path.join(base, name, "meminfo"))
        node = {
            "node": int(match.group(1)),
            "cpus": read_text(os.path.join(base, name, "cpulist")) or "",
            "memory_total_mib": _mib(found.get("MemTotal")),
            "memory_free_mib": _mib(found.get("MemFree")),
        }
        if node["cpus"] or node["memory_total_mib"]:
            nodes.append(node)
    return nodes


def huge_pages(sys_root: str = "/sys", proc: str = "/proc") -> List[Dict[str, Any]]:
    """One entry per size of huge page."""
    base = os.path.join(sys_root, "kernel", "mm", "hugepages")
    default = meminfo(os.path.join(proc, "meminfo")).get("Hugepagesize")
    sizes = []
    for name in entries(base):
        match = re.match(r"hugepages-(\d+)kB$", name)
        if match:
            size = int(match.group(1))
            sizes.append(
                {
                    "size_kib": size,
                    "total": _count(os.path.join(base, name, "nr_hugepages")),
                    "free": _count(os.path.join(base, name, "free_hugepages")),
                    "default": size == default,
                }
            )
    return sizes


def _count(path: str) -> Optional[int]:
    text = read_text(path) or ""
    return int(text) if re.match(r"[0-9]+$", text) else None


def transparent_huge_pages(sys_root: str = "/sys") -> Optional[str]:
    """The chosen mode, V(always), V(madvise) or V(never)."""
    text = read_text(os.path.join(sys_root, "kernel", "mm", "transparent_hugepage", "enabled")) or ""
    match = re.search(r"\[(\w+)\]", text)
    return match.group(1) if match else None


def shared_memory(path: str = "/dev/shm") -> Optional[Dict[str, Any]]:
    """Size of C(/dev/shm) in MiB, None on a host without it."""
    try:
        figures = os.statvfs(path)
    except OSError:
        return None
    return {
        "path": path,
        "total_mib": figures.f_blocks * figures.f_frsize // _MIB,
        "free_mib": figures.f_bavail * figures.f_frsize // _MIB,
    }


def limits() -> Dict[str, Dict[str, int]]:
    """Limits of this process, -1 for unlimited; C(memlock) in bytes."""
    found = {}
    for name, number in (("memlock", resource.RLIMIT_MEMLOCK), ("nofile", resource.RLIMIT_NOFILE)):
        soft, hard = (-1 if value == resource.RLIM_INFINITY else value for value in resource.getrlimit(number))
        found[name] = {"soft": soft, "hard": hard}
    return found
