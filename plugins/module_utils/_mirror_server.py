# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An HTTP server with a Hub's protocol over a Hub cache, for other hosts that want the same model.

This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import contextlib
import hmac
import json
import logging
import socket
import socketserver
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Dict, Iterator, Mapping, Optional

from ansible_collections.llmserve.vllm.plugins.module_utils._mirror_content import (
    PATIENCE,
    AbsentError,
    Model,
    NotYetError,
)
from ansible_collections.llmserve.vllm.plugins.module_utils._mirror_protocol import (
    FILE,
    INFO,
    Route,
    file_headers,
    find_route,
    parse_range,
    repo_info,
    repo_tree,
)
from ansible_collections.llmserve.vllm.plugins.module_utils._snapshot_store import Listing

# A connection on which nothing moves for so long is ended; clients come back.
_SILENCE = 120.0
_LOOK_SECONDS = 1.0
_LOG = logging.getLogger("llmserve.mirror")


class _Refusal(Exception):
    """A request that is answered with an error of the Hub's kind."""

    def __init__(self, status: int, message: str, headers: Optional[Mapping[str, str]] = None) -> None:
        super().__init__(message)
        self.status, self.headers = status, dict(headers or {}, **{"X-Error-Message": message})


class _Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server_version = "llmserve-mirror"
    sys_version = ""
    # the head of an answer must not wait for more
    disable_nagle_algorithm = True
    timeout = _SILENCE
    server: MirrorServer

    def do_GET(self) -> None:
        """Answer a GET request."""
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        """Answer a HEAD request."""
        self._answer(with_body=False)

    def _answer(self, with_body: bool) -> None:
        self._with_body = with_body
        try:
            self._check_token()
            with self.server.answering():
                self._route()
        except _Refusal as refusal:
            body = json.dumps({"error": str(refusal)}).encode()
            self._send(refusal.status, body, refusal.headers)

    def _check_token(self) -> None:
        given = self.headers.get("Authorization", "").encode("utf-8", "replace")
        if not hmac.compare_digest(given, b"Bearer " + self.server.token.encode()):
            # the Hub's words, by which clients tell it from a private repository
            raise _Refusal(401, "Invalid credentials in Authorization header")

    def _route(self) -> None:
        route = find_route(self.path)
        if route is None:
            raise _Refusal(404, "A mirror has no such page.")
        model = Model(self.server.cache_dir, route.repo_id, self.server.patience)
        try:
            listing, path = model.await_listing(route.splits)
            if route.kind == FILE:
                self._file(model, listing, path)
            else:
                self._describe(route, listing, path)
        except AbsentError as absent:
            raise _Refusal(404, str(absent), {"X-Error-Code": absent.code}) from None
        except NotYetError as later:
            raise _Refusal(503, str(later), {"Retry-After": "1"}) from None

    def _describe(self, route: Route, listing: Listing, path: str) -> None:
        answer: Any = repo_tree(listing, path, route.asks("recursive"))
        if route.kind == INFO:
            answer = repo_info(route.repo_id, listing, route.asks("blobs"))
        elif not answer:
            raise AbsentError("EntryNotFound", "{0} has no folder {1}.".format(route.repo_id, path))
        self._send(200, json.dumps(answer).encode(), {"X-Repo-Commit": listing.commit})

    def _file(self, model: Model, listing: Listing, path: str) -> None:
        item = next((item for item in listing.files if item.path == path), None)
        if item is None:
            raise AbsentError("EntryNotFound", "{0} has no file {1}.".format(model.repo_id, path))
        headers = file_headers(listing, item)
        wanted = parse_range(self.headers.get("Range", ""), item.size)
        start, end = wanted or (0, item.size)
        if wanted:
            if start >= end:
                raise _Refusal(416, "There are no such bytes.", {"Content-Range": "bytes */{0}".format(item.size)})
            headers["Content-Range"] = "bytes {0}-{1}/{2}".format(start, end - 1, item.size)
        status = 206 if wanted else 200
        if not self._with_body:
            if not model.is_expected(listing.commit, item):
                raise AbsentError("EntryNotFound", "{0} is not on this host.".format(path))
            self._head(status, "application/octet-stream", end - start, headers)
            return
        with model.await_content(listing.commit, item, start) as content:
            self._head(status, "application/octet-stream", end - start, headers)
            if not content.send(self.connection, start, end):
                # the client asks again for what it lacks
                self.close_connection = True
                self.log_message("%s broken off", self.path)

    def _send(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        self._head(status, "application/json; charset=utf-8", len(body), headers)
        if self._with_body:
            self.wfile.write(body)

    def _head(self, status: int, kind: str, length: int, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        told: Dict[str, str] = {"Content-Type": kind, "Content-Length": str(length)}
        told.update(headers)
        for name, value in told.items():
            # names of files come from others
            self.send_header(name, value.encode("ascii", "replace").decode())
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Into the log of the process; what a client has sent must not look like a line of its own."""
        _LOG.info("%s %s", self.client_address[0], ascii(format % args)[1:-1])


class MirrorServer(ThreadingHTTPServer):
    """Listens from the beginning on, and answers when it is told to."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: str, port: int, cache_dir: str, token: str, patience: float = PATIENCE) -> None:
        self.address_family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.cache_dir, self.token, self.patience = cache_dir, token, patience
        self._lock = threading.Lock()
        self._answers, self._last = 0, time.monotonic()
        super().__init__((address, port), _Handler)

    def server_bind(self) -> None:
        """Without the question for the name of the host, which may take long."""
        socketserver.TCPServer.server_bind(self)

    @contextlib.contextmanager
    def answering(self) -> Iterator[None]:
        """Count a request that is entitled to an answer."""
        with self._lock:
            self._answers += 1
        try:
            yield
        finally:
            with self._lock:
                self._answers -= 1
                self._last = time.monotonic()

    def idle_seconds(self) -> float:
        """How long nobody has wanted anything."""
        with self._lock:
            return 0.0 if self._answers else time.monotonic() - self._last

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is no error of ours; everything else is told in full."""
        error = sys.exc_info()[1]
        unexpected = not isinstance(error, OSError)
        _LOG.info("%s %s: %s", client_address[0], type(error).__name__, error, exc_info=unexpected)

    def answer_until_idle(self, seconds: float) -> None:
        """Answer until there was nothing to answer for so long."""
        answers = threading.Thread(target=self.serve_forever, daemon=True)
        answers.start()
        while answers.is_alive() and self.idle_seconds() < seconds:
            time.sleep(min(_LOOK_SECONDS, seconds))
