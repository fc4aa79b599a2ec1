# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A page of the docs with generated parts, each between the comments BEGIN and END with its name."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

Parts = Mapping[str, Callable[[], list[str]]]


def rendered(text: str, parts: Parts) -> str:
    """The text with its generated parts, functions that return lines, as they should be."""
    for name, lines in parts.items():
        begin, end = f"<!-- BEGIN {name} -->\n", f"<!-- END {name} -->"
        before, rest = text.split(begin)
        text = before + begin + "\n".join(lines()) + "\n" + end + rest.split(end, 1)[1]
    return text


def update(page: Path, parts: Parts) -> int:
    """Write the page; with --check on the command line write nothing, and fail where it is stale."""
    old = page.read_text(encoding="utf-8")
    new = rendered(old, parts)
    if new == old:
        return 0
    if "--check" in sys.argv:
        print(f"{page.name} is stale: run make docs.", file=sys.stderr)
        return 1
    page.write_text(new, encoding="utf-8")
    return 0
