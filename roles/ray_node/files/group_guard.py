# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Starts one part of a deployment and ends it when a part on which it depends is lost, so that both start anew.

vLLM's own multi-node mode never notices the death of an idle rank, and a rank that comes back alone is waited for in
vain. On Ray the engine hangs for minutes when a node is lost, and workers for one when the head is. Here all parts hold
a connection to the first one, with a sign of life in both directions. What Docker or systemd then restarts finds the
others again: it joins the first one of now, never one that is about to end.

Run with the Python beside vLLM and nothing else. Ranks of vLLM, which all end when one of them is lost:
    python3 group_guard.py --group NAME --name node1 --lead --at 10.0.0.1:29520 -- vllm serve ...
    python3 group_guard.py --group NAME --name node2 --at 10.0.0.1:29520 -- vllm serve ... --headless
Ray, whose head goes on without a worker, and whose engine does not:
    python3 group_guard.py --group NAME --name node1 --lead --outlive --at 10.0.0.1:29520 -- ray start --head ...
    python3 group_guard.py --group NAME --name node2 --at 10.0.0.1:29520 -- ray start --address ...
    python3 group_guard.py --group NAME --name engine --needs-all --at 10.0.0.1:29520 -- vllm serve ...
The group's name keeps two deployments apart; it is no secret, like all that ranks say to each other on their network.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import selectors
import signal
import socket
import subprocess
import sys
import time
from typing import Callable, Dict, List, NamedTuple, Optional, Tuple

# sysexits' EX_TEMPFAIL: not its own fault, to be tried again
LOST = 75
BEAT_SECONDS = 2.0
SILENT_SECONDS = 8.0
HELLO_SECONDS = 5.0
GRACE_SECONDS = 5.0
RETRY_SECONDS = 0.5
TELL_SECONDS = 15.0
FIRST = "the first one"
_TICK_SECONDS = 0.25
_MOST_STRANGERS = 16
_HELLO = "llmserve-group"
_WELCOME = b"+"
_BEAT = b"."
_SOMEBODY_LOST = b"!"
_NAME = re.compile(r"[\w.:-]+")


class Options(NamedTuple):
    """What the command line says."""

    group: str
    name: str
    lead: bool
    # the first one goes on when another is lost
    outlive: bool
    # another one ends when anybody is lost, and not only with the first
    needs_all: bool
    at: Tuple[str, int]
    # names that the first one waits for, to tell who is missing
    expect: List[str]
    # the first one lets nobody join before something listens there
    after: Optional[Tuple[str, int]]
    command: List[str]


class Peer:
    """One connection: who is at the other end, and when it was last heard."""

    def __init__(self, connection: socket.socket, now: float, name: str = "") -> None:
        connection.setblocking(False)
        self.connection = connection
        # empty for whoever has not said it yet
        self.name = name
        self.heard = now
        self.said = b""

    def read(self, now: float) -> bool:
        """Take what has come; False at the end of the connection."""
        try:
            data = self.connection.recv(4096)
        except BlockingIOError:
            return True
        except OSError:
            return False
        if data:
            self.heard = now
            self.said = (self.said + data)[:512]
        return bool(data)

    def write(self, data: bytes) -> None:
        """Say it; where that fails, the silence at the other end tells."""
        with contextlib.suppress(OSError):
            self.connection.send(data)


def hello(group: str, name: str) -> bytes:
    """What a part says first."""
    return "{0} {1} {2}\n".format(_HELLO, group, name).encode()


def name_of(said: bytes, group: str) -> str:
    """The name of the part that has said hello; empty while the line is not whole. Raises ValueError for strangers."""
    if b"\n" not in said:
        return ""
    word, theirs, name = said.split(b"\n", 1)[0].decode("utf-8", "replace").split(" ")
    if word != _HELLO or theirs != group or not _NAME.fullmatch(name):
        raise ValueError("not of this group")
    return name


