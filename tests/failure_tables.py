# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write the table of docs/failures.md: what was provoked on the sandbox, and what was said of it, when.

The rows are those that `make failures` has measured. With --check nothing is written and a stale page is an error.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / ".ansible" / "collections"))

from ansible_collections.llmserve.vllm.tests.failures.failures import AREAS, FAILURES  # noqa: E402 the path comes first
from ansible_collections.llmserve.vllm.tests.failures.fault import Failure  # noqa: E402 the path comes first
from ansible_collections.llmserve.vllm.tests.failures.measure import RESULTS, WITHIN  # noqa: E402 the path comes first
from ansible_collections.llmserve.vllm.tests.generated_page import update  # noqa: E402 the path comes first
from ansible_collections.llmserve.vllm.tests.measuring import cell, read_results  # noqa: E402 the path comes first

PAGE = ROOT / "docs" / "failures.md"
NOT_MEASURED = "not measured yet"
_MOST = 420


def row(failure: Failure, measured: Mapping[str, Any] | None) -> str:
    """One line of the table."""
    if measured is None:
        return f"| {cell(failure.what)} | {NOT_MEASURED} | | |"
    seconds = "" if measured["seconds"] is None else f"{measured['seconds']:.1f} s"
    if "hint_seconds" in measured:
        seconds += f", shown while it waits after {measured['hint_seconds']:.1f} s"
    if failure.late:
        seconds += f" ({failure.late})"
    message = measured["message"]
    short = message if len(message) <= _MOST else message[: _MOST - 4].rstrip() + " ..."
    # one that does not name the cause is shown as what it is
    says = short if measured["named"] else f"**not the cause**: {short}"
    by = f"{measured['noticed_by']}, `{measured['cause']}`" if measured["cause"] else measured["noticed_by"]
    return f"| {cell(failure.what)} | {cell(by)} | {cell(seconds)} | {cell(says)} |"


def failure_rows(rows: Mapping[str, Any]) -> list[str]:
    lines: list[str] = []
    for area, failures in AREAS.items():
        lines += [f"### {area}", "", "| Failure | Noticed by | After | Message |", "| --- | --- | --- | --- |"]
        lines += [row(failure, rows.get(failure.name)) for failure in failures]
        lines.append("")
    return lines[:-1]


def summary_rows(found: Mapping[str, Any]) -> list[str]:
    rows = {failure.name: found["rows"].get(failure.name) for failure in FAILURES}
    measured = {name: one for name, one in rows.items() if one}
    if not measured:
        return [f"{len(FAILURES)} failures, {NOT_MEASURED}."]
    named = sum(one["named"] for one in measured.values())
    waits = {failure.name for failure in FAILURES if failure.late}
    times = [one["seconds"] for name, one in measured.items() if name not in waits]
    known = sorted(seconds for seconds in times if seconds is not None)
    words = f"{len(measured)} of {len(FAILURES)} failures measured on {found['machine']}, {named} with the true cause."
    if known:
        fast, middle = sum(seconds <= WITHIN for seconds in known), known[(len(known) - 1) // 2]
        words += (
            f" Without those that wait for something that may still come, {fast} of {len(known)} within "
            f"{WITHIN:.0f} s, half of them within {middle:.1f} s, the last after {known[-1]:.1f} s."
        )
    return [words]


def tables(found: Mapping[str, Any]) -> dict[str, Any]:
    """The generated parts of the page for these results."""
    return {"summary": lambda: summary_rows(found), "failures": lambda: failure_rows(found["rows"])}


if __name__ == "__main__":
    sys.exit(update(PAGE, tables(read_results(RESULTS))))
