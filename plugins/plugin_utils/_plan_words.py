# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Figures, ranges and names of a plan as people read them, for the screen and the page alike.

This plugin util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.llmserve.vllm.plugins.module_utils._wait import minutes

UNKNOWN = "unknown"
_GIB = 2**30
_ABSURD = 1e18
_REMEDIES = "What would work:"
_NUMBERED = re.compile(r"(.*?)([0-9]+)([^0-9]*)")


def number(value: Any) -> float | None:
    """The figure, or None for what is none: plans of unknown GPUs and refused plans have holes."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    # NaN compares false as well; beyond this no byte, token or second is counted
    return value if abs(value) < _ABSURD else None


def words(value: Any) -> str:
    """One line of text that is safe to show, whatever a host or a model calls itself."""
    if value is None or isinstance(value, (Mapping, list, tuple)):
        return ""
    return " ".join("".join(char if char.isprintable() else " " for char in str(value)).split())


def mapping(value: Any) -> Mapping[str, Any]:
    """The dictionary, or an empty one."""
    return value if isinstance(value, Mapping) else {}


def mappings(value: Any) -> list[Mapping[str, Any]]:
    """The dictionaries in a list."""
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, (list, tuple)) else []


def sentences(value: Any) -> list[str]:
    """The texts in a list; a text by itself counts as one."""
    items = [value] if isinstance(value, str) else value if isinstance(value, (list, tuple)) else []
    return [text for text in (words(item) for item in items) if text]


def count(value: Any) -> str:
    """A whole number with separators: 131,072."""
    figure = number(value)
    return UNKNOWN if figure is None else f"{figure:,.0f}"


def decimal(value: Any, places: int = 2) -> str:
    """A number without needless zeros: 0.92, 125, 5.64."""
    figure = number(value)
    if figure is None:
        return UNKNOWN
    text = f"{figure:,.{places}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def gib(value: Any, places: int = 1) -> str:
    """GiB without the unit."""
    figure = number(value)
    if figure is None:
        return "?"
    if abs(figure) >= 1e5:
        return f"{figure:.0e}"
    # a free rest of -0.001 is rounding, not a shortage
    return f"{round(figure, places) + 0.0:.{places}f}"


def bytes_gib(value: Any) -> str:
    """Bytes as GiB."""
    figure = number(value)
    return UNKNOWN if figure is None else f"{figure / _GIB:,.1f} GiB"


def bytes_gb(value: Any) -> str:
    """Bytes as the decimal GB in which downloads and disks are counted."""
    figure = number(value)
    return UNKNOWN if figure is None else f"{figure / 1e9:,.1f} GB"


def duration(value: Any) -> str:
    """Seconds as 3 min 23 s, 1 h 48 min or 3 d 4 h."""
    figure = number(value)
    if figure is None or figure < 0:
        return UNKNOWN
    if figure < 48 * 3600:
        return minutes(figure)
    hours = round(figure / 3600)
    return f"{hours // 24:,} d {hours % 24} h"


def plural(figure: Any, one: str, many: str = "") -> str:
    """1 host, 2 hosts."""
    return f"{count(figure)} {one if number(figure) == 1 else many or one + 's'}"


def ranges(numbers: Iterable[int], joiner: str = "-") -> str:
    """1-3, 6."""
    parts: list[list[int]] = []
    for value in sorted(set(numbers)):
        if parts and value == parts[-1][1] + 1:
            parts[-1][1] = value
        else:
            parts.append([value, value])
    return ", ".join(str(low) if low == high else f"{low}{joiner}{high}" for low, high in parts)


def host_range(names: Sequence[str]) -> str:
    """node-001..064 for hosts that are numbered in a row, else the first and the last of them."""
    if len(names) < 2:
        return "".join(names)
    found = [match for match in map(_NUMBERED.fullmatch, names) if match]
    if len(found) == len(names) and len({(item[1], item[3]) for item in found}) == 1:
        digits = [item[2] for item in found]
        values = [int(item) for item in digits]
        first, last = digits[0], digits[-1]
        padded = len({len(item) for item in digits}) == 1 or all(not item.startswith("0") for item in digits)
        if padded and values == list(range(values[0], values[0] + len(values))):
            prefix, suffix = found[0][1], found[0][3]
            return f"{prefix}[{first}..{last}]{suffix}" if suffix else f"{prefix}{first}..{last}"
    if len(names) <= 3:
        return ", ".join(names)
    return f"{names[0]} .. {names[-1]} ({len(names)} hosts)"


def split_reason(reason: str) -> tuple[str, list[str]]:
    """Why a plan cannot work, and what would."""
    why, found, rest = reason.partition(_REMEDIES)
    if not found:
        return why.strip(), []
    return why.strip(), [item.strip().rstrip(".") for item in rest.split("; ") if item.strip(" .")]


def argument(value: Any) -> str:
    """The value of an engine argument, as it would stand on the command line."""
    if isinstance(value, (Mapping, list, tuple)):
        return words(json.dumps(value, default=str, ensure_ascii=False))
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    return words(value)
