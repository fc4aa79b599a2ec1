# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The RDMA ports of a host, InfiniBand and RoCE, as the kernel lists them.

This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import os
import re
import socket
from typing import Any, Dict, List, Optional, Union

from ansible_collections.llmserve.vllm.plugins.module_utils._host import entries, numa_node, read_text

_PCI_ADDRESS = re.compile(r"[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-9a-f]$")
_TYPES = {"ib/roce v1": "RoCE v1", "roce v1": "RoCE v1", "roce v2": "RoCE v2"}


def fabric(sys_root: str = "/sys") -> List[Dict[str, Any]]:
    """One entry per port of every RDMA device. A device whose firmware has died may hold the reader up."""
    devices = os.path.join(sys_root, "class", "infiniband")
    ports = []
    for device in entries(devices):
        base = os.path.join(devices, device)
        common = {
            "device": device,
            "firmware": read_text(os.path.join(base, "fw_ver")) or None,
            "hca_type": read_text(os.path.join(base, "hca_type")) or None,
            "board_id": read_text(os.path.join(base, "board_id")) or None,
            "numa_node": numa_node(os.path.join(base, "device")),
            "pci_address": _pci_address(os.path.join(base, "device")),
        }
        for port in entries(os.path.join(base, "ports")):
            if port.isdecimal():
                ports.append(dict(common, **_port(base, os.path.join(base, "ports", port), int(port))))
    return ports


def _port(base: str, where: str, port: int) -> Dict[str, Any]:
    link_layer = read_text(os.path.join(where, "link_layer"))
    netdev = _netdev(base, where, port)
    gids = _gids(where, link_layer)
    names = [netdev] if netdev else []
    names += [gid["netdev"] for gid in gids if gid["netdev"]]
    return {
        "port": port,
        "link_layer": link_layer,
        "state": _after_colon(read_text(os.path.join(where, "state"))),
        "phys_state": _after_colon(read_text(os.path.join(where, "phys_state"))),
        "rate_gbps": _rate(read_text(os.path.join(where, "rate"))),
        "netdev": netdev,
        "netdevs": sorted(set(names), key=names.index),
        "gids": gids,
    }


def _gids(where: str, link_layer: Optional[str]) -> List[Dict[str, Any]]:
    """The port's GID table without its empty places, whose attributes answer EINVAL."""
    gids = []
    for index in entries(os.path.join(where, "gids")):
        gid = (read_text(os.path.join(where, "gids", index)) or "").lower()
        # a prefix without an identifier is as empty as all zeros
        if not index.isdecimal() or not re.search("[1-9a-f]", re.sub("^fe80", "", gid)):
            continue
        kind = (read_text(os.path.join(where, "gid_attrs", "types", index)) or "").lower()
        gids.append(
            {
                "index": int(index),
                "gid": gid,
                # the kernel calls both InfiniBand and RoCE v1 "IB/RoCE v1"
                "type": "IB" if link_layer == "InfiniBand" else _TYPES.get(kind),
                "ipv4": _ipv4(gid),
                "netdev": read_text(os.path.join(where, "gid_attrs", "ndevs", index)) or None,
            }
        )
    return gids


def _ipv4(gid: str) -> Optional[str]:
    digits = gid.replace(":", "")
    if len(digits) != 32 or not digits.startswith("0" * 20 + "ffff"):
        return None
    try:
        return socket.inet_ntoa(bytes.fromhex(digits[24:]))
    except ValueError:
        return None


def _pci_address(device: str) -> Optional[str]:
    # a sub-function's device lies below its PCI function
    for part in reversed(os.path.realpath(device).split(os.sep)):
        if _PCI_ADDRESS.match(part):
            return part
    return None


def _after_colon(text: Optional[str]) -> Optional[str]:
    return None if text is None else text.rpartition(":")[2].strip()


def _rate(text: Optional[str]) -> Union[int, float, None]:
    match = re.match(r"([0-9]{1,9}(?:\.[0-9]+)?) Gb/sec", text or "")
    if not match:
        return None
    rate = float(match.group(1))
    return int(rate) if rate.is_integer() else rate


def _netdev(device: str, port_dir: str, port: int) -> Optional[str]:
    # The GID table is exact where it is filled, also for bonds; PCI functions with two ports share device/net.
    named = read_text(os.path.join(port_dir, "gid_attrs", "ndevs", "0"))
    if named:
        return named
    net = os.path.join(device, "device", "net")
    names = entries(net)
    if len(names) == 1:
        return names[0]
    for name in names:
        number = read_text(os.path.join(net, name, "dev_port"))
        if number is not None and number == str(port - 1):
            return name
    return None
