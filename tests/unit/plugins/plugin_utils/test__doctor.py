# SPDX-License-Identifier: GPL-3.0-or-later
"""What the doctor finds, and what it leaves alone."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.llmserve.vllm.plugins.filter.doctor_report import doctor_report
from ansible_collections.llmserve.vllm.plugins.filter.doctor_screen import doctor_screen
from ansible_collections.llmserve.vllm.plugins.module_utils._lock import make, running_deployment
from ansible_collections.llmserve.vllm.plugins.plugin_utils._doctor import age, report
from ansible_collections.llmserve.vllm.plugins.plugin_utils._doctor_causes import CAUSES
from ansible_collections.llmserve.vllm.tests.unit.plugins.doctor_hosts import (
    NOW,
    container,
    disk,
    endpoint,
    gpus,
    head,
    ray_node,
    versions,
    worker,
)

LOST = "NVRM: Xid (PCI:0000:3b:00): 79, pid=1234, name=python3, GPU has fallen off the bus."
OOM = "node2 kernel: Out of memory: Killed process 4711 (ray::RayWorker) total-vm:1kB, anon-rss:900000000kB"


def causes(*hosts: dict[str, Any]) -> list[tuple[str, list[str]]]:
    return [(item["cause"], item["hosts"]) for item in report(hosts)["findings"]]


def test_nothing_is_wrong_with_a_healthy_cluster() -> None:
    found = report([head(), worker()])
    assert (found["findings"], found["errors"], found["warnings"]) == ([], 0, 0)
    assert (
        doctor_screen(found)
        == """\
Doctor: no problems on 2 hosts.
================================================================================
ok node1  8 x H100 80GB HBM3, driver 580.95.05, llmserve-ray-head up 1 h 0 min,
          llmserve-vllm up 1 h 0 min
ok node2  8 x H100 80GB HBM3, driver 580.95.05, llmserve-ray-worker up 1 h 0 min
================================================================================"""
    )


def test_the_root_on_one_host_comes_before_what_it_did_to_others() -> None:
    dead = container("vllm", "restarting", exit_code=1, restarts=4)
    hosts = head(containers=[container("ray_head"), dead], endpoint=endpoint(healthy=False, error="refused"))
    sick = worker(texts={"kernel": LOST})
    found = report([hosts, sick])
    assert [item["cause"] for item in found["findings"]] == ["gpu_fell_off_bus", "container_restarts"]
    assert found["findings"][0]["log"] == "node2 kernel"
    assert [host["healthy"] for host in found["hosts"]] == [False, False]


def test_what_an_engine_that_answers_has_outlived_is_a_warning() -> None:
    """A GPU that was gone, and is back: the host's logs still tell of it."""
    docker = 'failed to start error="nvidia-container-cli: initialization error: nvml error: driver not loaded"'
    sick = worker(texts={"kernel": LOST, "journal": docker})
    found = report([head(), sick])
    assert {item["cause"] for item in found["findings"]} == {"gpu_fell_off_bus", "driver_not_loaded"}
    assert (found["errors"], found["warnings"]) == (0, 2)
    assert all(host["healthy"] for host in found["hosts"])
    # its own log is about itself, and silence is no answer
    assert report([head(texts={"llmserve-vllm": LOST}), worker()])["errors"] == 1
    assert report([head(endpoint=endpoint(error="no answer", answer_seconds=None)), sick])["errors"] >= 2


def test_a_host_that_was_not_reached_or_not_looked_at() -> None:
    gone = {"name": "node2", "node_ip": "10.0.0.2", "facts": {}, "unreachable": "ssh: no route to host"}
    assert causes(head(), gone) == [("host_unreachable", ["node2"])]
    assert causes(head(), {**gone, "unreachable": "", "failure": "sudo: a password is required"}) == [
        ("host_not_examined", ["node2"])
    ]


def test_a_stopped_engine_is_told_once() -> None:
    stopped = container("vllm", "exited", exit_code=143)
    log = "(APIServer pid=1) INFO:     Shutting down\n(APIServer pid=1) Received signal 15, shutting down\n"
    found = causes(head(containers=[container("ray_head"), stopped], texts={"llmserve-vllm": log}), worker())
    assert found == [("container_stopped", ["node1"])]


