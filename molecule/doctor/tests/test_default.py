# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the doctor has looked at runs as before."""

from __future__ import annotations

from testinfra.host import Host

testinfra_hosts = ["ansible://llm_nodes"]


def test_every_container_still_runs(host: Host) -> None:
    with host.sudo():
        restarts = host.check_output("docker ps --format '{{.Names}}' | xargs docker inspect -f '{{.RestartCount}}'")
    assert all(int(count) < 3 for count in restarts.split())
