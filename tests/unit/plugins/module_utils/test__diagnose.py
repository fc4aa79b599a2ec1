# SPDX-License-Identifier: GPL-3.0-or-later
"""Root causes found in logs: recorded ones, and what decides between several causes."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.llmserve.vllm.plugins.module_utils._diagnose import describe, diagnose, diagnose_all

FIXTURES = Path(__file__).parents[2] / "fixtures" / "vllm_logs"
NOISE = (
    "(EngineCore pid=7) ERROR 11-21 01:42:00 [core.py:1510] EngineCore failed to start.\n"
    "RuntimeError: Engine core initialization failed. See root cause above. Failed core proc(s): {}\n"
)
OUT_OF_MEMORY = (
    "(VllmWorker rank=5 pid=4711) torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 448.00 MiB. GPU 5 has "
    "a total capacity of 79.18 GiB of which 61.25 MiB is free.\n"
)
UNKNOWN_FLAG = "vllm: error: unrecognized arguments: --tensor-paralel-size 16\n"


def causes(text: str) -> list[str]:
    return [found["cause"] for found in diagnose(text)]


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
    found = causes((FIXTURES / f"{name}.log").read_text())
    assert (found[0] if found else None) == cause


def test_403_on_a_gated_model_is_a_matter_of_the_licence() -> None:
    log = (
        "OSError: You are trying to access a gated repo.\n"
        "Make sure to have access to it at https://huggingface.co/meta-llama/L.\n"
        "403 Client Error. (Request ID: Root=1-2)\n"
        "Your request to access model meta-llama/L is awaiting a review from the repo authors.\n"
    )
    assert causes(log) == ["gated_repo_not_authorized"]


def test_causes_before_their_consequences() -> None:
    log = "Fatal Python error: Aborted\nOSError: [Errno 28] No space left on device: '/cache'\nKilled\n"
    assert causes(log) == ["disk_full", "worker_crash_native", "engine_killed"]


def test_of_two_causes_of_a_rank_the_first_in_time() -> None:
    watchdog = "[rank5]:[E1121 01:51:02.1 ProcessGroupNCCL.cpp:632] Watchdog caught collective operation timeout\n"
    assert causes(OUT_OF_MEMORY + watchdog) == ["cuda_oom", "nccl_timeout"]
    assert causes(watchdog + OUT_OF_MEMORY) == ["nccl_timeout", "cuda_oom"]


def test_a_line_is_the_sign_of_one_cause() -> None:
    assert causes("OSError: [Errno 28] No space left on device: '/dev/shm/psm_1'\n") == ["shm_too_small"]


def test_what_was_overcome_before_the_server_was_up_does_not_count() -> None:
    up = OUT_OF_MEMORY + NOISE + "INFO:     Application startup complete.\n"
    assert causes(up) == []
    assert causes(up + "ERROR:    [Errno 98] error while attempting to bind on address\n") == ["port_in_use"]


def test_requests_that_failed_before_the_end_are_not_its_cause() -> None:
    served = 'INFO:     10.0.0.9:1 - "POST /v1/chat/completions HTTP/1.1" 200 OK\n'
    request = "ValueError: /m is not a multimodal model\n"
    log = "INFO:     Application startup complete.\n" + request + served * 200 + OUT_OF_MEMORY + NOISE
    assert causes(log) == ["cuda_oom"]


def test_a_wait_for_gpus_that_ended_is_not_a_cause() -> None:
    wait = (
        "(EngineCore pid=1) WARNING 11-21 01:46:48 [ray_utils.py:613] The number of required GPUs exceeds the total "
        "number of available GPUs in the placement group.\n"
        "(EngineCore pid=1) INFO 11-21 01:47:18 [ray_utils.py:467] Waiting for creating a placement group of specs for "
        "30 seconds. specs=[{'GPU': 1.0}]\n"
    )
    assert causes(wait) == ["insufficient_ray_resources"]
    assert causes(wait + "Loading safetensors checkpoint shards:   1% Completed | 1/191 [00:04<13:59]\r") == []


def test_warnings_and_settings_are_not_causes() -> None:
    log = (
        "(APIServer pid=1) WARNING 11-21 01:46:40 [system_utils.py:255] This can cause fd limit errors like "
        "`OSError: [Errno 24] Too many open files`, or [Errno 98] who knows\n"
        "(APIServer pid=1) INFO 11-21 01:46:40 [api_utils.py:286] non-default args: {'trust_remote_code': True}\n"
        "(Worker pid=1) INFO 11-21 01:46:50 [gpu_worker.py:1] no CUDA-capable device is detected\n"
    )
    assert causes(log) == []


def test_only_the_last_run_of_a_container_that_restarts() -> None:
    begin = "INFO 11-21 01:40:00 [api_server.py:1772] vLLM API server version 0.33.0\n"
    first, second = begin + OUT_OF_MEMORY + NOISE, begin + "RuntimeError: No CUDA GPUs are available\n" + NOISE
    assert causes(first + second) == ["gpu_not_visible"]
    # it has only just begun again: why it ended is still the news
    assert causes(first + begin) == ["cuda_oom"]
    assert causes(begin + "INFO:     Shutting down\n" + begin) == []


def test_an_unknown_error_is_told_when_nothing_else_explains_the_end() -> None:
    log = "AttributeError: 'Foo' object has no attribute 'bar'\n"
    assert causes(log + NOISE) == ["unclassified_error"]
    assert causes(log + "INFO 11-21 01:47:18 [core.py:1] all is well\n") == []
    assert causes(log + OUT_OF_MEMORY + NOISE) == ["cuda_oom"]
    # only the echo of a peer is left
    assert causes("zmq.error.ZMQError: Operation not supported\n" + NOISE) == ["unclassified_error"]


def test_an_empty_log_and_colours() -> None:
    assert diagnose("") == []
    assert diagnose("\x1b[31mKilled\x1b[0m\n")[0]["evidence"] == "Killed"


def test_where_and_figures() -> None:
    found = diagnose("\n\nINFO 11-21 01:40:00 [a.py:1] x\n" + OUT_OF_MEMORY + NOISE)[0]
    assert found["where"] == "rank 5, GPU 5"
    assert found["figures"] == {"asked_mib": 448.0, "total_mib": 81080.32, "free_mib": 61.25}
    assert found["line"] == 2, "lines are counted without empty ones"
    host = diagnose("\x1b[36m(RayWorkerWrapper pid=9, ip=10.0.0.2)\x1b[0m RuntimeError: No CUDA GPUs are available\n")[
        0
    ]
    assert host["where"] == "host 10.0.0.2"
    kernel = diagnose("Nov 21 03:11:10 gpu-01 kernel: NVRM: Xid (PCI:0000:3b:00): 79, pid=1, GPU has fallen off\n")[0]
    assert (kernel["where"], kernel["figures"]) == ("host gpu-01, GPU 0000:3b:00", {"pci": "0000:3b:00", "xid": 79})


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (
            "ValueError: To serve at least one request with the models's max seq len (131072), (16.00 GiB KV cache is "
            "needed, which is larger than the available KV cache memory (9.12 GiB). Based on the available memory, the "
            "estimated maximum model length is 74720.",
            "at most 74720 (asked for: 131072)",
        ),
        (
            "ValueError: The model's max seq len (32768) is larger than the maximum number of tokens that can be "
            "stored in KV cache (20000).",
            "at most 20000 (asked for: 32768)",
        ),
        (
            "ValueError: User-specified max_model_len (99999) is greater than the derived max_model_len "
            "(max_position_embeddings=8192.0 or model_max_length=None in model's config.json).",
            "at most 8192 (asked for: 99999)",
        ),
        (
            "ValueError: Free memory on device cuda:0 (10.11/79.18 GiB) on startup is less than desired GPU memory "
            "utilization (0.92, 72.85 GiB).",
            "10.11 of 79.18 GiB are free and vLLM wants 72.85",
        ),
        (
            "RuntimeError: Insufficient space in /dev/shm for the message queue: 160 MiB required, 64 MiB free",
            "well above 160 MiB (it has 64)",
        ),
        (
            "[ 5566.1] Out of memory: Killed process 4711 (python3) total-vm:8kB, anon-rss:524288000kB, file-rss:1kB",
            "held 500.0 GiB",
        ),
        (
            "".join(
                f"(EngineCore pid=27670) ERROR 11-22 06:54:45 [core.py:1510] {words}\n"
                for words in (
                    "RuntimeError: Version mismatch: The cluster was started with:",
                    "    Ray: 2.56.1",
                    "    Python: 3.12.10",
                    "This process on node 10.0.0.2 was started with:",
                    "    Ray: 2.55.0",
                    "    Python: 3.12.3",
                )
            ),
            "has Ray 2.56.1 on Python 3.12.10, this process Ray 2.55.0 on Python 3.12.3",
        ),
    ],
)
def test_the_remedy_has_the_figures_of_the_log(line: str, words: str) -> None:
    assert words in diagnose(line + "\n")[0]["remedy"]


def test_without_figures_the_remedy_is_the_general_one() -> None:
    assert (
        "the estimated maximum in the evidence"
        in diagnose("To serve at least one request with the model's max seq len")[0]["remedy"]
    )


def test_several_logs_together() -> None:
    found = diagnose_all(
        {
            "node-1/vllm": OUT_OF_MEMORY + NOISE,
            "node-2/vllm": OUT_OF_MEMORY + NOISE,
            "node-2/dmesg": "[ 1.0] NVRM: Xid (PCI:0000:3b:00): 79, pid=1, GPU has fallen off the bus.\n",
            "node-3/vllm": "INFO:     Application startup complete.\n",
        }
    )
    assert [(item["cause"], item["log"], item["logs"]) for item in found] == [
        ("gpu_fell_off_bus", "node-2/dmesg", ["node-2/dmesg"]),
        ("cuda_oom", "node-1/vllm", ["node-1/vllm", "node-2/vllm"]),
    ]


def test_describe() -> None:
    assert describe([]) == ""
    words = describe(diagnose(UNKNOWN_FLAG))
    assert words.startswith("This vLLM does not know an option")
    assert words.endswith("The log says: vllm: error: unrecognized arguments: --tensor-paralel-size 16")
    assert "The log says (rank 5, GPU 5): (VllmWorker" in describe(diagnose(OUT_OF_MEMORY))
