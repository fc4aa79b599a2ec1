# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the hosts of one task learn that one of them has decided the matter for all.

The workers of ansible-playbook are processes of one machine, and share the directory that it makes for each run.
This plugin util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from pathlib import Path
from typing import NamedTuple


class Verdict(NamedTuple):
    """Which host was first, whether all is well there, and what it said."""

    host: str
    ok: bool
    text: str


class Meeting:
    """The first host that says something is heard by all; what comes later is not kept."""

    def __init__(self, folder: str, name: str) -> None:
        self._path = Path(folder) / f"llmserve-{name}.json"

    def verdict(self) -> Verdict | None:
        """What the first host has said."""
        try:
            return Verdict(*json.loads(self._path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None

    def say(self, verdict: Verdict) -> Verdict:
        """Say it, and learn who was first."""
        handle, name = tempfile.mkstemp(dir=self._path.parent)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump(verdict, file)
            # a link appears with all of its content, and only where there is none yet
            with contextlib.suppress(FileExistsError):
                os.link(name, self._path)
        finally:
            os.unlink(name)
        return self.verdict() or verdict
