# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All that C(gpu_info) reports without C(nvidia-smi).

This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import os
from typing import Any, Dict, List

from ansible_collections.llmserve.vllm.plugins.module_utils import (
    _bounded,
    _driver,
    _host,
    _host_disks,
    _host_fabric,
    _host_memory,
)

# A local filesystem answers in milliseconds. RDMA ports of a card whose firmware has died are as slow as dead servers.
_SLOW_SECONDS = 5


def gather(module: Any, driver: _driver.Driver, paths: List[str]) -> Dict[str, Any]:
    """The facts of this host; C(module) offers get_bin_path, run_command and warn."""
    return dict(_host_facts(module), **_driver_facts(driver), **_slow_facts(module, paths))


def _host_facts(module: Any) -> Dict[str, Any]:
    """What the host says about itself, GPUs aside."""
    uname = os.uname()
    nodes = _host_memory.numa_nodes()
    memory_only = [node["memory_total_mib"] or 0 for node in nodes if not node["cpus"]]
    return dict(
        _host_memory.memory_facts(),
        hostname=uname.nodename,
        architecture=uname.machine,
        kernel=uname.release,
        kernel_page_size=os.sysconf("SC_PAGE_SIZE"),
        host_memory_on_gpus_mib=sum(memory_only),
        numa_nodes=nodes,
        huge_pages=_host_memory.huge_pages(),
        transparent_huge_pages=_host_memory.transparent_huge_pages(),
        shm=_host_memory.shared_memory(),
        limits=_host_memory.limits(),
        addresses=_host.local_addresses(module) or [],
        devices_infiniband=os.path.isdir("/dev/infiniband"),
    )


def _slow_facts(module: Any, paths: List[str]) -> Dict[str, Any]:
    """What may hang in the kernel: filesystems and RDMA ports."""
    answers = _bounded.call_all([_host_fabric.fabric, *_host_disks.calls(paths)], _SLOW_SECONDS)
    if answers[0].value is None:
        module.warn(
            "The RDMA devices below /sys/class/infiniband could not be read ({0}), so fabric is empty.".format(
                answers[0].error or "no answer within {0} s".format(_SLOW_SECONDS)
            )
        )
    disks = _host_disks.describe(paths, answers[1:], _SLOW_SECONDS)
    for disk in disks:
        if disk["problem"]:
            module.warn("{0}: {1}".format(disk["path"], disk["problem"]))
    return {"fabric": answers[0].value or [], "disks": disks}


def _driver_facts(driver: _driver.Driver) -> Dict[str, Any]:
    """What the kernel says about the driver and the GPUs."""
    return {
        "driver_module": {
            "version": driver.version,
            "open": driver.open_module,
            "modules": driver.modules,
        },
        "nvidia_peermem": "nvidia_peermem" in driver.modules,
        "nvswitches": driver.nvswitches,
        "gpus_on_pci": driver.pci_gpus,
    }
