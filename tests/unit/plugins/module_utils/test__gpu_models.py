# SPDX-License-Identifier: GPL-3.0-or-later
"""What a GPU's name tells."""

from __future__ import annotations

import pytest
from ansible_collections.llmserve.vllm.plugins.module_utils import _gpu_models


@pytest.mark.parametrize(
    ("name", "capability"),
    [
        ("NVIDIA H100 80GB HBM3", "9.0"),
        ("NVIDIA H100 NVL", "9.0"),
        ("NVIDIA H20", "9.0"),
        ("NVIDIA GH200 480GB", "9.0"),
        ("NVIDIA B200", "10.0"),
        ("NVIDIA GB200", "10.0"),
        ("NVIDIA B300 SXM6 AC", "10.3"),
        ("NVIDIA GB300", "10.3"),
        ("NVIDIA GB10", "12.1"),
        ("NVIDIA Thor", "11.0"),
        ("Orin (nvgpu)", "8.7"),
        ("NVIDIA RTX PRO 6000 Blackwell Server Edition", "12.0"),
        ("NVIDIA GeForce RTX 5090", "12.0"),
        ("NVIDIA A100-SXM4-80GB", "8.0"),
        ("NVIDIA A100-PCIE-40GB", "8.0"),
        ("A100-SXM4-40GB", "8.0"),
        ("NVIDIA A30", "8.0"),
        ("NVIDIA A10G", "8.6"),
        ("NVIDIA A10", "8.6"),
        ("NVIDIA A40-48Q", "8.6"),
        ("NVIDIA RTX A6000", "8.6"),
        ("NVIDIA RTX 6000 Ada Generation", "8.9"),
        ("NVIDIA L40S", "8.9"),
        ("NVIDIA L4", "8.9"),
        ("NVIDIA GeForce RTX 4090", "8.9"),
        ("NVIDIA GeForce RTX 3090", "8.6"),
        ("NVIDIA GeForce RTX 2080 Ti", "7.5"),
        ("Quadro RTX 6000", "7.5"),
        ("Tesla T4", "7.5"),
        ("Tesla V100-SXM2-32GB", "7.0"),
        ("Tesla P100-PCIE-16GB", "6.0"),
        ("Tesla P40", "6.1"),
        ("NVIDIA GeForce GTX 1080 Ti", "6.1"),
        ("Something else", None),
        ("ERR!", None),
        (None, None),
    ],
)
def test_compute_capability(name: str | None, capability: str | None) -> None:
    assert _gpu_models.compute_capability(name, None) == capability


def test_an_architecture_that_has_one_capability_decides() -> None:
    assert _gpu_models.compute_capability("NVIDIA H900", "Hopper") == "9.0"
    assert _gpu_models.compute_capability("NVIDIA X", "Ada Lovelace") == "8.9"
    assert _gpu_models.compute_capability("NVIDIA X", "Blackwell") is None
