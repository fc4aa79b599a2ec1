# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""RDMA ports out of the tools' texts, which are written by hand in the formats of rdma-core and iproute2."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.llmserve.vllm.plugins.filter.parse_rdma_ports import parse_rdma_ports
from ansible_collections.llmserve.vllm.plugins.plugin_utils._rdma_text import read_ports

RDMA_LINK = """\
link mlx5_0/1 subnet_prefix fe80:0000:0000:0000 lid 12 sm_lid 1 lmc 0 state ACTIVE physical_state LINK_UP
link mlx5_1/1    state DOWN physical_state DISABLED netdev ens4f0np0
link rocep1s0f0/2 state INIT physical_state POLLING
"""
# As iproute2 printed it before version 5.
OLD_RDMA_LINK = "0/1: mlx5_0/1: state ACTIVE physical_state LINK_UP netdev eth2\n"
IBV_DEVINFO = """\
hca_id:\tmlx5_0
\ttransport:\t\t\tInfiniBand (0)
\tfw_ver:\t\t\t\t28.41.1000
\tboard_id:\t\t\tMT_0000000838
\tphys_port_cnt:\t\t\t2
\tDevice ports:
\t\tport:\t1
\t\t\tstate:\t\t\tPORT_ACTIVE (4)
\t\t\tactive_mtu:\t\t4096 (5)
\t\t\tlink_layer:\t\tInfiniBand

\t\tport:\t2
\t\t\tstate:\t\t\tPORT_DOWN (1)
\t\t\tlink_layer:\t\tEthernet

hca_id:\tmlx5_1
\tfw_ver:\t\t\t\t22.35.2302
\t\tport:\t1
\t\t\tstate:\t\t\tPORT_INIT (2)
\t\t\tlink_layer:\t\tEthernet
"""
IBSTAT = """\
CA 'mlx5_0'
\tCA type: MT4129
\tNumber of ports: 1
\tFirmware version: 28.41.1000
\tPort 1:
\t\tState: Active
\t\tPhysical state: LinkUp
\t\tRate: 400
\t\tLink layer: InfiniBand
CA 'mlx5_bond_0'
\tCA type: MT41692
\tPort 1:
\t\tState: Down
\t\tPhysical state: Disabled
\t\tRate: 2.5
\t\tLink layer: Ethernet
"""
SYSFS = """\
/sys/class/infiniband/mlx5_0/fw_ver:28.41.1000
/sys/class/infiniband/mlx5_0/ports/1/link_layer:InfiniBand
/sys/class/infiniband/mlx5_0/ports/1/phys_state:5: LinkUp
/sys/class/infiniband/mlx5_0/ports/1/rate:400 Gb/sec (4X NDR)
/sys/class/infiniband/mlx5_0/ports/1/state:4: ACTIVE
/sys/class/infiniband/mlx5_1/ports/1/state:1: DOWN
"""
IBDEV2NETDEV = "mlx5_0 port 1 ==> ibp24s0 (Up)\nmlx5_1 port 1 ==> ens4f0 (Down)\n"


def brief(text: str, *keys: str) -> list[tuple[Any, ...]]:
    return [tuple(port[key] for key in ("device", "port", *keys)) for port in read_ports(text)]


def test_rdma_link() -> None:
    assert brief(RDMA_LINK, "state", "phys_state", "link_layer", "netdev") == [
        ("mlx5_0", 1, "ACTIVE", "LinkUp", "InfiniBand", None),
        ("mlx5_1", 1, "DOWN", "Disabled", "Ethernet", "ens4f0np0"),
        ("rocep1s0f0", 2, "INIT", "Polling", None, None),
    ]
    assert brief(OLD_RDMA_LINK, "state", "netdev") == [("mlx5_0", 1, "ACTIVE", "eth2")]


@pytest.mark.parametrize("text", [IBV_DEVINFO, IBV_DEVINFO.replace("\tDevice ports:\n", "").expandtabs()])
def test_ibv_devinfo(text: str) -> None:
    assert brief(text, "state", "link_layer", "active_mtu", "firmware", "board_id") == [
        ("mlx5_0", 1, "ACTIVE", "InfiniBand", 4096, "28.41.1000", "MT_0000000838"),
        ("mlx5_0", 2, "DOWN", "Ethernet", None, "28.41.1000", "MT_0000000838"),
        ("mlx5_1", 1, "INIT", "Ethernet", None, "22.35.2302", None),
    ]


def test_ibstat() -> None:
    assert brief(IBSTAT, "state", "phys_state", "rate_gbps", "link_layer", "hca_type") == [
        ("mlx5_0", 1, "ACTIVE", "LinkUp", 400, "InfiniBand", "MT4129"),
        ("mlx5_bond_0", 1, "DOWN", "Disabled", 2.5, "Ethernet", "MT41692"),
    ]


def test_files_of_the_kernel() -> None:
    assert brief(SYSFS, "state", "phys_state", "rate_gbps", "link_layer", "firmware") == [
        ("mlx5_0", 1, "ACTIVE", "LinkUp", 400, "InfiniBand", "28.41.1000"),
        ("mlx5_1", 1, "DOWN", None, None, None, None),
    ]


def test_ibdev2netdev() -> None:
    assert brief(IBDEV2NETDEV, "state", "link_layer", "netdev") == [
        ("mlx5_0", 1, "ACTIVE", "InfiniBand", "ibp24s0"),
        ("mlx5_1", 1, "DOWN", "Ethernet", "ens4f0"),
    ]


@pytest.mark.parametrize("text", ["", "bash: rdma: command not found\n", "No IB devices found\n", "state: up\n"])
def test_other_text_has_no_ports(text: str) -> None:
    assert parse_rdma_ports(text) == []


def test_only_text_is_taken() -> None:
    with pytest.raises(AnsibleFilterError, match="takes text"):
        parse_rdma_ports({"stdout": ""})
