# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Figures and names of a plan as people read them."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.llmserve.vllm.plugins.plugin_utils import _plan_words as words


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0, 0), (1.5, 1.5), (True, None), ("7", None), (None, None), (float("nan"), None), (float("inf"), None)],
)
def test_what_is_a_figure(value: Any, expected: float | None) -> None:
    assert words.number(value) == expected


def test_an_absurd_integer_is_no_figure() -> None:
    assert words.number(10**400) is None


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0, "0 s"), (203, "3 min 23 s"), (6494, "1 h 48 min"), (200000, "2 d 8 h"), (-1, "unknown"), (None, "unknown")],
)
def test_durations(seconds: float | None, expected: str) -> None:
    assert words.duration(seconds) == expected


@pytest.mark.parametrize(("value", "expected"), [(0.92, "0.92"), (125.0, "125"), (1e4, "10,000"), ("", "unknown")])
def test_decimals_have_no_needless_zeros(value: Any, expected: str) -> None:
    assert words.decimal(value) == expected


@pytest.mark.parametrize(("value", "expected"), [(-0.001, "0.0"), (-18.715, "-18.7"), (None, "?"), (123456, "1e+05")])
def test_gib(value: Any, expected: str) -> None:
    assert words.gib(value) == expected


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ([], ""),
        (["a"], "a"),
        (["node-001", "node-002", "node-003"], "node-001..003"),
        ([f"gpu{number}" for number in range(8, 12)], "gpu8..11"),
        (["n1.example.com", "n2.example.com"], "n[1..2].example.com"),
        (["node-1", "node-3"], "node-1, node-3"),
        (["a9", "a010"], "a9, a010"),
        (["alpha", "beta", "gamma", "delta"], "alpha .. delta (4 hosts)"),
    ],
)
def test_ranges_of_hosts(names: list[str], expected: str) -> None:
    assert words.host_range(names) == expected


def test_ranges_of_numbers() -> None:
    assert words.ranges([6, 1, 2, 3, 3]) == "1-3, 6"


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("It is too large.", ("It is too large.", [])),
        ("Too large. What would work: 16 GPUs; FP8.", ("Too large.", ["16 GPUs", "FP8"])),
        ("What would work: more.", ("", ["more"])),
    ],
)
def test_a_reason_and_its_remedies(reason: str, expected: tuple[str, list[str]]) -> None:
    assert words.split_reason(reason) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [(True, "true"), (None, "null"), (8, "8"), ({"image": 2}, '{"image": 2}'), (["a", "b"], '["a", "b"]')],
)
def test_engine_arguments(value: Any, expected: str) -> None:
    assert words.argument(value) == expected


def test_text_is_one_line_without_control_characters() -> None:
    assert words.words("a\x1b[31m\r\nb\u202ec ") == "a [31m b c"
    assert words.words({"a": 1}) == ""
    assert words.sentences("by itself") == ["by itself"]
    assert words.sentences(["a", None, " ", 3]) == ["a", "3"]
