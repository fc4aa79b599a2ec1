# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Serving that lasts: what the doctor and status say, what is kept of it, and what the canary does.

The tests build on each other, in this order.
"""

from __future__ import annotations

import json
import re
import tarfile
import time
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Operator, Run
from tests.e2e.test_2_serving import MODEL, tokens, wait_until_answers

# An impatient canary, so that a test does not wait for minutes.
pytestmark = pytest.mark.long
CANARY = {
    "canary_interval": 5,
    "canary_deadline": 5,
    "canary_failures": 2,
    "canary_stop_seconds": 5,
    "canary_ray_seconds": 60,
}
STOP_ENGINE = "pkill -STOP -f 'Engine[C]ore'"


def shown(run: Run) -> dict[str, Any]:
    """The JSON that a playbook has shown."""
    begin = run.output.index("\n{\n")
    found: dict[str, Any] = json.loads(run.output[begin : run.output.index("\n}\n", begin) + 3])
    return found


def doctor(sandbox: Operator, *arguments: str) -> list[tuple[str, list[str]]]:
    """The problems found, with their hosts; the kernel of this machine is everybody's."""
    run = sandbox.playbook("doctor", "-e", "doctor_format=json", *arguments).ok()
    assert run.changed == 0
    findings = [item for item in shown(run)["findings"] if not item["log"].endswith(" kernel")]
    return [(item["cause"], item["hosts"]) for item in findings if item["severity"] == "error"]


def canary(sandbox: Operator) -> dict[str, Any]:
    state: dict[str, Any] = json.loads(sandbox.on("node1", "cat /var/lib/llmserve/canary.json"))
    return state


def wait_for_verdict(sandbox: Operator, verdict: str, seconds: float = 90) -> dict[str, Any]:
    deadline = time.monotonic() + seconds
    while True:
        state = canary(sandbox)
        if state["verdict"] == verdict:
            return state
        assert time.monotonic() < deadline, state
        time.sleep(2)


@pytest.fixture(scope="module")
def served(sandbox: Operator) -> Run:
    return sandbox.playbook("serve_405b", "-e", json.dumps(CANARY)).ok()


@pytest.fixture(scope="module")
def key(sandbox: Operator, served: Run) -> str:
    return sandbox.on("node1", "cat /etc/llmserve/api_key")


def test_nothing_is_wrong_and_every_host_has_a_line(sandbox: Operator, served: Run) -> None:
    assert doctor(sandbox) == []
    run = sandbox.playbook("doctor").ok()
    lines = run.output.partition("Doctor: ")[2].partition("\nok: ")[0].splitlines()
    assert max(map(len, lines)) <= 80, run.output
    assert re.search(r"node1 +1 x H100.*llmserve-ray-head up .*llmserve-vllm up", run.text), run.output
    assert re.search(r"node2 +1 x H100.*llmserve-ray-worker up", run.text), run.output


def test_check_mode_says_the_same(sandbox: Operator, served: Run) -> None:
    checked = sandbox.playbook("doctor", "--check", "-e", "doctor_format=json", "-e", "doctor_fail=false").ok()
    assert checked.changed == 0
    assert [host["name"] for host in shown(checked)["hosts"]] == ["node1", "node2"]


def test_status_for_people_and_for_programs(sandbox: Operator, served: Run, tmp_path: Path) -> None:
    file = tmp_path / "status.json"
    run = sandbox.playbook("status", "-e", f"status_report_file={file}", "-e", "status_fail=true").ok()
    assert run.changed == 0
    screen = run.output.partition("llmserve: serving")[2].partition("\nok: ")[0]
    assert max(map(len, screen.splitlines()[1:])) <= 80, run.output
    for words in ("Requests", "KV cache", "Ray 2 nodes, 2 GPUs", "nothing differs"):
        assert words in run.text, run.output
    found = json.loads(file.read_text())
    assert (found["serving"], found["healthy"]) == (True, True)
    assert found["model"]["repo"] == MODEL
    assert re.fullmatch(r"[0-9a-f]{40}", found["model"]["commit"])
    assert {"requests_running", "requests_waiting", "kv_cache_used"} <= set(found["requests"])
    assert shown(sandbox.playbook("status", "-e", "status_format=json").ok())["lock"]["differences"] == []


def test_the_lock_file_is_kept_and_a_second_run_leaves_it_alone(sandbox: Operator, served: Run) -> None:
    before = sandbox.on("node1", "cat /etc/llmserve/lock.json")
    lock = json.loads(before)
    deployment = lock["deployment"]
    assert deployment["model"]["repo"] == MODEL
    assert deployment["engine_args"]["max_model_len"] == "1024"
    assert {"vllm", "ray", "torch", "driver"} <= set(deployment["versions"])
    assert set(deployment["nodes"]) == {"10.89.77.11", "10.89.77.12"}
    assert deployment["request"]["llmserve_model"] == MODEL
    assert lock["measured"]["ttft_seconds"] > 0
    assert sandbox.on("node1", "stat -c %a-%U /etc/llmserve/lock.json") == "644-root"
    run = sandbox.playbook("serve_405b", "-e", json.dumps(CANARY)).ok()
    assert run.changed == 0
    assert sandbox.on("node1", "cat /etc/llmserve/lock.json") == before


