# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""By a job of a real Slurm, as an ordinary user: from the plan to an answer through the tunnel, and back to nothing.

The cluster is a sandbox of its own, beside the ordinary one. The tests build on each other, in this order.
"""

from __future__ import annotations

import os
import re
import shlex
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.e2e.conftest import Operator, Run
from tests.e2e.slurm_cluster import INVENTORY, LOGIN, MACHINES, SSH_OPTIONS, Cluster
from tests.e2e.test_2_serving import MODEL, request, tokens

# One node, and not all of it: another user's job may run beside it.
SHARED = {
    "llmserve_executor": "mp",
    "slurm_serve_nodes": 1,
    "slurm_serve_exclusive": False,
    "slurm_serve_cpus_per_node": 2,
    "slurm_serve_directives": ["--nodelist=compute1"],
}


@pytest.fixture(scope="module")
def cluster(operator: Operator) -> Iterator[Cluster]:
    """A fresh cluster. LLMSERVE_KEEP_SANDBOX=1 leaves it for a look afterwards."""
    operator.playbook("sandbox_down", inventory=INVENTORY).ok()
    operator.playbook("sandbox_up", inventory=INVENTORY, timeout=1800).ok()
    yield Cluster(operator)
    if os.environ.get("LLMSERVE_KEEP_SANDBOX") != "1":
        operator.playbook("sandbox_down", inventory=INVENTORY).ok()


def until(look: Callable[[], object], seconds: float, what: str) -> None:
    """Wait until it is true."""
    end = time.monotonic() + seconds
    while not look():
        assert time.monotonic() < end, f"not within {seconds:.0f} s: {what}"
        time.sleep(1)


@contextmanager
def tunnel(line: str) -> Iterator[str]:
    """The URL behind the printed command, on a port of this machine that is free."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = shlex.split(re.sub(r"-L 8000:", f"-L 127.0.0.1:{port}:", line))
    with subprocess.Popen([words[0], *SSH_OPTIONS, *words[1:]], stdin=subprocess.DEVNULL) as ssh:
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            ssh.terminate()


def nothing_is_left(cluster: Cluster, user: str = "alice") -> None:
    """Neither a process nor a port nor a temporary file of the user's jobs on any machine."""
    assert cluster.queue(user) == []
    until(lambda: not any(cluster.left(machine, user) for machine in MACHINES), 30, "nothing left of the job")


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"slurm_serve_nodes": 3}, "3 node(s) with 1 GPUs each are asked for, and the partition gpu has 2"),
        ({"llmserve_gpus_per_node": 9}, "2 node(s) with 9 GPUs each are asked for, and the partition gpu has none"),
        ({"slurm_serve_partition": "cpu"}, "The partition cpu has no node with GPUs: choose slurm_serve_partition of"),
        ({"slurm_serve_account": "nobody"}, "You have no account nobody here: choose slurm_serve_account of research"),
    ],
)
def test_what_would_wait_for_ever_is_refused_at_the_plan(
    cluster: Cluster, variables: dict[str, object], words: str
) -> None:
    run = cluster.play("serve_slurm", **variables)
    assert run.rc != 0
    assert words in run.text
    assert run.changed == 0
    assert cluster.queue() == []
    assert cluster.login("ls ~") == ""


@pytest.mark.long
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
    run = cluster.play("serve_slurm", **variables)
    assert run.rc != 0
    assert words in run.text
    assert run.changed == 0


def test_check_mode_shows_the_plan_and_submits_nothing(cluster: Cluster) -> None:
    run = cluster.play("serve_slurm", "--check", "--diff").ok()
    assert "Layout TP 1 x PP 2, 2 of 2 GPUs on 2 hosts" in run.text
    assert "#SBATCH --nodes=2" in run.output
    assert cluster.queue() == []
    assert cluster.login("ls ~") == ""


@pytest.fixture(scope="module")
def served(cluster: Cluster) -> Run:
    return cluster.play("serve_slurm").ok()


@pytest.fixture(scope="module")
def key(cluster: Cluster, served: Run) -> str:
    return cluster.login("cat ~/llmserve/llmserve/api_key")


