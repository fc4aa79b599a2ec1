# SPDX-License-Identifier: GPL-3.0-or-later
"""The XML of nvidia-smi. The fixtures named after a driver are hand-made in its layout, not recorded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.llmserve.vllm.plugins.module_utils._gpu import CommandResult, GpuError, read_report
from ansible_collections.llmserve.vllm.plugins.module_utils._gpu_xml import BadReport, GpuReport, parse_xml
from hypothesis import given, settings
from hypothesis import strategies as st

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures" / "gpu"
TWO_H100 = (FIXTURES / "two_h100_one_sick.xml").read_text()
ALL = [path.read_text() for path in sorted(FIXTURES.glob("*.xml"))]


def report(name: str) -> GpuReport:
    return parse_xml((FIXTURES / f"{name}.xml").read_text())


def only(name: str) -> dict[str, Any]:
    (gpu,) = report(name).gpus
    return gpu


def test_report_of_a_healthy_gpu() -> None:
    report = parse_xml(TWO_H100)
    assert (report.driver_version, report.cuda_version) == ("580.95.05", "13.0")
    assert report.gpus[0] == {
        "index": 0,
        "name": "NVIDIA H100 80GB HBM3",
        "uuid": "GPU-00000000-0000-4000-8000-000000000001",
        "minor_number": None,
        "pci_bus_id": "00000000:19:00.0",
        "architecture": "Hopper",
        "compute_capability": "9.0",
        "memory_total_mib": 81559,
        "memory_reserved_mib": 550,
        "memory_used_mib": 70001,
        "memory_free_mib": 11008,
        "memory_is_shared": False,
        "addressing_mode": None,
        "virtualization": None,
        "mig_enabled": False,
        "mig_devices": [],
        "mig_memory_total_mib": None,
        "persistence_mode": True,
        "compute_mode": "Default",
        "ecc_enabled": True,
        "ecc_corrected": 3,
        "ecc_uncorrected": 0,
        "ecc_uncorrected_lifetime": 9,
        "processes": [
            {
                "pid": 4711,
                "type": "C",
                "compute": True,
                "name": "VLLM::Worker_TP0",
                "memory_used_mib": 69990,
                "gpu_instance_id": None,
                "compute_instance_id": None,
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
            "multiprocessors": None,
            "memory_total_mib": 40448,
            "memory_used_mib": 44,
            "memory_free_mib": None,
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


def test_515_counts_ecc_and_hides_foreign_processes() -> None:
    gpu = only("515_v11_a10")
    assert (gpu["ecc_corrected"], gpu["ecc_uncorrected"], gpu["ecc_uncorrected_lifetime"]) == (2, 1, 5)
    assert (gpu["memory_reserved_mib"], gpu["compute_capability"], gpu["virtualization"]) == (
        296,
        "8.6",
        "Pass-Through",
    )
    assert [(p["pid"], p["type"], p["compute"], p["name"], p["memory_used_mib"]) for p in gpu["processes"]] == [
        (2101, "C", True, None, 10500),
        (1200, "G", False, "/usr/lib/xorg/Xorg", 4),
        (2200, "C+G", True, None, None),
    ]
    assert "ECC is Enabled, and will be Disabled once the GPU is reset." in gpu["problems"]


def test_535_hides_the_memory_of_a_mig_gpu_in_a_container() -> None:
    gpu = only("535_v12_a100_mig_container")
    assert (gpu["memory_total_mib"], gpu["memory_is_shared"], gpu["mig_enabled"]) == (None, False, True)
    assert gpu["mig_memory_total_mib"] == 19968
    assert gpu["mig_devices"][0]["multiprocessors"] == 16
    assert [problem for problem in gpu["problems"] if "drain" in problem or "recommends" in problem]


def test_550_gh200_has_memory_of_its_own() -> None:
    gpu = only("550_v12_gh200")
    assert (gpu["memory_total_mib"], gpu["memory_is_shared"], gpu["addressing_mode"]) == (97871, False, "ATS")
    assert (gpu["ecc_uncorrected"], gpu["ecc_uncorrected_lifetime"]) == (0, 3)
    found = " ".join(gpu["problems"])
    for words in ("ERR!) for power_draw", "SRAM has had more", "MIG is Disabled, and will be Enabled"):
        assert words in found


def test_570_gpu_that_answers_with_errors_only() -> None:
    sick, well = report("570_v12_err").gpus
    assert (sick["name"], sick["uuid"], sick["memory_total_mib"]) == ("ERR!", None, None)
    assert sick["memory_is_shared"] is None
    assert sick["ecc_uncorrected"] is None
    assert sick["problems"] == ["the GPU does not answer (ERR!): reset it or reboot the host."]
    assert (well["index"], well["name"]) == (1, "NVIDIA H200")
    assert any("Insufficient Resources" in problem for problem in well["problems"])
    assert any("memory channel" in problem for problem in well["problems"])


def test_580_gb10_works_in_the_memory_of_the_host() -> None:
    gpu = only("580_v13_gb10")
    assert (gpu["memory_total_mib"], gpu["memory_is_shared"], gpu["compute_capability"]) == (None, True, "12.1")
    assert gpu["ecc_uncorrected"] is None
    assert gpu["problems"] == []
    # the driver does not escape what a process calls itself
    assert gpu["processes"][0]["name"] == "python3 -c print(1&2) <stdin>"


def test_610_marks_the_old_names_of_the_versions() -> None:
    found = report("610_v13_h200_mig")
    assert (found.driver_version, found.cuda_version) == ("610.43.02", "13.3")
    gpu = found.gpus[0]
    # the first two are compute instances of one GPU instance and share its memory
    assert gpu["mig_memory_total_mib"] == 71424 + 33280
    assert [device["gpu_instance_id"] for device in gpu["mig_devices"]] == [2, 2, 3]
    assert (gpu["processes"][0]["gpu_instance_id"], gpu["processes"][0]["compute_instance_id"]) == (2, 1)
    assert gpu["problems"] == []


def test_later_drivers_may_drop_the_old_names() -> None:
    xml = "<nvidia_smi_log><kmd_version>615.1</kmd_version><cuda_umd_version>14.0</cuda_umd_version></nvidia_smi_log>"
    assert parse_xml(xml)[:2] == ("615.1", "14.0")


@pytest.mark.parametrize(
    ("name", "memory", "mode", "shared"),
    [
        ("NVIDIA GB10", "N/A", "ATS", True),
        ("NVIDIA N1X", "8128 MiB", "ATS", True),
        ("NVIDIA Thor", "N/A", "ATS", True),
        ("Orin (nvgpu)", "Not Supported", "N/A", True),
        ("NVIDIA Something New", "N/A", "ATS", True),
        ("NVIDIA Something New", "Insufficient Permissions", "ATS", None),
        ("NVIDIA Something New", "N/A", "HMM", None),
        ("NVIDIA GB200", "189471 MiB", "ATS", False),
        ("NVIDIA GB100", "1 MiB", "None", False),
    ],
)
def test_whose_memory_it_is(name: str, memory: str, mode: str, shared: bool | None) -> None:
    xml = f"""<nvidia_smi_log><gpu id="0"><product_name>{name}</product_name><addressing_mode>{mode}</addressing_mode>
      <fb_memory_usage><total>{memory}</total></fb_memory_usage></gpu></nvidia_smi_log>"""
    assert parse_xml(xml).gpus[0]["memory_is_shared"] is shared


@pytest.mark.parametrize(
    "text", ["", "x", "<a/>", "<nvidia_smi_log>", TWO_H100[:-40], "<nvidia_smi_log>\0</nvidia_smi_log"]
)
def test_what_is_no_report(text: str) -> None:
    with pytest.raises(BadReport):
        parse_xml(text)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_no_damage_makes_the_parser_raise_anything_else(data: st.DataObject) -> None:
    text = data.draw(st.sampled_from(ALL))
    for _try in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(text)))
        end = data.draw(st.integers(start, min(len(text), start + 60)))
        text = text[:start] + data.draw(st.text(max_size=12)) + text[end:]
    try:
        found = read_report(CommandResult(data.draw(st.sampled_from([0, 14, 255])), text, ""), "nvidia-smi", 30)
    except GpuError:
        return
    assert found.gpus


VALUES = st.one_of(
    st.text(max_size=12),
    st.sampled_from(["N/A", "[N/A]", "ERR!", "GPU is lost", "9" * 400, "1e999", "-1 MiB", "1 TiB", "٣ MiB", "0x10"]),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(VALUES, min_size=10, max_size=10))
def test_no_value_makes_the_parser_raise(values: list[str]) -> None:
    safe = [value.translate({ord("<"): "(", ord("&"): "+"}) for value in values]
    xml = """<nvidia_smi_log><attached_gpus>{0}</attached_gpus><gpu><product_name>{1}</product_name>
      <minor_number>{2}</minor_number><fb_memory_usage><total>{3}</total><used>{4}</used></fb_memory_usage>
      <ecc_errors><volatile><dram_uncorrectable>{5}</dram_uncorrectable></volatile></ecc_errors>
      <mig_devices><mig_device><gpu_instance_id>{6}</gpu_instance_id>
      <fb_memory_usage><total>{7}</total></fb_memory_usage></mig_device></mig_devices>
      <processes><process_info><pid>{8}</pid><type>{9}</type></process_info></processes></gpu></nvidia_smi_log>"""
    (gpu,) = parse_xml(xml.format(*safe)).gpus
    for figure in (gpu["minor_number"], gpu["memory_total_mib"], gpu["ecc_uncorrected"], gpu["processes"][0]["pid"]):
        assert figure is None or figure >= 0
