# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One variable changes what holds the nodes together, and nothing of the other is left behind.

The tests build on each other, in this order.
"""

from __future__ import annotations

import json
import time

import pytest

from tests.e2e.conftest import Operator, Run
from tests.e2e.test_2_serving import PROMPTS, tokens, wait_until_answers

pytestmark = pytest.mark.long
# A rank that was lost is noticed by the request after it, after so many seconds.
MP = ("-e", "llmserve_executor=mp", "-e", "vllm_serve_execute_timeout=20")
# The model fits on one of the two nodes.
ONE = (*MP, "-e", "llmserve_strategy=fit")
OURS = "docker ps -a --filter label=llmserve.cluster=llmserve --format '{{.Names}}' | sort | xargs"
ON_RAY = {"node1": "llmserve-ray-head llmserve-vllm", "node2": "llmserve-ray-worker"}
ON_MP = {"node1": "llmserve-vllm", "node2": "llmserve-vllm-headless"}
ON_ONE = {"node1": "llmserve-vllm", "node2": ""}
BROKEN = "{{ {'PYTHONHOME': '/nowhere'} if inventory_hostname == 'node2' else {} }}"


def containers(sandbox: Operator) -> dict[str, str]:
    return {host: sandbox.on(host, OURS) for host in ("node1", "node2")}


def processes(sandbox: Operator, name: str) -> dict[str, int]:
    """How many processes of this name run on each node, in whichever container."""
    script = f"ps axo args | grep -c '[{name[0]}]{name[1:]}' || true"
    return {host: int(sandbox.on(host, script)) for host in ("node1", "node2")}


def answers(key: str) -> list[tuple[str, list[str]]]:
    return [tokens(prompt, key) for prompt in PROMPTS]


@pytest.fixture(scope="module")
def on_ray(sandbox: Operator) -> Run:
    return sandbox.playbook("serve").ok()


@pytest.fixture(scope="module")
def key(sandbox: Operator, on_ray: Run) -> str:
    return sandbox.on("node1", "cat /etc/llmserve/api_key")


@pytest.fixture(scope="module")
def by_ray(sandbox: Operator, key: str) -> list[tuple[str, list[str]]]:
    """What Ray's two stages answer."""
    return answers(key)


def test_ray_with_a_stage_on_each_node(sandbox: Operator, on_ray: Run, by_ray: list[tuple[str, list[str]]]) -> None:
    assert containers(sandbox) == ON_RAY
    assert all(text for text, _tokens in by_ray)
    sandbox.playbook("serve").unchanged()


def test_check_mode_shows_what_a_change_of_the_executor_would_do(sandbox: Operator, by_ray: object) -> None:
    run = sandbox.playbook("serve", "--check", *MP).ok()
    assert run.changed > 0
    assert "llmserve-ray-worker: not wanted here with the executor mp" in run.text
    assert containers(sandbox) == ON_RAY


def test_from_ray_to_ranks_of_vllm(sandbox: Operator, key: str, by_ray: list[tuple[str, list[str]]]) -> None:
    run = sandbox.playbook("serve", *MP).ok()
    assert run.changed > 0
    assert "Ray " not in run.output.rpartition("Plan ")[2].partition("Endpoint")[0]
    assert containers(sandbox) == ON_MP
    for name in ("raylet", "gcs_server", "ray::"):
        assert processes(sandbox, name) == {"node1": 0, "node2": 0}, name
    assert sandbox.on("node1", "cat /etc/llmserve/api_key") == key
    assert answers(key) == by_ray


def test_a_second_run_changes_nothing(sandbox: Operator, key: str) -> None:
    sandbox.playbook("serve", *MP).unchanged()
    sandbox.playbook("serve", "--check", "--diff", *MP).unchanged()
    assert containers(sandbox) == ON_MP


def test_status_shows_the_ranks_and_no_ray(sandbox: Operator, key: str) -> None:
    run = sandbox.playbook("status", *MP).ok()
    assert "llmserve-vllm-headless" in run.text
    assert "Answer" in run.text
    assert run.changed == 0


def test_the_key_is_where_the_api_is(sandbox: Operator, key: str) -> None:
    shown = sandbox.on("node2", "docker inspect llmserve-vllm-headless")
    assert "api_key" not in shown
    assert key not in shown + sandbox.on("node1", "docker inspect llmserve-vllm; ps axww -o args")


