# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Remove one revision of a model, and nothing that another revision uses.

This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import dataclasses
import os
from typing import Any, Dict, List

from ansible_collections.llmserve.vllm.plugins.module_utils._hub import human_bytes
from ansible_collections.llmserve.vllm.plugins.module_utils._snapshot_errors import Request, SnapshotError
from ansible_collections.llmserve.vllm.plugins.module_utils._snapshot_job import Jobs
from ansible_collections.llmserve.vllm.plugins.module_utils._snapshot_listing import announced, forget, known_commits
from ansible_collections.llmserve.vllm.plugins.module_utils._snapshot_plan import listing_on_disk
from ansible_collections.llmserve.vllm.plugins.module_utils._snapshot_store import (
    CacheStore,
    FolderStore,
    open_store,
    remove,
    size_of,
)


def absent(request: Request, hub: Any, check_mode: bool) -> Dict[str, Any]:
    """Remove the revision; C(hub) is huggingface_hub, whose cache it is."""
    store = open_store(request)
    jobs = Jobs(store.state)
    holder = jobs.current()
    if holder is not None:
        raise SnapshotError(
            "busy",
            "A job is working on {0} in {1} ({2}): wait for it, or stop its process first.".format(
                request.repo_id, request.root, jobs.log(holder)
            ),
        )
    commit = store.ref() or request.revision
    gone: Dict[str, int] = {}
    if isinstance(store, FolderStore):
        gone = _from_folder(store, commit, check_mode)
    elif isinstance(store, CacheStore):
        gone = _from_cache(request, store, hub, commit, check_mode)
    listed = "".join("{0} {1}\n".format(path, human_bytes(size)) for path, size in sorted(gone.items()))
    return {
        "path": store.snapshot(commit),
        "commit": commit,
        "changed": bool(gone),
        "offline": True,
        "finished": True,
        "removed": [{"path": path, "size": size} for path, size in sorted(gone.items())],
        "bytes_freed": sum(gone.values()),
        "diff": {"before": listed, "after": "", "before_header": request.root, "after_header": request.root},
    }


def _from_cache(request: Request, store: CacheStore, hub: Any, commit: str, check_mode: bool) -> Dict[str, int]:
    """huggingface_hub knows which blobs other revisions use; partial files are ours to know."""
    partials = _partials(store, commit)
    gone: Dict[str, int] = {}
    if os.path.isdir(store.snapshot(commit)):
        strategy = _only_this_model(hub.scan_cache_dir(request.cache_dir), store).delete_revisions(commit)
        blobs = set(strategy.blobs)
        for repo in strategy.repos:
            blobs.update((repo / "blobs").iterdir())
            partials = []
        gone = {str(blob): max(0, size_of(str(blob))) for blob in blobs}
        # a snapshot that shares all of its content still goes
        gone.update({str(path): 0 for path in strategy.snapshots})
        if not check_mode:
            strategy.execute()
    for path in partials:
        gone[path] = max(0, size_of(path))
        if not check_mode:
            remove(path)
    if gone and not check_mode:
        remove(store.tree(commit))
        forget(store.state, commit)
    return gone


def _only_this_model(scanned: Any, store: CacheStore) -> Any:
    """The scan without other models: one that was renamed has the same commits under both names.

    huggingface_hub leaves a model out in which a link or a ref leads nowhere.
    """
    repos = [repo for repo in scanned.repos if os.path.realpath(str(repo.repo_path)) == os.path.realpath(store.repo)]
    if not repos:
        told = [str(item) for item in scanned.warnings if os.path.basename(store.repo) in str(item)]
        raise SnapshotError(
            "damaged",
            "{0} is damaged, and nothing of it was removed: {1} Mend that with state: present, or remove the directory "
            "by hand.".format(store.repo, " ".join(told) or "huggingface_hub cannot read it."),
        )
    return dataclasses.replace(scanned, repos=frozenset(repos))


def _partials(store: CacheStore, commit: str) -> List[str]:
    """Partial files that belong to this commit's files and to those of no other."""
    listing = announced(store.state, commit)
    if listing is None:
        return []
    others = set()
    for name in known_commits(store.state):
        other = None if name == commit else announced(store.state, name)
        others |= {item.etag for item in other.files} if other else set()
    paths = [store.partial(item) for item in listing.files if item.etag not in others]
    return sorted({path for path in paths if os.path.lexists(path)})


def _from_folder(store: FolderStore, commit: str, check_mode: bool) -> Dict[str, int]:
    """Only what is known to have come from this revision; whatever else lies there stays."""
    listing = listing_on_disk(store, commit)
    gone: Dict[str, int] = {}
    for item in listing.files if listing else ():
        for path in store.own_files(commit, item):
            gone[path] = max(0, size_of(path))
            if not check_mode:
                remove(path)
    if listing and not check_mode:
        remove(store.tree(commit))
        store.forget_ref()
    return gone
