# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the doctor has found, on one screen of 80 columns.


This plugin util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

WIDTH = 80
_NAMED_HOSTS = 3
_EVIDENCE = 300
_INDENT = "   "


def doctor_screen(report: Mapping[str, Any]) -> str:
    """The report as text."""
    hosts = [host["name"] for host in report["hosts"]]
    lines = [_headline(report, len(hosts)), "=" * WIDTH]
    for number, item in enumerate(report["findings"], 1):
        lines += _finding(number, item, hosts)
    if report["findings"]:
        lines.append("-" * WIDTH)
    widest = max((len(name) for name in hosts), default=0)
    for host in report["hosts"]:
        mark = "ok" if host["healthy"] else "!!"
        lines += wrap(host["line"], f"{mark} {host['name']:{widest}}  ", " " * (widest + 5))
    for problem in report["problems"]:
        lines += wrap(problem, "not read: ", _INDENT)
    return "\n".join([*lines, "=" * WIDTH])


def _headline(report: Mapping[str, Any], count: int) -> str:
    places = f"on {count} host{'s' * (count != 1)}"
    parts = [
        f"{number} {word}{'s' * (number != 1)}"
        for number, word in ((report["errors"], "problem"), (report["warnings"], "warning"))
        if number
    ]
    return f"Doctor: {' and '.join(parts)} {places}." if parts else f"Doctor: no problems {places}."


def _finding(number: int, item: Mapping[str, Any], everyone: Sequence[str]) -> list[str]:
    slug = item["cause"] + (f"/{item['detail']}" if item["detail"] else "")
    kind = "" if item["severity"] == "error" else ", a warning"
    where = f", {item['where']}" if item["where"] else ""
    said = f"{item['log']}: " if item["log"] else ""
    evidence = item["evidence"].strip()
    if len(evidence) > _EVIDENCE:
        evidence = evidence[:_EVIDENCE] + " ..."
    return [
        *wrap(f"{slug} on {_hosts(item['hosts'], everyone)}{where}{kind}", f"{number}. ", _INDENT),
        *wrap(item["explanation"], _INDENT, _INDENT),
        *wrap(said + evidence, _INDENT + "seen: ", _INDENT + "      "),
        *wrap(item["remedy"], _INDENT + "-> ", _INDENT + "   "),
    ]


def _hosts(names: Sequence[str], everyone: Sequence[str]) -> str:
    if len(names) > 1 and set(names) >= set(everyone):
        return f"all {len(everyone)} hosts"
    if len(names) <= _NAMED_HOSTS:
        return ", ".join(names)
    return f"{', '.join(names[: _NAMED_HOSTS - 1])} and {len(names) - _NAMED_HOSTS + 1} more"


def wrap(text: str, first: str = "", rest: str = "") -> list[str]:
    """Lines of at most 80 columns, ASCII, so that they read the same in a terminal and in a file."""
    plain = " ".join(str(text).split()).encode("ascii", "backslashreplace").decode("ascii")
    return textwrap.wrap(plain, WIDTH, initial_indent=first, subsequent_indent=rest, break_on_hyphens=False) or [
        first.rstrip()
    ]
