# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules slurm_info, slurm_job and slurm_ready with stand-ins for Slurm's commands."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.llmserve.vllm.tests.unit.plugins.fake_slurm import FakeSlurm
from ansible_collections.llmserve.vllm.tests.unit.plugins.modules.module_runner import run_module

MARK = "llmserve-0123456789ab"
OTHER = "llmserve-ba9876543210"
LOADING = (
    "llmserve: 10:00:00 starting\n"
    "Loading safetensors checkpoint shards:  45% Completed | 86/191 [09:40<12:41,  7.2s/it]\n"
)
OUT_OF_MEMORY = (
    "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 79.18 GiB"
)


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeSlurm:
    return FakeSlurm(tmp_path / "slurm", monkeypatch)


@pytest.fixture
def script(tmp_path: Path) -> str:
    path = tmp_path / "job.sh"
    path.write_text(f"#!/bin/bash\n#SBATCH --comment={MARK}\n")
    return str(path)


class Caller:
    """Runs the modules with what does not matter filled in."""

    def __init__(self, capsys: pytest.CaptureFixture[str], home: Path) -> None:
        self.capsys = capsys
        self.endpoint_file = home / "endpoint.json"

    def job(self, script: str, check: bool = False, **args: Any) -> dict[str, Any]:
        given = {"name": "llmserve", "script": script, "timeout": 1, **args}
        return run_module("slurm_job", self.capsys, _ansible_check_mode=check, **given)

    def ready(self, check: bool = False, **args: Any) -> dict[str, Any]:
        given = {"job_id": 42, "endpoint_file": str(self.endpoint_file), "timeout": 0.1, "interval": 0.02, **args}
        return run_module("slurm_ready", self.capsys, _ansible_check_mode=check, **given)

    def info(self, **args: Any) -> dict[str, Any]:
        return run_module("slurm_info", self.capsys, **args)


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Caller:
    return Caller(capsys, tmp_path)


def test_what_there_is_for_a_job_on_two_nodes(slurm: FakeSlurm, call: Caller) -> None:
    result = call.info(partition="gpu", nodes=2)
    assert (result["version"], result["offer"]["gpus_per_node"]) == ("22.05.8", 8)
    assert [len(node["gpus"]) for node in result["plan_nodes"]] == [8, 8]
    assert result["changed"] is False


def test_more_than_there_is_fails(slurm: FakeSlurm, call: Caller) -> None:
    result = call.info(partition="gpu", nodes=3, gpus_per_node=8)
    assert result["failed"]
    assert "3 node(s) with 8 GPUs each are asked for, and the partition gpu has 2" in result["msg"]
    assert slurm.calls("sbatch") == []


def test_jobs_are_told_in_words_and_those_of_others_left_out(slurm: FakeSlurm, call: Caller) -> None:
    slurm.jobs("PENDING", MARK, "QOSMaxGRESPerUser")
    call.endpoint_file.write_text(json.dumps({"job_id": 42, "url": "http://10.0.0.1:20160"}))
    result = call.info(jobs_only=True, job_name="llmserve", endpoint_file=str(call.endpoint_file))
    assert [(job["id"], job["live"]) for job in result["jobs"]] == [(42, True)]
    assert "your quota is full" in result["jobs"][0]["explained"]
    # a job that waits serves nothing, whatever an old file says
    assert result["endpoint"] == {}
    slurm.jobs("RUNNING", MARK)
    assert (
        call.info(jobs_only=True, job_name="llmserve", endpoint_file=str(call.endpoint_file))["endpoint"]["job_id"]
        == 42
    )


