# SPDX-License-Identifier: GPL-3.0-or-later
"""The shell of llmserve.vllm.gpu_info."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import yaml
from ansible_collections.llmserve.vllm.plugins.module_utils import _host_disks, _host_fabric, _host_facts
from ansible_collections.llmserve.vllm.plugins.modules import gpu_info
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
    assert "uncorrected ECC errors" in result["warned"]
    assert result["gpus_lost"] == []
    assert {"numa_node", "memory_numa_node", "memory_is_shared"} <= set(result["gpus"][0])
    assert result["limits"]["nofile"]["hard"] != 0
    assert result["kernel_page_size"] >= 4096


def documented() -> set[str]:
    return set(yaml.safe_load(gpu_info.RETURN))


def test_every_key_is_documented(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    meta = {"rc", "warned", "changed", "invocation"}
    here = run_module("gpu_info", capsys, nvidia_smi=tool(tmp_path, f"cat {REPORT}"), paths=[str(tmp_path)])
    absent = run_module("gpu_info", capsys, nvidia_smi=tool(tmp_path, "exit 9"), required=False)
    only_absent = {"reason", "reason_kind", "reason_detail"}
    assert set(here) - meta == documented() - only_absent
    assert set(absent) - meta == documented()
    for name in ("gpus", "disks"):
        assert set(here[name][0]) == set(yaml.safe_load(gpu_info.RETURN)[name]["contains"])
    assert set(here["driver_module"]) == set(yaml.safe_load(gpu_info.RETURN)["driver_module"]["contains"])


def test_disks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    smi = tool(tmp_path, f"cat {REPORT}")
    result = run_module("gpu_info", capsys, nvidia_smi=smi, paths=[str(tmp_path / "not" / "yet"), "/proc"])
    first, second = result["disks"]
    assert first["path"] == str(tmp_path / "not" / "yet")
    assert first["free_bytes"] > 0
    assert first["mount_point"]
    assert second["fstype"] == "proc"
    assert "absolute" in run_module("gpu_info", capsys, nvidia_smi=smi, paths=["data"])["msg"]


def test_filesystems_and_rdma_ports_that_hang(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_host_disks, "look", lambda _path: time.sleep(60))
    monkeypatch.setattr(_host_fabric, "fabric", lambda: time.sleep(60))
    monkeypatch.setattr(_host_facts, "_SLOW_SECONDS", 0.3)
    result = run_module("gpu_info", capsys, nvidia_smi=tool(tmp_path, f"cat {REPORT}"), paths=[str(tmp_path)])
    assert result["present"] is True
    assert result["fabric"] == []
    assert "did not answer within 0.3 s" in result["disks"][0]["problem"]
    assert "RDMA devices" in result["warned"]


def test_a_gpu_that_is_lost(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = "Unable to determine the device handle for GPU0: 0000:05:00.0: Unknown Error"
    result = run_module("gpu_info", capsys, nvidia_smi=tool(tmp_path, f"echo '{said}' >&2; cat {REPORT}; exit 255"))
    assert [gpu["index"] for gpu in result["gpus"]] == [1, 2]
    assert result["gpus_lost"] == [{"index": 0, "pci_bus_id": "0000:05:00.0", "reason": "Unknown Error"}]
    assert "does not answer ('Unknown Error')" in result["warned"]


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
