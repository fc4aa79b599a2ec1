# SPDX-License-Identifier: GPL-3.0-or-later
"""What is made of a trouble: load, notices, figures, and docs/recovery.md."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from ansible_collections.llmserve.vllm.tests import recovery_tables
from ansible_collections.llmserve.vllm.tests.generated_page import rendered
from ansible_collections.llmserve.vllm.tests.measuring import Event, MeasuringError, Node, read_results
from ansible_collections.llmserve.vllm.tests.recovery.load import Load, Request
from ansible_collections.llmserve.vllm.tests.recovery.outcome import (
    RESULTS,
    Canary,
    Notice,
    is_back,
    notices_of_docker,
    outcome,
    seconds_of,
    starts,
)
from ansible_collections.llmserve.vllm.tests.recovery.troubles import BOTH, BY_NAME, TROUBLES

# a trouble at 100: two requests break, one is late, and from 130 on all is well
BEFORE = [Request(at, at + 0.1, True) for at in range(80, 100)]
BAD = [
    Request(99.9, 101.5, False, "reset"),
    Request(101, 131, False, "timed out"),
    Request(120, 128, True),
]
AFTER = [Request(at, at + 0.2, True) for at in range(130, 160)]


def test_the_page_is_up_to_date() -> None:
    page = recovery_tables.PAGE.read_text(encoding="utf-8")
    assert rendered(page, recovery_tables.tables(read_results(RESULTS))) == page


def test_troubles_have_names_of_their_own_and_an_executor() -> None:
    assert len(BY_NAME) == len(TROUBLES) >= 12
    for trouble in TROUBLES:
        assert trouble.executors and set(trouble.executors) <= set(BOTH)
        # each says when it strikes, or is struck from outside
        assert trouble.power is not ("date +%s.%N" in trouble.strike), trouble.name
        assert not trouble.heal or trouble.heal_seconds > 0, trouble.name
    known = {f"{executor}/{trouble.name}" for trouble in TROUBLES for executor in trouble.executors}
    assert set(read_results(RESULTS)["rows"]) <= known


def test_the_figures_of_a_trouble() -> None:
    notices = [Notice(112.0, "canary: failed"), Notice(103.25, "Docker started llmserve-vllm")]
    streams = [Request(95, 101, False, "reset"), Request(140, 150, True), Request(80, 90, False, "before")]
    assert outcome(100, [*BEFORE, *BAD, *AFTER], streams, notices) == {
        "users_seconds": 1.5,
        "noticed_seconds": 3.2,
        "noticed_by": "Docker started llmserve-vllm",
        "lost": 2,
        "hanging": 1,
        "streams_lost": 1,
        "serving_seconds": 30.2,
        "came_back": True,
    }


def test_a_trouble_that_nobody_sees_and_one_that_does_not_end() -> None:
    fine = outcome(100, [*BEFORE, *AFTER], [], [])
    assert (fine["users_seconds"], fine["noticed_seconds"], fine["serving_seconds"]) == (None, None, 0.0)
    gone = outcome(100, [*BEFORE, *BAD], [], [])
    assert (gone["serving_seconds"], gone["came_back"]) == (None, False)


def test_it_serves_again_when_all_is_answered_for_a_while() -> None:
    assert is_back([*BEFORE, *BAD, *AFTER], 100, 160)
    assert not is_back([*BEFORE, *BAD, *AFTER[:8]], 100, 146), "too short"
    assert not is_back([*BEFORE, *BAD, *AFTER, Request(158, 159, False)], 100, 160), "one was lost"
    assert not is_back([*BEFORE, *AFTER], 120, 160), "it may still show"
    assert not is_back([], 100, 160)


def test_what_docker_tells_of_it() -> None:
    events = [
        Event(99, "die", "llmserve-vllm", "1"),
        Event(100.1, "die", "llmserve-ray-worker", "137"),
        Event(100.5, "start", "llmserve-ray-worker", ""),
        Event(101, "die", "llmserve-vllm", "1"),
        Event(102, "start", "foreign", ""),
        Event(103, "exec_create:", "llmserve-vllm", ""),
    ]
    assert notices_of_docker(events, 100, ("llmserve-ray-worker",)) == [
        Notice(100.5, "Docker started llmserve-ray-worker"),
        Notice(101, "llmserve-vllm ended"),
    ]
    text = "/llmserve-vllm running 2026-11-21T09:00:00.5Z\n/llmserve-ray-head exited 2026-11-21T08:00:00Z\n\n"
    assert starts(text) == [Event(1795251600.5, "start", "llmserve-vllm", "")]
    assert seconds_of("1970-01-01T00:01:00Z") == 60


def test_verdicts_of_the_canary_that_are_new(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = iter(["ok 1", "ok 1", "off", "failed 2", "failed 3"])

    def sh(_node: Node, _script: str, _timeout: float) -> str:
        verdict, _space, check = next(texts, "failed 3").partition(" ")
        if not check:
            raise MeasuringError("the node is off")
        return json.dumps({"verdict": verdict, "last_check": int(check)})

    monkeypatch.setattr(Node, "sh", sh)
    canary = Canary(Node("node1"))
    monkeypatch.setattr(canary._stop, "wait", lambda _seconds: len(canary.seen) == 3)
    canary._read_on()
    assert [notice.what for notice in canary.notices(0)] == ["canary: failed", "canary: failed"]
    assert canary.notices(time.time() + 1) == []


class Endpoint(BaseHTTPRequestHandler):
    """Answers as vLLM does, while it is well."""

    well = True

    def do_POST(self) -> None:
        wishes = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        assert self.headers["Authorization"] == "Bearer secret"
        self.send_response(200 if self.well else 503)
        self.end_headers()
        if wishes.get("stream"):
            self.wfile.write(b"data: {}\n\n" * 3 + (b"data: [DONE]\n\n" if self.well else b""))
        else:
            self.wfile.write(json.dumps({"choices": [{"text": "x"}]}).encode())

    def log_message(self, *_words: object) -> None:
        """Nothing is said of requests."""


@pytest.fixture
def endpoint() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Endpoint)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    Endpoint.well = True


def until(condition: Callable[[], object], seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_load_sees_what_users_see(endpoint: str) -> None:
    with Load(endpoint, "tiny", "secret", interval=0.05) as load:
        until(lambda: len(load.requests(time.time())) > 3 and load.streams)
        assert all(one.good for one in load.requests(time.time()))
        assert all(one.ok for one in load.streams)
        Endpoint.well = False
        until(lambda: not load.requests(time.time())[-1].ok and not load.streams[-1].ok)
        assert "503" in load.requests(time.time())[-1].error
        load.pause()
        count = len(load.requests(time.time()))
        time.sleep(0.3)
        assert len(load.requests(time.time())) == count
        Endpoint.well = True
        load.resume()
        until(lambda: load.requests(time.time())[-1].good)


def test_a_request_that_takes_long_is_one_that_hangs() -> None:
    assert Request(0, 4.9, True).good
    assert not Request(0, 5.1, True).good
    assert not Request(0, 1, False).good
    assert (Request(0, 1, False).felt, Request(0, 30, False).felt) == (1, 5)


def test_a_row_says_what_was_measured() -> None:
    assert recovery_tables.row("a | b", None) == "| a \\| b | not measured yet | | | |"
    measured = {**outcome(100, [*BEFORE, *BAD, *AFTER], [], [Notice(103, "canary: failed")]), "bound": 360}
    assert recovery_tables.row("x", measured) == "| x | 1.5 s | 3.0 s (canary: failed) | 30.2 s | 2, 1 late |"
    lost = {**measured, "came_back": False, "noticed_seconds": None, "noticed_by": ""}
    assert recovery_tables.row("x", lost) == "| x | 1.5 s | never | **not within 360 s** | 2, 1 late |"


def test_the_summary_counts_what_there_is() -> None:
    assert recovery_tables.summary_rows({"machine": "", "rows": {}})[0].endswith("troubles, not measured yet.")
    rows = {"ray/core_killed": {"came_back": True}, "mp/core_killed": {"came_back": False}}
    words = recovery_tables.summary_rows({"machine": "2 cores, 24 GiB", "rows": rows})[0]
    assert words.startswith("2 of ")
    assert "after 1 of them the deployment served again without help" in words


def test_the_summary_compares_with_a_plain_restart_of_the_same_executor() -> None:
    def measured(noticed: float | None, serving: float | None) -> dict[str, Any]:
        return {"came_back": serving is not None, "noticed_seconds": noticed, "serving_seconds": serving}

    rows = {
        "ray/engine_restarted": measured(1, 30),
        "ray/core_killed": measured(10, 45),
        "ray/core_hangs": measured(10.1, 45.1),
        # the power is back after 15 s
        "ray/power_off_worker": measured(9, 60),
        "ray/gpu_lost": measured(None, None),
        # nothing to compare it with
        "mp/core_killed": measured(1, 1),
    }
    words = recovery_tables.summary_rows({"machine": "2 cores", "rows": rows})[0]
    assert "Of the 4 that are no plain restart, 2 were noticed within 10 s, and after 2 it served again" in words
