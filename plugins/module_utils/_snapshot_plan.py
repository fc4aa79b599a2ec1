# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a revision is on disk, what has to be done about the rest, and whether there is room for it.

This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import os
from typing import Any, Dict, Iterable, List, NamedTuple, Optional

from ansible_collections.llmserve.vllm.plugins.module_utils._host import read_text as read_system
from ansible_collections.llmserve.vllm.plugins.module_utils._host_disks import is_shared, mount_of, parse_mountinfo
from ansible_collections.llmserve.vllm.plugins.module_utils._hub import (
    disk_problem,
    free_bytes,
    human_bytes,
    wanted_files,
)
from ansible_collections.llmserve.vllm.plugins.module_utils._snapshot_errors import Request, SnapshotError, not_writable
from ansible_collections.llmserve.vllm.plugins.module_utils._snapshot_listing import noted
from ansible_collections.llmserve.vllm.plugins.module_utils._snapshot_store import (
    CacheStore,
    FolderStore,
    ListedFile,
    Listing,
    Store,
    content_path,
    size_of,
)
from ansible_collections.llmserve.vllm.plugins.module_utils._snapshot_verify import (
    INDEX,
    Verified,
    index_shards,
    safetensors_problem,
    unverified,
)

# What filesystems need for themselves, and what other programs write meanwhile.
_MARGIN_PERCENT = 1.0


class Plan(NamedTuple):
    """What has to be done for one commit."""

    commit: str
    files: List[ListedFile]
    # every path that the repository has, wanted or not
    all_paths: List[str]
    fetch: List[ListedFile]
    # content that is there, but not yet seen in the snapshot
    link: List[ListedFile]
    # path -> what is wrong with the file that is there
    damaged: Dict[str, str]
    # whose digests are to be computed
    check: List[ListedFile]
    ref_is_right: bool
    bytes_partial: int

    @property
    def changes(self) -> bool:
        """Whether anything on the disk has to be changed."""
        return bool(self.fetch or self.link) or not self.ref_is_right

    @property
    def bytes_total(self) -> int:
        """The size of the snapshot."""
        return sum(item.size for item in self.files)

    @property
    def bytes_missing(self) -> int:
        """What has to come over the network."""
        return sum({item.etag: item.size for item in self.fetch}.values()) - self.bytes_partial


def make_plan(request: Request, store: Store, listing: Listing) -> Plan:
    """Compare the disk with what the Hub lists."""
    paths = [item.path for item in listing.files]
    wanted = set(wanted_files(paths, request.allow_patterns, request.ignore_patterns))
    files = sorted(item for item in listing.files if item.path in wanted)
    if not files:
        raise SnapshotError(
            "nothing_matches",
            "No file of {0} at revision {1} matches allow_patterns and ignore_patterns.".format(
                request.repo_id, request.revision
            ),
        )
    fetch: List[ListedFile] = []
    link: List[ListedFile] = []
    check: List[ListedFile] = []
    damaged: Dict[str, str] = {}
    verified = Verified(store)
    for item in files:
        problem = _problem(request, store, listing.commit, item, verified)
        if problem is not None:
            fetch.append(item)
            if problem:
                damaged[item.path] = problem
        elif not store.is_there(listing.commit, item):
            link.append(item)
            if isinstance(store, FolderStore):
                # only its size speaks for a file that somebody has put there
                check.append(item)
    if request.verify == "sha256":
        missing = {item.path for item in fetch}
        check = unverified(store, listing.commit, [item for item in files if item.path not in missing])
    partials = {item.etag: _partial_size(store, listing.commit, item) for item in fetch}
    return Plan(
        listing.commit,
        files,
        paths,
        fetch,
        link,
        damaged,
        [] if request.verify == "none" else check,
        request.revision == listing.commit or store.ref() == listing.commit,
        sum(partials.values()),
    )


def _problem(request: Request, store: Store, commit: str, item: ListedFile, verified: Verified) -> Optional[str]:
    """Why a file must be fetched; empty when there is nothing of it, C(None) when it is there."""
    content = os.path.realpath(store.seen(commit, item))
    if isinstance(store, CacheStore) and not os.path.exists(content):
        content = store.content(item)
    size = size_of(content)
    if size < 0:
        return ""
    if isinstance(store, FolderStore) and store.has_other_content(item):
        # the file of another revision, which is replaced, not repaired
        return ""
    if size != item.size:
        return "has {0} bytes instead of {1}".format(size, item.size)
    # A file with the right digest is what the Hub has, however odd.
    if request.verify != "none" and item.is_weights and not verified.holds(content, item):
        return safetensors_problem(content)
    return None