def test_how_containers_end() -> None:
    ends: tuple[tuple[dict[str, Any], str], ...] = (
        ({"status": "exited", "exit_code": 1}, "container_ended"),
        ({"status": "restarting", "exit_code": 1}, "container_restarts"),
        ({"status": "running", "restarts": 5, "finished": NOW - 90, "started": NOW - 80}, "container_restarts"),
        ({"status": "exited", "exit_code": 137, "oom_killed": True}, "host_oom"),
    )
    for more, slug in ends:
        assert (slug, ["node2"]) in causes(head(), worker(containers=[container("ray_worker", **more)]))
    # five deaths long ago are none of today's problems
    assert causes(head(), worker(containers=[container("ray_worker", restarts=5, finished=NOW - 3700)])) == []


def test_a_host_without_a_container_that_others_have() -> None:
    assert causes(head(), worker(containers=[])) == [("container_missing", ["node2"])]
    bare = head(containers=[], endpoint=endpoint(healthy=False, error="refused"), ray=None)
    assert causes(bare, worker(containers=[])) == [("nothing_deployed", ["all hosts"])]


def test_without_ray_a_rank_is_a_container_and_a_host_may_have_none() -> None:
    alone = head(containers=[container("vllm")], ray=None)
    assert causes(alone, worker(containers=[container("vllm_headless")])) == []
    assert causes(alone, worker(containers=[])) == []
    gone = container("vllm_headless", "exited", exit_code=1)
    assert causes(alone, worker(containers=[gone])) == [("container_ended", ["node2"])]


@pytest.mark.parametrize(
    ("more", "log", "slug"),
    [
        ({"error": "no answer within 30 s", "error_kind": "timeout"}, "", "engine_hangs"),
        ({"error": "401", "error_kind": "unauthorized"}, "", "endpoint_refuses"),
        (
            {"error": "refused", "healthy": False},
            "Loading safetensors checkpoint shards:  45% | 86/191 [10:00<12:41",
            "engine_loading",
        ),
        ({"error": "refused", "healthy": False}, "INFO: Application startup complete.", "engine_not_listening"),
    ],
)
def test_an_endpoint_that_does_not_answer(more: dict[str, Any], log: str, slug: str) -> None:
    sick = head(endpoint=endpoint(answer_seconds=None, **more), texts={"llmserve-vllm": log})
    assert causes(sick, worker()) == [(slug, ["node1"])]


def test_ray_has_lost_a_node_or_its_voice() -> None:
    ray = {"error": None, "nodes": [ray_node("10.0.0.1"), ray_node("10.0.0.2", False, "missed too many heartbeats")]}
    found = report([head(ray=ray), worker()])["findings"]
    assert (found[0]["cause"], found[0]["hosts"]) == ("ray_node_missing", ["node2"])
    assert "missed too many heartbeats" in found[0]["evidence"]
    assert causes(head(ray={"error": "no answer", "nodes": []}), worker()) == [("ray_silent", ["node1"])]


def test_gpus() -> None:
    absent = gpus(0, reason="nvidia-smi was not found", reason_kind="driver_not_installed")
    assert causes(head(), worker(gpu=absent)) == [("driver_not_installed", ["node2"])]
    assert ("gpu_unusable", ["node2"]) in causes(head(), worker(gpu=gpus(0, reason="hangs", reason_kind="timeout")))
    assert causes(head(), worker(gpu=gpus(7))) == [("gpu_missing", ["node2"])]
    assert causes(head(), worker(gpu=gpus(7, gpus_lost=["x"]))) == [("gpu_fell_off_bus", ["node2"])]
    foreign = [{"gpu": 3, "memory_used_mib": 900, "holder": "process 7 (python3)"}]
    found = report([head(), worker(gpu=gpus(holders=foreign))])
    assert (found["errors"], found["warnings"]) == (0, 1)
    assert found["findings"][0]["where"] == "GPU 3"


