# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the results of M(llmserve.vllm.nccl_check) on all hosts mean together.

This plugin util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.llmserve.vllm.plugins.module_utils._nccl_log import is_rdma
from ansible_collections.llmserve.vllm.plugins.plugin_utils import _nccl_failures

Result = Mapping[str, Any]
Problem = dict[str, str]
# A host that did not start has no more to tell.
_NOTHING: dict[str, Any] = {
    "ok": False,
    "failures": [],
    "backend": "",
    "gpus": 0,
    "sizes": [],
    "network": {"name": "", "devices": [], "interface": "", "gpudirect": None, "no_infiniband_device": False},
    "interfaces": {},
    "gloo_interface": "",
    "fabric": {"active": [], "user_devices": []},
    "log_tail": [],
}
# The checks whose words are not enough, and how much of the log is.
_UNCLEAR = (
    "exception",
    "rank",
    "killed",
    "lost",
    "limit",
    "system_error",
    "connection",
    "timeout",
    "broken",
    "head_lost",
)
_LOG_LINES = 15
_ACCEPT_TCP = "TCP is accepted with nccl_check_expect: socket."


def verdict(results: Sequence[Result], expect: str, min_gb_s: float) -> dict[str, Any]:
    """Problems, warnings, the figures, and one line for the report."""
    results = [dict(_NOTHING, **result) for result in results]
    problems = _nccl_failures.problems(results)
    speed = _speed(results)
    if not problems:
        problems = _network_problems(results, expect) + _speed_problems(results, speed, min_gb_s)
    return {
        "ok": not problems,
        "problems": problems,
        "warnings": [] if problems else _degraded(results),
        "backend": results[0]["backend"],
        "transport": _transport(results[0]),
        "bus_gb_s": speed,
        "logs": _logs(problems, results),
        "text": "" if problems else _text(results, speed),
    }


def _problem(host: str, kind: str, problem: str, mend: str) -> Problem:
    return {"host": host, "check": f"nccl_{kind}", "problem": problem, "mend": mend}


def _logs(problems: Sequence[Problem], results: Sequence[Result]) -> dict[str, list[str]]:
    """The ends of the logs of hosts whose problem is not clear by itself, three hosts at most."""
    unclear = [item["host"] for item in problems if item["check"] in [f"nccl_{kind}" for kind in _UNCLEAR]]
    tails = {result["host"]: list(result["log_tail"])[-_LOG_LINES:] for result in results}
    return {host: tails[host] for host in list(dict.fromkeys(unclear))[:3] if tails.get(host)}


def _transport(result: Result) -> str:
    """IB, Socket, a plugin's name, MNNVL; gloo where NCCL had no part in it."""
    return str(result["network"]["name"]) if result["backend"] == "nccl" else "gloo"


def _speed(results: Sequence[Result]) -> float:
    return round(max((size["bus_gb_s"] for result in results for size in result["sizes"]), default=0.0), 2)


# --- the network -------------------------------------------------------------------------------------------------


def _network_problems(results: Sequence[Result], expect: str) -> list[Problem]:
    """InfiniBand that was expected and is not used, or the other way round."""
    if results[0]["backend"] != "nccl":
        if expect != "ib":
            return []
        text = "InfiniBand is expected, but the image's PyTorch is one for CPUs and knows no NCCL."
        return [
            _problem(results[0]["host"], "transport", text, "Serve with an image for CUDA, or set nccl_check_expect.")
        ]
    slow = [result for result in results if not is_rdma(_transport(result))]
    if expect == "socket":
        mend = "Set nccl_check_expect: ib or auto, or NCCL_IB_DISABLE=1 in llmserve_environment."
        return [
            _problem(result["host"], "transport", f"NCCL uses {_transport(result)}, expected is TCP.", mend)
            for result in results
            if result not in slow
        ]
    if expect == "auto" and not all(_has_fabric(result) for result in results):
        return []
    return [_not_used(result) for result in slow]


