# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The XML that C(nvidia-smi -q -x) prints, in the layouts of drivers 450 to 615 (v11, v12 and v13 of its DTD).

This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from ansible_collections.llmserve.vllm.plugins.module_utils._gpu_models import (
    compute_capability,
    shares_host_memory,
)

# What nvidia-smi writes where it has no value, with or without brackets around it.
_NO_VALUE = frozenset(
    (
        "",
        "-",
        "n/a",
        "not supported",
        "not found",
        "unknown error",
        "insufficient permissions",
        "no permission",
        "gpu is lost",
        "gpu requires reset",
        "err!",
        "requested functionality has been deprecated",
    )
)
# Of these, the ones that a GPU in good health never shows.
_SICK = frozenset(("err!", "gpu is lost", "gpu requires reset"))


class BadReport(ValueError):
    """The text is not a report of nvidia-smi, or a damaged one."""


class GpuReport(NamedTuple):
    """The parsed answer of nvidia-smi."""

    driver_version: Optional[str]
    cuda_version: Optional[str]
    gpus: List[Dict[str, Any]]
    warnings: List[str]
    lost: List[Dict[str, Any]]


def parse_xml(document: str) -> GpuReport:
    """Read the report; every figure that a GPU does not support becomes None, never 0. Raises BadReport only."""
    root = _root(document)
    gpus = [_gpu(index, node) for index, node in enumerate(root.findall("gpu"))]
    warnings = []
    attached = _integer(root.findtext("attached_gpus"))
    if attached is not None and attached != len(gpus):
        warnings.append(
            "nvidia-smi counts {0} attached GPUs but describes {1}: look for 'Xid' in the kernel log.".format(
                attached, len(gpus)
            )
        )
    warnings += gpu_warnings(gpus)
    driver = _version(root, "driver_version", "kmd_version")
    return GpuReport(driver, _version(root, "cuda_version", "cuda_umd_version"), gpus, warnings, [])


def gpu_warnings(gpus: List[Dict[str, Any]]) -> List[str]:
    """The problems of all GPUs, each with its GPU."""
    return [
        "GPU {0} ({1}): {2}".format(gpu["index"], gpu["pci_bus_id"], problem)
        for gpu in gpus
        for problem in gpu["problems"]
    ]


def _root(document: str) -> ET.Element:
    try:
        root = ET.fromstring(document)
    except (ET.ParseError, ValueError):
        try:
            root = ET.fromstring(_repair(document))
        except (ET.ParseError, ValueError) as exc:
            raise BadReport(str(exc)) from exc
    if root.tag != "nvidia_smi_log":
        raise BadReport("it is a {0}, not a nvidia_smi_log".format(root.tag))
    return root


