# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Starts vLLM's rank of this host and ends it when the rank of another host is lost, so that all start together anew.

vLLM's own multi-node mode never notices the death of an idle rank, and a rank that comes back alone is waited for in
vain. Here the hosts hold a connection to the head, with a sign of life in both directions. What Docker or systemd then
restarts finds the others again: ranks join the head of now, never one that is about to end.

Run with the Python beside vLLM and nothing else:
    python3 rank_guard.py --group NAME --rank 0 --ranks 3 --at 10.0.0.1:29520 -- vllm serve ...
    python3 rank_guard.py --group NAME --rank 1 --ranks 3 --at 10.0.0.1:29520 -- vllm serve ... --headless
The group's name keeps two deployments apart; it is no secret, like all that ranks say to each other on their network.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from typing import Callable, Dict, List, NamedTuple, Optional, Tuple

# sysexits' EX_TEMPFAIL: not this rank's own fault, to be tried again
LOST = 75
BEAT_SECONDS = 2.0
SILENT_SECONDS = 8.0
HELLO_SECONDS = 5.0
GRACE_SECONDS = 5.0
RETRY_SECONDS = 0.5
TELL_SECONDS = 15.0
_TICK_SECONDS = 0.25
_MOST_STRANGERS = 16
_HELLO = "llmserve-rank"
_WELCOME = b"+"
_BEAT = b"."


class Options(NamedTuple):
    """What the command line says."""

    group: str
    rank: int
    ranks: int
    at: Tuple[str, int]
    command: List[str]


class Peer:
    """One connection: who is at the other end, and when it was last heard."""

    def __init__(self, connection: socket.socket, now: float, rank: Optional[int] = None) -> None:
        connection.setblocking(False)
        self.connection = connection
        self.rank = rank
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


def hello(group: str, rank: int) -> bytes:
    """What a rank says first."""
    return "{0} {1} {2}\n".format(_HELLO, group, rank).encode()


def rank_of(said: bytes, group: str, ranks: int) -> Optional[int]:
    """The rank that has said hello; None while the line is not whole. Raises ValueError for anybody else."""
    if b"\n" not in said:
        return None
    word, name, rank = said.split(b"\n", 1)[0].decode("utf-8", "replace").split(" ")
    if word != _HELLO or name != group or not 0 < int(rank) < ranks:
        raise ValueError("not of this group")
    return int(rank)


class Guard:
    """The rank of this host and its ties to the others."""

    def __init__(self, options: Options, say: Callable[[str], None]) -> None:
        self.options = options
        self.say = say
        self.child: Optional[subprocess.Popen[bytes]] = None
        self.ended: Optional[int] = None
        self.selector = selectors.DefaultSelector()
        self.peers: Dict[socket.socket, Peer] = {}
        self.beaten = 0.0

    def start(self) -> None:
        """Start vLLM, in a process group of its own."""
        self.child = subprocess.Popen(self.options.command, start_new_session=True)

    def reap(self) -> Optional[int]:
        """The exit code once vLLM has ended; others that were left to us as process 1 are buried on the way."""
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
        """End vLLM with all that it has started. Its requests are lost already."""
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
        """All connections end first: nobody may join a rank that is about to end."""
        self.say("{0} is lost ({1}): this rank ends, so that all start together anew".format(who, why))
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
                if peer.rank is not None:
                    peer.write(_BEAT)

    def silent(self, now: float) -> Optional[Peer]:
        """Somebody known who has not been heard for too long."""
        quiet = (peer for peer in self.peers.values() if now - peer.heard > SILENT_SECONDS)
        return next((peer for peer in quiet if peer.rank is not None), None)


def lead(guard: Guard) -> int:
    """Rank 0: the others join while vLLM starts, and are missed when they go."""
    server = socket.create_server(guard.options.at, backlog=64)
    server.setblocking(False)
    guard.selector.register(server, selectors.EVENT_READ)
    guard.start()
    while guard.reap() is None:
        found = _look(guard, server)
        if found:
            return guard.lose(*found)
    return guard.ended or 0


def _look(guard: Guard, server: socket.socket) -> Optional[Tuple[str, str]]:
    """One round of whatever has come; who is lost and why."""
    ready = [key.fileobj for key, _events in guard.selector.select(_TICK_SECONDS)]
    now = time.monotonic()
    if server in ready:
        _accept(guard, server, now)
    for connection in ready:
        peer = guard.peers.get(connection) if isinstance(connection, socket.socket) else None
        if peer is None:
            continue
        alive = peer.read(now)
        if peer.rank is None:
            _admit(guard, peer, alive)
        elif not alive:
            return _name(peer), "its connection has ended"
    guard.beat(now)
    _dismiss(guard, now)
    silent = guard.silent(now)
    return (_name(silent), "no sign of life for {0:.0f} s".format(now - silent.heard)) if silent else _twice(guard)


