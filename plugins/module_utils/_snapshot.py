# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One revision of a model on disk: looks what is missing, starts the job that gets it, and watches that job.

This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import time
from typing import Any, Callable, Dict, NamedTuple, Optional, Tuple

from ansible_collections.llmserve.vllm.plugins.module_utils._hub import RepoFile, find_cached, presence, wanted_files
from ansible_collections.llmserve.vllm.plugins.module_utils._snapshot_errors import Request, SnapshotError, explain
from ansible_collections.llmserve.vllm.plugins.module_utils._snapshot_job import (
    DEAD,
    DEAD_SECONDS,
    DONE,
    FAILED,
    RUNNING,
    Jobs,
    start,
)
from ansible_collections.llmserve.vllm.plugins.module_utils._snapshot_plan import (
    Plan,
    assert_room,
    assert_writable,
    filesystem,
    listing_on_disk,
    make_plan,
    outside_links,
    result,
)
from ansible_collections.llmserve.vllm.plugins.module_utils._snapshot_progress import sentence
from ansible_collections.llmserve.vllm.plugins.module_utils._snapshot_store import (
    CacheStore,
    Listing,
    Store,
    open_store,
)
from ansible_collections.llmserve.vllm.plugins.module_utils._snapshot_verify import damage
from ansible_collections.llmserve.vllm.plugins.module_utils._snapshot_work import Worker, work

_LOOK_SECONDS = 0.2


class Call(NamedTuple):
    """How this run of the module is to behave."""

    check_mode: bool = False
    # false: start the job and return
    wait: bool = True
    # seconds after which to return though the job runs on; 0: never
    slice: float = 0.0
    # seconds to wait in all; 0: as long as it takes
    timeout: float = 0.0
    # a job to wait for, instead of looking for work
    job: str = ""
    stay_on_commit: bool = False
    # what the slice before has returned
    resume: Optional[Dict[str, Any]] = None


def ensure(request: Request, open_library: Callable[[], Any], call: Call) -> Dict[str, Any]:
    """Have the revision, and return the module's result."""
    store = open_store(request)
    jobs = Jobs(store.state)
    before = call.resume or {}
    awaited = str(before.get("job") or call.job)
    attached = bool(before.get("attached"))
    if awaited and not call.check_mode:
        answer = _await(request, jobs, awaited, attached, call)
        if answer is not None:
            return answer
    while True:
        plan, listing, answer = _look(request, store, open_library, call)
        answer["filesystem"] = filesystem(request.root)
        answer["self_contained"] = plan is None or not outside_links(store, plan)
        if attached:
            # the job of an earlier run, or of another host, has made the change that this task asked for
            answer["changed"] = True
        if plan is None or listing is None or call.check_mode or not (plan.changes or plan.check):
            return answer
        assert_writable(request, call.check_mode)
        assert_room(request, plan)
        job = _start(request, store, jobs, open_library(), listing)
        attached = job is None
        job = job or jobs.current()
        if job is None:
            # the other job has ended in this very moment
            continue
        if not call.wait:
            return _unfinished(dict(answer, changed=True), jobs, job, attached, {})
        done = _await(request, jobs, job, attached, call)
        if done is not None:
            return done


def _look(
    request: Request, store: Store, open_library: Callable[[], Any], call: Call
) -> Tuple[Optional[Plan], Optional[Listing], Dict[str, Any]]:
    """The plan, what it is made from, and what to say of it; no plan when the disk has to do."""
    commit = (call.stay_on_commit and store.ref()) or request.revision
    local = listing_on_disk(store, commit)
    if local is not None:
        plan = make_plan(request, store, local)
        if not (plan.changes or plan.check):
            # A commit never changes: the Hub need not be asked.
            return plan, local, result(request, store, plan)
    try:
        listing: Listing = open_library().describe(request._replace(revision=commit))
    except Exception as exc:
        problem = explain(exc, request)
        here = on_disk(request) if problem.kind in ("hub_unreachable", "peers_unreachable") else None
        if here is None:
            raise problem from exc
        return None, None, dict(here, warnings=["{0} The complete copy in {1} is used.".format(problem, request.root)])
    plan = make_plan(request, store, listing)
    return plan, listing, result(request, store, plan)


def _start(request: Request, store: Store, jobs: Jobs, library: Any, listing: Listing) -> Optional[str]:
    """Start the job; C(None) when one is running already, here or on a host that shares the directory."""
    library.close()
    worker = Worker(request, store, library, listing)
    for _attempt in range(3):
        job = start(jobs, lambda job, ready: work(request, jobs, job, ready, worker))
        if job is not None:
            return job
        holder = jobs.holder()
        if holder and not jobs.is_dead(holder):
            return None
        if holder:
            jobs.break_lock(holder)
    return None


def _await(request: Request, jobs: Jobs, job: str, attached: bool, call: Call) -> Optional[Dict[str, Any]]:
    """The result of a job, or word that it still runs; C(None) when it is up to this run to look again."""
    until = time.monotonic() + call.slice if call.slice > 0 else None
    before = call.resume or {}
    waited = float(before.get("elapsed", 0))
    began = time.monotonic()
    seen = dict(before.get("seen") or {}) if before.get("job") == job else {}
    while True:
        state, report = _state(jobs, job, seen)
        if state == DONE and not attached:
            done: Dict[str, Any] = report["result"]
            done.update(log=jobs.log(job), filesystem=filesystem(request.root))
            return done
        if state != RUNNING:
            if attached:
                if state == DEAD:
                    jobs.break_lock(job)
                return None
            raise _failure(request, jobs, job, state, report)
        now = time.monotonic()
        if call.timeout and waited + now - began >= call.timeout:
            raise SnapshotError(
                "timeout",
                "The download of {0} has not ended in {1:g} s: {2}. It goes on in the background; run again to wait "
                "on, or stop process {3}.".format(request.repo_id, call.timeout, _told(report), report.get("pid")),
            )
        if until is not None and now >= until:
            return _unfinished({"changed": True}, jobs, job, attached, seen)
        time.sleep(_LOOK_SECONDS)


