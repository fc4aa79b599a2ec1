# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cluster in good health, as preflight sees it: what the roles put down for the judge."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

COMMIT = "0" * 40
NOW = 1_795_000_000.0
IMAGE = "vllm/vllm-openai:v0.33.0"
HOME = "/data/hf"
SHARDS = {f"model-0000{number}-of-00003.safetensors": 4_773_120_000 for number in (1, 2, 3)}
GPU = "NVIDIA H100 80GB HBM3"
NODE_PORTS = {"node_manager": 6380, "object_manager": 6381, "metrics": 52368}
HEAD_PORTS = {"llmserve_port": 8000, "ray_head_port": 6379}


@dataclass
class Picture:
    """What the filter preflight_report gets."""

    nodes: list[dict[str, Any]]
    wishes: dict[str, Any] = field(default_factory=dict)
    plan: dict[str, Any] = field(default_factory=dict)
    plan_error: str = ""

    def facts(self, index: int = 1) -> dict[str, Any]:
        """The facts of one host."""
        facts: dict[str, Any] = self.nodes[index]["facts"]
        return facts

    def wish(self, index: int = 1) -> dict[str, Any]:
        """What the inventory says of one host."""
        wish: dict[str, Any] = self.nodes[index]["wish"]
        return wish

    def fails(self, source: int, target: int, state: str, *names: str, answer: str = "") -> None:
        """Connections from one host to named ports of another come to nothing; to all ports without names."""
        host = self.nodes[target]
        self.nodes[source]["reach"] += [
            {"host": host["name"], "name": port["name"], "port": port["port"], "state": state, "answer": answer}
            for port in host["facts"]["reachable"]
            if not names or port["name"] in names
        ]


def gpu(index: int) -> dict[str, Any]:
    """One GPU as gpu_info describes it."""
    return {
        "index": index,
        "name": GPU,
        "memory_total_mib": 81559,
        "memory_used_mib": 1,
        "mig_enabled": False,
        "compute_mode": "Default",
        "persistence_mode": True,
        "memory_numa_node": None,
        "processes": [],
        "problems": [],
    }


def port(device: str, layer: str, rate: float, netdev: str, gids: list[dict[str, Any]]) -> dict[str, Any]:
    """One RDMA port as gpu_info describes it."""
    return {
        "device": device,
        "port": 1,
        "link_layer": layer,
        "state": "ACTIVE",
        "phys_state": "LinkUp",
        "rate_gbps": rate,
        "netdev": netdev,
        "netdevs": [netdev],
        "gids": gids,
    }


def infiniband(host: int) -> list[dict[str, Any]]:
    """Eight cards of 400 Gb/s for computing and a front-end card on Ethernet, as on 8-GPU servers."""
    gids = [{"index": 0, "gid": f"fe80:0000:0000:0000:0000:0000:0000:00{host:02d}", "type": "IB", "ipv4": None}]
    cards = [port(f"mlx5_{number}", "InfiniBand", 400, f"ib{number}", gids) for number in range(8)]
    return [*cards, port("mlx5_bond_0", "Ethernet", 200, "bond0", roce_gids(host, 99, "bond0"))]


def roce_gids(host: int, rail: int, netdev: str) -> list[dict[str, Any]]:
    """The usual table: link-local and IPv4, each as v1 and v2."""
    local: dict[str, Any] = {
        "gid": f"fe80:0000:0000:0000:0000:0000:00{rail:02d}:00{host:02d}",
        "ipv4": None,
        "netdev": netdev,
    }
    mapped: dict[str, Any] = {
        "gid": "0000:0000:0000:0000:0000:ffff:0a00:0001",
        "ipv4": f"10.{rail}.0.{host}",
        "netdev": netdev,
    }
    kinds = [(local, "RoCE v1"), (local, "RoCE v2"), (mapped, "RoCE v1"), (mapped, "RoCE v2")]
    return [{**base, "index": index, "type": kind} for index, (base, kind) in enumerate(kinds)]


def roce(host: int) -> list[dict[str, Any]]:
    """Eight RoCE cards, one a rail, and the front-end card with the default route."""
    cards = [port(f"mlx5_{n}", "Ethernet", 400, f"eth{n}", roce_gids(host, n, f"eth{n}")) for n in range(8)]
    return [*cards, port("mlx5_8", "Ethernet", 400, "bond0", roce_gids(host, 99, "bond0"))]


FABRICS: dict[str, Callable[[int], list[dict[str, Any]]]] = {
    "infiniband": infiniband,
    "roce": roce,
    "none": lambda _host: [],
}