def test_another_deployment_keeps_the_one_before(sandbox: Operator, served: Run) -> None:
    before = json.loads(sandbox.on("node1", "cat /etc/llmserve/lock.json"))
    other = {**CANARY, "llmserve_engine_args": {"max_model_len": 512}}
    assert sandbox.playbook("serve_405b", "-e", json.dumps(other)).ok().changed > 0
    assert json.loads(sandbox.on("node1", "cat /etc/llmserve/lock.previous.json")) == before
    after = json.loads(sandbox.on("node1", "cat /etc/llmserve/lock.json"))
    assert after["deployment"]["engine_args"]["max_model_len"] == "512"
    # what runs is not what the lock file says: somebody has put the old one back
    sandbox.on("node1", "cp /etc/llmserve/lock.previous.json /etc/llmserve/lock.json")
    assert "argument max_model_len: 512, was 1024" in sandbox.playbook("status").ok().text
    sandbox.playbook("serve_405b", "-e", json.dumps(CANARY)).ok()


def test_the_bundle_holds_everything_but_secrets(sandbox: Operator, key: str, tmp_path: Path) -> None:
    path = tmp_path / "report.tar.gz"
    sandbox.playbook("doctor", "--check", "-e", f"doctor_bundle={path}").ok()
    assert not path.exists()
    # a secret where nobody should have written it: in the log of the engine
    main = sandbox.on("node1", "docker inspect -f '{{.State.Pid}}' llmserve-vllm")
    sandbox.on("node1", f"echo key $(cat /etc/llmserve/api_key) > /proc/{main}/fd/1")
    assert key in sandbox.on("node1", "docker logs --tail 100 llmserve-vllm 2>&1")
    sandbox.playbook("doctor", "-e", f"doctor_bundle={path}").unchanged()
    assert path.stat().st_mode & 0o777 == 0o600
    with tarfile.open(path) as archive:
        texts = {}
        for member in archive.getmembers():
            file = archive.extractfile(member)
            assert file
            texts[member.name.partition("/")[2]] = file.read().decode()
    assert {"report.txt", "node1/facts.json", "node2/facts.json", "node1/llmserve-vllm.log"} <= set(texts)
    assert "key <redacted>" in texts["node1/llmserve-vllm.log"]
    ray_token = sandbox.on("node1", "cat /etc/llmserve/ray_token")
    for name, text in texts.items():
        assert key not in text, name
        assert ray_token not in text, name
        assert not re.search(r"hf_[A-Za-z]{16,}", text), name


def test_a_stopped_worker_is_named_and_nothing_fails_unless_wanted(sandbox: Operator, served: Run) -> None:
    sandbox.on("node2", "docker stop -t 5 llmserve-ray-worker")
    try:
        assert ("container_stopped", ["node2"]) in doctor(sandbox)
        assert sandbox.playbook("doctor", "-e", "doctor_fail=true").rc != 0
    finally:
        sandbox.on("node2", "docker start llmserve-ray-worker")


def test_a_host_that_is_not_reached_is_one_line_of_many(sandbox: Operator, served: Run, tmp_path: Path) -> None:
    more = tmp_path / "closed.yml"
    more.write_text("all: {hosts: {node2: {ansible_port: 1}}}\n")
    assert ("host_unreachable", ["node2"]) in doctor(sandbox, "-i", str(more))


def test_a_cluster_that_is_not_there_is_a_warning(sandbox: Operator, served: Run) -> None:
    run = sandbox.playbook("doctor", "-e", "llmserve_cluster=nobody").ok()
    assert "nothing_deployed on all 2 hosts, a warning" in run.text or "nothing_deployed on all hosts" in run.text


def test_the_canary_has_its_answers(sandbox: Operator, key: str) -> None:
    wait_until_answers(key)
    state = wait_for_verdict(sandbox, "ok")
    assert state["failures_in_a_row"] == 0
    assert "Canary ok" in sandbox.playbook("status").ok().text


def test_an_engine_that_hangs_is_told_and_restarted(sandbox: Operator, key: str) -> None:
    acted = canary(sandbox)["counts"].get("acted", 0)
    hold = json.dumps({"by": "a test", "until": time.time() + 600})
    sandbox.on("node1", f"true; echo '{hold}' > /run/llmserve-deployment.json; {STOP_ENGINE}")
    try:
        # while somebody deploys it is looked at, and left alone
        wait_for_verdict(sandbox, "held")
        assert ("engine_hangs", ["node1"]) in doctor(sandbox, "-e", "doctor_answer_timeout=5")
        assert canary(sandbox)["counts"].get("acted", 0) == acted
    finally:
        sandbox.on("node1", "rm /run/llmserve-deployment.json")
    print(f"answers again after {wait_until_answers(key):.0f} s")
    state = wait_for_verdict(sandbox, "ok")
    assert state["counts"]["acted"] > acted
    assert "failures in a row" in state["actions"][-1]["reason"]
    assert tokens("hello", key)[0]


def test_what_was_stopped_stays_stopped_and_purge_takes_the_canary_along(sandbox: Operator, served: Run) -> None:
    sandbox.playbook("stop").ok()
    wait_for_verdict(sandbox, "stopped")
    time.sleep(20)
    assert sandbox.on("node1", "docker inspect -f '{{.State.Status}}' llmserve-vllm") == "exited"
    sandbox.playbook("stop", "-e", "purge=true").ok()
    assert sandbox.on("node1", "ls /etc/systemd/system/llmserve-canary.* 2>/dev/null; true") == ""
