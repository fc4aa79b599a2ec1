# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The process of a mirror: what is kept of it on disk, how it is started, known again and ended.

This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import logging.handlers
import os
import re
import secrets
import signal
import socket
import time
from typing import Any, Callable, Dict, NamedTuple, Optional

from ansible_collections.llmserve.vllm.plugins.module_utils._background import call_self, own_identity, runs_here, spawn
from ansible_collections.llmserve.vllm.plugins.module_utils._mirror_server import MirrorServer
from ansible_collections.llmserve.vllm.plugins.module_utils._snapshot_store import read_text, remove, write_text

_TOKEN = re.compile(r"[0-9a-f]{64}")
_NAME = "llmserve-mirror"
_MOST_LOG = 1 << 20
_GENTLE_SECONDS, _HARD_SECONDS, _LOOK_SECONDS = 5.0, 5.0, 0.02


class MirrorError(Exception):
    """The mirror cannot be as asked for: a sentence for the operator, and its kind for the program."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class Settings(NamedTuple):
    """Where a mirror listens, and how long it lives without work."""

    address: str
    port: int
    idle_timeout: float


class Mirror(NamedTuple):
    """A mirror that runs."""

    settings: Settings
    process: Dict[str, Any]


class Place:
    """What is kept of the mirror of this host, below the cache that it serves. Other hosts may see the same cache."""

    def __init__(self, cache_dir: str) -> None:
        self.cache_dir = cache_dir
        host = re.sub(r"[^A-Za-z0-9-]", "_", socket.gethostname()) or "_"
        self.folder = os.path.join(cache_dir, ".llmserve", "mirror", host)
        self.log = os.path.join(self.folder, "log")
        self._state = os.path.join(self.folder, "state.json")
        self._token = os.path.join(self.folder, "token")

    def prepare(self) -> None:
        """Make the directories; those of the mirror are for their owner only."""
        above = os.path.dirname(self.folder)
        os.makedirs(os.path.dirname(above), exist_ok=True)
        for folder in (above, self.folder):
            os.makedirs(folder, mode=0o700, exist_ok=True)
            os.chmod(folder, 0o700)

    def running(self) -> Optional[Mirror]:
        """The mirror that was started here, when its process still lives."""
        try:
            told = json.loads(read_text(self._state) or "")
            mirror = Mirror(Settings(told["address"], told["port"], told["idle_timeout"]), told["process"])
            return mirror if runs_here(mirror.process) else None
        except (ValueError, KeyError, TypeError):
            return None

    def write(self, mirror: Mirror) -> None:
        """Remember a mirror."""
        write_text(self._state, json.dumps(dict(mirror.settings._asdict(), process=mirror.process)))

    def token(self) -> str:
        """The token of this host's mirrors; empty when there is none."""
        text = (read_text(self._token) or "").strip()
        return text if _TOKEN.fullmatch(text) else ""

    def make_token(self) -> str:
        """The token, made when there is none."""
        token = self.token()
        if not token:
            token = secrets.token_hex(32)
            staged = "{0}.{1}.tmp".format(self._token, os.getpid())
            remove(staged)
            handle = os.open(staged, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
            with os.fdopen(handle, "w") as stream:
                stream.write(token + "\n")
            os.replace(staged, self._token)
        return token

    def is_there(self) -> bool:
        """Whether anything is kept."""
        return os.path.isdir(self.folder)

    def forget(self) -> None:
        """Remove all of it, and directories that are empty then."""
        with contextlib.suppress(FileNotFoundError):
            for name in os.listdir(self.folder):
                remove(os.path.join(self.folder, name))
        folder = self.folder
        while folder != self.cache_dir:
            try:
                os.rmdir(folder)
            except FileNotFoundError:
                pass
            except OSError as exc:
                # the directories above may belong to the owner of the cache
                kept = (errno.ENOTEMPTY, errno.EEXIST, errno.EACCES, errno.EPERM)
                if folder == self.folder or exc.errno not in kept:
                    raise
                return
            folder = os.path.dirname(folder)


def listen(place: Place, settings: Settings, token: str) -> MirrorServer:
    """A server that holds the port, or an error that says why it cannot."""
    try:
        return MirrorServer(settings.address, settings.port, place.cache_dir, token)
    except OSError as exc:
        raise _no_port(settings, exc) from exc


def _no_port(settings: Settings, error: OSError) -> MirrorError:
    where = "port {0} of {1}".format(settings.port, settings.address)
    if error.errno == errno.EADDRINUSE:
        return MirrorError(
            "port_in_use",
            "Another process listens on {0}: see which with `ss -ltnp 'sport = :{1}'`, and stop it, or choose another "
            "port for the mirror.".format(where, settings.port),
        )
    if error.errno == errno.EADDRNOTAVAIL:
        return MirrorError(
            "address_not_local",
            "{0} is not an address of this host: `ip addr` lists them; give the one by which the other hosts reach "
            "it.".format(settings.address),
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        return MirrorError(
            "port_not_permitted",
            "This user may not listen on {0}: choose a port above 1023 for the mirror.".format(where),
        )
    return MirrorError("start_failed", "The mirror cannot listen on {0}: {1}.".format(where, error.strerror or error))


def start(place: Place, settings: Settings, server: MirrorServer) -> Mirror:
    """Let a process of its own answer for the server; this one lets go of the port."""

    def work(answer: Callable[[bytes], None]) -> None:
        mirror = Mirror(settings, own_identity())
        place.write(mirror)
        answer(b"+")
        _serve(place, mirror, server)

    with contextlib.closing(server.socket):
        word = spawn(place.log, work, keep=[server.fileno()])
    mirror = place.running() if word else None
    if mirror is None:
        raise MirrorError("start_failed", "The process of the mirror has ended at once; see {0}.".format(place.log))
    return mirror


def _serve(place: Place, mirror: Mirror, server: MirrorServer) -> None:
    call_self(_NAME)
    handler = logging.handlers.RotatingFileHandler(place.log, maxBytes=_MOST_LOG, backupCount=1)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%Y-%m-%dT%H:%M:%S%z"))
    log = logging.getLogger("llmserve.mirror")
    log.handlers, log.propagate = [handler], False
    log.setLevel(logging.INFO)
    where = "port {0.port} of {0.address}".format(mirror.settings)
    log.info("process %s answers on %s", mirror.process["pid"], where)
    server.answer_until_idle(mirror.settings.idle_timeout)
    log.info("nothing was asked for in %g s: process %s ends", mirror.settings.idle_timeout, mirror.process["pid"])


def stop(mirror: Mirror) -> None:
    """End the process, and make sure that it is this one."""
    pid = int(mirror.process["pid"])
    for number, seconds in ((signal.SIGTERM, _GENTLE_SECONDS), (signal.SIGKILL, _HARD_SECONDS)):
        if not runs_here(mirror.process):
            return
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return
        except PermissionError as exc:
            raise MirrorError(
                "not_stopped",
                "Process {0}, the mirror on port {1}, belongs to another user, so that it cannot be stopped: give the "
                "run_as that it was started with, or become: true.".format(pid, mirror.settings.port),
            ) from exc
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if not runs_here(mirror.process):
                return
            time.sleep(_LOOK_SECONDS)
    raise MirrorError("not_stopped", "Process {0}, the mirror, does not end; `ps -o stat {0}` tells why.".format(pid))
