#!/usr/bin/python
# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module llmserve.vllm.gpu_info."""

from __future__ import annotations

DOCUMENTATION = r"""
module: gpu_info
short_description: Report a host's NVIDIA GPUs, driver, memory, addresses and RDMA ports
version_added: "0.1.0"
author:
  - "The llmserve.vllm authors (@llmserve)"
description:
  - Runs C(nvidia-smi -q -x) with a time limit and reads C(/proc), C(/sys) and C(ip -j addr).
  - Changes nothing. A host without a usable driver is a failure that names the cause, or, with O(required=false),
    a result with RV(present=false).
extends_documentation_fragment:
  - llmserve.vllm.attributes.reader
options:
  nvidia_smi:
    description:
      - The C(nvidia-smi) to run, a path or a name. A name is looked for in E(PATH) and in the usual system directories.
    type: str
    default: nvidia-smi
  required:
    description:
      - Whether a host without a usable NVIDIA driver fails the task.
      - With V(false) the task succeeds and returns RV(present=false), RV(reason) and RV(reason_kind).
    type: bool
    default: true
  timeout:
    description:
      - How many seconds C(nvidia-smi) may take. It hangs for ever when a GPU has fallen off the bus, and takes several
        seconds on an 8-GPU host without persistence mode.
    type: int
    default: 30
"""

EXAMPLES = r"""
- name: Read the GPUs
  llmserve.vllm.gpu_info:
  register: gpu

- name: Show them
  ansible.builtin.debug:
    msg: "{{ gpu.gpus | length }} x {{ gpu.gpus[0].name }}, driver {{ gpu.driver_version }}"

- name: Look at a host that may have no driver yet
  llmserve.vllm.gpu_info:
    required: false
  register: maybe_gpu

- name: Say why there are no GPUs
  ansible.builtin.debug:
    msg: "{{ maybe_gpu.reason }}"
  when: not maybe_gpu.present
"""

