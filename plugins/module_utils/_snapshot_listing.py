# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The list of a revision's files, announced beside the cache before the first byte of them arrives.

A mirror on the same host answers from it while the download still runs. huggingface_hub writes its own list at the end.

This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from typing import List, Optional

from ansible_collections.llmserve.vllm.plugins.module_utils._snapshot_store import (
    ListedFile,
    Listing,
    read_text,
    remove,
    write_text,
)

_FOLDER = "listings"


def announce(state: str, revision: str, listing: Listing) -> None:
    """Tell other processes of this host what the revision is made of. C(state) is the store's directory for notes."""
    files = [[item.path, item.size, item.etag] for item in listing.files]
    write_text(_listing(state, listing.commit), json.dumps({"commit": listing.commit, "files": files}))
    if revision != listing.commit:
        write_text(_ref(state, revision), listing.commit)


def announced(state: str, revision: str) -> Optional[Listing]:
    """What is known of a branch, tag or commit: the announcement, or what huggingface_hub has noted; or C(None)."""
    if ".." in revision:
        # it may come from a request, and names files
        return None
    commit = _newest_ref(state, revision) or revision
    if not commit.isalnum():
        return None
    return _read(_listing(state, commit)) or noted(os.path.join(os.path.dirname(state), "trees"), commit)


def forget(state: str, commit: str) -> None:
    """Announce a commit no longer."""
    remove(_listing(state, commit))


def known_commits(state: str) -> List[str]:
    """Every commit that was announced, or that huggingface_hub has noted."""
    found = set()
    for folder in (os.path.join(state, _FOLDER), os.path.join(os.path.dirname(state), "trees")):
        with contextlib.suppress(OSError):
            found |= {name[: -len(".json")] for name in os.listdir(folder) if name.endswith(".json")}
    return sorted(found)


def noted(trees: str, commit: str) -> Optional[Listing]:
    """huggingface_hub's own list of a commit, which it keeps in the directory C(trees)."""
    try:
        entries = json.loads(read_text(os.path.join(trees, commit + ".json")) or "")["files"]
        files = [
            ListedFile(
                str(path), int(entry.get("lfs_size") or entry["size"]), str(entry.get("lfs_sha256") or entry["blob_id"])
            )
            for path, entry in entries.items()
        ]
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return Listing(commit, files)


def _read(path: str) -> Optional[Listing]:
    try:
        told = json.loads(read_text(path) or "")
        return Listing(told["commit"], [ListedFile(*entry) for entry in told["files"]])
    except (ValueError, KeyError, TypeError):
        return None


def _newest_ref(state: str, revision: str) -> Optional[str]:
    """The commit that a revision was last taken for, by a job of ours or by another client of this cache."""
    refs = [_ref(state, revision), os.path.join(os.path.dirname(state), "refs", revision)]
    for path in sorted(refs, key=_changed, reverse=True):
        text = read_text(path)
        if text and text.strip():
            return text.strip()
    return None


def _changed(path: str) -> float:
    try:
        return os.stat(path).st_mtime
    except OSError:
        return 0.0


def _listing(state: str, commit: str) -> str:
    return os.path.join(state, _FOLDER, commit + ".json")


def _ref(state: str, revision: str) -> str:
    # a branch may have slashes in its name
    return os.path.join(state, _FOLDER, "refs", hashlib.sha256(revision.encode()).hexdigest()[:16])
