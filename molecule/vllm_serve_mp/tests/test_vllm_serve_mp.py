# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two ranks answer as one, without Ray and without rights that they do not need."""

from __future__ import annotations

import json
from typing import Any

from testinfra.host import Host

testinfra_hosts = ["ansible://llm_nodes"]
URL = "http://10.89.78.11:8000"


def is_head(host: Host) -> bool:
    name: str = host.backend.get_pytest_id()
    return "node1" in name


def container(host: Host) -> dict[str, Any]:
    name = "llmserve-vllm" if is_head(host) else "llmserve-vllm-headless"
    with host.sudo():
        inspected: list[dict[str, Any]] = json.loads(host.check_output(f"docker inspect {name}"))
    return inspected[0]


def test_ours_is_the_only_container_of_the_deployment(host: Host) -> None:
    with host.sudo():
        names = host.check_output("docker ps -a --filter label=llmserve.cluster=llmserve --format '{{.Names}}'")
        processes = host.check_output("ps axo args")
    assert names.split() == [container(host)["Name"].lstrip("/")]
    assert "raylet" not in processes
    assert "gcs_server" not in processes


def test_the_head_answers_for_the_key_only(host: Host) -> None:
    if not is_head(host):
        return
    body = json.dumps({"model": "sandbox/tiny-llama-instruct", "prompt": "hello", "max_tokens": 4})
    ask = f"curl -s -w '%{{http_code}}' {URL}/v1/completions -H 'Content-Type: application/json' -d '{body}'"
    with host.sudo():
        assert host.check_output(ask).endswith("401")
        answered = host.check_output(ask + ' -H "Authorization: Bearer $(cat /etc/llmserve/api_key)"')
    assert answered.endswith("200")


def test_each_rank_knows_its_place(host: Host) -> None:
    arguments = container(host)["Args"]
    assert arguments[arguments.index("--node-rank") + 1] == ("0" if is_head(host) else "1")
    assert arguments[arguments.index("--nnodes") + 1] == "2"
    assert arguments[arguments.index("--master-addr") + 1] == "10.89.78.11"
    assert ("--headless" in arguments) is not is_head(host)


def test_the_key_is_on_the_head_alone_and_in_no_definition(host: Host) -> None:
    with host.sudo():
        key = host.file("/etc/llmserve/api_key")
        assert ("api_key" in json.dumps(container(host))) is is_head(host)
        if is_head(host):
            assert (key.user, key.mode) == ("root", 0o600)
            assert key.content_string not in json.dumps(container(host))


def test_no_right_that_is_not_needed(host: Host) -> None:
    config = container(host)["HostConfig"]
    assert config["Privileged"] is False
    assert [name.upper() for name in config["CapDrop"]] == ["ALL"]
    assert {name.removeprefix("CAP_") for name in config["CapAdd"]} <= {"DAC_OVERRIDE", "IPC_LOCK"}
    assert "no-new-privileges:true" in config["SecurityOpt"]
    assert config["PidMode"] != "host"
    assert config["IpcMode"] == "private"
    models = [bind for bind in config["Binds"] if "huggingface" in bind]
    assert models
    assert all(bind.endswith(":ro") for bind in models)


def test_the_processes_have_just_these(host: Host) -> None:
    name = container(host)["Name"].lstrip("/")
    with host.sudo():
        status = host.check_output(f"docker exec {name} cat /proc/1/status")
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    # CAP_DAC_OVERRIDE is bit 1
    assert int(fields["CapBnd"], 16) == 0b10
    assert fields["NoNewPrivs"] == "1"
