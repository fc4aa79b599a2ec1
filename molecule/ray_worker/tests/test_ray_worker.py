# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The worker has joined the head's cluster."""

from __future__ import annotations

from testinfra.host import Host

testinfra_hosts = ["ansible://ray_workers"]


def test_the_cluster_has_both_nodes_and_gpus(host: Host) -> None:
    with host.sudo():
        status = host.check_output("docker exec llmserve-ray-worker ray status --address 10.89.78.11:6379")
    assert status.count(" node_") == 2
    assert "/2.0 GPU" in status
