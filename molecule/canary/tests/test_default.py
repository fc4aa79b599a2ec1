# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The canary asks, within its confinement, and writes down what it got."""

from __future__ import annotations

import json
import time
from typing import Any

from testinfra.host import Host

testinfra_hosts = ["ansible://ray_head"]
STATE = "/var/lib/llmserve/canary.json"


def state(host: Host) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(host.check_output(f"cat {STATE}"))
    return found


def test_the_timer_runs_and_comes_back_with_the_host(host: Host) -> None:
    timer = host.service("llmserve-canary.timer")
    assert timer.is_running
    assert timer.is_enabled


def test_a_real_answer_is_written_down(host: Host) -> None:
    with host.sudo():
        began = time.time()
        run = host.run("systemctl start llmserve-canary.service")
        journal = host.check_output("journalctl -u llmserve-canary.service -n 20 --no-pager")
        assert run.rc == 0, journal
        found = state(host)
    assert (found["verdict"], found["failures_in_a_row"]) == ("ok", 0), journal
    assert found["last_ok"] > began - 120
    assert found["answer_seconds"] > 0
    assert host.file(STATE).mode == 0o644


def test_it_talks_to_docker_within_its_confinement(host: Host) -> None:
    """A held deployment is told before Docker is asked, and a container that is up after."""
    with host.sudo():
        found = state(host)
        assert found["restarts_at_ok"] >= 0
        assert "permission denied" not in host.check_output("journalctl -u llmserve-canary.service --no-pager")
        security = host.check_output("systemd-analyze security llmserve-canary.service --no-pager")
    assert float(security.rpartition("llmserve-canary.service: ")[2].split()[0]) < 3


def test_nothing_of_it_holds_the_key(host: Host) -> None:
    with host.sudo():
        key = host.file("/etc/llmserve/api_key").content_string.strip()
        shown = host.check_output("cat /etc/llmserve/canary.json /var/lib/llmserve/canary.json")
        shown += host.check_output("systemctl cat llmserve-canary.service")
    assert key not in shown
