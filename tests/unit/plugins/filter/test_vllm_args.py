# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter llmserve.vllm.vllm_args."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.llmserve.vllm.plugins.filter import vllm_args as plugin

FILTER = plugin.FilterModule().filters()["vllm_args"]


@pytest.fixture
def warned(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    texts: list[str] = []
    monkeypatch.setattr(plugin.display, "warning", texts.append)
    return texts


def test_argv_and_warnings(warned: list[str]) -> None:
    assert FILTER({"swap_space": 16, "max_model_len": 8192}, version="0.33.0") == ["--max-model-len", "8192"]
    assert len(warned) == 1
    assert warned[0].startswith("--swap-space was removed in vLLM 0.18")


def test_no_version_is_only_a_warning(warned: list[str]) -> None:
    assert FILTER({"max_model_len": 8192}, version="") == ["--max-model-len", "8192"]
    assert FILTER({"max_model_len": 8192}) == ["--max-model-len", "8192"]
    assert len(warned) == 2


def test_errors_are_filter_errors() -> None:
    with pytest.raises(AnsibleFilterError, match="Did you mean max_model_len"):
        FILTER({"max_model_length": 1}, version="0.33.0")
    with pytest.raises(AnsibleFilterError, match="needs a dictionary of engine arguments, not list"):
        FILTER(["--max-model-len"], version="0.33.0")


def test_what_the_target_accepts(warned: list[str]) -> None:
    accepted = {"max-model-len": {"kind": "str"}, "dtype": {"kind": "choice", "choices": ["auto", "half"]}}
    assert FILTER({"max_model_len": 8192}, version="nightly", accepted=accepted) == ["--max-model-len", "8192"]
    assert FILTER({"max_model_len": 8192}, version="0.33.0", accepted={}) == ["--max-model-len", "8192"]
    assert warned == []
    with pytest.raises(AnsibleFilterError, match="It takes auto, half"):
        FILTER({"dtype": "bfloat16"}, version="0.33.0", accepted=accepted)
    with pytest.raises(AnsibleFilterError, match="as engine_flags returns them"):
        FILTER({"dtype": "auto"}, version="0.33.0", accepted=["dtype"])


def test_all_problems_at_once() -> None:
    with pytest.raises(AnsibleFilterError, match=r"2 problems:\n- .*\n- "):
        FILTER({"max_model_length": 1, "dtype": "x"}, version="0.33.0")
