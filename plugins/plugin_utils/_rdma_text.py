# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""RDMA ports out of what the usual tools print, in the shape in which preflight reads them from a host.

This plugin util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

Port = dict[str, Any]

INFINIBAND: Final = "InfiniBand"
ETHERNET: Final = "Ethernet"
_RDMA_LINK: Final = re.compile(
    r"^\s*(?:\d+/\d+:\s+|link\s+)(?P<device>[^\s/]+)/(?P<port>\d+):?\s+(?P<subnet>subnet_prefix\s)?.*?\bstate\s+(?P<state>\S+)"
    r"(?:\s+physical_state\s+(?P<phys>\S+))?(?:\s+netdev\s+(?P<netdev>\S+))?",
    re.MULTILINE,
)
_IBDEV2NETDEV: Final = re.compile(
    r"^\s*(?P<device>\S+) port (?P<port>\d+) ==> (?P<netdev>\S+) \((?P<state>Up|Down)\)", re.MULTILINE
)
_SYSFS: Final = re.compile(
    r"^\S*/infiniband/(?P<device>[^/\s]+)/(?:ports/(?P<port>\d+)/)?(?P<key>\w+):(?P<value>.*)$", re.MULTILINE
)
_KEY_VALUE: Final = re.compile(r"^\s*(?P<key>[A-Za-z][\w ]*?)\s*[:=]\s*(?P<value>.*?)\s*$")
_DEVICE: Final = re.compile(r"^\s*(?:hca_id:\s*|CA ')(?P<device>[^\s']+)'?\s*$")
_PORT: Final = re.compile(r"^\s*port:?\s+(?P<port>\d+):?\s*$", re.IGNORECASE)
_PHYSICAL: Final = {"LINK_UP": "LinkUp", "LINKUP": "LinkUp", "POLLING": "Polling", "DISABLED": "Disabled"}
# How ibv_devinfo, ibstat and the kernel call the same thing.
_NAMES: Final = {
    "state": "state",
    "physical state": "phys_state",
    "phys_state": "phys_state",
    "rate": "rate_gbps",
    "link layer": "link_layer",
    "link_layer": "link_layer",
    "fw_ver": "firmware",
    "firmware version": "firmware",
    "hca_type": "hca_type",
    "ca type": "hca_type",
    "board_id": "board_id",
    "active_mtu": "active_mtu",
}
_OF_DEVICE: Final = ("firmware", "hca_type", "board_id")
_KEYS: Final = (*_OF_DEVICE, "link_layer", "state", "phys_state", "rate_gbps", "active_mtu", "netdev")


def read_ports(text: str) -> list[Port]:
    """The ports in the text of one of the tools, in its order; none where it is of no tool that is known."""
    for tool in (_rdma_link, _ibdev2netdev, _sysfs, _listing):
        ports = list(tool(text))
        if ports:
            return ports
    return []


def _rdma_link(text: str) -> Iterator[Port]:
    for found in _RDMA_LINK.finditer(text):
        # a port of InfiniBand has a subnet; one of RoCE has an interface instead
        layer = INFINIBAND if found["subnet"] else ETHERNET if found["netdev"] else None
        values = {"state": found["state"], "phys_state": found["phys"], "link_layer": layer, "netdev": found["netdev"]}
        yield _port(found["device"], found["port"], values)


def _ibdev2netdev(text: str) -> Iterator[Port]:
    for found in _IBDEV2NETDEV.finditer(text):
        layer = INFINIBAND if re.match(r"ib\w*\d", found["netdev"]) else ETHERNET
        state = "ACTIVE" if found["state"] == "Up" else "DOWN"
        yield _port(found["device"], found["port"], {"state": state, "link_layer": layer, "netdev": found["netdev"]})


def _sysfs(text: str) -> Iterator[Port]:
    devices: dict[str, dict[str, str]] = {}
    ports: dict[tuple[str, str], dict[str, str]] = {}
    for found in _SYSFS.finditer(text):
        key = _NAMES.get(found["key"])
        if key and found["port"]:
            ports.setdefault((found["device"], found["port"]), {})[key] = found["value"]
        elif key:
            devices.setdefault(found["device"], {})[key] = found["value"]
    for (device, port), values in ports.items():
        yield _port(device, port, {**devices.get(device, {}), **values})


def _listing(text: str) -> Iterator[Port]:
    """ibv_devinfo and ibstat: a device, its properties, and below them its ports with theirs."""
    device, port = "", ""
    common: dict[str, str] = {}
    values: dict[str, str] = {}
    for line in [*text.splitlines(), "CA 'end'"]:
        new_device, new_port = _DEVICE.match(line), _PORT.match(line)
        if new_device or new_port:
            if device and port:
                yield _port(device, port, {**common, **values})
            port, values = new_port["port"] if new_port else "", {}
        if new_device:
            device, common = new_device["device"], {}
            continue
        pair = _KEY_VALUE.match(line)
        name = _NAMES.get(pair["key"].lower()) if pair else None
        if pair and name:
            (common if name in _OF_DEVICE else values)[name] = pair["value"]


def _port(device: str, port: str, values: Mapping[str, str | None]) -> Port:
    clean = {name: _CLEAN.get(name, str.strip)(value) for name, value in values.items() if value}
    return {"device": device, "port": int(port), **dict.fromkeys(_KEYS), **clean}


def _state(value: str) -> str:
    # "4: ACTIVE" of the kernel, "PORT_ACTIVE (4)" of the verbs, "Active" of ibstat
    return re.sub(r"^\d+:\s*|^PORT_|\s*\(\d+\)$", "", value.strip()).upper()


def _physical(value: str) -> str:
    word = re.sub(r"^\d+:\s*", "", value.strip())
    return _PHYSICAL.get(word.upper(), word)


def _number(value: str) -> int | float | None:
    # "400 Gb/sec (4X NDR)", "4096 (5)"
    found = re.match(r"[\d.]+", value.strip())
    number = float(found[0]) if found else None
    return int(number) if number is not None and number.is_integer() else number


_CLEAN: Final[Mapping[str, Callable[[str], Any]]] = {
    "state": _state,
    "phys_state": _physical,
    "rate_gbps": _number,
    "active_mtu": _number,
}