def test_the_play_ends_with_job_tunnel_endpoint_and_answer(cluster: Cluster, served: Run) -> None:
    number = cluster.endpoint()["job_id"]
    assert f"Job {number} on compute1 compute2, the API on compute1" in served.text
    for word in ("Tunnel ssh -N -L 8000:", f"alice@{LOGIN}", "Endpoint http://10.89.79.11:", "Answer", "curl -s"):
        assert word in served.text
    assert cluster.queue() == [(number, "RUNNING")]


def test_an_answer_comes_through_the_printed_tunnel(cluster: Cluster, served: Run, key: str) -> None:
    line = next(line for line in served.output.splitlines() if line.startswith("Tunnel "))
    with tunnel(line.removeprefix("Tunnel").strip()) as url:

        def answers() -> bool:
            try:
                return bool(tokens("The engine", key, url)[0])
            except OSError:
                return False

        until(answers, 30, "an answer through the tunnel")
        # by the directory as well, which is another name of it
        names = [model["id"] for model in request("/v1/models", key, url=url)["data"]]
    assert names[0] == MODEL
    assert names[1].startswith("/home/alice/llmserve/huggingface/hub/")


def test_the_model_is_split_over_both_nodes(cluster: Cluster, served: Run) -> None:
    for machine in ("compute1", "compute2"):
        assert "RayWorkerProc" in cluster.root(machine, "ps -u alice -o args"), f"no rank on {machine}"


def test_a_job_has_the_gpus_that_it_asked_for_though_the_whole_node_is_its_own(cluster: Cluster, served: Run) -> None:
    assert "Ray has 2 of 2 GPUs" in cluster.log()


def test_a_second_run_finds_the_job_and_changes_nothing(cluster: Cluster, served: Run) -> None:
    before = cluster.queue()
    assert cluster.play("serve_slurm").ok().changed == 0
    assert cluster.play("serve_slurm", "--check", "--diff").ok().changed == 0
    assert cluster.queue() == before


def test_another_deployment_of_the_same_name_is_refused(cluster: Cluster, served: Run) -> None:
    before = cluster.login("sha256sum ~/llmserve/llmserve/job.sh")
    run = cluster.play("serve_slurm", slurm_serve_chain=1)
    assert run.rc != 0
    assert "runs or waits with other settings" in run.text
    assert run.changed == 0
    assert cluster.login("sha256sum ~/llmserve/llmserve/job.sh") == before


def test_status_shows_the_job(cluster: Cluster, served: Run) -> None:
    run = cluster.play("status").ok()
    for word in ("RUNNING: it runs", "on compute[1-2], until", f"Answer yes, {MODEL}"):
        assert word in run.text, run.output
    assert run.changed == 0


def test_no_secret_shows(cluster: Cluster, served: Run, key: str) -> None:
    ray_token = cluster.login("cat ~/llmserve/llmserve/ray_token")
    assert len(ray_token) == 64
    number = cluster.endpoint()["job_id"]
    shown = served.output + cluster.root("login", f"scontrol show job -dd {number}; squeue --format=%all")
    shown += cluster.login(
        f"cat ~/llmserve/llmserve/job.sh ~/llmserve/llmserve/logs/*; scontrol write batch_script {number} -"
    )
    shown += "".join(cluster.root(machine, "ps axww -o args") for machine in MACHINES)
    for secret in (key, ray_token, "hf_sandbox"):
        assert secret not in shown
    modes = cluster.login(
        "stat -c '%a %U' ~/llmserve/llmserve ~/llmserve/llmserve/api_key ~/llmserve/llmserve/ray_token"
    )
    assert modes.splitlines() == ["700 alice", "600 alice", "600 alice"]
    assert cluster.root("login", "su bob -c 'ls /home/alice/llmserve/llmserve' 2>&1 || true").endswith(
        "Permission denied"
    )


