# SPDX-License-Identifier: GPL-3.0-or-later
"""Every fault is found, by the check that is meant for it and by no other, with what to do about it."""

from __future__ import annotations

import pytest
from ansible_collections.llmserve.vllm.plugins.filter.preflight_report import preflight_report
from ansible_collections.llmserve.vllm.plugins.filter.preflight_table import preflight_table
from ansible_collections.llmserve.vllm.plugins.plugin_utils._checks.judge import CHECKS
from ansible_collections.llmserve.vllm.tests.preflight.cluster import Picture, healthy
from ansible_collections.llmserve.vllm.tests.preflight.fault import Fault
from ansible_collections.llmserve.vllm.tests.preflight.faults import FAULTS


def report(picture: Picture) -> dict[str, object]:
    return preflight_report(picture.nodes, picture.wishes, picture.plan, picture.plan_error)


@pytest.mark.parametrize("fabric", ["infiniband", "roce", "none"])
@pytest.mark.parametrize("hosts", [1, 2, 3, 32])
def test_a_healthy_cluster_raises_nothing(hosts: int, fabric: str) -> None:
    assert report(healthy(hosts, fabric))["rows"] == []


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_is_found_by_its_check_alone(fault: Fault) -> None:
    picture = healthy(fault.hosts, fault.fabric)
    fault.inject(picture)
    found = report(picture)
    rows: list[dict[str, str]] = found["rows"]  # type: ignore[assignment]
    assert {row["check"] for row in rows} == {fault.check}, rows
    assert any(fault.mend in row["mend"] for row in rows), rows
    assert all(row["found"] and row["wanted"] for row in rows)
    text = preflight_table(found, network=True)
    assert max(map(len, text.splitlines())) <= 80, text
    assert fault.check in text


def test_every_check_has_a_fault_and_every_name_is_used_once() -> None:
    names = [check.name for check in CHECKS]
    assert len(names) == len(set(names))
    assert {fault.check for fault in FAULTS} == set(names)
    assert len({fault.name for fault in FAULTS}) == len(FAULTS) >= 40


def test_nothing_of_a_secret_is_shown() -> None:
    picture = healthy()
    picture.wishes["secrets"] = {"llmserve_api_key": "s3cret key"}
    assert "s3cret" not in preflight_table(report(picture)) + str(report(picture))
