# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Substrings that a line must contain to match a pattern, so that most lines need no regular expression at all.

This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

from typing import List, Tuple

_CLASSES = "dDwWsSbBAZ"


def anchors(pattern: str) -> Tuple[str, ...]:
    """One literal for each branch of a pattern's outermost alternation; empty when a branch has none."""
    found = [_longest(branch) for branch in _split(pattern)]
    return tuple(found) if all(found) else ()


def _split(pattern: str) -> List[str]:
    branches, begin, position = [], 0, 0
    while position < len(pattern):
        if pattern[position] == "|":
            branches.append(pattern[begin:position])
            begin = position + 1
        position = _after(pattern, position)
    return [*branches, pattern[begin:]]


def _longest(branch: str) -> str:
    """The longest run of literals outside of groups and classes."""
    best = run = ""
    position = 0
    while position < len(branch):
        end = _after(branch, position)
        literal = _literal(branch[position:end])
        # a character with such a quantifier may be missing
        if literal and branch[end : end + 1] not in ("?", "*", "{"):
            run += literal
        else:
            best, run = max(best, run, key=len), ""
        position = end
    return max(best, run, key=len)


def _literal(atom: str) -> str:
    if len(atom) == 1:
        return "" if atom in ".^$+?*" else atom
    if atom[0] == "\\" and atom[1] not in _CLASSES:
        return "\t" if atom[1] == "t" else atom[1]
    return ""


def _after(pattern: str, position: int) -> int:
    """Where the atom that begins at a position ends."""
    char = pattern[position]
    if char == "\\":
        return position + 2
    if char == "[":
        return _close_class(pattern, position)
    if char == "{":
        return pattern.index("}", position) + 1
    if char != "(":
        return position + 1
    position += 1
    while pattern[position] != ")":
        position = _after(pattern, position)
    return position + 1


def _close_class(pattern: str, position: int) -> int:
    position += 1
    if pattern[position] == "^":
        position += 1
    if pattern[position] == "]":
        position += 1
    while pattern[position] != "]":
        position += 2 if pattern[position] == "\\" else 1
    return position + 1
