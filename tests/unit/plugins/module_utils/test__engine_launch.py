# SPDX-License-Identifier: GPL-3.0-or-later
"""How vLLM is started on each host, for either executor."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.llmserve.vllm.plugins.module_utils._engine_launch import (
    Engine,
    Host,
    Launch,
    LaunchError,
    Ray,
    launches,
    settled,
)
from hypothesis import given
from hypothesis import strategies as st

HOSTS = [Host("node-001", "10.0.0.1"), Host("node-002", "10.0.0.2")]
PLANNED = {"tensor_parallel_size": 8, "pipeline_parallel_size": 2}
RAY = Ray("10.0.0.1:6379", "/etc/llmserve/ray_token", "/etc/llmserve/vllm", "/tmp/ray")


def engine(executor: str = "mp", **more: Any) -> Engine:
    common: dict[str, Any] = {"listen": "10.0.0.1", "planned_args": PLANNED, "version": "0.33.0", "ray": RAY}
    return Engine(executor, "/models/llama", "llama", **{**common, **more})


def started(wanted: Engine, hosts: list[Host] | None = None) -> list[Launch]:
    return launches(wanted, HOSTS if hosts is None else hosts).launches


def test_ray_starts_one_engine_as_ever() -> None:
    only = started(engine("ray", engine_args={"max_model_len": 32768}))
    assert [(launch.name, launch.rank, launch.headless, launch.gpus) for launch in only] == [("node-001", 0, False, 0)]
    assert " ".join(only[0].argv) == (
        "/models/llama --max-model-len 32768 --served-model-name llama --host 10.0.0.1 --port 8000 "
        "--distributed-executor-backend ray --tensor-parallel-size 8 --pipeline-parallel-size 2"
    )
    assert only[0].environment == {
        "VLLM_HOST_IP": "10.0.0.1",
        "VLLM_ENGINE_READY_TIMEOUT_S": "7200",
        "VLLM_EXECUTE_MODEL_TIMEOUT_SECONDS": "120",
        "HF_HUB_OFFLINE": "1",
        "VLLM_NO_USAGE_STATS": "1",
        "DO_NOT_TRACK": "1",
        "RAY_ADDRESS": "10.0.0.1:6379",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": "/etc/llmserve/ray_token",
        "RAY_USAGE_STATS_ENABLED": "0",
        "VLLM_CONFIG_ROOT": "/etc/llmserve/vllm",
        "VLLM_RPC_BASE_PATH": "/tmp/ray",
    }


def test_mp_starts_a_rank_on_each_host() -> None:
    head, other = started(engine())
    common = "/models/llama --served-model-name llama --host 10.0.0.1 --port 8000 --distributed-executor-backend mp"
    common += " --tensor-parallel-size 8 --pipeline-parallel-size 2 --nnodes 2 --node-rank {}"
    common += " --master-addr 10.0.0.1 --master-port 29501"
    assert " ".join(head.argv) == common.format(0)
    assert " ".join(other.argv) == common.format(1) + " --headless"
    assert [(launch.rank, launch.headless, launch.gpus) for launch in (head, other)] == [(0, False, 8), (1, True, 8)]
    assert [launch.environment["VLLM_HOST_IP"] for launch in (head, other)] == ["10.0.0.1", "10.0.0.2"]
    assert not any(name.startswith("RAY") for launch in (head, other) for name in launch.environment)


def test_a_single_host_has_no_ranks() -> None:
    (only,) = started(engine(planned_args={"tensor_parallel_size": 8, "pipeline_parallel_size": 1}), HOSTS[:1])
    assert "--nnodes" not in only.argv
    assert only.argv[only.argv.index("--distributed-executor-backend") + 1] == "mp"
    assert only.gpus == 8


def test_the_plan_wins_however_an_argument_is_spelled() -> None:
    (only,) = started(
        engine(engine_args={"tensor-parallel-size": 2}, planned_args={"tensor_parallel_size": 4}), HOSTS[:1]
    )
    assert only.argv.count("--tensor-parallel-size") == 1
    assert only.argv[only.argv.index("--tensor-parallel-size") + 1] == "4"


def test_offload_that_is_left_to_the_plan_never_reaches_vllm_as_a_word() -> None:
    one = {"tensor_parallel_size": 1, "pipeline_parallel_size": 1}
    (none,) = started(engine(engine_args={"cpu_offload_gb": "auto"}, planned_args=one), HOSTS[:1])
    assert "--cpu-offload-gb" not in none.argv
    (some,) = started(
        engine(engine_args={"cpu_offload_gb": "auto"}, planned_args={**one, "cpu_offload_gb": 58.0}), HOSTS[:1]
    )
    assert some.argv[some.argv.index("--cpu-offload-gb") + 1] == "58.0"


def test_dotted_keys_keep_their_dashes() -> None:
    assert settled({"override-config.a-b": 1, "max-model-len": 2}) == {"override_config.a-b": 1, "max_model_len": 2}


@pytest.mark.parametrize(
    ("wanted", "hosts", "words"),
    [
        (engine("slurm"), HOSTS, "it is one of ray and mp"),
        (engine(), [], "no host"),
        (engine("ray", ray=None), HOSTS, "address of the Ray cluster"),
        (engine(engine_args={"node-rank": 1}), HOSTS, "node_rank in llmserve_engine_args"),
        (engine(planned_args={"tensor_parallel_size": 1, "pipeline_parallel_size": 3}), HOSTS, "evenly over 2 hosts"),
        (engine(planned_args={"tensor_parallel_size": 4, "pipeline_parallel_size": 3}), HOSTS, "tear a tensor"),
        (engine(version="0.10.0"), HOSTS, "nnodes"),
        (engine(engine_args={"max-model-len": 1, "max_model_len": 2}), HOSTS, "twice"),
        (engine(engine_args={"max_modle_len": 1}), HOSTS, "max_model_len"),
        (engine(planned_args={"tensor_parallel_size": "many"}), HOSTS[:1], "whole number"),
    ],
)
def test_what_cannot_work_is_refused(wanted: Engine, hosts: list[Host], words: str) -> None:
    with pytest.raises(LaunchError, match=words):
        launches(wanted, hosts)


def test_a_warning_is_said_once_for_all_ranks() -> None:
    assert len(launches(engine(engine_args={"swap_space": 16}), HOSTS).warnings) == 1


@given(nodes=st.integers(1, 16), tensor=st.sampled_from([1, 2, 4, 8]), groups=st.integers(1, 4))
def test_ranks_agree_in_all_but_their_own(nodes: int, tensor: int, groups: int) -> None:
    hosts = [Host(f"n{number}", f"10.0.0.{number + 1}") for number in range(nodes)]
    planned = {"tensor_parallel_size": tensor, "pipeline_parallel_size": nodes * groups}
    found = started(engine(planned_args=planned), hosts)
    assert [launch.rank for launch in found] == list(range(nodes))
    assert [launch.headless for launch in found] == [False] + [True] * (nodes - 1)
    assert {launch.gpus for launch in found} == {tensor * groups}
    if nodes > 1:
        bare = {
            " ".join(launch.argv).replace(f"--node-rank {launch.rank}", "").replace(" --headless", "")
            for launch in found
        }
        assert len(bare) == 1
