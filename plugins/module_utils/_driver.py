# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the kernel knows of NVIDIA's driver and GPUs, and what follows from it when nvidia-smi fails.

This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import os
import re
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

from ansible_collections.llmserve.vllm.plugins.module_utils._gpu_models import memory_is_numa_node
from ansible_collections.llmserve.vllm.plugins.module_utils._host import entries, numa_node, read_text

_VENDOR = "0x10de"
# PCI classes: VGA and 3D controllers are GPUs, "other bridge" is an NVSwitch (to Hopper; later ones are not on PCI).
_GPU_CLASSES = ("0x0300", "0x0302")
_NVSWITCH_CLASS = "0x0680"
_SECURE_BOOT = "SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"


class Driver(NamedTuple):
    """The driver as the kernel sees it."""

    version: Optional[str]
    open_module: Optional[bool]
    modules: Tuple[str, ...]
    pci_gpus: List[Dict[str, Any]]
    nvswitches: int
    pci_visible: bool


def look(sys_root: str = "/sys", proc: str = "/proc") -> Driver:
    """Read what the kernel knows, without nvidia-smi."""
    text = read_text(os.path.join(proc, "driver", "nvidia", "version")) or ""
    match = re.search(r"NVRM version:.*?\s([0-9]+(?:\.[0-9]+)+)\s", text + " ")
    version = match.group(1) if match else read_text(os.path.join(sys_root, "module", "nvidia", "version"))
    modules = tuple(
        line.split(" ", 1)[0]
        for line in (read_text(os.path.join(proc, "modules")) or "").splitlines()
        if re.match("(nvidia|nouveau|nova|vfio)", line)
    )
    names = sorted(entries(os.path.join(sys_root, "bus", "pci", "devices")))  # hexadecimal, as nvidia-smi counts
    gpus, switches = _pci(os.path.join(sys_root, "bus", "pci", "devices"), names)
    registered = entries(os.path.join(proc, "driver", "nvidia-nvswitch", "devices"))
    return Driver(
        version or None,
        "Open Kernel Module" in text if text else None,
        modules,
        gpus,
        max(switches, len(registered)),
        bool(names),
    )


def _pci(base: str, names: Sequence[str]) -> Tuple[List[Dict[str, Any]], int]:
    gpus, switches = [], 0
    for name in names:
        where = os.path.join(base, name)
        if read_text(os.path.join(where, "vendor")) != _VENDOR:
            continue
        kind = (read_text(os.path.join(where, "class")) or "")[:6]
        if kind == _NVSWITCH_CLASS:
            switches += 1
        elif kind in _GPU_CLASSES:
            driver = os.path.join(where, "driver")
            gpus.append(
                {
                    "pci_bus_id": name,
                    "device_id": read_text(os.path.join(where, "device")),
                    "driver": os.path.basename(os.path.realpath(driver)) if os.path.exists(driver) else None,
                }
            )
    return gpus, switches


def pci_address(bus_id: Optional[str]) -> Optional[str]:
    """The kernel's way to write nvidia-smi's address: C(00000000:19:00.0) is C(0000:19:00.0)."""
    match = re.match(r"([0-9a-f]{1,8}):([0-9a-f]{2}:[0-9a-f]{2}\.[0-9a-f])$", (bus_id or "").lower())
    return "{0:04x}:{1}".format(int(match.group(1), 16), match.group(2)) if match else None


def add_numa(
    gpus: List[Dict[str, Any]], nodes: List[Dict[str, Any]], sys_root: str = "/sys", proc: str = "/proc"
) -> None:
    """Give every GPU the node that it is attached to, and the node that its own memory is, where it is one."""
    memory_nodes = [node["node"] for node in nodes if not node["cpus"]]
    coherent = [gpu for gpu in gpus if memory_is_numa_node(gpu["name"])]
    for gpu in gpus:
        address = pci_address(gpu["pci_bus_id"])
        gpu["numa_node"] = numa_node(os.path.join(sys_root, "bus", "pci", "devices", address)) if address else None
        text = read_text(os.path.join(proc, "driver", "nvidia", "gpus", address or "none", "numa_status")) or ""
        match = re.search(r"^\s*node(?: id)?\s*:\s*([0-9]{1,6})\s*$", text, re.IGNORECASE | re.MULTILINE)
        gpu["memory_numa_node"] = int(match.group(1)) if match and int(match.group(1)) in memory_nodes else None
        # Grace reserves its nodes in the order of the GPUs
        if gpu["memory_numa_node"] is None and gpu in coherent and len(coherent) == len(memory_nodes):
            gpu["memory_numa_node"] = memory_nodes[coherent.index(gpu)]