def _state(jobs: Jobs, job: str, seen: Dict[str, Any]) -> Tuple[str, Dict[str, Any]]:
    """How a job is doing. C(seen) remembers since when its counter stands still."""
    report = jobs.report(job)
    if report is not None and report["state"] in (DONE, FAILED):
        return report["state"], report
    if report is not None and jobs.is_dead(job):
        # between the two looks it may have ended well
        again = jobs.report(job) or report
        return (again["state"] if again["state"] != RUNNING else DEAD), again
    beat = -1 if report is None else report["beat"]
    if seen.get("beat") != beat:
        seen.update(beat=beat, since=time.time())
    dead = time.time() - seen["since"] > DEAD_SECONDS
    return (DEAD if dead else RUNNING), report or {}


def _failure(request: Request, jobs: Jobs, job: str, state: str, report: Dict[str, Any]) -> SnapshotError:
    if state == FAILED:
        return SnapshotError(str(report["reason_kind"]), str(report["failure"]))
    return SnapshotError(
        "job_died",
        "The background process {0} that downloaded {1} has ended without a word ({2}): the host may have been "
        "rebooted, or the process killed (`dmesg` tells if memory ran out). What has arrived is kept; run again to go "
        "on. Its log is {3}.".format(report.get("pid", "?"), request.repo_id, _told(report), jobs.log(job)),
    )


def _told(report: Dict[str, Any]) -> str:
    return sentence(report["figures"]) if report.get("figures") else "starting"


def _unfinished(answer: Dict[str, Any], jobs: Jobs, job: str, attached: bool, seen: Dict[str, Any]) -> Dict[str, Any]:
    report = jobs.report(job) or {}
    return dict(
        answer,
        finished=False,
        job=job,
        attached=attached,
        progress=_told(report),
        figures=report.get("figures") or {},
        log=jobs.log(job),
        resume={"job": job, "attached": attached, "seen": seen},
    )


# --- without the Hub -----------------------------------------------------------------------------------------------


class OfflineLibrary:
    """Stands in for huggingface_hub where nothing may be fetched: the disk alone can still be verified."""

    def __init__(self, request: Request) -> None:
        self._request = request

    def describe(self, request: Request) -> Listing:
        store = open_store(request)
        listing = listing_on_disk(store, store.ref() or request.revision)
        if listing is None or make_plan(self._request, store, listing).fetch:
            raise self._incomplete()
        return listing

    def get(self, request: Request, commit: str, item: Any, sink: Any, start: int) -> None:
        raise self._incomplete(" {0} has another content than the Hub lists, and was taken away.".format(item.path))

    def get_whole(self, request: Request, commit: str, item: Any) -> bool:
        return False

    def finish(self, request: Request, commit: str) -> None:
        """The list of files is there already."""

    def newest(self, request: Request) -> None:
        """Nobody can say."""

    def listen(self, told: Callable[[str], None]) -> None:
        """It has nothing to say."""

    def close(self) -> None:
        """It has no connections."""

    def _incomplete(self, more: str = "") -> SnapshotError:
        request = self._request
        where = request.local_dir or CacheStore(request).repo
        return SnapshotError(
            "incomplete",
            "{0} at revision {1} is not completely in {2}, and offline forbids to fetch it.{3} Fetch it with "
            "offline: false on a host that reaches the Hub, or copy the directory {4} from one that has it.".format(
                request.repo_id, request.revision, request.root, more, where
            ),
        )


def ensure_offline(request: Request, call: Call) -> Dict[str, Any]:
    """The result for a snapshot that must be whole on the disk already."""
    here = None if call.resume or call.job else on_disk(request)
    return here or dict(ensure(request, lambda: OfflineLibrary(request), call), offline=True)


def on_disk(request: Request) -> Optional[Dict[str, Any]]:
    """The result from the disk alone, or C(None) when something is missing there."""
    store = open_store(request)
    commit = store.ref() or request.revision
    listing = listing_on_disk(store, commit)
    if listing is not None:
        plan = make_plan(request, store, listing)
        if plan.fetch or plan.link or plan.check:
            return None
        return result(request, store, plan, offline=True, changed=False, self_contained=not outside_links(store, plan))
    return None if request.local_dir else _by_index(request)


def _by_index(request: Request) -> Optional[Dict[str, Any]]:
    """A cache that something older has filled: the index of the weights is the only witness."""
    cached = find_cached(request.cache_dir, request.repo_id, request.revision)
    if cached is None or damage(cached.path):
        return None
    wanted = set(wanted_files([i.path for i in cached.files], request.allow_patterns, request.ignore_patterns))
    files = [RepoFile(item.path, item.size) for item in cached.files if item.path in wanted]
    if presence(cached.path, files).missing:
        return None
    return {
        "path": cached.path,
        "commit": cached.commit,
        "changed": False,
        "offline": True,
        "finished": True,
        "verified": "size" if request.verify != "none" else "none",
        "bytes_total": sum(item.size for item in files),
        "bytes_fetched": 0,
        "files_fetched": 0,
        "repaired": [],
        "files": [{"path": item.path, "size": item.size, "fetched": False} for item in files],
    }
