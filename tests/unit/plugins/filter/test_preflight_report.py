# SPDX-License-Identifier: GPL-3.0-or-later
"""The filters llmserve.vllm.preflight_report and preflight_table."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.llmserve.vllm.plugins.filter import preflight_report, preflight_table
from ansible_collections.llmserve.vllm.tests.preflight.cluster import healthy

REPORT = preflight_report.FilterModule().filters()["preflight_report"]
TABLE = preflight_table.FilterModule().filters()["preflight_table"]


def test_a_good_cluster() -> None:
    picture = healthy()
    report = REPORT(picture.nodes, picture.wishes, picture.plan)
    assert (report["rows"], report["errors"], report["warnings"], report["off"]) == ([], 0, 0, [])
    assert report["hosts"] == ["node-001", "node-002"]
    assert report["network"]["node-002"]["env"]["NCCL_SOCKET_IFNAME"] == "bond0"
    assert TABLE(report) == "Preflight on 2 hosts: no problems."
    assert "Network of all 2: NCCL_SOCKET_IFNAME=bond0" in TABLE(report, network=True)


def test_nodes_of_which_only_the_name_is_known() -> None:
    assert REPORT([{"name": "a"}, {"name": "b"}])["rows"] == []


@pytest.mark.parametrize("nodes", [{"name": "a"}, ["a"], [{"facts": {}}], None])
def test_other_input_is_refused(nodes: Any) -> None:
    with pytest.raises(AnsibleFilterError, match="a list of dictionaries with a name each"):
        REPORT(nodes)


def test_settings_that_cannot_be_are_refused() -> None:
    with pytest.raises(AnsibleFilterError, match="did you mean clock"):
        REPORT([], checks={"clok": "off"})
    with pytest.raises(AnsibleFilterError, match="needs the report"):
        TABLE([])