class Surroundings(NamedTuple):
    """What else keeps a driver from working. C(module) is None when the kernel's list of modules cannot be read."""

    release: str
    container: bool = False
    secure_boot: bool = False
    module: Optional[bool] = None


def surroundings(release: str, root: str = "/") -> Surroundings:
    """Read them; only needed after a failure."""
    marks = ("run/.containerenv", ".dockerenv", "run/systemd/container")
    modules = read_text(os.path.join(root, "lib", "modules", release, "modules.dep"))
    return Surroundings(
        release,
        any(os.path.exists(os.path.join(root, mark)) for mark in marks),
        _secure_boot(os.path.join(root, "sys", "firmware", "efi", "efivars", _SECURE_BOOT)),
        None if modules is None else bool(re.search(r"(^|/)nvidia\.ko[^:/]*:", modules, re.MULTILINE)),
    )


def _secure_boot(path: str) -> bool:
    try:
        with open(path, "rb") as handle:
            return handle.read(16)[-1:] == b"\x01"
    except OSError:
        return False


# Word for programs, the failures that it explains, sentence.
_ABSENT = ("driver_not_installed", "driver_not_loaded", "no_devices")
_EXPLANATIONS: Dict[str, Tuple[Tuple[str, ...], str]] = {
    "no_gpu": (_ABSENT, "No NVIDIA GPU is on this host's PCI bus."),
    "container": (
        (*_ABSENT, "permission"),
        "This is a container: start it with GPUs (--gpus all, or a device request).",
    ),
    "nouveau": (
        _ABSENT,
        "The nouveau driver holds the GPUs: blacklist it, rebuild the initramfs (update-initramfs -u or dracut -f) "
        "and reboot.",
    ),
    "vfio": (_ABSENT, "vfio-pci holds the GPUs, which keeps them for virtual machines."),
    "no_module_for_kernel": (("driver_not_loaded",), "There is no nvidia module for the running kernel {release}."),
    "secure_boot": (
        ("driver_not_loaded",),
        "UEFI Secure Boot is on: when 'modprobe nvidia' says 'Key was rejected by service', enrol the module's key "
        "('mokutil --import', then reboot), or use the distribution's signed modules (linux-modules-nvidia-*).",
    ),
    "tools_missing": (
        ("driver_not_installed",),
        "The kernel module {version} is loaded: only the package with the tools is missing.",
    ),
    "loaded_version": (("driver_library_mismatch",), "The loaded kernel module is {version}."),
    "reset_required": (("no_devices",), "The GPU must be reset: 'nvidia-smi --gpu-reset', or reboot the host."),
    "gpu_lost": (
        ("no_devices",),
        "A GPU has stopped answering: reboot the host; when it comes back, have the GPU replaced.",
    ),
}


def explain(kind: str, reason: str, driver: Driver, around: Surroundings) -> Tuple[Optional[str], str]:
    """Why nvidia-smi failed, as far as the kernel tells: a word for programs, and a sentence."""
    holders = {gpu["driver"] for gpu in driver.pci_gpus}
    applies = {
        "container": around.container,
        # a Jetson's GPU is not on PCI
        "no_gpu": driver.pci_visible and not driver.pci_gpus and "tegra" not in around.release,
        "nouveau": "nouveau" in holders or (not driver.version and "nouveau" in driver.modules),
        "vfio": holders == {"vfio-pci"},
        "no_module_for_kernel": not driver.version and around.module is False,
        "secure_boot": not driver.version and around.secure_boot,
        "tools_missing": bool(driver.version),
        "loaded_version": bool(driver.version),
        "reset_required": bool(re.search("requires (a )?reset", reason, re.IGNORECASE)),
        "gpu_lost": bool(re.search("device handle|is lost|fallen off", reason, re.IGNORECASE)),
    }
    for word, (kinds, sentence) in _EXPLANATIONS.items():
        if kind in kinds and applies[word]:
            return word, sentence.format(release=around.release, version=driver.version)
    return None, ""
