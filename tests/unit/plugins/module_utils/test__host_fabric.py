# SPDX-License-Identifier: GPL-3.0-or-later
"""RDMA ports from fake trees."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible_collections.llmserve.vllm.plugins.module_utils import _host_fabric


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def rdma_port(root: Path, device: str, rate: str, layer: str, *, state: str = "4: ACTIVE", port: int = 1) -> Path:
    base = root / "class/infiniband" / device
    for name, text in (("rate", rate), ("link_layer", layer), ("state", state), ("phys_state", "5: LinkUp")):
        write(base / "ports" / str(port) / name, text + "\n")
    return base


def gid(base: Path, index: int, text: str, kind: str | None, netdev: str | None = None, *, port: int = 1) -> None:
    where = base / "ports" / str(port)
    write(where / "gids" / str(index), text + "\n")
    if kind:
        write(where / "gid_attrs/types" / str(index), kind + "\n")
    if netdev:
        write(where / "gid_attrs/ndevs" / str(index), netdev + "\n")


def picked(ports: list[dict[str, Any]], *keys: str) -> list[tuple[Any, ...]]:
    return [tuple(port[key] for key in keys) for port in ports]


def test_fabric(tmp_path: Path) -> None:
    ib = rdma_port(tmp_path, "mlx5_2", "400 Gb/sec (4X NDR)", "InfiniBand")
    (ib / "device/net/ibs2").mkdir(parents=True)
    rdma_port(tmp_path, "mlx5_10", "2.5 Gb/sec (1X SDR)", "InfiniBand", state="1: DOWN")
    bond = rdma_port(tmp_path, "mlx5_bond_0", "200 Gb/sec (2X NDR)", "Ethernet")
    write(bond / "ports/1/gid_attrs/ndevs/0", "bond0\n")
    assert picked(
        _host_fabric.fabric(str(tmp_path)), "device", "port", "link_layer", "state", "phys_state", "rate_gbps", "netdev"
    ) == [
        ("mlx5_2", 1, "InfiniBand", "ACTIVE", "LinkUp", 400, "ibs2"),
        ("mlx5_10", 1, "InfiniBand", "DOWN", "LinkUp", 2.5, None),
        ("mlx5_bond_0", 1, "Ethernet", "ACTIVE", "LinkUp", 200, "bond0"),
    ]


def test_the_device_itself(tmp_path: Path) -> None:
    pci = tmp_path / "devices/pci0000:15/0000:15:01.0/0000:18:00.0"
    write(pci / "numa_node", "1\n")
    base = rdma_port(tmp_path, "mlx5_0", "400 Gb/sec (4X NDR)", "InfiniBand")
    (base / "device").symlink_to(pci)
    for name, text in (("fw_ver", "28.39.3004"), ("hca_type", "MT4129"), ("board_id", "MT_0000000838")):
        write(base / name, text + "\n")
    keys = ("firmware", "hca_type", "board_id", "numa_node", "pci_address")
    assert picked(_host_fabric.fabric(str(tmp_path)), *keys) == [
        ("28.39.3004", "MT4129", "MT_0000000838", 1, "0000:18:00.0")
    ]
    function = pci / "mlx5_core.sf.4"
    write(function / "numa_node", "-1\n")
    (base / "device").unlink()
    (base / "device").symlink_to(function)
    assert picked(_host_fabric.fabric(str(tmp_path)), "numa_node", "pci_address") == [(None, "0000:18:00.0")]


def test_gids_of_a_roce_port(tmp_path: Path) -> None:
    base = rdma_port(tmp_path, "mlx5_1", "200 Gb/sec (4X HDR)", "Ethernet")
    gid(base, 0, "fe80:0000:0000:0000:a4ed:ccff:fe8b:1994", "IB/RoCE v1", "eth2")
    gid(base, 1, "fe80:0000:0000:0000:a4ed:ccff:fe8b:1994", "RoCE v2", "eth2")
    gid(base, 3, "0000:0000:0000:0000:0000:ffff:0a98:000c", "RoCE v2", "eth2.7")
    gid(base, 4, "0000:0000:0000:0000:0000:0000:0000:0000", None)
    gid(base, 5, "fe80:0000:0000:0000:0000:0000:0000:0000", None)
    gid(base, 10, "0000:0000:0000:0000:0000:ffff:0a98:000d", None)
    (port,) = _host_fabric.fabric(str(tmp_path))
    assert picked(port["gids"], "index", "type", "ipv4", "netdev") == [
        (0, "RoCE v1", None, "eth2"),
        (1, "RoCE v2", None, "eth2"),
        (3, "RoCE v2", "10.152.0.12", "eth2.7"),
        (10, None, "10.152.0.13", None),
    ]
    assert (port["netdev"], port["netdevs"]) == ("eth2", ["eth2", "eth2.7"])


def test_gids_of_an_infiniband_port(tmp_path: Path) -> None:
    base = rdma_port(tmp_path, "mlx5_0", "400 Gb/sec (4X NDR)", "InfiniBand")
    gid(base, 0, "fe80:0000:0000:0000:a088:c203:0012:3456", "IB/RoCE v1")
    (port,) = _host_fabric.fabric(str(tmp_path))
    assert picked(port["gids"], "index", "type") == [(0, "IB")]


def test_a_card_with_two_ports(tmp_path: Path) -> None:
    for port in (1, 2):
        base = rdma_port(tmp_path, "mlx4_0", "40 Gb/sec (4X QDR)", "InfiniBand", port=port)
        write(base / "device/net" / f"ib{port - 1}" / "dev_port", f"{port - 1}\n")
    assert picked(_host_fabric.fabric(str(tmp_path)), "port", "netdev") == [(1, "ib0"), (2, "ib1")]


def test_odd_trees(tmp_path: Path) -> None:
    assert _host_fabric.fabric(str(tmp_path)) == []
    write(tmp_path / "class/infiniband/rxe0/ports/x/state", "4: ACTIVE")
    write(tmp_path / "class/infiniband/rxe0/ports/1/rate", "fast")
    (port,) = _host_fabric.fabric(str(tmp_path))
    assert (port["state"], port["rate_gbps"], port["pci_address"], port["gids"]) == (None, None, None, [])
