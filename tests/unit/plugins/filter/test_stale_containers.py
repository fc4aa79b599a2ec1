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
