# SPDX-License-Identifier: GPL-3.0-or-later
"""The module with a stand-in for Docker and a real HTTP server."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.llmserve.vllm.plugins.module_utils import _ready_watch
from ansible_collections.llmserve.vllm.tests.unit.plugins.fake_docker import FakeDocker, state
from ansible_collections.llmserve.vllm.tests.unit.plugins.fake_server import KEY, MODEL, Script, answer, serving
from ansible_collections.llmserve.vllm.tests.unit.plugins.modules.module_runner import run_module

FIXTURES = Path(__file__).parents[2] / "fixtures" / "vllm_logs"
CLOSED = "http://127.0.0.1:9"


Run = Callable[..., dict[str, Any]]


@pytest.fixture
def docker(tmp_path: Path) -> FakeDocker:
    stand_in = FakeDocker(tmp_path / "bin")
    stand_in.states(state())
    return stand_in


@pytest.fixture
def script() -> Script:
    return Script()


@pytest.fixture
def url(script: Script) -> Iterator[str]:
    with serving(script) as address:
        yield address


@pytest.fixture
def wait(capsys: pytest.CaptureFixture[str]) -> Run:
    def run(docker: FakeDocker | None, url: str = CLOSED, check: bool = False, **args: Any) -> dict[str, Any]:
        given = {"url": url, "api_key": KEY, "model": MODEL, "interval": 0.05, "timeout": 60, **args}
        if "api_key_file" in args:
            del given["api_key"]
        if docker:
            given = {"container": "llmserve-vllm", "docker_cli": docker.path, **given}
        return run_module("vllm_ready", capsys, _ansible_check_mode=check, **given)

    return run


@pytest.mark.parametrize("watched", [True, False])
def test_ready_is_a_real_completion(docker: FakeDocker, url: str, script: Script, watched: bool, wait: Run) -> None:
    result = wait(docker if watched else None, url)
    assert (result["ready"], result["finished"], result["changed"]) == (True, True, False)
    assert result["answer"]["text"] == " city"
    path, payload = script.requests[-1]
    assert (path, payload["max_tokens"]) == ("/v1/completions", 1)


def test_a_green_health_check_is_not_enough(docker: FakeDocker, url: str, script: Script, wait: Run) -> None:
    script.answers["/v1/completions"] = lambda handler, payload: time.sleep(1)
    result = wait(docker, url, answer_timeout=0.3)
    assert result["failed"]
    assert result["reason_kind"] == "hangs"
    assert "the engine hangs: its health check has been green for" in result["msg"]


def test_an_empty_answer_is_not_ready(docker: FakeDocker, url: str, script: Script, wait: Run) -> None:
    script.answers["/v1/completions"] = lambda handler, payload: handler.reply(answer({"text": ""}, tokens=0))
    result = wait(docker, url, timeout=0.3)
    assert result["reason_kind"] == "timeout"
    assert "came back with an empty answer" in result["msg"]


def test_a_refused_key_ends_the_wait(docker: FakeDocker, url: str, wait: Run) -> None:
    result = wait(docker, url, api_key="sk-wrong")
    assert (result["failed"], result["reason_kind"]) == (True, "unauthorized")
    assert "API key refused" in result["msg"]
    assert "sk-wrong" not in str(result)


def test_a_key_from_a_file_is_as_secret(docker: FakeDocker, url: str, tmp_path: Path, wait: Run) -> None:
    (tmp_path / "key").write_text(KEY + "\n")
    assert wait(docker, url, api_key_file=str(tmp_path / "key"))["ready"]
    docker.states(state("exited", exit_code=1))
    docker.log("non-default args: {'api_key': '" + KEY + "'}\n")
    result = wait(docker, url, api_key_file=str(tmp_path / "key"))
    assert result["failed"]
    assert KEY not in str(result)
    missing = wait(docker, url, api_key_file=str(tmp_path / "absent"))
    assert missing["msg"].startswith("Cannot ask")
    (tmp_path / "empty").write_text("\n")
    assert "the key in" in wait(docker, url, api_key_file=str(tmp_path / "empty"))["msg"]


def test_a_wrong_name_ends_the_wait(docker: FakeDocker, url: str, wait: Run) -> None:
    assert wait(docker, url, model="acme/other")["reason_kind"] == "model_not_found"


@pytest.mark.parametrize(
    ("states", "args", "words"),
    [
        ([None], {}, "does not exist"),
        ([state("exited", exit_code=2)], {}, "not running: exited, exit code 2"),
        ([state("restarting", restarts=1, exit_code=2)], {"restarts_before": 0}, "died and Docker restarted it"),
        ([state(restarts=1)], {"restarts_before": 0}, "died and Docker restarted it"),
        ([state(restarts=4), state(restarts=5)], {}, "5 restarts, 4 when the wait began"),
    ],
)
def test_a_dead_container_ends_the_wait(
    docker: FakeDocker, states: list[Any], args: dict[str, Any], words: str, wait: Run
) -> None:
    docker.states(*states)
    result = wait(docker, **args)
    assert (result["failed"], result["reason_kind"]) == (True, "died")
    assert words in result["msg"]
    assert result["elapsed"] < 10


def test_the_diagnosis_is_in_the_message(docker: FakeDocker, wait: Run) -> None:
    docker.states(state(), state("exited", exit_code=2))
    docker.log((FIXTURES / "unknown_flag_0.32.log").read_text() + "the key is " + KEY + "\n")
    result = wait(docker)
    assert result["diagnosis"][0]["cause"] == "unknown_flag"
    assert "vLLM does not know an option" in result["msg"]
    assert "Take the option out of llmserve_engine_args" in result["msg"]
    assert "error: unrecognized arguments: --tensor-paralel-size 2" in result["msg"]
    assert KEY not in str(result)
    assert any("--since 2026-11-21T09:00:00Z" in call for call in docker.calls())


def test_a_start_that_stands_still_is_told(docker: FakeDocker, wait: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_ready_watch, "SILENT_SECONDS", 0.2)
    docker.log("(EngineCore pid=1) INFO 11-21 [x.py:1] Starting to load model /m...\n")
    result = wait(docker, timeout=0.6)
    assert result["reason_kind"] == "timeout"
    assert "last seen: loading the model, nothing new in its log for" in result["msg"]
    # the time before is that of earlier slices
    known = {"elapsed": 100, "log_mark": result["resume"]["log_mark"], "log_at": 5, "restarts_before": 0}
    known["since"] = "2026-11-21T09:00:00Z"
    later = wait(docker, resume=known, slice=0.2)
    assert later["progress"] == "loading the model, nothing new in its log for 1 min 35 s"
    assert later["figures"]["silent_seconds"] == 95
    docker.log("(EngineCore pid=1) INFO 11-21 [x.py:1] Loading weights took 31.46 seconds\n")
    assert wait(docker, resume=known, slice=0.1)["progress"] == "weights loaded in 31.46 s"


def test_how_it_died_is_known_after_docker_has_restarted_it(docker: FakeDocker, wait: Run) -> None:
    docker.states(state(restarts=1))
    docker.events("start <no value>", "die 137", "start <no value>")
    result = wait(docker, restarts_before=0)
    assert result["diagnosis"][0]["cause"] == "engine_killed"
    assert "Docker says exit code 137" in result["msg"]


def test_the_log_of_the_run_that_died_is_read(docker: FakeDocker, wait: Run) -> None:
    docker.states(state(restarts=1))
    docker.log("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB.\n")
    result = wait(docker, restarts_before=0)
    assert result["diagnosis"][0]["cause"] == "cuda_oom"
    # the present run has only begun after the crash
    assert any("--since 2026-11-21T08:59:58Z" in call for call in docker.calls())


def test_a_death_without_a_known_cause(docker: FakeDocker, wait: Run) -> None:
    docker.states(state("exited", exit_code=1))
    docker.log("gibberish\n")
    result = wait(docker)
    assert result["diagnosis"] == []
    assert result["log_tail"] == ["gibberish"]
    assert "read log_tail" in result["msg"]


def test_progress_of_a_slice(docker: FakeDocker, wait: Run) -> None:
    docker.log("Loading safetensors checkpoint shards:  45% Completed | 86/191 [10:21<12:41,  7.25s/it]\r")
    result = wait(docker, slice=0.2)
    assert (result["finished"], result["ready"]) == (False, False)
    assert result["progress"] == "loading weights: 86 of 191 shards (45 %), 12:41 left"
    assert result["figures"]["percent"] == 45
    assert result["resume"]["restarts_before"] == 0


def test_a_slow_first_answer_asks_for_a_longer_slice(docker: FakeDocker, url: str, script: Script, wait: Run) -> None:
    def slow(handler: Any, payload: Any) -> None:
        time.sleep(0.6)
        handler.reply(answer({"text": "x"}))

    script.answers["/v1/completions"] = slow
    first = wait(docker, url, slice=0.2, request_timeout=3)
    assert (first["finished"], first["resume"]["slice"]) == (False, 8)
    assert first["progress"] == "the engine is up, waiting for its first answer"
    second = wait(docker, url, slice=first["resume"]["slice"], resume=first["resume"], request_timeout=3)
    assert second["ready"]


def test_slices_share_the_clock_of_a_hang(docker: FakeDocker, url: str, script: Script, wait: Run) -> None:
    script.answers["/v1/completions"] = lambda handler, payload: time.sleep(1)
    resume = {"elapsed": 400, "healthy_at": 50, "restarts_before": 0, "since": "2026-11-21T09:00:00Z"}
    result = wait(docker, url, timeout=3600, slice=0.2, resume=resume)
    assert result["reason_kind"] == "hangs"
    assert "green for 5 min 50 s, but no completion came back" in result["msg"]


def test_the_timeout_tells_what_was_last_seen(docker: FakeDocker, wait: Run) -> None:
    docker.log("Waiting for creating a placement group of specs for 70 seconds. specs=[{'GPU': 1.0}]\n")
    result = wait(docker, timeout=0.1)
    assert result["reason_kind"] == "timeout"
    assert "last seen: waiting 70 s for a Ray placement group" in result["msg"]
    assert result["diagnosis"][0]["cause"] == "insufficient_ray_resources"


def test_check_mode_looks_once(docker: FakeDocker, url: str, wait: Run) -> None:
    assert wait(docker, url, check=True)["ready"]
    docker.states(None)
    result = wait(docker, check=True)
    assert not result.get("failed")
    assert (result["ready"], result["changed"]) == (False, False)


def test_without_a_container_the_endpoint_says_why(wait: Run) -> None:
    result = wait(None, timeout=0.1)
    assert result["progress"] == "no answer yet: Nothing listens at http://127.0.0.1:9 (connection refused)"


def test_an_address_that_makes_no_sense(docker: FakeDocker, wait: Run) -> None:
    assert "url must be like" in wait(docker, "ftp://x")["msg"]


def test_a_headless_rank_asks_nobody(docker: FakeDocker, url: str, script: Script, wait: Run) -> None:
    result = wait(docker, url, headless=True, timeout=0.3)
    assert (result["failed"], result["reason_kind"]) == (True, "timeout")
    assert "a rank of http" in result["msg"]
    assert script.requests == []


def test_a_headless_rank_that_dies_is_diagnosed(docker: FakeDocker, url: str, wait: Run) -> None:
    docker.states(state(), state("restarting", restarts=1, exit_code=2))
    docker.log("vllm: error: unrecognized arguments: --swap-space 16\n")
    result = wait(docker, url, headless=True, restarts_before=0)
    assert (result["failed"], result["reason_kind"]) == (True, "died")
    assert result["diagnosis"][0]["cause"] == "unknown_flag"


def test_a_slice_of_a_headless_rank_says_how_far_it_is(docker: FakeDocker, url: str, wait: Run) -> None:
    docker.log("Loading safetensors checkpoint shards:  45% Completed | 86/191 [10:15<12:41,  7.25s/it]\n")
    result = wait(docker, url, headless=True, slice=0.2)
    assert (result["finished"], result["ready"]) == (False, False)
    assert "86 of 191 shards" in result["progress"]
    assert "container" in wait(None, url, headless=True)["msg"]


def test_a_start_that_stands_still_for_too_long_is_ended(docker: FakeDocker, wait: Run) -> None:
    docker.log("(EngineCore pid=1) INFO 11-21 [x.py:1] Starting to load model /m...\n")
    known = {"elapsed": 2000, "log_mark": wait(docker, timeout=0.2)["resume"]["log_mark"], "log_at": 5}
    known.update(restarts_before=0, since="2026-11-21T09:00:00Z")
    result = wait(docker, resume=known, stall_timeout=1800, timeout=9000)
    assert result["reason_kind"] == "stalled"
    assert "it hangs while it loads: loading the model, nothing new in its log for 33 min" in result["msg"]
    patient = wait(docker, resume=known, stall_timeout=0, timeout=9000, slice=0.1)
    assert not patient.get("failed")
