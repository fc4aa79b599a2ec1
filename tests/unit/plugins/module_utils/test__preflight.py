# SPDX-License-Identifier: GPL-3.0-or-later
"""Host and cluster checks over fake /proc trees."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.llmserve.vllm.plugins.module_utils import _preflight
from ansible_collections.llmserve.vllm.plugins.module_utils._preflight import Container, Problem

ADDRESSES = [
    {"address": "127.0.0.1", "prefix": 8, "interface": "lo"},
    {"address": "172.17.0.1", "prefix": 16, "interface": "docker0"},
    {"address": "10.0.0.1", "prefix": 20, "interface": "eno1"},
    {"address": "100.64.0.7", "prefix": 10, "interface": "tailscale0"},
    {"address": "fd00::0001", "prefix": 64, "interface": "eno1"},
    {"address": "fe80::1", "prefix": 64, "interface": "eno1"},
    {"address": "8.8.4.4", "prefix": 24, "interface": "eno2"},
]
ONE = "1" * 64
OTHER = "2" * 64


def address_checks(node_ip: str, allow_public: bool = False) -> list[Problem]:
    return _preflight.address_problems(node_ip, ADDRESSES, allow_public, lambda _ip: pytest.fail("not needed"))


def checks(problems: list[Problem]) -> list[str]:
    return [item["check"] for item in problems]


@pytest.mark.parametrize("node_ip", ["10.0.0.1", "100.64.0.7", "fd00::1", "172.17.0.1"])
def test_good_addresses(node_ip: str) -> None:
    assert address_checks(node_ip) == []


@pytest.mark.parametrize(
    ("node_ip", "expected", "words"),
    [
        ("", ["node_ip"], "llmserve_node_ip is not set"),
        ("node-001", ["node_ip"], "'node-001', which is not an IP address"),
        ("10.0.0.1/20", ["node_ip"], "not an IP address"),
        ("127.0.0.1", ["node_ip"], "a loopback address"),
        ("::1", ["node_ip"], "a loopback address"),
        ("0.0.0.0", ["node_ip"], "no host's address"),
        ("fe80::1", ["node_ip"], "link-local"),
        ("10.0.0.9", ["node_ip_local"], "not configured on any interface"),
        ("8.8.4.4", ["node_ip_public"], "is a public address"),
        ("8.8.8.8", ["node_ip_local", "node_ip_public"], "not configured on any interface"),
    ],
)
def test_bad_addresses(node_ip: str, expected: list[str], words: str) -> None:
    found = address_checks(node_ip)
    assert checks(found) == expected
    assert words in found[0]["problem"]
    assert "llmserve_node_ip" in found[0]["mend"]
    assert "10.0.0.1 (eno1), 100.64.0.7 (tailscale0), fd00::1 (eno1)." in found[0]["mend"]
    assert "172.17.0.1" not in found[0]["mend"]


def test_a_public_address_may_be_allowed() -> None:
    assert address_checks("8.8.4.4", allow_public=True) == []
    assert checks(address_checks("8.8.8.8", allow_public=True)) == ["node_ip_local"]


def test_without_the_ip_command_binding_decides() -> None:
    assert _preflight.address_problems("10.0.0.1", None, False, lambda _ip: True) == []
    assert checks(_preflight.address_problems("10.0.0.1", None, False, lambda _ip: False)) == ["node_ip_local"]


@pytest.mark.parametrize(("expected", "found"), [(8, 8), (0, 4), (8, None), (0, None)])
def test_gpus_as_expected(expected: int, found: int | None) -> None:
    assert _preflight.gpu_problems(expected, found, "") == []


def test_gpus_that_are_missing() -> None:
    assert _preflight.gpu_problems(8, 7, "")[0]["problem"] == "7 GPUs are there, but llmserve_gpus_per_node says 8."
    for expected in (0, 8):
        found = _preflight.gpu_problems(expected, 0, "The kernel module is not loaded.")
        assert found[0]["problem"] == "No GPU can be used. The kernel module is not loaded."


class Proc:
    """A /proc of a few listening processes."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.rows: dict[str, list[str]] = {"tcp": [], "tcp6": []}
        self.flush()

    def flush(self) -> None:
        (self.root / "net").mkdir(parents=True, exist_ok=True)
        for table, rows in self.rows.items():
            (self.root / "net" / table).write_text("\n".join(["  sl  local_address rem_address   st", *rows]) + "\n")

    def listen(self, port: int, inode: int, table: str = "tcp", state: str = "0A") -> None:
        address = "0" * (32 if table == "tcp6" else 8)
        self.rows[table].append(
            f"   0: {address}:{port:04X} {address}:0000 {state} 00000000:00000000 00:00000000 00000000 0 0 {inode} 1"
        )
        self.flush()

    def process(self, pid: int, cmdline: str, *inodes: int, cgroup: str = "0::/user.slice\n") -> None:
        base = self.root / str(pid)
        (base / "fd").mkdir(parents=True)
        (base / "fd" / "0").symlink_to("/dev/null")
        for number, inode in enumerate(inodes, 3):
            (base / "fd" / str(number)).symlink_to(f"socket:[{inode}]")
        (base / "cmdline").write_text(cmdline)
        (base / "cgroup").write_text(cgroup)


