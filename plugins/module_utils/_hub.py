# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which files of a Hugging Face repository a deployment needs, and what of them is on disk.

This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import json
import os
import re
from fnmatch import fnmatch
from typing import Any, Dict, Iterable, List, NamedTuple, Optional, Sequence, Tuple

# What vLLM reads: weights, configuration, tokenizer, chat template and, where a model asks for it, its own code.
DEFAULT_ALLOW_PATTERNS: Tuple[str, ...] = (
    "*.safetensors",
    "*.json",
    "*.jinja",
    "*.model",
    "*.tiktoken",
    "*.txt",
    "*.py",
)
# Second copies of the weights: original/ alone triples the download of Llama 3.1 405B.
DEFAULT_IGNORE_PATTERNS: Tuple[str, ...] = (
    "original/*",
    "consolidated*",
    "metal/*",
    "*.pth",
    "*.pt",
    "*.bin",
    "*.gguf",
    "*.h5",
    "*.msgpack",
    "*.onnx",
    "onnx/*",
)

WEIGHT_SUFFIXES = (".safetensors", ".bin", ".pt", ".pth", ".gguf")
_COMMIT = re.compile(r"^[0-9a-f]{40}$")
_REPO_ID = re.compile(r"^[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?$")


class RepoFile(NamedTuple):
    """One file of a repository."""

    path: str
    size: int


class Presence(NamedTuple):
    """How much of a snapshot is on disk."""

    bytes_total: int
    bytes_present: int
    missing: List[RepoFile]

    @property
    def bytes_missing(self) -> int:
        """What a download would fetch."""
        return self.bytes_total - self.bytes_present


class CachedSnapshot(NamedTuple):
    """A snapshot that is complete on disk."""

    commit: str
    path: str
    files: List[RepoFile]
    config: Dict[str, Any]


def is_repo_id(repo_id: str) -> bool:
    """Whether the text is a Hub repository id, C(name) or C(organisation/name), and not a path."""
    return len(repo_id) <= 96 and bool(_REPO_ID.match(repo_id)) and ".." not in repo_id and "--" not in repo_id


def wanted_files(
    files: Iterable[str], allow: Optional[Sequence[str]] = None, ignore: Optional[Sequence[str]] = None
) -> List[str]:
    """The paths that C(snapshot_download(allow_patterns, ignore_patterns)) would fetch, in their order.

    As in huggingface_hub: fnmatch over the whole path, where C(*) also crosses slashes; a pattern that ends in
    a slash means everything below; C(None) for C(allow) allows everything.
    """
    allowed = None if allow is None else [_as_glob(pattern) for pattern in allow]
    ignored = [_as_glob(pattern) for pattern in ignore or ()]
    return [
        path
        for path in files
        if (allowed is None or any(fnmatch(path, glob) for glob in allowed))
        and not any(fnmatch(path, glob) for glob in ignored)
    ]


def _as_glob(pattern: str) -> str:
    return pattern + "*" if pattern.endswith("/") else pattern


def cache_repo_dir(cache_dir: str, repo_id: str) -> str:
    """The directory of a model inside the Hub cache (C(cache_dir) is C($HF_HOME/hub), the HF_HUB_CACHE)."""
    return os.path.join(cache_dir, "models--" + repo_id.replace("/", "--"))


def snapshot_dir(cache_dir: str, repo_id: str, commit: str) -> str:
    """Where the files of one commit are."""
    return os.path.join(cache_repo_dir(cache_dir, repo_id), "snapshots", commit)


def presence(snapshot: str, files: Sequence[RepoFile]) -> Presence:
    """Compare a snapshot directory with the files that the Hub lists; a file of another size is missing."""
    missing = []
    present = 0
    for item in files:
        try:
            # getsize follows the links into blobs/; a dangling one raises like an absent file
            complete = os.path.getsize(os.path.join(snapshot, item.path)) == item.size
        except OSError:
            complete = False
        if complete:
            present += item.size
        else:
            missing.append(item)
    return Presence(sum(item.size for item in files), present, missing)


