# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write the tables of docs/recovery.md: what happened to a serving deployment on the sandbox, and what became of it.

The rows are those that `make recovery` has measured. With --check nothing is written and a stale page is an error.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / ".ansible" / "collections"))

from ansible_collections.llmserve.vllm.tests.generated_page import update  # noqa: E402 the path comes first
from ansible_collections.llmserve.vllm.tests.measuring import cell, read_results  # noqa: E402 the path comes first
from ansible_collections.llmserve.vllm.tests.recovery.outcome import RESULTS  # noqa: E402 the path comes first
from ansible_collections.llmserve.vllm.tests.recovery.troubles import BOTH, TROUBLES, Trouble  # noqa: E402 the path comes first

PAGE = ROOT / "docs" / "recovery.md"
NOT_MEASURED = "not measured yet"
NOTICED_SECONDS = 10
SLACK_SECONDS = 15
TITLES = {"ray": "On Ray", "mp": "Without Ray"}


def seconds(value: float | None, none: str) -> str:
    return none if value is None else f"{value:.1f} s"


def row(what: str, measured: Mapping[str, Any] | None) -> str:
    """One line of a table."""
    if measured is None:
        return f"| {cell(what)} | {NOT_MEASURED} | | | |"
    noticed = seconds(measured["noticed_seconds"], "never")
    if measured["noticed_by"]:
        noticed += f" ({measured['noticed_by']})"
    if measured["came_back"]:
        again = seconds(measured["serving_seconds"], "never")
    else:
        again = f"**not within {measured['bound']:.0f} s**"
    lost = f"{measured['lost']}"
    if measured["hanging"]:
        lost += f", {measured['hanging']} late"
    if measured["streams_lost"]:
        lost += f", {measured['streams_lost']} long"
    felt = seconds(measured["users_seconds"], "nothing")
    return f"| {cell(what)} | {felt} | {cell(noticed)} | {again} | {lost} |"


def rows_of(executor: str, rows: Mapping[str, Any]) -> list[str]:
    lines = [
        "| What happens | Users see it after | Noticed after | Serves again after | Requests lost |",
        "| --- | --- | --- | --- | --- |",
    ]
    for trouble in TROUBLES:
        if executor in trouble.executors:
            lines.append(row(trouble.what, rows.get(f"{executor}/{trouble.name}")))
    return lines


def trouble_rows(rows: Mapping[str, Any]) -> list[str]:
    lines: list[str] = []
    for executor in BOTH:
        lines += [f"### {TITLES[executor]}", "", *rows_of(executor, rows), ""]
    return lines[:-1]


def is_quick(executor: str, trouble: Trouble, rows: Mapping[str, Any]) -> bool:
    """Back in what a restart takes here, counted from when power, network or GPU are back, and 15 s more."""
    allowed = rows[f"{executor}/{TROUBLES[0].name}"]["serving_seconds"] + trouble.heal_seconds + SLACK_SECONDS
    took = rows[f"{executor}/{trouble.name}"]["serving_seconds"]
    return took is not None and took <= allowed


def summary_rows(found: Mapping[str, Any]) -> list[str]:
    rows = found["rows"]
    all_of_them = [(executor, one) for executor in BOTH for one in TROUBLES if executor in one.executors]
    measured = [(executor, one) for executor, one in all_of_them if f"{executor}/{one.name}" in rows]
    if not measured:
        return [f"{len(all_of_them)} troubles, {NOT_MEASURED}."]
    back = sum(rows[f"{executor}/{one.name}"]["came_back"] for executor, one in measured)
    # beside a plain restart of the same executor
    struck = [
        (executor, one) for executor, one in measured if one != TROUBLES[0] and f"{executor}/{TROUBLES[0].name}" in rows
    ]
    soon = sum(
        (rows[f"{executor}/{one.name}"]["noticed_seconds"] or NOTICED_SECONDS + 1) <= NOTICED_SECONDS
        for executor, one in struck
    )
    quick = sum(is_quick(executor, one, rows) for executor, one in struck)
    return [
        f"{len(measured)} of {len(all_of_them)} troubles measured on {found['machine']}; after {back} of them the "
        f"deployment served again without help. Of the {len(struck)} that are no plain restart, {soon} were noticed "
        f"within {NOTICED_SECONDS} s, and after {quick} it served again in the time of a restart and "
        f"{SLACK_SECONDS} s, counted from when power, network or GPU were back."
    ]


def tables(found: Mapping[str, Any]) -> dict[str, Any]:
    """The generated parts of the page for these results."""
    return {"summary": lambda: summary_rows(found), "troubles": lambda: trouble_rows(found["rows"])}


if __name__ == "__main__":
    sys.exit(update(PAGE, tables(read_results(RESULTS))))
