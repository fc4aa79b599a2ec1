# SPDX-License-Identifier: GPL-3.0-or-later
"""Running nvidia-smi, and its failures."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from ansible_collections.llmserve.vllm.plugins.module_utils._gpu import (
    CommandResult,
    GpuError,
    GpuReport,
    lost_gpus,
    read_report,
    run_bounded,
)

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures" / "gpu"
TWO_H100 = (FIXTURES / "two_h100_one_sick.xml").read_text()


def failure(stdout: str = "", rc: int | None = 9, stderr: str = "") -> GpuError:
    with pytest.raises(GpuError) as caught:
        read_report(CommandResult(rc, stdout, stderr), "nvidia-smi", 30)
    return caught.value


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
        ("Failed to initialize NVML: No supported GPUs were found\nUnable to determine ...", 255, "no_devices"),
        ("Failed to initialize NVML: GPU requires reset", 16, "no_devices"),
        ("Failed to initialize NVML: GPU access blocked by the operating system", 17, "permission"),
        ("Failed to initialize NVML: Function Not Found", 13, "driver_library_mismatch"),
        ("libnvidia-ml.so.1: cannot open shared object file: No such file or directory", 127, "driver_not_installed"),
        ("", 28, "no_devices"),
        ("", 17, "permission"),
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


@pytest.mark.parametrize(
    ("said", "index", "bus", "why"),
    [
        ("GPU3: 0000:5F:00.0: Unknown Error", 3, "0000:5F:00.0", "Unknown Error"),
        ("GPU 0000:02:00.0: GPU is lost. Reboot the system to recover this GPU", None, "0000:02:00.0", "GPU is lost."),
        ("GPU0000:19:00.0: Unknown Error", None, "0000:19:00.0", "Unknown Error"),
        ("gpu 0000:01:00.0: Not Found", None, "0000:01:00.0", "Not Found"),
        ("GPU2: Unknown Error", 2, None, "Unknown Error"),
        ("GPU0", 0, None, None),
    ],
)
def test_lost_gpus_of_every_version(said: str, index: int | None, bus: str | None, why: str | None) -> None:
    found = lost_gpus(f"Unable to determine the device handle for {said}\n")
    assert [(gpu["index"], gpu["pci_bus_id"]) for gpu in found] == [(index, bus)]
    assert found[0]["reason"] == why or found[0]["reason"].startswith(why)


def lost(said: str, rc: int = 0) -> GpuReport:
    return read_report(CommandResult(rc, TWO_H100, f"Unable to determine the device handle for {said}\n"), "x", 30)


@pytest.mark.parametrize("said", ["GPU0: 0000:05:00.0: Unknown Error", "GPU0000:05:00.0: Unknown Error"])
def test_the_other_gpus_keep_their_numbers_when_one_is_lost(said: str) -> None:
    report = lost(said)
    assert [gpu["index"] for gpu in report.gpus] == [1, 2]
    assert report.lost == [{"index": 0, "pci_bus_id": "0000:05:00.0", "reason": "Unknown Error"}]
    text = "\n".join(report.warnings)
    assert "GPU 2 (00000000:3B:00.0): " in text
    assert "GPU 1 (00000000:3B:00.0): " not in text
    assert "GPU 0 0000:05:00.0 does not answer ('Unknown Error')" in text


def test_a_lost_gpu_between_two_others() -> None:
    assert [gpu["index"] for gpu in lost("GPU0000:20:00.0: Unknown Error", 255).gpus] == [0, 2]
    assert [gpu["index"] for gpu in lost("GPU0000:50:00.0: Unknown Error", 255).gpus] == [0, 1]


def test_all_gpus_lost() -> None:
    error = failure(
        "<nvidia_smi_log><attached_gpus>1</attached_gpus></nvidia_smi_log>",
        15,
        "Unable to determine the device handle for GPU0000:19:00.0: GPU is lost.",
    )
    assert error.kind == "no_devices"
    assert "GPU is lost" in error.reason


def test_another_xml_is_unparsable() -> None:
    assert failure("<?xml version='1.0'?><html/>", 0).kind == "unparsable"
