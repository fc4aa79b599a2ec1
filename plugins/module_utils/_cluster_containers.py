# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The containers of a cluster on a host, with how they run and how they ended, and what serves in them.

This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import calendar
import json
import re
import time
from typing import Any, Dict, List, Mapping, Optional, Sequence

from ansible_collections.llmserve.vllm.plugins.module_utils._container import Runner, run_cli
from ansible_collections.llmserve.vllm.plugins.module_utils._holders import CLUSTER_LABEL
from ansible_collections.llmserve.vllm.plugins.module_utils._redact import REDACTED, redact

COMPONENT_LABEL = "llmserve.component"
_SECONDS = 15
# A formatted inspect never carries the environment, and with it the keys, out of Docker.
_TEMPLATE = (
    '{"id":{{json .Id}},"name":{{json .Name}},"created":{{json .Created}},"restarts":{{.RestartCount}},'
    '"state":{{json .State}},"image":{{json .Config.Image}},"image_id":{{json .Image}},'
    '"labels":{{json .Config.Labels}},"policy":{{json .HostConfig.RestartPolicy.Name}},"args":{{json .Args}}}'
)
# The role vllm_serve calls its shell so, after which vLLM's own arguments begin.
_SHELL = "vllm-serve"
_SNAPSHOT = re.compile(r"/models--([^/]+)/snapshots/([0-9a-f]{40})/?$")


def containers(docker_cli: str, cluster: str, run: Runner = run_cli) -> List[Dict[str, Any]]:
    """Every container with the cluster's label, running or not, sorted by name."""
    label = "label={0}={1}".format(CLUSTER_LABEL, cluster)
    listed = run([docker_cli, "ps", "--all", "--no-trunc", "--quiet", "--filter", label], _SECONDS)
    identities = listed.stdout.split() if listed.rc == 0 else []
    if not identities:
        return []
    # one that has vanished meanwhile costs the others nothing
    done = run([docker_cli, "inspect", "--type", "container", "--format", _TEMPLATE, *identities], _SECONDS)
    found = [item for item in map(read_container, done.stdout.splitlines()) if item]
    digests = {image: _digest(docker_cli, image, run) for image in sorted({item["image_id"] for item in found})}
    return sorted((dict(item, image_digest=digests[item["image_id"]]) for item in found), key=lambda item: item["name"])


def _digest(docker_cli: str, image: str, run: Runner) -> str:
    """The digest that a registry knows the image by; empty for one that was built on the host."""
    done = run([docker_cli, "image", "inspect", "--format", "{{json .RepoDigests}}", image], _SECONDS)
    try:
        digests = json.loads(done.stdout) or []
    except ValueError:
        return ""
    return str(digests[0]).partition("@")[2] if digests else ""


def read_container(line: str) -> Optional[Dict[str, Any]]:
    """One container from its line of inspect; None when it is none."""
    try:
        data = json.loads(line)
        state = data["state"]
        labels = data["labels"] or {}
        return {
            "id": str(data["id"]),
            "name": str(data["name"]).lstrip("/"),
            "component": str(labels.get(COMPONENT_LABEL) or ""),
            "status": str(state["Status"]),
            "exit_code": int(state.get("ExitCode") or 0),
            "oom_killed": bool(state.get("OOMKilled")),
            "error": str(state.get("Error") or ""),
            "restarts": int(data["restarts"]),
            "restart_policy": str(data["policy"] or ""),
            "created": epoch(str(data["created"] or "")),
            "started": epoch(str(state.get("StartedAt") or "")),
            "finished": epoch(str(state.get("FinishedAt") or "")),
            "image": str(data["image"]),
            "image_id": str(data["image_id"]),
            "command": without_secrets(engine_command([str(arg) for arg in data["args"] or ()])),
        }
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def epoch(stamp: str) -> Optional[int]:
    """Docker's time as seconds since 1970; None for the year 1, which stands for never."""
    match = re.match(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.\d+)?(?:Z|([+-])(\d\d):(\d\d))$", stamp)
    if not match or stamp.startswith("0001"):
        return None
    offset = int(match.group(3) or 0) * 3600 + int(match.group(4) or 0) * 60
    seconds = calendar.timegm(time.strptime(match.group(1), "%Y-%m-%dT%H:%M:%S"))
    return seconds + offset if match.group(2) == "-" else seconds - offset


def engine_command(args: Sequence[str]) -> List[str]:
    """What follows C(vllm serve); for another container all of its arguments."""
    return list(args[args.index(_SHELL) + 1 :]) if _SHELL in args else list(args)


def without_secrets(command: Sequence[str]) -> List[str]:
    """The arguments with the value of what is called a secret taken out, also where it is an argument of its own."""
    clean: List[str] = []
    for index, word in enumerate(command):
        before = command[index - 1] if index else ""
        alone = redact(word)
        is_secret = before.startswith("-") and REDACTED in redact("{0} {1}".format(before, word))
        clean.append(REDACTED if is_secret and REDACTED not in redact(before) else alone)
    return clean


def model_of(command: Sequence[str]) -> Dict[str, str]:
    """Repository and commit of the model that vLLM was started with, as far as its path tells them."""
    path = command[0] if command and not command[0].startswith("-") else ""
    match = _SNAPSHOT.search(path)
    if match is None:
        return {"path": path, "repo": "", "commit": ""}
    return {"path": path, "repo": match.group(1).replace("--", "/", 1), "commit": match.group(2)}


def engine_args(command: Sequence[str]) -> Dict[str, Any]:
    """The options on vLLM's command line, by name as C(llmserve_engine_args) writes them."""
    found: Dict[str, Any] = {}
    name = ""
    for word in command[0 if command and command[0].startswith("-") else 1 :]:
        if word.startswith("--"):
            option, equals, value = word[2:].partition("=")
            name = option.replace("-", "_")
            found[name] = value if equals else True
        elif name:
            found[name] = word if found[name] is True else "{0} {1}".format(found[name], word)
    return found


def log_since(container: Mapping[str, Any]) -> Optional[int]:
    """Where its log begins to matter: with the present run, or with the container when Docker had to restart it."""
    if container["restarts"] or container["status"] == "restarting":
        created: Optional[int] = container["created"]
        return created
    started: Optional[int] = container["started"] or container["created"]
    return started
