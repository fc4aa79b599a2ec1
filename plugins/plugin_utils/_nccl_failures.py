# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The problems behind the failures that M(llmserve.vllm.nccl_check) reports from all hosts.

This plugin util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible_collections.llmserve.vllm.plugins.plugin_utils._nccl_causes import NAMED, NOT_STARTED

Failure = Mapping[str, Any]
Result = Mapping[str, Any]
Problem = dict[str, str]
# What a host says when others have brought it down, or when it knows no reason, the more telling ones first: only
# shown when nobody has a better one.
_ECHOES = ("not_there", "exception", "timeout", "limit", "rank", "head_lost", "stopped")
# What keeps the others from joining, so that their own words do not count.
_FIRST = ("not_started", "torch", "cuda", "port")
# Connections fail by the dozen when one process has died of something else.
_FOLLOWERS = ("connection", "system_error", "lost")
_STATES = {
    "timeout": "no answer within 3 s, as behind a firewall that drops packets",
    "refused": "refused, as by a firewall that rejects, or by a host where nothing listens",
}


def problems(results: Sequence[Result]) -> list[Problem]:
    """What has gone wrong, without what is only a consequence of it."""
    told: list[tuple[str, Problem]] = []
    for result in results:
        for failure in result["failures"]:
            new = [(failure["kind"], problem) for problem in _explain(failure, result, results)]
            told += [item for item in new if item not in told]
    causes = [item for item in told if item[0] not in _ECHOES]
    for wanted in (
        [item for item in causes if item[0] in _FIRST],
        [item for item in causes if item[0] not in _FOLLOWERS],
        _with_exceptions_elsewhere(causes, told),
        *([item for item in told if item[0] == echo] for echo in _ECHOES),
    ):
        if wanted:
            return [problem for _kind, problem in wanted]
    silent = [result["host"] for result in results if not result["ok"]]
    return [
        _problem(host, "lost", "The check ended without a result.", "See the end of its log below.") for host in silent
    ]


def _with_exceptions_elsewhere(causes: list[tuple[str, Problem]], told: list[tuple[str, Problem]]) -> list[Any]:
    """Broken connections may be the others' doing: then what they say belongs to it."""
    hosts = {problem["host"] for _kind, problem in causes}
    return [*causes, *(item for item in told if causes and item[0] == "exception" and item[1]["host"] not in hosts)]


def _explain(failure: Failure, result: Result, results: Sequence[Result]) -> list[Problem]:
    kind, host = failure["kind"], result["host"]
    if kind in NAMED:
        cause = NAMED[kind]
        words = {"evidence": failure["evidence"].rstrip("."), "interfaces": _interfaces_note(result)}
        return [_problem(host, kind, cause.problem.format(**words), cause.mend.format(**words))]
    explain = _EXPLANATIONS.get(kind)
    if explain is None:
        text = str(failure.get("detail") or kind).rstrip(".")
        return [_problem(host, kind, f"The check broke: {text}.", "See the end of its log below.")]
    return explain(failure, result, results)


def _problem(host: str, kind: str, problem: str, mend: str) -> Problem:
    return {"host": host, "check": f"nccl_{kind}", "problem": problem, "mend": mend}


def _not_started(failure: Failure, result: Result, _results: Sequence[Result]) -> list[Problem]:
    text = f"The container of the check did not start: {failure['detail'].rstrip('.')}."
    return [_problem(result["host"], "not_started", text, NOT_STARTED[failure["cause"]])]


def _torch(failure: Failure, result: Result, _results: Sequence[Result]) -> list[Problem]:
    text = f"The image has no PyTorch that loads: {failure['detail'].rstrip('.')}."
    return [_problem(result["host"], "torch", text, "Serve with an image that has vLLM in its python3.")]


def _cuda(failure: Failure, result: Result, _results: Sequence[Result]) -> list[Problem]:
    text = f"PyTorch in the container cannot use the GPUs: {failure['detail'].rstrip('.')}."
    mend = (
        "Compare nvidia-smi on the host with the image's CUDA (CUDA 13 needs driver 580 or newer, or"
        " VLLM_ENABLE_CUDA_COMPATIBILITY=1 in llmserve_environment), and on hosts with NVSwitch see that"
        " nvidia-fabricmanager runs."
    )
    return [_problem(result["host"], "cuda", text, mend)]


def _port(failure: Failure, result: Result, _results: Sequence[Result]) -> list[Problem]:
    where = f"{failure['address']}:{failure['port']}"
    text = f"The meeting place of the check cannot listen at {where}: {failure['detail']}."
    mend = f"See who has the port, ss -ltnp 'sport = :{failure['port']}', or set nccl_check_port to another one."
    return [_problem(result["host"], "port", text, mend)]


