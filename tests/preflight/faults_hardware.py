# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults of GPUs, memory, disks and of the model."""

from __future__ import annotations

from ansible_collections.llmserve.vllm.tests.preflight.cluster import Picture, disk
from ansible_collections.llmserve.vllm.tests.preflight.fault import Fault, every, fact, put, together


def _lost_gpu(picture: Picture) -> None:
    del picture.facts()["gpus"][7]
    picture.facts()["gpus_lost"] = [{"index": 7, "pci_bus_id": "0000:DB:00.0", "reason": "Unknown Error"}]


def _no_driver(picture: Picture) -> None:
    reason = "nvidia-smi is not there: install the NVIDIA driver."
    picture.facts().update(present=False, gpus=[], driver_version=None, cuda_version=None, reason=reason)


FAULTS = (
    # GPUs
    Fault("no_driver", "gpus", "no driver", "take the host out", _no_driver),
    Fault(
        "seven_gpus",
        "gpus",
        "7 GPUs instead of 8",
        "dmesg",
        lambda picture: picture.facts()["gpus"].pop(),
    ),
    Fault("gpu_off_the_bus", "gpu_lost", "a GPU that fell off the bus", "Xid 79", _lost_gpu),
    Fault(
        "ecc_errors",
        "gpu_health",
        "uncorrected ECC errors",
        "--gpu-reset",
        fact("gpus.3.problems", ["GPU 3 has uncorrected ECC errors."]),
    ),
    Fault("mig_mode", "mig", "a GPU in MIG mode", "nvidia-smi -mig 0", fact("gpus.0.mig_enabled", True)),
    Fault(
        "compute_prohibited",
        "compute_mode",
        "compute mode Prohibited",
        "-c DEFAULT",
        fact("gpus.0.compute_mode", "Prohibited"),
    ),
    Fault(
        "driver_too_old",
        "cuda",
        "driver 570 for an image with CUDA 13",
        "VLLM_ENABLE_CUDA_COMPATIBILITY",
        together(
            every("driver_version", "570.86.15"), every("fabric_manager", {"state": "active", "version": "570.86.15"})
        ),
    ),
    Fault(
        "foreign_gpu_process",
        "gpu_processes",
        "somebody computes on a GPU",
        "Stop it",
        fact("gpu_processes", [{"gpu": 2, "memory_used_mib": 40000, "holder": "process 4242 (python3)"}]),
    ),
    Fault(
        "memory_of_a_dead_process",
        "gpu_memory",
        "GPU memory in use without a process",
        "fuser",
        fact("gpus.5.memory_used_mib", 70000),
    ),
    Fault(
        "no_persistence",
        "persistence",
        "persistence mode off",
        "nvidia-persistenced",
        fact("gpus.0.persistence_mode", False),
    ),
    Fault(
        "fabric_manager_stopped",
        "fabric_manager",
        "the fabric manager does not run",
        "systemctl enable --now nvidia-fabricmanager",
        fact("fabric_manager", {"state": "inactive", "version": None}),
    ),
    Fault(
        "fabric_manager_version",
        "fabric_manager",
        "the fabric manager has another version than the driver",
        "nvidia-fabricmanager-580",
        fact("fabric_manager", {"state": "active", "version": "570.86.15"}),
    ),
    # memory and disks
    Fault("tiny_shm", "shm", "/dev/shm of 64 MiB", "remount", fact("shm", {"total_mib": 64, "free_mib": 64})),
    Fault("small_host", "host_memory", "8 GiB of memory for 8 workers", "more memory", fact("host_memory_mib", 8192)),
    Fault(
        "offload_without_memory",
        "host_memory",
        "400 GiB of offload for each of 8 GPUs",
        "cpu_offload_gb",
        together(lambda picture: picture.plan.update(cpu_offload_gb=400), put("facts.host_memory_mib", 10**8, 0)),
    ),
    Fault(
        "full_docker_disk",
        "docker_disk",
        "2 GiB left where Docker keeps images",
        "docker system prune",
        fact("disks.0", disk("/var/lib/docker", "/", 2)),
    ),
    Fault(
        "dead_file_server",
        "filesystem",
        "the model's filesystem does not answer",
        "Mount /data again",
        fact("disks.1.problem", "the filesystem at /data (nfs4, nas:/hf) did not answer within 5 s."),
    ),
    Fault(
        "read_only",
        "filesystem",
        "the model's filesystem is read-only",
        "Mount /data",
        fact("disks.1.read_only", True),
    ),
    Fault("no_inodes", "inodes", "no inodes left", "Remove files", fact("disks.1.inodes_free", 12)),
    Fault(
        "swapping",
        "swap",
        "the host swaps",
        "swapoff",
        together(fact("swap_total_mib", 8192), fact("swap_free_mib", 2000)),
    ),
    Fault(
        "numa_balancing_on_grace",
        "numa_balancing",
        "NUMA balancing where GPU memory is a NUMA node",
        "kernel.numa_balancing=0",
        fact("gpus.0.memory_numa_node", 1),
    ),
    # the model
    Fault(
        "licence",
        "model_access",
        "the token's account has not accepted the licence",
        "Accept the licence",
        put(
            "hub", {"reason": "The account may not read it: accept the licence.", "reason_kind": "licence_not_accepted"}
        ),
    ),
    Fault(
        "no_room_for_the_model",
        "model_disk",
        "less room than the model needs",
        "Free space",
        fact("model.disk_problem", "812 GB are missing, 20 GB are free: free space there."),
    ),
    Fault(
        "another_commit", "model_revision", "another commit of the model", "hf_model", fact("model.commit", "1" * 40)
    ),
    Fault(
        "missing_shard",
        "model_files",
        "a shard is missing on one host",
        "hf_model",
        put("facts.model.files", {"model-00001-of-00003.safetensors": 4_773_120_000}),
    ),
    Fault(
        "truncated_shard",
        "model_files",
        "a shard has another size on one host",
        "hf_model",
        lambda picture: picture.facts()["model"]["files"].update({"model-00002-of-00003.safetensors": 17}),
    ),
)
