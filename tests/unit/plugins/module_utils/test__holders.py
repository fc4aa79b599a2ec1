# SPDX-License-Identifier: GPL-3.0-or-later
"""Who holds ports and GPUs, over fake /proc trees."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ansible_collections.llmserve.vllm.plugins.module_utils import _holders
from ansible_collections.llmserve.vllm.plugins.module_utils._holders import Container, Containers

ONE = "1" * 64
OTHER = "2" * 64


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

    def process(self, pid: int, cmdline: str, *inodes: int, cgroup: str = "0::/user.slice\n", comm: str = "x") -> None:
        base = self.root / str(pid)
        (base / "fd").mkdir(parents=True)
        (base / "fd" / "0").symlink_to("/dev/null")
        for number, inode in enumerate(inodes, 3):
            (base / "fd" / str(number)).symlink_to(f"socket:[{inode}]")
        (base / "cmdline").write_text(cmdline)
        (base / "comm").write_text(comm + "\n")
        (base / "cgroup").write_text(cgroup)


@pytest.fixture
def proc(tmp_path: Path) -> Proc:
    return Proc(tmp_path)


def held(proc: Proc, *ports: tuple[str, int], containers: dict[str, Container] | None = None) -> dict[int, str | None]:
    asked = [{"name": name, "port": port} for name, port in ports]
    found = _holders.held_ports(asked, "prod", (containers or {}).get, str(proc.root))
    assert all({"name": item["name"], "port": item["port"]} in asked for item in found)
    return {item["port"]: item["holder"] for item in found}


def test_free_ports(proc: Proc) -> None:
    proc.listen(22, 1)
    # an established connection does not take the port
    proc.listen(8000, 2, state="01")
    assert held(proc, ("llmserve_port", 8000), ("ray_head_port", 6379)) == {}


def test_a_foreign_process_is_named_without_its_arguments(proc: Proc) -> None:
    proc.listen(8000, 77)
    proc.listen(8000, 78, table="tcp6")
    proc.process(812, "/usr/sbin/nginx\0-g\0secret\0", 77, 78)
    assert held(proc, ("llmserve_port", 8000)) == {8000: "process 812 (nginx)"}


def test_a_port_of_this_cluster_is_nobodys(proc: Proc) -> None:
    proc.listen(6379, 5)
    proc.process(900, "gcs_server\0", 5, cgroup=f"0::/system.slice/docker-{ONE}.scope\n")
    ours = {ONE: Container("llmserve-ray-head", {"llmserve.cluster": "prod", "llmserve.component": "ray_head"})}
    assert held(proc, ("ray_head_port", 6379), containers=ours) == {6379: None}


def test_ports_of_other_containers(proc: Proc) -> None:
    proc.listen(6379, 5)
    proc.listen(8000, 6)
    proc.process(900, "gcs_server\0", 5, cgroup=f"0::/system.slice/docker-{ONE}.scope\n")
    proc.process(901, "python3\0", 6, cgroup=f"0::/system.slice/docker-{OTHER}.scope\n")
    containers = {ONE: Container("ray", {"llmserve.cluster": "test"}), OTHER: Container("jupyter", {})}
    assert held(proc, ("ray_head_port", 6379), ("api", 8000), containers=containers) == {
        6379: "container ray, of the llmserve cluster 'test', process 900 (gcs_server)",
        8000: "container jupyter, process 901 (python3)",
    }


def test_the_mirror_of_a_run_that_was_cut_off_is_nobodys(proc: Proc) -> None:
    proc.listen(29600, 5)
    proc.process(900, "python3\0-\0", 5, comm="llmserve-mirror")
    assert held(proc, ("hf_model_mirror_port", 29600)) == {29600: None}


def test_a_container_is_foreign_when_docker_does_not_know_it(proc: Proc) -> None:
    proc.listen(6379, 5)
    proc.process(900, "gcs_server\0", 5, cgroup=f"0::/system.slice/docker-{ONE}.scope\n")
    assert held(proc, ("ray_head_port", 6379)) == {6379: "process 900 (gcs_server)"}


def test_processes_of_other_users(proc: Proc) -> None:
    proc.listen(8000, 99)
    assert "run the task with become" in str(held(proc, ("llmserve_port", 8000))[8000])


def test_who_computes_on_the_gpus(proc: Proc) -> None:
    proc.process(900, "VLLM::Worker\0", cgroup=f"0::/system.slice/docker-{ONE}.scope\n")
    proc.process(901, "python3\0/train.py\0")
    processes = [
        {"pid": 900, "compute": True, "memory_used_mib": 70000},
        {"pid": 901, "compute": True, "memory_used_mib": 512},
        {"pid": 902, "compute": False, "memory_used_mib": 4},
    ]
    gpus = [{"index": 3, "processes": processes}, {"index": 4, "processes": []}]
    ours = {ONE: Container("llmserve-ray-head", {"llmserve.cluster": "prod"})}
    assert _holders.gpu_processes(gpus, "prod", ours.get, str(proc.root)) == [
        {"gpu": 3, "memory_used_mib": 70000, "holder": None},
        {"gpu": 3, "memory_used_mib": 512, "holder": "process 901 (python3)"},
    ]


def test_a_container_is_asked_for_once() -> None:
    asked: list[list[str]] = []

    def run(argv: list[str]) -> str:
        asked.append(argv)
        return json.dumps({"name": "/web", "labels": None}) if argv[-1] == ONE else "no such container"

    containers = Containers("/usr/bin/docker", run)
    assert [containers(ONE), containers(ONE), containers(OTHER)] == [Container("web", {}), Container("web", {}), None]
    assert len(asked) == 2
    assert Containers(None, run)(ONE) is None


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
    assert _holders.container_id(cgroup) == expected
