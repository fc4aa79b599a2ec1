# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is known of GPU models: memory that CUDA can use, and how the GPUs of a host reach each other.

This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import re
from typing import NamedTuple, Optional, Tuple


class GpuModel(NamedTuple):
    """A GPU model. C(total_gib) is what torch.cuda.mem_get_info reports."""

    title: str
    total_gib: float
    # GPUs of a host reach each other through NVSwitch or NVLink rather than PCIe
    nvlink: bool = False


# First match wins, so the special names come first. Totals: published start-up logs of vLLM, or nvidia-smi's figure
# less what the driver keeps (0.45 to 0.6 GiB on datacenter cards).
_MODELS: Tuple[Tuple[str, GpuModel], ...] = (
    (r"gb300|b300", GpuModel("B300", 267.0, True)),
    (r"gb200|b200", GpuModel("B200", 178.35, True)),
    (r"gh200.*(144|141|480gb.*hbm3e)", GpuModel("GH200 144 GB", 141.0, True)),
    (r"gh200", GpuModel("GH200 96 GB", 94.5, True)),
    (r"h200", GpuModel("H200", 139.72, True)),
    (r"h100.*(nvl|94 ?gb)", GpuModel("H100 NVL", 93.1, True)),
    (r"h100.*pcie", GpuModel("H100 PCIe", 79.18)),
    (r"h100|h800", GpuModel("H100 80 GB", 79.18, True)),
    (r"h20\b", GpuModel("H20", 95.1, True)),
    (r"a100.*pcie.*40|a100-40.*pcie", GpuModel("A100 40 GB PCIe", 39.38)),
    (r"a100.*40", GpuModel("A100 40 GB", 39.38, True)),
    (r"a100.*pcie", GpuModel("A100 80 GB PCIe", 79.14)),
    (r"a100|a800", GpuModel("A100 80 GB", 79.14, True)),
    (r"rtx pro 6000|rtx 6000 blackwell", GpuModel("RTX PRO 6000", 94.97)),
    (r"rtx 6000 ada", GpuModel("RTX 6000 Ada", 47.4)),
    (r"l40s?\b", GpuModel("L40S", 44.4)),
    (r"\bl4\b", GpuModel("L4", 21.95)),
    (r"\ba40\b", GpuModel("A40", 44.42)),
    (r"a6000", GpuModel("RTX A6000", 47.4)),
    (r"a10g", GpuModel("A10G", 21.99)),
    (r"\ba10\b", GpuModel("A10", 22.09)),
    (r"\ba30\b", GpuModel("A30", 23.5)),
    (r"\ba16\b", GpuModel("A16", 14.6)),
    (r"v100.*32", GpuModel("V100 32 GB", 31.73, True)),
    (r"v100", GpuModel("V100 16 GB", 15.77, True)),
    (r"\bt4\b", GpuModel("T4", 14.56)),
    (r"5090", GpuModel("RTX 5090", 31.4)),
    (r"5080|5070 ti", GpuModel("RTX 5080", 15.5)),
    (r"4090", GpuModel("RTX 4090", 23.5)),
    (r"4080", GpuModel("RTX 4080", 15.6)),
    (r"3090", GpuModel("RTX 3090", 23.58)),
    (r"3080", GpuModel("RTX 3080", 9.65)),
    (r"2080 ?ti", GpuModel("RTX 2080 Ti", 10.75)),
    (r"mi300x", GpuModel("MI300X", 191.5, True)),
    (r"mi300a", GpuModel("MI300A", 127.5, True)),
    (r"mi325x", GpuModel("MI325X", 255.5, True)),
)


def lookup(name: str) -> Optional[GpuModel]:
    """The GPU model that a name as nvidia-smi, a vendor or a person writes it means."""
    text = name.lower().replace("_", " ")
    for pattern, model in _MODELS:
        if re.search(pattern, text):
            return model
    return None


def size_in_name(name: str) -> Optional[float]:
    """GiB that a name such as "Some GPU 24GB" promises: makers count what the driver then takes from."""
    match = re.search(r"(\d{1,3}) ?gi?b\b", name.lower())
    return int(match.group(1)) * 0.93 if match else None


def from_nvidia_smi(total_mib: float) -> float:
    """GiB that CUDA reports for a GPU whose total nvidia-smi gives in MiB."""
    # measured differences: 0.40 to 0.44 GiB on T4, A10, RTX 3090; 0.47 to 0.8 on A40, A100, H100, H200, B200
    return max(0.0, total_mib / 1024.0 - (0.6 if total_mib > 30000 else 0.42))
