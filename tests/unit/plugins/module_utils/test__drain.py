# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests that end before the server does, and those that do not."""

from __future__ import annotations

import pytest
from ansible_collections.llmserve.vllm.plugins.module_utils._drain import (
    Requests,
    own_drain_seconds,
    requests_of,
    sentence,
    sum_up,
    summary,
)


def test_requests_of_a_page() -> None:
    figures = {"requests_running": 3.0, "requests_waiting": 1.0, "requests_ended": 40.0}
    assert requests_of(figures) == Requests(3, 1, 40)
    assert requests_of({"requests_running": 1.0}) == Requests(1, 0, None)
    assert requests_of({"kv_cache_used": 0.5}) is None


@pytest.mark.parametrize(
    ("command", "seconds"),
    [
        (["/m", "--shutdown-timeout", "90", "--port", "8000"], 90),
        (["/m", "--shutdown-timeout=30"], 30),
        (["/m", "--port", "8000"], 0),
        (["/m", "--shutdown-timeout"], 1),
        (["/m", "--shutdown-timeout", "soon"], 0),
    ],
)
def test_whether_the_server_drains_by_itself(command: list[str], seconds: float) -> None:
    assert own_drain_seconds(command) == seconds


def test_how_far_it_is() -> None:
    assert sentence(Requests(2, 1, 0), 94.2, False) == "2 running, 1 waiting; stopped when none is left, or in 94 s"
    assert sentence(Requests(2, 0, 0), 94.2, True) == "takes no new requests; 2 running, 0 waiting"
    assert "does not tell" in sentence(None, 10, False)


@pytest.mark.parametrize(
    ("first", "last", "cut", "words"),
    [
        (Requests(2, 1, 40), Requests(0, 0, 43), 0, "3 open when the drain began, 3 finished in 4 s, 0 cut"),
        # one more came and ended meanwhile, one is left
        (Requests(2, 1, 40), Requests(1, 0, 43), 1, "3 open when the drain began, 3 finished in 4 s, 1 cut"),
        # the server ended by itself, some time after the last look
        (Requests(3, 0, 40), Requests(1, 0, 42), 0, "3 open when the drain began, 3 finished in 4 s, 0 cut"),
        # an old release that does not count
        (Requests(3, 0, None), Requests(1, 0, None), 1, "3 open when the drain began, 1 cut"),
        (None, None, None, "unknown, the server did not tell"),
    ],
)
def test_what_has_become_of_them(first: Requests | None, last: Requests | None, cut: int | None, words: str) -> None:
    assert summary(sum_up(first, last, cut, 4.04).as_dict()) == words
