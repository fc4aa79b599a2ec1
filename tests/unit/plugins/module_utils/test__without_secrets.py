# SPDX-License-Identifier: GPL-3.0-or-later
"""Facts leave the host without secrets."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.llmserve.vllm.plugins.module_utils._without_secrets import read_secrets, without


def test_secrets_are_read_whole_and_by_line(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("sk-abc\n")
    (tmp_path / "many").write_text("first secret\nsecond secret\n")
    found = read_secrets([str(tmp_path / name) for name in ("key", "many", "none", "key/below")])
    assert found.values == ["first secret\nsecond secret", "second secret", "first secret", "sk-abc"]
    assert found.unread == []


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    assert read_secrets([str(tmp_path)]).unread == [f"{tmp_path}: Is a directory"]


def test_every_text_is_redacted_and_everything_else_stays() -> None:
    facts = {"a": ["x opensesame y", {"opensesame": 1}], "b": 2.5, "c": None, "d": ("token=abcdef123",)}
    assert without(facts, ["opensesame"]) == {
        "a": ["x <redacted> y", {"opensesame": 1}],
        "b": 2.5,
        "c": None,
        "d": ["token=<redacted>"],
    }
