# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults on demand, counters, and that nobody is steered who did not ask for it."""

from __future__ import annotations

import http.client
import io
import json
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from ansible_collections.llmserve.vllm.tests.unit.plugins.local_hub import free_port

from ..conftest import HUB, Hub
from .conftest import REPO, SIZE, TOKEN, WEIGHTS, file, metadata

errors = pytest.importorskip("huggingface_hub.errors")
HALF = SIZE // 2
CONFIG = f"/api/models/{REPO}"


def get(hub: Hub, path: str = f"/{REPO}/resolve/main/{WEIGHTS}", method: str = "GET") -> http.client.HTTPResponse:
    """One request on a connection of its own, redirected or not."""
    connection = http.client.HTTPConnection(urlsplit(hub.address).netloc, timeout=60)
    connection.request(method, path, headers={"Connection": "close"})
    return connection.getresponse()


def content(api: Any, timeout: float = 60) -> bytes:
    """The weights from the storage, and nothing is tried again."""
    with urllib.request.urlopen(metadata(api, WEIGHTS).location, timeout=timeout) as answer:
        return bytes(answer.read())


def test_a_status(hub: Hub) -> None:
    rule = {"kind": "status", "status": 429, "retry_after": 7, "headers": {"RateLimit": '"api";r=0;t=7'}, "times": 2}
    hub.faults({**rule, "path": "^/api/models/"})
    for _time in range(2):
        answer = get(hub, CONFIG)
        assert (answer.status, answer.headers["Retry-After"], answer.headers["RateLimit"]) == (
            429,
            "7",
            '"api";r=0;t=7',
        )
    assert get(hub, CONFIG).status == 200
    assert hub.stats["answers"] == {"429": 2, "200": 1}


def test_a_status_that_the_client_understands(api: Any, hub: Hub) -> None:
    hub.faults({"kind": "status", "status": 403, "code": "GatedRepo", "message": "no longer yours"})
    with pytest.raises(errors.GatedRepoError, match="no longer yours"):
        api.model_info(REPO)


def test_the_client_tries_again(api: Any, hub: Hub, tmp_path: Path) -> None:
    hub.faults(
        {"kind": "status", "status": 503, "times": 1, "path": "/tree/"},
        {"kind": "status", "status": 429, "headers": {"RateLimit": '"resolvers";r=0;t=0'}, "times": 1, "method": "GET"},
        {"kind": "drop", "after": HALF, "times": 1, "path": WEIGHTS},
    )
    path = api.hf_hub_download(REPO, WEIGHTS, cache_dir=tmp_path)
    assert Path(path).read_bytes() == file(hub, WEIGHTS)
    assert hub.stats["answers"] == {"302": 1, "429": 1, "200": 2}
    assert {rule["kind"] for rule in rules(hub)} == {"status"}, "the list was not asked for"
    # the client keeps blocks of 10 MB, and had none
    assert hub.served == HALF + SIZE


def rules(hub: Hub) -> list[dict[str, Any]]:
    with urllib.request.urlopen(f"{hub.address}/_test/faults", timeout=60) as answer:
        found: list[dict[str, Any]] = json.load(answer)
        return found


@pytest.mark.parametrize(
    ("rule", "error"),
    [
        ({"kind": "hangup"}, http.client.RemoteDisconnected),
        ({"kind": "hangup", "reset": True}, ConnectionResetError),
    ],
)
def test_no_answer(hub: Hub, rule: dict[str, Any], error: type[Exception]) -> None:
    hub.faults({**rule, "times": 1, "method": "HEAD"})
    assert get(hub, CONFIG).status == 200
    with pytest.raises(error) as caught:
        get(hub, CONFIG, "HEAD")
    assert caught.type is error
    assert get(hub, CONFIG, "HEAD").status == 200


@pytest.mark.parametrize("after", [0, 1, HALF, SIZE - 1])
def test_content_ends_early(api: Any, hub: Hub, after: int) -> None:
    hub.faults({"kind": "drop", "after": after, "times": 1, "path": "^/storage/"})
    with pytest.raises(http.client.IncompleteRead) as cut:
        content(api)
    assert cut.value.partial == file(hub, WEIGHTS)[:after]
    assert hub.served == after
    assert content(api) == file(hub, WEIGHTS)


def test_content_ends_with_a_reset(api: Any, hub: Hub) -> None:
    hub.faults({"kind": "drop", "after": HALF, "reset": True, "path": WEIGHTS})
    with pytest.raises(ConnectionResetError):
        content(api)


def test_what_is_too_short_meets_no_fault(api: Any, hub: Hub) -> None:
    hub.faults({"kind": "drop", "after": SIZE, "times": 1}, {"kind": "corrupt", "at": SIZE, "times": 1})
    assert content(api) == file(hub, WEIGHTS)
    assert [rule["times"] for rule in rules(hub)] == [1, 1]


def test_wrong_bytes(api: Any, hub: Hub) -> None:
    hub.faults({"kind": "corrupt", "at": HALF, "times": 1})
    data = bytearray(file(hub, WEIGHTS))
    data[HALF] ^= 255
    assert content(api) == data
    assert content(api) == file(hub, WEIGHTS)


