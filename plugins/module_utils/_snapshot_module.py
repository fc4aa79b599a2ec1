# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the options of the module hf_snapshot to its result.

This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import getpass
from functools import lru_cache
from typing import Any, Dict

from ansible_collections.llmserve.vllm.plugins.module_utils._snapshot import Call, ensure, ensure_offline
from ansible_collections.llmserve.vllm.plugins.module_utils._snapshot_errors import (
    Peer,
    Request,
    SnapshotError,
    explain,
)
from ansible_collections.llmserve.vllm.plugins.module_utils._snapshot_fetch import Library
from ansible_collections.llmserve.vllm.plugins.module_utils._snapshot_library import HubLibrary
from ansible_collections.llmserve.vllm.plugins.module_utils._snapshot_peers import PeerLibrary
from ansible_collections.llmserve.vllm.plugins.module_utils._snapshot_remove import absent


def read_request(params: Dict[str, Any]) -> Request:
    """The snapshot that the options describe."""
    return Request(
        repo_id=params["repo_id"],
        revision=params["revision"],
        cache_dir=params["cache_dir"] or "",
        endpoint=params["endpoint"].rstrip("/"),
        token=params["token"] or "",
        allow_patterns=params["allow_patterns"],
        ignore_patterns=params["ignore_patterns"],
        max_workers=max(1, params["max_workers"]),
        user=params["run_as"] or getpass.getuser(),
        local_dir=params["local_dir"] or "",
        verify=params["verify"],
        stall_timeout=params["stall_timeout"],
        peers=tuple(Peer(peer["url"].rstrip("/"), peer["token"]) for peer in params["peers"]),
        peers_only=params["peers_only"],
    )


def _library(request: Request, timeout: float) -> Library:
    hub = HubLibrary(request, timeout)
    return PeerLibrary(hub, request) if request.peers or request.peers_only else hub


def work(params: Dict[str, Any], check_mode: bool) -> Dict[str, Any]:
    """Runs as the user of the cache, perhaps in a child process: errors travel as data."""
    request = read_request(params)
    call = Call(
        check_mode=check_mode,
        wait=params["wait"],
        slice=params["slice"],
        timeout=params["wait_timeout"],
        job=params["job"],
        stay_on_commit=params["stay_on_commit"],
        resume=params["resume"],
    )
    try:
        if params["state"] == "absent":
            return absent(request, HubLibrary(request, params["timeout"]).hub, check_mode)
        if params["offline"]:
            return ensure_offline(request, call)
        # One for the whole run: what it learns when it lists, it knows when it fetches.
        open_library = lru_cache(maxsize=None)(lambda: _library(request, params["timeout"]))
        return ensure(request, open_library, call)
    except (SnapshotError, OSError) as exc:
        problem = explain(exc, request)
        return {"failure": str(problem), "reason_kind": problem.kind}
