# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the archive is written, and for whom."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible.errors import AnsibleActionFail
from ansible_collections.llmserve.vllm.plugins.action.doctor_bundle import write


def test_the_archive_is_its_owner_s_alone(tmp_path: Path) -> None:
    path = tmp_path / "b.tar.gz"
    write(str(path), b"x")
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"x", 0o600)
    assert list(tmp_path.iterdir()) == [path]


def test_a_directory_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(AnsibleActionFail, match=r"cannot be written to .*No such file or directory"):
        write(str(tmp_path / "none" / "b.tar.gz"), b"x")
