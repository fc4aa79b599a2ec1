# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/diagnosis.md and the script that writes its tables."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from ansible_collections.llmserve.vllm.plugins.module_utils._diagnosis.catalogue import CAUSES
from ansible_collections.llmserve.vllm.tests import diagnosis_tables


def test_the_page_is_up_to_date_and_has_an_example_of_each_cause() -> None:
    page = diagnosis_tables.PAGE.read_text(encoding="utf-8")
    assert diagnosis_tables.rendered(page) == page
    examples = diagnosis_tables.looks()
    for cause in CAUSES:
        assert cause.slug + (f"/{cause.detail}" if cause.detail else "") in examples


def test_a_stale_page_is_an_error_of_the_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{diagnosis_tables.BEGIN}old\n{diagnosis_tables.END}\nafter\n")
    monkeypatch.setattr(diagnosis_tables, "PAGE", page)
    monkeypatch.setattr(sys, "argv", ["diagnosis_tables.py", "--check"])
    assert diagnosis_tables.main() == 1
    assert "old" in page.read_text()
    monkeypatch.setattr(sys, "argv", ["diagnosis_tables.py"])
    assert diagnosis_tables.main() == 0
    text = page.read_text()
    assert text.startswith("before\n") and text.endswith("\nafter\n") and "`cuda_oom`" in text
    assert diagnosis_tables.main() == 0
