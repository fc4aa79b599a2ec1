# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filters that show a plan."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.llmserve.vllm.plugins.filter import plan_page, plan_screen
from ansible_collections.llmserve.vllm.tests.unit.plugins.plans import load

SCREEN = plan_screen.FilterModule().filters()["plan_screen"]
PAGE = plan_page.FilterModule().filters()["plan_page"]


def test_they_show_the_plan() -> None:
    plan = load("405b_2x8")
    assert "TP 8 x PP 2, 16 of 16 GPUs on 2 hosts" in SCREEN(plan)
    assert "TP 8 × PP 2" in PAGE(plan)  # noqa: RUF001


@pytest.mark.parametrize(("value", "shown"), [(True, True), ("yes", True), (False, False), ("no", False)])
def test_the_arithmetic_is_a_choice(value: Any, shown: bool) -> None:
    assert ("\nArithmetic\n" in SCREEN(load("405b_2x8"), arithmetic=value)) is shown


def test_the_choice_is_a_boolean() -> None:
    with pytest.raises(AnsibleFilterError, match="arithmetic is true or false, not 'perhaps'"):
        SCREEN({}, arithmetic="perhaps")


@pytest.mark.parametrize("show", [SCREEN, PAGE])
@pytest.mark.parametrize("plan", [None, "text", [{}]])
def test_something_that_is_no_plan(show: Any, plan: Any) -> None:
    with pytest.raises(AnsibleFilterError, match=r"needs the plan of llmserve\.vllm\.parallel_plan"):
        show(plan)
