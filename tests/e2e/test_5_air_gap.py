# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A bundle is saved, the way out is cut, and the nodes serve from the bundle alone.

The tests build on each other, in this order.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.e2e.conftest import Operator, Run
from tests.e2e.test_2_serving import MODEL, tokens

BUNDLE = "/srv/bundle"
# Without Ray, as the official image: that the derived one is in the bundle, too, is a part of the test.
STOCK, DERIVED = "vllm/vllm-openai:v0.32.0-noray", "llmserve/vllm-openai:v0.32.0-noray-ray2.56.1"
SERVICES = ("hub", "registry")
# The sandbox's package index knows one Python, and nothing that only older ones need.
WITH_BUNDLE = [
    "-e",
    json.dumps(
        {
            "llmserve_bundle": BUNDLE,
            "llmserve_image": STOCK,
            "bundle_python_versions": ["3.11"],
            "bundle_more_wheels": ["typing_extensions"],
        }
    ),
]
BLOBS = f"{BUNDLE}/hub/models--sandbox--tiny-llama-instruct/blobs"


@pytest.fixture(scope="module")
def services(sandbox: Operator) -> list[str]:
    """Names of the containers that stand for the outside."""
    name = sandbox.hostvars("node1").get("sandbox_name", "llmserve-sandbox")
    return [f"{name}-{service}" for service in SERVICES]


@pytest.fixture(scope="module")
def saved(sandbox: Operator) -> Run:
    sandbox.playbook("stop", "-e", "purge=true", "-e", "purge_verified=true").ok()
    return sandbox.playbook("bundle", *WITH_BUNDLE, timeout=1800).ok()


@pytest.fixture(scope="module")
def cut_off(sandbox: Operator, saved: Run, services: list[str]) -> Iterator[Operator]:
    """Nodes without images, models and packages, and without a way to get them."""
    sandbox.on(
        "llm_nodes",
        "docker ps -aq | xargs -r docker rm -f; docker image prune -af; docker images -q | xargs -r docker rmi -f;"
        " rm -rf /var/lib/llmserve /root/.cache/pip; ip route show default > /run/way_out; ip route del default",
    )
    sandbox.command("docker", "stop", "--time", "1", *services).ok()
    yield sandbox
    sandbox.command("docker", "start", *services).ok()
    sandbox.on("llm_nodes", "ip route replace $(cat /run/way_out)")


def test_a_second_save_changes_nothing(sandbox: Operator, saved: Run) -> None:
    assert f"{BUNDLE} on node1" in saved.text
    sandbox.playbook("bundle", *WITH_BUNDLE).unchanged()
    sandbox.playbook("bundle", *WITH_BUNDLE, "--check").unchanged()


def test_sha256sum_finds_it_whole_and_no_secret_in_it(sandbox: Operator, saved: Run) -> None:
    assert sandbox.on("node1", f"cd {BUNDLE} && sha256sum --check --strict --quiet SHA256SUMS && echo whole") == "whole"
    # put together in a pipe: the journal keeps the commands of sudo
    search = f"printf %s%s hf_sand box | grep -rlF -f - {BUNDLE} --include='*.json' --include='*.log'; true"
    assert sandbox.on("node1", search) == ""
    assert sandbox.on("node1", f"find {BUNDLE} -name '*.incomplete' -o -name '*.partial'") == ""


def test_a_bundle_for_another_model_is_refused(cut_off: Operator) -> None:
    run = cut_off.playbook("serve_405b", *WITH_BUNDLE, "-e", "llmserve_model=sandbox/odd-heads")
    assert run.rc != 0
    assert f"It holds the model {MODEL}, and llmserve_model is sandbox/odd-heads" in run.text
    assert run.changed == 0


def test_a_damaged_bundle_is_refused(cut_off: Operator) -> None:
    weights = cut_off.on("node1", f"ls -S {BLOBS} | head -1")
    # one byte of the largest file, which keeps its size
    spoil = f"printf x | dd of={BLOBS}/{weights} seek=5000 bs=1 conv=notrunc"
    cut_off.on("node1", f"cp -p {BLOBS}/{weights} /srv/kept; {spoil}")
    run = cut_off.playbook("serve_405b", *WITH_BUNDLE)
    assert run.rc != 0
    assert f"{weights} has another content than SHA256SUMS says" in run.text
    cut_off.on("node1", f"truncate -s 5000 {BLOBS}/{weights}")
    run = cut_off.playbook("serve_405b", *WITH_BUNDLE)
    assert run.rc != 0
    assert f"{weights} has 5000 bytes instead of" in run.text
    cut_off.on("node1", f"mv /srv/kept {BLOBS}/{weights}")
    assert run.changed == 0


def test_the_plan_is_made_from_the_bundle_and_leaves_nothing_behind(cut_off: Operator) -> None:
    run = cut_off.playbook("plan", *WITH_BUNDLE, "-e", "plan_output_dir=/tmp").ok()
    assert "FITS" in run.text
    assert "tensor_parallel_size=1" in run.text
    assert cut_off.on("node1", "ss -Hltn 'sport = :29601'") == ""
    for host in ("node1", "node2"):
        assert cut_off.on(host, "ls /var/lib/llmserve 2>/dev/null; true") == ""


def test_it_is_served_from_the_bundle(cut_off: Operator) -> None:
    run = cut_off.playbook("serve_405b", *WITH_BUNDLE, timeout=1800).ok()
    assert "Answer" in run.text
    assert tokens("hello", cut_off.on("node1", "cat /etc/llmserve/api_key"))[0]
    for host in ("node1", "node2"):
        assert "RayWorkerProc" in cut_off.on(host, "ps axo args"), f"no rank on {host}"
        images = cut_off.on(host, "docker images --format '{{.Repository}}:{{.Tag}}'").split()
        assert {STOCK, DERIVED} <= set(images)


def test_nothing_was_built_and_the_image_is_not_there_twice(cut_off: Operator) -> None:
    built = {cut_off.on(host, f"docker image inspect -f '{{{{.Id}}}}' {DERIVED}") for host in ("node1", "node2")}
    assert len(built) == 1, "each node has built its own"
    files = "find /var/lib/llmserve/huggingface/hub/models--llmserve--image -type f -size +1M 2>/dev/null; true"
    assert cut_off.on("node2", files) == ""


def test_the_mirror_is_gone(cut_off: Operator) -> None:
    for host in ("node1", "node2"):
        assert cut_off.on(host, "ss -Hltn 'sport = :29601 or sport = :29600'") == ""


def test_a_second_run_changes_nothing(cut_off: Operator) -> None:
    cut_off.playbook("serve_405b", *WITH_BUNDLE).unchanged()
    cut_off.playbook("serve_405b", *WITH_BUNDLE, "--check").unchanged()


def test_what_was_served_is_removed(cut_off: Operator) -> None:
    cut_off.playbook("stop", *WITH_BUNDLE, "-e", "purge=true", "-e", "purge_verified=true").ok()
    assert cut_off.on("node2", "docker ps -aq") == ""
    cut_off.on("node1", f"rm -rf {BUNDLE}")
