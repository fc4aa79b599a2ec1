# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""NVIDIA's Xid codes, by which the kernel log tells what is wrong with a GPU.

This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

from typing import NamedTuple, Tuple

_APPLICATION = (
    "Look in the engine's log for the first error of that time: most often a bug of the program or the image. "
    "When several images fail on the same GPU only, test the GPU with `dcgmi diag -r 3`."
)
_RESET = "Stop the engine, reset the GPU (`nvidia-smi --gpu-reset`) or restart the host; if it comes back, replace it."
_MEMORY = (
    "Stop the engine and reset the GPU or restart the host so that the bad row is remapped; replace the GPU when "
    "`nvidia-smi -q -d ROW_REMAPPER` shows a failure."
)
_LINK = (
    "Check `nvidia-smi nvlink -s` and -e and the fabric manager's log, then restart the host; seat or replace the "
    "bridge, baseboard or switch if it comes back."
)
_FIRMWARE = (
    "Restart the host; upgrade the driver (its GSP firmware comes with it), and replace the GPU if it comes back."
)


class Xid(NamedTuple):
    """What one code means, and under which cause it is reported."""

    code: int
    slug: str
    meaning: str
    remedy: str


XIDS: Tuple[Xid, ...] = (
    Xid(13, "gpu_program_fault", "graphics engine exception: a kernel did something invalid", _APPLICATION),
    Xid(31, "gpu_program_fault", "memory page fault: a kernel used an address that it does not own", _APPLICATION),
    Xid(32, "gpu_program_fault", "invalid or corrupted push buffer", _APPLICATION),
    Xid(38, "gpu_firmware_hang", "driver firmware error", _FIRMWARE),
    Xid(43, "gpu_program_fault", "the GPU stopped processing a program that had failed", _APPLICATION),
    Xid(45, "gpu_program_fault", "clean-up of a program that was killed or failed before", _APPLICATION),
    Xid(46, "gpu_firmware_hang", "the GPU stopped processing", _RESET),
    Xid(48, "gpu_memory_fault", "double bit ECC error, which cannot be corrected", _MEMORY),
    Xid(61, "gpu_firmware_hang", "breakpoint or warning of the internal micro-controller", _FIRMWARE),
    Xid(62, "gpu_firmware_hang", "halt of the internal micro-controller", _FIRMWARE),
    Xid(63, "gpu_memory_fault", "a memory row was recorded for remapping", _MEMORY),
    Xid(64, "gpu_memory_fault", "a memory row could not be recorded for remapping", _MEMORY),
    Xid(68, "gpu_program_fault", "NVDEC exception", _APPLICATION),
    Xid(69, "gpu_program_fault", "graphics engine class error", _APPLICATION),
    Xid(74, "nvlink_fault", "NVLink error", _LINK),
    Xid(79, "gpu_fell_off_bus", "the GPU has fallen off the bus", _RESET + " Check power and cooling, too."),
    Xid(92, "gpu_memory_fault", "high rate of single bit ECC errors", _MEMORY),
    Xid(94, "gpu_memory_fault", "contained ECC error: the program that used the memory was ended", _MEMORY),
    Xid(95, "gpu_memory_fault", "uncontained ECC error: all programs on the GPU are affected", _MEMORY),
    Xid(109, "gpu_program_fault", "context switch timeout", _APPLICATION),
    Xid(110, "gpu_firmware_hang", "security fault", _RESET),
    Xid(119, "gpu_firmware_hang", "the GPU's system processor (GSP) did not answer in time", _FIRMWARE),
    Xid(120, "gpu_firmware_hang", "error of the GPU's system processor (GSP)", _FIRMWARE),
    Xid(121, "nvlink_fault", "corrected error of the link between chips (C2C)", _LINK),
    Xid(136, "nvlink_fault", "link training failed", _LINK),
    Xid(137, "nvlink_fault", "NVLink access without privilege", _LINK),
    Xid(140, "gpu_memory_fault", "unrecovered ECC error", _MEMORY),
    Xid(143, "gpu_firmware_hang", "GPU initialization failed", _RESET),
    Xid(144, "nvlink_fault", "NVLink 5 error (SAW)", _LINK),
    Xid(145, "nvlink_fault", "NVLink 5 error (RLW)", _LINK),
    Xid(149, "nvlink_fault", "NVLink 5 error (network interface)", _LINK),
    Xid(154, "gpu_firmware_hang", "the driver asks for a reset or restart of the GPU", _RESET),
    Xid(156, "gpu_memory_fault", "resource retirement: memory was taken out of use", _MEMORY),
    Xid(171, "gpu_memory_fault", "details of an uncorrectable memory error", _MEMORY),
    Xid(172, "gpu_memory_fault", "details of an uncorrectable memory error", _MEMORY),
)