@pytest.fixture
def proc(tmp_path: Path) -> Proc:
    return Proc(tmp_path)


def port_checks(proc: Proc, *ports: tuple[str, int], containers: dict[str, Container] | None = None) -> list[Problem]:
    asked = [{"name": name, "port": port} for name, port in ports]
    return _preflight.port_problems(asked, "prod", (containers or {}).get, str(proc.root))


def test_free_ports(proc: Proc) -> None:
    proc.listen(22, 1)
    # an established connection does not take the port
    proc.listen(8000, 2, state="01")
    assert port_checks(proc, ("llmserve_port", 8000), ("ray_head_port", 6379)) == []


def test_a_foreign_process_is_named_without_its_arguments(proc: Proc) -> None:
    proc.listen(8000, 77)
    proc.listen(8000, 78, table="tcp6")
    proc.process(812, "/usr/sbin/nginx\0-g\0secret\0", 77, 78)
    assert port_checks(proc, ("llmserve_port", 8000)) == [
        {
            "check": "port",
            "problem": "Port 8000 (llmserve_port) is taken by process 812 (nginx).",
            "mend": "Stop it, or choose another port for llmserve_port in the inventory.",
        }
    ]


def test_a_port_of_this_cluster_is_free(proc: Proc) -> None:
    proc.listen(6379, 5)
    proc.process(900, "gcs_server\0", 5, cgroup=f"0::/system.slice/docker-{ONE}.scope\n")
    ours = {ONE: Container("llmserve-ray-head", {"llmserve.cluster": "prod", "llmserve.component": "ray_head"})}
    assert port_checks(proc, ("ray_head_port", 6379), containers=ours) == []


def test_ports_of_other_containers(proc: Proc) -> None:
    proc.listen(6379, 5)
    proc.listen(8000, 6)
    proc.process(900, "gcs_server\0", 5, cgroup=f"0::/system.slice/docker-{ONE}.scope\n")
    proc.process(901, "python3\0", 6, cgroup=f"0::/system.slice/docker-{OTHER}.scope\n")
    containers = {
        ONE: Container("ray", {"llmserve.cluster": "test"}),
        OTHER: Container("jupyter", {}),
    }
    found = [
        item["problem"] for item in port_checks(proc, ("ray_head_port", 6379), ("api", 8000), containers=containers)
    ]
    assert found == [
        "Port 6379 (ray_head_port) is taken by container ray, of the llmserve cluster 'test', process 900 "
        "(gcs_server).",
        "Port 8000 (api) is taken by container jupyter, process 901 (python3).",
    ]


def test_a_container_is_foreign_when_docker_does_not_know_it(proc: Proc) -> None:
    proc.listen(6379, 5)
    proc.process(900, "gcs_server\0", 5, cgroup=f"0::/system.slice/docker-{ONE}.scope\n")
    assert "process 900 (gcs_server)" in port_checks(proc, ("ray_head_port", 6379))[0]["problem"]


def test_processes_of_other_users(proc: Proc) -> None:
    proc.listen(8000, 99)
    assert "run the task with become" in port_checks(proc, ("llmserve_port", 8000))[0]["problem"]


