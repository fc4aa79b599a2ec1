# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/diagnosis.md and the script that writes its tables."""

from __future__ import annotations

from ansible_collections.llmserve.vllm.plugins.module_utils._diagnosis.catalogue import CAUSES
from ansible_collections.llmserve.vllm.tests import diagnosis_tables
from ansible_collections.llmserve.vllm.tests.generated_page import rendered


def test_the_page_is_up_to_date_and_has_an_example_of_each_cause() -> None:
    page = diagnosis_tables.PAGE.read_text(encoding="utf-8")
    assert rendered(page, diagnosis_tables.TABLES) == page
    examples = diagnosis_tables.looks()
    for cause in CAUSES:
        assert cause.slug + (f"/{cause.detail}" if cause.detail else "") in examples
