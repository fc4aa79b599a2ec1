# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What has to be done for a unit to be there, to run with its present files, to be stopped, or to be gone.

This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import os
from typing import List, Mapping, NamedTuple, Optional, Sequence

STARTED, STOPPED, ABSENT = "started", "stopped", "absent"
STATES = (STARTED, STOPPED, ABSENT)
# What `systemctl is-enabled` says of a unit that starts with the host.
_ENABLED = "enabled"


class File(NamedTuple):
    """A file as it is to be; C(text) is None where it is to be gone."""

    path: str
    text: Optional[str]
    mode: int


class Seen(NamedTuple):
    """A unit as it is."""

    known: bool
    running: bool
    enabled: bool
    # when its main process was started, as seconds since 1970; 0 for never
    started: float
    needs_reload: bool = False


class Step(NamedTuple):
    """One call of systemctl; C(word) is what it does to the unit."""

    word: str
    # whether it does something that anybody would notice
    is_change: bool = True


def differing(files: Sequence[File]) -> List[File]:
    """Those that are not as they are to be, in content or in rights."""
    return [file for file in files if _differs(file)]


def _differs(file: File) -> bool:
    try:
        with open(file.path, encoding="utf-8", errors="surrogateescape") as handle:
            text = handle.read()
        mode = os.stat(file.path).st_mode & 0o7777
    except FileNotFoundError:
        return file.text is not None
    return file.text is None or text != file.text or mode != file.mode


def newest(paths: Sequence[str]) -> float:
    """When the youngest of these files was last written; 0 without any."""
    times = [0.0]
    for path in paths:
        if os.path.exists(path):
            times.append(os.stat(path).st_mtime)
    return max(times)


def steps(wanted: str, seen: Seen, rewritten: bool, written: float) -> List[Step]:
    """The calls that bring the unit there.

    C(written) is when its files, secrets included, were last written: a process that is older than they are runs with
    what is gone, whoever wrote them and whatever kept the restart from happening then.
    """
    found: List[Step] = []
    if wanted == ABSENT:
        found += [Step("disable", seen.enabled)] if seen.enabled else []
        return found + ([Step("stop")] if seen.running else [])
    if rewritten or seen.needs_reload:
        found.append(Step("daemon-reload", False))
    if wanted == STOPPED:
        # it is not to come back with the host either
        found += [Step("disable")] if seen.enabled else []
        return found + ([Step("stop")] if seen.running else [])
    found += [] if seen.enabled else [Step("enable")]
    if not seen.running:
        # whatever it has tried before counts no more
        return [*found, Step("reset-failed", False), Step("start")]
    return [*found, Step("restart")] if rewritten or seen.started < written else found


def seen_in(properties: Mapping[str, str], started: float) -> Seen:
    """From what systemd says."""
    known = properties.get("LoadState", "not-found") not in ("not-found", "")
    restarting = properties.get("SubState", "").startswith("auto-restart")
    running = properties.get("ActiveState") in ("active", "reloading", "activating", "deactivating")
    return Seen(
        known,
        running or restarting,
        properties.get("UnitFileState") == _ENABLED,
        started,
        properties.get("NeedDaemonReload") == "yes",
    )
