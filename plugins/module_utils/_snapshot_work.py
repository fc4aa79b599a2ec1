# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the background job does: carries a plan out, and proves that nothing is left of it.

This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import errno
import os
import signal
import traceback
from typing import Any, Callable, Dict, List

from ansible_collections.llmserve.vllm.plugins.module_utils._hub import free_bytes, human_bytes
from ansible_collections.llmserve.vllm.plugins.module_utils._snapshot_errors import Request, SnapshotError, explain
from ansible_collections.llmserve.vllm.plugins.module_utils._snapshot_fetch import Fetcher, StoppedError
from ansible_collections.llmserve.vllm.plugins.module_utils._snapshot_job import DONE, FAILED, Jobs, Reporter
from ansible_collections.llmserve.vllm.plugins.module_utils._snapshot_listing import announce
from ansible_collections.llmserve.vllm.plugins.module_utils._snapshot_plan import (
    Listing,
    Plan,
    assert_index,
    make_plan,
    result,
)
from ansible_collections.llmserve.vllm.plugins.module_utils._snapshot_progress import (
    FETCH,
    FINISH,
    VERIFY,
    Meter,
    sentence,
)
from ansible_collections.llmserve.vllm.plugins.module_utils._snapshot_store import (
    FolderStore,
    ListedFile,
    Store,
    content_path,
)
from ansible_collections.llmserve.vllm.plugins.module_utils._snapshot_verify import Verified, hash_all


class Worker:
    """One run of the job."""

    def __init__(self, request: Request, store: Store, library: Any, listing: Listing) -> None:
        self.request, self.store, self.library, self.listing = request, store, library, listing
        self.meter = Meter()
        self.fetcher = Fetcher(request, listing.commit, store, library, self.meter)
        # how it came to its list of files
        self.warnings: List[str] = list(getattr(library, "warnings", ()))

    def run(self) -> Dict[str, Any]:
        """The module's result, or an exception."""
        # The plan of the module may be a moment old, and another job may have run in that moment.
        plan = make_plan(self.request, self.store, self.listing)
        for item in plan.fetch:
            self._set_aside(item)
        checked = {item.path for item in plan.check}
        for item in plan.link:
            if item.path not in checked:
                self.store.link(plan.commit, item)
        self._fetch(plan)
        assert_index(self.store, self.request, plan)
        wrong = self._verify(plan)
        if wrong:
            self._again(plan, wrong)
        self._finish(plan)
        repaired = sorted(set(plan.damaged) | {item.path for item in wrong})
        done = result(self.request, self.store, plan, repaired=repaired, warnings=self.warnings)
        fetched = {item.path for item in (*plan.fetch, *wrong)}
        for entry in done["files"]:
            entry["fetched"] = entry["path"] in fetched
        done.update(
            changed=plan.changes or bool(wrong),
            bytes_fetched=self.meter.fetched,
            files_fetched=len(fetched),
            refetched=sorted(self.fetcher.refetched),
        )
        return done

    def _set_aside(self, item: ListedFile) -> None:
        # What cannot be compared with a digest must not be continued blindly.
        self.store.set_aside(self.listing.commit, item, keep=self.request.verify != "none")

    def _fetch(self, plan: Plan) -> None:
        """The small files first: the index tells whether the large ones are worth it."""
        there = sum({item.etag: self.store.partial_size(item) for item in plan.fetch}.values())
        there += plan.bytes_total - sum(item.size for item in plan.fetch)
        self.meter.begin(FETCH, there, plan.bytes_total, len(plan.files) - len(plan.fetch), len(plan.files))
        self.fetcher.fetch([item for item in plan.fetch if not item.is_weights])
        weights = [item for item in plan.fetch if item.is_weights]
        if weights:
            assert_index(self.store, self.request, plan)
            self.fetcher.fetch(weights)

    def _verify(self, plan: Plan) -> List[ListedFile]:
        """Hash what is to be hashed, and take away what is wrong."""
        if not plan.check:
            return []
        files = plan.check
        self.meter.begin(VERIFY, 0, sum(item.size for item in files), 0, len(files))

        def right(item: ListedFile) -> None:
            self.meter.file_done()
            if not self.store.is_there(plan.commit, item):
                self.store.link(plan.commit, item)

        # What was fetched just now was hashed on its way.
        verified = Verified(self.store)
        left = [item for item in files if not verified.holds(content_path(self.store, plan.commit, item), item)]
        wrong = hash_all(self.store, plan.commit, left, self.meter.add, right)
        for item in wrong:
            self.store.set_aside(plan.commit, item, keep=False)
        return wrong

    def _again(self, plan: Plan, wrong: List[ListedFile]) -> None:
        missing = sum(item.size for item in wrong)
        done = len(plan.files) - len(wrong)
        self.meter.begin(FETCH, plan.bytes_total - missing, plan.bytes_total, done, len(plan.files))
        self.fetcher.fetch(wrong)

    def _finish(self, plan: Plan) -> None:
        self.meter.begin(FINISH, plan.bytes_total, plan.bytes_total, len(plan.files), len(plan.files))
        if isinstance(self.store, FolderStore):
            for item in plan.files:
                self.store.link(plan.commit, item)
        self.store.write_ref(plan.commit)
        try:
            self.library.finish(self.request, plan.commit)
        except Exception as exc:
            self.warnings.append(
                "All files are there, but huggingface_hub could not list them once more ({0}); the list is fetched "
                "by the next run.".format(explain(exc, self.request))
            )
        left = make_plan(self.request._replace(verify="size"), self.store, self.listing)
        if left.fetch or left.link:
            names = sorted({item.path for item in (*left.fetch, *left.link)})
            raise SnapshotError(
                "incomplete",
                "{0} at {1} is not whole after the download: {2} ({3}). Run again; if it happens again, check the disk "
                "under {4}.".format(
                    self.request.repo_id,
                    self.request.revision,
                    ", ".join(names[:5]),
                    "; ".join(left.damaged.values()) or "missing",
                    self.request.root,
                ),
            )
        self._look_for_move(plan)

    def _look_for_move(self, plan: Plan) -> None:
        newest = None if self.request.revision == plan.commit else self.library.newest(self.request)
        if newest and newest != plan.commit:
            self.warnings.append(
                "{0} of {1} has moved to commit {2} during the download; this is the complete commit {3}. The next run "
                "fetches the new one.".format(self.request.revision, self.request.repo_id, newest, plan.commit)
            )


