# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""GPUs, driver and host of C(gpu_info), for every module that needs them.

This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import os
from typing import Any, Dict, List, NamedTuple, Sequence

from ansible_collections.llmserve.vllm.plugins.module_utils import _driver, _gpu, _host_facts


class Collected(NamedTuple):
    """The facts, and what is worth a warning in them."""

    facts: Dict[str, Any]
    warnings: List[str]


def collect(module: Any, nvidia_smi: str, timeout: float, paths: Sequence[str]) -> Collected:
    """All facts of the host. Without a usable driver C(present) is false, and C(reason) says why.

    C(module) offers get_bin_path, run_command and warn.
    """
    command = nvidia_smi if os.sep in nvidia_smi else module.get_bin_path(nvidia_smi) or nvidia_smi
    driver = _driver.look()
    facts = _host_facts.gather(module, driver, list(paths))
    try:
        report = _gpu.read_report(_gpu.run_bounded([command, "-q", "-x"], timeout), nvidia_smi, timeout)
    except _gpu.GpuError as exc:
        detail, sentence = _driver.explain(exc.kind, exc.reason, driver, _driver.surroundings(facts["kernel"]))
        reason = "{0} {1}".format(exc.reason, sentence).strip()
        absent: Dict[str, Any] = {"present": False, "reason": reason}
        absent.update(facts, reason_kind=exc.kind, reason_detail=detail)
        absent.update(driver_version=None, cuda_version=None, gpus=[], gpus_lost=[])
        return Collected(absent, [])
    _driver.add_numa(report.gpus, facts["numa_nodes"])
    present: Dict[str, Any] = {"present": True, "driver_version": report.driver_version}
    present.update(facts, cuda_version=report.cuda_version, gpus=report.gpus, gpus_lost=report.lost)
    return Collected(present, report.warnings)
