# SPDX-License-Identifier: GPL-3.0-or-later
"""Root causes found in logs, recorded and quoted."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.llmserve.vllm.plugins.module_utils._diagnose import describe, diagnose
from ansible_collections.llmserve.vllm.plugins.module_utils._diagnosis.catalogue import SLUGS

FIXTURES = Path(__file__).parents[2] / "fixtures" / "vllm_logs"
NOISE = (
    "(EngineCore pid=7) ERROR 11-21 01:42:00 [core.py:1510] EngineCore failed to start.\n"
    "Traceback (most recent call last):\n"
    '  File "/opt/venv/lib/python3.12/site-packages/vllm/v1/engine/utils.py", line 1431, in wait_for_engine_startup\n'
    "RuntimeError: Engine core initialization failed. See root cause above. Failed core proc(s): {}\n"
    "resource_tracker: There appear to be 1 leaked shared_memory objects to clean up at shutdown\n"
)


@pytest.mark.parametrize(
    ("name", "cause"),
    [
        ("heads_not_divisible_tp3_0.32", "tp_heads_not_divisible"),
        ("kv_cache_too_small_0.32", "max_model_len_exceeds_kv_cache"),
        ("ray_placement_group_wait_0.32", "insufficient_ray_resources"),
        ("unknown_flag_0.32", "unknown_flag"),
        ("weights_corrupt_header_0.32", "weights_corrupt"),
        ("ready_uvicorn", None),
        ("loading_405b_shards", None),
    ],
)
def test_recorded_logs(name: str, cause: str | None) -> None:
    found = diagnose((FIXTURES / f"{name}.log").read_text())
    assert (found[0]["cause"] if found else None) == cause


# One line for each cause, as the program prints it.
LINES = dict(line.split("\t", 1) for line in (FIXTURES / "causes.tsv").read_text().splitlines())


@pytest.mark.parametrize("cause", LINES)
def test_each_cause_before_the_noise(cause: str) -> None:
    found = diagnose(
        "INFO 11-21 01:40:00 [api_server.py:1] vLLM API server version 0.33.0\n" + LINES[cause] + "\n" + NOISE
    )
    assert found, cause
    assert found[0]["cause"] == cause
    assert found[0]["evidence"] == LINES[cause]
    assert found[0]["remedy"]


def test_every_cause_has_an_example_and_every_signature_a_cause() -> None:
    assert set(LINES) == SLUGS


def test_403_on_a_gated_model_is_a_matter_of_the_licence() -> None:
    log = (
        "OSError: You are trying to access a gated repo.\n"
        "Make sure to have access to it at https://huggingface.co/meta-llama/L.\n"
        "403 Client Error. (Request ID: Root=1-2)\n"
        "Your request to access model meta-llama/L is awaiting a review from the repo authors.\n"
    )
    assert [item["cause"] for item in diagnose(log)] == ["gated_repo_not_authorized"]


def test_a_full_disk_explains_the_crash_after_it() -> None:
    found = diagnose("Fatal Python error: Aborted\n" + LINES["disk_full"] + "\nKilled\n")
    assert [item["cause"] for item in found] == ["disk_full", "worker_crash_native", "engine_killed"]


def test_what_was_overcome_before_the_server_was_up_does_not_count() -> None:
    log = LINES["cuda_oom"] + "\n" + NOISE + "INFO:     Application startup complete.\n"
    assert diagnose(log) == []
    assert (
        diagnose(log + "ERROR:    [Errno 98] error while attempting to bind on address\n")[0]["cause"] == "port_in_use"
    )


def test_a_wait_for_gpus_that_ended_is_not_a_cause() -> None:
    wait = (
        "(EngineCore pid=1) WARNING 11-21 01:46:48 [ray_utils.py:613] The number of required GPUs exceeds the total "
        "number of available GPUs in the placement group.\n"
        "(EngineCore pid=1) INFO 11-21 01:47:18 [ray_utils.py:467] Waiting for creating a placement group of specs for "
        "30 seconds. specs=[{'GPU': 1.0}]\n"
    )
    assert diagnose(wait)[0]["cause"] == "insufficient_ray_resources"
    assert diagnose(wait + "Loading safetensors checkpoint shards:   1% Completed | 1/191 [00:04<13:59]\r") == []


def test_warnings_and_settings_are_not_causes() -> None:
    log = (
        "(APIServer pid=1) WARNING 11-21 01:46:40 [system_utils.py:255] This can cause fd limit errors like "
        "`OSError: [Errno 24] Too many open files`, or [Errno 98] who knows\n"
        "(APIServer pid=1) INFO 11-21 01:46:40 [api_utils.py:286] non-default args: {'trust_remote_code': True}\n"
        "(Worker pid=1) INFO 11-21 01:46:50 [gpu_worker.py:1] no CUDA-capable device is detected\n"
    )
    assert diagnose(log) == []


def test_an_empty_log_and_colours() -> None:
    assert diagnose("") == []
    assert diagnose("\x1b[31mKilled\x1b[0m\n")[0]["evidence"] == "Killed"


def test_describe() -> None:
    assert describe([]) == ""
    words = describe(diagnose(LINES["unknown_flag"]))
    assert words.startswith("This vLLM does not know an option")
    assert words.endswith("The log says: vllm: error: unrecognized arguments: --swap-space 16")
