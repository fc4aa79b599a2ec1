# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine answers, wants its key, and keeps it to itself."""

from __future__ import annotations

import json

from testinfra.host import Host

testinfra_hosts = ["ansible://ray_head"]
URL = "http://10.89.78.11:8000"


def test_a_completion_comes_back_for_the_key_only(host: Host) -> None:
    body = json.dumps({"model": "sandbox/tiny-llama-instruct", "prompt": "hello", "max_tokens": 4})
    ask = f"curl -s -w '%{{http_code}}' {URL}/v1/completions -H 'Content-Type: application/json' -d '{body}'"
    with host.sudo():
        assert host.check_output(ask).endswith("401")
        answered = host.check_output(ask + ' -H "Authorization: Bearer $(cat /etc/llmserve/api_key)"')
    assert answered.endswith("200")


def test_the_key_is_not_in_the_container_s_definition(host: Host) -> None:
    with host.sudo():
        key = host.file("/etc/llmserve/api_key")
        assert (key.user, key.mode) == ("root", 0o600)
        assert key.content_string not in host.check_output("docker inspect llmserve-vllm")


def test_it_was_started_as_planned(host: Host) -> None:
    with host.sudo():
        arguments = json.loads(host.check_output("docker inspect -f '{{json .Args}}' llmserve-vllm"))
    for flag, value in {"--tensor-parallel-size": "1", "--pipeline-parallel-size": "2"}.items():
        assert arguments[arguments.index(flag) + 1] == value
    assert "--distributed-executor-backend" in arguments