def test_filesystems() -> None:
    full = [disk("/"), disk("/data", free=2**30), disk("/data/images", "/data", free=2**30)]
    assert causes(head(), worker(disks=full)) == [("filesystem_full", ["node2"])]
    hangs = [disk("/shared", problem="it does not answer")]
    assert causes(head(), worker(disks=hangs)) == [("filesystem_trouble", ["node2"])]
    # a small one is not full because it is small
    assert causes(head(), worker(disks=[{**disk("/", free=2**32), "total_bytes": 2**33}])) == []


def test_docker() -> None:
    silent = {"client": "docker", "server": None, "error": "Cannot connect to the Docker daemon"}
    sick = worker(containers=[], docker=silent, texts={"docker": silent["error"]})
    assert causes(head(), sick) == [("docker_not_answering", ["node2"])]
    assert causes(head(), worker(containers=[], docker={**silent, "client": None})) == [("docker_missing", ["node2"])]


def test_versions_and_drivers_that_differ_name_the_odd_one() -> None:
    odd = {**worker(versions={"vllm": "0.32.0"}, gpu=gpus(driver_version="570.1")), "name": "node3"}
    found = causes(head(), worker(), odd)
    assert found == [("versions_differ", ["node3"]), ("drivers_differ", ["node3"])]


def test_the_canary_and_the_lock_file() -> None:
    sick = {"verdict": "failed", "failures_in_a_row": 2, "reason": "no answer within 60 s"}
    assert causes(head(canary=sick), worker()) == [("canary_fails", ["node1"])]
    assert causes(head(canary={**sick, "gave_up": True}), worker()) == [("canary_gave_up", ["node1"])]
    assert causes(head(canary={"verdict": "ok"}), worker()) == []
    lock = make(running_deployment(head()["facts"]), {}, "2026-11-21T09:00:00Z")
    assert causes(head(lock=lock), worker()) == []
    found = report([head(lock=lock, versions=versions("0.34.0")), worker(versions=versions("0.34.0"))])["findings"]
    assert [item["evidence"] for item in found] == ["vLLM: 0.34.0, was 0.33.0"]


def test_one_cause_on_many_hosts_is_one_row() -> None:
    hosts = [{**worker(texts={"kernel": OOM.replace("4711", str(n))}), "name": f"node{n}"} for n in range(2, 8)]
    found = report([head(), *hosts])
    assert [item["cause"] for item in found["findings"]] == ["host_oom"]
    assert "1. host_oom on node2, node3 and 4 more" in doctor_screen(found)


def test_the_screen_is_80_columns_of_ascii_whatever_a_log_says() -> None:
    noise = "x" * 300 + " \u2713 \u001b[31m" + "y " * 400
    ended = container("vllm", "exited", exit_code=1, error=noise)
    text = doctor_screen(report([head(containers=[ended], endpoint=endpoint(healthy=False, error=noise)), worker()]))
    assert all(len(line) <= 80 for line in text.splitlines())
    assert text.isascii()


def test_what_could_not_be_read_is_told() -> None:
    text = doctor_screen(report([head(problems=["The journal could not be read: no journal."]), worker()]))
    assert "not read: node1: The journal could not be read: no journal." in text


def test_every_cause_says_what_to_do() -> None:
    for slug, cause in CAUSES.items():
        assert cause.explanation.endswith("."), slug
        assert cause.remedy.endswith((".", "anew.")), slug


@pytest.mark.parametrize(
    ("seconds", "words"), [(-3, "0 s"), (59, "59 s"), (60, "1 min"), (3720, "1 h 2 min"), (2 * 86400 + 3600, "2 d 1 h")]
)
def test_ages(seconds: float, words: str) -> None:
    assert age(seconds) == words


def test_the_filters_refuse_what_is_none_of_theirs() -> None:
    nonsense: tuple[Any, ...] = ("x", [{"facts": {}}], None)
    for wrong in nonsense:
        with pytest.raises(AnsibleFilterError):
            doctor_report(wrong)
    with pytest.raises(AnsibleFilterError):
        doctor_screen([])
