# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A systemd unit that serves, looked at as a container is: is it up, did it restart, what did it log.

This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import os
import re
import time
from typing import Any, Dict, List, NamedTuple, Optional, Sequence

from ansible_collections.llmserve.vllm.plugins.module_utils._cluster_containers import engine_command, without_secrets
from ansible_collections.llmserve.vllm.plugins.module_utils._container import (
    CliResult,
    ContainerError,
    ContainerState,
    Runner,
    run_cli,
)
from ansible_collections.llmserve.vllm.plugins.module_utils._holders import UNIT_DIR
from ansible_collections.llmserve.vllm.plugins.module_utils._holders import unit_file as file_of
from ansible_collections.llmserve.vllm.plugins.module_utils._host import entries, read_text
from ansible_collections.llmserve.vllm.plugins.module_utils._unit_file import UnitFile, read

KIND, KEEPER = "unit", "systemd"
_PROPERTIES = (
    "LoadState",
    "ActiveState",
    "SubState",
    "Result",
    "NRestarts",
    "MainPID",
    "InvocationID",
    "ExecMainCode",
    "ExecMainStatus",
    "ExecMainStartTimestampMonotonic",
    "ExecMainExitTimestampMonotonic",
    "UnitFileState",
    "NeedDaemonReload",
)
_OURS = re.compile(r"^llmserve-[a-z-]+\.service$")
# waitid's CLD_KILLED and CLD_DUMPED: the status is a signal then
_BY_SIGNAL = ("2", "3")
_SECONDS = 30


class Look(NamedTuple):
    """What C(systemctl show) says, with times as seconds since 1970; 0 for never."""

    properties: Dict[str, str]
    started: float
    ended: float


def unit_name(name: str) -> str:
    """With the ending that systemctl would add."""
    return name if name.endswith(".service") else name + ".service"


def show(name: str, run: Runner = run_cli) -> Look:
    """Ask systemd for a unit; one that it does not know has C(LoadState=not-found)."""
    unit = unit_name(name)
    done = run(["systemctl", "show", unit, "--property", ",".join(_PROPERTIES)], _SECONDS)
    found = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
    if done.rc != 0 or "LoadState" not in found:
        raise ContainerError(
            "`systemctl show {0}` failed with rc {1}: {2}. See that systemd runs on this host, and that the task has "
            "become: true.".format(unit, done.rc, done.stderr.strip()[-500:] or "no message")
        )
    return Look(
        found,
        _wall_clock(found.get("ExecMainStartTimestampMonotonic", "")),
        _wall_clock(found.get("ExecMainExitTimestampMonotonic", "")),
    )


def _wall_clock(microseconds: str) -> float:
    value = int(microseconds) if microseconds.isdigit() else 0
    return time.time() - time.monotonic() + value / 1e6 if value else 0.0


def status_of(look: Look) -> str:
    """In Docker's words."""
    active, sub = (look.properties.get(name, "") for name in ("ActiveState", "SubState"))
    if sub.startswith("auto-restart"):
        return "restarting"
    return "running" if active in ("active", "reloading", "activating", "deactivating") else "exited"


def exit_code(look: Look) -> int:
    """As a shell gives it: 128 and more for a signal."""
    status = look.properties.get("ExecMainStatus", "")
    code = int(status) if status.isdigit() else 0
    return 128 + code if look.properties.get("ExecMainCode") in _BY_SIGNAL else code


def problem_of(look: Look) -> str:
    """What systemd itself has against the unit; empty when it is the process alone that ended."""
    result = look.properties.get("Result", "")
    known = {
        "start-limit-hit": "systemd has given up after too many starts in a row",
        "resources": "systemd could not start it: a file or a right is missing",
        "timeout": "it did not stop or start in time",
    }
    return known.get(result, "") if status_of(look) != "running" else ""


def state(name: str, folder: str = UNIT_DIR, run: Runner = run_cli) -> ContainerState:
    """The state of a unit; C(exists=False) when there is none of that name."""
    look = show(name, run)
    if look.properties["LoadState"] == "not-found":
        return ContainerState(exists=False, kind=KIND, keeper=KEEPER)
    restarts = look.properties.get("NRestarts", "")
    made = _changed(os.path.join(folder, unit_name(name)))
    return ContainerState(
        exists=True,
        status=status_of(look),
        restarts=int(restarts) if restarts.isdigit() else 0,
        exit_code=exit_code(look),
        oom_killed=look.properties.get("Result") == "oom-kill",
        error=problem_of(look),
        started_at=_stamp(look.started),
        created=_stamp(made),
        id=look.properties.get("InvocationID", ""),
        kind=KIND,
        keeper=KEEPER,
    )


