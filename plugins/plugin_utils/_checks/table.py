# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All findings as one table of 80 columns.


This plugin util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

WIDTH = 80
_GAP = "  "
_MOST_HOSTS = 3
_CELL_LINES = 4
_MEND = "  -> "
_DEEP = "     "


def table(report: Mapping[str, Any], hosts: Sequence[str] = ()) -> str:
    """The report as text; C(hosts) are all of the play, so that "all" can be said of them."""
    rows = _together(report["rows"])
    if not rows:
        return "\n".join([_count(report, hosts), *_switched_off(report)])
    names = {id(row): _hosts(row["hosts"], hosts) for row in rows}
    first = min(max(len("HOST"), *(len(line) for lines in names.values() for line in lines)), 18)
    second = max(len("CHECK"), *(len(row["check"]) for row in rows))
    left = WIDTH - first - second - 3 * len(_GAP)
    widths = (first, second, left - left * 9 // 20, left * 9 // 20)
    lines = [_count(report, hosts), "=" * WIDTH, _line(("HOST", "CHECK", "FOUND", "WANTED"), widths), "-" * WIDTH]
    shown = ""
    for row in rows:
        if row["severity"] != shown and row["severity"] == "warning":
            lines.append("Warnings, which stop nothing:")
        shown = row["severity"]
        lines += _row(row, names[id(row)], widths)
    return "\n".join([*lines, "=" * WIDTH, *_switched_off(report)])


def network_lines(report: Mapping[str, Any]) -> list[str]:
    """The chosen interfaces and RDMA ports; hosts with the same choice share it."""
    same: dict[tuple[str, ...], list[str]] = {}
    for name, choice in (report.get("network") or {}).items():
        env = " ".join(f"{key}={value}" for key, value in choice["env"].items())
        # the address is each host's own
        why = [re.sub(r"(node's address) .*", r"\1", text) for text in choice["why"]]
        same.setdefault((env, *why), []).append(name)
    lines = []
    for (env, *why), names in same.items():
        lines += _wrap(
            f"Network of {', '.join(_hosts(names, report.get('hosts') or ()))}: {env or 'nothing chosen'}",
            WIDTH,
            "",
            _DEEP,
        )
        for text in why:
            lines += _wrap(text, WIDTH, "   - ", _DEEP)
    return lines


def _count(report: Mapping[str, Any], hosts: Sequence[str]) -> str:
    errors, warnings = report["errors"], report["warnings"]
    places = f" on {len(hosts)} host{'s' * (len(hosts) != 1)}" if hosts else ""
    if not errors and not warnings:
        return f"Preflight{places}: no problems."
    parts = [f"{errors} problem{'s' * (errors != 1)}"] if errors else []
    parts += [f"{warnings} warning{'s' * (warnings != 1)}"] if warnings else []
    return f"Preflight{places}: {' and '.join(parts)}. Nothing has been changed."


def _switched_off(report: Mapping[str, Any]) -> list[str]:
    lines = []
    for item in report.get("off") or ():
        found = f", {item['findings']} finding(s) not shown" if item["findings"] != "0" else ""
        lines += _wrap(f"Switched off: {item['check']} ({item['reason']}){found}", WIDTH, "", _DEEP)
    return lines


def _together(rows: Sequence[Mapping[str, str]]) -> list[dict[str, Any]]:
    """Rows that differ in the host only become one."""
    merged: dict[tuple[str, ...], dict[str, Any]] = {}
    for row in rows:
        key = tuple(row[name] for name in ("check", "severity", "found", "wanted", "mend"))
        merged.setdefault(key, {**row, "hosts": []})["hosts"].append(row["host"])
    return list(merged.values())


def _hosts(names: Sequence[str], everyone: Sequence[str]) -> list[str]:
    if len(names) > 1 and len(names) == len(everyone):
        return [f"all {len(names)}"]
    if len(names) <= _MOST_HOSTS:
        return list(names)
    return [*names[: _MOST_HOSTS - 1], f"+{len(names) - _MOST_HOSTS + 1}"]


def _row(row: Mapping[str, Any], names: list[str], widths: Sequence[int]) -> Iterator[str]:
    cells = [names, [row["check"]], _wrap(row["found"], widths[2]), _wrap(row["wanted"], widths[3])]
    long = max(map(len, cells[2:])) > _CELL_LINES or any(
        len(line) > width for cell, width in zip(cells[2:], widths[2:], strict=True) for line in cell
    )
    if long:
        cells[2:] = [["see below"], [""]]
    for index in range(max(map(len, cells))):
        yield _line([cell[index] if index < len(cell) else "" for cell in cells], widths)
    if long:
        yield from _wrap(row["found"], WIDTH, "     found:  ", " " * 13)
        yield from _wrap(row["wanted"], WIDTH, "     wanted: ", " " * 13)
    yield from _wrap(row["mend"], WIDTH, _MEND, _DEEP)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return _GAP.join(f"{cell:{width}}" for cell, width in zip(cells, widths, strict=True)).rstrip()


def _wrap(text: str, width: int, first: str = "", rest: str = "") -> list[str]:
    return textwrap.wrap(
        " ".join(str(text).split()),
        width,
        initial_indent=first,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    ) or [first.rstrip()]
