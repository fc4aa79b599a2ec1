# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a container of M(llmserve.vllm.nccl_check) has printed: the check's own lines, and those of NCCL.

This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import json
import re
from typing import Any, Dict, List, Optional, Sequence, Tuple

from ansible_collections.llmserve.vllm.plugins.module_utils._nccl_program import MARK

# Causes that NCCL, gloo and CUDA name in their own words, the more telling ones first. A failure that one rank tells
# of makes the others complain about connections, so these come last.
SIGNATURES: Tuple[Tuple[str, Any], ...] = (
    ("nccl_versions", re.compile(r"Mismatched NCCL version")),
    ("duplicate_gpu", re.compile(r"Duplicate GPU detected")),
    ("fabric_manager", re.compile(r"system not yet initialized|cudaErrorSystemNotReady")),
    (
        "driver",
        re.compile(r"driver version is insufficient|no kernel image is available|forward compatibility was attempted"),
    ),
    ("gpu_memory", re.compile(r"[Cc]uda failure .*out of memory|CUDA out of memory|CUDA error: out of memory")),
    ("memlock", re.compile(r"ibv_(?:reg_\w+|create_\w+|alloc_\w+)\b.*(?:Cannot allocate memory|errno 12\b)")),
    (
        "infiniband_permission",
        re.compile(r"ibv_\w+.*(?:Permission denied|Operation not permitted)|Call to ibv_open_device failed"),
    ),
    (
        "gid",
        re.compile(
            r"ibv_modify_qp failed with (?:error )?(?:22\b|110\b|113\b|101\b|Invalid argument|Connection timed out"
            r"|No route|Network is unreachable)|ibv_query_gid\w* failed"
        ),
    ),
    ("acs", re.compile(r"Got completion .*(?:status=4\b|LOC_PROT_ERR|local protection)")),
    ("fabric_path", re.compile(r"Got completion .*(?:status=1[23]\b|RETRY_EXC|retry exceeded)")),
    (
        "interface_unusable",
        re.compile(
            r"no socket interface found|NET/Socket ?: ?no interface found|No usable listening interface"
            r"|Unable to find (?:address|interface) for|no device found (?:matching|after excluding)"
            r"|ifa != nullptr|Cannot assign requested address"
        ),
    ),
    (
        "shared_memory",
        re.compile(r"shared memory segment|failed to (?:extend|create) .*/dev/shm|nccl-\w+.*No space left"),
    ),
    (
        "connection",
        re.compile(
            r"(?:Connection refused|Connection timed out|No route to host|Network is unreachable|connect timeout"
            r"|Connect timeout|connectFullMesh failed)"
        ),
    ),
    ("system_error", re.compile(r"unhandled system error|ncclSystemError")),
)
_WARN = re.compile(r"\bNCCL WARN (.*)")
_CHANNEL = re.compile(r"NCCL INFO Channel \d+/\d+ ?: ?\d+\[\w+\] -> \d+\[\w+\] \[send\] via NET/([^/]+)/(\d+)(\S*)")
_MNNVL = re.compile(r"NCCL INFO Channel .* via P2P/MNNVL")
_USING = re.compile(r"NCCL INFO NET/([^:/]+?) ?: ?Using ?((?:\[\d+\]\S+ ?)+)")
_DEVICE = re.compile(r"\[\d+\](\S+)")
_NETWORK = re.compile(r"NCCL INFO Using network (.+?)\s*$", re.MULTILINE)
_BOOTSTRAP = re.compile(r"NCCL INFO Bootstrap ?: ?Using ([^\s:]+):")
_NO_DEVICE = re.compile(r"NCCL INFO NET/IB ?: ?No device found")
_VERSION = re.compile(r"NCCL version ([\d.]+)")


def events(text: str) -> List[Dict[str, Any]]:
    """The check's own lines; one that was cut off is left out."""
    found = []
    for line in text.split("\n"):
        at = line.find(MARK)
        if at < 0:
            continue
        try:
            event = json.loads(line[at + len(MARK) :])
        except ValueError:
            continue
        if isinstance(event, dict) and event.get("event"):
            found.append(event)
    return found


