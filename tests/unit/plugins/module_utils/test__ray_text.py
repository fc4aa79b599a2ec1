# SPDX-License-Identifier: GPL-3.0-or-later
"""`ray status` of many versions, as recorded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.llmserve.vllm.plugins.module_utils._ray_text import classify_error, parse_status

FIXTURES = Path(__file__).parents[2] / "fixtures" / "ray_status"


def read(name: str) -> str:
    return (FIXTURES / f"{name}.txt").read_text()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "1cc_405b_2nodes",
            {"state": "ok", "alive_nodes": 2, "gpus_total": 16.0, "gpus_used": 16.0, "gpus_free": 0.0},
        ),
        (
            "2240_pg_reserved_unused",
            {"state": "ok", "alive_nodes": 2, "gpus_used": 0.0, "gpus_reserved": 16.0, "gpus_free": 0.0},
        ),
        (
            "2340_v1_pending_uninitialized",
            {"state": "ok", "active_nodes": 0, "pending_nodes": 3, "gpus_total": 0.0, "failures": []},
        ),
        ("2501_pending_infeasible_pg", {"state": "ok", "alive_nodes": 2, "gpus_free": 0.0, "constraints": []}),
        (
            "2600_v2_recent_failure_nodeterminated",
            {
                "state": "ok",
                "active_nodes": 2,
                "idle_nodes": 2,
                "alive_nodes": 4,
                "idle": {
                    "ray.worker.cpu": 1,
                    "node_fffffffffffffffffffffffffffffffffffffffffffffffffff00000": 1,
                },
            },
        ),
        ("293_two_nodes_verbose", {"state": "ok", "alive_nodes": 2, "gpus_total": 16.0, "gpus_free": 16.0}),
        ("293_no_status_yet", {"state": "no_status_yet", "active_nodes": None, "gpus_total": None, "error": None}),
        ("2430_err_gcs_dead_rpcerror", {"state": "error", "error_kind": "cluster_unreachable"}),
        ("2600_err_auth_wrong_token", {"state": "error", "error_kind": "auth_token_wrong"}),
        (
            "2600_err_version_mismatch_status",
            {
                "state": "error",
                "error_kind": "version_mismatch",
                "error": "RuntimeError: Ray version mismatch: cluster has Ray version 2.43.0 but local Ray version "
                "is 2.60.0",
            },
        ),
    ],
)
def test_recorded_outputs(name: str, expected: dict[str, Any]) -> None:
    found = parse_status(read(name))
    assert {key: found[key] for key in expected} == expected


def test_demands_and_failures_are_lines() -> None:
    found = parse_status(read("2501_pending_infeasible_pg"))
    assert len(found["demands"]) == 3
    assert found["demands"][1] == "{'GPU': 1.0} * 4 (PACK): 1+ pending placement groups"
    failures = parse_status(read("2600_v2_recent_failure_nodeterminated"))["failures"]
    assert failures == [
        "ray.worker.h100: NodeTerminated (instance_id: fffffffffffffffffffffffffffffffffffffffffffffffffff00003)"
    ]


def test_a_placement_group_that_is_used_in_part() -> None:
    text = read("1cc_405b_2nodes").replace(
        "16.0/16.0 GPU (16.0 used of 16.0 reserved", "3.0/8.0 GPU (2.0 used of 4.0 reserved"
    )
    found = parse_status(text)
    assert (found["gpus_total"], found["gpus_used"], found["gpus_reserved"], found["gpus_free"]) == (8.0, 3.0, 4.0, 3.0)


def test_noise_around_a_status_does_not_matter() -> None:
    text = read("1cc_405b_2nodes")
    noisy = (
        "root@head:/# ray status\r\nWarning: ConnectionError: something earlier\r\n"
        + "\r\n".join("    \x1b[1m" + line + "\x1b[0m" for line in text.splitlines())
        + "\r\nShared connection to 10.0.2.177 closed.\r\n"
    )
    assert parse_status(noisy) == parse_status(text)


def test_the_last_of_several_statuses_counts() -> None:
    after = parse_status(read("293_two_nodes_verbose") + "\n" + read("1cc_405b_2nodes"))
    assert after["gpus_used"] == 16.0
    assert after["timestamp"] == "2024-07-25 00:20:50.831620"


def test_verbose_failures_over_several_lines_are_one() -> None:
    text = read("2600_v2_recent_failure_nodeterminated").replace(
        " ray.worker.h100: NodeTerminated",
        " gpu: LaunchFailed (latest_attempt: 01:02:03) - no capacity\n in zone a\n ray.worker.h100: NodeTerminated",
    )
    failures = parse_status(text)["failures"]
    assert len(failures) == 2
    assert failures[0] == "gpu: LaunchFailed (latest_attempt: 01:02:03) - no capacity in zone a"


def test_a_demand_that_a_terminal_broke_is_one() -> None:
    text = read("2501_pending_infeasible_pg").replace("{'GPU': 1.0} * 4 (PACK): 1+", "{'GPU': 1.0} * 4 (PACK):\n 1+")
    assert parse_status(text)["demands"] == parse_status(read("2501_pending_infeasible_pg"))["demands"]


@pytest.mark.parametrize("cut", ["Resources", "Demands:"])
def test_an_excerpt_is_partial(cut: str) -> None:
    found = parse_status(read("1cc_405b_2nodes").split(cut)[0])
    assert found["state"] == "partial"
    assert found["alive_nodes"] == 2


def test_an_excerpt_without_nodes_does_not_claim_that_there_are_none() -> None:
    found = parse_status("Resources\n---------\nUsage:\n 0.0/8.0 GPU\n")
    assert (found["state"], found["alive_nodes"], found["gpus_total"]) == ("partial", None, 8.0)


def test_an_empty_cluster_is_complete() -> None:
    found = parse_status(
        "======== Autoscaler status: 2026-11-21 01:02:03 ========\nNode status\n-----\nActive:\n (no active nodes)\n"
        "Idle:\n (no idle nodes)\nPending:\n (no pending nodes)\nRecent failures:\n (no failures)\n\nResources\n-----\n"
        "Total Usage:\n\nFrom request_resources:\n (none)\nPending Demands:\n (no resource demands)\n"
    )
    assert (found["state"], found["alive_nodes"], found["gpus_total"]) == ("ok", 0, 0.0)


def test_units_apart_from_their_number() -> None:
    found = parse_status("Usage:\n 0.00/18.653 GiB memory\n 1.0/2.0 accelerator_type:H100\n")
    assert found["resources"]["memory"] == {"used": 0.0, "total": "18.653 GiB"}
    assert found["resources"]["accelerator_type:H100"]["free"] == 1.0


def test_an_autoscaler_that_failed_is_told() -> None:
    text = read("1cc_405b_2nodes") + "\nThe autoscaler failed with the following error:\nValueError: x\n"
    found = parse_status(text)
    assert (found["state"], found["error_kind"], found["alive_nodes"]) == ("ok", "autoscaler_failed", 2)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("", "unrecognized"),
        ("hello", "unrecognized"),
        ("bash: ray: command not found", "ray_missing"),
        ("ModuleNotFoundError: No module named 'ray'", "ray_missing"),
        ('exec failed: exec: "python3": executable file not found in $PATH: unknown', "ray_missing"),
        ("RuntimeError: Token authentication is enabled but no authentication token was found.", "auth_token_missing"),
        ("ConnectionError: Could not find any running Ray instance. Please specify", "no_ray_instance"),
        ("ConnectionError: Ray cluster at 10.0.0.1:6379 is not running", "no_ray_instance"),
        ("ValueError: surprise", "unknown"),
    ],
)
def test_other_failures(text: str, kind: str) -> None:
    found = parse_status(text)
    assert (found["state"], found["error_kind"]) == ("error", kind)


def test_the_logger_of_ray_is_left_out_of_the_line() -> None:
    line = "[2026-11-21 09:47:47,365 W 7481 7481] rpc_client.h:153: Failed to connect to GCS at address 10.0.0.1:6379."
    assert classify_error(line) == ("cluster_unreachable", "Failed to connect to GCS at address 10.0.0.1:6379.")
    assert classify_error("WARNING Python patch version mismatch: 3.12.1") == ("", "")
