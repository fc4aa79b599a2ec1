# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds in a vLLM log why the server did not come up.

The last traceback is seldom the reason: the API server repeats second-hand what a worker said hundreds of lines
above, and clean-up noise follows. So every line is compared with known signatures, and the rank of a signature
says how near it is to the root: a full disk explains a crashed worker, never the other way round.

This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import re
from typing import Any, Dict, List, NamedTuple, Optional, Pattern, Tuple

from ansible_collections.llmserve.vllm.plugins.module_utils._diagnose_causes import CAUSES
from ansible_collections.llmserve.vllm.plugins.module_utils._diagnose_signatures import (
    MENTIONED,
    PROGRESS,
    SIGNATURES,
    TERMINAL,
    WAITING,
    Signature,
)

_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_STARTED = re.compile(r"Application startup complete\.")
# (EngineCore pid=15261) ERROR 11-21 01:41:57 [core.py:1510] ...
_PROCESS = re.compile(r"^(\([A-Za-z]\w*[^()]*\) ?)+")
_LOGGER = re.compile(r"^(INFO|WARNING|ERROR|CRITICAL|DEBUG) \d\d-\d\d \d\d:\d\d:\d\d (\[[\w./]+:\d+\]|[\w./]+:\d+\]) ?")
_EXCEPTION = re.compile(r"^(\w+\.)*\w*(Error|Exception|Interrupt|Exit): ")
# The settings of a run, where words such as "trust_remote_code" are nothing but names.
_ECHO = re.compile(r"non-default args:|Initializing a V\d LLM engine|with config: model=|^\s+File \"")
# vLLM's own loggers and uvicorn's; what they say below ERROR did not end the server.
_MILD = re.compile(r"^(\([^()]*\) ?)*(INFO|WARNING|DEBUG)(:| \d\d-\d\d )")
_EVIDENCE_CHARACTERS = 600


class _Hit(NamedTuple):
    rank: int
    line_no: int
    slug: str
    evidence: str


def diagnose(text: str) -> List[Dict[str, str]]:
    """The causes found, the most probable root first; empty for a log of a healthy or still loading server."""
    lines = split_lines(text)
    begin = _after_last_start(lines)
    hits: Dict[str, _Hit] = {}
    whole = "\n".join(lines[begin:])
    progress = max((n for n, line in enumerate(lines) if any(p.search(line) for p in PROGRESS)), default=-1)
    for number in range(begin, len(lines)):
        hit = _match(lines[number], number, whole)
        if hit is None or (hit.slug in WAITING and number < progress):
            continue
        known = hits.get(hit.slug)
        if known is None or hit.rank < known.rank:
            hits[hit.slug] = hit
    if not hits:
        unknown = _unclassified(lines, begin)
        if unknown:
            hits[unknown.slug] = unknown
    return [_entry(hit) for hit in sorted(hits.values())]


def describe(findings: List[Dict[str, str]]) -> str:
    """The first finding as a message: what, how to mend it, and the line that says so. Empty without findings."""
    if not findings:
        return ""
    first = findings[0]
    return "{explanation} {remedy} The log says: {evidence}".format(**first)


def split_lines(text: str) -> List[str]:
    """Lines without colours; each state of a progress bar, which rewrites its line with CR, is a line of its own."""
    return [line.rstrip() for line in re.split(r"[\r\n]+", _ANSI.sub("", text))]


def strip_prefix(line: str) -> str:
    """The line without the names of process and logger."""
    return _LOGGER.sub("", _PROCESS.sub("", line))


def _after_last_start(lines: List[str]) -> int:
    """Where to begin: whatever went wrong before the server was up has been overcome."""
    for number in range(len(lines) - 1, -1, -1):
        if _STARTED.search(lines[number]):
            return number + 1
    return 0


def _match(line: str, number: int, whole: str) -> Optional[_Hit]:
    if not line or _ECHO.search(line):
        return None
    words = strip_prefix(line)
    mild = bool(_MILD.match(line))
    best: Optional[Signature] = None
    for signature in SIGNATURES:
        if (best is not None and signature.rank >= best.rank) or (mild and signature.slug not in MENTIONED):
            continue
        if signature.pattern.search(words) and _context_fits(signature, whole):
            best = signature
    if best is None:
        return None
    return _Hit(best.rank, number, best.slug, line[:_EVIDENCE_CHARACTERS])


def _context_fits(signature: Signature, whole: str) -> bool:
    also: Optional[Pattern[str]] = signature.also
    unless: Optional[Pattern[str]] = signature.unless
    return (also is None or bool(also.search(whole))) and (unless is None or not unless.search(whole))


def _unclassified(lines: List[str], begin: int) -> Optional[_Hit]:
    """The first exception of a log that says that the engine is lost."""
    if not any(pattern.search(line) for line in lines[begin:] for pattern in TERMINAL):
        return None
    exceptions: List[Tuple[int, str]] = [
        (number, lines[number]) for number in range(begin, len(lines)) if _EXCEPTION.match(strip_prefix(lines[number]))
    ]
    for number, line in exceptions:
        if not any(pattern.search(line) for pattern in TERMINAL):
            return _Hit(99, number, "unclassified_error", line[:_EVIDENCE_CHARACTERS])
    return None


def _entry(hit: _Hit) -> Dict[str, Any]:
    cause = CAUSES[hit.slug]
    return {
        "cause": hit.slug,
        "evidence": hit.evidence,
        "explanation": cause.explanation,
        "remedy": cause.remedy,
    }
