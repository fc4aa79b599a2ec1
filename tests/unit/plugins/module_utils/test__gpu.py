# SPDX-License-Identifier: GPL-3.0-or-later
"""nvidia-smi reports and failures."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from ansible_collections.llmserve.vllm.plugins.module_utils._gpu import (
    CommandResult,
    GpuError,
    parse_xml,
    read_report,
    run_bounded,
)

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures" / "gpu"
TWO_H100 = (FIXTURES / "two_h100_one_sick.xml").read_text()


def failure(stdout: str = "", rc: int | None = 9, stderr: str = "") -> GpuError:
    with pytest.raises(GpuError) as caught:
        read_report(CommandResult(rc, stdout, stderr), "nvidia-smi", 30)
    return caught.value


def test_report_of_a_healthy_gpu() -> None:
    report = parse_xml(TWO_H100)
    assert (report.driver_version, report.cuda_version) == ("580.95.05", "13.0")
    assert report.gpus[0] == {
        "index": 0,
        "name": "NVIDIA H100 80GB HBM3",
        "uuid": "GPU-00000000-0000-4000-8000-000000000001",
        "pci_bus_id": "00000000:19:00.0",
        "architecture": "Hopper",
        "memory_total_mib": 81559,
        "memory_used_mib": 70001,
        "memory_free_mib": 11008,
        "mig_enabled": False,
        "mig_devices": [],
        "persistence_mode": True,
        "compute_mode": "Default",
        "ecc_enabled": True,
        "ecc_corrected": 3,
        "ecc_uncorrected": 0,
        "processes": [
            {
                "pid": 4711,
                "type": "C",
                "name": "VLLM::Worker_TP0",
                "memory_used_mib": 69990,
                "gpu_instance_id": None,
            }
        ],
        "problems": [],
    }


def test_report_of_a_sick_gpu_with_mig() -> None:
    report = parse_xml(TWO_H100)
    gpu = report.gpus[1]
    assert gpu["mig_enabled"] is True
    assert gpu["mig_devices"] == [
        {
            "index": 0,
            "gpu_instance_id": 2,
            "compute_instance_id": 0,
            "memory_total_mib": 40448,
            "memory_used_mib": 44,
        }
    ]
    assert gpu["memory_free_mib"] is None
    assert gpu["ecc_uncorrected"] == 4
    found = " ".join(gpu["problems"])
    for word in ("4 uncorrected ECC", "remapped", "retired", "gpu-reset", "action: Reboot", "'In Progress'"):
        assert word in found
    assert report.warnings[0].startswith("nvidia-smi counts 3 attached GPUs but describes 2")
    assert "GPU 1 (00000000:3B:00.0): " in report.warnings[1]


@pytest.mark.parametrize("text", ["N/A", "[N/A]", "Not Supported", "[Not Supported]", ""])
def test_memory_that_is_not_reported_is_not_zero(text: str) -> None:
    xml = f"""<nvidia_smi_log><gpu id="0000000F:01:00.0"><product_name>NVIDIA GB10</product_name>
      <fb_memory_usage><total>{text}</total><used>{text}</used></fb_memory_usage></gpu></nvidia_smi_log>"""
    gpu = parse_xml(xml).gpus[0]
    assert gpu["memory_total_mib"] is None
    assert gpu["memory_used_mib"] is None
    assert gpu["pci_bus_id"] == "0000000F:01:00.0"
    assert gpu["mig_enabled"] is False
    assert gpu["ecc_uncorrected"] is None


def test_old_drivers_count_double_bit_errors() -> None:
    xml = """<nvidia_smi_log><gpu id="0"><product_name>Tesla V100</product_name><ecc_errors><volatile>
      <single_bit><device_memory>1</device_memory><total>5</total></single_bit>
      <double_bit><device_memory>1</device_memory><total>2</total></double_bit>
      </volatile></ecc_errors></gpu></nvidia_smi_log>"""
    gpu = parse_xml(xml).gpus[0]
    assert (gpu["ecc_corrected"], gpu["ecc_uncorrected"]) == (5, 2)


def test_a_gpu_that_does_not_answer_is_listed_with_its_problem() -> None:
    xml = """<nvidia_smi_log><gpu id="0"><product_name>ERR!</product_name></gpu></nvidia_smi_log>"""
    assert "does not answer" in parse_xml(xml).gpus[0]["problems"][0]


def test_a_warning_around_the_report_does_not_hide_it() -> None:
    noisy = "WARNING: infoROM is corrupted at gpu 0000:19:00.0\n" + TWO_H100 + "\nWARNING: again\n"
    assert len(read_report(CommandResult(14, noisy, ""), "nvidia-smi", 30).gpus) == 2


@pytest.mark.parametrize(
    ("said", "rc", "kind"),
    [
        ("NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.", 9, "driver_not_loaded"),
        ("Failed to initialize NVML: Driver Not Loaded", 9, "driver_not_loaded"),
        ("NVML: Driver/library version mismatch\nNVML library version: 580.173", 9, "driver_library_mismatch"),
        ("NVIDIA-SMI couldn't find libnvidia-ml.so library in your system.", 12, "driver_not_installed"),
        ("sh: 1: nvidia-smi: command not found", 127, "driver_not_installed"),
        ("No devices were found", 6, "no_devices"),
        ("Unable to determine the device handle for GPU0000:19:00.0: GPU is lost.", 15, "no_devices"),
        ("Failed to initialize NVML: Insufficient Permissions", 4, "permission"),
        ("Failed to initialize NVML: Unknown Error", 255, "permission"),
        ("", 9, "driver_not_loaded"),
        ("", 18, "driver_library_mismatch"),
        ("", 12, "driver_not_installed"),
        ("Hello", 0, "unparsable"),
        ("", 1, "unparsable"),
    ],
)  # fmt: skip
def test_failures_are_told_apart(said: str, rc: int, kind: str) -> None:
    error = failure(said, rc)
    assert error.kind == kind
    assert f"(rc {rc})" in error.reason
    # some versions print the reason to the error stream
    assert failure("", rc, stderr=said).kind == kind


def test_a_damaged_report_is_unparsable() -> None:
    assert failure(TWO_H100[:900], 0).kind == "unparsable"


def test_a_report_without_gpus() -> None:
    error = failure("<nvidia_smi_log><driver_version>580.95.05</driver_version></nvidia_smi_log>", 0)
    assert error.kind == "no_devices"
    assert error.reason.startswith("The NVIDIA driver 580.95.05 runs, but it sees no GPU")


def test_a_missing_tool(tmp_path: Path) -> None:
    command = str(tmp_path / "nvidia-smi")
    with pytest.raises(GpuError) as caught:
        read_report(run_bounded([command, "-q", "-x"], 5), command, 5)
    assert caught.value.kind == "driver_not_installed"


def test_a_tool_that_may_not_be_run(tmp_path: Path) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\n")
    tool.chmod(0o644)
    with pytest.raises(GpuError) as caught:
        read_report(run_bounded([str(tool)], 5), "nvidia-smi", 5)
    assert caught.value.kind == "permission"


def test_a_hang_is_bounded_and_leaves_no_process(tmp_path: Path) -> None:
    pidfile = tmp_path / "pids"
    tool = tmp_path / "nvidia-smi"
    # a shell with a child, both of which hold the pipe
    tool.write_text(f"#!/bin/sh\necho $$ > {pidfile}\nsleep 60 &\necho $! >> {pidfile}\nwait\n")
    tool.chmod(0o755)
    start = time.monotonic()
    result = run_bounded([str(tool)], 0.5)
    assert time.monotonic() - start < 5
    assert result.timed_out
    shell, child = (int(line) for line in pidfile.read_text().split())
    assert not os.path.exists(f"/proc/{shell}")
    for _attempt in range(50):
        # the child is reaped by init, which may take a moment; a zombie of init's is not ours
        if not os.path.exists(f"/proc/{child}") or ") Z " in Path(f"/proc/{child}/stat").read_text():
            break
        time.sleep(0.1)
    else:
        pytest.fail("the tool's child is still running")
    with pytest.raises(GpuError) as caught:
        read_report(result, "nvidia-smi", 0.5)
    assert caught.value.kind == "timeout"
    assert "0.5 s" in caught.value.reason


def test_the_tool_speaks_english(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    assert run_bounded(["sh", "-c", "echo $LC_ALL"], 5).stdout == "C\n"
