# SPDX-License-Identifier: GPL-3.0-or-later
"""From a deployment that was verified to another one, and back."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.llmserve.vllm.plugins.filter.deployment_target import deployment_target
from ansible_collections.llmserve.vllm.plugins.filter.root_failure import root_failure
from ansible_collections.llmserve.vllm.plugins.filter.upgrade_changes import upgrade_changes
from ansible_collections.llmserve.vllm.plugins.filter.upgrade_outcome import upgrade_outcome
from ansible_collections.llmserve.vllm.plugins.filter.upgrade_preview import upgrade_preview
from ansible_collections.llmserve.vllm.plugins.plugin_utils._upgrade import request_of, target_of

OLD, NEW = "a" * 40, "b" * 40
ARGV = ["--served-model-name", "acme/tiny", "--port", "8000", "--max-model-len", "1024"]


def path(commit: str) -> str:
    return f"/hf/hub/models--acme--tiny/snapshots/{commit}"


def target(**changes: Any) -> dict[str, Any]:
    return {
        "model": "acme/tiny",
        "revision": "main",
        "commit": OLD,
        "path": path(OLD),
        "runtime": "docker",
        "base_image": "vllm/vllm-openai:v0.33.0",
        "base_digest": "sha256:feed",
        "image": "llmserve/vllm-openai:v0.33.0-ray2.56.1",
        "executor": "ray",
        "ray_version": "2.56.1",
        "vllm_version": "0.33.0",
        "engine_args": {"max_model_len": 1024},
        "port": 8000,
        "environments": {"node1": {"NCCL_DEBUG": "INFO", "HF_TOKEN": "hf_secret"}, "node2": {}},
        "networks": {"node1": {"NCCL_SOCKET_IFNAME": "eth1"}},
        "plan": {
            "engine_args": {"tensor_parallel_size": 1, "pipeline_parallel_size": 2},
            "nodes_used": 2,
            "gpus_used": 2,
            "tensor_parallel_size": 1,
            "pipeline_parallel_size": 2,
            "arithmetic": ["many", "lines"],
        },
        **changes,
    }


def deployment() -> dict[str, Any]:
    """As the lock file has it."""
    return {
        "image": {"name": "llmserve/vllm-openai:v0.33.0-ray2.56.1", "id": "sha256:1", "digest": ""},
        "model": {"path": path(OLD), "repo": "acme/tiny", "commit": OLD},
        "engine_args": {"served_model_name": "acme/tiny", "port": "8000", "max_model_len": "1024"},
        "versions": {"vllm": "0.33.0", "ray": "2.56.1", "driver": "580.95.05"},
        "request": request_of(target()),
    }


def words(*args: Any, **more: Any) -> list[str]:
    return [item["words"] for item in upgrade_changes(deployment(), *args, **more)]


def test_what_was_kept_starts_the_same_again() -> None:
    assert "hf_secret" not in str(deployment())
    assert "arithmetic" not in deployment()["request"]["plan"]
    found = deployment_target(deployment(), {"node1": {"HF_TOKEN": "hf_secret"}})
    wanted = target(environments={"node1": {"NCCL_DEBUG": "INFO", "HF_TOKEN": "hf_secret"}})
    del wanted["plan"]["arithmetic"]
    assert found == {**wanted, "digest": ""}
    # and keeping it once more changes nothing
    assert request_of(found) == deployment()["request"]


def test_a_secret_that_is_gone_is_named() -> None:
    with pytest.raises(AnsibleFilterError, match="HF_TOKEN of node1: put it back into llmserve_environment"):
        deployment_target(deployment())


def test_a_lock_file_of_an_older_release_is_refused_with_what_to_do() -> None:
    kept = deployment()
    del kept["request"]["plan"]
    with pytest.raises(AnsibleFilterError, match=r"Run playbooks/serve\.yml once"):
        deployment_target(kept)


def test_the_same_is_no_change() -> None:
    versions = {"vllm": "0.33.0", "ray": "2.56.1", "torch": ""}
    assert words(target(), argv=[path(OLD), *ARGV], versions=versions) == []
    assert words(target()) == []


def test_a_flag_is_one_and_leaves_ray_alone() -> None:
    found = upgrade_changes(deployment(), target(), argv=[path(OLD), *ARGV[:-1], "512", "--enforce-eager"])
    assert [item["words"] for item in found] == [
        "argument max_model_len: 1024 -> 512",
        "argument enforce_eager: none -> set",
    ]
    assert not any(item["of_ray"] for item in found)


def test_image_commit_executor_and_environment() -> None:
    wanted = target(
        image="llmserve/vllm-openai:v0.34.0-ray2.56.1",
        executor="mp",
        commit=NEW,
        path=path(NEW),
        environments={"node1": {"NCCL_DEBUG": "WARN", "HF_TOKEN": "hf_secret"}},
        networks={},
    )
    found = upgrade_changes(deployment(), wanted, argv=[path(NEW), *ARGV], versions={"vllm": "0.34.0", "ray": "2.56.1"})
    assert [item["words"] for item in found] == [
        "image: llmserve/vllm-openai:v0.33.0-ray2.56.1 -> llmserve/vllm-openai:v0.34.0-ray2.56.1",
        f"commit of the model: {OLD} -> {NEW}",
        "vLLM: 0.33.0 -> 0.34.0",
        "executor: ray -> mp",
        "environment node1.NCCL_DEBUG: INFO -> WARN",
        "network node1.NCCL_SOCKET_IFNAME: eth1 -> none",
    ]
    assert [item["of_ray"] for item in found] == [True, False, False, True, True, True]


def test_before_anything_is_there_what_is_asked_for_is_compared() -> None:
    wanted = target(base_image="vllm/vllm-openai:v0.34.0", engine_args={"max_model_len": 512}, revision="v2")
    assert words(wanted) == [
        "llmserve_model_revision: main -> v2",
        "llmserve_image: vllm/vllm-openai:v0.33.0 -> vllm/vllm-openai:v0.34.0",
        "llmserve_engine_args max_model_len: 1024 -> 512",
    ]


def test_two_that_were_verified() -> None:
    kept = deployment()
    kept["model"] = {"path": path(NEW), "repo": "acme/tiny", "commit": NEW}
    kept["versions"]["driver"] = "590.1"
    wanted = target(commit=NEW, path=path(NEW))
    # the driver is not what is put back
    assert words(wanted, kept=kept) == [f"commit of the model: {OLD} -> {NEW}"]


LOCK = {"time": "2026-11-21T09:00:00Z", "deployment": deployment()}
PREVIEW: dict[str, Any] = {
    "kind": "upgrade",
    "cluster": "prod",
    "changes": upgrade_changes(deployment(), target(), argv=[path(OLD), *ARGV[:-1], "512"]),
    "back": LOCK,
    "drain_seconds": 120,
    "figures": {"requests_running": 3.0, "requests_waiting": 1.0},
    "journal": {},
    "drift": [],
}


def test_what_is_about_to_change() -> None:
    assert (
        upgrade_preview(PREVIEW)
        == """\