def _repair(document: str) -> str:
    """Process names come as the processes gave them: with characters that XML forbids, unescaped."""
    document = re.sub("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "?", document)
    document = re.sub(r"&(?!(?:amp|lt|gt|quot|apos|#[0-9]+|#x[0-9a-fA-F]+);)", "&amp;", document)
    return re.sub(
        "(<process_name>)(.*?)(</process_name>)",
        lambda match: match.group(1) + match.group(2).replace("<", "&lt;") + match.group(3),
        document,
    )


def _gpu(index: int, node: ET.Element) -> Dict[str, Any]:
    uncorrected = _ecc_count(node, "volatile", "uncorrectable", "double_bit")
    # ERR! stays visible in the name: it is what the operator looks for
    name = _value(node, "product_name") or (node.findtext("product_name") or "").strip() or None
    total = _mib(node.findtext("fb_memory_usage/total"))
    mig_devices = [_mig_device(item) for item in node.findall("mig_devices/mig_device")]
    return {
        "index": index,
        "name": name,
        "uuid": _value(node, "uuid"),
        "minor_number": _integer(node.findtext("minor_number")),
        "pci_bus_id": _value(node, "pci/pci_bus_id") or node.get("id"),
        "architecture": _value(node, "product_architecture"),
        "compute_capability": _value(node, "compute_cap")
        or compute_capability(name, _value(node, "product_architecture")),
        "memory_total_mib": total,
        "memory_reserved_mib": _mib(node.findtext("fb_memory_usage/reserved")),
        "memory_used_mib": _mib(node.findtext("fb_memory_usage/used")),
        "memory_free_mib": _mib(node.findtext("fb_memory_usage/free")),
        "memory_is_shared": _memory_is_shared(node, name, total),
        "addressing_mode": _value(node, "addressing_mode"),
        "virtualization": _value(node, "gpu_virtualization_mode/virtualization_mode"),
        "mig_enabled": _value(node, "mig_mode/current_mig") == "Enabled",
        "mig_devices": mig_devices,
        "mig_memory_total_mib": _mig_memory(mig_devices),
        "persistence_mode": _value(node, "persistence_mode") == "Enabled",
        "compute_mode": _value(node, "compute_mode"),
        "ecc_enabled": _value(node, "ecc_mode/current_ecc") == "Enabled",
        "ecc_corrected": _ecc_count(node, "volatile", "correctable", "single_bit"),
        "ecc_uncorrected": uncorrected,
        "ecc_uncorrected_lifetime": _ecc_count(node, "aggregate", "uncorrectable", "double_bit"),
        # v11 to v13 have them directly below "processes"; found anywhere, so that a deeper layout hides none
        "processes": [_process(item) for item in node.iter("process_info")],
        "problems": _problems(node, uncorrected),
    }


def _memory_is_shared(node: ET.Element, name: Optional[str], total: Optional[int]) -> Optional[bool]:
    if shares_host_memory(name):
        return True
    if total is not None or _value(node, "mig_mode/current_mig") == "Enabled":
        return False
    # no figure: for want of memory, which such a GPU shows by its addressing mode, or of permission, as in a container
    unsupported = _plain(node.findtext("fb_memory_usage/total")) in ("n/a", "not supported")
    return True if unsupported and _value(node, "addressing_mode") == "ATS" else None


def _mig_device(node: ET.Element) -> Dict[str, Any]:
    return {
        "index": _integer(node.findtext("index")),
        "gpu_instance_id": _integer(node.findtext("gpu_instance_id")),
        "compute_instance_id": _integer(node.findtext("compute_instance_id")),
        "multiprocessors": _integer(node.findtext("device_attributes/shared/multiprocessor_count")),
        "memory_total_mib": _mib(node.findtext("fb_memory_usage/total")),
        "memory_used_mib": _mib(node.findtext("fb_memory_usage/used")),
        "memory_free_mib": _mib(node.findtext("fb_memory_usage/free")),
    }


def _mig_memory(devices: List[Dict[str, Any]]) -> Optional[int]:
    """Memory of all GPU instances; the compute instances within one share it, and each shows all of it."""
    sizes = {}
    for number, device in enumerate(devices):
        if device["memory_total_mib"] is not None:
            instance = device["gpu_instance_id"]
            sizes["device %d" % number if instance is None else instance] = device["memory_total_mib"]
    return sum(sizes.values()) if sizes else None


def _process(node: ET.Element) -> Dict[str, Any]:
    kind = _value(node, "type")
    return {
        "pid": _integer(node.findtext("pid")),
        "type": kind,
        "compute": None if kind is None else "C" in kind,
        "name": _value(node, "process_name"),
        "memory_used_mib": _mib(node.findtext("used_memory")),
        "gpu_instance_id": _integer(node.findtext("gpu_instance_id")),
        "compute_instance_id": _integer(node.findtext("compute_instance_id")),
    }


def _ecc_count(node: ET.Element, period: str, modern: str, legacy: str) -> Optional[int]:
    """The errors of a period: *_correctable leaves since driver 450, single_bit and double_bit totals before."""
    counters = node.find("ecc_errors/" + period)
    if counters is None:
        return None
    counts = [_integer(counters.findtext(legacy + "/total"))]
    # "correctable" is a part of "uncorrectable"; newer drivers append the mechanism (_parity, _secded)
    counts += [_integer(leaf.text) for leaf in counters if re.search("_" + modern + "(_|$)", leaf.tag)]
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


# Element, the value that means trouble, what to do.
_FLAGS: Tuple[Tuple[str, str, str], ...] = (
    (
        "remapped_rows/remapped_row_failure",
        "Yes",
        "a memory row could not be remapped: the GPU must be replaced.",
    ),
    (
        "ecc_errors/aggregate/sram_threshold_exceeded",
        "Yes",
        "its SRAM has had more uncorrected errors than the maker allows: the GPU must be replaced.",
    ),
    ("ecc_errors/unrepairable_memory", "Yes", "its memory cannot be repaired: the GPU must be replaced."),
    ("ecc_errors/channel_repair_pending", "Yes", "a memory channel waits to be repaired: reboot the host."),
    ("ecc_errors/tpc_repair_pending", "Yes", "a part of the GPU (TPC) waits to be repaired: reboot the host."),
    (
        "gpu_reset_status/reset_required",
        "Yes",
        "the GPU must be reset (nvidia-smi --gpu-reset) before it can be used.",
    ),
    (
        "gpu_reset_status/drain_and_reset_recommended",
        "Yes",
        "the driver recommends to stop what runs on the GPU and to reset it (nvidia-smi --gpu-reset).",
    ),
)


def _problems(node: ET.Element, uncorrected: Optional[int]) -> List[str]:
    problems = _sick_fields(node)
    if uncorrected:
        problems.append(
            "{0} uncorrected ECC errors since the driver was loaded: reset the GPU, and have it replaced when they "
            "come back.".format(uncorrected)
        )
    if (
        _value(node, "remapped_rows/remapped_row_pending") == "Yes"
        or _value(node, "retired_pages/pending_retirement") == "Yes"
    ):
        problems.append("a memory row or page waits to be retired: reset the GPU or reboot the host.")
    problems.extend(problem for path, bad, problem in _FLAGS if _value(node, path) == bad)
    action = _value(node, "gpu_recovery_action")
    if action not in (None, "None"):
        problems.append("the driver asks for this recovery action: {0}.".format(action))
    for title, mode in (("MIG", "mig_mode/{0}_mig"), ("ECC", "ecc_mode/{0}_ecc")):
        now, then = _value(node, mode.format("current")), _value(node, mode.format("pending"))
        if now and then and now != then:
            problems.append("{0} is {1}, and will be {2} once the GPU is reset.".format(title, now, then))
    return problems + _fabric_problems(node)


def _sick_fields(node: ET.Element) -> List[str]:
    """Complain of a GPU that does not answer, or answers some questions with an error only."""
    first = [_plain(node.findtext(path)) for path in ("product_name", "uuid", "fb_memory_usage/total")]
    if any(text in _SICK for text in first) or first[0] == "unknown error":
        said = next(text for text in first if text in _SICK or text == "unknown error")
        return ["the GPU does not answer ({0}): reset it or reboot the host.".format(said.replace("err!", "ERR!"))]
    fields = sorted({leaf.tag for leaf in node.iter() if _plain(leaf.text) in _SICK})
    if fields:
        return [
            "the driver reads errors (ERR!) for {0}{1}: look for 'Xid' in the kernel log (dmesg).".format(
                ", ".join(fields[:5]), "" if len(fields) <= 5 else " and {0} more".format(len(fields) - 5)
            )
        ]
    return []


def _fabric_problems(node: ET.Element) -> List[str]:
    state = _value(node, "fabric/state")
    if state is None:
        return []
    if state != "Completed":
        return [
            "its NVLink fabric is in state '{0}': start nvidia-fabricmanager in exactly the driver's version.".format(
                state
            )
        ]
    status = _value(node, "fabric/status")
    if status not in (None, "Success"):
        return [
            "its NVLink fabric could not be set up ('{0}'): look into the log of nvidia-fabricmanager.".format(status)
        ]
    if _value(node, "fabric/health/summary") in ("Unhealthy", "Limited Capacity"):
        return ["its NVLink fabric is '{0}'.".format(_value(node, "fabric/health/summary"))]
    return []


def _plain(text: Optional[str]) -> str:
    return (text or "").strip().strip("[]").lower()


def _value(node: ET.Element, path: str) -> Optional[str]:
    text = node.findtext(path)
    return None if text is None or _plain(text) in _NO_VALUE else text.strip()


def _version(root: ET.Element, *paths: str) -> Optional[str]:
    for path in paths:
        # driver 610 appends "[Deprecated; ...]" to the old names
        words = (_value(root, path) or "").split()
        if words:
            return words[0]
    return None


def _number(text: Optional[str]) -> Optional[float]:
    match = re.match(r"\s*([0-9]{1,18}(?:\.[0-9]{1,9})?)(?![0-9])", text or "")
    return float(match.group(1)) if match else None


def _integer(text: Optional[str]) -> Optional[int]:
    match = re.match(r"\s*([0-9]{1,18})(?![0-9])", text or "")
    return int(match.group(1)) if match else None


def _mib(text: Optional[str]) -> Optional[int]:
    number = _number(text)
    if number is None:
        return None
    factor = {"KiB": 1 / 1024, "GiB": 1024, "TiB": 1024 * 1024}.get((text or "").split()[-1], 1)
    return int(number * factor)
