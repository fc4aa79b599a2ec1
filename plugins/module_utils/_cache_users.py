# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which commits of models the processes, containers, units and lock files of this host name.

A server gets its snapshot's path, or its revision, on its command line; both hold the whole commit. Nothing else of a
command line is looked at or kept, because it may hold a secret.

This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import os
import re
from typing import Dict, Iterable, List, NamedTuple, Tuple

from ansible_collections.llmserve.vllm.plugins.module_utils._container import Runner, run_cli
from ansible_collections.llmserve.vllm.plugins.module_utils._holders import UNIT_DIR
from ansible_collections.llmserve.vllm.plugins.module_utils._host import entries, read_text

# The 64 digits of a blob's digest, or of a container's id, are no commit.
_COMMIT = re.compile(r"(?<![0-9A-Za-z])[0-9a-f]{40}(?![0-9A-Za-z])")
# What a container was made to run and which directories it sees, but not its environment, where the keys are.
_FORMAT = "{{.Name}} {{json .Path}} {{json .Args}} {{json .Mounts}}"
_DOCKER_SECONDS = 60


class User(NamedTuple):
    """Somebody who may use a snapshot: who it is in words, and what names the snapshot."""

    name: str
    text: str


def commits_in_use(users: Iterable[User]) -> Dict[str, List[str]]:
    """The commits that are named, each with who names it."""
    found: Dict[str, List[str]] = {}
    for user in users:
        for commit in sorted(set(_COMMIT.findall(user.text))):
            found.setdefault(commit, []).append(user.name)
    return found


def processes(proc: str = "/proc") -> List[User]:
    """Every process of this host, those in containers included."""
    found = []
    for pid in entries(proc):
        line = read_text(os.path.join(proc, pid, "cmdline")) if pid.isdigit() else None
        if line:
            program = os.path.basename(line.split("\0")[0].split(" ")[0])
            found.append(User("process {0} ({1})".format(pid, program), line))
    return found


def units(folder: str = UNIT_DIR) -> List[User]:
    """The units of this collection, stopped ones included: they are started again with the same snapshot."""
    found = []
    for name in entries(folder):
        text = read_text(os.path.join(folder, name)) if name.startswith("llmserve-") else None
        if text:
            found.append(User("unit " + name, text))
    return found


def containers(docker_cli: str, run: Runner = run_cli) -> Tuple[List[User], str]:
    """Every container, stopped ones included, and why they could not be listed where that is so.

    A stopped container is started again with the same snapshot.
    """
    listed = run([docker_cli, "ps", "--all", "--quiet", "--no-trunc"], _DOCKER_SECONDS)
    if listed.rc == 127:
        # no Docker, no containers
        return [], ""
    if listed.rc != 0:
        return [], listed.stderr.strip()[-300:] or "rc {0}".format(listed.rc)
    ids = listed.stdout.split()
    if not ids:
        return [], ""
    # one that has gone meanwhile makes the command fail, but not forget the others
    told = run([docker_cli, "inspect", "--type", "container", "--format", _FORMAT, *ids], _DOCKER_SECONDS)
    if told.rc != 0 and not told.stdout.strip():
        return [], told.stderr.strip()[-300:] or "rc {0}".format(told.rc)
    return [
        User("container " + line.split(" ")[0].lstrip("/"), line) for line in told.stdout.splitlines() if line.strip()
    ], ""


def lock_files(directory: str) -> List[User]:
    """What was verified to serve here: playbooks/rollback.yml goes back to it, whether or not it runs now."""
    found = []
    for name in ("lock.json", "lock.previous.json"):
        text = read_text(os.path.join(directory, name))
        if text:
            found.append(User("the lock file " + name, text))
    return found