Upgrade of prod: 1 change
================================================================================
Changes     argument max_model_len: 1024 -> 512
Restarts    the engine alone, where Ray runs as it should
Requests    3 running, 1 waiting now; they get 2 min 00 s to end
Fails to    llmserve/vllm-openai:v0.33.0-ray2.56.1, acme/tiny aaaaaaaaaaaa,
            verified 2026-11-21T09:00:00Z
================================================================================"""
    )


def test_nothing_to_change_is_said() -> None:
    screen = upgrade_preview({**PREVIEW, "changes": []})
    assert screen.startswith("Upgrade of prod: nothing to change\n")
    assert "Requests" not in screen


def test_what_was_broken_off_goes_on() -> None:
    journal = {"phase": "swap", "kind": "upgrade", "began": 1795255200, "changes": ["vLLM: 1 -> 2"]}
    screen = " ".join(upgrade_preview({**PREVIEW, "changes": [], "journal": journal, "drift": ["x: 1, was 2"]}).split())
    assert "Goes on upgrade of 2026-11-21 10:00 UTC (vLLM: 1 -> 2) was broken off (swap)" in screen
    assert "not what was verified; x: 1, was 2" in screen
    assert "Fails to" in screen


OUTCOME: dict[str, Any] = {
    "kind": "upgrade",
    "cluster": "prod",
    "result": "done",
    "changes": ["argument max_model_len: 1024 -> 512"],
    "failures": {"node1": "", "node2": ""},
    "back_failures": {},
    "serves": target(),
    "outage_seconds": 41.2,
    "requests": "3 open when the drain began, 3 finished in 4 s, 0 cut",
}


def test_how_it_ended() -> None:
    assert (
        upgrade_outcome(OUTCOME)
        == """\
