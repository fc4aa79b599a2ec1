# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What lies in a Hub cache: models, their revisions, what each of them costs, and what is not as it should be.

huggingface_hub can list a cache, too, but leaves out a model in which one link is broken, and knows nothing of jobs,
of interrupted downloads of ours, or of what a deployment wants. Nothing but metadata of the weights is read, so that
looking does not count as using.

This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import os
import time
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence, Set

from ansible_collections.llmserve.vllm.plugins.module_utils._hub import (
    DEFAULT_ALLOW_PATTERNS,
    DEFAULT_IGNORE_PATTERNS,
    WEIGHT_SUFFIXES,
    find_cached,
)
from ansible_collections.llmserve.vllm.plugins.module_utils._snapshot_errors import Request, SnapshotError
from ansible_collections.llmserve.vllm.plugins.module_utils._snapshot_job import Jobs
from ansible_collections.llmserve.vllm.plugins.module_utils._snapshot_listing import announced, known_commits
from ansible_collections.llmserve.vllm.plugins.module_utils._snapshot_plan import make_plan
from ansible_collections.llmserve.vllm.plugins.module_utils._snapshot_store import PARTIAL, CacheStore, read_text

_PREFIX = "models--"
# Left behind by file managers; huggingface_hub overlooks them, too.
_LITTER = {".DS_Store", "Thumbs.db", "desktop.ini"}


class Content(NamedTuple):
    """The content behind a file of a snapshot."""

    path: str
    size: int
    accessed: float
    modified: float
    # false in the store that huggingface_hub shares between models: removing the link frees nothing for certain
    inside: bool

    @property
    def is_weights(self) -> bool:
        """Whether it is what only a server reads."""
        return self.path.endswith(WEIGHT_SUFFIXES)


class Snapshot(NamedTuple):
    """The directory of one commit."""

    commit: str
    path: str
    modified: float
    # path in the snapshot -> content
    files: Dict[str, Content]
    broken: List[str]

    @property
    def contents(self) -> Dict[str, Content]:
        """Each content once, by its place."""
        return {item.path: item for item in self.files.values()}


class Partial(NamedTuple):
    """A file that is not complete, and the commits that it belongs to."""

    path: str
    size: int
    commits: List[str]


def read_cache(
    cache_dir: str, only: str, wanted: Mapping[str, str], in_use: Mapping[str, Sequence[str]]
) -> Dict[str, Any]:
    """The module's result. C(only) is a model's id, or empty for all; C(wanted) says which revision of a model is."""
    models: List[Dict[str, Any]] = []
    problems: List[str] = []
    identity = ""
    try:
        stat = os.stat(cache_dir)
        identity = "{0}-{1}".format(stat.st_ino, stat.st_ctime_ns)
        names = sorted(name for name in os.listdir(cache_dir) if name.startswith(_PREFIX))
    except FileNotFoundError:
        names = []
    except OSError as exc:
        problems.append(_unreadable(cache_dir, exc))
        names = []
    for name in names:
        repo_id = name[len(_PREFIX) :].replace("--", "/")
        if only and repo_id != only:
            continue
        folder = os.path.join(cache_dir, name)
        if os.path.isdir(folder):
            models.append(_model(cache_dir, repo_id, folder, wanted.get(repo_id, ""), in_use))
        else:
            problems.append("{0} is not a directory: move it away.".format(folder))
    return {
        "models": models,
        "problems": problems,
        "identity": identity,
        "in_use": {commit: list(users) for commit, users in in_use.items()},
    }


def _model(
    cache_dir: str, repo_id: str, folder: str, wanted: str, in_use: Mapping[str, Sequence[str]]
) -> Dict[str, Any]:
    problems: List[str] = []
    snapshots = _snapshots(folder, problems)
    refs = _refs(folder, snapshots, problems)
    state = os.path.join(folder, ".llmserve")
    claims = _claims(state, {*snapshots, *known_commits(state)})
    partials = _partials(folder, claims)
    commits = sorted({*snapshots, *(commit for item in partials for commit in item.commits)})
    named = announced(state, wanted) if wanted else None
    revisions = []
    for commit in commits:
        snapshot = snapshots.get(commit) or Snapshot(commit, os.path.join(folder, "snapshots", commit), 0.0, {}, [])
        others = [other for other in snapshots.values() if other.commit != commit]
        problems += snapshot.broken
        revisions.append(
            {
                **_figures(snapshot, others, partials),
                "refs": sorted(ref for ref, target in refs.items() if target == commit),
                "wanted": commit in (wanted, refs.get(wanted), named.commit if named else ""),
                "complete": commit in snapshots and not snapshot.broken and _is_complete(cache_dir, repo_id, commit),
                "in_use": list(in_use.get(commit, ())),
                "problems": snapshot.broken,
            }
        )
    jobs = Jobs(state)
    if os.path.isdir(jobs.folder) and not os.access(jobs.folder, os.R_OK | os.X_OK):
        problems.append("{0} is not readable: whether a job runs cannot be seen. Set run_as.".format(jobs.folder))
    blobs = {path: item for snapshot in snapshots.values() for path, item in snapshot.contents.items()}
    return {
        "repo_id": repo_id,
        "path": folder,
        "bytes_total": sum(item.size for item in blobs.values()) + sum(item.size for item in partials),
        "revisions": revisions,
        "partial_files": [item._asdict() for item in partials],
        "job": jobs.current() or "",
        "problems": problems,
    }


