# SPDX-License-Identifier: GPL-3.0-or-later
"""What an endpoint says of itself, against a real server."""

from __future__ import annotations

import time

from ansible_collections.llmserve.vllm.plugins.module_utils._endpoint_facts import ask_endpoint
from ansible_collections.llmserve.vllm.plugins.module_utils._openai import Endpoint
from ansible_collections.llmserve.vllm.tests.unit.plugins.fake_server import KEY, MODEL, Script, serving


def test_a_server_that_works() -> None:
    script = Script()
    script.answers = {
        "/version": lambda handler, _body: handler.reply({"version": "0.33.0"}),
        "/metrics": lambda handler, _body: handler.reply("vllm:num_requests_running 2.0\n"),
    }
    with serving(script) as url:
        facts = ask_endpoint(Endpoint(url, KEY), "", 5)
    assert (facts["healthy"], facts["version"], facts["models"], facts["error"]) == (True, "0.33.0", [MODEL], None)
    assert facts["figures"] == {"requests_running": 2}
    assert facts["answer_seconds"] >= 0


def test_one_that_hangs_behind_a_green_health_check() -> None:
    script = Script()
    script.answers["/v1/completions"] = lambda _handler, _body: time.sleep(3)
    with serving(script) as url:
        facts = ask_endpoint(Endpoint(url, KEY), MODEL, 0.3)
    assert (facts["healthy"], facts["error_kind"], facts["answer_seconds"]) == (True, "timeout", None)


def test_one_that_wants_another_key() -> None:
    with serving(Script()) as url:
        facts = ask_endpoint(Endpoint(url, "wrong"), MODEL, 5)
    assert (facts["healthy"], facts["error_kind"]) == (True, "unauthorized")


def test_none_at_all() -> None:
    facts = ask_endpoint(Endpoint("http://127.0.0.1:1", KEY), MODEL, 5)
    assert (facts["healthy"], facts["error_kind"]) == (False, "connection_refused")
