# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A working Docker stays as it was, and gives containers the GPUs."""

from __future__ import annotations

from testinfra.host import Host

testinfra_hosts = ["ansible://llm_nodes"]


def test_docker_runs_and_knows_the_nvidia_runtime(host: Host) -> None:
    with host.sudo():
        assert host.service("docker").is_running
        assert "nvidia" in host.check_output("docker info --format '{{json .Runtimes}}'")


def test_nothing_was_installed_or_configured_beside_it(host: Host) -> None:
    assert host.package("docker.io").is_installed
    assert not host.package("docker-ce").is_installed
    assert not host.package("nvidia-container-toolkit").is_installed
    assert not host.package("python3-debian").is_installed
    assert not host.file("/etc/apt/sources.list.d/docker.sources").exists
    assert not host.file("/etc/apt/sources.list.d/nvidia-container-toolkit.sources").exists
