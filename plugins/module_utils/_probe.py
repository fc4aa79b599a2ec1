# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether hosts reach each other's ports: a listener for a while on each of them, and a round of connections.

The listener greets with its host's name, so that an answer from another machine is found, and ends by itself: when
every peer has said goodbye, or when its time is up. It lives in a process of its own and leaves nothing behind.

This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import selectors
import socket
import time
from typing import Any, Dict, List, Mapping, NamedTuple, NoReturn, Optional, Sequence, Set

RANDOM = "a random port"
_GREETING = "llmserve-preflight "
_GOODBYE = b"bye"
_MOST = 1 << 10
_BATCH = 200


class Port(NamedTuple):
    """A port to be reached; C(probe) when the listener here holds it, and not a service."""

    name: str
    port: int
    probe: bool


def _control_name(cluster: str) -> str:
    # abstract: no file, and gone with the process
    return "\0llmserve-preflight-" + cluster


def _family(address: str) -> int:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def stop(cluster: str) -> None:
    """End a listener that an earlier run has left, and wait until its ports are free."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as control:
        control.settimeout(2)
        with contextlib.suppress(OSError):
            control.connect(_control_name(cluster))
            control.recv(1)


def start(
    address: str, ports: Sequence[Mapping[str, Any]], *, cluster: str, name: str, peers: int, seconds: float
) -> List[Port]:
    """Listen on those of the ports that are free, and on a random one; returns what peers may connect to.

    Nothing where the address is not the host's own.
    """
    random = _listen(address, 0)
    if random is None:
        return []
    control = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    held = [random]
    reachable: List[Port] = []
    try:
        control.bind(_control_name(cluster))
        control.listen(4)
        for item in ports:
            listener = _listen(address, int(item["port"]))
            if listener is not None:
                held.append(listener)
                reachable.append(Port(str(item["name"]), listener.getsockname()[1], True))
            elif _answers(address, int(item["port"])):
                reachable.append(Port(str(item["name"]), int(item["port"]), False))
        reachable.append(Port(RANDOM, random.getsockname()[1], True))
        _detach(control, held, "{0}{1}\n".format(_GREETING, name).encode(), peers, seconds)
    except OSError:
        # another run has just begun to listen: nothing can be proven beside it
        return []
    finally:
        for opened in [control, *held]:
            opened.close()
    return reachable


def _listen(address: str, port: int) -> Optional[socket.socket]:
    listener = socket.socket(_family(address), socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, port))
        listener.listen(128)
        return listener
    except (OSError, OverflowError):
        listener.close()
        return None


def _answers(address: str, port: int) -> bool:
    try:
        with socket.create_connection((address, port), 1):
            return True
    except (OSError, OverflowError):
        return False


def _detach(control: socket.socket, held: List[socket.socket], greeting: bytes, peers: int, seconds: float) -> None:
    """Go on in a process that neither this one nor the connection waits for."""
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return
    try:
        os.setsid()
        if os.fork() == 0:
            null = os.open(os.devnull, os.O_RDWR)
            for number in range(3):
                os.dup2(null, number)
            _close_others({null, control.fileno(), *(listener.fileno() for listener in held)})
            _serve(control, held, greeting, peers, seconds)
    finally:
        # nothing of the module's may be flushed or cleaned up twice
        os._exit(0)


def _close_others(kept: Set[int]) -> None:
    # a pipe to the module that stays open would keep Ansible waiting
    for name in os.listdir("/proc/self/fd"):
        number = int(name)
        if number > 2 and number not in kept:
            with contextlib.suppress(OSError):
                os.close(number)


def _serve(
    control: socket.socket, held: List[socket.socket], greeting: bytes, peers: int, seconds: float
) -> Optional[NoReturn]:
    """Greet whoever connects, until all peers have said goodbye, the time is up or another run takes over."""
    deadline = time.monotonic() + seconds
    gone: Set[bytes] = set()
    opened = 0
    with selectors.DefaultSelector() as selector:
        for listener in [control, *held]:
            listener.setblocking(False)
            selector.register(listener, selectors.EVENT_READ, "listener")
        while (len(gone) < peers or opened) and time.monotonic() < deadline:
            for key, _events in selector.select(1):
                if key.fileobj is control:
                    return None
                with contextlib.suppress(OSError):
                    if key.data == "listener" and opened < _MOST:
                        peer = key.fileobj.accept()[0]  # type: ignore[union-attr]
                        peer.setblocking(False)
                        selector.register(peer, selectors.EVENT_READ, "peer")
                        opened += 1
                        peer.send(greeting)
                        continue
                if key.data == "peer":
                    data = _read(key.fileobj)  # type: ignore[arg-type]
                    # anything but a name and a number is no goodbye
                    with contextlib.suppress(ValueError):
                        word, who, several = data.split()
                        if word == _GOODBYE:
                            # hosts of the play that nobody has reached will not come
                            peers = min(peers, int(several))
                            gone.add(who)
                            # the last one closes its connections first, so that no port lingers here
                            deadline = min(deadline, time.monotonic() + 1) if len(gone) >= peers else deadline
                    if not data:
                        selector.unregister(key.fileobj)
                        key.fileobj.close()  # type: ignore[union-attr]
                        opened -= 1
    return None


def _read(opened: socket.socket) -> bytes:
    try:
        return opened.recv(512)
    except OSError:
        return b""


class _Try:
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


def reach(source: str, me: str, targets: Sequence[Mapping[str, Any]], timeout: float) -> List[Dict[str, Any]]:
    """Connect to every port of every target from an address; one result each.

    C(state) is C(ok), C(refused), C(timeout), C(unreachable) or C(wrong_host), then with the C(answer).
    """
    wanted = [(target, port) for target in targets for port in target["ports"]]
    results: List[Dict[str, Any]] = []
    for begin in range(0, len(wanted), _BATCH):
        tries = [_begin(source, target, port) for target, port in wanted[begin : begin + _BATCH]]
        _drive(tries, timeout)
        for attempt in tries:
            if attempt.state == "ok" and attempt.port["probe"]:
                with contextlib.suppress(OSError):
                    # one goodbye is enough; on every port, as any of them may be the last that is open
                    attempt.opened.send(b"%s %s %d\n" % (_GOODBYE, me.encode(), len(targets)))
            attempt.opened.close()
            results.append(attempt.result())
    return results


def _begin(source: str, target: Mapping[str, Any], port: Mapping[str, Any]) -> _Try:
    address = str(target["address"])
    opened = socket.socket(_family(address), socket.SOCK_STREAM)
    opened.setblocking(False)
    attempt = _Try(str(target["host"]), port, opened)
    try:
        opened.bind((source, 0))
        opened.connect((address, int(port["port"])))
    except BlockingIOError:
        pass
    except OSError as exc:
        attempt.state, attempt.answer = "unreachable", str(exc.strerror or exc)
    return attempt


def _drive(tries: Sequence[_Try], timeout: float) -> None:
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


def _connected(attempt: _Try) -> None:
    code = attempt.opened.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if code:
        attempt.state = "refused" if code == errno.ECONNREFUSED else "unreachable"
        attempt.answer = os.strerror(code)
    elif not attempt.port["probe"]:
        attempt.state = "ok"


def _greeted(attempt: _Try) -> None:
    text = _read(attempt.opened).decode("utf-8", "replace").strip()
    said = text[len(_GREETING) :] if text.startswith(_GREETING) else None
    attempt.state = "ok" if said == attempt.host else "wrong_host"
    attempt.answer = said if said is not None else text[:40]
