# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Causes in the kernel log, the journal and the output of nvidia-smi.

This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

from typing import Tuple

from ansible_collections.llmserve.vllm.plugins.module_utils._diagnosis.model import (
    CRASH,
    NAMED,
    STOP,
    UNKNOWN,
    Cause,
    cause,
    seen,
)
from ansible_collections.llmserve.vllm.plugins.module_utils._diagnosis.xids import XIDS, Xid

_XID = "https://docs.nvidia.com/deploy/xid-errors/"
# 43 and 45 are echoes of a program that died; those that only a program can raise explain less than hardware does.
_ECHOES = (43, 45)
_RANKS = {"gpu_program_fault": UNKNOWN - 5, "gpu_fell_off_bus": NAMED - 2}


def _of_xid(xid: Xid) -> Cause:
    rank = STOP if xid.code in _ECHOES else _RANKS.get(xid.slug, NAMED - 1)
    return cause(
        "{0}/xid_{1}".format(xid.slug, xid.code),
        "A GPU reported Xid {0}: {1}.".format(xid.code, xid.meaning),
        xid.remedy,
        seen(rank, r"NVRM: Xid \(.*?\): {0},".format(xid.code), mild=True),
        # said in the echoes
        seen(rank, r"caused by previous Xid {0}\b".format(xid.code), mild=True),
        source=_XID,
    )


CAUSES: Tuple[Cause, ...] = (
    *(_of_xid(xid) for xid in XIDS),
    cause(
        "gpu_fell_off_bus",
        "The host has lost a GPU: it no longer answers on the PCI bus.",
        "Restart the host, cold if a warm restart does not bring it back; check power, cooling and seating, "
        "and replace "
        "the GPU if it comes back.",
        seen(
            NAMED,
            r"NVRM: fallen off the bus|GPU has fallen off the bus|GPU lost from the bus|NV_ERR_GPU_IS_LOST",
            r"GPU is lost\.? *Reboot the system|NVML_ERROR_GPU_IS_LOST|NVMLError_GpuIsLost",
            r"Unable to determine the device handle for (GPU|gpu)",
            r"rm_init_adapter failed|RmInitAdapter failed",
            mild=True,
        ),
        source=_XID,
    ),
    cause(
        "gpu_firmware_hang",
        "The firmware of a GPU (GSP) no longer answers the driver.",
        "Restart the host; upgrade the driver (its GSP firmware comes with it), and replace the GPU if it comes back.",
        seen(
            NAMED + 1,
            r"NVRM: .*(rpcSendMessage|rpcRecvPoll|GspRmFree|GspRmControl|GspRmAlloc) failed",
            r"NV_ERR_GPU_IN_FULLCHIP_RESET|waiting for RPC response from GPU\d* GSP",
            mild=True,
        ),
        source=_XID,
    ),
    cause(
        "gpu_memory_fault",
        "A GPU has found errors in its memory that it cannot correct.",
        "Stop the engine, reset the GPU or restart the host; replace the GPU when `nvidia-smi -q -d ECC,ROW_REMAPPER` "
        "goes on counting.",
        seen(
            NAMED,
            r"uncorrectable ECC error encountered|CUDA_ERROR_ECC_UNCORRECTABLE|cudaErrorECCUncorrectable",
            r"Remapping Failure Occurred +: Yes|^\s*Pending +: Yes",
            r"ECC errors? (detected|encountered).*uncorrect",
        ),
        source="https://docs.nvidia.com/deploy/a100-gpu-mem-error-mgmt/",
    ),
    cause(
        "nvlink_fault",
        "The links between the GPUs report errors.",
        "Check `nvidia-smi nvlink -s`, -e and the fabric manager's log, then restart the host.",
        seen(
            NAMED,
            r"uncorrectable NVLink error|cudaErrorNvlinkUncorrectable|CUDA_ERROR_NVLINK_UNCORRECTABLE",
            r"nvidia-nvswitch\d*: SXid \(PCI:[\w:.]+\): \d+, Fatal",
            r"NVLink.*(fatal error detected|training failed)|NVL_FATAL|Failed to bind NVLink SHARP",
            mild=True,
        ),
        source=_XID,
    ),
    cause(
        "gpu_xid",
        "A GPU reported an Xid that this collection has no words for.",
        "Look the number of the evidence up in NVIDIA's list of Xid messages.",
        seen(UNKNOWN - 4, r"NVRM: Xid \(.*?\): (?!({0}),)".format("|".join(str(xid.code) for xid in XIDS)), mild=True),
        source=_XID,
    ),
    cause(
        "gpu_overheated",
        "A GPU was slowed down or switched off for its temperature or power.",
        "Check airflow, fans and power supplies; `nvidia-smi -q -d PERFORMANCE,TEMPERATURE` shows what slows it.",
        seen(
            NAMED,
            r"(GPU|gpu|NVRM).*temperature.*(shutdown|exceed|critical)",
            r"(GPU|gpu|NVRM).*thermal.*(shutdown|exceed|critical)",
            r"HW (Thermal|Power Brake) Slowdown +: Active",
        ),
        source=_XID,
    ),
    cause(
        "peermem_missing",
        "The GPUs' memory cannot be registered with the InfiniBand cards, so that traffic goes through main memory.",
        "`modprobe nvidia_peermem` and keep it in /etc/modules-load.d, or use the open kernel modules, whose DMA-BUF "
        "needs none.",
        seen(
            NAMED,
            r"nvidia_peermem: .*(Unknown symbol|disagrees|failed)|modprobe: .*nvidia[_-]peermem",
            r"could not insert 'nvidia_peermem'|GPU Direct RDMA Disabled.*required",
        ),
        source="https://docs.nvidia.com/cuda/gpudirect-rdma/",
    ),
    cause(
        "filesystem_errors",
        "The kernel reports errors of a disk or a file system.",
        "Check the disk (`smartctl -a`) and the file system that the evidence names before loading a model from it.",
        seen(
            NAMED + 1,
            r"EXT4-fs error|XFS \(.*\): .*(corruption|Corruption|metadata I/O error)|BTRFS (error|critical)",
            r"blk_update_request: (critical|I/O)|Buffer I/O error on dev|nvme\d+: .*(controller is down|I/O error)",
            r"Remounting filesystem read-only|nfs: server .* not responding, (still trying|timed out)",
            r"\[Errno (5|116)\] (Input/output error|Stale file handle)|OSError: .*Stale (NFS )?file handle",
            r"\[Errno 107\] Transport endpoint is not connected",
            mild=True,
        ),
    ),
    cause(
        "kernel_hang",
        "Processes or CPUs of the host were stuck in the kernel.",
        "Look at the call trace in dmesg for the module it names (storage, network, nvidia), and restart the host.",
        seen(CRASH + 1, r"INFO: task \S+:\d+ blocked for more than \d+ seconds", mild=True),
        seen(CRASH, r"watchdog: BUG: soft lockup|Kernel panic - not syncing|NMI watchdog: .*hard LOCKUP", mild=True),
    ),
    cause(
        "service_restart_limit",
        "systemd gave a service up because it failed too often in a row.",
        "Mend what made it fail (see the other causes), then `systemctl reset-failed` and start it again.",
        seen(CRASH + 2, r"Start request repeated too quickly|start-limit-hit"),
    ),
)
