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
import threading
import time
import uuid
from typing import Any, Callable, Dict, Optional, Sequence

from ansible_collections.llmserve.vllm.plugins.module_utils._background import is_gone, own_identity, spawn
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
        return is_gone(report)

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

    def __init__(self, jobs: Jobs, job: str, meter: Meter, secrets: Sequence[str], on_lost: Callable[[], None]) -> None:
        self._jobs, self._job, self._meter, self._secrets, self._on_lost = jobs, job, meter, secrets, on_lost
        self._identity = dict(own_identity(), job=job, began=time.time())
        self._beat = 0
        self._logged = 0.0
        self._ended = threading.Event()
        # a signal may come while the same thread writes
        self._write_lock = threading.RLock()
        self._reserve = os.path.join(jobs.folder, job + ".reserve")
        with open(self._reserve, "wb") as reserve:
            reserve.write(bytes(_RESERVE))
        self.say("started as process {0}".format(self._identity["pid"]))
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
            self._jobs.write(self._job, json.loads(self._masked(json.dumps(report))))

    def say(self, text: str) -> None:
        """A line for the log."""
        self._logged = time.monotonic()
        try:
            with open(self._jobs.log(self._job), "a", encoding="utf-8") as log:
                log.write("{0} {1}\n".format(time.strftime("%Y-%m-%dT%H:%M:%S%z"), self._masked(text)))
        except OSError:
            pass

    def _masked(self, text: str) -> str:
        for secret in filter(None, self._secrets):
            text = text.replace(secret, "***")
        return text

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
    word = spawn(jobs.log(job), lambda answer: _locked(jobs, job, work, answer))
    if word == b"+":
        return job
    if word == b"-":
        return None
    raise OSError(errno.ECHILD, "the background process ended at once; see {0}".format(jobs.log(job)))


def _locked(
    jobs: Jobs, job: str, work: Callable[[str, Callable[[], None]], None], answer: Callable[[bytes], None]
) -> None:
    if not jobs.acquire(job):
        answer(b"-")
        remove(jobs.log(job))
        return
    try:
        jobs.clean()
        work(job, lambda: answer(b"+"))
    finally:
        jobs.release(job)
