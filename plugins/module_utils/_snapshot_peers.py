# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fetches from other hosts that have the snapshot or are fetching it, so that the Hub sends each byte only once.

They speak the Hub's protocol (module hub_mirror) and pass on what they receive while they receive it. The nearest is
asked first; one that does not answer is passed over.

This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import os
import threading
import time
from typing import Any, Callable, Dict, List, Optional
from urllib.parse import urlsplit

from ansible_collections.llmserve.vllm.plugins.module_utils._snapshot_errors import Peer, Request, SnapshotError
from ansible_collections.llmserve.vllm.plugins.module_utils._snapshot_fetch import StoppedError
from ansible_collections.llmserve.vllm.plugins.module_utils._snapshot_library import HubLibrary
from ansible_collections.llmserve.vllm.plugins.module_utils._snapshot_store import ListedFile, Listing

# How long all peers together may be unable to send, before there is no hope that they will.
PATIENCE = 60.0
_PAUSE = 1.0
# All hosts begin at the same time: one that has nothing yet may have it in a moment.
_GRACE = 15.0


class PeerLibrary:
    """Stands before huggingface_hub and gives it one host after the other to ask."""

    def __init__(self, library: HubLibrary, request: Request, clock: Callable[[], float] = time.monotonic) -> None:
        self._library, self._request, self._clock = library, request, clock
        self._began = clock()
        self._turns: Dict[str, int] = {}
        self._lock = threading.Lock()
        self._failing_since: Optional[float] = None
        # set when no peer has ever answered
        self._hub_instead = False
        self.warnings: List[str] = []
        _go_directly(request.peers)

    def describe(self, request: Request) -> Listing:
        """The list of the first host that has one; a host that has just begun is waited for."""
        until = self._clock() + PATIENCE
        while True:
            told, wait = [], False
            for peer in self._request.peers:
                try:
                    return self._library.describe_once(_ask(request, peer))
                except Exception as exc:
                    if _is_local(exc):
                        raise
                    wait = wait or _status(exc) == 503 or self._may_just_begin(exc)
                    told.append(_why(peer, exc))
            if not wait or self._clock() > until:
                return self._describe_by_hub(request, told)
            time.sleep(_PAUSE)

    def _describe_by_hub(self, request: Request, told: List[str]) -> Listing:
        if self._request.peers_only:
            raise _lost(self._request, told)
        self._hub_instead = True
        if told:
            self.warnings.append(
                "No other host could be asked for {0} ({1}), so that it is fetched from {2} once more.".format(
                    request.repo_id, "; ".join(told), request.endpoint
                )
            )
        return self._library.describe(request)

    def get(self, request: Request, commit: str, item: ListedFile, sink: Any, start: int) -> None:
        """Write a file to the sink from C(start) on, as far as one host can send it."""
        if self._hub_instead:
            self._library.get(request, commit, item, sink, start)
            return
        peers = self._request.peers
        peer = peers[self._turns.get(item.etag, 0) % len(peers)]
        try:
            self._library.get(_ask(request, peer), commit, item, sink, start)
        except Exception as exc:
            if _is_local(exc):
                raise
            self._note_failure(item, peer, exc, moved=sink.tell() > start)
            raise SnapshotError("hub_unreachable", _why(peer, exc)) from exc
        self._note_success()

    def _may_just_begin(self, error: BaseException) -> bool:
        return _status(error) == 404 and self._clock() - self._began < _GRACE

    def _note_success(self) -> None:
        with self._lock:
            self._failing_since = None

    def _note_failure(self, item: ListedFile, peer: Peer, error: Exception, *, moved: bool) -> None:
        """Choose who is asked next; raises when nobody has been able to send anything for too long."""
        now = self._clock()
        with self._lock:
            if moved:
                self._failing_since = None
                return
            if self._may_just_begin(error):
                return
            # What it has not yet, the one before it may have.
            self._turns[item.etag] = self._turns.get(item.etag, 0) + 1
            if _status(error) == 503:
                self._failing_since = None
            elif self._failing_since is None:
                self._failing_since = now
            elif now - self._failing_since > PATIENCE:
                raise _lost(self._request, [_why(peer, error)])

    def get_whole(self, request: Request, commit: str, item: ListedFile) -> bool:
        """Hosts send files of any size by plain HTTP."""
        return self._hub_instead and self._library.get_whole(request, commit, item)

    def finish(self, request: Request, commit: str) -> None:
        """Let huggingface_hub look at the snapshot, with the list of any host that answers."""
        asked = [request] if self._hub_instead else [_ask(request, peer) for peer in self._request.peers]
        for number, source in enumerate(asked, 1):
            try:
                self._library.finish(source, commit)
                break
            except Exception:
                if number == len(asked):
                    raise

    def newest(self, request: Request) -> Optional[str]:
        """Whether the revision has moved is asked by the host that asks the Hub."""
        return self._library.newest(request) if self._hub_instead else None

    def listen(self, told: Callable[[str], None]) -> None:
        """Pass on what the library warns of."""
        self._library.listen(told)

    def close(self) -> None:
        """End all connections, before this process is copied."""
        self._library.close()


def _ask(request: Request, peer: Peer) -> Request:
    return request._replace(endpoint=peer.url, token=peer.token)


def _is_local(error: BaseException) -> bool:
    """Whether something is wrong with this host, and not with who sends."""
    return isinstance(error, (SnapshotError, StoppedError)) or (isinstance(error, OSError) and error.errno is not None)


def _status(error: BaseException) -> int:
    return int(getattr(getattr(error, "response", None), "status_code", 0))


def _why(peer: Peer, error: BaseException) -> str:
    said = {401: "refuses the token", 404: "has neither the file nor a download of it", 503: "has not begun yet"}
    text = str(error).strip().splitlines() or [type(error).__name__]
    return "{0}: {1}".format(peer.url, said.get(_status(error)) or text[0].partition(" for url ")[0][:160])


def _lost(request: Request, told: List[str]) -> SnapshotError:
    return SnapshotError(
        "peers_unreachable",
        "{0} cannot be had from the other hosts: {1}. What has arrived is kept. See whether their part of the task has "
        "failed or they were rebooted, and whether their port can be reached from this host; then run again. "
        "hf_model_distribution: each fetches from the Hub on every host instead.".format(
            request.repo_id, "; ".join(told) or "none is named"
        ),
    )


def _go_directly(peers: Any) -> None:
    """A proxy is the way to the Internet, not to the host next door."""
    hosts = {urlsplit(peer.url).hostname or "" for peer in peers}
    for name in ("NO_PROXY", "no_proxy"):
        given = {part.strip() for part in os.environ.get(name, "").split(",")}
        os.environ[name] = ",".join(sorted((hosts | given) - {""}))