class Guard:
    """The part that runs here and its ties to the others."""

    def __init__(self, options: Options, say: Callable[[str], None]) -> None:
        self.options = options
        self.say = say
        self.child: Optional[subprocess.Popen[bytes]] = None
        self.ended: Optional[int] = None
        self.selector = selectors.DefaultSelector()
        self.peers: Dict[socket.socket, Peer] = {}
        self.beaten = 0.0
        self.began = self.told = time.monotonic()

    def start(self) -> None:
        """Start it, in a process group of its own."""
        self.child = subprocess.Popen(self.options.command, start_new_session=True)

    def reap(self) -> Optional[int]:
        """The exit code once it has ended; others that were left to us as process 1 are buried on the way."""
        while self.child is not None and self.ended is None:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if pid == 0:
                break
            if pid == self.child.pid:
                self.ended = 128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
        return self.ended

    def tell_child(self, number: int) -> None:
        """Pass a signal on."""
        if self.child is not None and self.ended is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.child.pid, number)

    def stop_child(self) -> None:
        """End it with all that it has started. Its requests are lost already."""
        for number, seconds in ((signal.SIGTERM, GRACE_SECONDS), (signal.SIGKILL, GRACE_SECONDS)):
            if self.child is None or self.ended is not None:
                break
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.child.pid, number)
            until = time.monotonic() + seconds
            while self.reap() is None and time.monotonic() < until:
                time.sleep(0.05)

    def keep(self, peer: Peer) -> None:
        """Watch a connection."""
        self.peers[peer.connection] = peer
        self.selector.register(peer.connection, selectors.EVENT_READ)

    def drop(self, peer: Peer) -> None:
        """Watch it no longer."""
        self.selector.unregister(peer.connection)
        del self.peers[peer.connection]
        peer.connection.close()

    def lose(self, who: str, why: str) -> int:
        """All connections end first: nobody may join what is about to end."""
        self.say("{0} is lost ({1}): {2} ends, to start anew together".format(who, why, self.options.name))
        for key in list(self.selector.get_map().values()):
            self.selector.unregister(key.fileobj)
            if isinstance(key.fileobj, socket.socket):
                key.fileobj.close()
        self.peers.clear()
        self.stop_child()
        return LOST

    def beat(self, now: float) -> None:
        """A sign of life for everybody who is known."""
        if now - self.beaten >= BEAT_SECONDS:
            self.beaten = now
            for peer in self.peers.values():
                if peer.name:
                    peer.write(_BEAT)

    def tell_missing(self, now: float) -> None:
        """Now and then, who has not joined yet."""
        known = [peer.name for peer in self.peers.values()]
        missing = [name for name in self.options.expect if name not in known]
        if not missing:
            self.told = now
        elif now - self.told >= TELL_SECONDS:
            self.told = now
            self.say("waiting for {0} to join for {1:.0f} s".format(", ".join(missing), now - self.began))

    def silent(self, now: float) -> Optional[Peer]:
        """Somebody known who has not been heard for too long."""
        quiet = (peer for peer in self.peers.values() if now - peer.heard > SILENT_SECONDS)
        return next((peer for peer in quiet if peer.name), None)


def lead(guard: Guard) -> int:
    """The first part: the others join while it starts, or after it, and are missed when they go."""
    server: Optional[socket.socket] = None
    guard.start()
    while guard.reap() is None:
        if server is None and _is_up(guard.options.after):
            server = socket.create_server(guard.options.at, backlog=64)
            server.setblocking(False)
            guard.selector.register(server, selectors.EVENT_READ)
        lost = _look(guard, server)
        if lost and not guard.options.outlive:
            return guard.lose(lost[0].name, lost[1])
        if lost:
            _go_on(guard, *lost)
    return guard.ended or 0


def _is_up(place: Optional[Tuple[str, int]]) -> bool:
    try:
        if place:
            socket.create_connection(place, timeout=1).close()
    except OSError:
        return False
    return True


def _go_on(guard: Guard, lost: Peer, why: str) -> None:
    guard.say("{0} is lost ({1})".format(lost.name, why))
    guard.drop(lost)
    for peer in guard.peers.values():
        if peer.name:
            peer.write(_SOMEBODY_LOST)


def _look(guard: Guard, server: Optional[socket.socket]) -> Optional[Tuple[Peer, str]]:
    """One round of whatever has come; who is lost and why."""
    ready = [key.fileobj for key, _events in guard.selector.select(_TICK_SECONDS)]
    now = time.monotonic()
    if server is not None and server in ready:
        _accept(guard, server, now)
    for connection in ready:
        peer = guard.peers.get(connection) if isinstance(connection, socket.socket) else None
        if peer is None:
            continue
        alive = peer.read(now)
        if not peer.name:
            _admit(guard, peer, alive)
        elif not alive:
            return peer, "its connection has ended"
    guard.beat(now)
    guard.tell_missing(now)
    _dismiss(guard, now)
    silent = guard.silent(now)
    return (silent, _silence(silent, now)) if silent else _twice(guard)


def _silence(peer: Peer, now: float) -> str:
    return "no sign of life for {0:.0f} s".format(now - peer.heard)


def _accept(guard: Guard, server: socket.socket, now: float) -> None:
    with contextlib.suppress(OSError):
        connection, _address = server.accept()
        if sum(not peer.name for peer in guard.peers.values()) >= _MOST_STRANGERS:
            connection.close()
        else:
            guard.keep(Peer(connection, now))


def _admit(guard: Guard, peer: Peer, alive: bool) -> None:
    """A part that has said hello belongs to us from now on; whoever is none is not missed."""
    try:
        peer.name = name_of(peer.said, guard.options.group)
    except ValueError:
        alive = False
    if not alive:
        guard.drop(peer)
    elif peer.name:
        peer.write(_WELCOME)
        guard.say("{0} has joined".format(peer.name))


