# SPDX-License-Identifier: GPL-3.0-or-later
"""Progress read from logs, and what Docker adds to a diagnosis."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.llmserve.vllm.plugins.module_utils._container import ContainerState
from ansible_collections.llmserve.vllm.plugins.module_utils._openai import ApiError
from ansible_collections.llmserve.vllm.plugins.module_utils._ready import explain_death, is_final, read_progress

FIXTURES = Path(__file__).parents[2] / "fixtures" / "vllm_logs"


@pytest.mark.parametrize(
    ("log", "stage", "sentence"),
    [
        ("", "start", "starting"),
        (
            "(RayWorkerProc pid=7, ip=10.0.0.2) \rLoading safetensors checkpoint shards:  45% Completed | 86/191 "
            "[10:21<12:41,  7.25s/it]\r",
            "load",
            "loading weights: 86 of 191 shards (45 %), 12:41 left",
        ),
        ("Loading safetensors checkpoint shards:   0% Completed | 0/191 [00:00<?, ?it/s]", "load",
         "loading weights: 0 of 191 shards (0 %)"),
        ("Multi-thread loading shards: 100% Completed | 4/4 [00:02<00:00,  1.9it/s]", "load",
         "loading weights: 4 of 4 shards (100 %)"),
        ("Loading safetensors using Runai Model Streamer:  50% Completed | 145/290 [00:02<00:02, 9it/s]", "load",
         "loading weights: 145 of 290 shards (50 %), 00:02 left"),
        ("Fetching 191 files:   5%|▌         | 9/191 [00:10<03:20,  1.1s/it]", "download",
         "downloading the model: 9 of 191 files (4 %), 03:20 left"),
        ("(EngineCore pid=1) INFO 11-21 01:46:58 [ray_utils.py:467] Waiting for creating a placement group of specs "
         "for 70 seconds. specs=[{'GPU': 1.0}]", "placement_group",
         "waiting 70 s for a Ray placement group: GPUs are missing or busy"),
        ("llmserve group guard: waiting for the first one at 10.0.0.1:29520 for 30 s: timed out", "head",
         "waiting for the first one at 10.0.0.1:29520 for 30 s: its container has to run there"),
        ("(Worker pid=1) INFO 11-21 [x.py:1] Loading weights took 31.46 seconds", "load", "weights loaded in 31.46 s"),
        ("Model loading took 14.99 GiB memory and 31.46 seconds", "load",
         "weights loaded: 14.99 GiB per GPU in 31.46 s"),
        ("Model loading took 14.9888 GiB and 31.460000 seconds", "load",
         "weights loaded: 14.9888 GiB per GPU in 31.460000 s"),
        ("Available KV cache memory: 51.38 GiB", "kv_cache", "KV cache: 51.38 GiB per GPU"),
        ("GPU KV cache size: 147,888 tokens", "kv_cache", "KV cache: 147,888 tokens"),
        ("Capturing CUDA graphs (mixed prefill-decode, PIECEWISE):  45%|████▍     | 30/67 [00:05<00:07,  5.3it/s]",
         "graphs", "capturing CUDA graphs: 30 of 67 (44 %), 00:07 left"),
        ("INFO:     Application startup complete.", "api", "the API server is up"),
    ],
)  # fmt: skip
def test_progress(log: str, stage: str, sentence: str) -> None:
    found = read_progress("INFO something before\n" + log + "\nINFO something after\n")
    assert (found.stage, found.sentence) == (stage, sentence)


def test_figures() -> None:
    found = read_progress((FIXTURES / "loading_405b_shards.log").read_text())
    assert found.figures == {"done": 3, "total": 191, "percent": 1}
    assert read_progress("GPU KV cache size: 147,888 tokens").figures == {"tokens": 147888.0}


def test_the_log_names_the_cause_before_docker_does() -> None:
    log = "vllm: error: unrecognized arguments: --x\n"
    found = explain_death(log, ContainerState(True, "exited", exit_code=2))
    assert [item["cause"] for item in found] == ["unknown_flag"]


@pytest.mark.parametrize(
    ("state", "causes"),
    [
        (ContainerState(True, "exited", exit_code=137, oom_killed=True), ["host_oom"]),
        (ContainerState(True, "exited", exit_code=137), ["engine_killed"]),
        (ContainerState(True, "exited", exit_code=143), ["stopped_by_signal"]),
        (ContainerState(True, "exited", exit_code=1), []),
        (ContainerState(False), []),
        (None, []),
    ],
)
def test_docker_knows_how_it_ended(state: ContainerState | None, causes: list[str]) -> None:
    assert [item["cause"] for item in explain_death("", state)] == causes


def test_a_container_that_somebody_stopped_is_told_from_one_that_was_killed() -> None:
    stopped = ContainerState(True, "exited", exit_code=137, stopped=True)
    assert [item["cause"] for item in explain_death("", stopped)] == ["stopped_by_signal"]
    interrupted = "KeyboardInterrupt: terminated\n"
    assert explain_death(interrupted, stopped)[0]["evidence"].startswith("Docker says that it was told to stop")
    # what the log knows explains why somebody did
    log = "vllm: error: unrecognized arguments: --x\n"
    assert [item["cause"] for item in explain_death(log, stopped)] == ["unknown_flag"]


@pytest.mark.parametrize(
    ("error", "final"),
    [
        (ApiError("unauthorized", "", 401), True),
        (ApiError("model_not_found", "", 404), True),
        (ApiError("bad_response", "", 400), True),
        (ApiError("bad_response", ""), False),
        (ApiError("server_error", "", 503), False),
        (ApiError("connection_refused", ""), False),
        (ApiError("timeout", ""), False),
    ],
)
def test_errors_that_waiting_does_not_mend(error: ApiError, final: bool) -> None:
    assert is_final(error) is final
