# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What C(docker info) prints for people, as the facts that preflight makes of its JSON.

This plugin util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

from ansible_collections.llmserve.vllm.plugins.module_utils._host_docker import read_info

_LINE: Final = re.compile(r"^(?P<indent> *)(?P<key>[^:]+?)(?::(?: +(?P<value>.*?))?)?\s*$")


def read_docker_info(text: str) -> dict[str, Any] | None:
    """The facts, from text or JSON; None when no daemon answered."""
    if text.lstrip().startswith("{"):
        return read_info(text)
    server = _server(text)
    values = {key: lines[0] for key, lines in server.items() if lines}
    return read_info(
        json.dumps(
            {
                "ServerVersion": values.get("Server Version"),
                "DockerRootDir": values.get("Docker Root Dir"),
                "Driver": values.get("Storage Driver"),
                "DriverStatus": [line.split(": ", 1) for line in server.get("Storage Driver", [])[1:]],
                "DefaultRuntime": values.get("Default Runtime"),
                "Runtimes": dict.fromkeys(values.get("Runtimes", "").split()),
                "DiscoveredDevices": [{"ID": line.split(": ", 1)[-1]} for line in server.get("Discovered Devices", [])],
                "SecurityOptions": [f"name={line}" for line in server.get("Security Options", [])],
                "CgroupVersion": values.get("Cgroup Version"),
            }
        )
    )


def _server(text: str) -> dict[str, list[str]]:
    """The keys of the server's part, each with its own value, if any, and the lines below it."""
    found: dict[str, list[str]] = {}
    key, depth = "", None
    for line in text.partition("Server:")[2].splitlines()[1:] or text.splitlines():
        match = _LINE.match(line)
        if match is None:
            continue
        indent = len(match["indent"])
        depth = indent if depth is None else depth
        if indent <= depth:
            key = match["key"]
            found[key] = [match["value"]] if match["value"] else []
        elif key:
            found[key].append(line.strip())
    return found
