# SPDX-License-Identifier: GPL-3.0-or-later
"""The sandbox's Hub with more than one revision, a storage of its own to redirect to, faults on demand, and counters.

A folder models/org/name is the branch main, models/org/name@v2 another revision with the tag v2. It is steered over
HTTP below /_test/: faults, move, revoke, stats, reset.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import re
import socket
import struct
import sys
import threading
import time
from http import HTTPStatus
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

HUB = Path(__file__).parents[1] / "sandbox" / "images" / "hub" / "hub.py"
spec = importlib.util.spec_from_file_location("sandbox_hub", HUB)
assert spec is not None and spec.loader is not None
hub: Any = importlib.util.module_from_spec(spec)
sys.modules["sandbox_hub"] = hub
spec.loader.exec_module(hub)
hub.CHUNK = 1 << 18


class State:
    """What the tests set and read, shared by all connections."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.faults: list[dict[str, Any]] = []
        self.refs: dict[str, dict[str, str]] = {}
        self.revisions: dict[str, dict[str, Any]] = {}
        self.renamed: dict[str, str] = {}
        self.storage = ""
        self.reset()

    def reset(self) -> None:
        # what still hangs in an answer to an earlier test is not counted any more
        self.test = object()
        self.bytes: dict[str, int] = {}
        self.requests: dict[str, int] = {}
        self.token_at_storage = 0

    def fault(self, kind: str, path: str) -> dict[str, Any] | None:
        """The first fault of a kind that is left for this path."""
        with self.lock:
            for rule in self.faults:
                if rule["kind"] == kind and rule.get("times", -1) and re.search(rule.get("path", ""), path):
                    rule["times"] = rule.get("times", -1) - 1
                    return rule
        return None

    def count(self, test: object, path: str, sent: int) -> None:
        with self.lock:
            if test is not self.test:
                return
            self.bytes[path] = self.bytes.get(path, 0) + sent


STATE = State()


class OneRevision:
    """The library as one request sees it: each repository in one revision."""

    def __init__(self, library: Any, name: str, repo: Any) -> None:
        self._library = library
        self.repos = {**library.repos, name: repo}

    def repo(self, name: str, token: str | None) -> Any:
        return self.repos[name] if name in self.repos else self._library.repo(name, token)


class Body:
    """Stands before the connection and spoils what is sent."""

    def __init__(self, wire: Any, connection: socket.socket, path: str) -> None:
        self._wire, self._connection, self._path = wire, connection, path
        self._sent = -1
        self._test = STATE.test
        self._faults = {kind: STATE.fault(kind, path) for kind in ("drop", "stall", "corrupt", "slow")}

    def write(self, data: bytes) -> None:
        if self._sent < 0:
            # the head comes in one piece
            self._wire.write(data)
            self._sent = 0
            return
        self._corrupt_and_send(data)

    def _corrupt_and_send(self, data: bytes) -> None:
        corrupt, drop, stall, slow = (self._faults[kind] for kind in ("corrupt", "drop", "stall", "slow"))
        if corrupt and self._sent <= corrupt.get("at", 0) < self._sent + len(data):
            place = corrupt.get("at", 0) - self._sent
            data = data[:place] + bytes([data[place] ^ 255]) + data[place + 1 :]
        if drop and self._sent + len(data) >= drop["after"]:
            data = data[: max(0, drop["after"] - self._sent)]
            self._send(data)
            if drop.get("reset"):
                self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._wire.flush()
            self._connection.shutdown(socket.SHUT_WR)
            raise ConnectionAbortedError("dropped on purpose")
        if stall and self._sent + len(data) >= stall["after"]:
            self._faults["stall"] = None
            time.sleep(stall["seconds"])
        self._send(data)
        if slow:
            time.sleep(len(data) / slow["rate"])

    def _send(self, data: bytes) -> None:
        self._wire.write(data)
        self._sent += len(data)
        STATE.count(self._test, self._path, len(data))

    def flush(self) -> None:
        self._wire.flush()

    @property
    def closed(self) -> bool:
        return bool(self._wire.closed)