def _no_way(failure: Failure, result: Result, results: Sequence[Result]) -> list[Problem]:
    head = results[0]["host"]
    where = f"{failure['address']}:{failure['port']}"
    state = _STATES.get(failure["detail"], failure["detail"])
    text = f"This host gets no connection to {head} at {where}: {state}."
    mend = (
        f"Open all TCP ports between the cluster addresses on {head} and on {result['host']}: nft list ruleset,"
        " iptables -S, and the security groups of a cloud."
    )
    return [_problem(result["host"], "no_way_to_head", text, mend)]


def _not_there(failure: Failure, _result: Result, _results: Sequence[Result]) -> list[Problem]:
    mend = "See docker ps and dmesg on that host; on a slow or busy one raise nccl_check_join_timeout."
    words = {
        "joining": "This host never joined the others in time",
        "opening": "This host stopped answering before it was reached",
        "reaching": "This host did not say in time whom it reaches",
        "measured": "This host did not come to an end",
    }
    text = words.get(failure["phase"], "This host stopped answering")
    return [_problem(host, "not_there", f"{text}.", mend) for host in failure["hosts"]]


def _closed(failure: Failure, _result: Result, results: Sequence[Result]) -> list[Problem]:
    """Connections that did not come about, told by the host that most of them have in common."""
    hosts = [result["host"] for result in results]
    left = list(failure["ways"])
    found = []
    for host in hosts:
        for address in dict.fromkeys(way["address"] for way in left if way["to"] == host):
            into = [way for way in left if way["to"] == host and way["address"] == address]
            if len(into) == len(hosts) - 1:
                text = f"No other host gets a connection to this one at {_place(into[0])}: {_state(into[0])}."
                found.append(_problem(host, "closed", text, _open_mend(into[0])))
                left = [way for way in left if way not in into]
    for host in hosts:
        out = [way for way in left if way["from"] == host]
        if out:
            names = ", ".join(dict.fromkeys(way["to"] for way in out))
            text = f"This host gets no connection to {names} at {_place(out[0])}: {_state(out[0])}."
            found.append(_problem(host, "closed", text, _open_mend(out[0])))
    return found


def _place(way: Mapping[str, Any]) -> str:
    if way["user"] == "cluster":
        return "a random port"
    return f"{way['interface'] or 'the address'} ({way['address']}), which {way['user']} takes there"


def _state(way: Mapping[str, Any]) -> str:
    return _STATES.get(way["state"], way["state"])


def _open_mend(way: Mapping[str, Any]) -> str:
    if way["user"] == "cluster":
        return "Open all TCP ports between the cluster addresses there: NCCL, gloo and vLLM take random ones."
    variable = "GLOO_SOCKET_IFNAME" if way["user"] == "gloo" else "NCCL_SOCKET_IFNAME"
    return (
        f"Set {variable} for that host, in host_vars with llmserve_environment, to the interface that has"
        " llmserve_node_ip; without it, its own host name has to stand for that address in /etc/hosts."
    )


def _different(failure: Failure, _result: Result, _results: Sequence[Result]) -> list[Problem]:
    """Hosts that differ from most others in a version or in what they compute with."""
    values = failure["values"]
    common = max(values.values(), key=list(values.values()).count)
    names = {"nccl": "NCCL", "torch": "PyTorch", "backend": "backend"}
    what = names[failure["what"]]
    mend = "Give all hosts the same image, by digest: llmserve_image."
    if failure["what"] == "backend":
        mend += " With gloo, the image's PyTorch is one for CPUs."
    return [
        _problem(host, failure["kind"], f"This host has {what} {value or 'none'}, most others have {common}.", mend)
        for host, value in values.items()
        if value != common
    ]


def _interface(failure: Failure, result: Result, _results: Sequence[Result]) -> list[Problem]:
    variable = failure["variable"]
    present = ", ".join(f"{name} ({result['interfaces'].get(name) or 'no IPv4'})" for name in failure["present"])
    text = f"{variable}={failure['value']} names no network interface of this host, which has {present}."
    mend = (
        f"Set {variable} for this host, in host_vars with llmserve_environment, to the interface that has"
        " llmserve_node_ip, or leave it out."
    )
    return [_problem(result["host"], "interface", text, mend)]