prod: upgrade done: it serves
================================================================================
Changed     argument max_model_len: 1024 -> 512
Serves now  llmserve/vllm-openai:v0.33.0-ray2.56.1, acme/tiny aaaaaaaaaaaa,
            proven by the smoke test
No service  for 41 s
Requests    3 open when the drain began, 3 finished in 4 s, 0 cut
Go back     playbooks/rollback.yml
================================================================================"""
    )


def test_one_that_was_undone_says_why_and_what_serves() -> None:
    failures = {"node1": "Another host has failed, and all of them are needed.", "node2": "max_model_len is too large"}
    screen = " ".join(upgrade_outcome({**OUTCOME, "result": "rolled_back", "failures": failures}).split())
    assert "upgrade failed: what was verified before serves again" in screen
    assert "Failed node2: max_model_len is too large" in screen
    assert "Serves now llmserve/vllm-openai:v0.33.0-ray2.56.1" in screen
    assert "0 cut" in screen


def test_one_that_could_not_be_undone_hides_nothing() -> None:
    outcome = {**OUTCOME, "result": "failed", "serves": {}, "failures": {"node1": "a"}, "back_failures": {"node1": "b"}}
    screen = " ".join(upgrade_outcome({**outcome, "outage_seconds": None}).split())
    assert "NOTHING SERVES" in screen
    assert "Failed node1: a Going back node1: b" in screen
    assert "No service" not in screen


@pytest.mark.parametrize(
    ("failures", "root"),
    [
        ({"a": "", "b": "disk"}, "b: disk"),
        ({"a": "Another host has failed.", "b": "disk"}, "b: disk"),
        ({"a": "Another host has failed."}, "a: Another host has failed."),
        ({}, "for a reason that no host has told"),
    ],
)
def test_the_first_failure_counts(failures: dict[str, str], root: str) -> None:
    assert root_failure(failures) == root


def test_a_target_does_not_share_what_it_was_made_of() -> None:
    kept = deployment()
    before = copy.deepcopy(kept)
    target_of(kept, {"node1": {"HF_TOKEN": "x"}})["environments"]["node1"]["NCCL_DEBUG"] = "changed"
    assert kept == before


@pytest.mark.parametrize(
    "call",
    [
        lambda: deployment_target([]),
        lambda: upgrade_changes([], {}),
        lambda: upgrade_preview({}),
        lambda: upgrade_outcome({"result": "perhaps"}),
        lambda: root_failure("x"),
    ],
)
def test_what_makes_no_sense_is_refused(call: Any) -> None:
    with pytest.raises(AnsibleFilterError, match=r"llmserve\.vllm\."):
        call()


def in_venv(name: str = "vllm-0.33.0-py312-0f1e", **changes: Any) -> dict[str, Any]:
    return target(runtime="venv", base_image="", base_digest="", image=name, **changes)


def test_another_runtime_is_refused() -> None:
    assert deployment_target(deployment(), {"node1": {"HF_TOKEN": "x"}}, "docker")["runtime"] == "docker"
    with pytest.raises(AnsibleFilterError, match=r"llmserve_runtime: docker, and the inventory has venv.*serve\.yml"):
        deployment_target(deployment(), {"node1": {"HF_TOKEN": "x"}}, "venv")


def test_what_was_kept_before_there_were_two_runtimes_is_of_docker() -> None:
    kept = deployment()
    del kept["request"]["llmserve_runtime"]
    assert target_of(kept, {"node1": {"HF_TOKEN": "x"}}, "docker")["runtime"] == "docker"


def test_another_environment_restarts_ray_too_as_another_image_does() -> None:
    kept = {**deployment(), "image": {"name": "vllm-0.33.0-py312-0f1e"}, "request": request_of(in_venv())}
    assert upgrade_changes(kept, in_venv(), ARGV) == []
    found = upgrade_changes(kept, in_venv("vllm-0.34.0-py312-1111", vllm_version="0.34.0"), ARGV)
    assert [item["of_ray"] for item in found if item["name"] == "image"] == [True]
    # before the environment is there
    found = upgrade_changes(kept, in_venv("vllm-0.34.0-py312-1111", vllm_version="0.34.0"))
    assert [item["words"] for item in found] == ["llmserve_vllm_version: 0.33.0 -> 0.34.0"]
    assert found[0]["of_ray"]
