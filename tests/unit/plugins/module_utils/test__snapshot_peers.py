# SPDX-License-Identifier: GPL-3.0-or-later
"""Which host is asked, and what happens when it does not answer."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from typing import Any

import pytest
from ansible_collections.llmserve.vllm.plugins.module_utils._snapshot_errors import Peer, Request, SnapshotError
from ansible_collections.llmserve.vllm.plugins.module_utils._snapshot_peers import PATIENCE, PeerLibrary
from ansible_collections.llmserve.vllm.plugins.module_utils._snapshot_store import ListedFile, Listing

COMMIT = "a" * 40
ITEM = ListedFile("model.safetensors", 100, "d" * 64)
NEAR, FAR, HUB = "http://10.0.0.2:29600", "http://10.0.0.1:29600", "https://huggingface.co"


class StatusError(OSError):
    """As huggingface_hub's HfHubHTTPError: an OSError without a number, with the response."""

    def __init__(self, status: int) -> None:
        super().__init__(f"{status} Error for url: x")
        self.response = type("Response", (), {"status_code": status})()


class ConnectError(Exception):
    """As the HTTP client's."""


class Sink:
    def __init__(self) -> None:
        self.size = 0

    def tell(self) -> int:
        return self.size


class FakeHub:
    """huggingface_hub with an answer for each address, an error or the bytes to send."""

    def __init__(self, **answers: Any) -> None:
        self.answers: dict[str, Any] = answers
        self.asked: list[str] = []
        self.tokens: list[str] = []

    def answer(self, request: Request) -> Any:
        self.asked.append(request.endpoint)
        self.tokens.append(request.token)
        answer = self.answers[{NEAR: "near", FAR: "far", HUB: "hub"}[request.endpoint]]
        answer = answer.pop(0) if isinstance(answer, list) else answer
        if isinstance(answer, Exception):
            raise answer
        return answer

    def describe_once(self, request: Request) -> Listing:
        self.answer(request)
        return Listing(COMMIT, [ITEM])

    describe = describe_once

    def get(self, request: Request, _commit: str, _item: ListedFile, sink: Any, _start: int) -> None:
        sink.size += self.answer(request)
        if sink.size < ITEM.size:
            raise OSError("Consistency check failed: file should be of size 100")

    def get_whole(self, _request: Request, _commit: str, _item: ListedFile) -> bool:
        return True

    def finish(self, request: Request, _commit: str) -> None:
        self.answer(request)

    def newest(self, _request: Request) -> str:
        return COMMIT


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "localhost")
    monkeypatch.setenv("no_proxy", "")
    monkeypatch.setattr("time.sleep", lambda _seconds: None)


@pytest.fixture
def request_() -> Request:
    return Request(
        "acme/big",
        "main",
        "/hf/hub",
        HUB,
        "hf_token",
        None,
        (),
        8,
        "llmserve",
        peers=(Peer(NEAR, "near-token"), Peer(FAR, "far-token")),
    )


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


Open = Callable[..., tuple[PeerLibrary, FakeHub]]


@pytest.fixture
def opened(request_: Request, clock: Clock) -> Open:
    def open_with(peers_only: bool = False, **answers: Any) -> tuple[PeerLibrary, FakeHub]:
        hub = FakeHub(**answers)
        fake: Any = hub
        return PeerLibrary(fake, request_._replace(peers_only=peers_only), clock), hub

    return open_with


def fetch(library: PeerLibrary, request: Request, sink: Sink) -> str:
    try:
        library.get(request, COMMIT, ITEM, sink, sink.size)
    except SnapshotError as exc:
        return exc.kind
    return ""


def test_the_nearest_is_asked_with_its_own_token(opened: Open, request_: Request) -> None:
    library, hub = opened(near=100)
    assert library.describe(request_).commit == COMMIT
    assert fetch(library, request_, Sink()) == ""
    library.finish(request_, COMMIT)
    assert hub.asked == [NEAR] * 3
    assert set(hub.tokens) == {"near-token"}
    assert library.get_whole(request_, COMMIT, ITEM) is False
    assert library.newest(request_) is None


def test_a_list_comes_from_whoever_has_it(opened: Open, request_: Request) -> None:
    library, hub = opened(near=StatusError(404), far=1)
    assert library.describe(request_).files == [ITEM]
    assert hub.asked == [NEAR, FAR]


def test_one_that_has_just_begun_is_waited_for(opened: Open, request_: Request) -> None:
    library, hub = opened(near=StatusError(404), far=[StatusError(503), StatusError(503), 1])
    library.describe(request_)
    assert hub.asked == [NEAR, FAR] * 3


