# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The GPUs that an inventory declares."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.llmserve.vllm.plugins.filter.declared_gpus import declared_gpus


def test_number_and_name() -> None:
    assert declared_gpus("8 x NVIDIA H100 80GB HBM3") == [{"name": "NVIDIA H100 80GB HBM3"}] * 8


def test_two_kinds() -> None:
    assert declared_gpus("1 x RTX 3090, 2 x RTX 4090") == [{"name": "RTX 3090"}] + [{"name": "RTX 4090"}] * 2


def test_a_number_alone() -> None:
    assert declared_gpus(2) == [{"name": "unknown GPU"}] * 2


@pytest.mark.parametrize("text", ["", "H100", "8 H100", "0 x H100", "65 x H100", "8 x", None, "1 x A,,"])
def test_anything_else_says_how_to_write_it(text: Any) -> None:
    with pytest.raises(AnsibleFilterError, match="8 x NVIDIA H100 80GB HBM3"):
        declared_gpus(text)
