"""Faults on demand, and what has been served.

A fault is a JSON object. Its kind, and what belongs to it:

    status   answers with this status (and retry_after, headers, code, message where given)
    hangup   closes the connection in place of an answer (reset: true: with a reset)
    delay    waits for seconds before the answer
    drop     closes the connection after N bytes of the content: after (reset: true: with a reset)
    stall    waits for seconds after N bytes: after, seconds
    corrupt  turns the bits of the byte at this place: at
    slow     sends at most rate bytes per second

Places are counted from the first byte of the content of one answer. The last four only meet answers with content that
reaches so far. All may be limited: times (default: always), path (a regular expression searched in the path of the
request, unquoted), method, client (an address). A fault that goes on ends when the faults are replaced.
"""

from __future__ import annotations

import re
import socket
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, NamedTuple

NEEDED: dict[str, tuple[str, ...]] = {
    "status": ("status",),
    "hangup": (),
    "delay": ("seconds",),
    "drop": ("after",),
    "stall": ("after", "seconds"),
    "corrupt": ("at",),
    "slow": ("rate",),
}
KNOWN = {"kind", "times", "path", "method", "client", "reset", "retry_after", "headers", "code", "message"}
KNOWN |= {name for names in NEEDED.values() for name in names}


class Request(NamedTuple):
    """What a fault may choose by."""

    method: str
    path: str
    client: str


class HangUpError(ConnectionAbortedError):
    """The connection ends here, on purpose."""

    def __init__(self, reset: bool) -> None:
        super().__init__("ended on purpose")
        self.reset = reset


def check_rule(rule: Any) -> None:
    """Raise ValueError for a fault that would never happen."""
    if not isinstance(rule, dict) or rule.get("kind") not in NEEDED:
        raise ValueError(f"no fault: {rule!r}; kinds are {', '.join(NEEDED)}")
    missing, unknown = set(NEEDED[rule["kind"]]) - set(rule), set(rule) - KNOWN
    if missing or unknown:
        raise ValueError(f"fault {rule!r}: lacks {sorted(missing)}, does not know {sorted(unknown)}")
    try:
        re.compile(rule.get("path", ""))
    except re.error as error:
        raise ValueError(f"fault {rule!r}: {error}") from error


class Faults:
    """The faults that are still to happen."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._rules: list[dict[str, Any]] = []

    def set(self, rules: list[dict[str, Any]]) -> None:
        """Take these in place of all others."""
        for rule in rules:
            check_rule(rule)
        with self._changed:
            self._rules = [dict(rule) for rule in rules]
            self._changed.notify_all()

    def left(self) -> list[dict[str, Any]]:
        """Those that would still happen."""
        with self._changed:
            return [dict(rule) for rule in self._rules if rule.get("times", -1)]

    def take(self, kind: str, request: Request, length: int = 0) -> dict[str, Any] | None:
        """The first fault of a kind that meets this request, one time less of it."""
        with self._changed:
            for rule in self._rules:
                if rule["kind"] == kind and rule.get("times", -1) and meets(rule, request, length):
                    rule["times"] = rule.get("times", -1) - 1
                    return rule
        return None

    def stands(self, rule: dict[str, Any]) -> bool:
        """Whether a fault that was taken has not been replaced since."""
        return any(other is rule for other in self._rules)

    def wait(self, rule: dict[str, Any]) -> None:
        """Wait as long as a fault says, unless it is replaced meanwhile."""
        with self._changed:
            self._changed.wait_for(lambda: not self.stands(rule), timeout=rule["seconds"])


def meets(rule: dict[str, Any], request: Request, length: int) -> bool:
    """Whether a fault is meant for this request, whose answer has so much content."""
    if rule.get("method", request.method) != request.method or rule.get("client", request.client) != request.client:
        return False
    if rule["kind"] in ("drop", "stall", "corrupt") and rule.get("after", rule.get("at", 0)) >= max(length, 1):
        return False
    return re.search(rule.get("path", ""), request.path) is not None


class Spoiler:
    """Stands before the connection and spoils the content of one answer."""

    def __init__(self, faults: Faults, request: Request, length: int, rate: int) -> None:
        self._faults, self._all_rate, self._sent = faults, rate, 0
        taken = {kind: faults.take(kind, request, length) for kind in ("drop", "stall", "corrupt", "slow")}
        self._rules = {kind: rule for kind, rule in taken.items() if rule}

    def __bool__(self) -> bool:
        return bool(self._rules or self._all_rate)

    @property
    def _rate(self) -> int:
        return int(self._rules["slow"]["rate"]) if "slow" in self._rules else self._all_rate

    def next(self, most: int) -> int:
        """Do what is due before the next piece, and tell how large that may be."""
        stall = self._rules.get("stall")
        if stall and self._sent >= stall["after"]:
            self._faults.wait(stall)
            del self._rules["stall"]
        self._rules = {kind: rule for kind, rule in self._rules.items() if self._faults.stands(rule)}
        drop = self._rules.get("drop")
        if drop and self._sent >= drop["after"]:
            raise HangUpError(bool(drop.get("reset")))
        for kind in self._rules.keys() & {"drop", "stall"}:
            most = min(most, self._rules[kind]["after"] - self._sent)
        # ten pieces in a second at least, so that a slow file flows
        return min(most, max(self._rate // 10, 1 << 12)) if self._rate else most

    def send(self, connection: socket.socket, data: bytes) -> None:
        """Send a piece."""
        corrupt = self._rules.get("corrupt")
        place = corrupt["at"] - self._sent if corrupt else -1
        if 0 <= place < len(data):
            data = data[:place] + bytes([data[place] ^ 255]) + data[place + 1 :]
        connection.sendall(data)
        self._sent += len(data)
        if self._rate:
            time.sleep(len(data) / self._rate)


@dataclass
class Counters:
    """What has been served since they were made. An answer that began earlier counts in the ones before."""

    files: Counter[str] = field(default_factory=Counter)
    methods: Counter[str] = field(default_factory=Counter)
    statuses: Counter[str] = field(default_factory=Counter)
    clients: dict[str, Counter[str]] = field(default_factory=dict)
    wheels: int = 0
    token_at_storage: int = 0

    def __post_init__(self) -> None:
        self._lock = threading.Lock()

    def asked(self, request: Request) -> None:
        """Count a request."""
        with self._lock:
            self.methods[request.method] += 1
            self.clients.setdefault(request.client, Counter())["requests"] += 1

    def answered(self, status: int) -> None:
        """Count an answer."""
        with self._lock:
            self.statuses[str(status)] += 1

    def sent(self, request: Request, file: str, size: int) -> None:
        """Count content of a repository's file, or of a wheel when it has no name."""
        with self._lock:
            if not file:
                self.wheels += size
                return
            self.files[file] += size
            self.clients.setdefault(request.client, Counter())["bytes"] += size

    def saw_token(self) -> None:
        """Count a request to the storage that had a token with it."""
        with self._lock:
            self.token_at_storage += 1

    def figures(self) -> dict[str, Any]:
        """All of it."""
        with self._lock:
            return {
                "total": sum(self.files.values()),
                "bytes": dict(self.files),
                "clients": {name: {"requests": 0, "bytes": 0, **found} for name, found in self.clients.items()},
                "requests": dict(self.methods),
                "answers": dict(self.statuses),
                "wheels": self.wheels,
                "token_at_storage": self.token_at_storage,
            }
