# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Slurm's commands, run as the user who calls: what is there, submit, cancel.

This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import getpass
import re
from typing import Dict, List, Sequence

from ansible_collections.llmserve.vllm.plugins.module_utils._container import CliResult, Runner, run_cli
from ansible_collections.llmserve.vllm.plugins.module_utils._slurm_reasons import explain_refusal
from ansible_collections.llmserve.vllm.plugins.module_utils._slurm_text import (
    Job,
    Node,
    Partition,
    parse_jobs,
    parse_nodes,
    parse_partitions,
    parse_version,
)

_SECONDS = 60.0


class SlurmError(Exception):
    """Slurm could not be asked, or refuses; the message says why and what to do."""


class Slurm:
    """The commands of a login node."""

    def __init__(self, run: Runner = run_cli) -> None:
        self._run = run

    def version(self) -> str:
        return parse_version(self._ask(["scontrol", "--version"]))

    def nodes(self) -> List[Node]:
        return parse_nodes(self._ask(["scontrol", "show", "node", "--oneliner"]))

    def partitions(self) -> List[Partition]:
        return parse_partitions(self._ask(["scontrol", "show", "partition", "--oneliner"]))

    def jobs(self, name: str) -> List[Job]:
        """This user's jobs of that name that Slurm still knows, those that have ended a while ago left out."""
        user = getpass.getuser()
        found = parse_jobs(self._ask(["scontrol", "show", "job", "--oneliner"], "No jobs in the system"))
        return [job for job in found if job.name == name and job.user == user]

    def job(self, number: int) -> List[Job]:
        """The job with this number, or none when Slurm knows it no more."""
        done = self._run(["scontrol", "show", "job", "--oneliner", str(number)], _SECONDS)
        if done.rc != 0 and "Invalid job id" in done.stderr + done.stdout:
            return []
        return parse_jobs(self._checked(done, "scontrol show job"))

    def queue(self, partition: str) -> List[int]:
        """The waiting jobs of a partition, the first in line first; only those that the site lets one see."""
        argv = ["squeue", "--noheader", "--states=PENDING", "--sort=-p,i", "--format=%A"]
        text = self._ask([*argv, "--partition=" + partition])
        return [int(line) for line in text.split() if line.isdigit()]

    def start_of(self, number: int) -> str:
        """When Slurm expects to start a job, empty when it does not know."""
        text = self._run(["squeue", "--noheader", "--start", "--format=%S", "--jobs", str(number)], _SECONDS).stdout
        return text.strip() if re.match(r"\d{4}-", text.strip()) else ""

    def accounts(self) -> List[Dict[str, str]]:
        """What this user may submit with; nothing where the site keeps no accounts."""
        argv = ["sacctmgr", "--noheader", "--parsable2", "show", "assoc", "where", "user=" + getpass.getuser()]
        done = self._run([*argv, "format=account,partition,qos"], _SECONDS)
        if done.rc != 0:
            return []
        rows = [line.split("|") for line in done.stdout.splitlines() if line.count("|") == 2]
        return [{"account": row[0], "partition": row[1], "qos": row[2]} for row in rows]

    def try_out(self, script: str) -> str:
        """What Slurm says to a script without taking it: refused, or when and where it would start."""
        done = self._run(["sbatch", "--test-only", script], _SECONDS)
        words = _words(done)
        # It refuses so while a node is drained or down, though a job may wait for it. What never comes is told by the
        # reason of the job that waits.
        if done.rc != 0 and "node configuration is not available" not in words:
            raise SlurmError(_refusal("Slurm would refuse the job", words))
        return words.partition("sbatch: ")[2] or words

    def submit(self, script: str) -> int:
        done = self._run(["sbatch", "--parsable", script], _SECONDS)
        number = done.stdout.strip().partition(";")[0]
        if done.rc != 0 or not number.isdigit():
            raise SlurmError(_refusal("Slurm has refused the job", _words(done)))
        return int(number)

    def cancel(self, numbers: Sequence[int]) -> None:
        if numbers:
            self._ask(["scancel", *map(str, numbers)])

    def _ask(self, argv: List[str], empty: str = "") -> str:
        done = self._run(argv, _SECONDS)
        if empty and empty in done.stdout:
            return ""
        return self._checked(done, " ".join(argv[:3]))

    def _checked(self, done: CliResult, what: str) -> str:
        if done.rc == 127:
            raise SlurmError(
                "This host has no Slurm commands ({0}): name a login node in the inventory, or set its PATH.".format(
                    done.stderr.strip()
                )
            )
        if done.rc != 0:
            raise SlurmError(_refusal("`{0}` failed with rc {1}".format(what, done.rc), _words(done)))
        return done.stdout


def _words(done: CliResult) -> str:
    return " ".join((done.stdout + " " + done.stderr).split())


def _refusal(what: str, words: str) -> str:
    mend = explain_refusal(words)
    said = re.sub(r"\b(sbatch|scontrol|scancel|squeue): (error: )?", "", words).strip().rstrip(".")
    return "{0}: {1}.{2}".format(what, said or "no word why", " " + mend[:1].upper() + mend[1:] + "." if mend else "")
