# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the name of an image tells of its content.


This plugin util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import re

from ansible_collections.llmserve.vllm.plugins.plugin_utils._checks.base import Cluster, Host

Release = tuple[int, int, int]
# The CUDA of the default image, by the first release that has it.
_CUDA = {(0, 20, 0): (13, 0), (0, 11, 1): (12, 9), (0, 9, 0): (12, 8), (0, 0, 0): (12, 4)}
# The oldest branch of the driver that runs programs of a CUDA release.
DRIVERS = {13: 580, 12: 525, 11: 450}


def release(host: Host, cluster: Cluster) -> Release | None:
    """The release of vLLM in the host's image, None when neither inventory nor tag tells."""
    text = str(host.wish.get("vllm_version") or cluster.wish.get("vllm_version") or "")
    match = re.match(r"v?(\d+)\.(\d+)(?:\.(\d+))?", text)
    return (int(match[1]), int(match[2]), int(match[3] or 0)) if match else None


def cuda(host: Host, cluster: Cluster) -> tuple[int, int] | None:
    """The CUDA in the host's image, None when neither the tag nor the release tells."""
    stated = re.search(r"[-_:]cu(\d\d)(\d)(?:\D|$)", str(host.wish.get("image") or ""))
    if stated:
        return int(stated[1]), int(stated[2])
    version = release(host, cluster)
    return next((found for first, found in _CUDA.items() if version >= first), None) if version else None
