# SPDX-License-Identifier: GPL-3.0-or-later
"""The lock file: made of what runs, compared in words."""

from __future__ import annotations

import json

import pytest
from ansible_collections.llmserve.vllm.plugins.module_utils._lock import (
    differences,
    make,
    read,
    running_deployment,
    same,
    validate,
)
from ansible_collections.llmserve.vllm.tests.unit.plugins.doctor_hosts import COMMIT, PATH, container, head, versions

RUNNING = running_deployment(head()["facts"])


def test_it_names_what_runs() -> None:
    assert RUNNING == {
        "image": {"name": "vllm/vllm-openai:v0.33.0", "id": "sha256:1", "digest": "sha256:feed"},
        "model": {"path": PATH, "repo": "acme/tiny", "commit": COMMIT},
        "engine_args": {"tensor_parallel_size": "8", "max_model_len": "1024"},
        "versions": {
            "driver": "580.95.05",
            "nccl": "2.28.1",
            "python": "3.12.3",
            "ray": "2.56.1",
            "torch": "2.14.0",
            "vllm": "0.33.0",
        },
        "nodes": {"10.0.0.1": "8 GPUs", "10.0.0.2": "8 GPUs"},
    }
    assert running_deployment(head(containers=[])["facts"]) == {}


def test_time_and_speed_make_no_deployment_another_one() -> None:
    before = make(RUNNING, {"tokens_per_second": 30.1}, "2026-11-21T09:00:00Z")
    after = make(RUNNING, {"tokens_per_second": 31.9}, "2026-11-22T09:00:00Z")
    assert same(before, after)
    assert not same(None, after)
    # and so it is after a round through the file
    assert same(read(json.dumps(before))[0], after)


def test_the_difference_in_words() -> None:
    changed = head(
        containers=[container("ray_head"), container("vllm", image="vllm/vllm-openai:v0.34.0", image_id="sha256:2")],
        versions=versions("0.34.0"),
    )["facts"]
    changed["containers"][1]["command"] = [
        PATH.replace("b" * 40, "c" * 40),
        "--max-model-len",
        "2048",
        "--enforce-eager",
    ]
    words = differences(RUNNING, running_deployment(changed))
    assert words == [
        "image: vllm/vllm-openai:v0.34.0, was vllm/vllm-openai:v0.33.0",
        f"path of the model: {PATH.replace('b' * 40, 'c' * 40)}, was {PATH}",
        f"commit of the model: {'c' * 40}, was {COMMIT}",
        "argument tensor_parallel_size: gone, was 8",
        "argument max_model_len: 2048, was 1024",
        "vLLM: 0.34.0, was 0.33.0",
        "argument enforce_eager: set, which the lock file has not",
    ]


def test_what_one_side_does_not_know_is_no_difference_where_only_both_count() -> None:
    kept = {**RUNNING, "request": {"llmserve_model": "acme/tiny"}}
    without_nodes = {key: value for key, value in RUNNING.items() if key != "nodes"}
    assert differences(kept, without_nodes, shared=True) == []
    assert len(differences(kept, without_nodes)) == 3


@pytest.mark.parametrize(
    ("lock", "problem"),
    [
        ([], "it is not an object"),
        ({"format": 2}, "its format is 2, and this release knows 1"),
        ({"format": 1}, "it has no deployment"),
        (make({**RUNNING, "image": {}}, {}, ""), "its deployment has no image.name"),
    ],
)
def test_what_nobody_could_go_back_to_is_no_lock_file(lock: object, problem: str) -> None:
    assert validate(lock) == [problem]
    assert read(json.dumps(lock)) == (None, problem)


def test_no_file_is_no_problem_and_nonsense_is_one() -> None:
    assert read(None) == (None, "")
    assert "not JSON" in read("{")[1]
