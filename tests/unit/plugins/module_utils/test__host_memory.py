# SPDX-License-Identifier: GPL-3.0-or-later
"""Memory, NUMA nodes, huge pages and limits from fake trees."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest
from ansible_collections.llmserve.vllm.plugins.module_utils import _host_memory


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def node(root: Path, number: int, cpus: str, total: int) -> None:
    where = root / "devices/system/node" / f"node{number}"
    write(where / "cpulist", cpus + "\n")
    write(where / "meminfo", f"Node {number} MemTotal: {total} kB\nNode {number} MemFree:    2048 kB\n")


def test_memory(tmp_path: Path) -> None:
    write(
        tmp_path / "meminfo",
        "MemTotal:       2113464856 kB\nMemFree:  1 kB\nMemAvailable:   2048 kB\nActive(anon):  7 kB\n"
        "SwapTotal:       1048576 kB\nSwapFree:  524288 kB\nHugePages_Total:     512\nodd line\n",
    )
    assert _host_memory.memory_facts(str(tmp_path)) == {
        "host_memory_mib": 2063930,
        "host_memory_available_mib": 2,
        "swap_total_mib": 1024,
        "swap_free_mib": 512,
    }
    assert set(_host_memory.memory_facts(str(tmp_path / "none")).values()) == {None}


def test_numa_nodes_of_a_gh200(tmp_path: Path) -> None:
    node(tmp_path, 0, "0-71", 501760 * 1024)
    node(tmp_path, 1, "", 97280 * 1024)
    for number in range(2, 9):
        node(tmp_path, number, "", 0)
    write(tmp_path / "devices/system/node/has_cpu", "0\n")
    assert _host_memory.numa_nodes(str(tmp_path)) == [
        {"node": 0, "cpus": "0-71", "memory_total_mib": 501760, "memory_free_mib": 2},
        {"node": 1, "cpus": "", "memory_total_mib": 97280, "memory_free_mib": 2},
    ]
    assert _host_memory.numa_nodes(str(tmp_path / "none")) == []


def test_huge_pages(tmp_path: Path) -> None:
    write(tmp_path / "proc/meminfo", "Hugepagesize:       2048 kB\n")
    base = tmp_path / "kernel/mm/hugepages"
    for size, total, free in ((2048, "512", "500"), (1048576, "0", "odd")):
        write(base / f"hugepages-{size}kB" / "nr_hugepages", total)
        write(base / f"hugepages-{size}kB" / "free_hugepages", free)
    assert _host_memory.huge_pages(str(tmp_path), str(tmp_path / "proc")) == [
        {"size_kib": 2048, "total": 512, "free": 500, "default": True},
        {"size_kib": 1048576, "total": 0, "free": None, "default": False},
    ]


def test_transparent_huge_pages(tmp_path: Path) -> None:
    assert _host_memory.transparent_huge_pages(str(tmp_path)) is None
    write(tmp_path / "kernel/mm/transparent_hugepage/enabled", "always [madvise] never\n")
    assert _host_memory.transparent_huge_pages(str(tmp_path)) == "madvise"


def test_shared_memory(tmp_path: Path) -> None:
    found = _host_memory.shared_memory(str(tmp_path))
    assert found is not None
    assert found["total_mib"] >= found["free_mib"] > 0
    assert _host_memory.shared_memory(str(tmp_path / "none")) is None


def test_no_limit_is_minus_one(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = {
        resource.RLIMIT_MEMLOCK: (8388608, resource.RLIM_INFINITY),
        resource.RLIMIT_NOFILE: (1024, 1048576),
    }
    monkeypatch.setattr(resource, "getrlimit", limits.__getitem__)
    assert _host_memory.limits() == {
        "memlock": {"soft": 8388608, "hard": -1},
        "nofile": {"soft": 1024, "hard": 1048576},
    }
