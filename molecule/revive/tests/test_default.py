# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A container whose start fails while the GPU is gone runs when it is back; one that was stopped stays down."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

import pytest
from testinfra.host import Host

testinfra_hosts = ["ansible://node2"]
TABLE = "/opt/simgpu/gpus.tsv"
RUN = "docker run --detach --restart unless-stopped --gpus all --entrypoint sleep"
# of another component: the doctor and the playbooks leave it alone
LABELS = "--label llmserve.cluster=llmserve --label llmserve.component=probe"


def status(host: Host, name: str) -> str:
    return str(host.check_output(f"docker inspect --format '{{{{.State.Status}}}}' {name}"))


def becomes(host: Host, name: str, wanted: str, seconds: float = 60) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if status(host, name) == wanted:
            return True
        time.sleep(1)
    return False


@pytest.fixture
def root(host: Host) -> Iterator[Host]:
    with host.sudo():
        yield host


@pytest.fixture
def image(root: Host) -> str:
    return str(root.check_output("docker images --quiet | head -1"))


@contextlib.contextmanager
def gpu_gone(host: Host) -> Iterator[None]:
    host.check_output(f"cp {TABLE} {TABLE}.kept && : > {TABLE}")
    try:
        yield
    finally:
        host.check_output(f"cat {TABLE}.kept > {TABLE} && rm {TABLE}.kept")


def test_the_timer_runs_and_comes_back_with_the_host(host: Host) -> None:
    timer = host.service("llmserve-revive.timer")
    assert timer.is_running
    assert timer.is_enabled


def test_a_failed_start_is_repeated_until_the_gpu_is_back(root: Host, image: str) -> None:
    root.check_output(f"{RUN} --name revive-probe {LABELS} {image} 3600")
    try:
        with gpu_gone(root):
            root.check_output("kill -9 $(docker inspect --format '{{.State.Pid}}' revive-probe)")
            # Docker tries it once, and gives up
            assert becomes(root, "revive-probe", "exited")
            root.run("systemctl start llmserve-revive.service")
            assert status(root, "revive-probe") == "exited"
        assert becomes(root, "revive-probe", "running")
        journal = root.check_output("journalctl -u llmserve-revive.service --no-pager")
        assert "starting revive-probe; its last start failed:" in journal
        assert "driver not loaded" in journal
    finally:
        root.check_output("docker rm --force revive-probe")


def test_what_was_stopped_and_what_is_not_ours_stays_down(root: Host, image: str) -> None:
    root.check_output(f"{RUN} --name revive-stopped {LABELS} {image} 3600")
    root.check_output("docker stop --time 0 revive-stopped")
    try:
        with gpu_gone(root):
            # of nobody: no label
            assert root.run(f"{RUN} --name revive-foreign {image} 3600").rc != 0
        root.check_output("systemctl start llmserve-revive.service")
        assert status(root, "revive-stopped") == "exited"
        assert status(root, "revive-foreign") == "created"
    finally:
        root.check_output("docker rm --force revive-stopped revive-foreign")


def test_it_may_do_little_else(root: Host) -> None:
    assert "permission denied" not in root.check_output("journalctl -u llmserve-revive.service --no-pager").lower()
    security = root.check_output("systemd-analyze security llmserve-revive.service --no-pager")
    assert float(security.rpartition("llmserve-revive.service: ")[2].split()[0]) < 2