def _dismiss(guard: Guard, now: float) -> None:
    for peer in [peer for peer in guard.peers.values() if not peer.name and now - peer.heard > HELLO_SECONDS]:
        guard.drop(peer)


def _twice(guard: Guard) -> Optional[Tuple[Peer, str]]:
    """A part that joins again has ended without a word; the older connection is the one that is lost."""
    known: Dict[str, Peer] = {}
    for peer in guard.peers.values():
        if peer.name and peer.name in known:
            return known[peer.name], "it has started anew"
        known[peer.name] = peer
    return None


def follow(guard: Guard) -> int:
    """Any other part: it starts once the first one of now has been found, and ends with it."""
    peer = join(guard)
    guard.keep(peer)
    guard.start()
    while guard.reap() is None:
        ready = guard.selector.select(_TICK_SECONDS)
        now = time.monotonic()
        peer.said = b""
        if ready and not peer.read(now):
            return guard.lose(FIRST, "its connection has ended")
        if guard.options.needs_all and _SOMEBODY_LOST in peer.said:
            return guard.lose("a node", "the first one has said so")
        guard.beat(now)
        if guard.silent(now):
            return guard.lose(FIRST, _silence(peer, now))
    return guard.ended or 0


def join(guard: Guard) -> Peer:
    """The connection to the first one, waited for as long as it takes: somebody may have stopped it on purpose."""
    began = told = time.monotonic()
    place = "{0}:{1}".format(*guard.options.at)
    while True:
        connection, error = _knock(guard.options)
        if connection is not None:
            guard.say("{0} has found the first one at {1}".format(guard.options.name, place))
            return Peer(connection, time.monotonic(), FIRST)
        now = time.monotonic()
        if now - told >= TELL_SECONDS:
            told = now
            guard.say("waiting for the first one at {0} for {1:.0f} s: {2}".format(place, now - began, error))
        time.sleep(RETRY_SECONDS)


def _knock(options: Options) -> Tuple[Optional[socket.socket], str]:
    """A connection over which the first one has said welcome, or why there is none."""
    try:
        connection = socket.create_connection(options.at, timeout=HELLO_SECONDS)
    except OSError as exc:
        return None, str(exc) or type(exc).__name__
    try:
        connection.sendall(hello(options.group, options.name))
        if connection.recv(1) == _WELCOME:
            return connection, ""
        error = "it does not take us for one of its own"
    except OSError as exc:
        error = str(exc) or type(exc).__name__
    connection.close()
    return None, error


def parse(arguments: List[str]) -> Options:
    """The command line."""
    parser = argparse.ArgumentParser(description="Start one part of a deployment, and end it with those it depends on.")
    parser.add_argument("--group", required=True, help="name of the deployment")
    parser.add_argument("--name", required=True, help="name of this part, another one for each")
    parser.add_argument("--lead", action="store_true", help="this is the first part, which the others join")
    parser.add_argument("--outlive", action="store_true", help="with --lead: go on when another one is lost")
    parser.add_argument("--needs-all", action="store_true", help="without --lead: end when anybody is lost")
    parser.add_argument("--at", required=True, help="ADDRESS:PORT where the first one hears the others")
    parser.add_argument("--expect", default="", help="with --lead: names that are to join, with commas between them")
    parser.add_argument(
        "--after", default="", help="with --lead: ADDRESS:PORT that has to be open before others may join"
    )
    parser.add_argument("command", nargs=argparse.REMAINDER, help="-- and what to start")
    found = parser.parse_args(arguments)
    command = found.command[1:] if found.command[:1] == ["--"] else found.command
    if not command:
        parser.error("a command to start is missing")
    if not _NAME.fullmatch(found.name):
        parser.error("--name is one word of letters, digits, dots and dashes")
    return Options(
        group=found.group,
        name=found.name,
        lead=found.lead,
        outlive=found.outlive,
        needs_all=found.needs_all,
        at=_place(found.at),
        expect=[name for name in found.expect.split(",") if name],
        after=_place(found.after) if found.after else None,
        command=command,
    )


def _place(text: str) -> Tuple[str, int]:
    address, _colon, port = text.rpartition(":")
    return address, int(port)


def main(arguments: List[str]) -> int:
    """Guard it until it ends; its exit code, or LOST where another one is the reason."""
    options = parse(arguments)
    guard = Guard(options, lambda text: print("llmserve group guard: " + text, flush=True))

    told: List[int] = []

    def pass_on(number: int, _frame: object) -> None:
        told.append(number)
        if guard.child is None:
            sys.exit(128 + number)
        guard.tell_child(number)

    signal.signal(signal.SIGTERM, pass_on)
    signal.signal(signal.SIGINT, pass_on)
    code = (lead if options.lead else follow)(guard)
    # what was told to stop has not failed, whatever it makes of a signal
    return 128 + told[0] if told and code else code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