def test_the_hub_is_asked_when_nobody_answers_at_the_beginning(opened: Open, request_: Request) -> None:
    library, hub = opened(near=ConnectError("refused"), far=StatusError(401), hub=100)
    library.describe(request_)
    assert hub.asked == [NEAR, FAR, HUB]
    assert (
        NEAR in library.warnings[0]
        and "refuses the token" in library.warnings[0]
        and "once more" in library.warnings[0]
    )
    assert fetch(library, request_, Sink()) == ""
    assert hub.asked[3:] == [HUB]
    assert hub.tokens[3:] == ["hf_token"]
    assert library.get_whole(request_, COMMIT, ITEM) is True
    assert library.newest(request_) == COMMIT


def test_or_it_is_not(opened: Open, request_: Request, clock: Clock) -> None:
    library, hub = opened(peers_only=True, near=ConnectError("refused"), far=StatusError(404))
    clock.now += 16
    with pytest.raises(SnapshotError) as caught:
        library.describe(request_)
    assert caught.value.kind == "peers_unreachable"
    assert NEAR in str(caught.value) and "hf_model_distribution" in str(caught.value)
    assert HUB not in hub.asked


def test_waiting_for_a_beginning_ends(opened: Open, request_: Request, clock: Clock) -> None:
    library, hub = opened(peers_only=True, near=StatusError(503), far=StatusError(503))
    answer = hub.answer

    def slow(request: Request) -> Any:
        clock.now += 20
        return answer(request)

    hub.answer = slow  # type: ignore[method-assign]  # as long as a mirror is patient
    with pytest.raises(SnapshotError, match="has not begun yet"):
        library.describe(request_)
    assert len(hub.asked) == 4


def test_a_broken_transfer_goes_on_at_the_same_host(opened: Open, request_: Request) -> None:
    library, hub = opened(near=[40, 60])
    sink = Sink()
    assert fetch(library, request_, sink) == "hub_unreachable"
    assert fetch(library, request_, sink) == ""
    assert hub.asked == [NEAR, NEAR]


def test_one_that_is_gone_is_passed_over_for_that_file(opened: Open, request_: Request) -> None:
    library, hub = opened(near=ConnectError("refused"), far=[0, 100])
    sink = Sink()
    assert [fetch(library, request_, sink) for _turn in range(2)] == ["hub_unreachable"] * 2
    hub.answers["near"] = 100
    assert fetch(library, request_, sink) == ""
    assert hub.asked == [NEAR, FAR, NEAR]


def test_all_begin_together_so_that_nothing_yet_is_no_reason_to_leave(
    opened: Open, request_: Request, clock: Clock
) -> None:
    library, hub = opened(near=StatusError(404), far=100)
    sink = Sink()
    for _second in range(14):
        assert fetch(library, request_, sink) == "hub_unreachable"
        clock.now += 1
    assert set(hub.asked) == {NEAR}
    clock.now += 2
    fetch(library, request_, sink)
    assert fetch(library, request_, sink) == ""
    assert hub.asked[-1] == FAR


def test_there_is_an_end_when_all_are_gone(opened: Open, request_: Request, clock: Clock) -> None:
    library, _hub = opened(near=ConnectError("refused"), far=ConnectError("no route"))
    sink = Sink()
    assert fetch(library, request_, sink) == "hub_unreachable"
    clock.now += PATIENCE
    assert fetch(library, request_, sink) == "hub_unreachable"
    clock.now += 1
    assert fetch(library, request_, sink) == "peers_unreachable"


@pytest.mark.parametrize("alive", [30, StatusError(503)])
def test_a_sign_of_life_starts_the_patience_anew(opened: Open, request_: Request, clock: Clock, alive: Any) -> None:
    library, _hub = opened(near=[ConnectError("refused"), alive, ConnectError("refused")], far=ConnectError("refused"))
    sink = Sink()
    fetch(library, request_, sink)
    fetch(library, request_, sink)
    clock.now += PATIENCE + 1
    fetch(library, request_, sink)
    clock.now += 2
    assert fetch(library, request_, sink) == "hub_unreachable"


def test_a_full_disk_is_nobody_elses_fault(opened: Open, request_: Request) -> None:
    library, hub = opened(near=OSError(errno.ENOSPC, "No space left on device"))
    with pytest.raises(OSError, match="No space left"):
        library.get(request_, COMMIT, ITEM, Sink(), 0)
    assert hub.asked == [NEAR]


def test_the_last_word_comes_from_any(opened: Open, request_: Request) -> None:
    library, hub = opened(near=ConnectError("refused"), far=1)
    library.finish(request_, COMMIT)
    assert hub.asked == [NEAR, FAR]
    hub.answers["far"] = ConnectError("refused")
    with pytest.raises(ConnectError):
        library.finish(request_, COMMIT)


def test_no_proxy_stands_between_hosts(opened: Open) -> None:
    opened()
    assert os.environ["NO_PROXY"] == "10.0.0.1,10.0.0.2,localhost"
    assert os.environ["no_proxy"] == "10.0.0.1,10.0.0.2"