def test_what_is_written_lies_in_the_users_directories(cluster: Cluster, served: Run) -> None:
    """But for the temporary directory of the job, which goes with it, and for what Slurm itself keeps of it."""
    find = "find / -xdev -user alice"
    for place in ("/proc/*", "/home/*", "/tmp/ls-*", "/var/lib/slurm/node/*"):
        find += f" -not -path '{place}'"
    find += " 2> /dev/null || true"
    for machine in MACHINES:
        assert cluster.root(machine, find) == "", machine


def test_stop_leaves_nothing(cluster: Cluster, served: Run) -> None:
    assert cluster.play("stop").ok().changed > 0
    nothing_is_left(cluster)
    assert cluster.login("test -e ~/llmserve/llmserve/endpoint.json && echo there || true") == ""
    assert cluster.play("stop").ok().changed == 0
    assert "CANCELLED: it was cancelled" in cluster.play("status").ok().text


def test_a_node_drained_while_the_job_waits(cluster: Cluster) -> None:
    cluster.root("login", "scontrol update nodename=compute2 state=drain reason=fans")
    try:
        run = cluster.play("serve_slurm", slurm_serve_wait_timeout=15)
        assert run.rc != 0
        assert "Down or drained at the moment, so that a job may wait longer: compute2" in run.text
        assert "nodes that it could have are down, drained or reserved" in run.text
        assert "The job goes on: run the playbook again to wait on." in run.text
        assert [state for _number, state in cluster.queue()] == ["PENDING"]
    finally:
        cluster.play("stop").ok()
        cluster.root("login", "scontrol update nodename=compute2 state=resume")


@pytest.mark.long
def test_a_quota_that_is_full_is_waited_for_and_one_that_is_too_small_is_not(cluster: Cluster) -> None:
    own = cluster.login(
        "sbatch --parsable --account=research --qos=pair --gres=gpu:1 --output=/dev/null --wrap='sleep 600'"
    )
    try:
        run = cluster.play(
            "serve_slurm", slurm_serve_qos="pair", slurm_serve_exclusive=False, slurm_serve_wait_timeout=15
        )
        assert run.rc != 0
        assert "your quota is full: it starts when other jobs of yours" in run.text
        assert (int(own), "RUNNING") in cluster.queue()
    finally:
        cluster.play("stop").ok()
        cluster.login(f"scancel {own}")
    run = cluster.play("serve_slurm", slurm_serve_qos="single", slurm_serve_exclusive=False)
    assert run.rc != 0
    assert "it alone asks for more than the limit of one job" in run.text
    until(lambda: cluster.queue() == [], 30, "a job that never starts is cancelled")


@pytest.mark.long
def test_a_full_disk_is_told_before_a_job_is_submitted(cluster: Cluster) -> None:
    """A file system of two megabytes, as if it were a quota."""
    cluster.root(
        "login", "install -d -o alice ~alice/small && mount -t tmpfs -o size=2m,uid=alice,mode=700 none ~alice/small"
    )
    try:
        run = cluster.play("serve_slurm", llmserve_hf_home="/home/alice/small/huggingface")
        assert run.rc != 0
        assert "/home/alice/small" in run.text
        assert re.search(r"free|No space left", run.text), run.output
        cluster.login("head -c 4M /dev/zero > ~/small/filler 2> /dev/null || true")
        run = cluster.play(
            "serve_slurm",
            llmserve_dir="/home/alice/small",
            llmserve_hf_home="/home/alice/llmserve/huggingface",
            hf_model_venv="/home/alice/llmserve/venv-hub",
        )
        assert run.rc != 0
        assert "No space left on device" in run.text
        assert cluster.queue() == []
    finally:
        cluster.root("login", "umount ~alice/small && rmdir ~alice/small")


@pytest.mark.long
def test_ranks_of_vllm_without_ray(cluster: Cluster) -> None:
    cluster.play("serve_slurm", llmserve_executor="mp").ok()
    for machine, words in (("compute1", "--node-rank 0"), ("compute2", "--node-rank 1")):
        shown = cluster.root(machine, "ps -u alice -o args")
        assert words in shown
        assert "raylet" not in shown
    assert cluster.play("serve_slurm", llmserve_executor="mp").ok().changed == 0


