# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role sent real requests, and the engine answered them."""

from __future__ import annotations

from testinfra.host import Host

testinfra_hosts = ["ansible://ray_head"]


def test_the_endpoint_has_answered_the_role_s_requests(host: Host) -> None:
    with host.sudo():
        log = host.check_output("docker logs llmserve-vllm 2>&1")
    for path in ("GET /v1/models", "POST /v1/completions", "POST /v1/chat/completions"):
        assert f'{path} HTTP/1.1" 200' in log
