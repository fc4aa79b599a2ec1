# SPDX-License-Identifier: GPL-3.0-or-later
"""One job at a time, whoever asks; a dead one's lock is taken, a living one's never."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from ansible_collections.llmserve.vllm.plugins.module_utils import _snapshot_job
from ansible_collections.llmserve.vllm.plugins.module_utils._snapshot_job import (
    DONE,
    FAILED,
    RUNNING,
    Jobs,
    Reporter,
    start,
)
from ansible_collections.llmserve.vllm.plugins.module_utils._snapshot_progress import Meter


@pytest.fixture
def jobs(tmp_path: Path) -> Jobs:
    made = Jobs(str(tmp_path / "state"))
    made.prepare()
    return made


def lost() -> None:
    raise AssertionError("the lock was not lost")


def test_one_has_the_lock(jobs: Jobs) -> None:
    assert jobs.current() is None
    assert jobs.acquire("one")
    assert not jobs.acquire("two")
    assert jobs.current() == "one"
    jobs.release("two")
    assert jobs.holder() == "one"
    jobs.release("one")
    assert jobs.acquire("two")


def test_a_filesystem_without_links(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_paths: str) -> None:
        raise OSError(errno.EPERM, "no links")

    monkeypatch.setattr(os, "link", refuse)
    assert jobs.acquire("one")
    assert not jobs.acquire("two")


def test_the_lock_of_a_dead_job_only(jobs: Jobs) -> None:
    jobs.acquire("one")
    jobs.break_lock("another")
    assert jobs.holder() == "one", "it was given back"
    jobs.break_lock("one")
    assert jobs.holder() == ""
    jobs.break_lock("one")


def test_who_is_dead(jobs: Jobs) -> None:
    reporter = Reporter(jobs, "one", Meter(), [], lost)
    assert not jobs.is_dead("one")
    report = jobs.report("one")
    assert report is not None
    # the number of the process has been given to another one since
    jobs.write("two", {**report, "started": "1"})
    assert jobs.is_dead("two")
    # of another host's processes nothing is known
    jobs.write("three", {**report, "started": "1", "host": "elsewhere"})
    assert not jobs.is_dead("three")
    assert not jobs.is_dead("not yet heard of")
    reporter.end(DONE, result={})
    assert jobs.is_dead("one")


def test_the_secret_is_not_told(jobs: Jobs) -> None:
    reporter = Reporter(jobs, "one", Meter(), ["", "hf_secret"], lost)
    reporter.say("a library said hf_secret")
    reporter.end(FAILED, failure="it was hf_secret", reason_kind="hub_error")
    report = jobs.report("one")
    assert report is not None
    assert report["failure"] == "it was ***"
    assert "hf_secret" not in Path(jobs.log("one")).read_text()


def test_a_job_that_has_lost_its_lock_is_told(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_snapshot_job, "BEAT_SECONDS", 0.05)
    told: list[bool] = []
    jobs.acquire("two")
    reporter = Reporter(jobs, "one", Meter(), [], lambda: told.append(True))
    time.sleep(0.3)
    reporter.end(DONE)
    assert told


def test_only_the_last_jobs_are_kept(jobs: Jobs) -> None:
    for number in range(15):
        jobs.write(f"{number:02d}", {"state": DONE})
        Path(jobs.log(f"{number:02d}")).touch()
    jobs.clean()
    assert len(os.listdir(jobs.folder)) == 20
    assert jobs.report("14") is not None
    assert jobs.report("04") is None


def test_the_work_goes_on_in_a_session_of_its_own(jobs: Jobs, tmp_path: Path) -> None:
    mark = tmp_path / "mark"

    def work(job: str, ready: Callable[[], None]) -> None:
        reporter = Reporter(jobs, job, Meter(), [], lost)
        ready()
        time.sleep(0.3)
        mark.write_text(f"{os.getsid(0)} {os.getpgid(0)} {os.getcwd()}")
        reporter.end(DONE, result={})

    job = start(jobs, work)
    assert job is not None
    report = jobs.report(job)
    assert report is not None
    assert report["state"] == RUNNING
    assert start(jobs, work) is None, "there is one already"
    until = time.monotonic() + 10
    while jobs.holder() and time.monotonic() < until:
        time.sleep(0.05)
    session, group, folder = mark.read_text().split()
    assert session == group != str(os.getsid(0))
    assert folder == "/"
    assert os.stat(jobs.folder).st_mode & 0o777 == 0o700


def test_work_that_dies_at_once(jobs: Jobs) -> None:
    def work(_job: str, _ready: Callable[[], None]) -> None:
        raise RuntimeError("no")

    with pytest.raises(OSError, match="ended at once"):
        start(jobs, work)
    assert jobs.holder() == ""
