# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Hub's protocol as far as a mirror speaks it: addresses, ranges, and what it says about a repository.

This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any, Dict, List, NamedTuple, Optional, Tuple
from urllib.parse import unquote, urlsplit

from ansible_collections.llmserve.vllm.plugins.module_utils._hub import is_repo_id
from ansible_collections.llmserve.vllm.plugins.module_utils._snapshot_store import ListedFile, Listing

INFO, TREE, FILE = "info", "tree", "file"
DEFAULT_REVISION = "main"
# Slashes that a revision may have: refs/pr/1 has two.
_MOST_SLASHES = 8
_RANGE = re.compile(r"bytes=([0-9]{0,19})-([0-9]{0,19})")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_NO_TIME = "1970-01-01T00:00:00.000Z"


class Route(NamedTuple):
    """What is asked for."""

    kind: str
    repo_id: str
    # Where the revision ends and the path begins is known only when one of them is a revision.
    splits: List[Tuple[str, str]]
    # in lower case
    query: List[str]

    def asks(self, name: str) -> bool:
        """Whether a flag is set in the query."""
        return any("{0}={1}".format(name, value) in self.query for value in ("true", "1"))


def find_route(target: str) -> Optional[Route]:
    """What the target of a request asks for, C(None) when it is nothing that a mirror has."""
    try:
        address = urlsplit(target)
    except ValueError:
        return None
    parts = [unquote(part) for part in address.path.split("/") if part]
    query = address.query.lower().split("&")
    if parts[:2] == ["api", "models"] and parts[2:]:
        return _api_route(parts[2:], query)
    for length in (2, 1):
        if parts[length : length + 1] == ["resolve"]:
            splits = [split for split in _splits(parts[length + 1 :]) if split[1]]
            return _checked(Route(FILE, "/".join(parts[:length]), splits, query))
    return None


def _api_route(parts: List[str], query: List[str]) -> Optional[Route]:
    length = 1 if len(parts) == 1 or parts[1] in ("revision", "tree") else 2
    name, verb, rest = "/".join(parts[:length]), parts[length : length + 1], parts[length + 1 :]
    if not verb or verb == ["revision"]:
        return _checked(Route(INFO, name, [("/".join(rest) or DEFAULT_REVISION, "")], query))
    if verb == ["tree"]:
        return _checked(Route(TREE, name, _splits(rest) or [(DEFAULT_REVISION, "")], query))
    return None


def _splits(parts: List[str]) -> List[Tuple[str, str]]:
    most = min(len(parts), _MOST_SLASHES + 1)
    return [("/".join(parts[:count]), "/".join(parts[count:])) for count in range(1, most + 1)]


def _checked(route: Route) -> Optional[Route]:
    """Names of files and lines of headers are made of what is asked for: only harmless ones."""
    splits = [(revision, path) for revision, path in route.splits if _is_revision(revision) and path.isprintable()]
    return route._replace(splits=splits) if splits and is_repo_id(route.repo_id) else None


def _is_revision(text: str) -> bool:
    return not text.startswith("/") and ".." not in text and text.isprintable()


def parse_range(header: str, size: int) -> Optional[Tuple[int, int]]:
    """The first byte that is wanted and the one behind the last; C(None) for all.

    When there is no such byte, the second is not larger than the first. As HTTP has it, what is not understood is no
    range.
    """
    wanted = _RANGE.fullmatch(header.strip())
    if wanted is None or wanted.group(1) == wanted.group(2) == "":
        return None
    first, last = wanted.groups()
    if not first:
        return max(size - int(last), 0), size if int(last) else 0
    if last and int(last) < int(first):
        return None
    return int(first), min(int(last) + 1, size) if last else size


def is_lfs(item: ListedFile) -> bool:
    """Whether the Hub keeps the file outside of git; its etag is a SHA-256 then."""
    return bool(_SHA256.fullmatch(item.etag))


def file_headers(listing: Listing, item: ListedFile) -> Dict[str, str]:
    """What the Hub tells about a file."""
    headers = {"ETag": '"{0}"'.format(item.etag), "X-Repo-Commit": listing.commit, "Accept-Ranges": "bytes"}
    if is_lfs(item):
        headers.update({"X-Linked-Etag": '"{0}"'.format(item.etag), "X-Linked-Size": str(item.size)})
    return headers


def repo_info(repo_id: str, listing: Listing, with_blobs: bool) -> Dict[str, Any]:
    """The repository as the Hub's endpoint for models describes it."""
    siblings: List[Dict[str, Any]] = [{"rfilename": item.path} for item in listing.files]
    if with_blobs:
        for sibling, item in zip(siblings, listing.files):
            sibling.update(size=item.size, blobId=_git_id(item))
            if is_lfs(item):
                sibling["lfs"] = {"sha256": item.etag, "size": item.size, "pointerSize": len(_pointer(item))}
    return {
        "_id": listing.commit[:24],
        "id": repo_id,
        "modelId": repo_id,
        "author": repo_id.partition("/")[0],
        "sha": listing.commit,
        "private": False,
        "disabled": False,
        # who has the mirror's token may have the files
        "gated": False,
        "lastModified": _NO_TIME,
        "createdAt": _NO_TIME,
        "downloads": 0,
        "likes": 0,
        "tags": [],
        "usedStorage": sum(item.size for item in listing.files),
        "siblings": siblings,
    }


def repo_tree(listing: Listing, folder: str, recursive: bool) -> List[Dict[str, Any]]:
    """A folder as the Hub's endpoint for trees lists it."""
    prefix = folder + "/" if folder else ""
    entries: Dict[str, Dict[str, Any]] = {}
    for item in listing.files:
        if not item.path.startswith(prefix):
            continue
        parents = item.path[len(prefix) :].split("/")[:-1]
        for depth in range(1, len(parents) + 1):
            path = prefix + "/".join(parents[:depth])
            # The id of a folder is not known here; it only has to be one.
            entries[path] = {"type": "directory", "oid": _blob_id(path.encode()), "size": 0, "path": path}
        entries[item.path] = _entry(item)
    return [entries[path] for path in sorted(entries) if recursive or "/" not in path[len(prefix) :]]


def _entry(item: ListedFile) -> Dict[str, Any]:
    entry: Dict[str, Any] = {"type": "file", "oid": _git_id(item), "size": item.size, "path": item.path}
    if is_lfs(item):
        entry["lfs"] = {"oid": item.etag, "size": item.size, "pointerSize": len(_pointer(item))}
    return entry


def _pointer(item: ListedFile) -> bytes:
    """What git keeps in place of a large file."""
    return "version https://git-lfs.github.com/spec/v1\noid sha256:{0}\nsize {1}\n".format(
        item.etag, item.size
    ).encode()


def _git_id(item: ListedFile) -> str:
    return _blob_id(_pointer(item)) if is_lfs(item) else item.etag


def _blob_id(content: bytes) -> str:
    # git's name for content, not a protection of anything
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
