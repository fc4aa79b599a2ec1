# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the files of a revision lie: in a Hub cache, or by themselves in a directory.

Both layouts are huggingface_hub's own, so that its tools, transformers and vLLM find everything. Partial files have a
stable name: huggingface_hub 2 names them at random and starts over in a new process.

This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import shutil
import time
from typing import List, NamedTuple, Optional

from ansible_collections.llmserve.vllm.plugins.module_utils._hub import cache_repo_dir, snapshot_dir
from ansible_collections.llmserve.vllm.plugins.module_utils._snapshot_errors import Request, SnapshotError

PARTIAL = ".incomplete"
# The Hub may send small text files compressed, and then ignores ranges: they are fetched in one piece.
CONTINUE_FROM = 1 << 20
_ETAG = re.compile(r"^[A-Za-z0-9][\w.-]*$")


class ListedFile(NamedTuple):
    """A file as the Hub lists it; the etag is its digest, and its name among the cache's blobs."""

    path: str
    size: int
    etag: str

    @property
    def is_weights(self) -> bool:
        """Whether this is one of the large files."""
        return self.path.endswith(".safetensors")


class Listing(NamedTuple):
    """What the Hub says about a revision: its commit and all of its files."""

    commit: str
    files: List[ListedFile]


def refuse_unsafe(listing: Listing) -> None:
    """A repository must not name files outside of its own directory."""
    for item in listing.files:
        parts = item.path.replace("\\", "/").split("/")
        if ".." in parts or not parts[0] or not _ETAG.match(item.etag):
            raise SnapshotError(
                "hub_error",
                "The repository lists a file with an unsafe name ({0!r}, {1!r}): nothing was fetched. Report it to "
                "the repository's owner.".format(item.path, item.etag),
            )


def size_of(path: str) -> int:
    """The size of a file, or -1; a link that leads nowhere is no file."""
    try:
        return os.path.getsize(path) if os.path.isfile(path) else -1
    except OSError:
        return -1


def remove(path: str) -> None:
    """Remove one file or link, if it is there."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


def write_text(path: str, text: str) -> None:
    """Replace a small file in one step, so that nobody reads half of it."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    staged = "{0}.{1}.tmp".format(path, os.getpid())
    with open(staged, "w", encoding="utf-8") as handle:
        handle.write(text)
    os.replace(staged, path)


def read_text(path: str) -> Optional[str]:
    """The text of a small file, or C(None)."""
    try:
        with open(path, encoding="utf-8") as handle:
            return handle.read()
    except (OSError, UnicodeDecodeError):
        return None


class Store:
    """What both layouts share."""

    def __init__(self, request: Request, state: str, trees: str) -> None:
        self.request = request
        self.state = state
        self._trees = trees

    def tree(self, commit: str) -> str:
        """huggingface_hub's list of a commit's files, which also makes later runs work offline."""
        return os.path.join(self._trees, commit + ".json")

    def snapshot(self, commit: str) -> str:
        """The directory in which the commit's files are seen."""
        raise NotImplementedError

    def seen(self, commit: str, item: ListedFile) -> str:
        """Where one file is seen."""
        return os.path.join(self.snapshot(commit), item.path)

    def partial(self, item: ListedFile) -> str:
        """Where the file is kept while it is incomplete."""
        raise NotImplementedError

    def is_there(self, commit: str, item: ListedFile) -> bool:
        """Whether the file is seen, with the size that the Hub lists."""
        return size_of(self.seen(commit, item)) == item.size

    def has_content(self, commit: str, item: ListedFile) -> bool:
        """Whether nothing of it needs to be fetched; it may still have to be linked."""
        return self.is_there(commit, item)

    def publish(self, commit: str, item: ListedFile) -> None:
        """Make a file seen whose partial file is complete."""
        raise NotImplementedError

    def link(self, commit: str, item: ListedFile) -> None:
        """Make a file seen whose content is there."""
        raise NotImplementedError

    def set_aside(self, commit: str, item: ListedFile, keep: bool) -> None:
        """Take a damaged file away; with C(keep) what there is of it becomes the partial file."""
        raise NotImplementedError

    def ref(self) -> Optional[str]:
        """The commit that this host last took the revision for."""
        raise NotImplementedError

    def write_ref(self, commit: str) -> None:
        """Remember the commit of the revision."""
        raise NotImplementedError

    def partial_size(self, item: ListedFile) -> int:
        """Bytes that an earlier run has left of a file."""
        found = size_of(self.partial(item))
        return found if CONTINUE_FROM <= found <= item.size else 0

    def can_continue(self, commit: str, item: ListedFile) -> bool:
        """Whether what is seen of a file may be the beginning of its content."""
        raise NotImplementedError

    def _keep(self, content: str, item: ListedFile) -> None:
        if self.partial_size(item) < size_of(content) < item.size:
            os.makedirs(os.path.dirname(self.partial(item)), exist_ok=True)
            os.replace(content, self.partial(item))


