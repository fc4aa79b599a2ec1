# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes wrong on a Slurm cluster, provoked: each ends with its own words, and with nothing left on a node.

The tests build on each other, in this order.
"""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import ROOT
from tests.e2e.slurm_cluster import HUB, INVENTORY, Cluster, cluster, nothing_is_left, refused_at_the_plan, until
from tests.e2e.test_2_serving import tokens

__all__ = ["cluster"]
pytestmark = pytest.mark.long
# One node, and not all of it: another user's job may run beside it.
SHARED = {
    "llmserve_executor": "mp",
    "slurm_serve_nodes": 1,
    "slurm_serve_exclusive": False,
    "slurm_serve_cpus_per_node": 2,
    "slurm_serve_directives": ["--nodelist=compute1"],
}


@pytest.fixture
def idle(cluster: Cluster) -> Cluster:
    """With no job on it, whatever a test before this one has left."""
    cluster.root("login", "scancel --user=alice; scancel --user=bob")
    until(lambda: not cluster.queue() + cluster.queue("bob"), 60, "no job of a user")
    return cluster


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"slurm_serve_partition": "closed"}, "The partition closed is DOWN"),
        ({"slurm_serve_partition": "nowhere"}, "There is no partition nowhere"),
        ({"slurm_serve_partition": "staff"}, "The partition staff takes the account(s) staff, and not research"),
        ({"slurm_serve_qos": "gold"}, "You may not use the QOS gold: choose slurm_serve_qos of normal, pair, single"),
        ({"slurm_serve_gpu_type": "a100"}, "No node of the partition gpu has GPUs of the type a100"),
        ({"slurm_serve_time": "9-0"}, "the partition gpu gives at most 1-00:00:00"),
    ],
)
def test_what_the_site_does_not_allow_is_refused_at_the_plan(
    cluster: Cluster, variables: dict[str, object], words: str
) -> None:
    refused_at_the_plan(cluster, variables, words)


def test_a_node_drained_while_the_job_waits(idle: Cluster) -> None:
    script = "sbatch --account=research --exclusive --nodelist=compute2 --output=/dev/null --wrap='sleep 600'"
    idle.root("login", f'su bob -c "{script}"')
    try:
        with idle.playing("serve_slurm", slurm_serve_wait_timeout=45) as running:
            until(lambda: idle.login("squeue --noheader --me --format=%r") == "Resources", 60, "the job waits")
            # a line of progress comes every ten seconds
            time.sleep(12)
            idle.root("login", "scontrol update nodename=compute2 state=drain reason=fans")
            run = running()
        assert run.rc != 0
        assert "number 1 of 1 in line: it is the next in line and waits for GPUs or nodes" in run.text
        assert "nodes that it could have are down, drained or reserved" in run.text
        assert "The job goes on: run the playbook again to wait on." in run.text
        assert [state for _number, state in idle.queue()] == ["PENDING"]
        # the next run says so at once
        again = idle.play("serve_slurm", slurm_serve_wait_timeout=1)
        assert "Down or drained at the moment, so that a job may wait longer: compute2" in again.text
        assert again.changed == 0
    finally:
        idle.play("stop").ok()
        idle.root("login", "scancel --user=bob; scontrol update nodename=compute2 state=resume")


def test_a_quota_that_is_full_is_waited_for_and_one_that_is_too_small_is_not(idle: Cluster) -> None:
    own = idle.login(
        "sbatch --parsable --account=research --qos=pair --gres=gpu:1 --output=/dev/null --wrap='sleep 600'"
    )
    try:
        run = idle.play("serve_slurm", slurm_serve_qos="pair", slurm_serve_exclusive=False, slurm_serve_wait_timeout=15)
        assert run.rc != 0
        assert "your quota is full: it starts when other jobs of yours" in run.text
        assert (int(own), "RUNNING") in idle.queue()
    finally:
        idle.play("stop").ok()
        idle.login(f"scancel {own}")
    run = idle.play("serve_slurm", slurm_serve_qos="single", slurm_serve_exclusive=False)
    assert run.rc != 0
    assert "it alone asks for more than the limit of one job" in run.text
    until(lambda: idle.queue() == [], 30, "a job that never starts is cancelled")


def test_a_full_disk_is_told_before_a_job_is_submitted(idle: Cluster) -> None:
    """A file system of two megabytes, as if it were a quota."""
    idle.root(
        "login", "install -d -o alice ~alice/small && mount -t tmpfs -o size=2m,uid=alice,mode=700 none ~alice/small"
    )
    try:
        run = idle.play("serve_slurm", llmserve_hf_home="/home/alice/small/huggingface")
        assert run.rc != 0
        assert "/home/alice/small" in run.text
        assert re.search(r"free|No space left", run.text), run.output
        idle.login("head -c 4M /dev/zero > ~/small/filler 2> /dev/null || true")
        run = idle.play(
            "serve_slurm",
            llmserve_dir="/home/alice/small",
            llmserve_hf_home="/home/alice/llmserve/huggingface",
            hf_model_venv="/home/alice/llmserve/venv-hub",
        )
        assert run.rc != 0
        assert "No space left on device" in run.text
        assert idle.queue() == []
    finally:
        idle.root("login", "umount ~alice/small && rmdir ~alice/small")


def test_ranks_of_vllm_without_ray(idle: Cluster) -> None:
    idle.play("serve_slurm", llmserve_executor="mp").ok()
    for machine, words in (("compute1", "--node-rank 0"), ("compute2", "--node-rank 1")):
        shown = idle.root(machine, "ps -u alice -o args")
        assert words in shown
        assert "raylet" not in shown
    idle.play("serve_slurm", llmserve_executor="mp").unchanged()


def test_a_node_that_is_lost_ends_the_job_and_the_next_run_serves_again(cluster: Cluster) -> None:
    """A rank of vLLM's own mode: nobody but Slurm notices before the next request."""
    cluster.play("serve_slurm", llmserve_executor="mp").ok()
    number = cluster.endpoint()["job_id"]
    cluster.operator.command("docker", "kill", cluster.container("compute2")).ok()
    try:
        until(lambda: cluster.queue() == [], 120, "the job has ended")
        cluster.play("status").unchanged()
        nothing_is_left(cluster, machines=["compute1"])
        state = cluster.login(f"scontrol show job {number}")
        assert re.search(r"JobState=(NODE_FAIL|FAILED)", state), state
        assert "FAILED: " in cluster.log() or "NODE_FAIL" in state
        assert cluster.login("test -e ~/llmserve/llmserve/endpoint.json && echo there || true") == ""
    finally:
        cluster.operator.command("docker", "start", cluster.container("compute2")).ok()
    until(lambda: "idle" in cluster.login("sinfo --noheader --nodes=compute2 --format=%T"), 60, "the node is back")
    cluster.play("serve_slurm").ok()
    assert cluster.endpoint()["job_id"] > number
    cluster.play("stop").ok()
    nothing_is_left(cluster)