def test_a_host_without_slurm_is_said_to_be_one(call: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    result = call.info(partition="gpu")
    assert "name a login node in the inventory" in result["msg"]


def test_a_job_is_submitted_once(slurm: FakeSlurm, call: Caller, script: str) -> None:
    result = call.job(script)
    assert (result["changed"], result["job_id"]) == (True, 43)
    assert slurm.calls("sbatch") == [f"sbatch --test-only {script}", f"sbatch --parsable {script}"]
    for state in ("PENDING", "RUNNING"):
        slurm.jobs(state, MARK)
        again = call.job(script)
        assert (again["changed"], again["job_id"]) == (False, 42)
    assert len(slurm.calls("sbatch")) == 2


def test_check_mode_asks_slurm_and_submits_nothing(slurm: FakeSlurm, call: Caller, script: str) -> None:
    result = call.job(script, check=True)
    assert (result["changed"], result["job_id"]) == (True, 0)
    assert "to start at 2026-11-21T23:16:33" in result["expected"]
    assert not any("--parsable" in line for line in slurm.calls("sbatch"))
    assert call.job("/nowhere/job.sh", check=True)["changed"] is True


def test_what_slurm_refuses_is_not_submitted(slurm: FakeSlurm, call: Caller, script: str) -> None:
    slurm.tests("allocation failure: Invalid account or account/partition combination specified", 1)
    result = call.job(script)
    assert "Invalid account" in result["msg"] and "change slurm_serve_account" in result["msg"]
    assert not any("--parsable" in line for line in slurm.calls("sbatch"))


def test_a_job_may_wait_for_drained_nodes(slurm: FakeSlurm, call: Caller, script: str) -> None:
    # recorded with 22.05, which takes the job all the same
    slurm.tests("allocation failure: Requested node configuration is not available", 1)
    assert call.job(script)["job_id"] == 43


def test_another_script_replaces_a_job_only_when_told(slurm: FakeSlurm, call: Caller, script: str) -> None:
    slurm.jobs("RUNNING", OTHER)
    refused = call.job(script)
    assert "Job 42 of this deployment is running with another script" in refused["msg"]
    assert slurm.calls("scancel") == []
    assert call.job(script, check=True, replace=True)["cancelled"] == [42]
    assert slurm.calls("scancel") == []
    result = call.job(script, replace=True)
    assert (result["changed"], result["cancelled"], result["job_id"]) == (True, [42], 43)
    assert slurm.calls("scancel") == ["scancel 42"]


def test_absent_cancels_ours_and_removes_the_endpoint(slurm: FakeSlurm, call: Caller, script: str) -> None:
    slurm.jobs("RUNNING", MARK)
    call.endpoint_file.write_text("{}")
    args: dict[str, Any] = {"state": "absent", "endpoint_file": str(call.endpoint_file)}
    assert call.job(script, check=True, **args)["changed"] is True
    assert call.endpoint_file.exists()
    result = call.job(script, **args)
    assert (result["changed"], result["cancelled"]) == (True, [42])
    assert not call.endpoint_file.exists()
    assert call.job(script, **args)["changed"] is False


def test_a_job_that_does_not_end_is_a_failure(slurm: FakeSlurm, call: Caller, script: str) -> None:
    slurm.jobs("COMPLETING", MARK)
    (slurm.home / "bin" / "scancel").write_text("#!/bin/sh\n")
    result = call.job(script, state="absent")
    assert "Job 42 is still ending after 1 s" in result["msg"]


def test_the_place_in_line_and_the_reason(slurm: FakeSlurm, call: Caller) -> None:
    slurm.jobs("PENDING", MARK, "Priority")
    slurm.answer("queue", "40\n41\n42\n44\n")
    slurm.answer("start", "2026-11-22T08:00:00\n")
    result = call.ready(slice=0.01, timeout=60)
    assert (result["finished"], result["figures"]["stage"]) == (False, "queue")
    assert result["progress"] == (
        "job 42, number 3 of 4 in line: jobs with a higher priority are before it (Priority), starts "
        "2026-11-22 08:00:00 as Slurm expects"
    )


def test_what_never_starts_ends_the_wait(slurm: FakeSlurm, call: Caller) -> None:
    slurm.jobs("PENDING", MARK, "PartitionConfig")
    result = call.ready(timeout=60)
    assert (result["failed"], result["reason_kind"]) == (True, "never")
    assert "its partition never gives" in result["msg"]


def test_how_far_it_has_loaded(slurm: FakeSlurm, call: Caller, tmp_path: Path) -> None:
    log = tmp_path / "42.log"
    log.write_text(LOADING)
    slurm.jobs("RUNNING", MARK, log=str(log))
    result = call.ready(slice=0.01, timeout=60)
    assert result["progress"] == "loading weights: 86 of 191 shards (45 %), 12:41 left"
    log.write_text("llmserve: 10:00:00 Ray has 8 of 16 GPUs\n")
    assert call.ready(slice=0.01, timeout=60)["progress"] == "Ray has 8 of 16 GPUs"
    # the endpoint of a job before it is not its own
    call.endpoint_file.write_text(json.dumps({"job_id": 41}))
    assert call.ready(slice=0.01, timeout=60)["finished"] is False
    call.endpoint_file.write_text(json.dumps({"job_id": 42, "url": "http://10.0.0.1:20160"}))
    assert call.ready()["endpoint"]["url"] == "http://10.0.0.1:20160"


def test_a_job_that_failed_says_the_cause_in_its_log(slurm: FakeSlurm, call: Caller, tmp_path: Path) -> None:
    log = tmp_path / "42.log"
    log.write_text(f"{OUT_OF_MEMORY}\nllmserve: 10:00:00 FAILED: the step engine has ended with exit code 1.\n")
    slurm.jobs("FAILED", MARK, log=str(log))
    result = call.ready(timeout=60)
    assert (result["failed"], result["reason_kind"]) == (True, "ended")
    assert result["diagnosis"][0]["cause"].startswith("cuda_oom")
    for words in ("the step engine has ended with exit code 1.", "CUDA out of memory", str(log)):
        assert words in result["msg"]


def test_how_a_job_has_ended_is_known_when_its_nodes_are_free(slurm: FakeSlurm, call: Caller) -> None:
    """Until then scontrol says COMPLETING, whether it was cancelled, has failed, or has lost a node."""
    slurm.jobs("COMPLETING", MARK)
    result = call.ready(slice=0.01, timeout=60)
    assert (result["finished"], result["progress"]) == (False, "job 42 is ending")
    assert call.info(jobs_only=True, job_name="llmserve")["jobs"][0]["explained"] == "it is ending"
    slurm.jobs("CANCELLED", MARK)
    assert "job 42: it was cancelled" in call.ready(timeout=60)["msg"]


def test_a_lost_node_and_the_timeout_of_the_wait(slurm: FakeSlurm, call: Caller) -> None:
    slurm.jobs("NODE_FAIL", MARK)
    assert "a node of it was lost" in call.ready(timeout=60)["msg"]
    slurm.jobs("PENDING", MARK, "Resources")
    result = call.ready()
    assert result["reason_kind"] == "timeout"
    assert "The job goes on: run the playbook again" in result["msg"]
    assert not call.ready(check=True).get("failed")
