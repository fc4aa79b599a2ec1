# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The snapshot is complete, belongs to the service user, and holds nothing else."""

from __future__ import annotations

import json

from testinfra.host import Host

testinfra_hosts = ["ansible://llm_nodes"]
CACHE = "/var/lib/llmserve/huggingface/hub/models--sandbox--tiny-llama-instruct"


def snapshot(host: Host) -> str:
    commit: str = host.file(f"{CACHE}/refs/main").content_string
    return f"{CACHE}/snapshots/{commit}"


def test_every_shard_of_the_index_is_there(host: Host) -> None:
    index = json.loads(host.file(f"{snapshot(host)}/model.safetensors.index.json").content_string)
    shards = set(index["weight_map"].values())
    assert len(shards) > 1
    for shard in shards:
        resolved = host.check_output(f"readlink -f {snapshot(host)}/{shard}")
        assert host.file(resolved).size > 0


def test_copies_in_other_formats_were_left_on_the_hub(host: Host) -> None:
    assert not host.file(f"{snapshot(host)}/original").exists


def test_it_belongs_to_the_service_user(host: Host) -> None:
    assert host.file(CACHE).user == "llmserve"
    assert host.user("llmserve").shell == "/usr/sbin/nologin"


def test_the_token_is_nowhere_on_the_disk(host: Host) -> None:
    with host.sudo():
        command = "grep -rls hf_sandbox /var/lib/llmserve /etc/llmserve /root/.ansible_async /root/.cache /home"
        assert host.run(command).stdout == ""


def test_the_log_of_the_download_tells_its_end(host: Host) -> None:
    with host.sudo():
        logs = host.check_output(f"cat {CACHE}/.llmserve/jobs/*.log")
        assert host.file(f"{CACHE}/.llmserve/jobs").mode == 0o700
    assert "100.0 %" in logs
    assert logs.rstrip().endswith("done")


def test_nothing_is_left_running(host: Host) -> None:
    with host.sudo():
        assert not host.file(f"{CACHE}/.llmserve/jobs/lock").exists