def _accept(guard: Guard, server: socket.socket, now: float) -> None:
    with contextlib.suppress(OSError):
        connection, _address = server.accept()
        if sum(peer.rank is None for peer in guard.peers.values()) >= _MOST_STRANGERS:
            connection.close()
        else:
            guard.keep(Peer(connection, now))


def _admit(guard: Guard, peer: Peer, alive: bool) -> None:
    """A rank that has said hello belongs to us from now on; whoever is none is not missed."""
    try:
        peer.rank = rank_of(peer.said, guard.options.group, guard.options.ranks)
    except ValueError:
        alive = False
    if not alive:
        guard.drop(peer)
    elif peer.rank is not None:
        peer.write(_WELCOME)
        guard.say("{0} has joined".format(_name(peer)))


def _dismiss(guard: Guard, now: float) -> None:
    for peer in [peer for peer in guard.peers.values() if peer.rank is None and now - peer.heard > HELLO_SECONDS]:
        guard.drop(peer)


def _twice(guard: Guard) -> Optional[Tuple[str, str]]:
    """A rank that joins again has ended without a word."""
    known = [peer.rank for peer in guard.peers.values() if peer.rank is not None]
    again = [rank for rank in known if known.count(rank) > 1]
    return ("rank {0}".format(again[0]), "it has started anew") if again else None


def _name(peer: Peer) -> str:
    return "rank {0}".format(peer.rank)


def follow(guard: Guard) -> int:
    """Any other rank: vLLM starts once the head of now has been found, and ends with it."""
    peer = join(guard)
    guard.keep(peer)
    guard.start()
    while guard.reap() is None:
        ready = guard.selector.select(_TICK_SECONDS)
        now = time.monotonic()
        if ready and not peer.read(now):
            return guard.lose("rank 0", "its connection has ended")
        guard.beat(now)
        if guard.silent(now):
            return guard.lose("rank 0", "no sign of life for {0:.0f} s".format(now - peer.heard))
    return guard.ended or 0


def join(guard: Guard) -> Peer:
    """The connection to the head, waited for as long as it takes: somebody may have stopped it on purpose."""
    began = told = time.monotonic()
    place = "{0}:{1}".format(*guard.options.at)
    while True:
        connection, error = _knock(guard.options)
        if connection is not None:
            guard.say("joined rank 0 at {0}".format(place))
            return Peer(connection, time.monotonic(), rank=0)
        now = time.monotonic()
        if now - told >= TELL_SECONDS:
            told = now
            guard.say("waiting for rank 0 at {0} for {1:.0f} s: {2}".format(place, now - began, error))
        time.sleep(RETRY_SECONDS)


def _knock(options: Options) -> Tuple[Optional[socket.socket], str]:
    """A connection over which the head has said welcome, or why there is none."""
    try:
        connection = socket.create_connection(options.at, timeout=HELLO_SECONDS)
    except OSError as exc:
        return None, str(exc) or type(exc).__name__
    try:
        connection.sendall(hello(options.group, options.rank))
        if connection.recv(1) == _WELCOME:
            return connection, ""
        error = "it does not take this rank for one of its own"
    except OSError as exc:
        error = str(exc) or type(exc).__name__
    connection.close()
    return None, error


def parse(arguments: List[str]) -> Options:
    """The command line."""
    parser = argparse.ArgumentParser(description="Start vLLM's rank of this host, and end it with the others.")
    parser.add_argument("--group", required=True, help="name of the deployment")
    parser.add_argument("--rank", type=int, required=True, help="0 is the head")
    parser.add_argument("--ranks", type=int, required=True, help="how many there are")
    parser.add_argument("--at", required=True, help="ADDRESS:PORT where the head hears the others")
    parser.add_argument("command", nargs=argparse.REMAINDER, help="-- and what starts the rank")
    found = parser.parse_args(arguments)
    address, _colon, port = found.at.rpartition(":")
    command = found.command[1:] if found.command[:1] == ["--"] else found.command
    if not command:
        parser.error("a command to start is missing")
    return Options(found.group, found.rank, found.ranks, (address, int(port)), command)


def main(arguments: List[str]) -> int:
    """Guard the rank until it ends; its exit code, or LOST where another one is the reason."""
    options = parse(arguments)
    guard = Guard(options, lambda text: print("llmserve rank guard: " + text, flush=True))

    def pass_on(number: int, _frame: object) -> None:
        if guard.child is None:
            sys.exit(128 + number)
        guard.tell_child(number)

    signal.signal(signal.SIGTERM, pass_on)
    signal.signal(signal.SIGINT, pass_on)
    return (follow if options.rank else lead)(guard)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
