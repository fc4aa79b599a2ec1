# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host says of its system, over fake trees."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.llmserve.vllm.plugins.module_utils import _gpu, _host_system

UBUNTU = 'PRETTY_NAME="Ubuntu 24.04.3 LTS"\nNAME="Ubuntu"\nVERSION_ID="24.04"\nID=ubuntu\nID_LIKE=debian\n'
ROUTES = (
    "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
    "bond0\t00000000\t0100000A\t0003\t0\t0\t100\t00000000\t0\t0\t0\n"
    "bond0\t0000000A\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0\n"
)
MOUNTS = (
    "36 25 0:32 / /data rw,relatime shared:1 - nfs4 nas:/hf rw,vers=4.2,proto=tcp,clientaddr=127.0.0.1,addr=127.0.0.2\n"
    "37 25 0:33 / /scratch rw shared:1 - lustre 10.1.2.3@o2ib:10.1.2.4@o2ib:/fs rw,flock\n"
    "38 25 259:1 / / rw shared:1 - ext4 /dev/nvme0n1 rw\n"
)


def test_distributions() -> None:
    assert _host_system.os_release(UBUNTU) == {"id": "ubuntu", "version": "24.04", "name": "Ubuntu 24.04.3 LTS"}
    assert _host_system.os_release("ID='rocky'\nVERSION_ID=9.4\n")["id"] == "rocky"
    assert _host_system.os_release("") == {"id": "", "version": "", "name": ""}


def test_interfaces_and_the_default_route(tmp_path: Path) -> None:
    for name, mtu in (("bond0", "9000"), ("eth10", "1500"), ("eth2", "1500")):
        base = tmp_path / "class" / "net" / name
        base.mkdir(parents=True)
        (base / "mtu").write_text(mtu + "\n")
        (base / "operstate").write_text("up\n")
    (tmp_path / "class" / "net" / "bonding_masters").write_text("bond0\n")
    found = _host_system.interfaces(str(tmp_path))
    assert [(item["name"], item["mtu"], item["state"]) for item in found] == [
        ("bond0", 9000, "up"),
        ("eth2", 1500, "up"),
        ("eth10", 1500, "up"),
    ]
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "route").write_text(ROUTES)
    assert _host_system.default_interfaces(str(tmp_path)) == ["bond0"]
    assert _host_system.default_interfaces(str(tmp_path / "nowhere")) == []


def test_servers_of_mounted_filesystems() -> None:
    assert _host_system.storage_servers(MOUNTS) == ["10.1.2.3", "10.1.2.4", "127.0.0.2"]
    # loopback is nobody's storage network
    addresses = [{"address": "127.0.0.1", "interface": "lo"}]
    assert _host_system.storage_interfaces(addresses, MOUNTS) == []


@pytest.mark.parametrize(
    ("status", "expected"),
    [("CapEff:\t000001ffffffffff\n", True), ("CapEff:\t00000000a80425fb\n", False), ("", False)],
)
def test_who_may_raise_limits(status: str, expected: bool) -> None:
    assert _host_system.may_raise_limits("Name:\tx\n" + status) is expected


def test_names_resolve_or_not() -> None:
    assert "127.0.0.1" in _host_system.resolve("localhost")
    assert _host_system.resolve("no such name") == []


def test_fabric_manager(monkeypatch: pytest.MonkeyPatch) -> None:
    said = {"systemctl": "active\n", "nv-fabricmanager": "Fabric Manager version is : 580.95.05\n"}
    monkeypatch.setattr(_gpu, "run_bounded", lambda argv, _timeout: _gpu.CommandResult(0, said[argv[0]], ""))
    assert _host_system.fabric_manager(4) == {"state": "active", "version": "580.95.05"}
    assert _host_system.fabric_manager(0) is None
    said.update({"systemctl": "", "nv-fabricmanager": ""})
    assert _host_system.fabric_manager(4) == {"state": "unknown", "version": None}


def test_this_host() -> None:
    facts = _host_system.system_facts([], 0)
    assert facts["os"]["id"]
    assert facts["python"].startswith("3.")
    assert any(item["name"] == "lo" for item in facts["interfaces"])
