# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Proof that a snapshot is whole: index, headers and sizes in milliseconds, digests when they are asked for.

huggingface_hub can compare digests, too, but one file after the other, never remembers what it has compared, and needs
the Hub for it.

This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable, Dict, List, Optional, Sequence

from ansible_collections.llmserve.vllm.plugins.module_utils._safetensors import SafetensorsError, read_header
from ansible_collections.llmserve.vllm.plugins.module_utils._snapshot_store import (
    ListedFile,
    Store,
    content_path,
    read_text,
    write_text,
)

INDEX = "model.safetensors.index.json"
_BLOCK = 4 << 20
_SAVE_SECONDS = 10.0


def digest_of(item: ListedFile) -> Any:
    """A hash object whose digest is to be the file's etag, or C(None): mirrors may have etags of their own."""
    if len(item.etag) == 64:
        return hashlib.sha256()
    if len(item.etag) == 40:
        # git's name of the content
        return hashlib.sha1(b"blob %d\0" % item.size)
    return None


def hash_file(path: str, item: ListedFile, told: Callable[[int], None]) -> bool:
    """Whether a file's content is what the Hub lists. hashlib lets other threads run meanwhile."""
    digest = digest_of(item)
    if digest is None:
        return True
    buffer = memoryview(bytearray(_BLOCK))
    with open(path, "rb", buffering=0) as handle:
        while True:
            count = handle.readinto(buffer)
            if not count:
                return bool(digest.hexdigest() == item.etag)
            digest.update(buffer[:count])
            told(count)


class Verified:
    """Which files had the right digest, and how to tell that they have not been touched since."""

    def __init__(self, store: Store) -> None:
        self._path = os.path.join(store.state, "verified.json")
        self._lock = threading.Lock()
        self._saved = time.monotonic()
        try:
            entries = json.loads(read_text(self._path) or "{}")
        except ValueError:
            entries = {}
        self._entries: Dict[str, List[int]] = entries if isinstance(entries, dict) else {}

    def holds(self, path: str, item: ListedFile) -> bool:
        """Whether the file is the one that was verified."""
        try:
            return self._entries.get(self._key(path, item)) == self._mark(path)
        except OSError:
            return False

    def add(self, path: str, item: ListedFile) -> None:
        """Remember a file that has just been found right."""
        with self._lock:
            self._entries[self._key(path, item)] = self._mark(path)
            if time.monotonic() - self._saved > _SAVE_SECONDS:
                self._save()

    def save(self) -> None:
        """Write what is remembered."""
        with self._lock:
            self._save()

    def _save(self) -> None:
        write_text(self._path, json.dumps(self._entries, indent=0, sort_keys=True) + "\n")
        self._saved = time.monotonic()

    @staticmethod
    def _key(path: str, item: ListedFile) -> str:
        return "{0} {1}".format(item.etag, os.path.basename(path))

    @staticmethod
    def _mark(path: str) -> List[int]:
        stat = os.stat(path)
        return [stat.st_size, stat.st_mtime_ns, stat.st_ino]


def unverified(store: Store, commit: str, files: Sequence[ListedFile]) -> List[ListedFile]:
    """The files whose digests have to be computed."""
    verified = Verified(store)
    return [
        item
        for item in files
        if digest_of(item) is not None and not verified.holds(content_path(store, commit, item), item)
    ]


def hash_all(
    store: Store,
    commit: str,
    files: Sequence[ListedFile],
    told: Callable[[int], None],
    done: Callable[[ListedFile], None],
) -> List[ListedFile]:
    """The files whose content is wrong, after reading all of them, as many at a time as there are processors."""
    verified = Verified(store)

    def check(item: ListedFile) -> Optional[ListedFile]:
        path = content_path(store, commit, item)
        if not hash_file(path, item, told):
            return item
        verified.add(path, item)
        done(item)
        return None

    try:
        with ThreadPoolExecutor(min(16, os.cpu_count() or 1)) as pool:
            return [item for item in pool.map(check, files) if item is not None]
    finally:
        verified.save()


# --- without digests -----------------------------------------------------------------------------------------------


def index_shards(path: str) -> Optional[List[str]]:
    """The files that an index names, or C(None) when it cannot be read."""
    try:
        with open(path, encoding="utf-8") as handle:
            return sorted(set(json.load(handle)["weight_map"].values()))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def safetensors_problem(path: str) -> Optional[str]:
    """What is wrong with a safetensors file, from its header and its size."""
    try:
        read_header(path)
    except SafetensorsError as exc:
        # The format grows; a type that is unknown here is no damage.
        return None if exc.kind == "unknown_dtype" else str(exc)
    except OSError as exc:
        return "cannot be read ({0})".format(exc.strerror or exc)
    return None


def damage(path: str) -> List[str]:
    """What is wrong with the weights in a snapshot directory, without the Hub's list of files."""
    wrong = []
    index = os.path.join(path, INDEX)
    if os.path.lexists(index):
        shards = index_shards(index)
        if shards is None:
            return ["{0} is unreadable".format(INDEX)]
        wrong += ["{0} is missing".format(shard) for shard in shards if not os.path.exists(os.path.join(path, shard))]
    for folder, folders, names in os.walk(path):
        folders[:] = [name for name in folders if name != ".cache"]
        for name in sorted(names):
            if name.endswith(".safetensors"):
                full = os.path.join(folder, name)
                problem = safetensors_problem(full)
                if problem:
                    wrong.append("{0} {1}".format(os.path.relpath(full, path), problem))
    return wrong