def facts_of(number: int, fabric: str, ports: dict[str, int]) -> dict[str, Any]:
    """What preflight_host reads on a good host."""
    address = f"10.0.0.{number}"
    interfaces = ["lo", "bond0", *(f"{'eth' if fabric == 'roce' else 'ib'}{n}" for n in range(8))]
    return {
        "hostname": f"node-{number:03d}",
        "hostname_addresses": [address],
        "architecture": "x86_64",
        "kernel": "6.8.0-60-generic",
        "os": {"id": "ubuntu", "version": "24.04", "name": "Ubuntu 24.04.3 LTS"},
        "python": "3.12.3",
        "time": [NOW + 0.4, NOW + 0.9],
        "controller_time": [NOW, NOW + 1.5],
        "node_ip": address,
        "addresses": [
            {"address": "127.0.0.1", "prefix": 8, "interface": "lo"},
            {"address": "172.17.0.1", "prefix": 16, "interface": "docker0"},
            {"address": address, "prefix": 20, "interface": "bond0"},
        ],
        "interfaces": [{"name": name, "mtu": 9000, "state": "up"} for name in interfaces],
        "default_interfaces": ["bond0"],
        "storage_interfaces": [],
        "present": True,
        "driver_version": "580.95.05",
        "cuda_version": "13.0",
        "gpus": [gpu(index) for index in range(8)],
        "gpus_lost": [],
        "gpu_processes": [],
        "driver_module": {"version": "580.95.05", "open": True, "modules": ["nvidia"]},
        "nvidia_peermem": True,
        "nvswitches": 4,
        "fabric_manager": {"state": "active", "version": "580.95.05"},
        "fabric": FABRICS[fabric](number),
        "devices_infiniband": fabric != "none",
        "limits": {"memlock": {"soft": 8388608, "hard": 8388608}, "nofile": {"soft": 1024, "hard": 1048576}},
        "may_raise_limits": True,
        "shm": {"path": "/dev/shm", "total_mib": 1031965, "free_mib": 1031000},
        "host_memory_mib": 2063930,
        "host_memory_on_gpus_mib": 0,
        "swap_total_mib": 0,
        "swap_free_mib": 0,
        "numa_balancing": True,
        "selinux_enforcing": False,
        "apparmor": True,
        "docker": {
            "client": "/usr/bin/docker",
            "server": {"version": "28.3.0", "root": "/var/lib/docker", "nvidia": True, "apparmor": True},
            "image": None,
            "daemon_json": {"error": None},
            "root": "/var/lib/docker",
        },
        "disks": [
            disk("/var/lib/docker", "/", 900),
            disk(f"{HOME}/hub", "/data", 3500),
        ],
        "held_ports": [],
        "model": {"commit": COMMIT, "files": dict(SHARDS)},
        "reachable": [
            *({"name": name, "port": port, "probe": True} for name, port in ports.items()),
            {"name": "a random port", "port": 40001, "probe": True},
        ],
    }


def disk(path: str, mount_point: str, free_gib: float) -> dict[str, Any]:
    """One filesystem as gpu_info describes it."""
    return {
        "path": path,
        "mount_point": mount_point,
        "fstype": "ext4",
        "shared": False,
        "free_bytes": int(free_gib * 2**30),
        "inodes_free": 1_000_000,
        "read_only": False,
        "problem": None,
    }


def healthy(hosts: int = 2, fabric: str = "infiniband") -> Picture:
    """Hosts without a fault, the first of them the head."""
    nodes = []
    for number in range(1, hosts + 1):
        ports = {**NODE_PORTS, **(HEAD_PORTS if number == 1 else {})}
        wish = {
            "node_ip": f"10.0.0.{number}",
            "is_head": number == 1,
            "allow_public": False,
            "gpus_per_node": 8,
            "image": IMAGE,
            "ray_version": "2.56.1",
            "hf_home": HOME,
            "ports": [{"name": name, "port": value, "public": True} for name, value in ports.items()],
            "variables": ["llmserve_model", "llmserve_node_ip", "ray_node_env", "my_own_variable"],
            "texts": {"llmserve_hf_home": HOME, "llmserve_image": IMAGE},
            "network_env": {},
        }
        facts = facts_of(number, fabric, ports)
        versions = {"vllm": "0.33.0", "ray": "2.56.1", "torch": "2.14.0", "nccl": "2.28.3", "python": "3.12.11"}
        name = f"node-{number:03d}"
        nodes.append({"name": name, "wish": wish, "facts": facts, "hub": {}, "reach": [], "versions": versions})
    wishes = {
        "engine_args": {"max_model_len": 32768},
        "vllm_version": "0.33.0",
        "tensor_parallel_size": 8,
        "pipeline_parallel_size": hosts,
        "secrets": {"llmserve_hf_token": "hf_Rk3vGm", "llmserve_api_key": ""},
        "clock_seconds": 5,
        "image_gib": 30,
    }
    planned = {"tensor_parallel_size": 8, "pipeline_parallel_size": hosts}
    plan = {"fits": True, "reasons": [], "cpu_offload_gb": 0, "nodes_used": hosts, "engine_args": planned}
    return Picture(nodes, wishes, plan)
