# SPDX-License-Identifier: GPL-3.0-or-later
"""The module against a real server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from ansible_collections.llmserve.vllm.tests.unit.plugins.fake_server import KEY, MODEL, Script, answer, serving
from ansible_collections.llmserve.vllm.tests.unit.plugins.modules.module_runner import run_module

Run = Callable[..., dict[str, Any]]


@pytest.fixture
def script() -> Script:
    return Script()


@pytest.fixture
def url(script: Script) -> Iterator[str]:
    with serving(script) as address:
        yield address


@pytest.fixture
def smoke(capsys: pytest.CaptureFixture[str]) -> Run:
    def run(url: str, check: bool = False, **args: Any) -> dict[str, Any]:
        given = {"url": url, "api_key": KEY, "model": MODEL, **args}
        return run_module("openai_smoke", capsys, _ansible_check_mode=check, **given)

    return run


@pytest.mark.parametrize("check", [False, True])
def test_everything_answers(url: str, check: bool, smoke: Run) -> None:
    result = smoke(url, check=check, expect="arlington|texas")
    assert result["changed"] is False
    assert result["passed"] == ["models", "completion", "chat", "stream"]
    assert (result["model"], result["models"], result["max_model_len"]) == (MODEL, [MODEL], 2048)
    assert result["completion"]["text"] == " city"
    assert result["chat"]["completion_tokens"] == 4
    assert result["stream"]["ttft_seconds"] > 0
    assert KEY not in str(result)


def test_the_default_questions(url: str, script: Script, smoke: Run) -> None:
    smoke(url + "/v1")
    asked = [payload for path, payload in script.requests if payload]
    assert asked[1]["messages"][0]["content"] == "Where was the 2020 World Series played?"
    assert asked[2]["stream_options"] == {"include_usage": True}


def test_without_a_name_the_first_model_is_asked(url: str, smoke: Run) -> None:
    result = smoke(url, model=None, checks=["completion"])
    assert (result["model"], result["passed"]) == (MODEL, ["completion"])


def test_a_wrong_model(url: str, smoke: Run) -> None:
    result = smoke(url, model="acme/other")
    assert result["failed"]
    assert (result["check"], result["reason_kind"], result["passed"]) == ("models", "model_not_found", [])
    assert "acme/tiny" in result["msg"]


def test_an_unexpected_answer(url: str, smoke: Run) -> None:
    result = smoke(url, expect="Los Angeles")
    assert (result["check"], result["reason_kind"]) == ("chat", "unexpected_answer")
    assert result["completion"]["text"] == " city"


def test_an_empty_answer(url: str, script: Script, smoke: Run) -> None:
    script.answers["/v1/completions"] = lambda handler, payload: handler.reply(answer({"text": ""}, tokens=0))
    assert smoke(url)["reason_kind"] == "empty_answer"


def test_the_key(url: str, script: Script, smoke: Run) -> None:
    assert smoke(url, api_key="sk-wrong")["reason_kind"] == "unauthorized"
    assert smoke(url, checks=["auth", "models"])["passed"] == ["models", "auth"]
    script.api_key = ""
    result = smoke(url, checks=["auth"])
    assert result["reason_kind"] == "unprotected"
    assert "give api_key" in smoke(url, checks=["auth"], api_key=None)["msg"]


@pytest.mark.parametrize("args", [{"url": "ftp://x"}, {"expect": "("}])
def test_arguments_that_make_no_sense(url: str, args: dict[str, str], smoke: Run) -> None:
    result = smoke(**{"url": url, **args})
    assert result["failed"]
    assert result["msg"].startswith("Cannot ask")
