# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host without Docker got it, with a toolkit of the version asked for, and gives containers the GPUs."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from testinfra.host import Host

testinfra_hosts = ["ansible://bare_nodes"]
TOOLKIT = (
    "nvidia-container-toolkit",
    "nvidia-container-toolkit-base",
    "libnvidia-container-tools",
    "libnvidia-container1",
)
# The node's own programs in an image with nothing in it: no registry is needed.
MOUNTS = " ".join(f"-v {path}:{path}:ro" for path in ("/usr", "/bin", "/lib", "/lib64", "/etc"))


@pytest.fixture
def empty_image(host: Host) -> Iterator[None]:
    with host.sudo():
        host.check_output("tar -cT /dev/null | docker import - sandbox-empty")
        yield
        host.check_output("docker rmi sandbox-empty")


def test_the_repositories_are_known_with_their_keys(host: Host) -> None:
    expected = {
        "docker": ["URIs: http://127.0.0.1:8099/docker", "Suites: bookworm", "Components: stable"],
        "nvidia-container-toolkit": ["URIs: http://127.0.0.1:8099/toolkit/$(ARCH)", "Suites: /"],
    }
    for name, lines in expected.items():
        content = host.file(f"/etc/apt/sources.list.d/{name}.sources").content_string.splitlines()
        assert set(lines) <= set(content)
        assert f"Signed-By: /etc/apt/keyrings/{name}.asc" in content
        assert host.file(f"/etc/apt/keyrings/{name}.asc").mode == 0o644


def test_the_packages_are_installed_in_the_pinned_version(host: Host) -> None:
    assert host.package("docker-engine").is_installed
    assert host.package("docker.io").is_installed
    assert host.package("python3-requests").is_installed
    for name in TOOLKIT:
        assert host.package(name).version == "1.20.0-1", name


def test_they_stay_in_that_version(host: Host) -> None:
    for name in ("docker-engine", *TOOLKIT):
        assert host.check_output(f"dpkg --get-selections {name}").split()[-1] == "hold", name


def test_docker_runs_also_after_a_reboot(host: Host) -> None:
    with host.sudo():
        assert host.service("docker").is_running
        assert host.service("docker").is_enabled


def test_the_runtime_was_added_to_the_site_s_configuration(host: Host) -> None:
    with host.sudo():
        config = json.loads(host.file("/etc/docker/daemon.json").content_string)
        known = json.loads(host.check_output("docker info --format '{{json .Runtimes}}'"))
    assert config["registry-mirrors"] == ["http://registry.sandbox:5000"]
    assert set(config["runtimes"]) == {"runc-sandbox", "nvidia"}
    assert known["nvidia"]["path"].endswith("nvidia-container-runtime")


def list_gpus(options: str) -> str:
    return f"docker run --rm {options} {MOUNTS} sandbox-empty nvidia-smi -L"


@pytest.mark.usefixtures("empty_image")
def test_containers_get_gpus_when_they_ask_for_them(host: Host) -> None:
    with host.sudo():
        for options in ("--gpus all", "--runtime nvidia -e NVIDIA_VISIBLE_DEVICES=all"):
            assert "NVIDIA H100" in host.check_output(list_gpus(options))
        assert host.run(list_gpus("")).rc != 0
