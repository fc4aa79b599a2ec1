# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report of the smoke test."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from jinja2 import Environment, StrictUndefined

VARIABLES = yaml.safe_load((Path(__file__).resolve().parents[3] / "roles/smoke_test/vars/main.yml").read_text())


@pytest.mark.parametrize(("rate", "words"), [(31.54, ", then 31.5 tokens/s"), (None, "")])
def test_an_answer_of_one_token_has_no_speed(rate: float | None, words: str) -> None:
    template = Environment(undefined=StrictUndefined).from_string(VARIABLES["__smoke_test_speed"])
    assert template.render(__smoke_test_stream={"tokens_per_second": rate}) == words
