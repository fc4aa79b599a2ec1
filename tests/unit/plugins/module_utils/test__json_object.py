# SPDX-License-Identifier: GPL-3.0-or-later
"""Strict reading of JSON objects."""

from __future__ import annotations

import pytest
from ansible_collections.llmserve.vllm.plugins.module_utils._json_object import JsonError, parse_object


def test_an_object() -> None:
    assert parse_object(b'\xef\xbb\xbf{"a": [1, {"b": null}]}', 100) == {"a": [1, {"b": None}]}


def test_infinite_numbers_stand_in_real_configs() -> None:
    text = b'{"time_step_limit": [0.0, Infinity], "deep": {"x": -Infinity}, "big": 1e999}'
    assert parse_object(text, 100) == {"time_step_limit": [0.0, None], "deep": {"x": None}, "big": None}


def test_a_name_twice_with_one_value_is_harmless() -> None:
    assert parse_object(b'{"a": 1, "a": 1}', 100) == {"a": 1}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b" ", "is empty"),
        (b"<html>", "is not valid JSON (Expecting value, line 1 column 1)"),
        (b'{"a": 1,\n}', "line 2 column 1"),
        (b"[1]", "is not a JSON object but a list"),
        (b"null", "is not a JSON object but null"),
        (b'{"a": "\xff"}', "is not text in UTF-8"),
        (b'{"text_config": {"scales": [1, NaN]}}', "gives text_config.scales[1] the value NaN"),
        (b'{"hidden_size": 1, "hidden_size": 2}', "names hidden_size twice with different values"),
        (b'{"a":' * 100000, "too many levels"),
        (b'{"a": "' + b"x" * 100 + b'"}', "is larger than 0 MB"),
    ],
)
def test_faults_are_told_in_one_line(text: bytes, words: str) -> None:
    with pytest.raises(JsonError) as caught:
        parse_object(text, 100 if b"xxx" in text else 10**6)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