def test_ports_of_ray_are_looked_at_with_ray_alone(sandbox: Operator, key: str) -> None:
    sandbox.on("node2", "systemd-run --unit foreign python3 -m http.server 6380 && sleep 2")
    try:
        sandbox.playbook("serve", *MP).unchanged()
        refused = sandbox.playbook("serve")
        assert refused.rc != 0
        assert "6380" in refused.text
        assert containers(sandbox) == ON_MP
    finally:
        sandbox.on("node2", "systemctl stop foreign")


def test_a_rank_that_dies_while_loading_ends_the_wait_of_all(sandbox: Operator, key: str) -> None:
    begin = time.monotonic()
    run = sandbox.playbook("serve", *MP, "-e", json.dumps({"vllm_serve_env": BROKEN}))
    seconds = time.monotonic() - begin
    assert run.rc != 0
    assert "llmserve-vllm-headless died" in run.text or "llmserve-vllm-headless is not running" in run.text
    assert "all hosts of the group are needed. node2:" in run.text
    assert seconds < 240, f"{seconds:.0f} s until the end"
    for host, name in ON_MP.items():
        state = sandbox.on(host, f"docker inspect -f '{{{{.State.Status}}}}' {name}")
        assert state == "exited", f"{name} on {host} is {state}"


def test_the_next_good_run_starts_all_ranks(sandbox: Operator, key: str) -> None:
    sandbox.playbook("serve", *MP).ok()
    assert tokens("hello", key)[0]
    sandbox.playbook("serve", *MP).unchanged()


def test_a_rank_that_was_stopped_brings_all_of_them_anew(sandbox: Operator, key: str) -> None:
    sandbox.on("node2", "docker stop -t 5 llmserve-vllm-headless")
    run = sandbox.playbook("serve", *MP).ok()
    assert run.changed > 0
    assert tokens("hello", key)[0]
    assert containers(sandbox) == ON_MP


def test_it_comes_back_after_the_reboot_of_a_rank(sandbox: Operator, key: str) -> None:
    sandbox.command("docker", "restart", "llmserve-sandbox-node2").ok()
    # the first request is the one that notices
    print(f"answers again after {wait_until_answers(key, 600):.0f} s")
    sandbox.playbook("serve", *MP).unchanged()


def test_one_node_needs_no_ranks(sandbox: Operator, key: str, by_ray: list[tuple[str, list[str]]]) -> None:
    run = sandbox.playbook("serve", *ONE).ok()
    assert "1 nodes, 1 GPUs" in run.text
    assert containers(sandbox) == ON_ONE
    arguments = json.loads(sandbox.on("node1", "docker inspect -f 'x{{json .Args}}' llmserve-vllm").removeprefix("x"))
    assert "--nnodes" not in arguments
    assert arguments[arguments.index("--distributed-executor-backend") + 1] == "mp"
    assert answers(key) == by_ray
    sandbox.playbook("serve", *ONE).unchanged()


def test_back_to_ray(sandbox: Operator, key: str, by_ray: list[tuple[str, list[str]]]) -> None:
    sandbox.playbook("serve", *MP).ok()
    sandbox.playbook("serve").ok()
    assert containers(sandbox) == ON_RAY
    assert answers(key) == by_ray
    sandbox.playbook("serve").unchanged()


def test_ray_with_every_layer_on_both_nodes(sandbox: Operator, key: str) -> None:
    split = ("-e", "llmserve_tensor_parallel_size=2", "-e", "llmserve_pipeline_parallel_size=1")
    run = sandbox.playbook("serve", *split).ok()
    assert "tensor parallel 2 x pipeline parallel 1, 2 nodes, 2 GPUs" in run.text
    assert containers(sandbox) == ON_RAY
    assert all(text for text, _tokens in answers(key))
    sandbox.playbook("serve", *split).unchanged()


def test_stop_knows_both(sandbox: Operator, key: str) -> None:
    sandbox.playbook("serve", *MP).ok()
    sandbox.playbook("stop", "-e", "purge=true", "-e", "purge_verified=true").ok()
    assert containers(sandbox) == {"node1": "", "node2": ""}
    sandbox.playbook("stop").unchanged()
