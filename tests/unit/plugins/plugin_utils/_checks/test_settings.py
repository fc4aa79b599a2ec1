# SPDX-License-Identifier: GPL-3.0-or-later
"""How serious a check is."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.llmserve.vllm.plugins.plugin_utils._checks.judge import CHECKS, cluster_from, judge
from ansible_collections.llmserve.vllm.plugins.plugin_utils._checks.settings import Setting, SettingsError, effective
from ansible_collections.llmserve.vllm.tests.preflight.cluster import healthy


def test_usual_and_changed() -> None:
    found = effective({"swap": {"severity": "error"}, "mtu": "warning"}, CHECKS)
    assert (found["swap"], found["mtu"]) == (Setting("error", ""), Setting("warning", ""))
    assert found["clock"] == Setting("error", "")


@pytest.mark.parametrize("off", ["off", False])
def test_off_takes_a_reason(off: Any) -> None:
    assert effective({"swap": {"severity": off, "reason": "lab"}}, CHECKS)["swap"] == Setting("off", "lab")
    for without in ({"severity": off}, {"severity": off, "reason": " "}, off):
        with pytest.raises(SettingsError, match="to switch a check off takes a reason"):
            effective({"swap": without}, CHECKS)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"swpa": "warning"}, "no check 'swpa'; did you mean swap?"),
        ({"colour": "warning"}, "docs/preflight.md lists the names"),
        ({"swap": "fatal"}, "severity is error, warning or off, not 'fatal'"),
        ({"swap": {"severity": "error", "why": "x"}}, "why is not known"),
        (["swap"], "is a dictionary"),
    ],
)
def test_what_cannot_be_done_is_said(settings: Any, words: str) -> None:
    with pytest.raises(SettingsError) as caught:
        effective(settings, CHECKS)
    assert words in str(caught.value)


def test_findings_follow_the_setting() -> None:
    picture = healthy()
    picture.facts()["interfaces"][1]["mtu"] = 1500
    cluster = cluster_from(picture.nodes, **picture.wishes)
    assert [row["severity"] for row in judge(cluster).rows] == ["error"]
    assert [row["severity"] for row in judge(cluster, {"mtu": "warning"}).rows] == ["warning"]
    off = judge(cluster, {"mtu": {"severity": "off", "reason": "jumbo frames end at the router"}})
    assert off.rows == []
    assert off.off == [{"check": "mtu", "reason": "jumbo frames end at the router", "findings": "1"}]
