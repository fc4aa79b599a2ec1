# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds in a log why something failed: of a vLLM server, of Ray, of a container, of the kernel.

The last traceback is seldom the reason: the API server repeats second-hand what a worker said hundreds of lines
above, and clean-up noise follows. So every line is compared with known signatures, and the rank of a signature
says how near it is to the root: a full disk explains a crashed worker, never the other way round. Within a rank the
first in time wins.

This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

from typing import Any, Dict, Iterator, List, Mapping, Optional, Pattern, Sequence, Tuple

from ansible_collections.llmserve.vllm.plugins.module_utils._diagnosis import signs
from ansible_collections.llmserve.vllm.plugins.module_utils._diagnosis.catalogue import named
from ansible_collections.llmserve.vllm.plugins.module_utils._diagnosis.figures import Figure, figures
from ansible_collections.llmserve.vllm.plugins.module_utils._diagnosis.model import (
    CRASH,
    GENERAL,
    STOP,
    UNKNOWN,
    Signature,
)
from ansible_collections.llmserve.vllm.plugins.module_utils._diagnosis.scan import (
    Hit,
    Log,
    containing,
    matches,
    occurrences,
    read,
)
from ansible_collections.llmserve.vllm.plugins.module_utils._diagnosis.text import (
    place,
    split_lines,
    strip_collector,
    strip_prefix,
    where,
)

__all__ = ["describe", "diagnose", "diagnose_all", "finding", "split_lines", "strip_prefix"]

_EVIDENCE_CHARACTERS = 600
_FIGURE_LINES = 8
# Several processes write to the log, so that answers may be told after the error that ended it all.
_INTERLEAVED = 150
_NO_SIGNATURE = Signature(UNKNOWN, signs.EXCEPTION)


def diagnose(text: str) -> List[Dict[str, Any]]:
    """The causes found, the most probable root first; empty for a log of a healthy or still loading server."""
    return [entry for _rank, entry in _ranked(text)]


def diagnose_all(logs: Mapping[str, str]) -> List[Dict[str, Any]]:
    """The same over several logs; each finding names its log, and a cause seen in many is told once."""
    found: Dict[Tuple[str, str], Tuple[int, int, Dict[str, Any]]] = {}
    for order, (name, text) in enumerate(logs.items()):
        for rank, entry in _ranked(text):
            key = (entry["cause"], entry["detail"])
            known = found.get(key)
            if known is None or rank < known[0]:
                also = [name] if known is None else [*known[2]["logs"], name]
                found[key] = (rank, order, dict(entry, log=name, logs=also))
            elif name not in known[2]["logs"]:
                known[2]["logs"].append(name)
    return [entry for _rank, _order, entry in sorted(found.values(), key=lambda item: item[:2])]


def describe(findings: Sequence[Mapping[str, Any]]) -> str:
    """The first finding as a message: what, how to mend it, and the line that says so. Empty without findings."""
    if not findings:
        return ""
    first = findings[0]
    says = "The log says" + (" ({0})".format(first["where"]) if first.get("where") else "")
    return "{explanation} {remedy} {says}: {evidence}".format(says=says, **first)


def finding(slug: str, evidence: str, detail: str = "") -> Dict[str, Any]:
    """A finding of a cause that something else than a log has shown."""
    cause = named(slug, detail)
    return {
        "cause": slug,
        "detail": detail,
        "evidence": evidence,
        "explanation": cause.explanation,
        "remedy": cause.remedy,
        "source": cause.source,
        "where": "",
        "figures": {},
        "line": 0,
    }


def _ranked(text: str) -> List[Tuple[int, Dict[str, Any]]]:
    lines = split_lines(text)
    for begin, end in _runs(lines):
        run = lines[begin:end]
        hits = _causes(run)
        if end < len(lines):
            # a run before the present one: that it was stopped says nothing about its successor
            hits = [hit for hit in hits if hit.rank < STOP]
        if hits or _matching(run, 0, signs.PROGRESS, signs.PROGRESS_ANCHORS):
            return [(hit.rank, _entry(hit, run, begin)) for hit in hits]
    return []


def _runs(lines: Sequence[str]) -> Iterator[Tuple[int, int]]:
    """Where the runs of a server begin and end, the last one first. A run that was up begins when it was."""
    begun = sorted(containing(lines, signs.BEGUN))
    starts = [0, *begun[1:]]
    end = len(lines)
    for start in reversed(starts):
        up = _up(lines, start, end)
        if up is None:
            yield start, end
        elif end == len(lines):
            yield _last_moments(lines, up + 1), end
            return
        end = start


