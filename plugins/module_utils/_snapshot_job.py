# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A job that outlives the connection that started it, that everybody can watch, and of which there is only one.

The job is a copy of this process in a session of its own: what it needs to know, a token for example, it has in its
memory, and nothing of it is in arguments, environment or files. Hosts that share the directory see the same job.

This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import resource
import signal
import socket
import threading
import time
import uuid
from typing import Any, Callable, Dict, Optional

from ansible_collections.llmserve.vllm.plugins.module_utils._host import read_text as read_system
from ansible_collections.llmserve.vllm.plugins.module_utils._snapshot_progress import Meter, sentence
from ansible_collections.llmserve.vllm.plugins.module_utils._snapshot_store import read_text, remove, write_text

RUNNING, DONE, FAILED, DEAD = "running", "done", "failed", "dead"
# A job of another host shows that it lives by its counter, once a second.
BEAT_SECONDS = 1.0
DEAD_SECONDS = 45.0
LOG_SECONDS = 10.0
_KEEP = 10
# Kept free for the last word of a job that has filled the disk.
_RESERVE = 64 << 10


def _host() -> str:
    """Which processes the numbers of this one's /proc belong to: containers on one machine have one boot id."""
    boot = (read_system("/proc/sys/kernel/random/boot_id") or "").strip()
    try:
        space = os.readlink("/proc/self/ns/pid")
    except OSError:
        space = ""
    return " ".join((socket.gethostname(), boot, space))


def _started(pid: int) -> str:
    """When a process began, in ticks since the boot; tells it from a later one with the same number."""
    stat = read_system("/proc/{0}/stat".format(pid)) or ""
    fields = stat.rpartition(")")[2].split()
    # a zombie is dead, whoever has not yet waited for it
    return fields[19] if len(fields) > 19 and fields[0] not in "ZX" else ""


