# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What became of a trouble: what users saw, who noticed, and when it served again."""

from __future__ import annotations

import calendar
import json
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ansible_collections.llmserve.vllm.tests.measuring import Event, MeasuringError, Node
from ansible_collections.llmserve.vllm.tests.recovery.load import Request

RESULTS = Path(__file__).resolve().parent / "results.json"
# So long every request is answered before it counts as serving again.
QUIET_SECONDS = 15.0
# So long a trouble is given to show, for one that breaks nothing at once.
SHOWS_SECONDS = 45.0
_STATES = (
    "docker ps -aq --filter name=llmserve- | "
    "xargs -r docker inspect -f '{{.Name}} {{.State.Status}} {{.State.StartedAt}}'"
)
_STAMPED = 3


class Notice(NamedTuple):
    """Something that the deployment itself did or wrote down, and when."""

    at: float
    what: str


class Canary:
    """Reads what the canary on the head writes down, each second."""

    def __init__(self, head: Node) -> None:
        self.head = head
        self.seen: list[Notice] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._read_on, daemon=True)

    def __enter__(self) -> Canary:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stop.set()
        self._thread.join(20)

    def _read_on(self) -> None:
        last = ""
        while not self._stop.wait(1):
            try:
                text = self.head.sh("cat /var/lib/llmserve/canary.json", 10)
                verdict = str(json.loads(text)["verdict"])
            except (MeasuringError, ValueError, KeyError, TypeError):
                # the head is off, or the canary has not looked yet
                continue
            if text != last:
                # its own time is that of the beginning of its look
                self.seen.append(Notice(time.time(), f"canary: {verdict}"))
            last = text

    def notices(self, since: float) -> list[Notice]:
        return [notice for notice in self.seen[1:] if notice.at > since and notice.what != "canary: ok"]


def notices_of_docker(events: Sequence[Event], since: float, ends: Sequence[str]) -> list[Notice]:
    """Containers of ours that ended or started since then; not the end that was the trouble itself."""
    told = {"die": "{0} ended", "start": "Docker started {0}"}
    return [
        Notice(event.at, told[event.what].format(event.name))
        for event in events
        if event.at > since
        and event.name.startswith("llmserve-")
        and (event.what == "start" or (event.what == "die" and event.name not in ends))
    ]


def starts(text: str) -> list[Event]:
    """When containers were started last, by their state: a Docker that was restarted has forgotten its events."""
    found = []
    for line in text.splitlines():
        parts = line.split()
        if len(parts) == _STAMPED and parts[1] == "running":
            found.append(Event(seconds_of(parts[2]), "start", parts[0].lstrip("/"), ""))
    return found


def seconds_of(stamp: str) -> float:
    """Docker's time in UTC as seconds since 1970."""
    whole, _dot, fraction = stamp.rstrip("Z").partition(".")
    return calendar.timegm(time.strptime(whole, "%Y-%m-%dT%H:%M:%S")) + float(f"0.{fraction or 0}")


def look_at_docker(nodes: Mapping[str, Node], since: float, until: float) -> list[Event]:
    """All that Docker on the nodes knows; a node that is off knows nothing."""
    found: list[Event] = []
    for node in nodes.values():
        try:
            found += [*node.events(since, until), *starts(node.sh(_STATES, 30))]
        except MeasuringError:
            continue
    return sorted(found)


def is_back(requests: Sequence[Request], fault: float, now: float) -> bool:
    """Whether users have been served for a while, after what had to show has had time to."""
    recent = [one for one in requests if one.sent > now - QUIET_SECONDS]
    # one a second; the last ones may still be under way
    enough = len(recent) >= QUIET_SECONDS * 2 / 3
    return now - fault > SHOWS_SECONDS and enough and all(one.good for one in recent)


def outcome(
    fault: float, requests: Sequence[Request], streams: Sequence[Request], notices: Sequence[Notice]
) -> dict[str, Any]:
    """The figures of a row, in seconds since the trouble."""
    bad = [one for one in requests if not one.good and one.felt > fault]
    first = min(notices, default=None)
    row: dict[str, Any] = {
        "users_seconds": round(min(one.felt for one in bad) - fault, 1) if bad else None,
        "noticed_seconds": round(first.at - fault, 1) if first else None,
        "noticed_by": first.what if first else "",
        "lost": sum(not one.ok for one in bad),
        "hanging": sum(one.ok for one in bad),
        "streams_lost": sum(not one.ok and one.ended > fault for one in streams),
        "serving_seconds": 0.0,
        "came_back": True,
    }
    if bad:
        last = max(one.sent for one in bad)
        after = [one.ended for one in requests if one.good and one.sent > last]
        row["serving_seconds"] = round(min(after) - fault, 1) if after else None
        row["came_back"] = bool(after)
    return row