class Handler(hub.Handler):
    """One connection, to the Hub or to its storage."""

    wfile: Any
    library: Any

    def do_POST(self) -> None:
        """Take orders from a test."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        given: Any = json.loads(body) if body else {}
        order = self.path.removeprefix("/_test/")
        with STATE.lock:
            if order == "faults":
                STATE.faults = given
            elif order == "move":
                STATE.refs[given["repo"]][given.get("ref", "main")] = STATE.refs[given["repo"]][given["to"]]
            elif order == "revoke":
                hub.TOKENS.pop(given["token"], None)
            elif order == "allow":
                hub.TOKENS[given["token"]] = ("sandbox-user", hub.GATED)
            elif order == "reset":
                STATE.reset()
        self._with_body = True
        self._json({})

    def _answer(self, with_body: bool) -> None:
        self._with_body = with_body
        path = unquote(urlsplit(self.path).path)
        if path == "/_test/stats":
            with STATE.lock:
                figures = {"bytes": STATE.bytes, "requests": STATE.requests, "token_at_storage": STATE.token_at_storage}
                return self._json({**figures, "total": sum(STATE.bytes.values())})
        with STATE.lock:
            STATE.requests[self.command] = STATE.requests.get(self.command, 0) + 1
        status = STATE.fault("status", path)
        if status:
            headers = {"Retry-After": str(status["retry_after"])} if "retry_after" in status else {}
            return self._send(HTTPStatus(status["status"]), b"{}", "application/json", headers)
        for old, new in STATE.renamed.items():
            if path.startswith((f"/api/models/{old}/", f"/{old}/")) or path == f"/api/models/{old}":
                where = {"Location": self.path.replace(old, new, 1)}
                return self._send(HTTPStatus.TEMPORARY_REDIRECT, b"", "text/plain", where)
        if path.startswith("/storage/"):
            return self._storage(path)
        return super()._answer(with_body)

    def _storage(self, path: str) -> None:
        if self.headers.get("Authorization"):
            with STATE.lock:
                STATE.token_at_storage += 1
        digest = path.split("/")[2]
        files = (file for repos in STATE.revisions.values() for repo in repos.values() for file in repo.files.values())
        for file in files:
            if file.sha256 == digest:
                self._spoil(file.path)
                return super()._file(file.source, {"ETag": f'"{digest}"'})
        return self._send(HTTPStatus.NOT_FOUND, b"", "text/plain")

    def _spoil(self, path: str) -> None:
        """Put the faults between this answer and the wire."""
        if self._with_body:
            self.wfile = Body(self.wfile, self.connection, path)

    def _see(self, name: str, revision: str) -> None:
        revisions, refs = STATE.revisions.get(name, {}), STATE.refs.get(name, {})
        commit = refs.get(revision.removeprefix("refs/heads/"), revision)
        repo = revisions.get(commit)
        if repo is not None:
            self.library = OneRevision(Handler.library, name, repo)

    def _api(self, name: str, rest: list[str], query: list[str]) -> None:
        known = rest[:1] in (["revision"], ["tree"]) and len(rest) > 1
        self._see(name, "/".join(rest[1:]) if known and rest[0] == "revision" else rest[1] if known else "main")
        super()._api(name, rest, query)

    @staticmethod
    def _check_revision(repo: Any, revision: str) -> None:
        if STATE.refs.get(repo.name, {}).get(revision) != repo.commit:
            hub.Handler._check_revision(repo, revision)

    def _resolve(self, name: str, revision: str, path: str) -> None:
        self._see(name, revision)
        super()._resolve(name, revision, path)

    def _file(self, source: Path, headers: dict[str, str]) -> None:
        digest = headers.get("X-Linked-Etag", "").strip('"')
        if digest and STATE.storage:
            where = f"{STATE.storage}/storage/{digest}/{quote(source.name)}?signature=s"
            return self._send(HTTPStatus.FOUND, b"", "text/plain", {**headers, "Location": where})
        self._spoil(source.name)
        return super()._file(source, headers)

    def handle_one_request(self) -> None:
        """A connection that was broken on purpose is no error."""
        wire = self.wfile
        try:
            super().handle_one_request()
        except OSError:
            self.close_connection = True
        finally:
            self.wfile = wire
            self.__dict__.pop("library", None)


def load(models: Path) -> Any:
    """All repositories in all of their revisions."""
    library = hub.Library(models, models.parent / "wheels")
    for folder, repo in sorted(library.repos.items()):
        name, _at, tag = folder.partition("@")
        repo.name = name
        STATE.revisions.setdefault(name, {})[repo.commit] = repo
        STATE.refs.setdefault(name, {})[tag or "main"] = repo.commit
    library.repos = {name: repo for name, repo in library.repos.items() if "@" not in name}
    return library


def serve(port: int) -> ThreadingHTTPServer:
    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    return server


def main() -> None:
    """Serve until stopped: the Hub on one port, its storage on another."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--renamed", action="append", default=[], help="OLD=NEW")
    args = parser.parse_args()
    Handler.rate = 0
    Handler.library = load(args.models)
    STATE.renamed = dict(pair.split("=") for pair in args.renamed)
    storage = serve(0)
    STATE.storage = f"http://127.0.0.1:{storage.server_port}"
    threading.Thread(target=storage.serve_forever, daemon=True).start()
    serve(args.port).serve_forever()


if __name__ == "__main__":
    main()
