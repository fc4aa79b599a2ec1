# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which plans are looked at, and the browser that looks at them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.llmserve.vllm.plugins.filter.plan_page import plan_page
from ansible_collections.llmserve.vllm.tests.unit.plugins.plans import NAMES, load, wide

from tests.browser.chromium import Page, chromium


@dataclass(frozen=True)
class Case:
    """A plan, and the file that shows it."""

    plan: dict[str, Any]
    path: Path


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("plan pages")
    group.addoption("--plan", type=Path, help="look at this plan.json instead of the recorded ones")
    group.addoption("--page", type=Path, help="the page made of it; without it, it is made anew")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "case" in metafunc.fixturenames:
        given = metafunc.config.getoption("--plan")
        metafunc.parametrize("case", ["given"] if given else [*NAMES, "64_hosts", "64_hosts_alike"], indirect=True)


@pytest.fixture(scope="session")
def browser() -> Iterator[Page]:
    """One browser for all tests."""
    with chromium() as page:
        yield page


@pytest.fixture
def case(request: pytest.FixtureRequest, tmp_path: Path) -> Case:
    """The plan that was given on the command line, or one of the recorded ones."""
    if request.param == "given":
        plan = json.loads(request.config.getoption("--plan").read_text())
        # as the module returns it, and as it stands in its result
        plan = plan.get("plan", plan)
        page = request.config.getoption("--page")
        if page:
            return Case(plan, page)
    elif request.param in NAMES:
        plan = load(request.param)
    else:
        plan = wide(64, 8, 64, alike=request.param.endswith("alike"))
    path = tmp_path / "plan.html"
    path.write_text(plan_page(plan), encoding="utf-8")
    return Case(plan, path)
