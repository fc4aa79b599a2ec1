# SPDX-License-Identifier: GPL-3.0-or-later
"""The failures of the table, what is read of a run, and docs/failures.md."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.llmserve.vllm.plugins.module_utils._diagnosis.catalogue import SLUGS
from ansible_collections.llmserve.vllm.tests import failure_tables
from ansible_collections.llmserve.vllm.tests.failures.failures import BY_NAME, FAILURES
from ansible_collections.llmserve.vllm.tests.failures.fault import HOME, LLAMA, SERVING, STRIKE, Failure
from ansible_collections.llmserve.vllm.tests.failures.measure import RESULTS, Message, judge, names_it, problem
from ansible_collections.llmserve.vllm.tests.generated_page import rendered
from ansible_collections.llmserve.vllm.tests.measuring import (
    ROOT,
    Event,
    MeasuringError,
    Play,
    Results,
    choose,
    read_events,
    read_results,
    read_time,
    shown_json,
)
from ansible_collections.llmserve.vllm.tests.recovery.troubles import TROUBLES

ANY = Failure("any", "something fails", ("the port", "8000"), "port_in_use")
GOOD = Message(105.5, "llmserve.vllm.vllm_ready", "The port 8000 is taken.", "port_in_use")


def test_the_page_is_up_to_date() -> None:
    page = failure_tables.PAGE.read_text(encoding="utf-8")
    assert rendered(page, failure_tables.tables(read_results(RESULTS))) == page


def test_each_failure_has_a_name_of_its_own_and_a_cause_that_is_known() -> None:
    assert len(BY_NAME) == len(FAILURES) >= 28
    for failure in FAILURES:
        assert failure.words, failure.name
        known = failure.cause.partition("/")[0]
        assert not known or known in SLUGS or failure.way == SERVING, failure.name
        assert bool(failure.strike) is (failure.since == STRIKE) or failure.name == "memory_limit", failure.name
        # what was done is undone, but for what a run of the role does again
        assert not failure.do or failure.undo, failure.name


def scripts() -> Iterator[str]:
    for failure in FAILURES:
        yield from (failure.do, failure.undo, failure.peer_do, failure.peer_undo, failure.strike)
    for trouble in TROUBLES:
        yield from (trouble.strike, trouble.heal)


def test_each_script_is_one_for_bash() -> None:
    for script in filter(None, scripts()):
        done = subprocess.run(["bash", "-n", "-c", script], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, ""), script


SPOILT = {
    "config_missing": "config.json",
    "config_corrupt": "config.json",
    "unknown_architecture": "config.json",
    "kv_cache_too_small": "config.json",
    "shard_missing": "model-00001-of-00002.safetensors",
    "shard_corrupt": "model-00001-of-00002.safetensors",
    "shard_truncated": "model-00001-of-00002.safetensors",
    "shard_header_truncated": "model-00001-of-00002.safetensors",
    "tokenizer_missing": "tokenizer.json",
}


@pytest.mark.parametrize("name", SPOILT)
def test_a_copy_of_the_model_is_spoilt_and_the_model_is_not(name: str, tmp_path: Path) -> None:
    original = tmp_path / "hub" / f"models--{LLAMA}" / "snapshots" / ("a" * 40)
    original.mkdir(parents=True)
    config = json.dumps({"architectures": ["LlamaForCausalLM"], "max_position_embeddings": 4096, "x": "y" * 200})
    (original / "config.json").write_text(config)
    (original / "tokenizer.json").write_text("{}")
    for number in (1, 2):
        (original / f"model-0000{number}-of-00002.safetensors").write_bytes(bytes(4000))
    before = {path.name: path.read_bytes() for path in original.iterdir()}
    failure = BY_NAME[name]
    folder = Path(str(failure.variables["vllm_serve_model_path"]).replace(HOME, str(tmp_path)))

    def run(script: str) -> None:
        subprocess.run(["bash", "-c", script.replace(HOME, str(tmp_path))], check=True)

    run(failure.do)
    after = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert {file for file in before if after.get(file) != before[file]} == {SPOILT[name]}
    assert {path.name: path.read_bytes() for path in original.iterdir()} == before
    run(failure.undo)
    assert not folder.exists()


def test_what_is_measured_is_about_failures_that_there_are() -> None:
    assert set(read_results(RESULTS)["rows"]) <= set(BY_NAME)


def test_a_message_has_to_name_the_cause() -> None:
    assert names_it(ANY, GOOD)
    assert names_it(ANY, GOOD._replace(cause="port_in_use/ray"))
    assert not names_it(ANY, GOOD._replace(cause="port_in_used"))
    assert not names_it(ANY, GOOD._replace(text="The port is taken."))
    assert names_it(ANY._replace(cause=""), GOOD._replace(cause=""))


def test_the_first_message_that_names_it_counts() -> None:
    other = Message(101, "ansible.builtin.file", "Something else.")
    found = judge(ANY, 100, [other, GOOD, GOOD._replace(at=120)])
    assert found == {
        "named": True,
        "noticed_by": "llmserve.vllm.vllm_ready",
        "cause": "port_in_use",
        "message": "The port 8000 is taken.",
        "seconds": 5.5,
    }
    assert problem(ANY, found) == ""
    missed = judge(ANY, 100, [other])
    assert (missed["named"], missed["message"]) == (False, "Something else.")
    assert "not named" in problem(ANY, missed)
    assert "Nothing was said" in problem(ANY, judge(ANY, 100, []))
    assert "nobody knows when" in problem(ANY, judge(ANY, None, [GOOD]))
    late = judge(ANY, 80, [GOOD])
    assert "25.5 s" in problem(ANY, late)
    assert problem(ANY._replace(late="it waits for somebody"), late) == ""


def test_the_time_of_each_line_of_a_play_is_kept() -> None:
    run = Play(100)
    diagnosis = [{"cause": "weights_corrupt", "detail": "truncated"}]
    result = {"msg": f"Broken:\n  {ROOT}/roles/x", "action": "x", "diagnosis": diagnosis}
    run.hear(101, "  node1: starting (1 s)")
    run.hear(102, json.dumps({"_event": "v2_runner_on_ok", "task": {"name": "a"}, "hosts": {"node1": {}}}))
    failed = {"_event": "v2_runner_on_failed", "task": {"name": "Wait"}, "hosts": {"node1": result}}
    run.hear(103, json.dumps(failed))
    loop = {"msg": "One or more items failed", "results": [{"failed": True, "msg": "No space left"}, {"msg": "fine"}]}
    run.hear(104, json.dumps({**failed, "hosts": {"node2": loop}}))
    first, second = run.failures
    assert (first.at, first.host, first.task, first.message) == (103, "node1", "Wait", "Broken: roles/x")
    assert (first.cause, second.cause, second.message) == ("weights_corrupt/truncated", "", "No space left")
    assert run.first_line("STARTING") == 101
    assert run.first_line("never") is None
    run.rc = 2
    with pytest.raises(MeasuringError, match="node1, Wait: Broken"):
        run.must_succeed()


def test_what_docker_says_of_a_container() -> None:
    text = (
        "1700000000500000000 start llmserve-vllm <no value>\n"
        "1700000001000000000 die llmserve-vllm 137\n"
        "1700000002000000000 oom llmserve-vllm <no value>\n\nnonsense\n"
    )
    assert list(read_events(text)) == [
        Event(1700000000.5, "start", "llmserve-vllm", ""),
        Event(1700000001.0, "die", "llmserve-vllm", "137"),
        Event(1700000002.0, "oom", "llmserve-vllm", ""),
    ]


def test_texts_of_scripts_and_playbooks() -> None:
    assert read_time("1700000000.25\nllmserve-vllm\n") == 1700000000.25
    for text in ("", "no such process"):
        with pytest.raises(MeasuringError):
            read_time(text)
    assert shown_json('before\n{\n    "findings": []\n}\nafter\n') == {"findings": []}
    with pytest.raises(MeasuringError):
        shown_json("nothing")
    assert choose(["a", "b"], "") == ["a", "b"]
    assert choose(["a", "b"], "b") == ["b"]
    with pytest.raises(SystemExit, match="There is no c"):
        choose(["a", "b"], "c")


def test_results_are_kept_one_by_one(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    assert read_results(path)["rows"] == {}
    Results(path).keep("a", {"seconds": 1})
    Results(path).keep("b", {"seconds": 2})
    assert read_results(path)["rows"] == {"a": {"seconds": 1}, "b": {"seconds": 2}}


def test_a_row_says_what_was_measured_and_nothing_else() -> None:
    assert failure_tables.row(ANY, None) == "| something fails | not measured yet | | |"
    measured = judge(ANY, 100, [GOOD])
    assert failure_tables.row(ANY, measured) == (
        "| something fails | llmserve.vllm.vllm_ready, `port_in_use` | 5.5 s | The port 8000 is taken. |"
    )
    wrong = failure_tables.row(ANY, judge(ANY, 100, [GOOD._replace(cause="", text="a | b <c>")]))
    assert "**not the cause**: a \\| b &lt;c>" in wrong
    waits = failure_tables.row(ANY._replace(late="it waits"), {**measured, "hint_seconds": 2.25})
    assert "5.5 s, shown while it waits after 2.2 s (it waits)" in waits


def test_the_summary_counts_what_there_is() -> None:
    nothing = {"machine": "", "rows": {}}
    assert failure_tables.summary_rows(nothing) == [f"{len(FAILURES)} failures, not measured yet."]
    rows = {failure.name: judge(ANY, 100, [GOOD]) for failure in FAILURES[:2]}
    words = failure_tables.summary_rows({"machine": "2 cores, 24 GiB", "rows": rows})[0]
    assert f"2 of {len(FAILURES)} failures measured on 2 cores, 24 GiB, 2 with the true cause." in words
    assert "2 of 2 within 15 s" in words
