# SPDX-License-Identifier: GPL-3.0-or-later
"""What Docker and its configuration say."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.llmserve.vllm.plugins.module_utils import _host_docker
from ansible_collections.llmserve.vllm.plugins.module_utils._gpu import CommandResult

INFO: dict[str, Any] = {
    "ServerVersion": "29.3.0",
    "DockerRootDir": "/data/docker",
    "Driver": "overlayfs",
    "DriverStatus": [["driver-type", "io.containerd.snapshotter.v1"]],
    "Runtimes": {"runc": {}, "io.containerd.runc.v2": {}},
    "DefaultRuntime": "runc",
    "DiscoveredDevices": [{"Source": "cdi", "ID": "nvidia.com/gpu=all"}],
    "SecurityOptions": ["name=apparmor", "name=seccomp,profile=builtin", "name=cgroupns"],
    "CgroupVersion": "2",
}
IMAGE = [
    {
        "Id": "sha256:" + "1" * 64,
        "RepoDigests": ["vllm/vllm-openai@sha256:" + "2" * 64],
        "Architecture": "amd64",
        "Size": 12_000_000_000,
    }
]


def test_a_daemon() -> None:
    found = _host_docker.read_info(json.dumps(INFO))
    assert found is not None
    assert (found["version"], found["root"], found["containerd_images"]) == ("29.3.0", "/data/docker", True)
    assert (found["nvidia"], found["apparmor"], found["selinux"], found["rootless"]) == (True, True, False, False)
    old = _host_docker.read_info(json.dumps({"ServerVersion": "20.10.24", "Runtimes": {"nvidia": {}}}))
    assert old is not None
    assert (old["nvidia"], old["root"], old["containerd_images"]) == (True, "/var/lib/docker", False)


@pytest.mark.parametrize("text", ["", "Cannot connect", "[]", "{}", '{"ServerVersion": ""}'])
def test_a_daemon_that_does_not_answer(text: str) -> None:
    assert _host_docker.read_info(text) is None


def test_an_image() -> None:
    found = _host_docker.read_image(json.dumps(IMAGE))
    assert found is not None
    assert (found["digest"], found["architecture"]) == ("sha256:" + "2" * 64, "amd64")
    built_here = _host_docker.read_image(json.dumps([{**IMAGE[0], "RepoDigests": []}]))
    assert built_here is not None
    assert built_here["digest"] is None
    assert [_host_docker.read_image(text) for text in ("", "[]", "{}", "[1]")] == [None] * 4


@pytest.mark.parametrize(
    ("text", "error", "data_root", "nvidia"),
    [
        (None, None, None, False),
        ("  \n", None, None, False),
        ('{"data-root": "/d", "runtimes": {"nvidia": {"path": "x"}}}', None, "/d", True),
        ('{"graph": "/old", "runtimes": []}', None, "/old", False),
        ('{"data-root": ,}', "Expecting value", None, False),
        ("[]", "not an object", None, False),
    ],
)
def test_daemon_json(text: str | None, error: str | None, data_root: str | None, nvidia: bool) -> None:
    found = _host_docker.read_daemon_json(text)
    assert (found["data_root"], found["nvidia_runtime"]) == (data_root, nvidia)
    assert found["error"] is None if error is None else error in found["error"]


def run(argv: list[str]) -> CommandResult:
    return CommandResult(0, json.dumps(INFO if argv[1] == "info" else IMAGE), "")


def test_where_images_lie() -> None:
    facts = _host_docker.docker_facts("/usr/bin/docker", "vllm/vllm-openai:v0.33.0", run)
    assert facts["image"]["architecture"] == "amd64"
    assert _host_docker.image_root(facts) == "/var/lib/containerd"
    facts["server"]["containerd_images"] = False
    assert _host_docker.image_root(facts) == "/data/docker"
    without = _host_docker.docker_facts(None, "x", run)
    assert (without["server"], without["image"]) == (None, None)
    without["daemon_json"]["data_root"] = "/big/docker/"
    assert _host_docker.image_root(without) == "/big/docker"
