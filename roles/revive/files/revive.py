# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Starts containers of a deployment again whose start itself has failed.

Docker restarts what has ended. A start that fails (the GPU is gone, the driver is not loaded yet after a boot) it does
not try a second time, and the container stays down when the hardware is back. Run by a systemd timer as
`python3 revive.py --cluster llmserve`, with the Python of the host (3.8 or newer) and nothing else.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from typing import List, NamedTuple, Optional, Sequence

_SECONDS = 20
# A start waits for the runtime's hooks, which wait for the driver.
_START_SECONDS = 120
_RESTARTED = ("always", "unless-stopped")
_TEMPLATE = '{"name":{{json .Name}},"status":{{json .State.Status}},"error":{{json .State.Error}},' + (
    '"policy":{{json .HostConfig.RestartPolicy.Name}}}'
)


class Container(NamedTuple):
    """What decides about a container."""

    name: str
    status: str
    # why its last start failed; empty when it did not
    error: str
    policy: str


def read(lines: str) -> List[Container]:
    """Containers, from C(docker inspect) with a JSON object a line; what is none is left out."""
    found = []
    for line in lines.splitlines():
        try:
            item = json.loads(line)
        except ValueError:
            continue
        found.append(Container(item["name"].lstrip("/"), item["status"], item["error"], item["policy"]))
    return found


def to_start(containers: Sequence[Container]) -> List[Container]:
    """Those that are down because they could not start. One that was stopped has no such error."""
    return [
        item for item in containers if item.status in ("created", "exited") and item.error and item.policy in _RESTARTED
    ]


def is_held(path: str, now: float) -> bool:
    """Whether a playbook is at work on this host; one that was forgotten holds no longer than it said."""
    try:
        with open(path, encoding="utf-8") as file:
            return now < float(json.load(file)["until"])
    except (OSError, ValueError, KeyError, TypeError):
        return False


def docker(client: str, seconds: float, *words: str) -> Optional[str]:
    """What Docker's client printed; None when it failed, and why is in the journal."""
    try:
        done = subprocess.run(
            [client, *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            timeout=seconds,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as exc:
        print("docker {0}: {1}".format(words[0], exc), flush=True)
        return None
    if done.returncode != 0:
        reason = done.stderr.decode("utf-8", "replace").strip()[-500:]
        print("docker {0}: {1}".format(words[0], reason), flush=True)
        return None
    return done.stdout.decode("utf-8", "replace")


def main(argv: Sequence[str]) -> int:
    """One look, and a start for each that needs one. What does not start is tried again with the next look."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--cluster", required=True, help="only containers with this label llmserve.cluster")
    parser.add_argument("--hold-file", default=os.devnull, help="a file that says until when to start nothing")
    parser.add_argument("--docker", default="docker", help="Docker's client")
    options = parser.parse_args(argv)
    down = ["--filter", "status=exited", "--filter", "status=created"]
    label = "label=llmserve.cluster={0}".format(options.cluster)
    names = docker(options.docker, _SECONDS, "ps", "--all", "--quiet", "--filter", label, *down)
    if not names or not names.split():
        return 0 if names is not None else 1
    containers = read(docker(options.docker, _SECONDS, "inspect", "--format", _TEMPLATE, *names.split()) or "")
    failed = 0
    for item in to_start(containers):
        if is_held(options.hold_file, time.time()):
            print("{0} stays down: a playbook is at work".format(item.name), flush=True)
            continue
        print("starting {0}; its last start failed: {1}".format(item.name, item.error), flush=True)
        failed += docker(options.docker, _START_SECONDS, "start", item.name) is None
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
