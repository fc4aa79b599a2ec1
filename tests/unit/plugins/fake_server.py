# SPDX-License-Identifier: GPL-3.0-or-later
"""An OpenAI-compatible server on a real port, whose every answer a test can script."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

KEY = "sk-test-key"
MODEL = "acme/tiny"


class Script:
    """What the server does; tests replace single answers."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, Any]] = []
        self.api_key = KEY
        self.health: int = 200
        # path -> function that answers instead of the default
        self.answers: dict[str, Callable[[Handler, Any], None]] = {}


class Server(ThreadingHTTPServer):
    """Clients that hang up in time are what some tests are about."""

    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Keep the test's output clean."""


class Handler(BaseHTTPRequestHandler):
    """Answers as vLLM does, unless the script says otherwise."""

    protocol_version = "HTTP/1.1"
    script: Script

    def do_GET(self) -> None:
        self._serve(None)

    def do_POST(self) -> None:
        self._serve(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

    def _serve(self, payload: Any) -> None:
        self.script.requests.append((self.path, payload))
        if self.path == "/health":
            self.reply({}, self.script.health)
        elif self.script.api_key and self.headers.get("Authorization") != "Bearer " + self.script.api_key:
            self.reply({"error": "Unauthorized"}, 401)
        elif self.path in self.script.answers:
            self.script.answers[self.path](self, payload)
        elif self.path == "/v1/models":
            self.reply({"object": "list", "data": [{"id": MODEL, "max_model_len": 2048}]})
        elif payload["model"] != MODEL:
            message = f"The model `{payload['model']}` does not exist."
            self.reply({"error": {"message": message, "type": "NotFoundError", "code": 404}}, 404)
        elif self.path == "/v1/completions":
            self.reply(answer({"text": " city"}))
        elif payload.get("stream"):
            self.events(["It", " was", " in", " Arlington."])
        else:
            self.reply(answer({"message": {"role": "assistant", "content": "It was in Arlington, Texas."}}))

    def reply(self, body: Any, status: int = 200) -> None:
        """Send JSON, or text as it is."""
        data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def events(self, pieces: list[str], usage: bool = True, delay: float = 0.01, done: bool = True) -> None:
        """Send server-sent events in a chunked body."""
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.event({"choices": [{"delta": {"role": "assistant", "content": ""}}]})
        for piece in pieces:
            time.sleep(delay)
            self.event({"choices": [{"delta": {"content": piece}}]})
        if usage:
            self.event({"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 2 * len(pieces)}})
        if done:
            self.chunk(b"data: [DONE]\n\n")
        self.chunk(b"")

    def event(self, data: Any) -> None:
        self.chunk(b"data: " + json.dumps(data).encode() + b"\n\n")

    def chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def log_message(self, format: str, *args: Any) -> None:
        """Keep the test's output clean."""


def answer(choice: dict[str, Any], tokens: int = 4) -> dict[str, Any]:
    """The body of a completion with one choice."""
    return {
        "choices": [{"index": 0, "finish_reason": "length", **choice}],
        "usage": {"prompt_tokens": 3, "completion_tokens": tokens},
    }


@contextmanager
def serving(script: Script) -> Iterator[str]:
    """The address of a server that follows the script."""
    handler = type("ScriptedHandler", (Handler,), {"script": script})
    server = Server(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