def test_a_job_cancelled_while_it_loads(idle: Cluster) -> None:
    with idle.playing("serve_slurm") as running:
        until(lambda: idle.queue() and idle.queue()[0][1] == "RUNNING", 120, "the job runs")
        until(lambda: re.search("Ray has 2 of 2 GPUs|Loading safetensors", idle.log()), 120, "it loads")
        idle.login("scancel --name=llmserve")
        run = running()
    assert run.rc != 0
    assert "it was cancelled" in run.text
    nothing_is_left(idle)


def test_two_users_share_a_node(idle: Cluster) -> None:
    idle.play("serve_slurm", **SHARED).ok()
    idle.play("serve_slurm", ansible_user="bob", **SHARED).ok()
    endpoints = [idle.endpoint(user) for user in ("alice", "bob")]
    assert [endpoint["node"] for endpoint in endpoints] == ["compute1", "compute1"]
    ports = [endpoint["port"] for endpoint in endpoints]
    assert abs(ports[0] - ports[1]) >= 16
    for user, endpoint in zip(("alice", "bob"), endpoints, strict=True):
        own = idle.root("login", f"cat /home/{user}/llmserve/llmserve/api_key")
        assert tokens("hello", own, endpoint["url"])[0]
    idle.play("stop").ok()
    nothing_is_left(idle)
    assert tokens("hello", own, endpoint["url"])[0], "what bob serves was not alice's to stop"
    idle.play("stop", ansible_user="bob").ok()
    nothing_is_left(idle, "bob")


