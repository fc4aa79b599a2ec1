# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What C(nvidia-smi -q -x) says, and what it means when it says nothing.

This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import xml.etree.ElementTree as ET
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

# The driver's own tools stay readable in English, whatever the login's locale is.
_C_LOCALE = {"LC_ALL": "C", "LANG": "C"}
# How long a killed command gets to go away; one in an uninterruptible ioctl never does.
_REAP_SECONDS = 5


class CommandResult(NamedTuple):
    """How a command ended. C(rc) is None when it never started or never ended."""

    rc: Optional[int]
    stdout: str
    stderr: str
    timed_out: bool = False
    start_error: Optional[OSError] = None


class GpuError(Exception):
    """No usable driver: a sentence for the operator, and its kind for the program."""

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind
        self.reason = reason


class GpuReport(NamedTuple):
    """The parsed answer of nvidia-smi."""

    driver_version: Optional[str]
    cuda_version: Optional[str]
    gpus: List[Dict[str, Any]]
    warnings: List[str]


def run_bounded(argv: Sequence[str], timeout: float) -> CommandResult:
    """Run a command in a process group of its own, and kill all of it when the time is up.

    AnsibleModule.run_command has no time limit, and nvidia-smi hangs for ever on a GPU that fell off the bus.
    """
    try:
        process = subprocess.Popen(
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            env={**os.environ, **_C_LOCALE},
        )
    except OSError as exc:
        return CommandResult(None, "", "", start_error=exc)
    timed_out = False
    try:
        out, err = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        timed_out = True
        os.killpg(process.pid, signal.SIGKILL)
        try:
            out, err = process.communicate(timeout=_REAP_SECONDS)
        except subprocess.TimeoutExpired:
            # stuck inside the kernel: leave it to init instead of hanging with it
            out, err = b"", b""
    return CommandResult(process.poll(), _text(out), _text(err), timed_out)


def _text(data: Optional[bytes]) -> str:
    return (data or b"").decode("utf-8", "replace")


def read_report(result: CommandResult, command: str, timeout: float) -> GpuReport:
    """The report in a command's result; raises GpuError when there is none."""
    if result.timed_out:
        raise GpuError(
            "timeout",
            "{0} gave no answer within {1:g} s, so the driver or a GPU hangs: look for 'Xid' or 'fallen off the bus' "
            "in the kernel log (dmesg) and reboot the host.".format(command, timeout),
        )
    if result.start_error is not None:
        raise _start_failure(result.start_error, command)
    # Some codes only warn (14: a corrupt infoROM) and still deliver the whole report.
    document = _document(result.stdout)
    if document is None:
        raise classify_failure(result, command)
    try:
        report = parse_xml(document)
    except ET.ParseError as exc:
        raise GpuError(
            "unparsable", "The XML that '{0} -q -x' printed is damaged ({1}): run it by hand.".format(command, exc)
        ) from exc
    if not report.gpus:
        raise _no_devices("The NVIDIA driver {0} runs, but it sees no GPU".format(report.driver_version or "").strip())
    return report


def _document(stdout: str) -> Optional[str]:
    start = stdout.find("<?xml")
    start = stdout.find("<nvidia_smi_log") if start < 0 else start
    end = stdout.rfind("</nvidia_smi_log>")
    if start < 0:
        return None
    return stdout[start : end + len("</nvidia_smi_log>")] if end > start else stdout[start:]


def _start_failure(error: OSError, command: str) -> GpuError:
    if isinstance(error, PermissionError):
        return GpuError(
            "permission",
            "{0} may not be executed by this user ({1}): run the task with become, or mend the file's mode.".format(
                command, error.strerror
            ),
        )
    if isinstance(error, FileNotFoundError):
        return GpuError(
            "driver_not_installed",
            "{0} was not found on this host, so the NVIDIA driver is not installed: install it (on Ubuntu: "
            "nvidia-driver-580-server or newer) or set the option nvidia_smi to the tool's path.".format(command),
        )
    return GpuError("driver_not_installed", "{0} could not be started: {1}.".format(command, error.strerror or error))


def _no_devices(start: str) -> GpuError:
    return GpuError(
        "no_devices",
        start + ": check with 'lspci -d 10de:' that the host has GPUs, that no other driver (nouveau, vfio-pci) "
        "holds them, and look for 'NVRM' in the kernel log (dmesg).",
    )


