# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One revision of a model in the Hub cache: what is missing of it, fetching that, and proof that it is whole.

huggingface_hub does the fetching; it is handed in as a function, so that nothing here needs it to be installed.
This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import json
import os
import struct
from typing import Any, Dict, List, NamedTuple, Optional, Protocol, Sequence, Set, Tuple

from ansible_collections.llmserve.vllm.plugins.module_utils._hub import (
    RepoFile,
    cache_repo_dir,
    find_cached,
    human_bytes,
    presence,
    snapshot_dir,
    wanted_files,
)
from ansible_collections.llmserve.vllm.plugins.module_utils._snapshot_errors import (
    Request,
    SnapshotError,
    explain,
    not_writable,
)

# The header of a safetensors file lists its tensors; 100 MB is the format's own limit.
_MAX_HEADER = 100 * 1000 * 1000
INDEX = "model.safetensors.index.json"


class ListedFile(NamedTuple):
    """A file as the Hub lists it; the etag is its name among the cache's blobs."""

    path: str
    size: int
    etag: str


class Listing(NamedTuple):
    """What the Hub says about a revision: its commit and all of its files."""

    commit: str
    files: List[ListedFile]


class Library(Protocol):
    """What is needed of huggingface_hub. Its own dry run would do for C(describe), but it writes to the cache."""

    def describe(self, request: Request) -> Listing:
        """List a revision, and make sure that its files may be read."""

    def download(self, request: Request) -> str:
        """Fetch what is missing, and return the snapshot's directory."""


def environment(cache_dir: str, endpoint: str, timeout: float) -> Dict[str, str]:
    """What huggingface_hub must find in its environment before it is imported."""
    home = os.path.dirname(cache_dir) if os.path.basename(cache_dir) == "hub" else cache_dir
    return {
        # also the place of the transfer cache, which must be as writable as the model cache
        "HF_HOME": home,
        "HF_ENDPOINT": endpoint,
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1",
        # Each model stays in one self-contained directory, which can be mounted or copied on its own.
        "HF_HUB_DISABLE_SHARED_BLOBS": "1",
        "HF_HUB_OFFLINE": "0",
        "HF_HUB_DOWNLOAD_TIMEOUT": str(max(1, round(timeout))),
        "HF_HUB_ETAG_TIMEOUT": str(max(1, round(timeout))),
    }


def ensure(request: Request, library: Library, check_mode: bool) -> Dict[str, Any]:
    """Fetch what is missing, verify the whole, and return the module's result."""
    try:
        listing = library.describe(request)
    except Exception as exc:
        problem = explain(exc, request)
        if problem.kind == "hub_unreachable":
            local = _fallback(request)
            if local is not None:
                return dict(local, warning="{0} The complete copy in {1} is used.".format(problem, request.cache_dir))
        raise problem from exc
    wanted = set(wanted_files([item.path for item in listing.files], request.allow_patterns, request.ignore_patterns))
    listed = sorted(item for item in listing.files if item.path in wanted)
    if not listed:
        raise SnapshotError(
            "nothing_matches",
            "No file of {0} at revision {1} matches allow_patterns and ignore_patterns.".format(
                request.repo_id, request.revision
            ),
        )
    path = snapshot_dir(request.cache_dir, request.repo_id, listing.commit)
    files = [RepoFile(item.path, item.size) for item in listed]
    fetch, damaged = _to_fetch(request, path, listed)
    changed = bool(fetch) or not _is_linked(request, listing.commit, path, files)
    if changed:
        _assert_writable(request, check_mode)
    if changed and not check_mode:
        try:
            for place in sorted(damaged):
                if os.path.lexists(place):
                    os.unlink(place)
            found = library.download(request)
        except Exception as exc:
            raise explain(exc, request) from exc
        if os.path.basename(found) != listing.commit:
            raise SnapshotError(
                "revision_moved",
                "{0} of {1} has moved to another commit during the download. Run again, or give a commit as "
                "revision.".format(request.revision, request.repo_id),
            )
    if not (changed and check_mode):
        _assert_whole(request, path, files)
    return {
        "path": path,
        "commit": listing.commit,
        "changed": changed,
        "offline": False,
        "bytes_total": sum(item.size for item in files),
        "bytes_fetched": sum(item.size for item in files if item.path in fetch),
        "files_fetched": len(fetch),
        "files": [dict(item._asdict(), fetched=item.path in fetch) for item in files],
        "diff": {
            "before": _listing(item for item in files if item.path not in fetch),
            "after": _listing(files),
            "before_header": request.cache_dir,
            "after_header": "{0}@{1}".format(request.repo_id, listing.commit),
        },
    }


def _to_fetch(request: Request, path: str, listed: Sequence[ListedFile]) -> Tuple[Set[str], Set[str]]:
    """The files to transfer, and what must go first: huggingface_hub takes a file that is there for whole."""
    blobs = os.path.join(cache_repo_dir(request.cache_dir, request.repo_id), "blobs")
    fetch: Set[str] = set()
    damaged: Set[str] = set()
    for item in listed:
        link = os.path.join(path, item.path)
        # another revision may have brought the same content already
        there = link if os.path.exists(link) else os.path.join(blobs, item.etag)
        if os.path.isfile(there) and os.path.getsize(there) == item.size:
            continue
        fetch.add(item.path)
        places = (link, os.path.realpath(link), os.path.join(blobs, item.etag))
        damaged.update(place for place in places if os.path.lexists(place))
    return fetch, damaged


