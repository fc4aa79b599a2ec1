# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter llmserve.vllm.cluster_problems."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.llmserve.vllm.plugins.filter.cluster_problems import FilterModule

FILTER = FilterModule().filters()["cluster_problems"]


def test_problems_come_with_their_host() -> None:
    nodes = [{"name": "a", "node_ip": "10.0.0.1", "gpus": []}, {"name": "b", "node_ip": "10.0.0.1", "gpus": []}]
    assert FILTER(nodes) == [
        {
            "host": "b",
            "check": "duplicate_node_ip",
            "problem": "llmserve_node_ip 10.0.0.1 is also that of a.",
            "mend": "Set llmserve_node_ip to an address of its own for every host (host_vars, not group_vars).",
        }
    ]


@pytest.mark.parametrize("nodes", [{"name": "a"}, ["a"], [{"node_ip": "10.0.0.1"}], None])
def test_other_input_is_refused(nodes: object) -> None:
    with pytest.raises(AnsibleFilterError, match="a list of dictionaries with a name each"):
        FILTER(nodes)


def test_versions_inside_the_images_are_compared_package_by_package() -> None:
    found = FILTER(
        [
            {"name": "n1", "versions": {"vllm": "0.33.0", "ray": "2.56.1"}},
            {"name": "n2", "versions": {"vllm": "0.33.0", "ray": "2.56.1"}},
            {"name": "n3", "versions": {"vllm": "0.33.0", "ray": ""}},
        ]
    )
    assert [(item["host"], item["check"]) for item in found] == [("n3", "image_versions")]
    assert "ray missing" in found[0]["problem"]
    assert "ray 2.56.1" in found[0]["problem"]
