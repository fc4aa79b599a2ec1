# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small client of an OpenAI-compatible server that always comes back in time and says what was wrong.

It uses http.client and not ansible.module_utils.urls: a hanging engine keeps a streamed answer open, and a timeout
of the socket never fires as long as something trickles in. Here a whole request has a deadline. Proxies of the
environment are left aside, because the endpoint is one of our own hosts.

This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import ssl
import threading
import time
from typing import Any, Dict, Iterator, List, NamedTuple, Optional
from urllib.parse import urlsplit

MODEL_NOT_FOUND = "model_not_found"
EMPTY_ANSWER = "empty_answer"
UNAUTHORIZED = "unauthorized"
TIMEOUT = "timeout"
CONNECTION_REFUSED = "connection_refused"
CONNECTION_FAILED = "connection_failed"
SERVER_ERROR = "server_error"
BAD_RESPONSE = "bad_response"


class ApiError(Exception):
    """A request that did not end well: C(kind) for programs, the message for people."""

    def __init__(self, kind: str, message: str, status: Optional[int] = None) -> None:
        super().__init__(message)
        self.kind = kind
        self.status = status


class Answer(NamedTuple):
    """The text of one completion and what it cost."""

    text: str
    prompt_tokens: Optional[int]
    completion_tokens: Optional[int]
    finish_reason: Optional[str]
    seconds: float


class StreamedAnswer(NamedTuple):
    """The text of one streamed completion and how fast it came."""

    text: str
    chunks: int
    completion_tokens: Optional[int]
    ttft_seconds: float
    tokens_per_second: Optional[float]
    seconds: float


def read_key(path: Optional[str]) -> str:
    """The key in a file of this host; empty without a file. A file that cannot be read is an OSError."""
    if not path:
        return ""
    with open(path, encoding="utf-8") as file:
        key = file.read().strip()
    if not key:
        # vLLM takes an empty key for none, and answers everybody
        raise ValueError(
            "the key in {0} is empty. Write one into it, or remove the file to have one made.".format(path)
        )
    return key


class _Deadline:
    """Cuts the connection when the time is up, whatever the reading thread is waiting for."""

    def __init__(self, connection: http.client.HTTPConnection, seconds: float) -> None:
        self.expired = False
        self._connection = connection
        self._sock: Any = None
        self._timer = threading.Timer(max(0.01, seconds), self._cut)
        self._timer.daemon = True

    def _cut(self) -> None:
        self.expired = True
        sock = self._sock or self._connection.sock
        if sock is not None:
            # an error means that the other side has closed it already
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def connect(self) -> None:
        """Connect, and remember the socket: http.client forgets it when the server will close the connection."""
        self._connection.connect()
        self._sock = self._connection.sock

    def __enter__(self) -> _Deadline:
        self._timer.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._timer.cancel()
        self._connection.close()