def ensure_offline(request: Request) -> Dict[str, Any]:
    """The result for a snapshot that must be whole in the cache already."""
    local = _fallback(request)
    if local is None:
        raise SnapshotError(
            "incomplete",
            "{0} at revision {1} is not completely in {2}, and offline forbids to fetch it. Fetch it with "
            "offline: false on a host that reaches the Hub, or copy the directory {3} from one that has it.".format(
                request.repo_id,
                request.revision,
                request.cache_dir,
                cache_repo_dir(request.cache_dir, request.repo_id),
            ),
        )
    return local


def _fallback(request: Request) -> Optional[Dict[str, Any]]:
    """The result from the cache alone, or C(None) when something is missing there."""
    cached = find_cached(request.cache_dir, request.repo_id, request.revision)
    if cached is None:
        return None
    listed = _listed_files(request, cached.commit)
    if (listed and presence(cached.path, listed).missing) or damage(cached.path):
        return None
    return {
        "path": cached.path,
        "commit": cached.commit,
        "changed": False,
        "offline": True,
        "bytes_total": sum(item.size for item in cached.files),
        "bytes_fetched": 0,
        "files_fetched": 0,
        "files": [dict(item._asdict(), fetched=False) for item in cached.files],
    }


def _listed_files(request: Request, commit: str) -> List[RepoFile]:
    """The files that the Hub listed when this commit was downloaded, as huggingface_hub 2 keeps them."""
    tree = os.path.join(cache_repo_dir(request.cache_dir, request.repo_id), "trees", commit + ".json")
    try:
        with open(tree, encoding="utf-8") as handle:
            entries = json.load(handle)["files"]
        sizes = {str(path): int(entry.get("lfs_size") or entry["size"]) for path, entry in entries.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return []
    wanted = wanted_files(sorted(sizes), request.allow_patterns, request.ignore_patterns)
    return [RepoFile(path, sizes[path]) for path in wanted]


def _is_linked(request: Request, commit: str, path: str, files: Sequence[RepoFile]) -> bool:
    """Whether the snapshot directory and the branch's ref already point to what is there."""
    if any(not os.path.exists(os.path.join(path, item.path)) for item in files):
        return False
    if request.revision == commit:
        return True
    try:
        ref = os.path.join(cache_repo_dir(request.cache_dir, request.repo_id), "refs", request.revision)
        with open(ref, encoding="ascii") as handle:
            return handle.read().strip() == commit
    except (OSError, UnicodeDecodeError):
        return False


def _listing(files: Any) -> str:
    return "".join("{0} {1}\n".format(item.path, human_bytes(item.size)) for item in files)


def _assert_writable(request: Request, check_mode: bool) -> None:
    """Make the cache, or in check mode only look at one that is there, and be sure that it takes new files."""
    places = [request.cache_dir, cache_repo_dir(request.cache_dir, request.repo_id)]
    try:
        if not check_mode:
            os.makedirs(request.cache_dir, exist_ok=True)
    except OSError as exc:
        raise not_writable(request, request.cache_dir) from exc
    for place in places:
        if os.path.isdir(place) and not os.access(place, os.W_OK | os.X_OK):
            raise not_writable(request, place)


# --- proof that a snapshot is whole --------------------------------------------------------------------------------


def _assert_whole(request: Request, path: str, files: Sequence[RepoFile]) -> None:
    wrong = [
        "{0} is missing or has not the size that the Hub lists".format(i.path) for i in presence(path, files).missing
    ]
    wrong += damage(path)
    if wrong:
        more = " and {0} more".format(len(wrong) - 5) if len(wrong) > 5 else ""
        raise SnapshotError(
            "incomplete",
            "{0} at {1} is not whole after the download: {2}{3}. Delete these files and run again; if it "
            "happens again, check the disk under {4}.".format(
                request.repo_id, request.revision, "; ".join(wrong[:5]), more, request.cache_dir
            ),
        )


def damage(path: str) -> List[str]:
    """What is wrong with the weights in a snapshot directory, without reading more than their headers."""
    wrong = []
    index = os.path.join(path, INDEX)
    if os.path.lexists(index):
        try:
            with open(index, encoding="utf-8") as handle:
                shards = sorted(set(json.load(handle)["weight_map"].values()))
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return ["{0} is unreadable".format(INDEX)]
        wrong += ["{0} is missing".format(shard) for shard in shards if not os.path.exists(os.path.join(path, shard))]
    for folder, _folders, names in os.walk(path):
        for name in sorted(names):
            if name.endswith(".safetensors"):
                full = os.path.join(folder, name)
                problem = safetensors_problem(full)
                if problem:
                    wrong.append("{0} {1}".format(os.path.relpath(full, path), problem))
    return wrong


def safetensors_problem(path: str) -> Optional[str]:
    """What is wrong with a safetensors file: 8 bytes of header length, the header, then as many bytes as it says."""
    try:
        size = os.path.getsize(path)
        with open(path, "rb") as handle:
            start = handle.read(8)
            if len(start) < 8:
                return "is empty" if not start else "is cut off"
            length = struct.unpack("<Q", start)[0]
            if not 2 <= length <= min(size - 8, _MAX_HEADER):
                return "is not a safetensors file, or is cut off in its header"
            header = json.loads(handle.read(length).decode("utf-8"))
        ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
    except OSError as exc:
        return "cannot be read ({0})".format(exc.strerror or exc)
    except (ValueError, KeyError, TypeError, IndexError, AttributeError):
        return "has an unreadable header"
    if size != 8 + length + max(ends or [0]):
        return "is {0} bytes long, but its header describes {1}".format(size, 8 + length + max(ends or [0]))
    return None