@pytest.mark.long
def test_a_node_that_is_lost_ends_the_job_and_the_next_run_serves_again(cluster: Cluster) -> None:
    """A rank of vLLM's own mode: nobody but Slurm notices before the next request."""
    number = cluster.endpoint()["job_id"]
    cluster.operator.command("docker", "kill", cluster.container("compute2")).ok()
    try:
        until(lambda: cluster.queue() == [], 120, "the job has ended")
        assert cluster.play("status").ok().changed == 0
        until(lambda: not cluster.left("compute1", "alice"), 30, "nothing left on the other node")
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


@pytest.mark.long
def test_a_job_cancelled_while_it_loads(cluster: Cluster) -> None:
    with cluster.playing("serve_slurm") as running:
        until(lambda: cluster.queue() and cluster.queue()[0][1] == "RUNNING", 120, "the job runs")
        until(lambda: re.search("Ray has 2 of 2 GPUs|Loading safetensors", cluster.log()), 120, "it loads")
        cluster.login("scancel --name=llmserve")
        run = running()
    assert run.rc != 0
    assert "it was cancelled" in run.text
    nothing_is_left(cluster)


@pytest.mark.long
def test_two_users_share_a_node(cluster: Cluster) -> None:
    cluster.play("serve_slurm", **SHARED).ok()
    cluster.play("serve_slurm", ansible_user="bob", **SHARED).ok()
    endpoints = [cluster.endpoint(user) for user in ("alice", "bob")]
    assert [endpoint["node"] for endpoint in endpoints] == ["compute1", "compute1"]
    ports = [endpoint["port"] for endpoint in endpoints]
    assert abs(ports[0] - ports[1]) >= 16
    for user, endpoint in zip(("alice", "bob"), endpoints, strict=True):
        own = cluster.root("login", f"cat /home/{user}/llmserve/llmserve/api_key")
        assert tokens("hello", own, endpoint["url"])[0]
    cluster.play("stop").ok()
    nothing_is_left(cluster)
    assert tokens("hello", own, endpoint["url"])[0], "what bob serves was not alice's to stop"
    cluster.play("stop", ansible_user="bob").ok()
    nothing_is_left(cluster, "bob")


@pytest.mark.long
def test_at_the_time_limit_the_next_job_of_the_chain_takes_over(cluster: Cluster) -> None:
    chain = {
        **SHARED,
        "slurm_serve_time": "00:07:00",
        "slurm_serve_chain": 1,
        "slurm_serve_chain_lead": 240,
        "slurm_serve_drain_timeout": 20,
        "slurm_serve_stop_timeout": 10,
    }
    cluster.play("serve_slurm", **chain).ok()
    first = cluster.endpoint()
    assert cluster.queue() == [(first["job_id"], "RUNNING"), (first["job_id"] + 1, "PENDING")]
    assert cluster.play("serve_slurm", **chain).ok().changed == 0
    key = cluster.login("cat ~/llmserve/llmserve/api_key")
    until(lambda: cluster.endpoint().get("job_id") == first["job_id"] + 1, 400, "the next job serves")
    assert tokens("hello", key, first["url"])[0], "the one before it serves on until it is drained"
    until(lambda: cluster.queue() == [(first["job_id"] + 1, "RUNNING")], 400, "the first job has ended")
    ended = cluster.login(f"scontrol show job {first['job_id']}")
    assert "JobState=COMPLETED" in ended
    log = cluster.log(first["job_id"])
    assert "the time limit is near: draining" in log
    assert "drained" in log.splitlines()[-1] or "drained" in log
    assert tokens("hello", key, cluster.endpoint()["url"])[0]
    cluster.play("stop").ok()
    nothing_is_left(cluster)


@pytest.mark.long
def test_a_failing_engine_is_explained(cluster: Cluster) -> None:
    run = cluster.play("serve_slurm", llmserve_engine_args={"max_model_len": 999999})
    assert run.rc != 0
    assert "999999" in run.text
    assert "it has ended as FAILED with exit code 1" in run.text
    assert "max_model_len" in run.text
    assert "CAUSE: " in cluster.log()
    nothing_is_left(cluster)
    assert cluster.endpoint() == {}
