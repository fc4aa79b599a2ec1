# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What vLLM logs about its memory, beside the plan."""

from __future__ import annotations

import pytest
from ansible_collections.llmserve.vllm.plugins.module_utils._engine_memory import compare, memory_figures

# Two pipeline stages behind Ray, in the wording of 0.33. Made by hand from that release's source.
V1 = """(EngineCore pid=77) INFO [core.py:96] Initializing a V1 LLM engine (v0.33.0) with config: model='m'
(RayWorkerProc pid=88) INFO [gpu_model_runner.py:4338] Model loading took 47.28 GiB memory and 161.2 seconds
(RayWorkerProc pid=91) INFO [gpu_model_runner.py:4338] Model loading took 47.3 GiB memory and 170.9 seconds
(RayWorkerProc pid=88) INFO [gpu_worker.py:358] Available KV cache memory: 22.11 GiB
(RayWorkerProc pid=91, ip=10.0.0.2) INFO [gpu_worker.py:358] Available KV cache memory: 22.08 GiB
(EngineCore pid=77) INFO [kv_cache_utils.py:1301] GPU KV cache size: 734,992 tokens
(EngineCore pid=77) INFO [kv_cache_utils.py:1306] Maximum concurrency for 131,072 tokens per request: 5.61x
"""
V0 = """INFO 10-21 14:09:51 model_runner.py:1067] Loading model weights took 14.9888 GB
INFO 10-21 14:09:53 gpu_executor.py:122] # GPU blocks: 1952, # CPU blocks: 2048
INFO 10-21 14:09:53 gpu_executor.py:126] Maximum concurrency for 20000 tokens per request: 1.56x
"""


def test_the_fullest_gpu_and_the_smallest_cache_decide() -> None:
    assert memory_figures(V1) == {
        "weights_gib_per_gpu": 47.3,
        "kv_cache_gib_per_gpu": 22.08,
        "kv_cache_tokens": 734992.0,
        "max_concurrency": 5.61,
        "load_seconds": 170.9,
    }


def test_old_releases_count_blocks() -> None:
    assert memory_figures(V0) == {"weights_gib_per_gpu": 14.9888, "kv_cache_tokens": 31232.0, "max_concurrency": 1.56}


def test_only_the_last_start_counts() -> None:
    again = V1 + V1.replace("734,992", "1,000").replace("47.3 ", "11.0 ").replace("47.28", "11.0")
    assert memory_figures(again)["kv_cache_tokens"] == 1000
    assert memory_figures(again)["weights_gib_per_gpu"] == 11.0


def test_a_log_that_says_nothing() -> None:
    assert memory_figures("") == {}
    assert compare({"weights_gib_per_gpu": 1.0}, {}) == []


@pytest.mark.parametrize(("real", "warns"), [(47.3, False), (51.0, False), (53.0, True), (41.0, True)])
def test_more_than_a_tenth_is_worth_a_warning(real: float, warns: bool) -> None:
    [difference] = compare({"weights_gib_per_gpu": 47.28, "kv_cache_tokens": None}, {"weights_gib_per_gpu": real})
    assert difference.warn is warns
    assert difference.sentence.startswith(f"weights: planned 47.28 GiB per GPU, vLLM has {real:.2f} GiB per GPU (")


def test_tokens_are_written_with_commas() -> None:
    [difference] = compare({"kv_cache_tokens": 700000}, {"kv_cache_tokens": 734992.0})
    assert difference.sentence == "KV cache: planned 700,000 tokens, vLLM has 734,992 tokens (+5.0 %)"
