# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All causes that a log can show, by area.

This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

from typing import Dict, Tuple

from ansible_collections.llmserve.vllm.plugins.module_utils._diagnosis import (
    arguments,
    devices,
    host,
    hub,
    kernel,
    memory,
    models,
    network,
    ray,
    software,
)
from ansible_collections.llmserve.vllm.plugins.module_utils._diagnosis.model import Cause

AREAS: Dict[str, Tuple[Cause, ...]] = {
    "Command line": arguments.CAUSES,
    "Memory": memory.CAUSES,
    "Hub and registry": hub.CAUSES,
    "Files of the model": models.CAUSES,
    "Driver, container runtime and GPU generation": devices.CAUSES,
    "Kernel log, journal and nvidia-smi": kernel.CAUSES,
    "Ray": ray.CAUSES,
    "Between the ranks": network.CAUSES,
    "Host": host.CAUSES,
    "Software": software.CAUSES,
}
CAUSES: Tuple[Cause, ...] = tuple(cause for area in AREAS.values() for cause in area)
_BY_NAME: Dict[Tuple[str, str], Cause] = {(cause.slug, cause.detail): cause for cause in CAUSES}
SLUGS = frozenset(cause.slug for cause in CAUSES)


def named(slug: str, detail: str = "") -> Cause:
    """The cause of this name."""
    return _BY_NAME[(slug, detail)]
