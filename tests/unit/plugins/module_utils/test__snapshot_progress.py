# SPDX-License-Identifier: GPL-3.0-or-later
"""Rates, percentages, and a sentence when nothing moves."""

from __future__ import annotations

from ansible_collections.llmserve.vllm.plugins.module_utils._snapshot_progress import (
    FETCH,
    VERIFY,
    Meter,
    percent,
    sentence,
)


class Clock:
    """A clock that the test moves."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def meter() -> tuple[Meter, Clock]:
    clock = Clock()
    made = Meter(clock)
    made.begin(FETCH, 200_000_000_000, 800_000_000_000, 60, 200)
    return made, clock


def test_a_download_that_moves() -> None:
    made, clock = meter()
    for _second in range(60):
        clock.now += 1
        made.add(100_000_000)
    made.file_done()
    assert sentence(made.figures()) == (
        "downloading 25.8 %, 206 GB of 800 GB, 100 MB/s, 1 h 39 min left, 61 of 200 files"
    )
    assert made.figures()["bytes_fetched"] == 6_000_000_000


def test_the_rate_is_that_of_late() -> None:
    made, clock = meter()
    for rate in (1_000_000, 50_000_000):
        for _second in range(60):
            clock.now += 1
            made.add(rate)
    assert 49_000_000 < made.rate() <= 50_000_000


def test_nothing_moves_and_why() -> None:
    made, clock = meter()
    made.add(10)
    made.note("Rate limited. Waiting 30.0s before retry [Retry 1/5].")
    clock.now += 30
    assert sentence(made.figures()).endswith("Waiting 30.0s before retry [Retry 1/5].")
    clock.now += 60
    told = sentence(made.figures())
    assert told.endswith("nothing has moved for 1 min 30 s: Rate limited. Waiting 30.0s before retry [Retry 1/5].")
    assert " left" not in told
    made.add(10)
    assert "Rate limited" not in sentence(made.figures())


def test_it_says_100_only_when_it_is() -> None:
    assert percent({"bytes_done": 99_999, "bytes_total": 100_000}) == 99.9
    assert percent({"bytes_done": 100_000, "bytes_total": 100_000}) == 100
    assert percent({"bytes_done": 0, "bytes_total": 0}) == 0


def test_what_was_for_nothing_is_taken_back() -> None:
    made, _clock = meter()
    made.add(1000)
    made.take_back(1000)
    made.have(5)
    figures = made.figures()
    assert (figures["bytes_done"], figures["bytes_fetched"]) == (200_000_000_005, 1000)
    made.begin(VERIFY, 0, 10, 0, 1)
    made.add(10)
    assert made.figures()["bytes_fetched"] == 1000
    assert sentence(made.figures()).startswith("verifying 100.0 %")


def test_before_the_first_figure() -> None:
    assert sentence(Meter().figures()) == "starting"