def test_ports_that_collide_or_are_none(proc: Proc) -> None:
    found = port_checks(proc, ("llmserve_port", 6379), ("ray_head_port", 6379), ("metrics", 70000))
    assert [item["problem"] for item in found] == [
        "llmserve_port and ray_head_port are both 6379.",
        "metrics is 70000, which is not a port.",
    ]


@pytest.mark.parametrize(
    ("cgroup", "expected"),
    [
        (f"0::/system.slice/docker-{ONE}.scope\n", ONE),
        (f"12:pids:/docker/{ONE}\n11:cpu:/docker/{ONE}\n1:name=systemd:/docker/{ONE}\n", ONE),
        (f"12:pids:/docker/{OTHER}\n1:name=systemd:/docker/{OTHER}/docker/{ONE}\n", ONE),
        (f"0::/kubepods.slice/kubepods-pod1.slice/cri-containerd-{ONE}.scope\n", ONE),
        ("0::/user.slice/user-1000.slice\n", None),
        ("", None),
    ],
)
def test_container_ids(cgroup: str, expected: str | None) -> None:
    assert _preflight.container_id(cgroup) == expected


def node(name: str, **more: Any) -> dict[str, Any]:
    number = name[-1]
    return {
        "name": name,
        "node_ip": f"10.0.0.{number}",
        "image": "vllm/vllm-openai:v0.33.0",
        "ray_version": "2.56.1",
        "gpus": ["NVIDIA H100 80GB HBM3"] * 8,
        "problems": [],
        **more,
    }


def test_a_cluster_without_problems() -> None:
    assert _preflight.cluster_problems([node("n1"), node("n2")]) == []
    assert _preflight.cluster_problems([]) == []


def test_problems_of_hosts_keep_their_host() -> None:
    own = {"check": "port", "problem": "Port 1 is taken.", "mend": "Stop it."}
    assert _preflight.cluster_problems([node("n1"), node("n2", problems=[own])]) == [{**own, "host": "n2"}]


def test_duplicate_addresses() -> None:
    found = _preflight.cluster_problems([node("n1"), node("n2", node_ip="10.0.0.1"), node("n3", node_ip="10.0.0.1")])
    assert [(item["host"], item["check"]) for item in found] == [
        ("n2", "duplicate_node_ip"),
        ("n3", "duplicate_node_ip"),
    ]
    assert found[0]["problem"] == "llmserve_node_ip 10.0.0.1 is also that of n1."
    spelt = _preflight.cluster_problems([node("n1", node_ip="fd00::1"), node("n2", node_ip="FD00:0::1")])
    assert checks(spelt) == ["duplicate_node_ip"]
    assert _preflight.cluster_problems([node("n1", node_ip=""), node("n2", node_ip="")]) == []


@pytest.mark.parametrize(
    ("key", "value", "check", "words"),
    [
        ("image", "vllm/vllm-openai:v0.32.0", "image", "It runs the image vllm/vllm-openai:v0.32.0, but n1 runs"),
        ("ray_version", "2.60.0", "ray_version", "It has Ray 2.60.0, but n1 has Ray 2.56.1."),
        ("gpus", [{"name": "H100"}] * 7, "gpu_count", "It has 7 GPUs, but n1 has 8 GPUs."),
    ],
)
def test_the_host_that_differs_is_named(key: str, value: Any, check: str, words: str) -> None:
    for nodes in ([node("n1"), node("n2"), node("n3", **{key: value})], [node("n1"), node("n3", **{key: value})]):
        found = _preflight.cluster_problems(nodes)
        assert [(item["host"], item["check"]) for item in found] == [("n3", check)]
        assert words in found[0]["problem"]
        assert found[0]["mend"]
    odd_first = _preflight.cluster_problems([node("n3", **{key: value}), node("n1"), node("n2")])
    assert [item["host"] for item in odd_first] == ["n3"]


def test_what_a_host_does_not_have_is_not_compared() -> None:
    assert _preflight.cluster_problems([node("n1"), node("n2", ray_version="", image=None)]) == []


def test_missing_gpus_are_reported_once() -> None:
    own = {"check": "gpus", "problem": "No GPU can be used.", "mend": "Mend that."}
    found = _preflight.cluster_problems([node("n1"), node("n2", gpus=[], problems=[own])])
    assert checks(found) == ["gpus"]
