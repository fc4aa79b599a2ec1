# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults that show between hosts: versions, network, RDMA."""

from __future__ import annotations

from ansible_collections.llmserve.vllm.tests.preflight.cluster import Picture, roce_gids
from ansible_collections.llmserve.vllm.tests.preflight.fault import Fault, cluster_wish, fact, put, together, wish


def _down(picture: Picture) -> None:
    picture.facts()["fabric"][3].update(state="DOWN", phys_state="Polling")


def _no_ipv4_gid(picture: Picture) -> None:
    card = picture.facts()["fabric"][2]
    card["gids"] = [gid for gid in card["gids"] if gid["ipv4"] is None]


def _shifted_gids(picture: Picture) -> None:
    for card in picture.facts()["fabric"]:
        for gid in card["gids"]:
            gid["index"] += 2


def _roce_here(picture: Picture) -> None:
    for number, card in enumerate(picture.facts()["fabric"][:8]):
        card.update(link_layer="Ethernet", gids=roce_gids(2, number, card["netdev"]))
    del picture.facts()["fabric"][8]
    del picture.facts(0)["fabric"][8]


def _closed(picture: Picture) -> None:
    picture.fails(0, 1, "timeout", "node_manager")


def _all_closed(picture: Picture) -> None:
    picture.fails(0, 1, "timeout")


def _one_way(picture: Picture) -> None:
    picture.fails(1, 0, "refused", "ray_head_port", "llmserve_port")


def _random_closed(picture: Picture) -> None:
    picture.fails(0, 1, "timeout", "a random port")


def _other_answers(picture: Picture) -> None:
    picture.fails(0, 1, "wrong_host", answer="node-007")


FAULTS = (
    # between hosts
    Fault(
        "grace_among_x86",
        "mixed_architectures",
        "hosts of two architectures",
        "two inventories",
        fact("architecture", "aarch64"),
    ),
    Fault(
        "other_gpu",
        "gpu_model",
        "H200 beside H100",
        "an inventory for each",
        together(*(fact(f"gpus.{n}.name", "NVIDIA H200") for n in range(8))),
    ),
    Fault(
        "four_gpus",
        "gpu_count",
        "4 GPUs where the others have 8",
        "Tensor parallel groups",
        together(
            put("wish.gpus_per_node", 0, 0),
            wish("gpus_per_node", 0),
            cluster_wish(pipeline_parallel_size=1),
            lambda picture: picture.facts()["gpus"].__delitem__(slice(4, 8)),
        ),
    ),
    Fault(
        "other_driver",
        "driver",
        "another driver",
        "apt-mark hold",
        together(
            fact("driver_version", "580.65.06"), fact("fabric_manager", {"state": "active", "version": "580.65.06"})
        ),
    ),
    Fault("other_kernel", "kernel", "another kernel", "reboot", fact("kernel", "6.8.0-71-generic")),
    Fault(
        "other_image",
        "image",
        "another image in the inventory",
        "llmserve_image once",
        wish("image", "vllm/vllm-openai:v0.32.0"),
    ),
    Fault(
        "other_ray",
        "ray_version",
        "another Ray in the inventory",
        "llmserve_ray_version once",
        wish("ray_version", "2.60.0"),
    ),
    Fault(
        "moved_tag",
        "image_digest",
        "the tag stands for another image",
        "by digest",
        together(
            put("facts.docker.image", {"id": "sha256:1", "digest": "sha256:" + "a" * 64, "architecture": "amd64"}, 0),
            fact("docker.image", {"id": "sha256:2", "digest": "sha256:" + "b" * 64, "architecture": "amd64"}),
        ),
    ),
    Fault(
        "other_torch",
        "image_versions",
        "another torch inside the image",
        "stale images",
        put("versions.torch", "2.13.0"),
    ),
    Fault(
        "other_nccl", "image_versions", "another NCCL inside the image", "stale images", put("versions.nccl", "2.27.5")
    ),
    Fault("other_mtu", "mtu", "another MTU on the cluster's interface", "Set one MTU", fact("interfaces.1.mtu", 1500)),
    # the network
    Fault("closed_port", "ports_closed", "a firewall drops one planned port", "Allow all TCP", _closed),
    Fault("closed_host", "ports_closed", "a firewall drops everything", "Allow all TCP", _all_closed),
    Fault("closed_one_way", "ports_closed", "a firewall refuses two ports, one way only", "Allow all TCP", _one_way),
    Fault(
        "closed_random_ports",
        "random_ports_closed",
        "a firewall lets only known ports through",
        "NCCL, Gloo",
        _random_closed,
    ),
    Fault("address_on_two_machines", "wrong_host", "another machine answers at the address", "arping", _other_answers),
    # RDMA
    Fault("no_dev_infiniband", "rdma_devices", "no /dev/infiniband", "ib_uverbs", fact("devices_infiniband", False)),
    Fault("hca_down", "hca_state", "a port is down", "cable", _down),
    Fault(
        "hca_initialising",
        "hca_state",
        "a port waits for its subnet manager",
        "subnet manager",
        fact("fabric.0.state", "INIT"),
    ),
    Fault("hca_gone", "fabric", "a card is missing", "lspci", lambda picture: picture.facts()["fabric"].pop(4)),
    Fault(
        "no_rdma_driver",
        "fabric",
        "a host has no RDMA device at all",
        "modprobe mlx5_ib",
        together(fact("fabric", []), fact("devices_infiniband", False)),
    ),
    Fault("slow_link", "fabric_rate", "a link trained at 200 Gb/s", "reseat", fact("fabric.6.rate_gbps", 200)),
    Fault("ethernet_among_infiniband", "link_layer", "cards in Ethernet mode on one host", "LINK_TYPE", _roce_here),
    Fault("no_ipv4_on_roce", "roce_gid", "a RoCE card without IPv4 address", "netplan", _no_ipv4_gid, fabric="roce"),
    Fault(
        "shifted_gids", "roce_gid_index", "another GID index on one host", "same order", _shifted_gids, fabric="roce"
    ),
    Fault(
        "no_gpudirect",
        "gpudirect",
        "neither nvidia_peermem nor DMA-BUF",
        "modprobe nvidia_peermem",
        together(fact("nvidia_peermem", False), fact("driver_module.open", False)),
    ),
    Fault("memlock_limited", "memlock", "locked memory is limited", "LimitMEMLOCK", fact("may_raise_limits", False)),
    Fault(
        "override_unknown_interface",
        "network_override",
        "the inventory names an interface that is not there",
        "llmserve_environment",
        wish("network_env", {"NCCL_SOCKET_IFNAME": "eno1"}),
    ),
    Fault(
        "override_unknown_card",
        "network_override",
        "the inventory names a card that is not there",
        "llmserve_environment",
        wish("network_env", {"NCCL_IB_HCA": "=mlx5_9"}),
    ),
)