# Texts first: the same exit code is used for several causes.
_FAILURE_TEXTS: Tuple[Tuple[str, str], ...] = (
    (r"driver/library version mismatch|function not found", "driver_library_mismatch"),
    (r"couldn't find libnvidia-ml|shared library not found|library .*not found", "driver_not_installed"),
    (r"no devices (were )?found|gpu is lost|fallen off the bus|unable to determine the device handle", "no_devices"),
    (r"insufficient permission|permission denied|access blocked|nvml: unknown error", "permission"),
    (r"couldn't communicate with the nvidia driver|driver not loaded|driver is not loaded", "driver_not_loaded"),
    (r"command not found", "driver_not_installed"),
)
_FAILURE_CODES = {
    4: "permission",
    6: "no_devices",
    9: "driver_not_loaded",
    12: "driver_not_installed",
    13: "driver_library_mismatch",
    15: "no_devices",
    18: "driver_library_mismatch",
    127: "driver_not_installed",
}
_REMEDIES = {
    "driver_not_installed": "The NVIDIA driver's library libnvidia-ml is not installed: install the driver package "
    "that carries nvidia-smi, in one version.",
    "driver_not_loaded": "The NVIDIA kernel module is not loaded: try 'modprobe nvidia'; when that fails, install the "
    "driver for the running kernel ('dkms status', linux-headers) and reboot.",
    "driver_library_mismatch": "The loaded NVIDIA kernel module and the driver's libraries are of different versions, "
    "as after an unattended upgrade: reboot the host, then hold the driver packages ('apt-mark hold').",
    "permission": "This user or this container may not use the GPU devices: run the task with become; inside a "
    "container, restart it (a 'systemctl daemon-reload' on the host takes its GPUs away).",
}


def classify_failure(result: CommandResult, command: str) -> GpuError:
    """Why nvidia-smi printed no report."""
    said = (result.stdout + "\n" + result.stderr).strip()
    kind = next((kind for text, kind in _FAILURE_TEXTS if re.search(text, said, re.IGNORECASE)), None)
    if kind is None and result.rc:
        kind = _FAILURE_CODES.get(result.rc)
    quoted = " It said: {0!r} (rc {1}).".format(" ".join(said.split())[:300], result.rc)
    if kind == "no_devices":
        error = _no_devices("nvidia-smi runs, but finds no usable GPU")
        return GpuError(error.kind, error.reason + quoted)
    if kind is None:
        return GpuError(
            "unparsable", "'{0} -q -x' printed no XML report: is it NVIDIA's own tool?{1}".format(command, quoted)
        )
    return GpuError(kind, _REMEDIES[kind] + quoted)


def parse_xml(document: str) -> GpuReport:
    """Read the report; every figure that a GPU does not support becomes None, never 0."""
    root = ET.fromstring(document)
    gpus = [_gpu(index, node) for index, node in enumerate(root.findall("gpu"))]
    warnings = []
    attached = _number(root.findtext("attached_gpus"))
    if attached is not None and attached != len(gpus):
        warnings.append(
            "nvidia-smi counts {0:g} attached GPUs but describes {1}: look for 'Xid' in the kernel log.".format(
                attached, len(gpus)
            )
        )
    for gpu in gpus:
        warnings.extend(
            "GPU {0} ({1}): {2}".format(gpu["index"], gpu["pci_bus_id"], problem) for problem in gpu["problems"]
        )
    return GpuReport(_value(root, "driver_version"), _value(root, "cuda_version"), gpus, warnings)


def _gpu(index: int, node: ET.Element) -> Dict[str, Any]:
    uncorrected = _ecc_count(node, "uncorrectable", "double_bit")
    return {
        "index": index,
        "name": _value(node, "product_name"),
        "uuid": _value(node, "uuid"),
        "pci_bus_id": _value(node, "pci/pci_bus_id") or node.get("id"),
        "architecture": _value(node, "product_architecture"),
        "memory_total_mib": _mib(node.findtext("fb_memory_usage/total")),
        "memory_used_mib": _mib(node.findtext("fb_memory_usage/used")),
        "memory_free_mib": _mib(node.findtext("fb_memory_usage/free")),
        "mig_enabled": _value(node, "mig_mode/current_mig") == "Enabled",
        "mig_devices": [_mig_device(item) for item in node.findall("mig_devices/mig_device")],
        "persistence_mode": _value(node, "persistence_mode") == "Enabled",
        "compute_mode": _value(node, "compute_mode"),
        "ecc_enabled": _value(node, "ecc_mode/current_ecc") == "Enabled",
        "ecc_corrected": _ecc_count(node, "correctable", "single_bit"),
        "ecc_uncorrected": uncorrected,
        "processes": [_process(item) for item in node.findall("processes/process_info")],
        "problems": _problems(node, uncorrected),
    }