class CacheStore(Store):
    """huggingface_hub's cache: blobs, and snapshots of links to them."""

    def __init__(self, request: Request) -> None:
        self.repo = cache_repo_dir(request.cache_dir, request.repo_id)
        super().__init__(request, os.path.join(self.repo, ".llmserve"), os.path.join(self.repo, "trees"))

    def snapshot(self, commit: str) -> str:
        return snapshot_dir(self.request.cache_dir, self.request.repo_id, commit)

    def content(self, item: ListedFile) -> str:
        """The blob of a file."""
        return os.path.join(self.repo, "blobs", item.etag)

    def partial(self, item: ListedFile) -> str:
        return self.content(item) + PARTIAL

    def has_content(self, commit: str, item: ListedFile) -> bool:
        # another revision may have brought the same content already
        return self.is_there(commit, item) or size_of(self.content(item)) == item.size

    def publish(self, commit: str, item: ListedFile) -> None:
        os.replace(self.partial(item), self.content(item))
        self.link(commit, item)

    def link(self, commit: str, item: ListedFile) -> None:
        place = self.seen(commit, item)
        os.makedirs(os.path.dirname(place), exist_ok=True)
        target = os.path.relpath(self.content(item), os.path.dirname(place))
        staged = "{0}.{1}.link".format(place, os.getpid())
        try:
            remove(staged)
            os.symlink(target, staged)
            os.replace(staged, place)
        except OSError as exc:
            if exc.errno not in (errno.EPERM, errno.ENOTSUP, errno.ENOSYS):
                raise
            # A filesystem without links: as huggingface_hub does, the file itself goes there.
            os.replace(self.content(item), place)

    def set_aside(self, commit: str, item: ListedFile, keep: bool) -> None:
        place, blob = self.seen(commit, item), self.content(item)
        if keep and self.can_continue(commit, item):
            self._keep(blob, item)
        remove(place)
        remove(blob)

    def can_continue(self, commit: str, item: ListedFile) -> bool:
        # What a link out of the repository leads to belongs to others (the shared blob store).
        blob = self.content(item)
        return size_of(blob) >= CONTINUE_FROM and not os.path.islink(blob)

    def ref(self) -> Optional[str]:
        text = read_text(os.path.join(self.repo, "refs", self.request.revision))
        return text.strip() if text else None

    def write_ref(self, commit: str) -> None:
        if self.request.revision != commit:
            write_text(os.path.join(self.repo, "refs", self.request.revision), commit)


class FolderStore(Store):
    """A directory that holds the files themselves, with huggingface_hub's notes in .cache/huggingface."""

    def __init__(self, request: Request) -> None:
        self._notes = os.path.join(request.local_dir, ".cache", "huggingface")
        state = os.path.join(request.local_dir, ".cache", "llmserve")
        super().__init__(request, state, os.path.join(self._notes, "trees"))

    def snapshot(self, commit: str) -> str:
        return self.request.local_dir

    def partial(self, item: ListedFile) -> str:
        # two files with the same content are two downloads' targets here
        name = "{0}.{1}".format(hashlib.sha256(item.path.encode()).hexdigest()[:12], item.etag)
        return os.path.join(self._notes, "download", name + PARTIAL)

    def is_there(self, commit: str, item: ListedFile) -> bool:
        return super().is_there(commit, item) and self._note(item) == item.etag

    def publish(self, commit: str, item: ListedFile) -> None:
        place = self.seen(commit, item)
        os.makedirs(os.path.dirname(place), exist_ok=True)
        os.replace(self.partial(item), place)
        self.link(commit, item)

    def link(self, commit: str, item: ListedFile) -> None:
        write_text(self._note_path(item), "{0}\n{1}\n{2}\n".format(commit, item.etag, time.time()))

    def set_aside(self, commit: str, item: ListedFile, keep: bool) -> None:
        place = self.seen(commit, item)
        if keep and self.can_continue(commit, item):
            self._keep(place, item)
        remove(place)
        remove(self._note_path(item))

    def ref(self) -> Optional[str]:
        text = read_text(self._ref_path())
        return text.strip() if text else None

    def write_ref(self, commit: str) -> None:
        if self.request.revision != commit:
            write_text(self._ref_path(), commit)

    def can_continue(self, commit: str, item: ListedFile) -> bool:
        return size_of(self.seen(commit, item)) >= CONTINUE_FROM and self._note(item) == item.etag

    def has_other_content(self, item: ListedFile) -> bool:
        """Whether the file of this name is known to be another one."""
        return self._note(item) not in (None, item.etag)

    def own_files(self, commit: str, item: ListedFile) -> List[str]:
        """The file, when it is known to have come from the Hub, with its note and its partial file."""
        paths = [self.partial(item)]
        if self._note(item) == item.etag:
            paths += [self.seen(commit, item), self._note_path(item)]
        return [path for path in paths if os.path.lexists(path)]

    def forget_ref(self) -> None:
        """Remember no longer which commit the revision was."""
        remove(self._ref_path())

    def _ref_path(self) -> str:
        name = hashlib.sha256("{0}@{1}".format(self.request.repo_id, self.request.revision).encode()).hexdigest()
        return os.path.join(self.state, "refs", name[:16])

    def _note_path(self, item: ListedFile) -> str:
        return os.path.join(self._notes, "download", item.path + ".metadata")

    def _note(self, item: ListedFile) -> Optional[str]:
        lines = (read_text(self._note_path(item)) or "").splitlines()
        return lines[1].strip() if len(lines) >= 2 else None


def open_store(request: Request) -> Store:
    """The layout that the request asks for."""
    return FolderStore(request) if request.local_dir else CacheStore(request)


def content_path(store: Store, commit: str, item: ListedFile) -> str:
    """The real file behind what is seen."""
    return os.path.realpath(store.seen(commit, item))


def copy_twin(store: Store, commit: str, source: ListedFile, twin: ListedFile) -> None:
    """A second file with the same content: linked in a cache, copied in a directory."""
    if isinstance(store, CacheStore):
        store.link(commit, twin)
        return
    place = store.seen(commit, twin)
    os.makedirs(os.path.dirname(place), exist_ok=True)
    shutil.copyfile(store.seen(commit, source), place)
    store.link(commit, twin)
