# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A listener for a while on a host's ports, so that the other hosts can find out whether they reach them.

It greets with its host's name, so that an answer from another machine is found, and ends by itself: when every peer has
said goodbye, or one of them for the others, or when its time is up. It lives in a process of its own and leaves nothing
behind. On the order of the run that started it, it connects to the other hosts itself.

This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import socket
import time
from typing import Any, List, Mapping, NamedTuple, Optional, Sequence, Set

from ansible_collections.llmserve.vllm.plugins.module_utils._order import ORDER, Who, is_signed, obey
from ansible_collections.llmserve.vllm.plugins.module_utils._reach import GOODBYE, GREETING, family, read

RANDOM = "a random port"
_MOST = 1 << 10


class Port(NamedTuple):
    """A port to be reached; C(probe) when the listener here holds it, and not a service."""

    name: str
    port: int
    probe: bool


def _control_name(cluster: str) -> str:
    # abstract: no file, and gone with the process
    return "\0llmserve-preflight-" + cluster


def stop(cluster: str) -> None:
    """End a listener that an earlier run has left, and wait until its ports are free."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as control:
        control.settimeout(2)
        with contextlib.suppress(OSError):
            control.connect(_control_name(cluster))
            control.recv(1)


def start(who: Who, ports: Sequence[Mapping[str, Any]], *, cluster: str, peers: int, seconds: float) -> List[Port]:
    """Listen on those of the ports that are free, and on a random one; returns what peers may connect to.

    Nothing where the address is not the host's own.
    """
    address = who.address
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
        _detach(control, _Server(held, who, peers, seconds))
    except OSError:
        # another run has just begun to listen: nothing can be proven beside it
        return []
    finally:
        for opened in [control, *held]:
            opened.close()
    return reachable


def _listen(address: str, port: int) -> Optional[socket.socket]:
    listener = socket.socket(family(address), socket.SOCK_STREAM)
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


def _detach(control: socket.socket, server: _Server) -> None:
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
            _close_others({null, control.fileno(), *(listener.fileno() for listener in server.held)})
            # whoever obeys an order is not waited for
            signal.signal(signal.SIGCHLD, signal.SIG_IGN)
            server.serve(control)
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


class _Server:
    """Greets whoever connects, until all peers have said goodbye, the time is up or another run takes over."""

    def __init__(self, held: List[socket.socket], who: Who, peers: int, seconds: float) -> None:
        self.held = held
        self.who = who
        self.peers = peers
        self.deadline = time.monotonic() + seconds
        self.gone: Set[bytes] = set()
        self.opened = 0
        self.obeyed = False

    def serve(self, control: socket.socket) -> None:
        self.selector = selectors.DefaultSelector()
        for listener in [control, *self.held]:
            listener.setblocking(False)
            self.selector.register(listener, selectors.EVENT_READ, "listener")
        while (len(self.gone) < self.peers or self.opened) and time.monotonic() < self.deadline:
            for key, _events in self.selector.select(1):
                if key.fileobj is control:
                    # before the control, whose end tells the caller that the ports are free
                    for listener in self.held:
                        listener.close()
                    return
                with contextlib.suppress(OSError):
                    if key.data == "peer":
                        self.hear(key.fileobj)  # type: ignore[arg-type]
                    elif self.opened < _MOST:
                        self.greet(key.fileobj.accept()[0])  # type: ignore[union-attr]

    def greet(self, peer: socket.socket) -> None:
        peer.setblocking(False)
        self.selector.register(peer, selectors.EVENT_READ, "peer")
        self.opened += 1
        peer.send("{0}{1}\n".format(GREETING, self.who.name).encode())

    def hear(self, peer: socket.socket) -> None:
        """A goodbye, an order or the end of the connection; anything else is nothing."""
        data = read(peer)
        line, _end, rest = data.partition(b"\n")
        word, *words = line.split() or [b""]
        if word == GOODBYE:
            with contextlib.suppress(ValueError):
                who, several = words
                self.part(who, int(several))
        # once, so that nobody makes this host work by saying it again
        elif word == ORDER and not self.obeyed and is_signed(self.who.key, words):
            self.obeyed = True
            with contextlib.suppress(OSError):
                self.obey(peer, words, rest)
        if not data or word == ORDER:
            self.selector.unregister(peer)
            peer.close()
            self.opened -= 1

    def part(self, who: bytes, several: int) -> None:
        # hosts of the play that nobody has reached will not come
        self.peers = min(self.peers, several)
        # for the others, when this is the host that has asked them
        if who != self.who.name.encode():
            self.gone.add(who)
        if len(self.gone) >= self.peers:
            # the last one closes its connections first, so that no port lingers here
            self.deadline = min(self.deadline, time.monotonic() + 1)

    def obey(self, peer: socket.socket, signed: Sequence[bytes], rest: bytes) -> None:
        """Beside this process, which has to go on answering the others meanwhile."""
        if os.fork():
            return
        try:
            # the ports and the control must be free when this process ends, not when that one does
            _close_others({peer.fileno()})
            obey(self.who, peer, signed, rest)
        finally:
            os._exit(0)