@pytest.mark.parametrize("rule", [{"kind": "delay"}, {"kind": "stall", "after": HALF}])
def test_waiting(api: Any, hub: Hub, rule: dict[str, Any]) -> None:
    hub.faults({**rule, "seconds": 600, "times": 1, "path": "^/storage/"})
    with pytest.raises(TimeoutError):
        content(api, timeout=2)
    assert hub.served == rule.get("after", 0)
    assert content(api) == file(hub, WEIGHTS)


def test_what_goes_on_ends_with_the_faults(api: Any, hub: Hub) -> None:
    hub.faults({"kind": "stall", "after": 1000, "seconds": 600}, {"kind": "slow", "rate": 1000})
    with urllib.request.urlopen(metadata(api, WEIGHTS).location, timeout=60) as answer:
        begun = answer.read(1000)
        hub.faults()
        assert begun + answer.read() == file(hub, WEIGHTS)


def test_slow(api: Any, hub: Hub) -> None:
    """Pieces arrive while others are still to come, whether one file is slow or all weights are."""
    hub.faults({"kind": "slow", "rate": SIZE // 30, "times": 1})
    hub.order("rate", {"rate": SIZE // 30})
    for _time in range(2):
        hub.order("reset")
        with urllib.request.urlopen(metadata(api, WEIGHTS).location, timeout=60) as answer:
            assert answer.read(100) == file(hub, WEIGHTS)[:100]
            assert 0 < hub.served < SIZE
    hub.order("rate", {"rate": 0})
    assert content(api) == file(hub, WEIGHTS)


def test_a_fault_for_one_client(hub: Hub) -> None:
    hub.faults({"kind": "status", "status": 500, "client": "192.0.2.1"})
    assert get(hub, CONFIG).status == 200


def test_counters(api: Any, hub: Hub, tmp_path: Path) -> None:
    api.hf_hub_download(REPO, WEIGHTS, cache_dir=tmp_path)
    api.get_paths_info(REPO, "config.json")
    get(hub, "/healthz")
    assert hub.stats == {
        "total": SIZE,
        "bytes": {f"{REPO}/{WEIGHTS}": SIZE},
        "clients": {"127.0.0.1": {"requests": 3, "bytes": SIZE}},
        "requests": {"HEAD": 1, "GET": 1, "POST": 1},
        "answers": {"302": 1, "200": 2},
        "wheels": 0,
        "token_at_storage": 0,
    }
    asked = urllib.request.Request(metadata(api, WEIGHTS).location, headers={"Authorization": f"Bearer {TOKEN}"})
    urllib.request.urlopen(asked, timeout=60).close()
    assert hub.stats["token_at_storage"] == 1


@pytest.mark.parametrize(
    ("order", "given"),
    [
        ("fault", []),
        ("faults", [{"kind": "earthquake"}]),
        ("faults", [{"kind": "drop"}]),
        ("faults", [{"kind": "drop", "after": 1, "secnods": 2}]),
        ("faults", [{"kind": "slow", "rate": 1, "path": "("}]),
        ("move", {"repo": "acme/nowhere", "to": "main"}),
        ("move", {"repo": REPO, "to": "nowhere"}),
        ("revoke", {"token": "hf_nobody"}),
        ("gate", []),
    ],
)
def test_an_order_that_makes_no_sense(hub: Hub, order: str, given: Any) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        hub.order(order, given)
    assert refused.value.code == 400
    assert rules(hub) == []


def test_without_test_control(hub: Hub, tmp_path: Path) -> None:
    """As a program with no options but those of the image; its log names no token."""
    port = free_port()
    (tmp_path / "a_project-1.0-py3-none-any.whl").write_bytes(b"wheel")
    command = [sys.executable, str(HUB), "--models", str(hub.models), "--wheels", str(tmp_path), "--rate", "0"]
    with subprocess.Popen([*command, "--port", str(port)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line.strip())
            if line.startswith("listening"):
                break
        alone = Hub(f"http://127.0.0.1:{port}", hub.models)
        assert [get(alone, path).status for path in ("/_test/stats", "/_test/faults", "/healthz")] == [404, 404, 200]
        with pytest.raises(urllib.error.HTTPError) as refused:
            alone.order("reset")
        assert refused.value.code == 404
        page = io.TextIOWrapper(get(alone, "/simple/a-project/")).read()
        link = page.partition('href="')[2].partition("#")[0]
        assert get(alone, link).read() == b"wheel"
        asked = urllib.request.Request(f"{alone.address}{CONFIG}", headers={"Authorization": f"Bearer {TOKEN}"})
        urllib.request.urlopen(asked, timeout=60).close()
        process.terminate()
        log = process.stdout.read()
    assert [line.partition(" at ")[0] for line in lines[:2]] == [f"{REPO} refs/heads/main", f"{REPO} refs/heads/dev"]
    assert f'127.0.0.1 token "GET {CONFIG} HTTP/1.1" 200' in log
    assert TOKEN not in log
