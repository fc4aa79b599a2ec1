# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The check has left nothing behind."""

from __future__ import annotations

from testinfra.host import Host

testinfra_hosts = ["ansible://llm_nodes"]


def test_its_container_is_gone(host: Host) -> None:
    with host.sudo():
        assert host.run("docker ps -aq --filter label=llmserve.component=nccl_check").stdout == ""


def test_its_port_is_free(host: Host) -> None:
    with host.sudo():
        assert host.run("ss -Hltn 'sport = :29511'").stdout == ""