def _mig_device(node: ET.Element) -> Dict[str, Any]:
    return {
        "index": _integer(node.findtext("index")),
        "gpu_instance_id": _integer(node.findtext("gpu_instance_id")),
        "compute_instance_id": _integer(node.findtext("compute_instance_id")),
        "memory_total_mib": _mib(node.findtext("fb_memory_usage/total")),
        "memory_used_mib": _mib(node.findtext("fb_memory_usage/used")),
    }


def _process(node: ET.Element) -> Dict[str, Any]:
    return {
        "pid": _integer(node.findtext("pid")),
        "type": _value(node, "type"),
        "name": _value(node, "process_name"),
        "memory_used_mib": _mib(node.findtext("used_memory")),
        "gpu_instance_id": _integer(node.findtext("gpu_instance_id")),
    }


def _ecc_count(node: ET.Element, modern: str, legacy: str) -> Optional[int]:
    """The volatile errors: *_correctable leaves since driver 450, single_bit and double_bit totals before."""
    volatile = node.find("ecc_errors/volatile")
    if volatile is None:
        return None
    counts = [_integer(volatile.findtext(legacy + "/total"))]
    # "correctable" is a part of "uncorrectable"; newer drivers append the mechanism (_parity, _secded)
    counts += [_integer(leaf.text) for leaf in volatile if re.search("_" + modern + "(_|$)", leaf.tag)]
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


def _problems(node: ET.Element, uncorrected: Optional[int]) -> List[str]:
    problems = []
    if (node.findtext("product_name") or "").strip() in ("ERR!", "Unknown Error", "[Unknown Error]"):
        problems.append("the GPU does not answer (ERR!): reset it or reboot the host.")
    if uncorrected:
        problems.append(
            "{0} uncorrected ECC errors since the driver was loaded: reset the GPU, and have it replaced when they "
            "come back.".format(uncorrected)
        )
    if _value(node, "remapped_rows/remapped_row_failure") == "Yes":
        problems.append("a memory row could not be remapped: the GPU must be replaced.")
    if (
        _value(node, "remapped_rows/remapped_row_pending") == "Yes"
        or _value(node, "retired_pages/pending_retirement") == "Yes"
    ):
        problems.append("a memory row or page waits to be retired: reset the GPU or reboot the host.")
    if _value(node, "gpu_reset_status/reset_required") == "Yes":
        problems.append("the GPU must be reset (nvidia-smi --gpu-reset) before it can be used.")
    action = _value(node, "gpu_recovery_action")
    if action not in (None, "None"):
        problems.append("the driver asks for this recovery action: {0}.".format(action))
    fabric = _value(node, "fabric/state")
    if fabric is not None and fabric != "Completed":
        problems.append(
            "its NVLink fabric is in state '{0}': start nvidia-fabricmanager in exactly the driver's version.".format(
                fabric
            )
        )
    return problems


def _value(node: ET.Element, path: str) -> Optional[str]:
    text = (node.findtext(path) or "").strip()
    return None if text.strip("[]") in ("", "N/A", "Not Supported", "Unknown Error") else text


def _number(text: Optional[str]) -> Optional[float]:
    match = re.match(r"\s*(\d+(?:\.\d+)?)", text or "")
    return float(match.group(1)) if match else None


def _integer(text: Optional[str]) -> Optional[int]:
    number = _number(text)
    return None if number is None else int(number)


def _mib(text: Optional[str]) -> Optional[int]:
    number = _number(text)
    if number is None:
        return None
    factor = {"KiB": 1 / 1024, "GiB": 1024, "TiB": 1024 * 1024}.get((text or "").split()[-1], 1)
    return int(number * factor)
