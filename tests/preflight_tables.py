# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write the tables of docs/preflight.md: the checks, and what becomes of each fault.

The faults are put into a healthy cluster's facts and judged while this runs. With --check nothing is written, and a
stale page, or a fault that its check does not find alone, is an error.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / ".ansible" / "collections"))

from ansible_collections.llmserve.vllm.plugins.plugin_utils._checks.judge import (  # noqa: E402 the path comes first
    CHECKS,
    GROUPS,
    cluster_from,
    judge,
)
from ansible_collections.llmserve.vllm.tests.generated_page import update  # noqa: E402 the path comes first
from ansible_collections.llmserve.vllm.tests.preflight.batches import BATCHES  # noqa: E402 the path comes first
from ansible_collections.llmserve.vllm.tests.preflight.cluster import healthy  # noqa: E402 the path comes first
from ansible_collections.llmserve.vllm.tests.preflight.fault import Fault  # noqa: E402 the path comes first
from ansible_collections.llmserve.vllm.tests.preflight.faults import FAULTS  # noqa: E402 the path comes first

PAGE = ROOT / "docs" / "preflight.md"
# Faults that other tests bring about on the sandbox's nodes.
ELSEWHERE = {
    "address_of_another_host",
    "licence",
    "name_for_address",
    "no_room_for_the_model",
    "other_image",
    "other_ray",
    "public_address",
    "address_behind_nat",
    "ssh_does_not_answer",
    "model_too_large",
}
SANDBOX = {real.name for batch in BATCHES for real in batch.faults} | ELSEWHERE


def cell(text: str) -> str:
    """A text as one table cell; a pipe would end it."""
    return " ".join(text.split()).replace("|", "\\|")


def found_by(fault: Fault) -> list[dict[str, str]]:
    """The rows that a fault makes."""
    picture = healthy(fault.hosts, fault.fabric)
    fault.inject(picture)
    return judge(cluster_from(picture.nodes, **picture.wishes, plan=picture.plan)).rows


def check_rows() -> list[str]:
    rows = ["| Check | Severity | What holds on a good cluster |", "| --- | --- | --- |"]
    for group in GROUPS:
        rows.append(f"| **{group.name}** | | |")
        rows += [f"| `{check.name}` | {check.severity} | {cell(check.about)} |" for check in group.checks]
    return rows


def fault_rows() -> list[str]:
    rows = ["| Fault | Found by | Found | Mend | Tried on |", "| --- | --- | --- | --- | --- |"]
    for fault in FAULTS:
        findings = found_by(fault)
        checks = sorted({row["check"] for row in findings})
        if checks != [fault.check]:
            raise SystemExit(f"The fault {fault.name} is found by {checks or 'nothing'}, not by {fault.check} alone.")
        row = next(row for row in findings if fault.mend in row["mend"])
        tried = "facts, nodes" if fault.name in SANDBOX else "facts"
        rows.append(f"| {cell(fault.what)} | `{fault.check}` | {cell(row['found'])} | {cell(row['mend'])} | {tried} |")
    return rows


def summary_rows() -> list[str]:
    real = sum(fault.name in SANDBOX for fault in FAULTS)
    return [
        f"{len(FAULTS)} faults, {len(FAULTS)} found by the check that is meant for them and by no other; {real} of "
        f"them also on the sandbox's nodes. {len(CHECKS)} checks; a healthy cluster of 1, 2, 3 or 32 hosts, with "
        "InfiniBand, RoCE or neither, raises none."
    ]


TABLES = {"checks": check_rows, "summary": summary_rows, "faults": fault_rows}


if __name__ == "__main__":
    sys.exit(update(PAGE, TABLES))