def test_at_the_time_limit_the_next_job_of_the_chain_takes_over(idle: Cluster) -> None:
    chain = {
        **SHARED,
        "slurm_serve_time": "00:07:00",
        "slurm_serve_chain": 1,
        "slurm_serve_chain_lead": 240,
        "slurm_serve_drain_timeout": 20,
        "slurm_serve_stop_timeout": 10,
    }
    idle.play("serve_slurm", **chain).ok()
    first = idle.endpoint()
    (one, running), (two, waiting) = idle.queue()
    assert (one, running, waiting) == (first["job_id"], "RUNNING", "PENDING")
    idle.play("serve_slurm", **chain).unchanged()
    key = idle.login("cat ~/llmserve/llmserve/api_key")
    until(lambda: idle.endpoint().get("job_id") == two, 400, "the next job serves")
    assert tokens("hello", key, first["url"])[0], "the one before it serves on until it is drained"
    until(lambda: idle.queue() == [(two, "RUNNING")], 400, "the first job has ended")
    ended = idle.login(f"scontrol show job {first['job_id']}")
    assert "JobState=COMPLETED" in ended
    log = idle.log(first["job_id"])
    assert "the time limit is near: draining" in log
    assert re.search(r"llmserve: \S+ drained$", log, re.MULTILINE), log
    assert tokens("hello", key, idle.endpoint()["url"])[0]
    idle.play("stop").ok()
    nothing_is_left(idle)


@pytest.fixture
def own_environment(cluster: Cluster, tmp_path: Path) -> Iterator[dict[str, object]]:
    """The variables that make a virtual environment of the engine's packages; two of them are wheels of a directory."""
    script = str(ROOT / "tests/sandbox/venv_wheels.py")
    cluster.operator.command(sys.executable, script, f"--index={HUB}/simple", f"--output={tmp_path}").ok()
    copy = f"src={tmp_path}/wheels/ dest=/home/alice/wheels/ mode=0644 directory_mode=0755"
    cluster.operator.command("ansible", "login", "-i", INVENTORY, "-m", "ansible.builtin.copy", "-a", copy).ok()
    yield {
        "slurm_serve_setup_commands": [],
        "slurm_serve_lock": str(tmp_path / "lock.txt"),
        "slurm_serve_pip_environment": {
            "PIP_INDEX_URL": f"{HUB}/simple",
            "PIP_TRUSTED_HOST": "10.89.79.3",
            "PIP_FIND_LINKS": "/home/alice/wheels",
        },
    }
    cluster.login("rm -rf ~/wheels ~/llmserve/venv")


def test_an_environment_of_ones_own_from_a_lock_file(idle: Cluster, own_environment: dict[str, object]) -> None:
    idle.play("serve_slurm", **{**SHARED, **own_environment}).ok()
    assert "/home/alice/llmserve/venv/bin/vllm serve" in idle.root("compute1", "ps -u alice -o args")
    idle.play("serve_slurm", **{**SHARED, **own_environment}).unchanged()
    idle.play("stop").ok()
    nothing_is_left(idle)


def test_a_failing_engine_is_explained(idle: Cluster) -> None:
    run = idle.play("serve_slurm", llmserve_engine_args={"max_model_len": 999999})
    assert run.rc != 0
    assert "999999" in run.text
    assert "it has ended as FAILED with exit code 1" in run.text
    assert "max_model_len" in run.text
    assert "CAUSE: " in idle.log()
    nothing_is_left(idle)
    assert idle.endpoint() == {}
