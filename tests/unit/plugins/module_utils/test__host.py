# SPDX-License-Identifier: GPL-3.0-or-later
"""Memory, addresses and RDMA ports from fake trees."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.llmserve.vllm.plugins.module_utils import _host


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def rdma_port(root: Path, device: str, rate: str, layer: str, *, state: str = "4: ACTIVE", port: int = 1) -> Path:
    base = root / "class/infiniband" / device
    for name, text in (("rate", rate), ("link_layer", layer), ("state", state)):
        write(base / "ports" / str(port) / name, text + "\n")
    return base


def test_memory(tmp_path: Path) -> None:
    write(tmp_path / "meminfo", "MemTotal:       2113464856 kB\nMemFree:  1 kB\nMemAvailable:   2048 kB\n")
    assert _host.memory_mib(str(tmp_path)) == {"total": 2063930, "available": 2}
    assert _host.memory_mib(str(tmp_path / "none")) == {"total": None, "available": None}


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


def test_fabric(tmp_path: Path) -> None:
    ib = rdma_port(tmp_path, "mlx5_2", "400 Gb/sec (4X NDR)", "InfiniBand")
    (ib / "device/net/ibs2").mkdir(parents=True)
    rdma_port(tmp_path, "mlx5_10", "2.5 Gb/sec (1X SDR)", "InfiniBand", state="1: DOWN")
    bond = rdma_port(tmp_path, "mlx5_bond_0", "200 Gb/sec (2X NDR)", "Ethernet")
    write(bond / "ports/1/gid_attrs/ndevs/0", "bond0\n")
    assert _host.fabric(str(tmp_path)) == [
        {
            "device": "mlx5_2",
            "port": 1,
            "link_layer": "InfiniBand",
            "state": "ACTIVE",
            "rate_gbps": 400,
            "netdev": "ibs2",
        },
        {
            "device": "mlx5_10",
            "port": 1,
            "link_layer": "InfiniBand",
            "state": "DOWN",
            "rate_gbps": 2.5,
            "netdev": None,
        },
        {
            "device": "mlx5_bond_0",
            "port": 1,
            "link_layer": "Ethernet",
            "state": "ACTIVE",
            "rate_gbps": 200,
            "netdev": "bond0",
        },
    ]


def test_fabric_of_a_card_with_two_ports(tmp_path: Path) -> None:
    for port in (1, 2):
        base = rdma_port(tmp_path, "mlx4_0", "40 Gb/sec (4X QDR)", "InfiniBand", port=port)
        write(base / "device/net" / f"ib{port - 1}" / "dev_port", f"{port - 1}\n")
    assert [(item["port"], item["netdev"]) for item in _host.fabric(str(tmp_path))] == [(1, "ib0"), (2, "ib1")]


def test_no_fabric(tmp_path: Path) -> None:
    assert _host.fabric(str(tmp_path)) == []
