# SPDX-License-Identifier: GPL-3.0-or-later
"""A Hub of a few models on loopback, with the status codes and headers of the real one."""

from __future__ import annotations

import json
import re
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

COMMIT = "c" * 40
CONFIG = {"architectures": ["LlamaForCausalLM"], "num_attention_heads": 8, "num_hidden_layers": 4}
FILES = {
    "config.json": len(json.dumps(CONFIG)),
    "model-00001-of-00001.safetensors": 1000,
    "tokenizer.json": 50,
    "original/consolidated.00.pth": 9000,
}
GOOD_TOKEN = "hf_good"
NO_LICENCE_TOKEN = "hf_nolicence"


def safetensors(tensors: dict[str, tuple[str, list[int], int]], padding: int = 0) -> bytes:
    """A whole safetensors file of zeros, from the dtype, shape and size of each tensor."""
    entries: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, (dtype, shape, size) in tensors.items():
        entries[name] = {"dtype": dtype, "shape": shape, "data_offsets": [end, end + size]}
        end += size
    header = json.dumps(entries).encode() + b" " * padding
    return struct.pack("<Q", len(header)) + header + bytes(end)


class Handler(BaseHTTPRequestHandler):
    server: Hub

    def log_message(self, *args: Any) -> None:
        pass

    def answer(self, status: int, body: Any = None, **headers: str) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        self.server.seen.append((self.path, token))
        if self.server.busy:
            self.server.busy -= 1
            self.answer(503, b"busy")
        elif token not in ("", GOOD_TOKEN, NO_LICENCE_TOKEN):
            self.answer(
                401, {"error": "Invalid credentials"}, X_Error_Message="Invalid credentials in Authorization header"
            )
        elif path.startswith("/cdn/"):
            repo, _slash, name = path[len("/cdn/") :].partition("/-/")
            self.content(self.server.models[repo][name])
        elif path == "/api/whoami-v2":
            self.answer(200 if token else 401, {})
        elif path.startswith("/api/models/"):
            repo, _slash, revision = path[len("/api/models/") :].partition("/revision/")
            self.info(repo, revision, token)
        elif "/resolve/" in path and path[1:].split("/resolve/")[0] in self.server.models:
            self.file(*path[1:].split(f"/resolve/{COMMIT}/"))
        elif "/resolve/" in path:
            self.config(path[1:].split("/resolve/")[0], token)
        else:
            self.answer(404)

    def info(self, repo: str, revision: str, token: str) -> None:
        aside = f"/api/models/acme/tiny/revision/{revision}?blobs=true"
        special: dict[str, tuple[int, Any, dict[str, str]]] = {
            "acme/html": (200, b"<html>log in</html>", {}),
            "acme/old": (307, None, {"Location": aside}),
            "acme/loop": (307, None, {"Location": self.path}),
            "acme/elsewhere": (307, None, {"Location": self.server.elsewhere + aside}),
            "acme/disabled": (403, None, {"X_Error_Code": "DisabledRepo"}),
            "acme/blocked": (403, None, {"X_Error_Message": "Not from your country."}),
        }
        if repo in special:
            status, body, headers = special[repo]
            self.answer(status, body, **headers)
        elif repo not in ("acme/tiny", "acme/gated", "acme/gguf", "acme/noconfig", *self.server.models):
            self.answer(404 if token else 401, X_Error_Code="RepoNotFound")
        elif revision not in ("main", "refs/pr/1", COMMIT):
            self.answer(404, X_Error_Code="RevisionNotFound")
        else:
            self.listing(repo)

    def listing(self, repo: str) -> None:
        files = {"model.gguf": 7} if repo == "acme/gguf" else FILES
        if repo in self.server.models:
            files = {name: len(data) for name, data in self.server.models[repo].items()}
        siblings: list[dict[str, Any]] = [{"rfilename": name, "size": size} for name, size in files.items()]
        # the pointer's own size is not what is downloaded
        siblings[0]["lfs"] = {"size": siblings[0]["size"], "pointerSize": 130}
        gated = "manual" if repo == "acme/gated" else False
        self.answer(200, {"id": repo, "sha": COMMIT, "gated": gated, "siblings": siblings})

    def file(self, repo: str, name: str) -> None:
        data = self.server.models[repo].get(name)
        if data is None:
            self.answer(404, X_Error_Code="EntryNotFound")
        elif self.server.elsewhere and name.endswith(".safetensors"):
            self.answer(302, Location=f"{self.server.elsewhere}/cdn/{repo}/-/{name}?signature=x")
        else:
            self.content(data)

    def content(self, data: bytes) -> None:
        """A file or a range of it, in pieces that are counted, until the client has had enough."""
        wanted = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", "")) if self.server.ranges else None
        status, part, headers = 200, data, {}
        if wanted:
            start, end = int(wanted[1]), int(wanted[2]) + 1
            if start >= len(data):
                return self.answer(416, Content_Range=f"bytes */{len(data)}")
            status, part = 206, data[start:end]
            headers = {"Content-Range": f"bytes {start}-{min(end, len(data)) - 1}/{len(data)}"}
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(part))}.items():
            self.send_header(name, value)
        self.end_headers()
        part = part[: len(part) - self.server.cut]
        for place in range(0, len(part), 1 << 16):
            piece = part[place : place + (1 << 16)]
            # counted first, as the client may ask for the figure as soon as it has the bytes
            self.server.served += len(piece)
            try:
                self.wfile.write(piece)
            except OSError:
                return None
        return None

    def config(self, repo: str, token: str) -> None:
        if repo == "acme/noconfig":
            return self.answer(404, X_Error_Code="EntryNotFound")
        if repo == "acme/gated" and not token:
            return self.answer(
                401, X_Error_Code="GatedRepo", X_Error_Message="Access to model acme/gated is restricted."
            )
        if repo == "acme/gated" and token == NO_LICENCE_TOKEN:
            return self.answer(403, X_Error_Code="GatedRepo", X_Error_Message="Your request is awaiting a review.")
        return self.answer(200, CONFIG)


class Hub(ThreadingHTTPServer):
    """The server, what it was asked, and how often it will say that it is busy."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.seen: list[tuple[str, str]] = []
        self.busy = 0
        self.elsewhere = ""
        # repositories with real content, whether ranges of it may be had, and how much was sent
        self.models: dict[str, dict[str, bytes]] = {}
        self.ranges = True
        self.served = 0
        # how many bytes of each file get lost on the way
        self.cut = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


@contextmanager
def running_hub() -> Iterator[Hub]:
    hub = Hub()
    thread = threading.Thread(target=hub.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        hub.shutdown()
        hub.server_close()
        thread.join()
