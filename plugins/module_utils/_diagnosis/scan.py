# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compares the lines of a log with the signatures, quickly: 50 MB are a matter of seconds.

Only a line that contains the literal of a pattern is given to it, and a line that is repeated is looked at once.

This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from itertools import accumulate
from typing import Dict, Iterable, Iterator, List, NamedTuple, Optional, Pattern, Sequence, Set, Tuple

from ansible_collections.llmserve.vllm.plugins.module_utils._diagnosis.anchors import anchors
from ansible_collections.llmserve.vllm.plugins.module_utils._diagnosis.catalogue import CAUSES
from ansible_collections.llmserve.vllm.plugins.module_utils._diagnosis.model import Cause, Signature
from ansible_collections.llmserve.vllm.plugins.module_utils._diagnosis.text import (
    is_mild,
    strip_collector,
    strip_prefix,
)

# The settings of a run, source lines and other places where words such as "trust_remote_code" are nothing but names.
_ECHO = re.compile(
    r"non-default args:|Initializing an? (V\d )?LLM engine|with config: model=|stats\.vllm\.ai|^args: Namespace|"
    r"[Rr]etrying (\d+ of|in)\b|thrown while requesting (HEAD|GET)|Exception ignored in|^engine_args: |"
    # NCCL goes on without its port for questions, without the speed of a card, and without the driver's library
    r"ras/\S+ NCCL WARN|NCCL WARN (Call to ibv_query|Failed to find CUDA library)|"
    r"^\s*File \"|^\s+(raise|return|await|assert|with|if|self\.|\w+ = )\b|^\s*\^+\s*$"
)
_BEFORE, _AFTER = 60, 12
# What is to be said several times counts from anew after so many other lines.
_PAUSE = 20
# Characters of different lines said as errors that are looked at, at each end of a log.
_HALF = 4 * 1000 * 1000


class Entry(NamedTuple):
    """A line that is worth a look: its number in the log, and its text without prefixes."""

    number: int
    words: str


class Hit(NamedTuple):
    """A signature found; in this order the first is the nearest to the root."""

    rank: int
    number: int
    slug: str
    detail: str
    last: int  # where it was said for the last time
    times: int
    signature: Signature


class Log(NamedTuple):
    """The lines of one run of a server: all of them, and those said as an error and as less than one."""

    lines: Sequence[str]
    serious: Sequence[Entry]
    mild: Sequence[Entry]


def _by_anchor(mild: bool) -> Dict[str, List[Tuple[Cause, Signature]]]:
    found: Dict[str, List[Tuple[Cause, Signature]]] = {}
    for cause in CAUSES:
        for signature in cause.signatures:
            if signature.mild or not mild:
                for anchor in anchors(signature.pattern.pattern):
                    found.setdefault(anchor, []).append((cause, signature))
    return found


_SERIOUS, _MILD = _by_anchor(False), _by_anchor(True)


def read(lines: Sequence[str]) -> Log:
    """Sort the lines by how they are said; what has been said before is left out."""
    serious: Dict[str, int] = {}
    mild: List[Entry] = []
    for number, line in enumerate(lines):
        words = strip_collector(line)
        if is_mild(words):
            mild.append(Entry(number, words))
        else:
            serious.setdefault(strip_prefix(words), number)
    return Log(lines, _both_ends([Entry(number, words) for words, number in serious.items()]), mild)


def _both_ends(entries: List[Entry]) -> List[Entry]:
    """Without the middle of a flood of errors: what it began with and what it ended in are enough."""
    ends = list(accumulate(len(entry.words) for entry in entries))
    if not ends or ends[-1] <= 2 * _HALF:
        return entries
    return entries[: bisect_right(ends, _HALF)] + entries[bisect_right(ends, ends[-1] - _HALF) :]


def matches(log: Log) -> List[Hit]:
    """All signatures found, without a judgement of what they mean together."""
    whole = _Whole(log.lines)
    best: Dict[Tuple[str, str, int], Hit] = {}
    for entries, signatures in ((log.serious, _SERIOUS), (log.mild, _MILD)):
        for entry, cause, signature in _candidates(entries, signatures):
            if not signature.pattern.search(entry.words) or not whole.fits(signature, entry.number):
                continue
            key = (cause.slug, cause.detail, signature.rank)
            best[key] = _merged(best.get(key), Hit(signature.rank, entry.number, *key[:2], entry.number, 1, signature))
    return [hit for hit in best.values() if hit.times >= hit.signature.times]


def _merged(known: Optional[Hit], found: Hit) -> Hit:
    if known is None:
        return found
    first = min(known, found, key=lambda hit: hit.number)
    times = known.times + 1 if abs(found.number - known.last) <= _PAUSE else 1
    return first._replace(last=max(known.last, found.last), times=times)


def _candidates(
    entries: Sequence[Entry], signatures: Dict[str, List[Tuple[Cause, Signature]]]
) -> Iterator[Tuple[Entry, Cause, Signature]]:
    for anchor, entry in occurrences(entries, signatures):
        if not _ECHO.search(entry.words):
            for cause, signature in signatures[anchor]:
                yield entry, cause, signature


def containing(lines: Sequence[str], words: Iterable[str], begin: int = 0) -> Set[int]:
    """The numbers of the lines from C(begin) on that contain one of the words."""
    return {begin + index for word, index in _places(lines[begin:], words)}


def occurrences(entries: Sequence[Entry], words: Iterable[str]) -> Iterator[Tuple[str, Entry]]:
    """Each of the words with each entry that contains it."""
    for word, index in _places([entry.words for entry in entries], words):
        yield word, entries[index]


def _places(lines: Sequence[str], words: Iterable[str]) -> Iterator[Tuple[str, int]]:
    text = "\n".join(lines)
    ends: List[int] = []
    for word in words:
        at = text.find(word)
        while at >= 0:
            ends = ends or list(accumulate(len(line) + 1 for line in lines))
            index = bisect_right(ends, at)
            yield word, index
            at = text.find(word, ends[index])


class _Whole:
    """The text around a match, put together only when a signature asks for it."""

    def __init__(self, lines: Sequence[str]) -> None:
        self._lines = lines
        self._text: Optional[str] = None
        self._known: Dict[Pattern[str], bool] = {}

    def fits(self, signature: Signature, number: int) -> bool:
        if signature.near is not None:
            around = "\n".join(self._lines[max(0, number - _BEFORE) : number + _AFTER])
            if not signature.near.search(around):
                return False
        return (signature.also is None or self._has(signature.also)) and (
            signature.unless is None or not self._has(signature.unless)
        )

    def _has(self, pattern: Pattern[str]) -> bool:
        if pattern not in self._known:
            if self._text is None:
                self._text = "\n".join(self._lines)
            self._known[pattern] = bool(pattern.search(self._text))
        return self._known[pattern]
