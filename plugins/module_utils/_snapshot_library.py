# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""huggingface_hub, as the snapshot's code wants it. Nothing of it is imported before it is needed.

This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
import sys
import time
from typing import Any, Callable, Dict, Optional

from ansible_collections.llmserve.vllm.plugins.module_utils._snapshot_errors import Request, SnapshotError
from ansible_collections.llmserve.vllm.plugins.module_utils._snapshot_store import ListedFile, Listing, refuse_unsafe

# Bytes to ask a connection for at once. With httpcore's 64 KiB, its bookkeeping costs more than computing digests.
_READ = 1 << 18
# The library lists a repository without trying twice. A Hub that asks to wait is waited for, one that is broken less.
_BUSY_SECONDS, _BROKEN_SECONDS = 120.0, 15.0


def environment(home: str, endpoint: str, timeout: float) -> Dict[str, str]:
    """What huggingface_hub must find in its environment before it is imported."""
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


def home_of(request: Request) -> str:
    """The HF_HOME of a cache; a plain directory keeps its own notes."""
    if request.local_dir:
        return os.path.join(request.local_dir, ".cache", "huggingface")
    cache = request.cache_dir
    return os.path.dirname(cache) if os.path.basename(cache) == "hub" else cache


class HubLibrary:
    """The calls to huggingface_hub."""

    def __init__(self, request: Request, timeout: float) -> None:
        # It reads its settings when it is imported, and some from more than one name.
        os.environ.update(environment(home_of(request), request.endpoint, timeout))
        for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_XET_CACHE"):
            os.environ.pop(name, None)
        try:
            self.hub: Any = importlib.import_module("huggingface_hub")
            self._transfer: Any = importlib.import_module("huggingface_hub.file_download")
        except ImportError as exc:
            raise SnapshotError(
                "library_missing",
                "{0} on this host has no usable huggingface_hub ({1}). Install it for this Python "
                "(`{0} -m pip install huggingface_hub==2.4.0`), or set ansible_python_interpreter for this task to the "
                "Python of the virtual environment that the role hf_model makes.".format(sys.executable, exc),
            ) from exc
        # What is larger comes through get_whole, except from a host of ours.
        self._largest = self.hub.constants.MAX_HTTP_DOWNLOAD_SIZE
        self.hub.constants.MAX_HTTP_DOWNLOAD_SIZE = sys.maxsize
        # Bytes are passed on as they come: what the library gathers (10 MB) is lost when a connection breaks.
        self.hub.constants.DOWNLOAD_CHUNK_SIZE = None
        for name in ("httpcore2", "httpcore"):
            with contextlib.suppress(ImportError, AttributeError):
                importlib.import_module(name).HTTP11Connection.READ_NUM_BYTES = _READ
                break

    def describe(self, request: Request) -> Listing:
        """List a revision, and make sure that its files may be read."""
        began, delay = time.monotonic(), 1.0
        while True:
            try:
                return self.describe_once(request)
            except Exception as exc:
                status = getattr(getattr(exc, "response", None), "status_code", 0)
                delay = max(delay, _retry_after(exc))
                patience = {429: _BUSY_SECONDS, 500: _BROKEN_SECONDS, 502: _BROKEN_SECONDS, 503: _BROKEN_SECONDS}
                if time.monotonic() - began + delay > patience.get(status, 0):
                    raise
                time.sleep(delay)
                delay = min(8.0, delay * 2)

    def describe_once(self, request: Request) -> Listing:
        """As C(describe), without patience for a Hub that is busy."""
        # without a token of ours, not some other token that lies around on the host
        api = self.hub.HfApi(endpoint=request.endpoint, token=request.token or False)
        info = api.model_info(request.repo_id, revision=request.revision, files_metadata=True)
        if info.gated:
            # everybody may list a gated model
            api.auth_check(request.repo_id)
        files = [
            ListedFile(item.rfilename, int(item.size or 0), item.lfs.sha256 if item.lfs else str(item.blob_id))
            for item in info.siblings or ()
        ]
        listing = Listing(str(info.sha), files)
        refuse_unsafe(listing)
        return listing

    def get(self, request: Request, commit: str, item: ListedFile, sink: Any, start: int) -> None:
        """Write a file to the sink from C(start) on. Each call follows the Hub's redirection afresh."""
        self._transfer.http_get(
            self.hub.hf_hub_url(request.repo_id, item.path, revision=commit, endpoint=request.endpoint),
            sink,
            resume_size=start,
            headers=self.hub.utils.build_hf_headers(token=request.token or False),
            expected_size=item.size,
            displayed_filename=item.path,
        )

    def get_whole(self, request: Request, commit: str, item: ListedFile) -> bool:
        """Let huggingface_hub fetch a file that the Hub gives out through its own protocol (Xet) only."""
        if item.size <= self._largest:
            return False
        self.hub.hf_hub_download(
            request.repo_id,
            item.path,
            revision=commit,
            endpoint=request.endpoint,
            token=request.token or False,
            **_place(request),
        )
        return True

    def finish(self, request: Request, commit: str) -> None:
        """Let huggingface_hub itself look at the snapshot, and remember its list of files."""
        self.hub.snapshot_download(
            request.repo_id,
            revision=commit,
            endpoint=request.endpoint,
            token=request.token or False,
            allow_patterns=None if request.allow_patterns is None else list(request.allow_patterns),
            ignore_patterns=list(request.ignore_patterns),
            max_workers=request.max_workers,
            **_place(request),
        )

    def newest(self, request: Request) -> Optional[str]:
        """The commit that the revision names by now, or C(None) when the Hub does not say."""
        api = self.hub.HfApi(endpoint=request.endpoint, token=request.token or False)
        try:
            return str(api.model_info(request.repo_id, revision=request.revision).sha)
        except Exception:
            return None

    def listen(self, told: Callable[[str], None]) -> None:
        """Pass on what the library warns of, such as a Hub that asks to wait."""
        logger = logging.getLogger("huggingface_hub")
        logger.handlers = [_Listener(told)]
        logger.propagate = False
        logger.setLevel(logging.WARNING)

    def close(self) -> None:
        """End all connections, before this process is copied."""
        self.hub.close_session()


def _place(request: Request) -> Dict[str, str]:
    return {"local_dir": request.local_dir} if request.local_dir else {"cache_dir": request.cache_dir}


class _Listener(logging.Handler):
    def __init__(self, told: Callable[[str], None]) -> None:
        super().__init__()
        self._told = told

    def emit(self, record: logging.LogRecord) -> None:
        lines = record.getMessage().strip().splitlines()
        if lines:
            self._told(lines[0][:200])


def _retry_after(error: BaseException) -> float:
    try:
        return min(60.0, float(error.response.headers["Retry-After"]))  # type: ignore[attr-defined]
    except (AttributeError, KeyError, TypeError, ValueError):
        return 0.0
