# SPDX-License-Identifier: GPL-3.0-or-later
"""What systemctl has to be asked for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible_collections.llmserve.vllm.plugins.module_utils._unit_state import (
    File,
    Seen,
    differing,
    newest,
    seen_in,
    steps,
)

FRESH = Seen(known=False, running=False, enabled=False, started=0)
RUNS = Seen(known=True, running=True, enabled=True, started=100)
DOWN = Seen(known=True, running=False, enabled=True, started=100)


@pytest.mark.parametrize(
    ("wanted", "seen", "rewritten", "written", "expected"),
    [
        ("started", FRESH, True, 0, ["daemon-reload", "enable", "reset-failed", "start"]),
        ("started", RUNS, False, 50, []),
        ("started", RUNS, True, 50, ["daemon-reload", "restart"]),
        # a run before this one was cut off between writing and restarting, or a secret is younger
        ("started", RUNS, False, 150, ["restart"]),
        ("started", RUNS._replace(needs_reload=True), False, 50, ["daemon-reload"]),
        ("started", RUNS._replace(enabled=False), False, 50, ["enable"]),
        ("started", DOWN, False, 50, ["reset-failed", "start"]),
        ("stopped", RUNS, False, 50, ["disable", "stop"]),
        ("stopped", DOWN._replace(enabled=False), False, 50, []),
        ("absent", RUNS, False, 50, ["disable", "stop"]),
        ("absent", FRESH, False, 0, []),
    ],
)
def test_steps(wanted: str, seen: Seen, rewritten: bool, written: float, expected: list[str]) -> None:
    assert [step.word for step in steps(wanted, seen, rewritten, written)] == expected


def test_reloading_alone_is_no_change() -> None:
    assert not any(step.is_change for step in steps("started", RUNS._replace(needs_reload=True), False, 50))


def test_files_differ_in_content_and_in_rights(tmp_path: Path) -> None:
    path = tmp_path / "x.env"
    path.write_text("A=1\n")
    path.chmod(0o600)
    assert differing([File(str(path), "A=1\n", 0o600)]) == []
    assert differing([File(str(path), "A=2\n", 0o600)])
    path.chmod(0o644)
    assert differing([File(str(path), "A=1\n", 0o600)])
    assert differing([File(str(tmp_path / "none"), "", 0o600)])
    assert differing([File(str(tmp_path / "none"), None, 0)]) == []
    assert differing([File(str(path), None, 0)])


def test_the_youngest_file_counts(tmp_path: Path) -> None:
    for name, age in (("a", 100), ("b", 200)):
        (tmp_path / name).write_text("")
        os.utime(tmp_path / name, (age, age))
    assert newest([str(tmp_path / name) for name in ("a", "b", "none")]) == 200
    assert newest([]) == 0


def test_one_that_is_about_to_be_started_again_counts_as_running() -> None:
    assert seen_in({"LoadState": "loaded", "ActiveState": "activating", "SubState": "auto-restart"}, 1).running
    assert not seen_in({"LoadState": "not-found", "ActiveState": "inactive"}, 0).known
    assert seen_in({"LoadState": "loaded", "UnitFileState": "enabled", "NeedDaemonReload": "yes"}, 0) == Seen(
        True, False, True, 0, True
    )
