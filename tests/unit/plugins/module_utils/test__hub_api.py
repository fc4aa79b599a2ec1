# SPDX-License-Identifier: GPL-3.0-or-later
"""The Hub client against a real HTTP server."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.llmserve.vllm.plugins.module_utils._hub import RepoFile
from ansible_collections.llmserve.vllm.plugins.module_utils._hub_api import HubClient, HubError
from ansible_collections.llmserve.vllm.tests.unit.plugins.hub_server import (
    COMMIT,
    CONFIG,
    FILES,
    GOOD_TOKEN,
    NO_LICENCE_TOKEN,
    Hub,
    running_hub,
)


@pytest.fixture
def hub() -> Iterator[Hub]:
    with running_hub() as server:
        yield server


def client(hub: Hub, token: str | None = None, **options: Any) -> HubClient:
    return HubClient(hub.url + "/", token, timeout=5, sleep=lambda _seconds: None, **options)


def refusal(hub: Hub, repo_id: str, revision: str = "main", token: str | None = None) -> HubError:
    with pytest.raises(HubError) as caught:
        asked = client(hub, token)
        info = asked.model_info(repo_id, revision)
        asked.config(repo_id, info.commit)
    return caught.value


def test_a_public_model(hub: Hub) -> None:
    info = client(hub).model_info("acme/tiny", "main")
    assert (info.repo_id, info.commit, info.gated) == ("acme/tiny", COMMIT, False)
    assert info.files == [RepoFile(name, size) for name, size in FILES.items()]
    assert client(hub).config("acme/tiny", COMMIT) == CONFIG
    assert client(hub).config("acme/noconfig", COMMIT) == {}
    assert all(token == "" for _path, token in hub.seen)


def test_a_revision_with_slashes(hub: Hub) -> None:
    assert client(hub).model_info("acme/tiny", "refs/pr/1").commit == COMMIT
    assert hub.seen[0][0] == "/api/models/acme/tiny/revision/refs%2Fpr%2F1?blobs=true"


def test_a_gated_model_with_its_licence_accepted(hub: Hub) -> None:
    asked = client(hub, GOOD_TOKEN)
    assert asked.model_info("acme/gated", "main").gated is True
    assert asked.config("acme/gated", COMMIT) == CONFIG


@pytest.mark.parametrize(
    ("repo_id", "revision", "token", "kind", "words"),
    [
        ("acme/gated", "main", None, "token_missing", ["accept its licence at", "llmserve_hf_token"]),
        ("acme/gated", "main", "", "token_missing", ["acme/gated is gated and no token was given"]),
        ("acme/gated", "main", "hf_bad", "token_refused", ["refuses the token", "settings/tokens"]),
        ("acme/tiny", "main", "hf_bad", "token_refused", ["expired or revoked"]),
        ("acme/gated", "main", NO_LICENCE_TOKEN, "licence_not_accepted", ["'Your request is awaiting a review.'"]),
        ("acme/nope", "main", None, "model_not_found", ["There is no public model acme/nope", "if it is private"]),
        ("acme/nope", "main", GOOD_TOKEN, "model_not_found", ["There is no model acme/nope", "may not see it"]),
        ("acme/tiny", "v9", None, "revision_not_found", ["no revision 'v9'", "llmserve_model_revision"]),
        ("acme/disabled", "main", GOOD_TOKEN, "model_disabled", ["choose another model"]),
        ("acme/blocked", "main", None, "hub_error", ["HTTP 403", "'Not from your country.'"]),
        ("acme/html", "main", None, "hub_error", ["not JSON", "llmserve_hf_endpoint"]),
        ("acme/loop", "main", None, "hub_error", ["redirects for ever"]),
        ("/models/local", "main", None, "bad_repo_id", ["ORGANISATION/NAME"]),
    ],
)
def test_refusals_are_told_apart(  # noqa: PLR0917
    hub: Hub, repo_id: str, revision: str, token: str | None, kind: str, words: list[str]
) -> None:
    error = refusal(hub, repo_id, revision, token)
    assert error.kind == kind
    for word in words:
        assert word in str(error)
    assert not token or token not in str(error)


def test_a_renamed_model_is_followed_with_the_token(hub: Hub) -> None:
    info = client(hub, GOOD_TOKEN).model_info("acme/old", "main")
    assert info.repo_id == "acme/tiny"
    assert [token for _path, token in hub.seen] == [GOOD_TOKEN, GOOD_TOKEN]


def test_the_token_does_not_follow_to_another_host(hub: Hub) -> None:
    with running_hub() as other:
        hub.elsewhere = other.url
        assert client(hub, GOOD_TOKEN).model_info("acme/elsewhere", "main").commit == COMMIT
        assert [token for _path, token in other.seen] == [""]


def test_a_busy_hub_is_asked_again(hub: Hub) -> None:
    waits: list[float] = []
    hub.busy = 2
    asked = HubClient(hub.url, None, timeout=5, sleep=waits.append)
    assert asked.model_info("acme/tiny", "main").commit == COMMIT
    assert waits == [1.0, 2.0]
    hub.busy = 9
    error = refusal(hub, "acme/tiny")
    assert error.kind == "hub_unreachable"
    assert "HTTP 503, 3 attempts" in str(error)


def test_nothing_listens() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{probe.getsockname()[1]}"
        with pytest.raises(HubError) as caught:
            HubClient(endpoint, None, timeout=2).model_info("acme/tiny", "main")
    assert caught.value.kind == "hub_unreachable"
    assert endpoint in str(caught.value)
    assert "refused" in str(caught.value)


def test_nothing_answers() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(HubError) as caught:
            HubClient(endpoint, None, timeout=0.3).model_info("acme/tiny", "main")
    assert caught.value.kind == "hub_unreachable"
    assert "timed out" in str(caught.value)
