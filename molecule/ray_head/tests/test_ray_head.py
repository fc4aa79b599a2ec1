# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The head runs with a token, fixed ports and no needless privileges."""

from __future__ import annotations

import json
from typing import Any

from testinfra.host import Host

testinfra_hosts = ["ansible://ray_head"]


def container(host: Host) -> dict[str, Any]:
    with host.sudo():
        inspected: list[dict[str, Any]] = json.loads(host.check_output("docker inspect llmserve-ray-head"))
    return inspected[0]


def test_it_restarts_by_itself_and_is_not_privileged(host: Host) -> None:
    config = container(host)["HostConfig"]
    assert config["RestartPolicy"]["Name"] == "unless-stopped"
    assert config["Privileged"] is False
    assert [name.upper() for name in config["CapDrop"]] == ["ALL"]
    assert {name.removeprefix("CAP_") for name in config["CapAdd"]} <= {"DAC_OVERRIDE", "IPC_LOCK"}
    assert "no-new-privileges:true" in config["SecurityOpt"]
    assert config["LogConfig"]["Config"]["max-size"]


def test_ray_sees_the_gpu_and_wants_the_token(host: Host) -> None:
    with host.sudo():
        assert "GPU" in host.check_output("docker exec llmserve-ray-head ray status")
        assert host.run("docker exec -e RAY_AUTH_TOKEN_PATH=/dev/null llmserve-ray-head ray status").rc != 0


def test_the_token_is_for_root_alone_and_not_in_the_container_s_definition(host: Host) -> None:
    with host.sudo():
        token = host.file("/etc/llmserve/ray_token")
        assert (token.user, token.mode) == ("root", 0o600)
        assert token.content_string not in json.dumps(container(host))


def test_the_dashboard_listens_on_loopback_only(host: Host) -> None:
    assert host.socket("tcp://127.0.0.1:8265").is_listening
    assert not host.socket("tcp://0.0.0.0:8265").is_listening
