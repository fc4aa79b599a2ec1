# SPDX-License-Identifier: GPL-3.0-or-later
"""The choice of interface, RDMA ports and GID index."""

from __future__ import annotations

import pytest
from ansible_collections.llmserve.vllm.plugins.plugin_utils._checks.judge import cluster_from
from ansible_collections.llmserve.vllm.plugins.plugin_utils._checks.selection import Choice, choose
from ansible_collections.llmserve.vllm.tests.preflight.cluster import Picture, healthy, port, roce_gids

EIGHT = "=mlx5_0,mlx5_1,mlx5_2,mlx5_3,mlx5_4,mlx5_5,mlx5_6,mlx5_7"


def choices(picture: Picture) -> list[Choice]:
    return list(choose(cluster_from(picture.nodes, **picture.wishes)).values())


def why(choice: Choice) -> str:
    return "; ".join(choice.why)


def test_infiniband_without_the_front_end() -> None:
    for choice in choices(healthy()):
        assert choice.env == {
            "NCCL_SOCKET_IFNAME": "bond0",
            "GLOO_SOCKET_IFNAME": "bond0",
            "NCCL_IB_HCA": EIGHT,
        }
        assert "without mlx5_bond_0:1: not InfiniBand" in why(choice)


def test_roce_with_its_gid_index() -> None:
    for choice in choices(healthy(fabric="roce")):
        assert choice.env["NCCL_IB_HCA"] == EIGHT
        assert choice.env["NCCL_IB_GID_INDEX"] == "3"
        assert "without mlx5_8:1: front-end card with the default route" in why(choice)


def test_the_only_card_may_be_the_front_end() -> None:
    picture = healthy(fabric="roce")
    for index in (0, 1):
        picture.facts(index)["fabric"] = [port("rocep1s0f1", "Ethernet", 200, "bond0", roce_gids(index, 1, "bond0"))]
    assert {choice.env["NCCL_IB_HCA"] for choice in choices(picture)} == {"=rocep1s0f1"}


def test_storage_cards_are_left_out() -> None:
    picture = healthy()
    for index in (0, 1):
        picture.facts(index)["storage_interfaces"] = ["ib7"]
    for choice in choices(picture):
        assert choice.env["NCCL_IB_HCA"] == EIGHT.removesuffix(",mlx5_7")
        assert "without mlx5_7:1: leads to a mounted filesystem's server" in why(choice)


def test_another_infiniband_subnet_is_left_out() -> None:
    picture = healthy()
    for index in (0, 1):
        picture.facts(index)["fabric"][0]["gids"] = [{"index": 0, "gid": "fec0:0000:0000:0001:0000:0000:0000:0001"}]
    assert {choice.env["NCCL_IB_HCA"] for choice in choices(picture)} == {EIGHT.replace("mlx5_0,", "")}


def test_the_fastest_rate_that_all_hosts_have() -> None:
    picture = healthy()
    for index in (0, 1):
        picture.facts(index)["fabric"][0]["rate_gbps"] = 200
    first, second = choices(picture)
    assert first.env["NCCL_IB_HCA"] == second.env["NCCL_IB_HCA"] == EIGHT.replace("mlx5_0,", "")
    assert "without mlx5_0:1: not 400 Gb/s, the fastest rate of all hosts" in why(first)


def test_a_port_that_is_down_is_left_out() -> None:
    picture = healthy()
    picture.facts()["fabric"][3]["state"] = "DOWN"
    first, second = choices(picture)
    assert first.env["NCCL_IB_HCA"] == EIGHT
    assert "without mlx5_3:1: not active" in why(second)


def test_link_layers_that_differ_leave_tcp() -> None:
    picture = healthy()
    picture.facts()["fabric"] = []
    first, second = choices(picture)
    assert "NCCL_IB_HCA" not in first.env | second.env
    assert "NCCL uses TCP" in why(first)
    assert "no active RDMA port" in why(second)


def test_one_host_needs_no_cards() -> None:
    assert choices(healthy(1))[0].env == {"NCCL_SOCKET_IFNAME": "bond0", "GLOO_SOCKET_IFNAME": "bond0"}


def test_cards_with_two_ports_are_named_with_the_port() -> None:
    picture = healthy()
    for index in (0, 1):
        fabric = picture.facts(index)["fabric"]
        fabric.insert(1, {**fabric[0], "port": 2, "state": "DOWN"})
    assert choices(picture)[0].env["NCCL_IB_HCA"].startswith("=mlx5_0:1,mlx5_1,")


@pytest.mark.parametrize("shift", [0, 2])
def test_a_gid_index_of_one_host(shift: int) -> None:
    picture = healthy(fabric="roce")
    for card in picture.facts()["fabric"]:
        for gid in card["gids"]:
            gid["index"] += shift
    assert [choice.env["NCCL_IB_GID_INDEX"] for choice in choices(picture)] == ["3", str(3 + shift)]


def test_ports_without_an_index_in_common_are_left_to_nccl() -> None:
    picture = healthy(fabric="roce")
    for gid in picture.facts()["fabric"][0]["gids"]:
        gid["index"] += 2
    assert [choice.gid_index for choice in choices(picture)] == [3, None]


def test_a_name_that_others_begin_with_is_exact() -> None:
    picture = healthy()
    picture.facts()["interfaces"].append({"name": "bond0.100", "mtu": 9000, "state": "up"})
    env = choices(picture)[1].env
    assert (env["NCCL_SOCKET_IFNAME"], env["GLOO_SOCKET_IFNAME"]) == ("=bond0", "bond0")


def test_the_inventory_has_the_last_word() -> None:
    picture = healthy()
    picture.wish()["network_env"] = {"NCCL_IB_HCA": "=mlx5_0", "NCCL_IB_TC": 106}
    choice = choices(picture)[1]
    assert (choice.env["NCCL_IB_HCA"], choice.env["NCCL_IB_TC"]) == ("=mlx5_0", "106")
    assert "NCCL_IB_HCA==mlx5_0: the inventory says so" in why(choice)