def _partial_size(store: Store, commit: str, item: ListedFile) -> int:
    """What need not come again of a file: a partial download, or the beginning of one that was cut off later."""
    kept = store.partial_size(item)
    size = size_of(store.content(item) if isinstance(store, CacheStore) else store.seen(commit, item))
    return max(kept, size) if store.can_continue(commit, item) and size < item.size else kept


def assert_index(store: Store, request: Request, plan: Plan) -> None:
    """Refuse a model whose index names weights that the repository, or the choice of files, does not have."""
    wanted = {item.path for item in plan.files}
    index = next((item for item in plan.files if item.path == INDEX), None)
    if index is None or not any(item.is_weights for item in plan.files):
        return
    shards = index_shards(store.seen(plan.commit, index))
    if shards is None:
        raise SnapshotError("index_incomplete", "{0} of {1} is unreadable.".format(INDEX, request.repo_id))
    missing = [shard for shard in shards if shard not in wanted]
    if not missing:
        return
    more = " and {0} more".format(len(missing) - 3) if len(missing) > 3 else ""
    mend = "the patterns leave them out: change allow_patterns and ignore_patterns."
    if not set(missing) <= set(plan.all_paths):
        mend = "the repository lacks them at {0}: choose another revision, or tell its owner.".format(plan.commit)
    raise SnapshotError(
        "index_incomplete",
        "{0} of {1} names {2}{3}, but {4} No weights were fetched.".format(
            INDEX, request.repo_id, ", ".join(missing[:3]), more, mend
        ),
    )


def listing_on_disk(store: Store, commit: str) -> Optional[Listing]:
    """The Hub's list of a commit as huggingface_hub keeps it: a commit never changes."""
    return noted(os.path.dirname(store.tree(commit)), commit)


def filesystem(path: str) -> Dict[str, Any]:
    """The filesystem that would hold a path."""
    where, free = free_bytes(path)
    mount = mount_of(os.path.realpath(where), parse_mountinfo(read_system("/proc/self/mountinfo") or ""))
    return {
        "directory": where,
        "mount_point": mount.mount_point if mount else "",
        "type": mount.fstype if mount else "",
        "shared": bool(mount and is_shared(mount.fstype)),
        "free_bytes": free,
    }


def assert_room(request: Request, plan: Plan) -> None:
    """Refuse before the first byte what does not fit."""
    where, free = free_bytes(request.root)
    problem = disk_problem(plan.bytes_missing, free, where, _MARGIN_PERCENT)
    if problem:
        raise SnapshotError("disk_full", problem)


def assert_writable(request: Request, check_mode: bool) -> None:
    """Make the directory, or in check mode only look at one that is there, and be sure that it takes new files."""
    places = [request.root]
    if not request.local_dir:
        store = CacheStore(request)
        places += [store.repo, os.path.join(store.repo, "blobs"), os.path.join(store.repo, "snapshots")]
    try:
        if not check_mode:
            os.makedirs(request.root, exist_ok=True)
    except OSError as exc:
        raise not_writable(request, request.root) from exc
    for place in places:
        if os.path.isdir(place) and not os.access(place, os.W_OK | os.X_OK):
            raise not_writable(request, place)


def outside_links(store: Store, plan: Plan) -> List[str]:
    """Files whose content lies in huggingface_hub's shared store: a copy of the model's directory would lack them."""
    if not isinstance(store, CacheStore):
        return []
    inside = os.path.realpath(store.repo) + os.sep
    return [
        item.path
        for item in plan.files
        if store.is_there(plan.commit, item) and not content_path(store, plan.commit, item).startswith(inside)
    ]


def result(request: Request, store: Store, plan: Plan, **more: Any) -> Dict[str, Any]:
    """What the module returns about a plan that is, or would be, carried out."""
    fetched = {item.path for item in plan.fetch}
    return {
        "path": store.snapshot(plan.commit),
        "commit": plan.commit,
        "changed": plan.changes,
        "offline": False,
        "finished": True,
        "verified": request.verify,
        "bytes_total": plan.bytes_total,
        "bytes_fetched": plan.bytes_missing,
        "files_fetched": len(fetched),
        "repaired": sorted(plan.damaged),
        "files": [{"path": i.path, "size": i.size, "fetched": i.path in fetched} for i in plan.files],
        "diff": {
            "before": _lines(item for item in plan.files if item.path not in fetched),
            "after": _lines(plan.files),
            "before_header": request.root,
            "after_header": "{0}@{1}".format(request.repo_id, plan.commit),
        },
        **more,
    }


def _lines(files: Iterable[ListedFile]) -> str:
    return "".join("{0} {1}\n".format(item.path, human_bytes(item.size)) for item in files)
