# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/engine_arguments.md: its tables are those of the data, and its example is one that works."""

from __future__ import annotations

import re

import yaml
from ansible_collections.llmserve.vllm.plugins.module_utils._planner.findings import LEAKY_PIPELINE
from ansible_collections.llmserve.vllm.plugins.module_utils._vllm_args import build_argv
from ansible_collections.llmserve.vllm.plugins.module_utils._vllm_bad_data import KNOWN_BAD
from ansible_collections.llmserve.vllm.plugins.module_utils._vllm_flags import parse_release
from ansible_collections.llmserve.vllm.tests import engine_tables
from ansible_collections.llmserve.vllm.tests.generated_page import rendered

PAGE = engine_tables.PAGE.read_text(encoding="utf-8")


def test_the_tables_are_fresh() -> None:
    assert rendered(PAGE, engine_tables.TABLES) == PAGE


def test_the_example_works() -> None:
    example = re.search(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    assert example
    result = build_argv(yaml.safe_load(example.group(1))["llmserve_engine_args"], "0.33.0")
    assert result.warnings == []
    assert result.argv[:3] == ["--max-model-len", "128k", "--no-enable-prefix-caching"]
    assert '{"image":2}' in result.argv


def test_the_planner_warns_of_the_same_releases() -> None:
    leak = next(entry for entry in KNOWN_BAD if entry.slug == "async_pipeline_leak")
    assert ((parse_release(leak.since) or ())[:2], (parse_release(leak.fixed) or ())[:2]) == LEAKY_PIPELINE
