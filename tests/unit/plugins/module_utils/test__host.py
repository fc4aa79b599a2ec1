# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses, and the readers of /proc and /sys."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.llmserve.vllm.plugins.module_utils import _host


def test_addresses() -> None:
    text = """[{"ifname":"lo","addr_info":[{"family":"inet","local":"127.0.0.1","prefixlen":8}]},
      {"ifname":"eno1","addr_info":[{"family":"inet","local":"10.0.0.1","prefixlen":20},
                                    {"family":"inet6","local":"fd00::1","prefixlen":64}]},
      {"ifname":"ib0","addr_info":[]}]"""
    assert _host.parse_addresses(text)[1:] == [
        {"address": "10.0.0.1", "prefix": 20, "interface": "eno1"},
        {"address": "fd00::1", "prefix": 64, "interface": "eno1"},
    ]
    assert _host.parse_addresses("ip: unknown option") == []


def test_what_cannot_be_read_is_not_there(tmp_path: Path) -> None:
    assert _host.read_text(str(tmp_path)) is None
    assert _host.read_text(str(tmp_path / "none")) is None
    assert _host.entries(str(tmp_path / "none")) == []
    assert _host.numa_node(str(tmp_path)) is None


def test_a_file_without_end_is_cut(tmp_path: Path) -> None:
    text = _host.read_text("/dev/zero")
    assert text is not None
    assert len(text) == 1 << 24


def test_names_are_counted_as_people_count(tmp_path: Path) -> None:
    for name in ("mlx5_10", "mlx5_2", "mlx5_bond_0", "7", "٣"):
        (tmp_path / name).mkdir()
    assert _host.entries(str(tmp_path)) == ["7", "mlx5_2", "mlx5_10", "mlx5_bond_0", "٣"]