def _up(lines: Sequence[str], start: int, end: int) -> Optional[int]:
    """Where a run says that it listens, or, when its beginning is cut off, that it serves."""
    listens = containing(lines[:end], signs.STARTED, start)
    if listens:
        return max(listens)
    return min(_matching(lines[:end], start, signs.UP, signs.UP_ANCHORS), default=None)


def _last_moments(lines: Sequence[str], up: int) -> int:
    """Where the end of a server begins that was up: the errors of single requests before it are not its own."""
    ended = min(_matching(lines, up, signs.ENDED, signs.ENDED_ANCHORS), default=None)
    if ended is None:
        return len(lines)
    late = 0 if signs.STOPPED.search(strip_collector(lines[ended])) else _INTERLEAVED
    served = range(ended - late, up - 1, -1)
    return next((number for number in served if signs.UP.search(lines[number])), up)


def _matching(lines: Sequence[str], begin: int, pattern: Pattern[str], words: Sequence[str]) -> List[int]:
    return [number for number in containing(lines, words, begin) if pattern.search(strip_collector(lines[number]))]


def _causes(run: Sequence[str]) -> List[Hit]:
    log = read(run)
    hits = [hit for hit in matches(log) if not _overcome(hit, log)]
    stopped = min((hit.number for hit in hits if hit.slug == "stopped_by_signal"), default=None)
    ended = _ended(log, stopped) or any(CRASH <= hit.rank < STOP for hit in hits)
    if not ended:
        hits = [hit for hit in hits if not GENERAL - 5 <= hit.rank <= GENERAL]
    elif not any(hit.rank < UNKNOWN for hit in hits):
        unknown = _unclassified(log, min((hit.number for hit in hits), default=len(run)))
        hits += [unknown] if unknown else []
    hits = hits or _silent(log)
    best: Dict[str, Hit] = {}
    lines = set()
    for hit in sorted(hits, key=lambda hit: hit[:2]):
        # one line is the sign of one cause, and each cause is told once
        if hit.number not in lines and best.setdefault(hit.slug, hit) is hit:
            lines.add(hit.number)
    return list(best.values())


def _overcome(hit: Hit, log: Log) -> bool:
    if not hit.signature.waiting:
        return False
    entries = [*log.serious, *log.mild]
    progress = (
        entry.number
        for dummy, entry in occurrences(entries, signs.PROGRESS_ANCHORS)
        if entry.number > hit.last and signs.PROGRESS.search(entry.words)
    )
    return next(progress, None) is not None


def _ended(log: Log, stopped: Optional[int]) -> bool:
    """Whether the log says that the server is lost, before anybody stopped it, or ends with an exception."""
    terminal = occurrences(log.serious, signs.TERMINAL_ANCHORS)
    lost = [entry.number for dummy, entry in terminal if signs.TERMINAL.search(entry.words)]
    if lost or stopped is not None:
        return bool(lost) and (stopped is None or min(lost) < stopped)
    calm = max((entry.number for entry in log.mild if not signs.CLEAN_UP.search(entry.words)), default=-1)
    return any(entry.number > calm and signs.EXCEPTION.match(entry.words) for entry in log.serious)


def _unclassified(log: Log, before: int) -> Optional[Hit]:
    """The first exception of a log that says that the engine is lost, unless it only follows a crash."""
    exceptions = [
        entry
        for entry in log.serious
        if entry.number < before and signs.EXCEPTION.match(entry.words) and not signs.TERMINAL.search(entry.words)
    ]
    own = [entry for entry in exceptions if not entry.words.startswith(signs.SECOND_HAND)]
    for entry in own or exceptions:
        return Hit(UNKNOWN, entry.number, "unclassified_error", "", entry.number, 1, _NO_SIGNATURE)
    return None


def _silent(log: Log) -> List[Hit]:
    """That a process was lost of which nothing else in the log tells."""
    lost = (entry.number for entry in log.serious if signs.SILENT.search(entry.words))
    return [Hit(CRASH + 7, number, "engine_killed", "silent", number, 1, _NO_SIGNATURE) for number in lost][:1]


def _entry(hit: Hit, run: Sequence[str], begin: int) -> Dict[str, Any]:
    line = run[hit.number]
    cause = named(hit.slug, hit.detail)
    numbers = figures("\n".join(strip_prefix(line) for line in run[hit.number : hit.number + _FIGURE_LINES]))
    return dict(
        finding(hit.slug, line[:_EVIDENCE_CHARACTERS], hit.detail),
        remedy=_exact(cause.exact, numbers) or cause.remedy,
        where=place(where(line)),
        figures=numbers,
        line=begin + hit.number + 1,
    )


def _exact(words: str, numbers: Mapping[str, Figure]) -> str:
    """The remedy with the log's figures; empty unless the log has them all."""
    try:
        return words.format(**numbers)
    except (KeyError, ValueError):
        return ""
