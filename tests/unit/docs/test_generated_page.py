# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pages with generated parts are checked, and written."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from ansible_collections.llmserve.vllm.tests.generated_page import update

PARTS = {"rows": lambda: ["| new |", "| rows |"]}
STALE = "before\n<!-- BEGIN rows -->\nold\n<!-- END rows -->\nafter\n"
FRESH = "before\n<!-- BEGIN rows -->\n| new |\n| rows |\n<!-- END rows -->\nafter\n"


def test_a_stale_page_is_an_error_of_the_check_and_is_written_without_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.md"
    page.write_text(STALE)
    monkeypatch.setattr(sys, "argv", ["tables.py", "--check"])
    assert update(page, PARTS) == 1
    assert "page.md is stale: run make docs" in capsys.readouterr().err
    assert page.read_text() == STALE
    monkeypatch.setattr(sys, "argv", ["tables.py"])
    assert update(page, PARTS) == 0
    assert page.read_text() == FRESH
    monkeypatch.setattr(sys, "argv", ["tables.py", "--check"])
    assert update(page, PARTS) == 0
