# SPDX-License-Identifier: GPL-3.0-or-later
"""What has to go when the executor changes."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.llmserve.vllm.plugins.filter.stale_containers import FilterModule

FILTER = FilterModule().filters()["stale_containers"]


def container(component: str, executor: str = "") -> dict[str, Any]:
    labels = {"llmserve.cluster": "llmserve", "llmserve.component": component}
    if executor:
        labels["llmserve.executor"] = executor
    return {"Names": [f"/llmserve-{component.replace('_', '-')}"], "Labels": labels}


FOREIGN: list[dict[str, Any]] = [
    {"Names": ["/other"], "Labels": {"llmserve.component": "gateway"}},
    {"Names": ["/bare"], "Labels": None},
    {"Names": None, "Labels": {"llmserve.component": "vllm"}},
]


@pytest.mark.parametrize(
    ("there", "executor", "wanted", "gone"),
    [
        # from Ray to mp, on the head and on a worker: the engine goes first
        ([("ray_head", ""), ("vllm", "ray")], "mp", ["vllm"], ["vllm", "ray_head"]),
        ([("ray_worker", "")], "mp", ["vllm_headless"], ["ray_worker"]),
        # an engine from before executors had labels is one of Ray's
        ([("vllm", "")], "mp", ["vllm"], ["vllm"]),
        # and back
        ([("vllm", "mp")], "ray", ["vllm", "ray_head"], ["vllm"]),
        ([("vllm_headless", "mp")], "ray", ["ray_worker"], ["vllm_headless"]),
        # what is right stays
        ([("vllm", "ray"), ("ray_head", "")], "ray", ["vllm", "ray_head"], []),
        ([("vllm", "")], "ray", ["vllm", "ray_head"], []),
        ([("vllm", "mp")], "mp", ["vllm"], []),
        # a host that has become another one of the same deployment, or is no longer needed
        ([("vllm", "mp")], "mp", ["vllm_headless"], ["vllm"]),
        ([("vllm_headless", "mp")], "mp", [], ["vllm_headless"]),
        ([("ray_worker", ""), ("nccl_check", "")], "ray", ["vllm", "ray_head"], ["ray_worker"]),
    ],
)
def test_what_goes_and_in_which_order(
    there: list[tuple[str, str]], executor: str, wanted: list[str], gone: list[str]
) -> None:
    found = FILTER([*FOREIGN, *(container(*item) for item in there)], executor, wanted)
    assert [item["component"] for item in found] == gone
    assert [item["name"] for item in found] == [f"llmserve-{name.replace('_', '-')}" for name in gone]


def test_it_wants_a_list() -> None:
    with pytest.raises(AnsibleFilterError, match="docker_host_info"):
        FILTER("x", "mp", [])


def unit(component: str, executor: str) -> dict[str, Any]:
    name = f"llmserve-{component.replace('_', '-')}"
    return {"name": name, "component": component, "executor": executor, "runtime": "venv", "status": "running"}


@pytest.mark.parametrize(
    ("there", "executor", "runtime", "wanted", "gone"),
    [
        # from containers to units, and back
        ([container("vllm", "mp")], "mp", "venv", ["vllm"], ["vllm"]),
        ([unit("vllm", "mp")], "mp", "docker", ["vllm"], ["vllm"]),
        ([unit("ray_head", "ray"), container("vllm", "ray")], "ray", "venv", ["vllm", "ray_head"], ["vllm"]),
        # another executor in the same runtime
        ([unit("ray_head", "ray"), unit("vllm", "ray")], "mp", "venv", ["vllm"], ["vllm", "ray_head"]),
        ([unit("ray_worker", "ray")], "mp", "venv", ["vllm_headless"], ["ray_worker"]),
        # what is right stays
        ([unit("vllm", "ray"), unit("ray_head", "ray")], "ray", "venv", ["vllm", "ray_head"], []),
        ([unit("vllm_headless", "mp")], "mp", "venv", ["vllm_headless"], []),
    ],
)
def test_another_runtime_leaves_nothing(
    there: list[dict[str, Any]], executor: str, runtime: str, wanted: list[str], gone: list[str]
) -> None:
    found = FILTER([*there, *FOREIGN], executor, wanted, runtime)
    assert [item["component"] for item in found] == gone


def test_why_names_the_runtime_that_it_was_made_for() -> None:
    assert FILTER([unit("vllm", "mp")], "mp", ["vllm"])[0] == {
        "name": "llmserve-vllm",
        "component": "vllm",
        "runtime": "venv",
        "why": "made for the runtime venv",
    }