def _figures(snapshot: Snapshot, others: Sequence[Snapshot], partials: Sequence[Partial]) -> Dict[str, Any]:
    elsewhere: Set[str] = {path for other in others for path in other.contents}
    contents = list(snapshot.contents.values())
    own = [item for item in contents if item.path not in elsewhere]
    mine = [item for item in partials if snapshot.commit in item.commits]
    # What other revisions share says nothing about the use of this one, and a tokenizer is read by more than servers.
    telling = [item for item in own if item.is_weights] or own or contents
    return {
        "commit": snapshot.commit,
        "path": snapshot.path,
        "files": len(snapshot.files),
        "bytes_total": sum(item.size for item in contents),
        "bytes_freed": sum(item.size for item in own if item.inside)
        + sum(item.size for item in mine if item.commits == [snapshot.commit]),
        "bytes_partial": sum(item.size for item in mine),
        "last_modified": _time(max([snapshot.modified, *(item.modified for item in contents)])),
        "last_accessed": _time(max([item.accessed for item in telling] or [snapshot.modified])),
    }


def _snapshots(folder: str, problems: List[str]) -> Dict[str, Snapshot]:
    root = os.path.join(folder, "snapshots")
    found = {}
    for name in _names(root, problems):
        path = os.path.join(root, name)
        if os.path.isdir(path):
            found[name] = _snapshot(folder, name, path)
        else:
            problems.append("{0} is a file among the snapshots: move it away.".format(path))
    return found


def _snapshot(folder: str, commit: str, path: str) -> Snapshot:
    inside = os.path.realpath(folder) + os.sep
    files: Dict[str, Content] = {}
    broken: List[str] = []

    def refused(exc: OSError) -> None:
        broken.append(_unreadable(exc.filename or path, exc))

    for here, _folders, names in os.walk(path, onerror=refused):
        for name in names:
            place = os.path.join(here, name)
            # the first step of the link only: a blob may itself be a link into the shared store
            blob = os.path.normpath(os.path.join(here, os.readlink(place))) if os.path.islink(place) else place
            try:
                stat = os.stat(blob)
            except OSError:
                broken.append("{0} leads to {1}, which is missing: let hf_snapshot fetch it again.".format(place, blob))
                continue
            files[os.path.relpath(place, path)] = Content(
                blob, stat.st_size, stat.st_atime, stat.st_mtime, os.path.realpath(blob).startswith(inside)
            )
    try:
        modified = os.stat(path).st_mtime
    except OSError:
        modified = 0.0
    return Snapshot(commit, path, modified, files, broken)


def _refs(folder: str, snapshots: Mapping[str, Snapshot], problems: List[str]) -> Dict[str, str]:
    """The branches and tags of this host, with the commits that they lead to."""
    root = os.path.join(folder, "refs")
    found = {}
    for here, _folders, names in os.walk(root):
        for name in sorted(set(names) - _LITTER):
            path = os.path.join(here, name)
            commit = (read_text(path) or "").strip()
            if commit not in snapshots:
                problems.append(
                    "{0} leads to the commit {1!r}, which is not here: remove the file, or fetch the revision.".format(
                        path, commit
                    )
                )
            found[os.path.relpath(path, root)] = commit
    return found


def _claims(state: str, commits: Set[str]) -> Dict[str, List[str]]:
    """Digests of files, with the commits that have such a file."""
    found: Dict[str, List[str]] = {}
    for commit in sorted(commits):
        listing = announced(state, commit)
        for etag in {item.etag for item in listing.files} if listing else ():
            found.setdefault(etag, []).append(commit)
    return found


def _partials(folder: str, claims: Mapping[str, Sequence[str]]) -> List[Partial]:
    """Partial files; huggingface_hub's own have a random part in their names."""
    root = os.path.join(folder, "blobs")
    found = []
    for name in _names(root, []):
        path = os.path.join(root, name)
        if name.endswith(PARTIAL):
            try:
                found.append(Partial(path, os.lstat(path).st_size, list(claims.get(name[: -len(PARTIAL)], ()))))
            except OSError:
                # complete, or removed, in this moment
                continue
    return found


def _is_complete(cache_dir: str, repo_id: str, commit: str) -> bool:
    """Whether nothing of what a server needs would have to be fetched, as far as names and sizes tell."""
    request = Request(
        repo_id, commit, cache_dir, "", "", DEFAULT_ALLOW_PATTERNS, DEFAULT_IGNORE_PATTERNS, 1, "", verify="none"
    )
    store = CacheStore(request)
    listing = announced(store.state, commit)
    if listing is None:
        return find_cached(cache_dir, repo_id, commit) is not None
    try:
        plan = make_plan(request, store, listing)
    except SnapshotError:
        # none of its files is anything that a server reads
        return False
    return not (plan.fetch or plan.link)


def _names(folder: str, problems: List[str]) -> List[str]:
    try:
        return sorted(set(os.listdir(folder)) - _LITTER)
    except FileNotFoundError:
        return []
    except OSError as exc:
        problems.append(_unreadable(folder, exc))
        return []


def _unreadable(path: str, exc: OSError) -> str:
    return "{0} cannot be read ({1}): set run_as to its owner, or mend its permissions.".format(
        path, exc.strerror or exc
    )


def _time(seconds: Optional[float]) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
