# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of findings."""

from __future__ import annotations

from typing import Any

from ansible_collections.llmserve.vllm.plugins.plugin_utils._checks.table import network_lines, table


def row(host: str, check: str = "mtu", severity: str = "error", **more: str) -> dict[str, str]:
    return {
        "host": host,
        "check": check,
        "severity": severity,
        "found": "MTU 1500",
        "wanted": "9000, as n1",
        "mend": "Set one MTU.",
        **more,
    }


def report(*rows: dict[str, str], off: list[dict[str, str]] | None = None) -> dict[str, Any]:
    errors = sum(item["severity"] == "error" for item in rows)
    return {"rows": list(rows), "off": off or [], "errors": errors, "warnings": len(rows) - errors}


def test_one_row_and_its_cure() -> None:
    assert table(report(row("n2")), ["n1", "n2"]).splitlines() == [
        "Preflight on 2 hosts: 1 problem. Nothing has been changed.",
        "=" * 80,
        "HOST  CHECK  FOUND                                 WANTED",
        "-" * 80,
        "n2    mtu    MTU 1500                              9000, as n1",
        "  -> Set one MTU.",
        "=" * 80,
    ]


def test_hosts_with_the_same_finding_share_a_row() -> None:
    everyone = [f"n{number}" for number in range(1, 65)]
    text = table(report(*(row(name) for name in everyone)), everyone)
    assert len(text.splitlines()) == 7
    assert "all 64" in text
    assert "n1\nn2\n+4" in "\n".join(
        line.split(" ")[0] for line in table(report(*(row(name) for name in everyone[:6])), everyone).splitlines()
    )


def test_warnings_come_after_what_stops_the_run() -> None:
    lines = table(report(row("n1"), row("n1", "swap", "warning")), ["n1"]).splitlines()
    assert lines[0] == "Preflight on 1 host: 1 problem and 1 warning. Nothing has been changed."
    assert lines.index("Warnings, which stop nothing:") > lines.index("  -> Set one MTU.")


def test_long_texts_take_the_whole_width_and_stay_whole() -> None:
    path = "/srv/" + "x" * 60
    text = table(report(row("n1", found=f"{path} is full"), row("n2", found="word " * 60)), ["n1"])
    assert path in text
    assert text.count("see below") == 2
    assert max(map(len, text.splitlines())) <= 80


def test_nothing_wrong() -> None:
    assert table(report(), ["n1", "n2"]) == "Preflight on 2 hosts: no problems."
    off = [{"check": "swap", "reason": "lab", "findings": "2"}, {"check": "mtu", "reason": "x", "findings": "0"}]
    assert table(report(off=off)).splitlines()[1:] == [
        "Switched off: swap (lab), 2 finding(s) not shown",
        "Switched off: mtu (x)",
    ]


def test_the_choice_of_the_network() -> None:
    choice = {"env": {"NCCL_SOCKET_IFNAME": "bond0"}, "why": ["bond0 has the node's address 10.0.0.1"]}
    other = {**choice, "why": ["bond0 has the node's address 10.0.0.2"]}
    assert network_lines({"network": {"n1": choice, "n2": other}, "hosts": ["n1", "n2"]}) == [
        "Network of all 2: NCCL_SOCKET_IFNAME=bond0",
        "   - bond0 has the node's address",
    ]