def work(request: Request, jobs: Jobs, job: str, ready: Callable[[], None], worker: Worker) -> None:
    """Carry the plan out in this process, and leave word of how it ended."""
    reporter = Reporter(jobs, job, worker.meter, request.secrets, worker.fetcher.stop)

    def on_term(_signal: int, _frame: Any) -> None:
        worker.fetcher.stop()
        # a thread may hang in a request for a while
        end(SnapshotError("stopped", "The download of {0} was stopped by a signal.".format(request.repo_id)))
        reporter.say("stopped by a signal")
        jobs.release(job)
        os._exit(1)

    def end(error: BaseException) -> None:
        problem = explain(error, request)
        reporter.end(FAILED, failure=_with_room(request, worker, problem, error), reason_kind=problem.kind)

    def hear(text: str) -> None:
        worker.meter.note(text)
        reporter.say(text)

    signal.signal(signal.SIGTERM, on_term)
    worker.library.listen(hear)
    announce(worker.store.state, request.revision, worker.listing)
    ready()
    try:
        done = worker.run()
    except StoppedError:
        end(SnapshotError("stopped", "The download of {0} was stopped: another job took over.".format(request.repo_id)))
    except BaseException as exc:
        if not isinstance(exc, (SnapshotError, OSError)):
            reporter.say(traceback.format_exc())
        end(exc)
        reporter.say("failed: {0}".format(explain(exc, request)))
    else:
        reporter.say(sentence(worker.meter.figures()))
        reporter.say("done")
        reporter.end(DONE, result=done)


def _with_room(request: Request, worker: Worker, problem: SnapshotError, error: BaseException) -> str:
    """A full disk is told with the figures of this moment."""
    text = str(problem)
    codes = (errno.ENOSPC, errno.EDQUOT)
    if problem.kind == "disk_full" and (not isinstance(error, OSError) or error.errno in codes):
        figures = worker.meter.figures()
        text += " Still to fetch: {0}; free there: {1}.".format(
            human_bytes(figures["bytes_total"] - figures["bytes_done"]), human_bytes(free_bytes(request.root)[1])
        )
    return text
