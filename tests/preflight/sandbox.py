# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults for real: what to do to the sandbox's nodes, or to its inventory, and how to undo it.

Each has the name that the same fault has in the table of faults. Those of one batch do not disturb each other.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

BOTH = ("node1", "node2")
CLUSTER = ("cluster",)


class Ways(NamedTuple):
    """Shell commands by host: to the fault, and back."""

    do: Mapping[str, str]
    undo: Mapping[str, str]


class Real(NamedTuple):
    """A fault by name, the hosts that the table has to name, and how it comes about."""

    name: str
    hosts: tuple[str, ...]
    ways: Ways = Ways({}, {})
    variables: Mapping[str, Any] = {}
    host_variables: Mapping[str, Mapping[str, Any]] = {}


class Batch(NamedTuple):
    """Faults that are there at once, and checks that some of them rightly alarm as well."""

    name: str
    faults: tuple[Real, ...]
    also: frozenset[str] = frozenset()


def on(host: str, do: str, undo: str) -> Ways:
    """Commands for one host."""
    return Ways({host: do}, {host: undo})


def smi(*edits: str) -> tuple[str, str]:
    """An nvidia-smi whose output is edited by sed."""
    expressions = " ".join(f"-e '{edit}'" for edit in edits)
    wrapper = f'#!/bin/bash\\nset -o pipefail; /opt/simgpu/real-smi "$@" | sed {expressions}\\n'
    encoded = base64.b64encode(wrapper.replace("\\n", "\n").encode()).decode()
    do = f"cd /opt/simgpu && cp nvidia-smi real-smi && echo {encoded} | base64 -d > nvidia-smi"
    return do, "cd /opt/simgpu && cat real-smi > nvidia-smi && rm real-smi"


_TREE = """
import json, os, sys
ports = json.loads(PORTS)
os.makedirs("/run/fakeclass")
for kind in os.listdir("/sys/class"):
    os.makedirs("/run/fakeclass/" + kind)
    for name in os.listdir("/sys/class/" + kind):
        source = f"/sys/class/{kind}/{name}"
        if os.path.islink(source):
            os.symlink(os.readlink(source), f"/run/fakeclass/{kind}/{name}")
for port in ports:
    base = f"/run/fakeclass/infiniband/{port['device']}/ports/{port['port']}"
    files = {
        "state": "4: " + port["state"],
        "phys_state": "5: " + port["phys_state"],
        "link_layer": port["link_layer"],
        "rate": f"{port['rate_gbps']} Gb/sec (4X NDR)",
    }
    for gid in port["gids"]:
        files[f"gids/{gid['index']}"] = gid["gid"]
        files[f"gid_attrs/types/{gid['index']}"] = gid["type"]
        files[f"gid_attrs/ndevs/{gid['index']}"] = gid.get("netdev") or port["netdev"]
    for name, text in files.items():
        path = f"{base}/{name}"
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as handle:
            handle.write(text + "\\n")
"""


def cards(ports: list[dict[str, Any]], devices: bool = True) -> str:
    """RDMA ports in /sys, and /dev/infiniband."""
    script = base64.b64encode(_TREE.replace("PORTS", repr(json.dumps(ports))).encode()).decode()
    made = "mkdir -p /dev/infiniband && " if devices else ""
    return f"{made}echo {script} | base64 -d | python3 - && mount --bind /run/fakeclass /sys/class"


NO_CARDS = "umount /sys/class; rm -rf /run/fakeclass; rmdir /dev/infiniband 2>&-; true"


def fabric(first: list[dict[str, Any]], second: list[dict[str, Any]], devices: bool = True) -> Ways:
    """RDMA ports on both hosts."""
    do = {"node1": cards(first), "node2": cards(second, devices)}
    return Ways(do, {"node1": NO_CARDS, "node2": NO_CARDS})


def without(name: str, ports: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [port for port in ports if port["device"] != name]


def changed(name: str, ports: list[dict[str, Any]], **values: Any) -> list[dict[str, Any]]:
    return [{**port, **values} if port["device"] == name else port for port in ports]


def shifted(ports: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**port, "gids": [{**gid, "index": gid["index"] + 2} for gid in port["gids"]]} for port in ports]
