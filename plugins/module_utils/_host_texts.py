# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The logs of a host in which the cause of a failure may stand, each with a limit on its size.

This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import datetime
import re
from typing import Any, Callable, Collection, Dict, List, Mapping, NamedTuple, Optional, Sequence

from ansible_collections.llmserve.vllm.plugins.module_utils._capture import Captured
from ansible_collections.llmserve.vllm.plugins.module_utils._cluster_containers import log_since
from ansible_collections.llmserve.vllm.plugins.module_utils._unit import log_argv

# What runs containers and GPUs; a unit that a host has not got is no error.
UNITS = (
    "docker.service",
    "containerd.service",
    "nvidia-fabricmanager.service",
    "nvidia-persistenced.service",
    "nvidia-cdi-refresh.service",
)
# What led to a failure may have happened shortly before the engine was started.
_BEFORE = 300
# Without an engine: how far to look back.
_LOOK_BACK = 24 * 3600
_SECONDS = 20
# A log of months is not read from its beginning: that would take longer than there is time.
_LINES = "20000"
# Lines of the kernel log that may explain something; the rest is nobody's business.
_KERNEL = re.compile(
    r"nvrm|xid|nvidia|nvlink|nvswitch|out of memory|oom[-_ ]|killed process|mce:|machine check|hardware error|"
    r"i/o error|ext4-fs|xfs|btrfs|nfs|lustre|remount|blocked for more than|soft lockup|hung|segfault|"
    r"general protection|mlx5|infiniband|pcieport|aer:|thermal|link is (?:up|down)|no space",
    re.I,
)
_STAMP = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)[,.](\d{1,6})\d*([+-]\d\d:?\d\d)")

# A kill for a container's own limit, which the kernel reports with the container's id in the name of its cgroup.
_KILL_IN_CONTAINER = re.compile(r"oom-kill:constraint=CONSTRAINT_MEMCG\b.*?,task_memcg=([^,]*),.*?\bpid=(\d+)")
_CONTAINER_ID = re.compile(r"[0-9a-f]{64}")

# Called as capture(argv, seconds, bytes).
Capture = Callable[[Sequence[str], float, int], Captured]


class Texts(NamedTuple):
    """Logs by name, and what could not be read, in sentences."""

    texts: Dict[str, str]
    problems: List[str]


def begin_of(containers: Sequence[Mapping[str, Any]], now: float) -> int:
    """Since when the host's logs matter: since its engine or its Ray runs; for one that fails, for a day at most."""
    begins = []
    for container in containers:
        since = log_since(container)
        if since is None or container["component"] not in ("vllm", "ray_head", "ray_worker"):
            continue
        runs = container["status"] == "running" and not container["restarts"]
        begins.append(since if runs else max(since, int(now) - _LOOK_BACK))
    return (min(begins) if begins else int(now) - _LOOK_BACK) - _BEFORE


def container_logs(
    docker_cli: str, containers: Sequence[Mapping[str, Any]], most: int, capture: Capture
) -> Dict[str, str]:
    """What each container or unit has logged in its present run, by its name."""
    found = {}
    for container in containers:
        since = log_since(container)
        if container.get("runtime") == "venv":
            argv = log_argv(container["name"], _LINES, "@{0}".format(since) if since else "")
        else:
            argv = [docker_cli, "logs", "--tail", _LINES, *(["--since", str(since)] if since else []), container["id"]]
        found[str(container["name"])] = capture(argv, _SECONDS, most).text
    return found


def journal(since: int, most: int, capture: Capture, own: Collection[str] = ()) -> Texts:
    """What Docker, containerd and NVIDIA's services have logged, and the kernel. Works without a journal.

    C(own) are the ids of the cluster's containers: what the kernel did to others for their own limits is left out.
    """
    texts: Dict[str, str] = {}
    problems: List[str] = []
    units = [word for unit in UNITS for word in ("--unit", unit)]
    base = ["journalctl", "--quiet", "--no-pager", "--output", "short-iso", "--lines", _LINES]
    base += ["--since", "@{0}".format(since)]
    services = capture([*base, *units], _SECONDS, most)
    if services.rc == 0:
        texts["journal"] = services.text
    else:
        problems.append("The journal could not be read: {0}.".format(_why(services)))
    kernel = capture([*base, "--dmesg"], _SECONDS, 4 * most)
    words = kernel.text if kernel.rc == 0 else ""
    if not words.strip():
        # no journal, or one that does not keep the kernel's messages
        kernel = capture(["dmesg", "--time-format", "iso"], _SECONDS, 4 * most)
        words = since_only(kernel.text, since) if kernel.rc == 0 else ""
    if kernel.rc != 0:
        problems.append("The kernel log could not be read: {0}.".format(_why(kernel)))
    texts["kernel"] = kernel_lines(without_kills_of_others(words, own), most)
    return Texts(texts, problems)


def _why(captured: Captured) -> str:
    lines = captured.text.strip().splitlines()
    return (captured.problem or (lines[-1] if lines else "") or "rc {0}".format(captured.rc)).rstrip(".")


def since_only(text: str, since: float) -> str:
    """The lines of C(dmesg --time-format iso) from then on; a line without a time belongs to the one before it."""
    kept = []
    keep = False
    for line in text.splitlines():
        stamp = stamp_of(line)
        keep = keep if stamp is None else stamp >= since
        if keep:
            kept.append(line)
    return "\n".join(kept)


def stamp_of(line: str) -> Optional[float]:
    """The time at the beginning of a line, as seconds since 1970."""
    match = _STAMP.match(line)
    if match is None:
        return None
    zone = match.group(3).replace(":", "")
    try:
        return datetime.datetime.strptime(match.group(1) + zone, "%Y-%m-%dT%H:%M:%S%z").timestamp()
    except ValueError:
        return None


def without_kills_of_others(text: str, own: Collection[str]) -> str:
    """A kernel log without the processes that were killed for the memory limit of another container."""
    lines = text.splitlines()
    begun, others, pids = -1, set(), set()
    for number, line in enumerate(lines):
        if "invoked oom-killer" in line:
            begun = number
        match = _KILL_IN_CONTAINER.search(line)
        ids = _CONTAINER_ID.findall(match.group(1)) if match else []
        if match and own and ids and not set(own).intersection(ids):
            others.add(begun)
            pids.add(match.group(2))
    if not others:
        return text
    theirs = re.compile(r"(?:\bpid=|[Pp]rocess )(?:{0})\b".format("|".join(sorted(pids))))
    return "\n".join(line for number, line in enumerate(lines) if number not in others and not theirs.search(line))


def kernel_lines(text: str, most: int) -> str:
    """The lines that may explain a failure, the last ones of them where they are too many bytes."""
    kept: List[str] = []
    size = 0
    for line in reversed(text.splitlines()):
        if not _KERNEL.search(line):
            continue
        size += len(line.encode("utf-8", "replace")) + 1
        if size > most:
            break
        kept.append(line)
    return "\n".join(reversed(kept))
