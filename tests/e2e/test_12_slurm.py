# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""By a job of a real Slurm, as an ordinary user: from the plan to an answer through the tunnel, and back to nothing.

The cluster is a sandbox of its own, beside the ordinary one. The tests build on each other, in this order.
"""

from __future__ import annotations

import re
import shlex
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.e2e.conftest import Run
from tests.e2e.slurm_cluster import (
    LOGIN,
    MACHINES,
    SSH_OPTIONS,
    Cluster,
    cluster,
    nothing_is_left,
    refused_at_the_plan,
    until,
)
from tests.e2e.test_2_serving import MODEL, request, tokens

__all__ = ["cluster"]


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
    refused_at_the_plan(cluster, variables, words)
    assert cluster.queue() == []
    assert cluster.login("ls ~") == ""


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
    cluster.play("serve_slurm").unchanged()
    cluster.play("serve_slurm", "--check", "--diff").unchanged()
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
    places = ("/proc/*", "/home/*", "/tmp/ls-*", "/var/lib/slurm/node/*")
    elsewhere = " ".join(f"-not -path '{place}'" for place in places)
    find = f"find / -xdev -user alice {elsewhere} 2> /dev/null || true"
    for machine in MACHINES:
        assert cluster.root(machine, find) == "", machine


def test_stop_leaves_nothing(cluster: Cluster, served: Run) -> None:
    assert cluster.play("stop").ok().changed > 0
    nothing_is_left(cluster)
    assert cluster.login("test -e ~/llmserve/llmserve/endpoint.json && echo there || true") == ""
    cluster.play("stop").unchanged()
    assert "CANCELLED: it was cancelled" in cluster.play("status").ok().text
