# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run C(nvidia-smi -q -x), and say what it means when it prints no report.

This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

from ansible_collections.llmserve.vllm.plugins.module_utils._driver import pci_address
from ansible_collections.llmserve.vllm.plugins.module_utils._gpu_xml import (
    BadReport,
    GpuReport,
    gpu_warnings,
    parse_xml,
)

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
        with contextlib.suppress(ProcessLookupError):
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
    # Some codes only warn (14: a corrupt infoROM, 255: one GPU of many is lost) and still deliver the whole report.
    document = _document(result.stdout)
    if document is None:
        raise classify_failure(result, command)
    try:
        report = parse_xml(document)
    except BadReport as exc:
        raise GpuError(
            "unparsable", "The XML that '{0} -q -x' printed is damaged ({1}): run it by hand.".format(command, exc)
        ) from exc
    lost = lost_gpus(result.stdout.replace(document, "\n") + "\n" + result.stderr)
    if not report.gpus:
        if lost:
            raise classify_failure(result._replace(stdout=result.stdout.replace(document, "")), command)
        raise _no_devices("The NVIDIA driver {0} runs, but it sees no GPU".format(report.driver_version or "").strip())
    return _with_lost(report, lost)


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


# "GPU3: 0000:5F:00.0: Unknown Error", "GPU0000:5F:00.0: GPU is lost. Reboot ...", "GPU 0000:5F:00.0: Not Found", "GPU2"
_LOST = re.compile(
    r"device handle for gpu\s?(?:(?P<index>[0-9]{1,3})(?![0-9a-f:]*\.)(?::\s*)?)?"
    r"(?P<bus>[0-9a-f]{3,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-9a-f])?(?::\s*)?(?P<why>[^\n]*)",
    re.IGNORECASE,
)


def lost_gpus(said: str) -> List[Dict[str, Any]]:
    """The GPUs that nvidia-smi complains of and then leaves out of its report."""
    lost: List[Dict[str, Any]] = []
    for match in _LOST.finditer(said):
        index = match.group("index")
        entry = {
            "index": None if index is None else int(index),
            "pci_bus_id": match.group("bus"),
            "reason": match.group("why").strip() or None,
        }
        if entry not in lost:
            lost.append(entry)
    return lost


def _number_lost(gpus: List[Dict[str, Any]], lost: List[Dict[str, Any]]) -> None:
    # newer versions name the address only; nvidia-smi counts in the order of the addresses
    known = [pci_address(gpu["pci_bus_id"]) for gpu in gpus] + [pci_address(entry["pci_bus_id"]) for entry in lost]
    order = sorted(address for address in known if address is not None)
    for entry in lost:
        if entry["index"] is None and entry["pci_bus_id"] and len(order) == len(known):
            entry["index"] = order.index(pci_address(entry["pci_bus_id"]) or "")


def _with_lost(report: GpuReport, lost: List[Dict[str, Any]]) -> GpuReport:
    """The report with the lost GPUs, and the others under the numbers that nvidia-smi gives them."""
    if not lost:
        return report
    _number_lost(report.gpus, lost)
    gaps = {entry["index"] for entry in lost if entry["index"] is not None}
    numbers = [number for number in range(len(report.gpus) + len(gaps)) if number not in gaps]
    gpus = [dict(gpu, index=numbers[place]) for place, gpu in enumerate(report.gpus)]
    warnings = [text for text in report.warnings if not text.startswith("GPU ")] + gpu_warnings(gpus)
    warnings += [
        "GPU {0} does not answer ('{1}') and is not in the list: look for 'Xid' and 'fallen off the bus' in the "
        "kernel log (dmesg) and reboot the host.".format(
            " ".join(str(part) for part in (entry["index"], entry["pci_bus_id"]) if part is not None) or "?",
            entry["reason"] or "no reason given",
        )
        for entry in lost
    ]
    return report._replace(gpus=gpus, warnings=warnings, lost=lost)


# Texts first: the same exit code is used for several causes.
_FAILURE_TEXTS: Tuple[Tuple[str, str], ...] = (
    (r"driver/library version mismatch|function not found|version mismatch", "driver_library_mismatch"),
    (
        r"couldn't find libnvidia-ml|shared library not found|library .*not found|cannot open shared object",
        "driver_not_installed",
    ),
    (
        r"no (supported )?(devices|gpus) (were )?found|gpu is lost|fallen off the bus|"
        r"unable to determine the (device handle|number of gpus)|gpu requires (a )?reset",
        "no_devices",
    ),
    (
        r"insufficient permission|no permission|permission denied|access blocked|nvml: unknown error",
        "permission",
    ),
    (r"couldn't communicate with the nvidia driver|driver not loaded|driver is not loaded", "driver_not_loaded"),
    (r"command not found", "driver_not_installed"),
)
# The return values of NVML, which nvidia-smi exits with.
_FAILURE_CODES = {
    4: "permission",
    6: "no_devices",
    9: "driver_not_loaded",
    12: "driver_not_installed",
    13: "driver_library_mismatch",
    15: "no_devices",
    16: "no_devices",
    17: "permission",
    18: "driver_library_mismatch",
    28: "no_devices",
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
