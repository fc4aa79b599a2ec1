# SPDX-License-Identifier: GPL-3.0-or-later
"""A stand-in for the docker command line: a script that a test writes states, logs and exec answers for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

SCRIPT = """#!/bin/sh
here=$(dirname "$0")
echo "$@" >> "$here/calls"
case "$1" in
  inspect)
    # one state after the other, the last one for ever
    count=$(cat "$here/count" 2>/dev/null || echo 0)
    echo $((count + 1)) > "$here/count"
    while [ "$count" -gt 0 ] && [ ! -e "$here/state.$count" ]; do count=$((count - 1)); done
    if [ -s "$here/state.$count" ]; then cat "$here/state.$count"; exit 0; fi
    echo "Error: No such container: x" >&2; exit 1 ;;
  events) cat "$here/events" 2>/dev/null; exit 0 ;;
  logs) cat "$here/log"; exit 0 ;;
  exec) cat "$here/exec.out"; cat "$here/exec.err" >&2; exit "$(cat "$here/exec.rc")" ;;
esac
"""


class FakeDocker:
    """Writes the stand-in into a directory and steers it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        self.path = str(folder / "docker")
        Path(self.path).write_text(SCRIPT)
        Path(self.path).chmod(0o755)
        self.log("")
        self.answer()

    def states(self, *states: dict[str, Any] | None) -> None:
        """What inspect says, call after call; None for a container that does not exist."""
        for number, state in enumerate(states):
            (self.folder / f"state.{number}").write_text(json.dumps(state) if state else "")

    def log(self, text: str) -> None:
        (self.folder / "log").write_text(text)

    def events(self, *lines: str) -> None:
        (self.folder / "events").write_text("".join(line + "\n" for line in lines))

    def answer(self, stdout: str = "", stderr: str = "", rc: int = 0) -> None:
        """What exec does."""
        (self.folder / "exec.out").write_text(stdout)
        (self.folder / "exec.err").write_text(stderr)
        (self.folder / "exec.rc").write_text(str(rc))

    def calls(self) -> list[str]:
        return (self.folder / "calls").read_text().splitlines()


def state(status: str = "running", restarts: int = 0, exit_code: int = 0, oom: bool = False) -> dict[str, Any]:
    """One answer of inspect."""
    return {
        "id": "4f1c",
        "created": "2026-11-21T08:59:58Z",
        "restarts": restarts,
        "state": {
            "Status": status,
            "ExitCode": exit_code,
            "OOMKilled": oom,
            "Error": "",
            "StartedAt": "2026-11-21T09:00:00Z",
        },
    }
