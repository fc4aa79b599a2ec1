# SPDX-License-Identifier: GPL-3.0-or-later
"""Waiting by a clock that does not run by itself."""

from __future__ import annotations

import pytest
from ansible_collections.llmserve.vllm.plugins.module_utils._wait import (
    FAILED,
    READY,
    TIMEOUT,
    WAITING,
    Look,
    minutes,
    wait_as_told,
    wait_for,
)


class Clock:
    """Moves when somebody sleeps or looks."""

    def __init__(self, cost: float = 0.0, ready_at: float = float("inf"), status: str = READY) -> None:
        self.now = 100.0
        self.cost = cost
        self.ready_at = 100.0 + ready_at
        self.status = status
        self.looks: list[float] = []

    def time(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def look(self, budget: float) -> Look:
        self.looks.append(budget)
        self.now += self.cost
        status = self.status if self.now >= self.ready_at else WAITING
        return Look(status, f"{self.now:g}", {})


@pytest.mark.parametrize("status", [READY, FAILED])
def test_it_ends_with_the_answer(status: str) -> None:
    clock = Clock(ready_at=4, status=status)
    waited = wait_for(clock.look, 60, 2, clock=clock.time, sleep=clock.sleep)
    assert (waited.status, waited.elapsed, len(clock.looks)) == (status, 4, 3)


def test_it_ends_with_the_timeout_and_looks_a_last_time() -> None:
    clock = Clock()
    waited = wait_for(clock.look, 5, 2, clock=clock.time, sleep=clock.sleep)
    assert (waited.status, waited.elapsed) == (TIMEOUT, 5)
    assert waited.look.sentence == "105"


def test_a_timeout_of_zero_is_one_look() -> None:
    clock = Clock()
    assert wait_for(clock.look, 0, 2, clock=clock.time, sleep=clock.sleep).status == TIMEOUT
    assert len(clock.looks) == 1


def test_a_slice_hands_back_in_time_for_the_next_look() -> None:
    clock = Clock(cost=3)
    waited = wait_for(clock.look, 60, 1, slice_seconds=10, clock=clock.time, sleep=clock.sleep)
    # looks at 0 and 4 s; the one at 8 s would end after the slice
    assert (waited.status, waited.elapsed, len(clock.looks)) == (WAITING, 7, 2)


def test_slices_share_one_timeout() -> None:
    clock = Clock()
    waited = wait_for(clock.look, 25, 2, slice_seconds=10, already=20, clock=clock.time, sleep=clock.sleep)
    assert (waited.status, waited.elapsed) == (TIMEOUT, 25)
    late = wait_for(clock.look, 25, 2, slice_seconds=10, already=40, clock=clock.time, sleep=clock.sleep)
    assert late.status == TIMEOUT


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.4, "0 s"), (59.4, "59 s"), (185, "3 min 05 s"), (3720, "1 h 02 min")]
)
def test_minutes(seconds: float, words: str) -> None:
    assert minutes(seconds) == words


def test_a_module_waits_as_its_options_say_and_returns_what_the_next_slice_needs() -> None:
    params = {"timeout": 60.0, "interval": 1.0, "slice": 0.01, "resume": {"elapsed": 7.0, "restarts_before": 2}}
    waited = wait_as_told(lambda _budget: Look(WAITING, "1 of 2", {}), params, check_mode=False)
    assert waited.status == WAITING
    result = waited.as_result(restarts_before=2)
    assert result == {
        "changed": False,
        "progress": "1 of 2",
        "elapsed": 7.0,
        "finished": False,
        "resume": {"restarts_before": 2, "elapsed": waited.elapsed},
    }
    looked = wait_as_told(lambda _budget: Look(WAITING, "1 of 2", {}), params, check_mode=True)
    assert (looked.status, looked.as_result()["finished"]) == (TIMEOUT, True)
