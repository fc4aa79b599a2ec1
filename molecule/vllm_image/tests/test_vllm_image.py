# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An image without Ray got a derived one with it; the stock image stays beside it."""

from __future__ import annotations

from testinfra.host import Host

testinfra_hosts = ["ansible://llm_nodes"]
DERIVED = "llmserve/vllm-openai:v0.32.0-noray-ray2.56.1"


def ray_package(host: Host, image: str) -> str:
    """What the image's installer says of Ray; empty when it has none."""
    with host.sudo():
        shown: str = host.run("docker run --rm --entrypoint uv %s pip show --system ray", image).stdout
    return shown


def test_the_derived_image_has_the_pinned_ray(host: Host) -> None:
    assert "Version: 2.56.1" in ray_package(host, DERIVED)


def test_the_stock_image_is_untouched(host: Host) -> None:
    assert ray_package(host, "vllm/vllm-openai:v0.32.0-noray") == ""