def network(text: str) -> Dict[str, Any]:
    """What NCCL says of the network between the hosts.

    C(name) is the one that channels go through, C(IB), C(Socket) or a plugin's; C(MNNVL) where NVLink joins the hosts.
    """
    channels = _CHANNEL.findall(text)
    names = [name.strip() for name, _device, _rest in channels]
    announced = _NETWORK.findall(text)
    name = max(sorted(set(names)), key=names.count) if names else ("MNNVL" if _MNNVL.search(text) else "")
    using: Dict[str, List[str]] = {}
    for family, devices in _USING.findall(text):
        using.setdefault(family.strip(), _DEVICE.findall(devices))
    name = name or (announced[-1] if announced else "")
    family = next((key for key in using if key == name or (is_rdma(name) and key.startswith("IB"))), "")
    bootstrap = _BOOTSTRAP.search(text)
    version = _VERSION.search(text)
    return {
        "name": name,
        "devices": [_short(device) for device in using.get(family, [])],
        "interface": bootstrap.group(1) if bootstrap else "",
        "gpudirect": all("/GDRDMA" in rest for _name, _device, rest in channels) if channels else None,
        "channels": len(channels),
        "no_infiniband_device": bool(_NO_DEVICE.search(text)),
        "nccl": version.group(1) if version else "",
    }


def _short(device: str) -> str:
    # eth0:10.0.0.1<0> is a socket's interface, mlx5_0:1/IB a port
    return device.partition(":")[0] if "<" in device else device


def is_rdma(name: str) -> bool:
    """Whether this network is more than TCP: InfiniBand, RoCE, a vendor's plugin, or NVLink between hosts."""
    return bool(name) and not name.endswith("Socket")


def signature(text: str) -> Optional[Dict[str, str]]:
    """The most telling cause that the log names, with the line that does."""
    lines = [line.strip() for line in text.split("\n") if line.strip() and MARK not in line]
    for cause, pattern in SIGNATURES:
        for line in lines:
            if pattern.search(line):
                return {"cause": cause, "evidence": plain(line)}
    return None


def plain(line: str) -> str:
    """A log line without the host, process and file before it, and not longer than a message can bear."""
    warned = _WARN.search(line)
    return (warned.group(1) if warned else line).strip()[:300]


def warnings(text: str, most: int = 5) -> List[str]:
    """NCCL's warnings, each once."""
    found: List[str] = []
    for line in _WARN.findall(text):
        if line.strip()[:300] not in found:
            found.append(line.strip()[:300])
    return found[:most]


def read(text: str) -> Dict[str, Any]:
    """Everything that is known of this host's part, from what its container has printed so far."""
    seen = events(text)
    about = _last(seen, "host")
    phase = _last(seen, "phase")
    failures = [dict(event) for event in seen if event["event"] in ("rank_failed", "failed")]
    for failure in failures:
        failure.pop("event")
    if failures:
        # what a rank was told in an exception counts as much as what NCCL has logged
        told = signature("\n".join([text, *(str(failure.get("detail", "")) for failure in failures)]))
        failures += [dict(told, kind=told["cause"])] if told else []
    return {
        "ended": any(event["event"] in ("done", "failed") for event in seen),
        "ok": any(event["event"] == "done" for event in seen) and not failures,
        "phase": phase.get("phase", ""),
        "missing": phase.get("missing", []),
        "backend": about.get("backend", ""),
        "gpus": about.get("gpus", 0),
        "versions": {key: about[key] for key in ("torch", "nccl") if about.get(key)},
        "interfaces": about.get("interfaces", {}),
        "gloo_interface": about.get("gloo_interface", ""),
        "network": network(text),
        "sizes": [_size(event) for event in seen if event["event"] == "size"],
        "failures": failures,
        "warnings": warnings(text),
    }


def _last(seen: Sequence[Dict[str, Any]], event: str) -> Dict[str, Any]:
    return next((item for item in reversed(seen) if item["event"] == event), {})


def _size(event: Dict[str, Any]) -> Dict[str, Any]:
    return {key: event[key] for key in ("bytes", "seconds", "bus_gb_s", "world")}


def progress(facts: Dict[str, Any]) -> str:
    """One sentence on how far the check is."""
    missing = facts["missing"]
    who = ", ".join(missing[:4]) + (" and {0} more".format(len(missing) - 4) if len(missing) > 4 else "")
    if facts["sizes"]:
        last = facts["sizes"][-1]
        return "all-reduce of {0}: {1:.1f} GB/s".format(mib(last["bytes"]), last["bus_gb_s"])
    words = {
        "": "starting the container",
        "loading": "loading PyTorch",
        "joining": "waiting for {0}",
        "opening": "waiting for {0}",
        "reaching": "connecting every host to every other",
        "connecting": "the processes of {0} connect",
        "measuring": "measuring",
        "measured": "waiting for the others to end",
    }
    return words.get(facts["phase"], facts["phase"]).format(who or "all hosts")


def mib(size: int) -> str:
    """A size in MiB, as nccl-tests prints it."""
    return "{0:g} MiB".format(size / 2.0**20)
