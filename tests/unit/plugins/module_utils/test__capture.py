# SPDX-License-Identifier: GPL-3.0-or-later
"""Limits on a command's time and output."""

from __future__ import annotations

import sys
import time

from ansible_collections.llmserve.vllm.plugins.module_utils._capture import Ends, capture


def test_short_output_is_kept_whole() -> None:
    done = capture(["sh", "-c", "echo out; echo err >&2; exit 3"], 5, 1000)
    assert (done.rc, done.problem) == (3, "")
    assert sorted(done.text.split()) == ["err", "out"]


def test_long_output_keeps_its_beginning_and_its_end_in_whole_lines() -> None:
    done = capture([sys.executable, "-c", "[print('line', n) for n in range(100000)]"], 20, 4000)
    lines = done.text.splitlines()
    assert lines[0] == "line 0"
    assert lines[-1] == "line 99999"
    assert len(done.text) < 4100
    cut = next(number for number, line in enumerate(lines) if line.endswith("bytes left out]"))
    assert all(line.startswith("line ") for line in lines[:cut] + lines[cut + 1 :])
    # nothing was lost that is not told
    left_out = int(lines[cut][1:].split()[0])
    whole = sum(len(f"line {n}\n") for n in range(100000))
    assert left_out + len(done.text) - len(lines[cut]) - 1 == whole


def test_a_line_that_was_cut_is_left_out_for_it_might_hold_half_a_secret() -> None:
    ends = Ends(100)
    ends.add(b"start\n" + b"key=sk-" + b"x" * 500 + b"\nend\n")
    assert ends.text() == "start\n[508 bytes left out]\nend\n"


def test_what_never_ends_is_cut_off_and_killed() -> None:
    began = time.monotonic()
    done = capture(["sh", "-c", "echo begun; sleep 60"], 0.5, 1000)
    assert time.monotonic() - began < 10
    assert (done.rc, done.text) == (None, "begun\n")
    assert "cut off after 0.5 s" in done.problem


def test_a_command_that_is_not_there() -> None:
    assert capture(["/no/such/command"], 1, 100).problem == "/no/such/command: No such file or directory"