def _has_fabric(result: Result) -> bool:
    """Whether InfiniBand or RoCE is there to be used, and the operator has not turned it off."""
    return bool(result["fabric"]["active"] and result["fabric"]["user_devices"] and not _turned_off(result))


def _turned_off(result: Result) -> bool:
    environment = result.get("environment") or {}
    return str(environment.get("NCCL_IB_DISABLE", "0")) not in ("", "0") or environment.get("NCCL_NET") == "Socket"


def _not_used(result: Result) -> Problem:
    active = ", ".join(result["fabric"]["active"]) or "no active port"
    text = f"NCCL sends data between the hosts by TCP ({_transport(result) or 'no network named'}), not by RDMA"
    environment = result.get("environment") or {}
    if not result["fabric"]["active"]:
        mend = "Bring the ports up: ibstat, dmesg, and on InfiniBand the subnet manager. " + _ACCEPT_TCP
    elif not result["fabric"]["user_devices"]:
        mend = "/dev/infiniband has no uverbs devices: load ib_uverbs and the adapter's RDMA driver (mlx5_ib)."
    elif _turned_off(result):
        mend = "NCCL_IB_DISABLE or NCCL_NET=Socket is set for this host: take it out of llmserve_environment."
    elif result["network"]["no_infiniband_device"] and environment.get("NCCL_IB_HCA"):
        mend = f"NCCL found no adapter: NCCL_IB_HCA={environment['NCCL_IB_HCA']} may name none of them."
    elif result["network"]["no_infiniband_device"]:
        mend = "NCCL found no adapter in the container: see ray_node_infiniband, and that the image has libibverbs."
    else:
        mend = "NCCL's warnings, warnings_of_nccl of the check, may say why. " + _ACCEPT_TCP
    return _problem(result["host"], "transport", f"{text}; the host has {active}.", mend)


def _speed_problems(results: Sequence[Result], speed: float, least: float) -> list[Problem]:
    if speed >= least:
        return []
    text = f"The all-reduce reaches {speed:g} GB/s of bus bandwidth, wanted are {least:g} (nccl_check_min_gb_s)."
    mend = "Look at the link rates (ibstat), GPUDirect RDMA, PCIe ACS, and whether something else uses the network."
    return [_problem(results[0]["host"], "speed", text, mend)]


def _degraded(results: Sequence[Result]) -> list[Problem]:
    """What works, and slower than it could."""
    mend = (
        "Load nvidia_peermem on the host, or use the open kernel modules with DMA-BUF; PCIe ACS may be in the way, too."
    )
    return [
        _problem(result["host"], "gpudirect", "NCCL uses InfiniBand without GPUDirect RDMA, through host memory.", mend)
        for result in results
        if result["backend"] == "nccl"
        and result["network"]["name"].startswith("IB")
        and result["network"]["gpudirect"] is False
    ]


# --- the report --------------------------------------------------------------------------------------------------


def _text(results: Sequence[Result], speed: float) -> str:
    first = results[0]
    gpus = sum(result["gpus"] for result in results)
    size = f"{len(results)} nodes" + (f", {gpus} GPUs" if gpus else "")
    return f"all-reduce over {size}: {_over(first)}, {speed:.1f} GB/s"


def _over(result: Result) -> str:
    network = result["network"]
    if result["backend"] != "nccl":
        return f"gloo over {result['gloo_interface'] or 'TCP'}"
    if network["name"].startswith("IB"):
        layers = {device.rpartition("/")[2] for device in network["devices"]}
        kind = "RoCE" if layers and not any(layer.upper().startswith("IB") for layer in layers) else "InfiniBand"
        ports = len(network["devices"])
        count = f" ({ports} port{'' if ports == 1 else 's'})" if ports else ""
        return f"NCCL over {kind}{count}{' with GPUDirect RDMA' if network['gpudirect'] else ''}"
    if network["name"] == "Socket":
        return f"NCCL over TCP ({', '.join(network['devices']) or network['interface']})"
    return f"NCCL over {network['name']}"
