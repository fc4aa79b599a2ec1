# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Failures that take two nodes: Ray, and ranks without Ray."""

from __future__ import annotations

from ansible_collections.llmserve.vllm.tests.failures.fault import (
    CONTAINER,
    GATE,
    LOADING,
    RANKS,
    RAY,
    START,
    STRIKE,
    STRUCK,
    Failure,
    main_process,
    running,
    started_by,
)

_HEADLESS = "llmserve-vllm-headless"
_RAY_VERSION = "/usr/local/lib/python3.11/dist-packages/ray/_version.py"
_STAGES = {"vllm_serve_plan": {"engine_args": {"pipeline_parallel_size": 2}}}
_STOP_WORKER = "docker stop -t 5 llmserve-ray-worker"
_START_WORKER = "docker start llmserve-ray-worker"
# The first rank is started as the role does it.
_ABSENT_OR_GUARDED = (
    "{{ 'while true; do sleep 1; done' if inventory_hostname == 'node2' else "
    "'exec ' ~ __vllm_serve_guard ~ ' vllm serve \"$@\"' }}"
)
_HERE = 'exec vllm serve "$@"'

ON_RAY = (
    Failure(
        "ray_too_small",
        "the worker of a plan over two nodes has stopped; the engine waits for its placement group, 45 s at most",
        ("Ray",),
        "insufficient_ray_resources",
        RAY,
        variables={**_STAGES, "vllm_serve_ready_timeout": 45},
        peer_do=_STOP_WORKER,
        peer_undo=_START_WORKER,
        since=START,
        hint="GPUs are missing or busy",
        late="a node may still join: it says what it waits for, and ends when the time for the start is over",
    ),
    Failure(
        "ray_worker_missing",
        "the worker is not there when the playbook asks Ray, 20 s at most",
        ("10.89.77.12",),
        way=GATE,
        peer_do=_STOP_WORKER,
        peer_undo=_START_WORKER,
        since=START,
        hint="10.89.77.12",
        late="a node may still join: it names the missing one, and ends when its time is over",
    ),
    Failure(
        "ray_token_wrong",
        "the engine has another token than the cluster",
        ("token",),
        "ray_auth",
        RAY,
        do="mkdir -p /etc/llmserve-fault/vllm && cp /etc/llmserve/vllm/* /etc/llmserve-fault/vllm/ && "
        "printf %064d 7 > /etc/llmserve-fault/ray_token && chmod 600 /etc/llmserve-fault/ray_token",
        undo="rm -rf /etc/llmserve-fault",
        variables={**_STAGES, "vllm_serve_config_dir": "/etc/llmserve-fault"},
    ),
    Failure(
        "ray_version_differs",
        "the Ray of the engine's image calls itself 2.55.0, the cluster runs 2.56.1",
        ("2.55.0",),
        "ray_version_mismatch",
        RAY,
        variables={
            **_STAGES,
            **started_by(f"sed -i 's/^version = .*/version = \"2.55.0\"/' {_RAY_VERSION} && {_HERE}"),
        },
    ),
    Failure(
        "ray_not_running",
        "the head of Ray has stopped; the engine waits for it, 45 s at most",
        ("waiting for the first one at 10.89.77.11",),
        way=RAY,
        do="docker stop -t 5 llmserve-ray-head",
        undo="docker start llmserve-ray-head",
        variables={**_STAGES, "vllm_serve_ready_timeout": 45},
        since=START,
        hint="waiting for the first one at",
        late="the head may still come: it says what it waits for, and ends when the time for the start is over",
    ),
)

ON_RANKS = (
    Failure(
        "rank_stopped",
        "the second rank's container is stopped while the first one waits for it",
        (_HEADLESS, "told to stop"),
        "stopped_by_signal",
        RANKS,
        strike=running(_HEADLESS) + "sleep 8; " + STRUCK + f"docker stop -t 1 {_HEADLESS}",
        struck="node2",
        since=STRIKE,
    ),
    Failure(
        "rank_killed",
        "`kill -9` of the second rank's main process while it starts",
        (_HEADLESS, "exit code 137"),
        "engine_killed",
        RANKS,
        strike=running(_HEADLESS) + "sleep 8; " + STRUCK + f"kill -9 {main_process(_HEADLESS)}",
        struck="node2",
        since=STRIKE,
    ),
    Failure(
        "head_rank_killed",
        "`kill -9` of the engine core of the first rank while it starts",
        ("killed",),
        "engine_killed",
        RANKS,
        strike=running(CONTAINER) + LOADING + STRUCK + "kill -9 $core",
        since=STRIKE,
    ),
    Failure(
        "rank_missing",
        "the second rank never begins, and the first one waits for it, 45 s at most",
        ("node2",),
        way=RANKS,
        variables={
            "__vllm_serve_entrypoint": ["/bin/sh", "-c", _ABSENT_OR_GUARDED, "vllm-serve"],
            "vllm_serve_ready_timeout": 45,
        },
        since=START,
        late="a rank may still come; it ends when the time for the start is over",
    ),
)
