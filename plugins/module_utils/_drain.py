# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Letting a vLLM server finish its requests before it is stopped, and counting those that it could not finish.

vLLM has no switch against new requests outside of its development mode. A server with C(--shutdown-timeout) refuses
them from the signal to stop on and finishes what runs; any other one is watched until nothing runs, and then stopped.

This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

from typing import Any, Dict, Mapping, NamedTuple, Optional, Sequence

from ansible_collections.llmserve.vllm.plugins.module_utils._cluster_containers import engine_args

# Between its own limit and the end of its process vLLM frees GPUs and sockets.
ENGINE_MARGIN = 15.0
# An engine that hangs does not tell how many requests it has.
SILENT_LOOKS = 3


class Requests(NamedTuple):
    """How busy a server is: what it computes, what it has put off, and how many have ended since it was started."""

    running: int
    waiting: int
    ended: Optional[int]

    @property
    def open(self) -> int:
        return self.running + self.waiting


class Drained(NamedTuple):
    """What has become of the requests."""

    # open when the drain began
    began_with: Optional[int]
    # have ended since then, those that came meanwhile included
    ended: Optional[int]
    # were open when the server was stopped
    cut: Optional[int]
    seconds: float

    def as_dict(self) -> Dict[str, Any]:
        return dict(self._asdict(), seconds=round(self.seconds, 1))


def requests_of(figures: Mapping[str, float]) -> Optional[Requests]:
    """The requests in the figures of C(/metrics); None when these do not tell."""
    if "requests_running" not in figures:
        return None
    ended = figures.get("requests_ended")
    waiting = int(figures.get("requests_waiting", 0))
    return Requests(int(figures["requests_running"]), waiting, None if ended is None else int(ended))


def own_drain_seconds(command: Sequence[str]) -> float:
    """How long this server finishes requests by itself when it is told to stop; 0 when it cuts them at once."""
    value = engine_args(command).get("shutdown_timeout", 0)
    try:
        return float(value)
    except (TypeError, ValueError):
        return 0.0


def sentence(requests: Optional[Requests], left: float, stopping: bool) -> str:
    """How far the drain is."""
    if requests is None:
        return "the server does not tell how many requests it has"
    busy = "{0} running, {1} waiting".format(requests.running, requests.waiting)
    if stopping:
        return "takes no new requests; {0}".format(busy)
    return "{0}; stopped when none is left, or in {1:.0f} s".format(busy, max(0.0, left))


def sum_up(first: Optional[Requests], last: Optional[Requests], cut: Optional[int], seconds: float) -> Drained:
    """What has become of the requests between two looks. Without any look, nothing is known, not even a zero."""
    ended = None
    if first is not None and last is not None and first.ended is not None and last.ended is not None:
        # what ended after the last look, and was not cut
        ended = max(0, last.ended - first.ended) + (last.open - (cut or 0))
    return Drained(None if first is None else first.open, ended, cut, seconds)


def summary(drained: Mapping[str, Any]) -> str:
    """The same in words."""
    if drained.get("cut") is None:
        return "unknown, the server did not tell"
    words = ["{0} open when the drain began".format(drained["began_with"])]
    if drained.get("ended") is not None:
        words.append("{0} finished in {1:g} s".format(drained["ended"], drained["seconds"]))
    words.append("{0} cut".format(drained["cut"]))
    return ", ".join(words)
