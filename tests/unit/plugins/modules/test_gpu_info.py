# SPDX-License-Identifier: GPL-3.0-or-later
"""The shell of llmserve.vllm.gpu_info."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.llmserve.vllm.tests.unit.plugins.modules.module_runner import run_module

REPORT = Path(__file__).resolve().parents[2] / "fixtures" / "gpu" / "two_h100_one_sick.xml"


def tool(tmp_path: Path, body: str) -> str:
    path = tmp_path / "nvidia-smi"
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return str(path)


def test_a_host_with_gpus(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    smi = tool(tmp_path, f'[ "$*" = "-q -x" ] && cat {REPORT}')
    result = run_module("gpu_info", capsys, nvidia_smi=smi)
    assert result["rc"] == 0
    assert result["present"] is True
    assert result["changed"] is False
    assert [gpu["name"] for gpu in result["gpus"]] == ["NVIDIA H100 80GB HBM3"] * 2
    assert result["driver_version"] == "580.95.05"
    assert result["host_memory_mib"] > 0
    assert {"hostname", "architecture", "addresses", "fabric", "devices_infiniband"} <= set(result)
    assert "uncorrected ECC errors" in result["warned"]


def test_a_host_without_a_driver(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    missing = str(tmp_path / "nvidia-smi")
    result = run_module("gpu_info", capsys, nvidia_smi=missing)
    assert result["failed"] is True
    assert result["msg"] == result["reason"]
    assert result["reason_kind"] == "driver_not_installed"
    result = run_module("gpu_info", capsys, nvidia_smi=missing, required=False)
    assert "failed" not in result
    assert (result["present"], result["gpus"], result["driver_version"]) == (False, [], None)
    assert result["host_memory_mib"] > 0


def test_a_hanging_driver(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = run_module("gpu_info", capsys, nvidia_smi=tool(tmp_path, "sleep 60"), required=False, timeout=1)
    assert result["reason_kind"] == "timeout"


def test_a_timeout_of_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert "at least 1" in run_module("gpu_info", capsys, timeout=0)["msg"]
