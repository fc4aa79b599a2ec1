# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a function as another user, and bring its result back.

become_user would do this for a whole task, but it needs ACLs or a world-readable copy of the module, token
included, when the user that connects is not root. A child process needs neither, and the parent keeps the rights
to clean up after the module.

This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import json
import os
import pwd
import sys
from typing import Any, Callable, Dict


class RunAsError(Exception):
    """The user cannot be assumed, or the child died; the message says why."""


def call_as(user: str, work: Callable[[], Dict[str, Any]]) -> Dict[str, Any]:
    """The dictionary that C(work) returns; in a child process as C(user) when that is not who runs this."""
    if not user:
        return work()
    try:
        entry = pwd.getpwnam(user)
    except KeyError:
        raise RunAsError("There is no user {0} on this host: create it, or change run_as.".format(user)) from None
    if entry.pw_uid == os.geteuid():
        return work()
    if os.geteuid() != 0:
        message = "Only root can run as {0}: add become: true to the task, or leave run_as out."
        raise RunAsError(message.format(user))
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        _child(entry, work, writer)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        payload = pipe.read()
    _pid, status = os.waitpid(child, 0)
    try:
        result: Dict[str, Any] = json.loads(payload.decode("utf-8"))
    except ValueError:
        raise RunAsError(
            "The work as user {0} ended without a result (wait status {1}); `dmesg` tells if it was killed.".format(
                user, status
            )
        ) from None
    if "__error__" in result:
        raise RunAsError(result["__error__"])
    return result


def _child(entry: pwd.struct_passwd, work: Callable[[], Dict[str, Any]], writer: int) -> None:
    """Never returns: a second exit through the module's own way out would print a second result."""
    code = 1
    try:
        # what libraries print must not mix with the module's result
        os.dup2(2, 1)
        os.initgroups(entry.pw_name, entry.pw_gid)
        os.setgid(entry.pw_gid)
        os.setuid(entry.pw_uid)
        os.environ.update(HOME=entry.pw_dir, USER=entry.pw_name, LOGNAME=entry.pw_name)
        os.chdir("/")
        os.umask(0o022)
        result = work()
        code = 0
    except BaseException as exc:
        result = {"__error__": "{0}: {1}".format(type(exc).__name__, exc)}
    try:
        with os.fdopen(writer, "wb") as pipe:
            pipe.write(json.dumps(result).encode("utf-8"))
        sys.stderr.flush()
    finally:
        os._exit(code)
