# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of this host as a repository of a Hub cache, so that what transports models can transport them, too.

Every file is named by its SHA-256, the commit by the list of files: the same content is always the same commit.

This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import uuid
from typing import BinaryIO, Dict, List, Optional

from ansible_collections.llmserve.vllm.plugins.module_utils._snapshot_errors import Request
from ansible_collections.llmserve.vllm.plugins.module_utils._snapshot_listing import announce, announced
from ansible_collections.llmserve.vllm.plugins.module_utils._snapshot_store import (
    PARTIAL,
    CacheStore,
    ListedFile,
    Listing,
    remove,
    size_of,
)

REVISION = "main"
_BLOCK = 4 << 20


def commit_of(repo_id: str, files: List[ListedFile]) -> str:
    """A commit's name, which changes exactly when the content does."""
    lines = "".join("{0} {1}\n".format(item.path, item.etag) for item in sorted(files))
    return hashlib.sha1("{0}\n{1}".format(repo_id, lines).encode()).hexdigest()


class HubRepository:
    """A repository in a Hub cache that this host writes by itself."""

    def __init__(self, cache_dir: str, repo_id: str) -> None:
        self.repo_id = repo_id
        self.store = CacheStore(Request(repo_id, REVISION, cache_dir, "", "", None, (), 1, ""))
        self._files: Dict[str, ListedFile] = {}

    def current(self) -> Optional[Listing]:
        """What it holds, or C(None) when something of that is missing."""
        listing = announced(self.store.state, REVISION)
        if listing is None or not listing.files:
            return None
        whole = all(size_of(self.store.content(item)) == item.size for item in listing.files)
        return listing if whole else None

    def add(self, path: str, stream: BinaryIO) -> ListedFile:
        """Put a file into the next commit. Nothing is seen under its own name before it is whole."""
        staged = os.path.join(self.store.repo, "blobs", uuid.uuid4().hex + PARTIAL)
        os.makedirs(os.path.dirname(staged), exist_ok=True)
        digest, size = hashlib.sha256(), 0
        try:
            with open(staged, "wb", buffering=0) as handle:
                while True:
                    block = stream.read(_BLOCK)
                    if not block:
                        break
                    digest.update(block)
                    handle.write(block)
                    size += len(block)
            item = ListedFile(path, size, digest.hexdigest())
            os.replace(staged, self.store.content(item))
        finally:
            remove(staged)
        self._files[path] = item
        return item

    def add_again(self, path: str, item: ListedFile) -> None:
        """Put a file into the next commit that has the content of another one."""
        self._files[path] = item._replace(path=path)

    def commit(self) -> Listing:
        """Make what was added the content of the repository, and remove what was there before."""
        files = sorted(self._files.values())
        listing = Listing(commit_of(self.repo_id, files), files)
        for item in files:
            self.store.link(listing.commit, item)
        announce(self.store.state, REVISION, listing)
        self.store.write_ref(listing.commit)
        self._tidy(listing)
        return listing

    def discard_partial(self) -> None:
        """Remove what an interrupted run has left."""
        for name in self._names("blobs"):
            if name.endswith(PARTIAL):
                remove(os.path.join(self.store.repo, "blobs", name))

    def _tidy(self, listing: Listing) -> None:
        wanted = {item.etag for item in listing.files}
        for name in self._names("blobs"):
            if name not in wanted:
                remove(os.path.join(self.store.repo, "blobs", name))
        for name in self._names("snapshots"):
            if name != listing.commit:
                shutil.rmtree(os.path.join(self.store.repo, "snapshots", name))
        for name in self._names(os.path.join(".llmserve", "listings")):
            if name.endswith(".json") and name != listing.commit + ".json":
                remove(os.path.join(self.store.state, "listings", name))

    def _names(self, folder: str) -> List[str]:
        with contextlib.suppress(OSError):
            return sorted(os.listdir(os.path.join(self.store.repo, folder)))
        return []
