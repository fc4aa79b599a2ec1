# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The weights that a host's Hub cache holds of one model revision.

This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import json
import os
import re
from typing import Any, Dict, List, Mapping, Optional, Sequence

from ansible_collections.llmserve.vllm.plugins.module_utils import _hub
from ansible_collections.llmserve.vllm.plugins.module_utils._host import entries, read_text

# How much more than the missing bytes has to be free.
_MARGIN_PERCENT = 2
_COMMIT = re.compile(r"[0-9a-f]{40}$")


def shards(cache_dir: str, repo_id: str, revision: str) -> Dict[str, Any]:
    """Commit and weight files with their sizes, None for one that is missing or a dangling link.

    C(commit) is None without a snapshot of the revision. May hang on a dead file server: call it bounded.
    """
    base = os.path.join(cache_dir, "models--" + repo_id.replace("/", "--"))
    commit = revision if _COMMIT.match(revision) else read_text(os.path.join(base, "refs", revision))
    snapshot = os.path.join(base, "snapshots", commit or "")
    if not commit or not _COMMIT.match(commit) or not os.path.isdir(snapshot):
        return {"commit": None, "files": {}}
    here = [name for name in entries(snapshot) if name.endswith(".safetensors")]
    names = sorted({*here, *_indexed(os.path.join(snapshot, "model.safetensors.index.json"))})
    return {"commit": commit, "files": {name: _size(os.path.join(snapshot, name)) for name in names}}


def room(cache_dir: str, repo_id: str, commit: str, files: Sequence[Mapping[str, Any]]) -> Dict[str, Any]:
    """How much of a model's files is missing, and why the filesystem cannot take it. May hang like C(shards)."""
    wanted = [_hub.RepoFile(str(item["path"]), int(item["size"])) for item in files]
    found = _hub.presence(_hub.snapshot_dir(cache_dir, repo_id, commit), wanted)
    where, free = _hub.free_bytes(cache_dir)
    problem = _hub.disk_problem(found.bytes_missing, free, where, _MARGIN_PERCENT)
    return {"bytes_missing": found.bytes_missing, "disk_problem": problem}


def _indexed(path: str) -> List[str]:
    try:
        found = json.loads(read_text(path) or "{}")["weight_map"].values()
    except (ValueError, KeyError, TypeError, AttributeError):
        return []
    # the names come from a file of the repository: none of them leads out of the snapshot
    return [name for name in set(found) if isinstance(name, str) and os.path.basename(name) == name]


def _size(path: str) -> Optional[int]:
    try:
        return os.stat(path).st_size
    except OSError:
        return None
