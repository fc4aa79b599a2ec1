# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Docker is on a host, and what it says of itself and of an image.

This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import json
import os
from typing import Any, Callable, Dict, List, Mapping, Optional

from ansible_collections.llmserve.vllm.plugins.module_utils import _gpu
from ansible_collections.llmserve.vllm.plugins.module_utils._host import read_text

DAEMON_JSON = "/etc/docker/daemon.json"
DEFAULT_ROOT = "/var/lib/docker"
# Where Docker 29 keeps images on a fresh installation, whatever its data-root is.
CONTAINERD_ROOT = "/var/lib/containerd"
_TIMEOUT = 15

Run = Callable[[List[str]], _gpu.CommandResult]


def run_docker(argv: List[str]) -> _gpu.CommandResult:
    """Run the client; a daemon that hangs must not hang the module."""
    return _gpu.run_bounded(argv, _TIMEOUT)


def read_daemon_json(text: Optional[str]) -> Dict[str, Any]:
    """The keys of daemon.json that matter here; C(error) when it is none."""
    if text is None or not text.strip():
        return {"error": None, "data_root": None, "default_runtime": None, "nvidia_runtime": False}
    try:
        data = json.loads(text)
    except ValueError as exc:
        return {"error": str(exc), "data_root": None, "default_runtime": None, "nvidia_runtime": False}
    if not isinstance(data, dict):
        return {"error": "it is not an object", "data_root": None, "default_runtime": None, "nvidia_runtime": False}
    runtimes = data.get("runtimes")
    return {
        "error": None,
        "data_root": data.get("data-root") or data.get("graph"),
        "default_runtime": data.get("default-runtime"),
        "nvidia_runtime": "nvidia" in runtimes if isinstance(runtimes, dict) else False,
    }


def read_info(text: str) -> Optional[Dict[str, Any]]:
    """What C(docker info) says as JSON; None when the daemon did not answer."""
    try:
        info = json.loads(text)
    except ValueError:
        return None
    if not isinstance(info, dict) or not info.get("ServerVersion"):
        return None
    devices = [str(item.get("ID")) for item in info.get("DiscoveredDevices") or ()]
    options = [str(option) for option in info.get("SecurityOptions") or ()]
    status = {str(row[0]): str(row[1]) for row in info.get("DriverStatus") or () if len(row) > 1}
    return {
        "version": info["ServerVersion"],
        "root": info.get("DockerRootDir") or DEFAULT_ROOT,
        "storage_driver": info.get("Driver"),
        "containerd_images": "containerd" in status.get("driver-type", ""),
        "default_runtime": info.get("DefaultRuntime"),
        "nvidia": "nvidia" in (info.get("Runtimes") or {}) or any("nvidia.com/gpu" in name for name in devices),
        "selinux": any("name=selinux" in option for option in options),
        "apparmor": any("name=apparmor" in option for option in options),
        "rootless": any("name=rootless" in option for option in options),
        "cgroup_version": info.get("CgroupVersion"),
    }


def read_image(text: str) -> Optional[Dict[str, Any]]:
    """Id and digest of an image from C(docker image inspect); None when the host has not got it."""
    try:
        data = json.loads(text)
    except ValueError:
        return None
    if not isinstance(data, list) or not data or not isinstance(data[0], Mapping):
        return None
    digests = [str(digest).partition("@")[2] for digest in data[0].get("RepoDigests") or ()]
    return {
        "id": data[0].get("Id"),
        "digest": digests[0] if digests else None,
        "architecture": data[0].get("Architecture"),
        "bytes": data[0].get("Size"),
    }


def docker_facts(client: Optional[str], image: str, run: Run = run_docker) -> Dict[str, Any]:
    """Docker of this host. C(server) is None without a daemon that answers, C(image) without the image."""
    daemon = read_daemon_json(read_text(DAEMON_JSON))
    if client is None:
        return {"client": None, "server": None, "image": None, "daemon_json": daemon}
    server = read_info(run([client, "info", "--format", "{{json .}}"]).stdout)
    found = read_image(run([client, "image", "inspect", image]).stdout) if server and image else None
    return {"client": client, "server": server, "image": found, "daemon_json": daemon}


def image_root(facts: Mapping[str, Any]) -> str:
    """The directory whose filesystem holds the images, or will."""
    server = facts["server"] or {}
    if server.get("containerd_images"):
        return CONTAINERD_ROOT
    return os.path.normpath(str(server.get("root") or facts["daemon_json"]["data_root"] or DEFAULT_ROOT))
