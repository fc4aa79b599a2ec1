# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The network between the nodes: measured once, and chosen by each host for itself.

The tests build on each other, in this order.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.e2e.conftest import Operator, Run
from tests.e2e.test_2_serving import request

# What holds for one host alone, for both with different values, and what only the other has no value for.
OWN = {
    "node1": {
        "NCCL_SOCKET_IFNAME": "eth0",
        "GLOO_SOCKET_IFNAME": "eth0",
        "NCCL_IB_HCA": "=mlx5_1,mlx5_2",
        "NCCL_IB_GID_INDEX": "3",
        "HF_HOME": "/mnt/one",
    },
    "node2": {"NCCL_SOCKET_IFNAME": "=eth0", "GLOO_SOCKET_IFNAME": "eth0", "HF_HOME": "/mnt/two"},
}
# vLLM lets an operator add a class to its workers: the only one who can say what their environment has become.
MODULE_DIR = "/var/lib/llmserve/cache/vllm"
MODULE = "import os\nclass OwnEnvironment:\n    def own_environment(self):\n        return dict(os.environ)\n"
IN_CONTAINER = {"PYTHONPATH": "/root/.cache/vllm"}


def by_host(values: dict[str, dict[str, str]]) -> str:
    """A template with one host's values."""
    return f"{{{{ {values!r}[inventory_hostname] }}}}"


def serve(sandbox: Operator, **variables: Any) -> Run:
    return sandbox.playbook("serve_405b", "-e", json.dumps(variables))


@pytest.fixture(scope="module")
def stopped(sandbox: Operator) -> Operator:
    sandbox.playbook("stop", "-e", "purge=true", "-e", "purge_verified=true").ok()
    return sandbox


@pytest.fixture(scope="module")
def served(stopped: Operator) -> Run:
    for host in OWN:
        path = f"{MODULE_DIR}/llmserve_own_environment.py"
        stopped.on(host, f"mkdir -p {MODULE_DIR} && printf '{MODULE}' > {path}".replace("\n", "\\n"))
    return serve(stopped, **with_own_values()).ok()


def with_own_values() -> dict[str, Any]:
    extension = "llmserve_own_environment.OwnEnvironment"
    return {
        "llmserve_environment": by_host(OWN),
        # cards that the nodes have not got
        "preflight_checks": {"network_override": {"severity": "off", "reason": "a test of the way, not of the cards"}},
        "llmserve_engine_args": {"max_model_len": 1024, "worker_extension_cls": extension},
        "ray_node_env": IN_CONTAINER,
        "vllm_serve_env": {**IN_CONTAINER, "VLLM_SERVER_DEV_MODE": "1", "LLMSERVE_OF_THE_ENGINE": "1"},
    }


def test_the_network_is_measured_and_reported(served: Run) -> None:
    assert "Network all-reduce over 2 nodes: gloo over eth0" in served.text


@pytest.fixture(scope="module")
def workers(stopped: Operator, served: Run) -> dict[str, dict[str, str]]:
    """The environments of vLLM's worker processes, Ray actors, as they see them, by address."""
    key = stopped.on("node1", "cat /etc/llmserve/api_key")
    answer = request("/collective_rpc", key, {"method": "own_environment"})
    return {environment["VLLM_HOST_IP"]: environment for environment in answer["results"]}


def test_every_worker_has_the_values_of_its_host(stopped: Operator, workers: dict[str, dict[str, str]]) -> None:
    assert len(workers) == len(OWN)
    for host, own in OWN.items():
        seen = workers[stopped.hostvars(host)["ansible_host"]]
        names = {name for values in OWN.values() for name in values}
        assert {name: seen[name] for name in names if name in seen} == own


def test_what_is_said_of_the_engine_still_reaches_all_workers(workers: dict[str, dict[str, str]]) -> None:
    assert [seen["LLMSERVE_OF_THE_ENGINE"] for seen in workers.values()] == ["1", "1"]


def test_no_worker_has_the_key_of_the_api(workers: dict[str, dict[str, str]]) -> None:
    for seen in workers.values():
        assert not {"VLLM_API_KEY", "HF_TOKEN"} & set(seen)


def test_a_second_run_measures_nothing_and_changes_nothing(stopped: Operator, served: Run) -> None:
    run = serve(stopped, **with_own_values()).ok()
    assert run.changed == 0
    assert "Network not measured, the deployment is running" in run.text


def test_an_engine_is_never_disturbed(stopped: Operator, served: Run) -> None:
    started = stopped.on("node1", "docker inspect -f '{{.State.StartedAt}}' llmserve-vllm")
    run = serve(stopped, preflight_nccl="always", **with_own_values())
    assert run.rc != 0
    assert "an engine holds the GPUs (node1: llmserve-vllm)" in run.text
    assert stopped.on("node1", "docker inspect -f '{{.State.StartedAt}}' llmserve-vllm") == started


def test_the_list_of_what_is_not_copied_is_readable_and_complete(stopped: Operator, served: Run) -> None:
    names = json.loads(stopped.on("node1", "cat /etc/llmserve/vllm/ray_non_carry_over_env_vars.json"))
    assert {*OWN["node1"], *IN_CONTAINER, "VLLM_API_KEY", "VLLM_HOST_IP"} <= set(names)
    stopped.playbook("stop", "-e", "purge=true", "-e", "purge_verified=true").ok()
