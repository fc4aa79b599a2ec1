# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Connecting to the ports of other hosts, many at once, and what becomes of each.

This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import selectors
import socket
import time
from typing import Any, Dict, List, Mapping, Sequence

# What a listener says first, before its host's name; and what it is told when nobody will connect any more.
GREETING = "llmserve-preflight "
GOODBYE = b"bye"
_BATCH = 200


def family(address: str) -> int:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def read(opened: socket.socket, most: int = 512) -> bytes:
    """What has arrived; nothing when the connection is over."""
    try:
        return opened.recv(most)
    except OSError:
        return b""


class Try:
    """One connection on its way."""

    def __init__(self, host: str, port: Mapping[str, Any], opened: socket.socket) -> None:
        self.host = host
        self.port = port
        self.opened = opened
        self.state = "timeout"
        self.answer = ""

    def result(self) -> Dict[str, Any]:
        return {
            "host": self.host,
            "name": self.port["name"],
            "port": self.port["port"],
            "state": self.state,
            "answer": self.answer,
        }


def longest(targets: Sequence[Mapping[str, Any]], timeout: float) -> float:
    """How many seconds C(reach) may take when nobody answers."""
    return timeout * -(-sum(len(target["ports"]) for target in targets) // _BATCH)


def reach(
    source: str, me: str, targets: Sequence[Mapping[str, Any]], timeout: float, goodbye: bool = True
) -> List[Dict[str, Any]]:
    """Connect to every port of every target from an address; one result each.

    C(state) is C(ok), C(refused), C(timeout), C(unreachable) or C(wrong_host), then with the C(answer).
    """
    wanted = [(target, port) for target in targets for port in target["ports"]]
    results: List[Dict[str, Any]] = []
    for begin in range(0, len(wanted), _BATCH):
        tries = [connect(source, target, port) for target, port in wanted[begin : begin + _BATCH]]
        drive(tries, timeout)
        for attempt in tries:
            if goodbye:
                # one is enough; on every port, as any of them may be the last that is open
                part(attempt, me, len(targets))
            attempt.opened.close()
            results.append(attempt.result())
    return results


def part(attempt: Try, me: str, several: int) -> None:
    """Say goodbye to a listener, and of how many hosts it has to hear one."""
    if attempt.state == "ok" and attempt.port["probe"]:
        with contextlib.suppress(OSError):
            attempt.opened.send(b"%s %s %d\n" % (GOODBYE, me.encode(), several))


def connect(source: str, target: Mapping[str, Any], port: Mapping[str, Any]) -> Try:
    address = str(target["address"])
    opened = socket.socket(family(address), socket.SOCK_STREAM)
    opened.setblocking(False)
    attempt = Try(str(target["host"]), port, opened)
    try:
        opened.bind((source, 0))
        opened.connect((address, int(port["port"])))
    except BlockingIOError:
        pass
    except OSError as exc:
        attempt.state, attempt.answer = "unreachable", str(exc.strerror or exc)
    return attempt


def drive(tries: Sequence[Try], timeout: float) -> None:
    deadline = time.monotonic() + timeout
    with selectors.DefaultSelector() as selector:
        for attempt in tries:
            if attempt.state == "timeout":
                selector.register(attempt.opened, selectors.EVENT_WRITE, attempt)
        while selector.get_map() and time.monotonic() < deadline:
            for key, _events in selector.select(max(0.0, deadline - time.monotonic())):
                attempt = key.data
                if key.events == selectors.EVENT_WRITE:
                    _connected(attempt)
                    if attempt.state == "timeout":
                        selector.modify(attempt.opened, selectors.EVENT_READ, attempt)
                        continue
                else:
                    _greeted(attempt)
                selector.unregister(attempt.opened)


def _connected(attempt: Try) -> None:
    code = attempt.opened.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if code:
        attempt.state = "refused" if code == errno.ECONNREFUSED else "unreachable"
        attempt.answer = os.strerror(code)
    elif not attempt.port["probe"]:
        attempt.state = "ok"


def _greeted(attempt: Try) -> None:
    text = read(attempt.opened).decode("utf-8", "replace").strip()
    said = text[len(GREETING) :] if text.startswith(GREETING) else None
    attempt.state = "ok" if said == attempt.host else "wrong_host"
    attempt.answer = said if said is not None else text[:40]
