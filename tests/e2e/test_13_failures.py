# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Failures of the engine, provoked for real: the true cause within seconds. A few of those of docs/failures.md."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from ansible_collections.llmserve.vllm.tests.failures.failures import BY_NAME
from ansible_collections.llmserve.vllm.tests.failures.measure import Bench, problem

from tests.e2e.conftest import Operator

pytestmark = pytest.mark.long
CHOSEN = (
    "unknown_flag",
    "removed_flag_past_the_role",
    "model_path_missing",
    "shard_missing",
    "port_in_use",
    "shm_too_small",
    "api_key_empty",
    "killed_while_starting",
    "core_killed_while_starting",
)


@pytest.fixture(scope="module")
def bench(sandbox: Operator) -> Iterator[Bench]:
    sandbox.playbook("stop").ok()
    made = Bench(str(sandbox.hostvars("node1").get("sandbox_name", "llmserve-sandbox")))
    made.stop_ray()
    made.prepare()
    yield made
    made.clear()


@pytest.mark.parametrize("name", CHOSEN)
def test_the_true_cause_is_told_in_time(bench: Bench, name: str) -> None:
    failure = BY_NAME[name]
    row = bench.measure(failure)
    print(f"{row['seconds']} s, {row['noticed_by']}: {row['message']}")
    assert problem(failure, row) == "", row
