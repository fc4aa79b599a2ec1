# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An order to the listeners of one run: connect to all the others, and say what came of it.

One host can so learn in one call what every host reaches. The order and the answers are signed with a key that only the
hosts of the run were given, so that nobody else makes a host connect to anything.

This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import selectors
import socket
import time
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence, Set, Tuple

from ansible_collections.llmserve.vllm.plugins.module_utils._reach import (
    Try,
    connect,
    drive,
    longest,
    part,
    reach,
    read,
)

ORDER = b"order"
# beyond what connecting may take: for hosts that are slow, and for what is said on the way
_SLACK = 10
_MOST = 1 << 23


class Who(NamedTuple):
    """A host: its name, the address to listen on and to connect from, and the run's key, empty to obey nobody."""

    name: str
    address: str
    key: str = ""


def _mac(key: str, text: bytes) -> bytes:
    return hmac.new(key.encode(), text, hashlib.sha256).hexdigest().encode()


def _digest(payload: bytes) -> bytes:
    return hashlib.sha256(payload).hexdigest().encode()


def is_signed(key: str, signed: Sequence[bytes]) -> bool:
    """Whether the digest of an order comes from somebody who has the key."""
    return bool(key) and len(signed) == 2 and hmac.compare_digest(_mac(key, signed[0]), signed[1])


def obey(who: Who, opened: socket.socket, signed: Sequence[bytes], payload: bytes) -> None:
    """Do what an order says whose beginning was read, and answer on its connection."""
    opened.settimeout(_SLACK)
    data = read(opened, _MOST)
    while data and len(payload) < _MOST:
        payload += data
        data = read(opened, _MOST)
    if not hmac.compare_digest(_digest(payload), signed[0]):
        return
    order = json.loads(payload.decode())
    results = reach(who.address, who.name, behind(who.name, order["targets"]), order["timeout"], goodbye=False)
    answer = json.dumps({"host": who.name, "failed": failed(results)}).encode()
    opened.sendall(_mac(who.key, signed[0] + answer) + b" " + answer)


def behind(name: str, targets: Sequence[Mapping[str, Any]]) -> List[Mapping[str, Any]]:
    """The others, those first that come after a host, so that not all hosts connect to the same ones at a time."""
    place = next((index for index, target in enumerate(targets) if target["host"] == name), 0)
    return [target for target in [*targets[place:], *targets[:place]] if target["host"] != name]


def failed(results: Sequence[Mapping[str, Any]]) -> List[Dict[str, Any]]:
    """The connections that did not come about."""
    return [dict(result) for result in results if result["state"] != "ok"]


def ask(
    who: Who, targets: Sequence[Mapping[str, Any]], timeout: float
) -> Tuple[List[Dict[str, Any]], Dict[str, List[Dict[str, Any]]]]:
    """Connect to all targets, then have each of them do so, too.

    Returns the own results and, by name, the failed connections of the hosts that could be asked.
    """
    others = behind(who.name, targets)
    own = reach(who.address, who.name, others, timeout, goodbye=False)
    doors = _doors(who.name, targets, own)
    asked = [connect(who.address, target, doors[target["host"]]) for target in others if target["host"] in doors]
    drive(asked, timeout)
    payload = json.dumps({"targets": list(targets), "timeout": timeout}).encode()
    digest = _digest(payload)
    for attempt in asked:
        _send(attempt, b" ".join((ORDER, digest, _mac(who.key, digest))) + b"\n" + payload)
    said = _listen(asked, longest(targets, timeout) + _SLACK)
    answers = {host: _answer(who.key, digest, host, text) for host, text in said.items()}
    reports = {host: answer for host, answer in answers.items() if answer is not None}
    _part(who, targets, doors, {str(target["host"]) for target in others} - set(reports), timeout)
    return own, reports


def _part(
    who: Who,
    targets: Sequence[Mapping[str, Any]],
    doors: Mapping[str, Mapping[str, Any]],
    silent: Set[str],
    timeout: float,
) -> None:
    """Say goodbye for all that have answered; whoever has not will connect by itself, and finds the listeners there."""
    tries = [connect(who.address, target, doors[target["host"]]) for target in targets if target["host"] in doors]
    drive(tries, timeout)
    for attempt in tries:
        # this host will not say another one to the others, and none to itself
        part(attempt, who.name, len(silent - {attempt.host}) + int(attempt.host != who.name))
        attempt.opened.close()


def _doors(
    me: str, targets: Sequence[Mapping[str, Any]], results: Sequence[Mapping[str, Any]]
) -> Dict[str, Mapping[str, Any]]:
    """A port of each host at which its listener has answered, or of this host."""
    came = {(result["host"], result["port"]) for result in results if result["state"] == "ok"}
    doors: Dict[str, Mapping[str, Any]] = {}
    for target in targets:
        for port in target["ports"]:
            if port["probe"] and (target["host"] == me or (target["host"], port["port"]) in came):
                doors.setdefault(target["host"], port)
    return doors


def _send(attempt: Try, text: bytes) -> None:
    """All of it, and that it is all; who does not take it says nothing later on."""
    with contextlib.suppress(OSError):
        if attempt.state == "ok":
            attempt.opened.settimeout(_SLACK)
            attempt.opened.sendall(text)
            attempt.opened.shutdown(socket.SHUT_WR)
            return
    attempt.opened.close()


def _listen(asked: Sequence[Try], seconds: float) -> Dict[str, bytes]:
    """What each host says until it closes the connection; what it had not finished by then is not kept."""
    said: Dict[str, bytes] = {}
    texts: Dict[str, bytes] = {}
    deadline = time.monotonic() + seconds
    with selectors.DefaultSelector() as selector:
        for attempt in asked:
            if attempt.opened.fileno() >= 0:
                selector.register(attempt.opened, selectors.EVENT_READ, attempt)
        while selector.get_map() and time.monotonic() < deadline:
            for key, _events in selector.select(max(0.0, deadline - time.monotonic())):
                host, data = key.data.host, read(key.data.opened, _MOST)
                texts[host] = texts.get(host, b"") + data
                if not data or len(texts[host]) > _MOST:
                    said[host] = texts[host]
                    selector.unregister(key.data.opened)
    for attempt in asked:
        attempt.opened.close()
    return said


def _answer(key: str, digest: bytes, host: str, text: bytes) -> Optional[List[Dict[str, Any]]]:
    """The failed connections in a host's answer; None when it is not whole, or not from this host to this order."""
    mac, _space, payload = text.partition(b" ")
    if not hmac.compare_digest(_mac(key, digest + payload), mac):
        return None
    answer = json.loads(payload.decode())
    return list(answer["failed"]) if answer["host"] == host else None
