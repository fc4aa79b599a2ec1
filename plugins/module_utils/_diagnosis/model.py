# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a cause of a failure is made of.

This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import re
from typing import NamedTuple, Optional, Pattern, Tuple

# How near a line is to the root. Within a rank the earlier line wins.
NAMED = 10  # says by itself what is wrong
LIKELY = 20  # says it, but is also seen as a consequence of something NAMED
GENERAL = 40  # a class of errors that something more specific usually explains
UNKNOWN = 50  # an exception that no signature knows
CRASH = 60  # that a process died, not why
STOP = 80  # orderly ends and echoes of a crash


class Signature(NamedTuple):
    """A pattern for one line, without its prefixes.

    C(also) and C(unless) look at the whole log of the failed run, C(near) at the lines around the match.
    """

    rank: int
    pattern: Pattern[str]
    also: Optional[Pattern[str]] = None
    unless: Optional[Pattern[str]] = None
    near: Optional[Pattern[str]] = None
    mild: bool = False  # counts even when it is said as INFO or WARNING
    waiting: bool = False  # may still succeed: counts only when nothing after it shows that the start went on
    times: int = 1  # how often it has to be said, with hardly anything in between


class Cause(NamedTuple):
    """A cause in plain words, the step that mends it, and the lines by which it is known.

    C(detail) is empty, or tells a special case of the same slug. C(exact) is the remedy with the log's own figures, as
    a format string; it takes the place of C(remedy) when the log has them all.
    """

    slug: str
    detail: str
    explanation: str
    remedy: str
    source: str
    exact: str
    signatures: Tuple[Signature, ...]


def seen(
    rank: int,
    *patterns: str,
    also: str = "",
    unless: str = "",
    near: str = "",
    mild: bool = False,
    waiting: bool = False,
    times: int = 1,
) -> Tuple[Signature, ...]:
    """One signature for each pattern."""
    return tuple(
        Signature(
            rank,
            re.compile(pattern),
            re.compile(also) if also else None,
            re.compile(unless) if unless else None,
            re.compile(near) if near else None,
            mild,
            waiting,
            times,
        )
        for pattern in patterns
    )


def cause(
    name: str,
    explanation: str,
    remedy: str,
    *signatures: Tuple[Signature, ...],
    source: str = "",
    exact: str = "",
) -> Cause:
    """A cause called C(slug) or C(slug/detail)."""
    slug, detail = name.split("/") if "/" in name else (name, "")
    lines = tuple(signature for group in signatures for signature in group)
    return Cause(slug, detail, explanation, remedy, source, exact, lines)