class Jobs:
    """The jobs of one model's directory."""

    def __init__(self, state: str) -> None:
        self.folder = os.path.join(state, "jobs")
        self._lock = os.path.join(self.folder, "lock")

    def prepare(self) -> None:
        """Make the directory, for its owner only."""
        os.makedirs(os.path.dirname(self.folder), exist_ok=True)
        os.makedirs(self.folder, mode=0o700, exist_ok=True)

    def log(self, job: str) -> str:
        """The file with the job's progress lines."""
        return os.path.join(self.folder, job + ".log")

    def report(self, job: str) -> Optional[Dict[str, Any]]:
        """What a job last said of itself."""
        try:
            data = json.loads(read_text(self._path(job)) or "")
        except ValueError:
            return None
        return data if isinstance(data, dict) else None

    def write(self, job: str, report: Dict[str, Any]) -> None:
        """Say something of a job."""
        write_text(self._path(job), json.dumps(report))

    def holder(self) -> str:
        """The job that has the lock, or nothing."""
        return (read_text(self._lock) or "").strip()

    def current(self) -> Optional[str]:
        """The job that is running, as far as can be seen at once."""
        job = self.holder()
        return job if job and not self.is_dead(job) else None

    def is_dead(self, job: str) -> bool:
        """Whether it is certain, without waiting, that the job has ended."""
        report = self.report(job)
        if report is None:
            return False
        if report["state"] != RUNNING:
            return True
        return report["host"] == _host() and _started(report["pid"]) != report["started"]

    def acquire(self, job: str) -> bool:
        """Take the lock, which may be on a network filesystem: a link is made by exactly one of many."""
        staged = os.path.join(self.folder, job + ".lock")
        write_text(staged, job)
        try:
            os.link(staged, self._lock)
        except FileExistsError:
            return False
        except OSError as exc:
            if exc.errno not in (errno.EPERM, errno.ENOTSUP, errno.ENOSYS):
                raise
            return self._acquire_without_links(job)
        finally:
            remove(staged)
        return True

    def _acquire_without_links(self, job: str) -> bool:
        try:
            handle = os.open(self._lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        except FileExistsError:
            return False
        with os.fdopen(handle, "w") as stream:
            stream.write(job)
        return True

    def break_lock(self, job: str) -> None:
        """Take the lock away from a dead job, and from that one only."""
        taken = os.path.join(self.folder, "stale-" + uuid.uuid4().hex)
        try:
            os.rename(self._lock, taken)
        except FileNotFoundError:
            return
        if (read_text(taken) or "").strip() != job:
            # Somebody was quicker and has a new job: give it back.
            with contextlib.suppress(OSError):
                os.link(taken, self._lock)
        remove(taken)

    def release(self, job: str) -> None:
        """Give the lock back, when it is still this job's."""
        if self.holder() == job:
            remove(self._lock)

    def clean(self) -> None:
        """Forget all but the last jobs."""
        try:
            names = [name for name in os.listdir(self.folder) if name.endswith(".json")]
        except OSError:
            return
        for name in sorted(names)[:-_KEEP]:
            for ending in (".json", ".log", ".reserve"):
                remove(os.path.join(self.folder, name[: -len(".json")] + ending))

    def _path(self, job: str) -> str:
        return os.path.join(self.folder, job + ".json")


class Reporter:
    """Writes the job's figures once a second, and a line into its log every few."""

    def __init__(self, jobs: Jobs, job: str, meter: Meter, secret: str, on_lost: Callable[[], None]) -> None:
        self._jobs, self._job, self._meter, self._secret, self._on_lost = jobs, job, meter, secret, on_lost
        pid = os.getpid()
        self._identity = {"job": job, "host": _host(), "pid": pid, "started": _started(pid), "began": time.time()}
        self._beat = 0
        self._logged = 0.0
        self._ended = threading.Event()
        # a signal may come while the same thread writes
        self._write_lock = threading.RLock()
        self._reserve = os.path.join(jobs.folder, job + ".reserve")
        with open(self._reserve, "wb") as reserve:
            reserve.write(bytes(_RESERVE))
        self.say("started as process {0}".format(pid))
        self.write(RUNNING)
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while not self._ended.wait(BEAT_SECONDS):
            try:
                if self._jobs.holder() not in (self._job, ""):
                    self._on_lost()
                self.write(RUNNING)
                if time.monotonic() - self._logged >= LOG_SECONDS:
                    self.say(sentence(self._meter.figures()))
            except OSError:
                # A full disk must not end a job that can still clean up.
                continue

    def write(self, state: str, **more: Any) -> None:
        """The state and the figures, in one file that is replaced."""
        with self._write_lock:
            if self._ended.is_set() and state == RUNNING:
                return
            self._beat += 1
            report = dict(self._identity, state=state, beat=self._beat, figures=self._meter.figures(), **more)
            text = json.dumps(report)
            self._jobs.write(self._job, json.loads(text.replace(self._secret, "***")) if self._secret else report)

    def say(self, text: str) -> None:
        """A line for the log."""
        self._logged = time.monotonic()
        if self._secret:
            text = text.replace(self._secret, "***")
        try:
            with open(self._jobs.log(self._job), "a", encoding="utf-8") as log:
                log.write("{0} {1}\n".format(time.strftime("%Y-%m-%dT%H:%M:%S%z"), text))
        except OSError:
            pass

    def end(self, state: str, **more: Any) -> None:
        """The last word; keeps trying for a while when the disk is full."""
        self._ended.set()
        remove(self._reserve)
        for _attempt in range(10):
            try:
                self.write(state, **more)
                return
            except OSError:
                time.sleep(0.5)


def start(jobs: Jobs, work: Callable[[str, Callable[[], None]], None]) -> Optional[str]:
    """Run C(work) in a process of its own; the job's id, or C(None) when another job has the lock.

    C(work) gets the id, and a function to call as soon as its first report is written.
    """
    jobs.prepare()
    job = "{0}-{1}".format(time.strftime("%Y%m%dT%H%M%S", time.gmtime()), uuid.uuid4().hex[:8])
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.setsid()
            if os.fork() == 0:
                _detach(writer, jobs.log(job))
                _locked(jobs, job, work, writer)
            code = 0
        finally:
            os._exit(code)
    os.close(writer)
    os.waitpid(child, 0)
    with os.fdopen(reader, "rb") as pipe:
        word = pipe.read(1)
    if word == b"+":
        return job
    if word == b"-":
        return None
    raise OSError(errno.ECHILD, "the background process ended at once; see {0}".format(jobs.log(job)))


def _locked(jobs: Jobs, job: str, work: Callable[[str, Callable[[], None]], None], writer: int) -> None:
    if not jobs.acquire(job):
        os.write(writer, b"-")
        remove(jobs.log(job))
        return

    def ready() -> None:
        os.write(writer, b"+")
        os.close(writer)

    try:
        jobs.clean()
        work(job, ready)
    finally:
        jobs.release(job)


def _detach(writer: int, log: str) -> None:
    """Hold on to nothing of who started this: an open pipe would keep ssh and Ansible waiting."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    # What is in the memory stays there.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.chdir("/")
    os.umask(0o022)
    null = os.open(os.devnull, os.O_RDONLY)
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(null, 0)
    os.dup2(out, 1)
    os.dup2(out, 2)
    highest = min(resource.getrlimit(resource.RLIMIT_NOFILE)[0], 65536)
    os.closerange(3, writer)
    os.closerange(writer + 1, highest)