def _wrong_result(failure: Failure, result: Result, _results: Sequence[Result]) -> list[Problem]:
    text = f"The all-reduce ran and computed {failure['detail']}: data is damaged on the way."
    mend = (
        "Peer-to-peer copies between GPUs or adapters are at fault: turn off PCIe ACS and the IOMMU, or try"
        " NCCL_P2P_DISABLE=1 and NCCL_NET_GDR_LEVEL=LOC in llmserve_environment."
    )
    return [_problem(result["host"], "wrong_result", text, mend)]


def _exception(failure: Failure, result: Result, _results: Sequence[Result]) -> list[Problem]:
    text = " ".join(str(failure["detail"]).split())
    return [
        _problem(
            result["host"], "exception", f"Rank {failure['rank']} failed: {text[:400]}", "See the end of its log below."
        )
    ]


def _rank(_failure: Failure, result: Result, _results: Sequence[Result]) -> list[Problem]:
    mend = "See the end of its log below, and dmesg on this host."
    return [_problem(result["host"], "rank", "A process of the check ended without a word.", mend)]


def _killed(failure: Failure, result: Result, _results: Sequence[Result]) -> list[Problem]:
    text = f"A process of the check was killed by {failure['detail']}."
    return [_problem(result["host"], "killed", text, "See the end of its log below, and dmesg on this host.")]


def _address(failure: Failure, result: Result, _results: Sequence[Result]) -> list[Problem]:
    text = f"{failure['user']} would listen at {failure['address']}, which this host cannot: {failure['detail']}."
    return [_problem(result["host"], "address", text, _open_mend(failure))]


def _timeout(failure: Failure, _result: Result, results: Sequence[Result]) -> list[Problem]:
    hosts = failure.get("hosts") or []
    mend = (
        "Raise nccl_check_timeout; when that does not help, it hangs: look for a network that is up but leads"
        " nowhere: leave out ports with NCCL_IB_HCA, or try NCCL_IB_DISABLE=1 or NCCL_P2P_DISABLE=1 in"
        " llmserve_environment, one after the other."
    )
    if failure["phase"] == "connecting" and hosts:
        text = (
            "The processes of this host have joined and are still without a connection to the others at the time limit"
        )
        by_name = {result["host"]: result for result in results}
        return [_problem(host, "timeout", text + _interfaces_note(by_name.get(host, {})) + ".", mend) for host in hosts]
    return [_problem(results[0]["host"], "timeout", "The all-reduce was not over at the time limit.", mend)]


def _limit(failure: Failure, result: Result, _results: Sequence[Result]) -> list[Problem]:
    text = f"The container had to be stopped at the time limit, while {failure['phase'] or 'starting'}."
    return [
        _problem(result["host"], "limit", text, "Raise nccl_check_timeout on slow hosts; see the end of its log below.")
    ]


def _lost(failure: Failure, result: Result, _results: Sequence[Result]) -> list[Problem]:
    text = f"The container of the check ended without a result: {failure['detail']}."
    return [_problem(result["host"], "lost", text, "See the end of its log below, and dmesg on this host.")]


def _head_lost(failure: Failure, result: Result, results: Sequence[Result]) -> list[Problem]:
    text = f"This host lost the connection to {results[0]['host']}: {failure['detail'].rstrip('.')[:200]}."
    return [_problem(result["host"], "head_lost", text, f"See dmesg and docker ps on {results[0]['host']}.")]


def _stopped(failure: Failure, result: Result, _results: Sequence[Result]) -> list[Problem]:
    text = f"This host stopped because {failure['other']} failed."
    return [_problem(result["host"], "stopped", text, f"See docker logs and dmesg on {failure['other']}.")]


def _interfaces_note(result: Result) -> str:
    """The interfaces that are used, with their addresses."""
    network, found = result.get("network") or {}, result.get("interfaces") or {}
    used = [network.get("interface") or "", result.get("gloo_interface") or ""]
    named = [f"{name} ({found.get(name) or 'no IPv4'})" for name in dict.fromkeys(used) if name]
    return f"; here {', '.join(named)}" if named else ""


_EXPLANATIONS: dict[str, Callable[[Failure, Result, Sequence[Result]], list[Problem]]] = {
    "not_started": _not_started,
    "torch": _torch,
    "cuda": _cuda,
    "port": _port,
    "no_way_to_head": _no_way,
    "not_there": _not_there,
    "closed": _closed,
    "backends": _different,
    "versions": _different,
    "interface": _interface,
    "rank": _rank,
    "killed": _killed,
    "address": _address,
    "timeout": _timeout,
    "limit": _limit,
    "lost": _lost,
    "head_lost": _head_lost,
    "stopped": _stopped,
    "exception": _exception,
    "wrong_result": _wrong_result,
}
