"""How an answer goes out, from the Hub and from its storage: files and ranges of them, refusals, faults, counting."""

from __future__ import annotations

import json
import os
import re
import select
import socket
import struct
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import SplitResult, unquote, urlsplit

from .accounts import RefusedError
from .faults import HangUpError, Request, Spoiler
from .repos import LFS_SUFFIXES
from .site import Site
from .steering import PREFIX, steer

CHUNK = 1 << 18
HEALTH = "/healthz"
JSON = "application/json; charset=utf-8"
TEXT = "text/plain; charset=utf-8"


class Server(ThreadingHTTPServer):
    """One port of the Hub."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], handler: type[Answers], site: Site) -> None:
        super().__init__(address, handler)
        self.site = site

    @property
    def port(self) -> int:
        """Where it listens, also when the system has chosen the port."""
        return int(self.server_address[1])


class Answers(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server_version = "sandbox-hub"
    # else the content of a small file waits for the acknowledgement of its head
    disable_nagle_algorithm = True
    server: Server

    def handle_one_request(self) -> None:
        """Answer, or find that the client has gone."""
        try:
            super().handle_one_request()
        except ConnectionError:
            self.close_connection = True

    def do_GET(self) -> None:
        """Answer a GET request."""
        self._serve()

    def do_HEAD(self) -> None:
        """Answer a HEAD request."""
        self._serve()

    def do_POST(self) -> None:
        """Answer a POST request."""
        self._serve()

    def answer(self, url: SplitResult, parts: list[str], body: bytes) -> None:
        """Answer a request whose path has these parts, unquoted."""
        raise NotImplementedError

    def _serve(self) -> None:
        self.site = self.server.site
        # what is sent later is counted where it was asked for
        self._counters = self.site.counters
        url = urlsplit(self.path)
        self.request_seen = Request(self.command, unquote(url.path), self.client_address[0])
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        # client libraries quote the parts of a path differently; none of our names holds a slash of its own
        parts = [unquote(part) for part in url.path.split("/") if part]
        try:
            if url.path == HEALTH:
                self.send(HTTPStatus.OK, b"ok\n", TEXT)
            elif self.site.steerable and url.path.startswith(PREFIX):
                self._steer(url.path, body)
            else:
                self._counters.asked(self.request_seen)
                if not self._fail():
                    self.answer(url, parts, body)
        except RefusedError as refusal:
            self._refuse(refusal)
        except HangUpError as end:
            self._hang_up(end.reset)

    def _steer(self, path: str, body: bytes) -> None:
        try:
            told = steer(self.site, self.command, path, body)
        except (ValueError, TypeError, AttributeError) as error:
            return self.send(HTTPStatus.BAD_REQUEST, f"{error}\n".encode(), TEXT)
        return self.send_json(told)

    def _fail(self) -> bool:
        """Carry out the faults that come in place of an answer, or before it."""
        faults, request = self.site.faults, self.request_seen
        if delay := faults.take("delay", request):
            faults.wait(delay)
            if self._client_has_gone():
                # it must not use up the faults that are meant for others
                raise HangUpError(reset=False)
        if hangup := faults.take("hangup", request):
            raise HangUpError(bool(hangup.get("reset")))
        if status := faults.take("status", request):
            headers = dict(status.get("headers", {}))
            if "retry_after" in status:
                headers["Retry-After"] = str(status["retry_after"])
            if "code" in status:
                headers["X-Error-Code"] = status["code"]
            message = status.get("message", "a fault on demand")
            body = json.dumps({"error": message}).encode()
            self.send(HTTPStatus(status["status"]), body, JSON, {"X-Error-Message": message, **headers})
        return status is not None

    def _client_has_gone(self) -> bool:
        readable, _writable, _special = select.select([self.connection], [], [], 0)
        return bool(readable) and not self.connection.recv(1, socket.MSG_PEEK)

    def _hang_up(self, reset: bool) -> None:
        self.close_connection = True
        if reset:
            # closed without lingering, and before the server says goodbye
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            os.close(self.connection.detach())

    def _refuse(self, refusal: RefusedError) -> None:
        given = {"X-Error-Code": refusal.code, "X-Error-Message": refusal.message, "X-Repo-Commit": refusal.commit}
        body = json.dumps({"error": refusal.message}).encode()
        self.send(refusal.status, body, JSON, {name: value for name, value in given.items() if value})

    def origin(self, port: int | None = None) -> str:
        """How the client calls this host, on this port or another."""
        called = urlsplit(f"//{self.headers.get('Host') or self.connection.getsockname()[0]}")
        host = called.hostname or ""
        port = port or called.port
        return f"http://{f'[{host}]' if ':' in host else host}{f':{port}' if port else ''}"

    def send_file(self, source: Path, file: str, headers: dict[str, str]) -> None:
        """Send a file, or the range of it that was asked for. C(file) is its name when it is a repository's."""
        size = source.stat().st_size
        start, end, status = 0, size - 1, HTTPStatus.OK
        wanted = re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range", ""))
        if wanted and any(wanted.groups()):
            first, last = wanted.groups()
            start = int(first) if first else max(size - int(last), 0)
            end = min(int(last), size - 1) if first and last else size - 1
            status = HTTPStatus.PARTIAL_CONTENT
            headers = {**headers, "Content-Range": f"bytes {start}-{end}/{size}"}
            if start >= size or start > end:
                refused = {"Content-Range": f"bytes */{size}"}
                return self.send(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, b"", TEXT, refused)
        length = end - start + 1
        self._head(status, length, "application/octet-stream", {**headers, "Accept-Ranges": "bytes"})
        if self.command == "HEAD":
            return None
        rate = self.site.rate if source.name.endswith(LFS_SUFFIXES) else 0
        spoiler = Spoiler(self.site.faults, self.request_seen, length, rate)
        with source.open("rb") as stream:
            if spoiler:
                return self._send_spoiled(stream, start, length, file, spoiler)
            return self._send_plain(stream, start, length, file)

    def _send_plain(self, stream: BinaryIO, start: int, left: int, file: str) -> None:
        while left > 0:
            # counted first: whoever has received it finds it counted
            piece, sent = min(CHUNK, left), 0
            self._counters.sent(self.request_seen, file, piece)
            try:
                sent = os.sendfile(self.connection.fileno(), stream.fileno(), start, piece)
            finally:
                self._counters.sent(self.request_seen, file, sent - piece)
            if not sent:
                raise HangUpError(reset=False)
            start, left = start + sent, left - sent

    def _send_spoiled(self, stream: BinaryIO, start: int, left: int, file: str, spoiler: Spoiler) -> None:
        stream.seek(start)
        while left > 0:
            data = stream.read(min(spoiler.next(CHUNK), left))
            if not data:
                raise HangUpError(reset=False)
            self._counters.sent(self.request_seen, file, len(data))
            spoiler.send(self.connection, data)
            left -= len(data)

    def send_json(self, payload: Any, headers: dict[str, str] | None = None) -> None:
        """Send this as JSON."""
        self.send(HTTPStatus.OK, json.dumps(payload).encode(), JSON, headers)

    def send(self, status: HTTPStatus, body: bytes, kind: str, headers: dict[str, str] | None = None) -> None:
        """Send a whole answer."""
        self._head(status, len(body), kind, headers or {})
        if self.command != "HEAD":
            self.wfile.write(body)

    def _head(self, status: HTTPStatus, length: int, kind: str, headers: dict[str, str]) -> None:
        if urlsplit(self.path).path != HEALTH and not self.path.startswith(PREFIX):
            self._counters.answered(status)
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(length), **headers}.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Write the access log to stdout, where `docker logs` looks; never the token."""
        if self.server.site.quiet:
            return
        who = "token" if self.headers and self.headers.get("Authorization") else "-"
        print(f"{self.address_string()} {who} {format % args}", flush=True)