class Endpoint:
    """One server, C(http://host:port) with or without a trailing C(/v1)."""

    def __init__(self, url: str, api_key: str = "", validate_certs: bool = True, ca_path: str = "") -> None:
        parts = urlsplit(url if "://" in url else "http://" + url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("url must be like http://10.0.0.11:8000, and is {0!r}".format(url))
        path = parts.path.rstrip("/")
        self.base_path = path[: -len("/v1")] if path.endswith("/v1") else path
        self.host = parts.hostname
        self.port = parts.port
        self.secure = parts.scheme == "https"
        self.url = "{0}://{1}{2}".format(parts.scheme, parts.netloc, self.base_path)
        self.api_key = api_key
        self._tls: Optional[ssl.SSLContext] = None
        if self.secure:
            self._tls = ssl.create_default_context(cafile=ca_path or None)
            if not validate_certs:
                self._tls.check_hostname = False
                self._tls.verify_mode = ssl.CERT_NONE

    def get(self, path: str, timeout: float) -> bytes:
        """The body of a GET; an ApiError for every status but 2xx."""
        return b"".join(self._exchange("GET", path, None, timeout))

    def post(self, path: str, payload: Dict[str, Any], timeout: float) -> Dict[str, Any]:
        """The JSON object that a POST of a JSON object brings back."""
        return _json_object(b"".join(self._exchange("POST", path, payload, timeout)), self.url + path)

    def stream(self, path: str, payload: Dict[str, Any], timeout: float) -> Iterator[Dict[str, Any]]:
        """The events of a POST that is answered by server-sent events, as they come."""
        pending = b""
        done = False
        for piece in self._exchange("POST", path, payload, timeout):
            pending += piece
            while b"\n" in pending:
                line, pending = pending.split(b"\n", 1)
                if not line.startswith(b"data:"):
                    continue
                data = line[len(b"data:") :].strip()
                if data == b"[DONE]":
                    done = True
                    continue
                event = _json_object(data, self.url + path)
                if "error" in event:
                    message = "The stream of {0} broke off with an error: {1}".format(
                        self.url + path, server_message(data)
                    )
                    raise ApiError(SERVER_ERROR, message)
                yield event
        if not done:
            raise ApiError(BAD_RESPONSE, "The stream of {0} ended without its [DONE].".format(self.url + path))

    def _exchange(self, method: str, path: str, payload: Optional[Dict[str, Any]], timeout: float) -> Iterator[bytes]:
        where = self.url + path
        connection: http.client.HTTPConnection
        if self.secure:
            connection = http.client.HTTPSConnection(self.host, self.port, timeout=timeout, context=self._tls)
        else:
            connection = http.client.HTTPConnection(self.host, self.port, timeout=timeout)
        headers = {"Accept": "*/*", "User-Agent": "llmserve.vllm"}
        if self.api_key:
            headers["Authorization"] = "Bearer " + self.api_key
        body = None
        if payload is not None:
            headers["Content-Type"] = "application/json"
            body = json.dumps(payload).encode("utf-8")
        with _Deadline(connection, timeout) as deadline:
            try:
                deadline.connect()
                connection.request(method, self.base_path + path, body=body, headers=headers)
                response = connection.getresponse()
                if response.status // 100 != 2:
                    raise status_error(response.status, response.read(65536), where)
                while True:
                    piece = response.read1(65536)
                    if not piece:
                        break
                    yield piece
            except socket.timeout:
                deadline.expired = True
            except ConnectionRefusedError as exc:
                message = "Nothing listens at {0} (connection refused): the server is not up, or url is wrong."
                raise ApiError(CONNECTION_REFUSED, message.format(self.url)) from exc
            except (OSError, http.client.HTTPException) as exc:
                if not deadline.expired:
                    message = "The connection to {0} failed: {1}.".format(self.url, exc or type(exc).__name__)
                    raise ApiError(CONNECTION_FAILED, message) from exc
            if deadline.expired:
                message = (
                    "{0} did not finish its answer within {1:g} s. An engine that hangs keeps its health check green: "
                    "look at the log of the server and of every worker."
                )
                raise ApiError(TIMEOUT, message.format(where, timeout))


def status_error(status: int, body: bytes, where: str) -> ApiError:
    """The error for an HTTP status that is not a success."""
    said = server_message(body)
    if status in (401, 403):
        return ApiError(
            UNAUTHORIZED,
            "API key refused by {0} (HTTP {1}): the key given is not the one that the server was started with.".format(
                where, status
            ),
            status,
        )
    if status == 404 and "model" in said and ("not exist" in said or "not found" in said):
        return ApiError(MODEL_NOT_FOUND, "{0} does not serve this model: {1}".format(where, said), status)
    if status // 100 == 5:
        return ApiError(SERVER_ERROR, "{0} failed with HTTP {1}: {2}".format(where, status, said), status)
    return ApiError(BAD_RESPONSE, "{0} refused the request with HTTP {1}: {2}".format(where, status, said), status)


def server_message(body: bytes) -> str:
    """What the server says about an error, out of the forms that vLLM and proxies use."""
    text = body.decode("utf-8", "replace").strip()
    try:
        data = json.loads(text)
    except ValueError:
        return text[:300] or "(empty body)"
    for key in ("error", "message", "detail"):
        found = data.get(key) if isinstance(data, dict) else None
        if isinstance(found, dict):
            found = found.get("message") or found
        if found:
            return str(found)[:500]
    return text[:300]


def _json_object(body: bytes, where: str) -> Dict[str, Any]:
    try:
        data = json.loads(body.decode("utf-8"))
    except ValueError as exc:
        message = "{0} answered with something that is not JSON: {1!r}".format(where, body[:200])
        raise ApiError(BAD_RESPONSE, message) from exc
    if not isinstance(data, dict):
        raise ApiError(BAD_RESPONSE, "{0} answered with JSON that is not an object.".format(where))
    return data


def list_models(endpoint: Endpoint, timeout: float) -> List[Dict[str, Any]]:
    """The entries of /v1/models."""
    where = endpoint.url + "/v1/models"
    data = _json_object(endpoint.get("/v1/models", timeout), where).get("data")
    if not isinstance(data, list) or not all(isinstance(item, dict) and item.get("id") for item in data):
        raise ApiError(BAD_RESPONSE, "{0} is not the list of models of an OpenAI-compatible server.".format(where))
    return data


def served_model(models: List[Dict[str, Any]], model: str, url: str) -> Dict[str, Any]:
    """The entry of the model asked for (or, without a name, the first one)."""
    for entry in models:
        if not model or entry["id"] == model:
            return entry
    names = ", ".join(str(entry["id"]) for entry in models) or "none"
    message = "{0} does not serve the model {1}; it serves: {2}. The name is the server's served_model_name."
    raise ApiError(MODEL_NOT_FOUND, message.format(url, model, names))


def complete(endpoint: Endpoint, model: str, prompt: str, max_tokens: int, timeout: float) -> Answer:
    """One completion; an answer without a token is an error."""
    payload = {"model": model, "prompt": prompt, "max_tokens": max_tokens, "temperature": 0}
    return _answer(endpoint, "/v1/completions", payload, timeout)


def chat(endpoint: Endpoint, model: str, prompt: str, max_tokens: int, timeout: float) -> Answer:
    """One chat completion with a single message of a user."""
    return _answer(endpoint, "/v1/chat/completions", _chat_payload(model, prompt, max_tokens), timeout)


def _chat_payload(model: str, prompt: str, max_tokens: int) -> Dict[str, Any]:
    messages = [{"role": "user", "content": prompt}]
    return {"model": model, "messages": messages, "max_tokens": max_tokens, "temperature": 0}


def _answer(endpoint: Endpoint, path: str, payload: Dict[str, Any], timeout: float) -> Answer:
    began = time.monotonic()
    data = endpoint.post(path, payload, timeout)
    seconds = time.monotonic() - began
    choices = data.get("choices")
    if not isinstance(choices, list):
        raise ApiError(BAD_RESPONSE, "{0} answered without choices.".format(endpoint.url + path))
    choice = choices[0] if choices and isinstance(choices[0], dict) else {}
    usage = data.get("usage") if isinstance(data.get("usage"), dict) else {}
    text = _text_of(choice.get("message") or choice)
    tokens = (usage or {}).get("completion_tokens")
    # A token may print as nothing (the end of text, half of a character), so tokens count as an answer, too.
    if not choice or not (text.strip() or tokens):
        raise ApiError(EMPTY_ANSWER, "{0} came back with an empty answer.".format(endpoint.url + path))
    return Answer(text, (usage or {}).get("prompt_tokens"), tokens, choice.get("finish_reason"), round(seconds, 3))


def _text_of(message: Dict[str, Any]) -> str:
    """The text of a choice, a message or a delta; reasoning models may spend a short answer on their reasoning."""
    for key in ("content", "text", "reasoning_content", "reasoning"):
        if message.get(key):
            return str(message[key])
    return ""


def stream_chat(endpoint: Endpoint, model: str, prompt: str, max_tokens: int, timeout: float) -> StreamedAnswer:
    """One streamed chat completion, timed."""
    payload = dict(_chat_payload(model, prompt, max_tokens), stream=True, stream_options={"include_usage": True})
    began = time.monotonic()
    first = last = 0.0
    chunks = 0
    text = ""
    tokens: Optional[int] = None
    for event in endpoint.stream("/v1/chat/completions", payload, timeout):
        usage = event.get("usage")
        if isinstance(usage, dict) and usage.get("completion_tokens") is not None:
            tokens = int(usage["completion_tokens"])
        choices = event.get("choices")
        piece = _text_of(choices[0].get("delta") or {}) if choices else ""
        if piece:
            last = time.monotonic()
            first = first or last
            chunks += 1
            text += piece
    if not text.strip():
        message = "The stream of {0} brought no text.".format(endpoint.url + "/v1/chat/completions")
        raise ApiError(EMPTY_ANSWER, message)
    # the first token belongs to the time before it
    later = (tokens if tokens is not None else chunks) - 1
    rate = round(later / (last - first), 2) if later > 0 and last > first else None
    return StreamedAnswer(text, chunks, tokens, round(first - began, 3), rate, round(time.monotonic() - began, 3))
