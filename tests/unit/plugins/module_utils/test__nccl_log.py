# SPDX-License-Identifier: GPL-3.0-or-later
"""What is read from the container's log. The logs are written by hand, see fixtures/nccl/README.md."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.llmserve.vllm.plugins.module_utils import _nccl_log
from ansible_collections.llmserve.vllm.plugins.module_utils._nccl_program import MARK

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures/nccl"


def log(name: str) -> str:
    return (FIXTURES / f"{name}.txt").read_text()


def event(event: str, **facts: Any) -> str:
    return "\n" + MARK + json.dumps({**facts, "event": event}) + "\n"


def test_infiniband_with_gpudirect() -> None:
    facts = _nccl_log.read(log("ib_gdr"))
    assert facts["ok"]
    assert facts["network"] == {
        "name": "IB",
        "devices": ["mlx5_0:1/IB", "mlx5_1:1/IB"],
        "interface": "ens3",
        "gpudirect": True,
        "channels": 2,
        "no_infiniband_device": False,
        "nccl": "2.28.9",
    }
    assert (facts["gpus"], facts["backend"], facts["gloo_interface"]) == (2, "nccl", "ens3")
    assert [size["bus_gb_s"] for size in facts["sizes"]] == [125.8, 372.8]


def test_tcp_instead_of_infiniband() -> None:
    network = _nccl_log.read(log("socket_fallback"))["network"]
    assert (network["name"], network["devices"], network["gpudirect"]) == ("Socket", ["eth0", "eth1"], False)
    assert network["no_infiniband_device"]


def test_gloo_has_no_network_of_nccl() -> None:
    facts = _nccl_log.read(log("gloo_two_hosts"))
    assert facts["ok"]
    assert (facts["network"]["name"], facts["network"]["gpudirect"], facts["gloo_interface"]) == ("", None, "eth0")


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("Channel 00/0 : 0[0] -> 8[0] [send] via NET/AWS Libfabric/0/GDRDMA", "AWS Libfabric"),
        ("Channel 00/0 : 0[0] -> 8[0] [send] via NET/IBext_v8/3/GDRDMA/Shared", "IBext_v8"),
        ("Channel 00/0 : 0[0] -> 4[0] via P2P/MNNVL", "MNNVL"),
        ("Channel 00/0 : 0[1b000] -> 8[1b000] [send] via NET/FastSocket/0", "FastSocket"),
    ],
)
def test_other_networks(line: str, name: str) -> None:
    network = _nccl_log.network(f"h:1:2 [0] NCCL INFO {line}\n")
    assert network["name"] == name
    assert _nccl_log.is_rdma(name) is (name != "FastSocket")


@pytest.mark.parametrize(
    ("cause", "line"),
    [
        ("memlock", "Call to ibv_reg_mr_iova2 failed with error Cannot allocate memory errno 12"),
        ("memlock", "Call to ibv_create_cq failed with error Cannot allocate memory"),
        ("infiniband_permission", "Call to ibv_open_device failed"),
        (
            "gid",
            "Call to ibv_modify_qp failed with 22 Invalid argument, on dev mlx5_0:1, curr state INIT, next state RTR",
        ),
        ("gid", "Call to ibv_modify_qp failed with error Connection timed out"),
        ("fabric_path", "NET/IB: Got completion from peer 10.0.0.2<4791> with status=12 opcode=0 len=0 vendor err 129"),
        (
            "fabric_path",
            "NET/IB: Got completion from peer 10.0.0.2<4791> with status=IBV_WC_RETRY_EXC_ERR(12) opcode=x",
        ),
        ("acs", "NET/IB: Got completion from peer 10.0.0.2<4791> with status=IBV_WC_LOC_PROT_ERR(4) opcode=x"),
        ("nccl_versions", "Mismatched NCCL version detected : rank 0 version 22809 rank 1 version 22703"),
        ("interface_unusable", "Bootstrap : no socket interface found"),
        ("duplicate_gpu", "Duplicate GPU detected : rank 0 and rank 1 both on CUDA device 18000"),
        ("fabric_manager", "Cuda failure 'system not yet initialized'"),
        ("driver", "Cuda failure 'CUDA driver version is insufficient for CUDA runtime version'"),
        ("gpu_memory", "Cuda failure 'out of memory'"),
        (
            "shared_memory",
            "Error while creating shared memory segment /dev/shm/nccl-x (size 9637888), error: No space left",
        ),
        (
            "connection",
            "socketPollConnect: connect to 10.0.0.2<4791> returned Connection refused, exceeded error retry",
        ),
    ],
)
def test_known_complaints(cause: str, line: str) -> None:
    text = f"\n[2026-11-21 10:00:00] h:71:120 [0] misc/x.cc:42 NCCL WARN {line}\n" + event(
        "failed", kind="rank", detail=""
    )
    found = _nccl_log.signature(text)
    assert found == {"cause": cause, "evidence": line}
    assert [failure["kind"] for failure in _nccl_log.read(text)["failures"]] == ["rank", cause]


def test_what_an_exception_says_counts_too() -> None:
    detail = "NCCL error in: NCCLUtils.hpp:77, unhandled system error\nLast error:\nCuda failure 'out of memory'"
    facts = _nccl_log.read(event("rank_failed", host="a", rank=0, kind="exception", detail=detail))
    assert [failure["kind"] for failure in facts["failures"]] == ["exception", "gpu_memory"]


def test_a_complaint_that_did_no_harm_is_no_failure() -> None:
    text = "h:1:2 [0] misc/x.cc:42 NCCL WARN Call to ibv_reg_mr failed with error Cannot allocate memory\n" + event(
        "done"
    )
    facts = _nccl_log.read(text)
    assert facts["ok"]
    assert facts["warnings"] == ["Call to ibv_reg_mr failed with error Cannot allocate memory"]


def test_a_line_cut_off_is_no_event() -> None:
    assert _nccl_log.events(event("phase", phase="joining") + MARK + '{"event": "do') == [
        {"phase": "joining", "event": "phase"}
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "starting the container"),
        (event("phase", phase="joining", missing=["a", "b"]), "waiting for a, b"),
        (event("phase", phase="connecting", missing=list("abcdefg")), "the processes of a, b, c, d and 3 more connect"),
        (event("size", bytes=2**23, seconds=1, bus_gb_s=12.34, world=2), "all-reduce of 8 MiB: 12.3 GB/s"),
    ],
)
def test_progress(text: str, words: str) -> None:
    assert _nccl_log.progress(_nccl_log.read(text)) == words
