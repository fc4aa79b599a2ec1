# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stand-in for Slurm's commands: they answer from files, and write down how they were called."""

from __future__ import annotations

import getpass
import os
from pathlib import Path

import pytest
from ansible_collections.llmserve.vllm.tests.unit.plugins.module_utils.test__slurm_text import recorded

_COMMAND = """#!/bin/sh
echo "${{0##*/}} $*" >> {home}/calls
case "${{0##*/}} $*" in
"scontrol --version") echo "slurm-wlm 22.05.8" ;;
"scontrol show node"*) cat {home}/nodes ;;
"scontrol show partition"*) cat {home}/partitions ;;
"scontrol show job"*) cat {home}/jobs ;;
"squeue --noheader --start"*) cat {home}/start ;;
"squeue"*) cat {home}/queue ;;
"sbatch --test-only"*) cat {home}/tested >&2; exit "$(cat {home}/tested.rc)" ;;
"sbatch --parsable"*) sed -i 's/JobState=[A-Z_]*/JobState=PENDING/' {home}/jobs; echo 43 ;;
"scancel"*) sed -i 's/JobState=[A-Z_]*/JobState=CANCELLED/' {home}/jobs ;;
*) exit 1 ;;
esac
"""


class FakeSlurm:
    """The commands, and what they answer."""

    def __init__(self, home: Path, patch: pytest.MonkeyPatch) -> None:
        self.home = home
        (home / "bin").mkdir(parents=True)
        for name in ("scontrol", "squeue", "sbatch", "scancel", "sacctmgr"):
            command = home / "bin" / name
            command.write_text(_COMMAND.format(home=home))
            command.chmod(0o755)
        patch.setenv("PATH", f"{home}/bin{os.pathsep}{os.environ['PATH']}")
        self.answer("nodes", recorded("nodes"))
        self.answer("partitions", recorded("partitions"))
        for name in ("calls", "start", "queue"):
            self.answer(name, "")
        self.jobs()
        self.tests(
            "sbatch: Job 44 to start at 2026-11-21T23:16:33 using 32 processors on nodes n[1-2] in partition gpu"
        )

    def answer(self, name: str, text: str) -> None:
        (self.home / name).write_text(text)

    def tests(self, text: str, rc: int = 0) -> None:
        """What sbatch --test-only says."""
        self.answer("tested", text)
        self.answer("tested.rc", str(rc))

    def jobs(self, state: str = "", comment: str = "", reason: str = "None", log: str = "/nowhere/42.log") -> None:
        """Job 42 of this user and another user's, or none at all."""
        if not state:
            self.answer("jobs", "No jobs in the system\n")
            return
        line = recorded("jobs").strip()
        fields = dict(part.split("=", 1) for part in line.split(" ") if "=" in part)
        for name, value in {
            "JobId": "42",
            "UserId": f"{getpass.getuser()}(1000)",
            "JobState": state,
            "Reason": reason,
            "Comment": comment,
            "StdOut": log,
        }.items():
            line = line.replace(f"{name}={fields[name]}", f"{name}={value}", 1)
        self.answer("jobs", line + "\n" + recorded("jobs"))

    def calls(self, command: str) -> list[str]:
        """How a command was called."""
        return [line for line in (self.home / "calls").read_text().splitlines() if line.startswith(command + " ")]
