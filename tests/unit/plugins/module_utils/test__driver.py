# SPDX-License-Identifier: GPL-3.0-or-later
"""What the kernel knows of the driver."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.llmserve.vllm.plugins.module_utils import _driver
from ansible_collections.llmserve.vllm.plugins.module_utils._driver import Driver, Surroundings


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def pci(root: Path, address: str, device: str, kind: str, driver: str | None) -> None:
    base = root / "bus/pci/devices" / address
    for name, text in (("vendor", "0x10de"), ("device", device), ("class", kind), ("numa_node", "1")):
        write(base / name, text + "\n")
    if driver:
        where = root / "bus/pci/drivers" / driver
        where.mkdir(parents=True, exist_ok=True)
        (base / "driver").symlink_to(where)


def test_a_host_with_the_open_module(tmp_path: Path) -> None:
    sys_root, proc = tmp_path / "sys", tmp_path / "proc"
    pci(sys_root, "0000:19:00.0", "0x2330", "0x030200", "nvidia")
    pci(sys_root, "0000:3b:00.0", "0x2330", "0x030200", None)
    pci(sys_root, "0000:05:00.0", "0x22a3", "0x068000", "nvidia-nvswitch")
    pci(sys_root, "0000:01:00.1", "0x10f9", "0x040300", "snd_hda_intel")
    write(sys_root / "bus/pci/devices/0000:00:01.0/vendor", "0x8086\n")
    write(
        proc / "driver/nvidia/version",
        "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.95.05  Release Build  (dvs-builder@x)\n"
        "GCC version:  gcc version 12.3.0\n",
    )
    write(
        proc / "modules", "nvidia_peermem 16384 0 - Live 0x0\nnvidia 12 4 nvidia_uvm, Live 0x0\next4 1 1 - Live 0x0\n"
    )
    found = _driver.look(str(sys_root), str(proc))
    assert (found.version, found.open_module, found.modules) == ("580.95.05", True, ("nvidia_peermem", "nvidia"))
    assert found.nvswitches == 1
    assert found.pci_gpus == [
        {"pci_bus_id": "0000:19:00.0", "device_id": "0x2330", "driver": "nvidia"},
        {"pci_bus_id": "0000:3b:00.0", "device_id": "0x2330", "driver": None},
    ]


def test_a_host_with_the_closed_module_and_registered_switches(tmp_path: Path) -> None:
    write(
        tmp_path / "driver/nvidia/version",
        "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.129.03  Thu Oct 19 18:56:32 UTC 2023\n",
    )
    for address in ("0000:07:00.0", "0000:08:00.0"):
        (tmp_path / "driver/nvidia-nvswitch/devices" / address).mkdir(parents=True)
    found = _driver.look(str(tmp_path / "none"), str(tmp_path))
    assert (found.version, found.open_module, found.nvswitches, found.pci_visible) == ("535.129.03", False, 2, False)


def test_a_host_without_anything(tmp_path: Path) -> None:
    assert _driver.look(str(tmp_path), str(tmp_path)) == Driver(None, None, (), [], 0, False)


@pytest.mark.parametrize(
    ("written", "kernel"),
    [
        ("00000000:19:00.0", "0000:19:00.0"),
        ("0000000F:01:00.0", "000f:01:00.0"),
        ("00010000:AB:00.0", "10000:ab:00.0"),
        ("0", None),
        (None, None),
    ],
)
def test_addresses_as_the_kernel_writes_them(written: str | None, kernel: str | None) -> None:
    assert _driver.pci_address(written) == kernel


def gpu(name: str, bus_id: str) -> dict[str, object]:
    return {"name": name, "pci_bus_id": bus_id}


def test_numa_node_of_a_gpu(tmp_path: Path) -> None:
    pci(tmp_path, "0000:19:00.0", "0x2330", "0x030200", None)
    gpus = [gpu("NVIDIA H100 80GB HBM3", "00000000:19:00.0"), gpu("NVIDIA H100 80GB HBM3", "odd")]
    _driver.add_numa(gpus, [{"node": 0, "cpus": "0-3"}], str(tmp_path), str(tmp_path))
    assert [(found["numa_node"], found["memory_numa_node"]) for found in gpus] == [(1, None), (None, None)]


def test_memory_nodes_of_grace(tmp_path: Path) -> None:
    nodes = [
        {"node": 0, "cpus": "0-71"},
        {"node": 1, "cpus": "72-143"},
        {"node": 2, "cpus": ""},
        {"node": 10, "cpus": ""},
    ]
    gpus = [gpu("NVIDIA GB200", "00000008:01:00.0"), gpu("NVIDIA GB200", "00000009:01:00.0")]
    _driver.add_numa(gpus, nodes, str(tmp_path), str(tmp_path))
    assert [found["memory_numa_node"] for found in gpus] == [2, 10]
    write(tmp_path / "driver/nvidia/gpus/0008:01:00.0/numa_status", "Node: 10\nStatus: online\n")
    write(tmp_path / "driver/nvidia/gpus/0009:01:00.0/numa_status", "Node: -1\n")
    _driver.add_numa(gpus, [*nodes, {"node": 11, "cpus": ""}], str(tmp_path), str(tmp_path))
    assert [found["memory_numa_node"] for found in gpus] == [10, None]


def seen(driver: str | None, *, version: str | None = None, modules: tuple[str, ...] = ()) -> Driver:
    return Driver(version, None, modules, [{"pci_bus_id": "0000:19:00.0", "driver": driver}], 0, True)


PLAIN = Surroundings("6.8.0-60-generic")
EMPTY = Driver(None, None, (), [], 0, True)


@pytest.mark.parametrize(
    ("kind", "reason", "driver", "around", "answer"),
    [
        ("driver_not_loaded", "", seen("nouveau"), PLAIN, ("nouveau", "blacklist")),
        ("driver_not_loaded", "", seen(None, modules=("nouveau",)), PLAIN, ("nouveau", "initramfs")),
        ("driver_not_installed", "", EMPTY, PLAIN, ("no_gpu", "PCI bus")),
        ("driver_not_loaded", "", EMPTY, Surroundings("5.15.148-tegra"), (None, "")),
        ("no_devices", "", seen("vfio-pci"), PLAIN, ("vfio", "virtual machines")),
        ("driver_not_loaded", "", seen(None), PLAIN._replace(module=False), ("no_module_for_kernel", "6.8.0-60")),
        ("driver_not_loaded", "", seen(None), PLAIN._replace(secure_boot=True), ("secure_boot", "Key was rejected")),
        ("driver_not_loaded", "", seen(None), PLAIN._replace(module=True), (None, "")),
        ("permission", "", seen("nvidia"), PLAIN._replace(container=True), ("container", "--gpus all")),
        ("driver_not_installed", "", seen("nvidia", version="570.1"), PLAIN, ("tools_missing", "570.1")),
        ("driver_library_mismatch", "", seen("nvidia", version="570.1"), PLAIN, ("loaded_version", "570.1")),
        ("no_devices", "GPU requires reset", seen("nvidia"), PLAIN, ("reset_required", "--gpu-reset")),
        ("no_devices", "device handle for GPU0", seen("nvidia"), PLAIN, ("gpu_lost", "reboot")),
        ("timeout", "", seen("nvidia"), PLAIN, (None, "")),
    ],
)  # fmt: skip
def test_why_it_failed(
    kind: str, reason: str, driver: Driver, around: Surroundings, answer: tuple[str | None, str]
) -> None:
    word, sentence = _driver.explain(kind, reason, driver, around)
    assert word == answer[0]
    assert answer[1] in sentence


def test_surroundings(tmp_path: Path) -> None:
    assert _driver.surroundings("6.8", str(tmp_path)) == Surroundings("6.8")
    variable = tmp_path / "sys/firmware/efi/efivars" / "SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
    variable.parent.mkdir(parents=True)
    variable.write_bytes(b"\x06\0\0\0\x01")
    write(tmp_path / "run/.containerenv", "")
    modules = tmp_path / "lib/modules/6.8/modules.dep"
    write(modules, "kernel/fs/ext4/ext4.ko.zst: kernel/lib/crc16.ko.zst\nkernel/x/not-nvidia.ko:\n")
    assert _driver.surroundings("6.8", str(tmp_path)) == Surroundings("6.8", True, True, False)
    modules.write_text("updates/dkms/nvidia-uvm.ko.zst: updates/dkms/nvidia.ko.zst\nupdates/dkms/nvidia.ko.zst:\n")
    assert _driver.surroundings("6.8", str(tmp_path)).module is True
    variable.write_bytes(b"\x06\0\0\0\0")
    assert _driver.surroundings("6.8", str(tmp_path)).secure_boot is False