RETURN = r"""
present:
  description: Whether the driver answered and sees at least one GPU.
  returned: always
  type: bool
  sample: true
reason:
  description: A sentence that says why there are no usable GPUs and how to mend it.
  returned: when RV(present=false)
  type: str
reason_kind:
  description:
    - The same for programs, one of V(driver_not_installed), V(driver_not_loaded), V(driver_library_mismatch),
      V(no_devices), V(permission), V(timeout), V(unparsable).
  returned: when RV(present=false)
  type: str
  sample: driver_not_loaded
driver_version:
  description: Version of the NVIDIA driver, V(null) without one.
  returned: always
  type: str
  sample: 580.95.05
cuda_version:
  description: The newest CUDA version that the driver supports, V(null) without a driver.
  returned: always
  type: str
  sample: "13.0"
gpus:
  description:
    - One entry per GPU, in the order of C(nvidia-smi). A figure that the GPU does not support is V(null), never 0.
  returned: always
  type: list
  elements: dict
  contains:
    index: {description: Index of the GPU, type: int, sample: 0}
    name: {description: Product name, type: str, sample: NVIDIA H100 80GB HBM3}
    uuid: {description: UUID, type: str, sample: GPU-6a5b6ac4-7b6d-4f0e-8d5d-0f3c9a1e2b3c}
    pci_bus_id: {description: PCI address, type: str, sample: "00000000:19:00.0"}
    architecture: {description: Product architecture, type: str, sample: Hopper}
    memory_total_mib: {description: Memory in MiB; V(null) where host and GPU share it, type: int, sample: 81559}
    memory_used_mib: {description: Used memory in MiB, type: int, sample: 1}
    memory_free_mib: {description: Free memory in MiB, type: int, sample: 81008}
    mig_enabled: {description: Whether the GPU is split into MIG devices, type: bool, sample: false}
    mig_devices:
      description: The GPU's MIG devices, with their C(index), C(gpu_instance_id), C(compute_instance_id),
        C(memory_total_mib) and C(memory_used_mib).
      type: list
      elements: dict
    persistence_mode: {description: Whether the driver stays loaded without clients, type: bool, sample: true}
    compute_mode: {description: Compute mode, type: str, sample: Default}
    ecc_enabled: {description: Whether ECC is on, type: bool, sample: true}
    ecc_corrected: {description: Corrected ECC errors since the driver was loaded, type: int, sample: 0}
    ecc_uncorrected: {description: Uncorrected ECC errors since the driver was loaded, type: int, sample: 0}
    processes:
      description: The processes that use the GPU, with their C(pid), C(type) (C for compute, G for graphics), C(name),
        C(memory_used_mib) and C(gpu_instance_id).
      type: list
      elements: dict
    problems:
      description: Sentences about what is wrong with the GPU; the same are given as warnings.
      type: list
      elements: str
hostname:
  description: The host's name for itself.
  returned: always
  type: str
  sample: node-001
architecture:
  description: Machine architecture of the host.
  returned: always
  type: str
  sample: x86_64
host_memory_mib:
  description: Memory of the host in MiB.
  returned: always
  type: int
  sample: 2063930
host_memory_available_mib:
  description: Memory of the host in MiB that programs can take without swapping.
  returned: always
  type: int
  sample: 2021120
addresses:
  description: The addresses that are configured on the host, loopback included; empty without the C(ip) command.
  returned: always
  type: list
  elements: dict
  contains:
    address: {description: IPv4 or IPv6 address, type: str, sample: 172.26.135.124}
    prefix: {description: Length of the network prefix, type: int, sample: 20}
    interface: {description: Name of the interface, type: str, sample: eno1}
fabric:
  description: One entry per port of every RDMA device, InfiniBand and RoCE.
  returned: always
  type: list
  elements: dict
  contains:
    device: {description: Name of the device, type: str, sample: mlx5_0}
    port: {description: Number of the port, type: int, sample: 1}
    link_layer: {description: V(InfiniBand) or V(Ethernet), type: str, sample: InfiniBand}
    state: {description: Logical state of the port, type: str, sample: ACTIVE}
    rate_gbps: {description: Rate of the link in Gb/s, type: float, sample: 400}
    netdev: {description: The port's network interface, type: str, sample: ib0}
devices_infiniband:
  description: Whether C(/dev/infiniband) exists, the directory that containers need for RDMA.
  returned: always
  type: bool
  sample: true
"""

import os

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.llmserve.vllm.plugins.module_utils import _gpu, _host


def host_facts(module: AnsibleModule) -> dict:
    """What the host says about itself, GPUs aside."""
    memory = _host.memory_mib()
    uname = os.uname()
    return {
        "hostname": uname.nodename,
        "architecture": uname.machine,
        "host_memory_mib": memory["total"],
        "host_memory_available_mib": memory["available"],
        "addresses": _host.local_addresses(module) or [],
        "fabric": _host.fabric(),
        "devices_infiniband": os.path.isdir("/dev/infiniband"),
    }


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "nvidia_smi": {"type": "str", "default": "nvidia-smi"},
            "required": {"type": "bool", "default": True},
            "timeout": {"type": "int", "default": 30},
        },
        supports_check_mode=True,
    )
    if module.params["timeout"] < 1:
        module.fail_json(msg="timeout is in seconds and must be at least 1, not {0}.".format(module.params["timeout"]))
    name = module.params["nvidia_smi"]
    command = name if os.sep in name else module.get_bin_path(name) or name
    facts = host_facts(module)
    timeout = module.params["timeout"]
    try:
        report = _gpu.read_report(_gpu.run_bounded([command, "-q", "-x"], timeout), name, timeout)
    except _gpu.GpuError as exc:
        absent = {"present": False, "reason": exc.reason, "reason_kind": exc.kind}
        absent.update(facts, driver_version=None, cuda_version=None, gpus=[])
        if module.params["required"]:
            module.fail_json(msg=exc.reason, **absent)
        module.exit_json(changed=False, **absent)
    for warning in report.warnings:
        module.warn(warning)
    module.exit_json(
        changed=False,
        present=True,
        driver_version=report.driver_version,
        cuda_version=report.cuda_version,
        gpus=report.gpus,
        **facts,
    )


if __name__ == "__main__":
    main()
