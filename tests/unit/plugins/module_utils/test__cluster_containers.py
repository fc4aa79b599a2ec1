# SPDX-License-Identifier: GPL-3.0-or-later
"""Containers as Docker describes them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.llmserve.vllm.plugins.module_utils._cluster_containers import (
    containers,
    engine_args,
    engine_command,
    epoch,
    log_since,
    model_of,
    read_container,
    without_secrets,
)
from ansible_collections.llmserve.vllm.plugins.module_utils._container import CliResult

COMMIT = "b" * 40
PATH = f"/srv/hub/models--acme--tiny-llama/snapshots/{COMMIT}"
ARGS = ["-c", 'exec vllm serve "$@"', "vllm-serve", PATH, "--max-model-len", "1024", "--enforce-eager"]


def line(name: str = "llmserve-vllm", component: str = "vllm", **state: Any) -> str:
    """What inspect prints of one container."""
    known = {"Status": "running", "ExitCode": 0, "OOMKilled": False, "Error": ""}
    times = {"StartedAt": "2026-11-21T09:00:00.123456789Z", "FinishedAt": "0001-01-01T00:00:00Z"}
    return json.dumps(
        {
            "id": "4f1c",
            "name": f"/{name}",
            "created": "2026-11-21T08:00:00Z",
            "restarts": state.pop("restarts", 0),
            "state": {**known, **times, **state},
            "image": "vllm/vllm-openai:v0.33.0",
            "image_id": "sha256:1",
            "labels": {"llmserve.cluster": "llmserve", "llmserve.component": component},
            "policy": "unless-stopped",
            "args": ARGS,
        }
    )


def test_all_of_a_cluster_with_the_digest_of_their_image() -> None:
    asked: list[list[str]] = []

    def run(argv: list[str], _seconds: float) -> CliResult:
        asked.append(argv)
        if argv[1] == "ps":
            return CliResult(0, "4f1c\n77aa\n", "")
        if argv[1] == "inspect":
            return CliResult(1, line("b") + "\n" + line("a") + "\n", "Error: No such container: x")
        return CliResult(0, '["vllm/vllm-openai@sha256:feed"]\n', "")

    found = containers("docker", "prod", run)
    assert [item["name"] for item in found] == ["a", "b"]
    assert {item["image_digest"] for item in found} == {"sha256:feed"}
    assert "label=llmserve.cluster=prod" in asked[0]
    assert not any("Config.Env" in word for argv in asked for word in argv)


def test_a_container_of_the_engine() -> None:
    found = read_container(line(FinishedAt="2026-11-21T08:59:00Z", OOMKilled=True, restarts=2))
    assert found
    assert (found["status"], found["restarts"], found["oom_killed"]) == ("running", 2, True)
    assert (found["finished"], found["started"]) == (1795251540, 1795251600)
    assert found["command"][0] == PATH
    assert model_of(found["command"]) == {"path": PATH, "repo": "acme/tiny-llama", "commit": COMMIT}
    assert engine_args(found["command"]) == {"max_model_len": "1024", "enforce_eager": True}


@pytest.mark.parametrize("text", ["", "null", "[]", '{"id": 1}', "Error: No such container"])
def test_what_is_no_container(text: str) -> None:
    assert read_container(text) is None


def test_times() -> None:
    assert epoch("2026-11-21T10:00:00+01:00") == epoch("2026-11-21T09:00:00.5Z") == 1795251600
    assert epoch("2026-11-21T07:30:00-01:30") == 1795251600
    assert epoch("0001-01-01T00:00:00Z") is None
    assert epoch("yesterday") is None


def test_arguments_in_all_their_forms() -> None:
    assert engine_args(["m", "--a-b=1", "--list", "x", "y", "--flag", "--", "-1"])["list"] == "x y"
    assert engine_args([]) == {}
    assert engine_command(["start", "--head"]) == ["start", "--head"]
    assert model_of([]) == {"path": "", "repo": "", "commit": ""}
    assert model_of(["meta/llama"])["path"] == "meta/llama"


def test_a_secret_argument_is_taken_out_also_when_it_stands_alone() -> None:
    words = ["m", "--api-key", "opensesame", "--max-model-len", "1024", "--api-key=opensesame", "--tokenizer", "t"]
    clean = without_secrets(words)
    assert "opensesame" not in " ".join(clean)
    assert [clean[0], clean[1], *clean[3:5], *clean[6:]] == [
        "m",
        "--api-key",
        "--max-model-len",
        "1024",
        "--tokenizer",
        "t",
    ]


@pytest.mark.parametrize(
    ("state", "since"),
    [
        ({}, 1795251600),
        ({"Status": "exited"}, 1795251600),
        ({"restarts": 1}, 1795248000),
        ({"Status": "restarting"}, 1795248000),
    ],
)
def test_a_log_begins_with_the_present_run_or_before_the_deaths(state: dict[str, Any], since: int) -> None:
    found = read_container(line(**state))
    assert found
    assert log_since(found) == since
