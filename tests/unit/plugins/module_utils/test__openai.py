# SPDX-License-Identifier: GPL-3.0-or-later
"""The client against a real server that misbehaves on demand."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.llmserve.vllm.plugins.module_utils._openai import (
    ApiError,
    Endpoint,
    chat,
    complete,
    list_models,
    served_model,
    server_message,
    stream_chat,
)
from ansible_collections.llmserve.vllm.tests.unit.plugins.fake_server import (
    KEY,
    MODEL,
    Handler,
    Script,
    answer,
    serving,
)


@pytest.fixture
def script() -> Script:
    return Script()


@pytest.fixture
def url(script: Script) -> Iterator[str]:
    with serving(script) as address:
        yield address


@pytest.fixture
def endpoint(url: str) -> Endpoint:
    return Endpoint(url, KEY)


def failure(work: Any) -> ApiError:
    with pytest.raises(ApiError) as caught:
        work()
    assert KEY not in str(caught.value)
    return caught.value


@pytest.mark.parametrize(
    ("url", "base"),
    [
        ("http://10.0.0.1:8000", "http://10.0.0.1:8000"),
        ("http://10.0.0.1:8000/v1/", "http://10.0.0.1:8000"),
        ("10.0.0.1:8000", "http://10.0.0.1:8000"),
        ("http://[fd00::1]:8000/v1", "http://[fd00::1]:8000"),
        ("https://llm.example.org/team/v1", "https://llm.example.org/team"),
    ],
)
def test_urls(url: str, base: str) -> None:
    assert Endpoint(url).url == base


@pytest.mark.parametrize("url", ["ftp://x", "http://", ""])
def test_what_is_no_url(url: str) -> None:
    with pytest.raises(ValueError, match="url must be like"):
        Endpoint(url)


def test_the_happy_path(endpoint: Endpoint, script: Script) -> None:
    models = list_models(endpoint, 5)
    assert served_model(models, MODEL, endpoint.url)["max_model_len"] == 2048
    assert served_model(models, "", endpoint.url)["id"] == MODEL
    found = complete(endpoint, MODEL, "San Francisco is a", 4, 5)
    assert (found.text, found.prompt_tokens, found.completion_tokens, found.finish_reason) == (" city", 3, 4, "length")
    assert chat(endpoint, MODEL, "Where?", 8, 5).text == "It was in Arlington, Texas."
    assert script.requests[1][1]["max_tokens"] == 4


def test_a_stream_is_timed_by_the_tokens_of_the_server(endpoint: Endpoint) -> None:
    found = stream_chat(endpoint, MODEL, "Where?", 8, 5)
    assert (found.text, found.chunks, found.completion_tokens) == ("It was in Arlington.", 4, 8)
    assert 0 < found.ttft_seconds < found.seconds
    # 7 tokens after the first one, in 3 pauses of 10 ms at least
    assert found.tokens_per_second is not None
    assert 10 < found.tokens_per_second <= 7 / 0.03


def test_a_stream_without_usage_is_timed_by_its_chunks(endpoint: Endpoint, script: Script) -> None:
    script.answers["/v1/chat/completions"] = lambda handler, payload: handler.events(["a", "b", "c"], usage=False)
    found = stream_chat(endpoint, MODEL, "Where?", 8, 5)
    assert (found.chunks, found.completion_tokens) == (3, None)
    assert found.tokens_per_second is not None


def test_reasoning_counts_as_text(endpoint: Endpoint, script: Script) -> None:
    message = {"role": "assistant", "content": None, "reasoning_content": "The user asks"}
    script.answers["/v1/chat/completions"] = lambda handler, payload: handler.reply(answer({"message": message}))
    assert chat(endpoint, MODEL, "Where?", 8, 5).text == "The user asks"


def test_a_wrong_model_is_named_with_the_right_ones(endpoint: Endpoint) -> None:
    error = failure(lambda: served_model(list_models(endpoint, 5), "acme/other", endpoint.url))
    assert error.kind == "model_not_found"
    assert "it serves: acme/tiny" in str(error)
    assert failure(lambda: complete(endpoint, "acme/other", "x", 1, 5)).kind == "model_not_found"


def test_a_wrong_key(url: str) -> None:
    error = failure(lambda: list_models(Endpoint(url, "sk-wrong"), 5))
    assert (error.kind, error.status) == ("unauthorized", 401)
    assert "sk-wrong" not in str(error)


@pytest.mark.parametrize(
    ("body", "status", "kind"),
    [
        ({"choices": []}, 200, "empty_answer"),
        (answer({"text": " "}, tokens=0), 200, "empty_answer"),
        ({"choices": None}, 200, "bad_response"),
        ("<html>login</html>", 200, "bad_response"),
        ("[1]", 200, "bad_response"),
        ({"error": {"message": "engine is dead"}}, 500, "server_error"),
        ("upstream timed out", 504, "server_error"),
        ({"object": "error", "message": "does not support Completions API"}, 400, "bad_response"),
        ({"detail": "Not Found"}, 404, "bad_response"),
    ],
)
def test_bad_answers(endpoint: Endpoint, script: Script, body: Any, status: int, kind: str) -> None:
    script.answers["/v1/completions"] = lambda handler, payload: handler.reply(body, status)
    assert failure(lambda: complete(endpoint, MODEL, "x", 1, 5)).kind == kind


def test_an_answer_of_an_unprintable_token_is_an_answer(endpoint: Endpoint, script: Script) -> None:
    script.answers["/v1/completions"] = lambda handler, payload: handler.reply(answer({"text": ""}, tokens=1))
    assert complete(endpoint, MODEL, "x", 1, 5).completion_tokens == 1


def test_nobody_listens() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
    assert failure(lambda: list_models(Endpoint(address), 5)).kind == "connection_refused"


def test_somebody_who_hangs_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def hang_up() -> None:
            connection, _peer = listener.accept()
            connection.recv(4096)
            connection.close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        assert failure(lambda: list_models(Endpoint(address), 5)).kind == "connection_failed"
        thread.join()


def sleep_long(handler: Handler, payload: Any) -> None:
    time.sleep(1.5)


def trickle(handler: Handler, payload: Any) -> None:
    """Something every 50 ms, so that no timeout of a socket ever fires."""
    handler.events(["."] * 60, delay=0.05)


def trickle_headers(handler: Handler, payload: Any) -> None:
    handler.wfile.write(b"HTTP/1.0 200 OK\r\n")
    for number in range(60):
        handler.wfile.write(b"X-%d: y\r\n" % number)
        handler.wfile.flush()
        time.sleep(0.05)


def trickle_until_closed(handler: Handler, payload: Any) -> None:
    """A body whose end is the end of the connection: http.client then lets go of the socket."""
    handler.wfile.write(b"HTTP/1.0 200 OK\r\nConnection: close\r\n\r\n")
    for _number in range(60):
        handler.wfile.write(b" ")
        handler.wfile.flush()
        time.sleep(0.05)


@pytest.mark.parametrize("behaviour", [sleep_long, trickle, trickle_headers, trickle_until_closed])
def test_a_request_has_a_deadline(endpoint: Endpoint, script: Script, behaviour: Any) -> None:
    script.answers["/v1/chat/completions"] = behaviour
    began = time.monotonic()
    error = failure(lambda: stream_chat(endpoint, MODEL, "x", 8, 0.4))
    assert error.kind == "timeout"
    assert "0.4 s" in str(error)
    assert time.monotonic() - began < 1.2


def test_a_stream_that_breaks_off(endpoint: Endpoint, script: Script) -> None:
    script.answers["/v1/chat/completions"] = lambda handler, payload: handler.events(["a"], done=False)
    assert failure(lambda: stream_chat(endpoint, MODEL, "x", 8, 5)).kind == "bad_response"


def test_a_stream_with_an_error_in_it(endpoint: Endpoint, script: Script) -> None:
    def fail(handler: Handler, payload: Any) -> None:
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(b'data: {"error": {"message": "EngineCore died"}}\n\ndata: [DONE]\n\n')
        handler.close_connection = True

    script.answers["/v1/chat/completions"] = fail
    error = failure(lambda: stream_chat(endpoint, MODEL, "x", 8, 5))
    assert error.kind == "server_error"
    assert "EngineCore died" in str(error)


def test_a_stream_without_text(endpoint: Endpoint, script: Script) -> None:
    script.answers["/v1/chat/completions"] = lambda handler, payload: handler.events([])
    assert failure(lambda: stream_chat(endpoint, MODEL, "x", 8, 5)).kind == "empty_answer"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"error": "Unauthorized"}', "Unauthorized"),
        (b'{"error": {"message": "no"}}', "no"),
        (b'{"message": "no"}', "no"),
        (b'{"detail": [1]}', "[1]"),
        (b"", "(empty body)"),
        (b"[]", "[]"),
    ],
)
def test_server_message(body: bytes, said: str) -> None:
    assert server_message(body) == said