def _stamp(seconds: float) -> str:
    """A time as journalctl takes it."""
    return "@{0:.6f}".format(seconds) if seconds else ""


def _changed(path: str) -> float:
    try:
        return os.stat(path).st_mtime
    except OSError:
        return 0.0


def log_argv(name: str, tail: object, since: str = "") -> List[str]:
    """The command that prints the end of what the unit wrote, and what systemd says of it."""
    argv = ["journalctl", "--quiet", "--no-pager", "--all", "--output", "cat", "--lines", str(tail)]
    return [*argv, *(["--since", since] if since else []), "--unit", unit_name(name)]


def logs(name: str, tail: int, since: str = "", run: Runner = run_cli) -> str:
    """The end of what the unit wrote; empty when there is nothing to read."""
    done = run(log_argv(name, tail, since), 60)
    return done.stdout if done.rc == 0 else ""


def unit_file(name: str, folder: str = UNIT_DIR) -> UnitFile:
    """The unit's file; empty where there is none."""
    return file_of(unit_name(name), folder)


def ask(name: str, argv: Sequence[str], seconds: float, folder: str = UNIT_DIR, run: Runner = run_cli) -> CliResult:
    """Run a program in the unit's Python environment, as its user and with its variables and credentials."""
    found = unit_file(name, folder)
    if not found.user:
        return CliResult(127, "", "there is no unit {0} on this host".format(unit_name(name)))
    words = [found.labels["Bin"] + "/python3" if argv[0] == "python3" else argv[0], *argv[1:]]
    return run([*ask_prefix(found, seconds, _ask_name()), *words], seconds + 10)


def _ask_name() -> str:
    """A name of its own for every question: systemd forgets the one before only after a while."""
    return "llmserve-ask-{0}-{1}".format(os.getpid(), time.monotonic_ns())


def ask_prefix(found: UnitFile, seconds: float, unit: str) -> List[str]:
    """The beginning of a command line that runs something beside a unit.

    systemd itself reads the credentials, so that no secret is on a command line, and the user is that of the unit.
    """
    argv = ["systemd-run", "--quiet", "--pipe", "--wait", "--collect", "--unit=" + unit]
    properties = ["User=" + found.user, "RuntimeMaxSec={0:g}".format(seconds), "NoNewPrivileges=true"]
    if found.environment_file:
        properties.append("EnvironmentFile=" + found.environment_file)
    properties += ["LoadCredential=" + credential for credential in found.credentials]
    argv += ["--property=" + item for item in properties]
    names = [credential.partition(":")[0] for credential in found.credentials]
    if "ray_token" in names:
        # its own credentials lie elsewhere than those that the file of variables names, which wins over --setenv
        argv += ["/usr/bin/env", "RAY_AUTH_TOKEN_PATH=/run/credentials/{0}.service/ray_token".format(unit)]
    return argv


def units(cluster: str, folder: str = UNIT_DIR, run: Runner = run_cli) -> List[Dict[str, Any]]:
    """Every unit with the cluster's label, running or not, told as _cluster_containers tells containers."""
    found = []
    for file in sorted(entries(folder)):
        text = read_text(os.path.join(folder, file)) if _OURS.match(file) else None
        unit = read(text or "")
        if unit.labels.get("Cluster") == cluster and unit.labels.get("Component"):
            item = _unit(file[: -len(".service")], unit, os.path.join(folder, file), run)
            found += [item] if item else []
    return found


def _unit(name: str, unit: UnitFile, path: str, run: Runner) -> Optional[Dict[str, Any]]:
    try:
        look = show(name, run)
    except ContainerError:
        # gone meanwhile, or no systemd that answers
        return None
    restarts = look.properties.get("NRestarts", "")
    return {
        "id": name,
        "name": name,
        "runtime": "venv",
        "component": unit.labels["Component"],
        "executor": unit.labels.get("Executor", ""),
        "group": unit.labels.get("Group", ""),
        "status": status_of(look),
        "exit_code": exit_code(look),
        "oom_killed": look.properties.get("Result") == "oom-kill",
        "error": problem_of(look),
        "restarts": int(restarts) if restarts.isdigit() else 0,
        "restart_policy": "always",
        "created": int(_changed(path)) or None,
        "started": int(look.started) or None,
        "finished": int(look.ended) or None,
        "image": unit.labels.get("Environment", ""),
        "image_id": unit.labels.get("Lock", ""),
        "image_digest": unit.labels.get("Lock", ""),
        "command": without_secrets(engine_command(unit.command[1:])),
    }
