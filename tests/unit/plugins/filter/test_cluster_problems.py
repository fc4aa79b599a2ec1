# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter llmserve.vllm.cluster_problems."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.llmserve.vllm.plugins.filter.cluster_problems import FilterModule

FILTER = FilterModule().filters()["cluster_problems"]


def node(name: str, **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "node_ip": f"10.0.0.{name[-1]}",
        "image": "vllm/vllm-openai:v0.33.0",
        "ray_version": "2.56.1",
        "gpus": ["NVIDIA H100 80GB HBM3"] * 8,
        **more,
    }


def test_a_cluster_without_problems() -> None:
    assert FILTER([node("n1"), node("n2")]) == FILTER([]) == []
    assert FILTER([node("n1"), node("n2", ray_version="", image=None, gpus=[])]) == []


def test_duplicate_addresses() -> None:
    found = FILTER([node("n1"), node("n2", node_ip="10.0.0.1"), node("n3", node_ip="10.0.0.1")])
    assert [(item["host"], item["check"]) for item in found] == [
        ("n2", "duplicate_node_ip"),
        ("n3", "duplicate_node_ip"),
    ]
    assert found[0]["problem"] == "llmserve_node_ip 10.0.0.1 is also that of n1; wanted: an address of its own."
    spelt = FILTER([node("n1", node_ip="fd00::1"), node("n2", node_ip="FD00:0::1")])
    assert [item["check"] for item in spelt] == ["duplicate_node_ip"]
    assert FILTER([node("n1", node_ip=""), node("n2", node_ip="")]) == []


@pytest.mark.parametrize(
    ("key", "value", "check", "words"),
    [
        (
            "image",
            "vllm/vllm-openai:v0.32.0",
            "image",
            "image vllm/vllm-openai:v0.32.0; wanted: vllm/vllm-openai:v0.33.0",
        ),
        ("ray_version", "2.60.0", "ray_version", "Ray 2.60.0; wanted: 2.56.1, as n1."),
        ("gpus", [{"name": "H100"}] * 7, "gpu_count", "7 GPUs; wanted: 8, as n1."),
    ],
)
def test_the_host_that_differs_is_named(key: str, value: Any, check: str, words: str) -> None:
    for nodes in ([node("n1"), node("n2"), node("n3", **{key: value})], [node("n1"), node("n3", **{key: value})]):
        found = FILTER(nodes)
        assert [(item["host"], item["check"]) for item in found] == [("n3", check)]
        assert words in found[0]["problem"]
        assert found[0]["mend"]
    odd_first = FILTER([node("n3", **{key: value}), node("n1"), node("n2")])
    assert [item["host"] for item in odd_first] == ["n3"]


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
