# SPDX-License-Identifier: GPL-3.0-or-later
"""Work as another user; the real change needs root."""

from __future__ import annotations

import getpass
import os
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.llmserve.vllm.plugins.module_utils._run_as import RunAsError, call_as

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")


def who() -> dict[str, Any]:
    return {"uid": os.geteuid(), "pid": os.getpid(), "home": os.environ["HOME"]}


@pytest.mark.parametrize("user", ["", getpass.getuser()])
def test_nobody_else(user: str) -> None:
    assert call_as(user, who)["pid"] == os.getpid()


def test_an_unknown_user() -> None:
    with pytest.raises(RunAsError, match="There is no user no-such-user"):
        call_as("no-such-user", who)


def test_only_root_can(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    with pytest.raises(RunAsError, match="add become: true"):
        call_as("nobody", who)


@needs_root
def test_the_work_is_done_in_a_child_and_the_parent_stays_root() -> None:
    found = call_as("nobody", who)
    assert found["uid"] != 0
    assert found["pid"] != os.getpid()
    assert os.geteuid() == 0


@needs_root
def test_the_child_has_no_rights_left(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)

    def write() -> dict[str, Any]:
        os.setuid(0)
        return {}

    with pytest.raises(RunAsError, match="PermissionError"):
        call_as("nobody", write)


@needs_root
def test_a_child_that_dies() -> None:
    def die() -> dict[str, Any]:
        os._exit(3)

    with pytest.raises(RunAsError, match="ended without a result"):
        call_as("nobody", die)