def free_bytes(path: str) -> Tuple[str, int]:
    """The nearest existing ancestor of a path, and the bytes that an ordinary user may still write there."""
    where = os.path.abspath(path)
    while not os.path.isdir(where) and os.path.dirname(where) != where:
        where = os.path.dirname(where)
    stat = os.statvfs(where)
    return where, stat.f_bavail * stat.f_frsize


def disk_problem(missing: int, free: int, where: str, margin_percent: float) -> Optional[str]:
    """A sentence when the missing bytes do not fit, else C(None)."""
    needed = int(missing * (1 + margin_percent / 100.0))
    if missing <= 0 or needed <= free:
        return None
    return (
        "The download needs {0} ({1} to fetch and a margin of {2:g} %), but the filesystem of {3} has only {4} free. "
        "Free at least {5} there, or set llmserve_hf_home to a directory on a larger filesystem.".format(
            human_bytes(needed),
            human_bytes(missing),
            margin_percent,
            where,
            human_bytes(free),
            human_bytes(needed - free),
        )
    )


def no_weights_message(repo_id: str, paths: Sequence[str]) -> str:
    """A sentence for a repository in which the patterns find no weights."""
    others = sorted({os.path.splitext(path)[1] for path in paths if path.endswith(WEIGHT_SUFFIXES)})
    return (
        "The patterns choose no weights of {0} (it has {1}): choose a repository with *.safetensors files, or allow "
        "another format with the patterns.".format(repo_id, "only " + ", ".join(others) if others else "none at all")
    )


def human_bytes(count: float) -> str:
    """A size as people compare it with disks and model cards: decimal units, three digits."""
    value = float(count)
    unit = "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if value < 1000:
            break
        value, unit = value / 1000, larger
    return "{0:.0f} {1}".format(value, unit) if unit == "B" or value >= 100 else "{0:.1f} {1}".format(value, unit)


def find_cached(cache_dir: str, repo_id: str, revision: str) -> Optional[CachedSnapshot]:
    """The snapshot of a revision when the cache alone can serve it.

    Without the Hub's file list the safetensors index is the only witness of completeness: every shard that it
    names must be there and not be empty.
    """
    commit = _cached_commit(cache_repo_dir(cache_dir, repo_id), revision)
    if commit is None:
        return None
    path = snapshot_dir(cache_dir, repo_id, commit)
    files = list_files(path)
    sizes = {item.path: item.size for item in files}
    config = _read_json(os.path.join(path, "config.json"))
    if config is None:
        return None
    index = os.path.join(path, "model.safetensors.index.json")
    if os.path.lexists(index):
        weight_map = (_read_json(index) or {}).get("weight_map")
        shards = set(weight_map.values()) if isinstance(weight_map, dict) else set()
    else:
        shards = {name for name in sizes if name.endswith(".safetensors")}
    if not shards or any(not sizes.get(shard) for shard in shards):
        return None
    return CachedSnapshot(commit, path, files, config)


def _cached_commit(repo_dir: str, revision: str) -> Optional[str]:
    if _COMMIT.match(revision):
        commit = revision
    else:
        try:
            with open(os.path.join(repo_dir, "refs", revision), encoding="ascii") as ref:
                commit = ref.read().strip()
        except (OSError, UnicodeDecodeError):
            return None
    known = bool(_COMMIT.match(commit)) and os.path.isdir(os.path.join(repo_dir, "snapshots", commit))
    return commit if known else None


def list_files(root: str) -> List[RepoFile]:
    """Every file below a directory; a link counts as what it points to."""
    found = []
    for folder, _folders, names in os.walk(root):
        for name in names:
            full = os.path.join(folder, name)
            if os.path.isfile(full):
                found.append(RepoFile(os.path.relpath(full, root), os.path.getsize(full)))
    return sorted(found)


def _read_json(path: str) -> Optional[Dict[str, Any]]:
    try:
        with open(path, encoding="utf-8") as handle:
            data = json.load(handle)
    except (OSError, ValueError):
        return None
    return data if isinstance(data, dict) else None
