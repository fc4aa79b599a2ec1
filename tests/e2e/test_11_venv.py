# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Without Docker: vLLM and Ray as systemd units in a virtual environment, with the same answers, and back.

The tests build on each other, in this order.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

from tests.e2e.conftest import HUB, INVENTORY, Operator, Run
from tests.e2e.test_2_serving import PROMPTS, tokens, wait_until_answers
from tests.e2e.test_10_upgrade import (
    SHORT,
    TOO_LONG,
    Stream,
    assert_rolled_back,
    begin,
    lock,
    read_until,
    served_length,
)

pytestmark = pytest.mark.long
OURS = "docker ps -a --filter label=llmserve.cluster=llmserve --format '{{.Names}}' | sort | xargs"
UNITS = "cd /etc/systemd/system && grep -l '^Cluster=llmserve$' llmserve-*.service 2>/dev/null | sort | xargs"
MP_UNITS = {"node1": "llmserve-vllm.service", "node2": "llmserve-vllm-headless.service"}
RAY_UNITS = {"node1": "llmserve-ray-head.service llmserve-vllm.service", "node2": "llmserve-ray-worker.service"}
ON_RAY = {"node1": "llmserve-ray-head llmserve-vllm", "node2": "llmserve-ray-worker"}
NOTHING = {"node1": "", "node2": ""}
# A rank that was lost is noticed by the request after it, after so many seconds.
MP = ("-e", "llmserve_executor=mp", "-e", "vllm_serve_execute_timeout=20")
WHEELS = "/srv/wheels"


def on_both(sandbox: Operator, script: str) -> dict[str, str]:
    return {host: sandbox.on(host, script) for host in ("node1", "node2")}


def answers(key: str) -> list[tuple[str, list[str]]]:
    return [tokens(prompt, key) for prompt in PROMPTS]


@pytest.fixture(scope="module")
def venv(sandbox: Operator, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """The arguments that make it this runtime, with the packages of the engine's image."""
    folder = tmp_path_factory.mktemp("wheels")
    script = str(Path(__file__).parents[1] / "sandbox" / "venv_wheels.py")
    sandbox.command(sys.executable, script, f"--index={HUB}/simple", f"--output={folder}").ok()
    copy = f"src={folder}/wheels/ dest={WHEELS}/ mode=0644 directory_mode=0755"
    sandbox.command("ansible", "llm_nodes", "-i", INVENTORY, "-m", "ansible.builtin.copy", "-a", copy).ok()
    more = {
        "llmserve_runtime": "venv",
        "llmserve_vllm_version": "0.32.0",
        # as the engine's image has it: the sandbox's cores are few
        "llmserve_environment": {"VLLM_CPU_OMP_THREADS_BIND": "nobind"},
        "vllm_venv_lock": str(folder / "lock.txt"),
        "vllm_venv_index_url": "http://hub.sandbox:8080/simple",
        "vllm_venv_find_links": WHEELS,
        # the sandbox has no compiler, and nothing that needs one
        "vllm_venv_packages": ["python3-venv"],
    }
    return ("-e", json.dumps(more))


@pytest.fixture(scope="module")
def by_docker(sandbox: Operator) -> list[tuple[str, list[str]]]:
    """What containers answer."""
    sandbox.playbook("serve").ok()
    return answers(sandbox.on("node1", "cat /etc/llmserve/api_key"))


@pytest.fixture(scope="module")
def key(sandbox: Operator, by_docker: object) -> str:
    return sandbox.on("node1", "cat /etc/llmserve/api_key")


def test_what_cannot_work_is_refused_before_anything_changes(
    sandbox: Operator, venv: tuple[str, ...], key: str
) -> None:
    run = sandbox.playbook("serve", *venv, "-e", "vllm_venv_lock=/nowhere/lock.txt")
    assert run.rc != 0
    assert "vllm_venv_lock names /nowhere/lock.txt" in run.text
    assert run.changed == 0
    assert on_both(sandbox, OURS) == ON_RAY
    assert tokens("hello", key)[0]


@pytest.fixture(scope="module")
def on_mp(sandbox: Operator, venv: tuple[str, ...], key: str) -> Run:
    return sandbox.playbook("serve", *venv, *MP, timeout=1800).ok()


def test_two_ranks_in_units_answer_as_containers_did(
    sandbox: Operator, on_mp: Run, key: str, by_docker: list[tuple[str, list[str]]]
) -> None:
    assert on_both(sandbox, UNITS) == MP_UNITS
    assert on_both(sandbox, OURS) == NOTHING
    assert sandbox.on("node1", "cat /etc/llmserve/api_key") == key
    assert answers(key) == by_docker


def test_a_second_run_changes_nothing(sandbox: Operator, venv: tuple[str, ...], on_mp: Run) -> None:
    sandbox.playbook("serve", *venv, *MP).unchanged()
    sandbox.playbook("serve", "--check", "--diff", *venv, *MP).unchanged()


def test_status_and_doctor_know_units(sandbox: Operator, venv: tuple[str, ...], on_mp: Run) -> None:
    status = sandbox.playbook("status", *venv, *MP).ok()
    assert "llmserve-vllm-headless up" in status.text
    assert "vllm-0.32.0-py311-" in status.text
    doctor = sandbox.playbook("doctor", *venv, *MP, "-e", "doctor_fail=true")
    assert doctor.rc == 0, doctor.output


def test_the_canary_asks_and_sees_the_unit(sandbox: Operator, on_mp: Run) -> None:
    sandbox.on("node1", "systemctl start llmserve-canary.service")
    assert json.loads(sandbox.on("node1", "true; cat /var/lib/llmserve/canary.json"))["verdict"] == "ok"
    sandbox.on("node1", "systemctl stop llmserve-vllm.service")
    sandbox.on("node1", "systemctl start llmserve-canary.service")
    assert json.loads(sandbox.on("node1", "true; cat /var/lib/llmserve/canary.json"))["verdict"] == "stopped"


def test_a_rank_that_was_stopped_brings_all_of_them_anew(
    sandbox: Operator, venv: tuple[str, ...], on_mp: Run, key: str
) -> None:
    assert sandbox.playbook("serve", *venv, *MP).ok().changed > 0
    assert tokens("hello", key)[0]


def test_a_wrong_flag_ends_the_wait_with_its_cause(sandbox: Operator, venv: tuple[str, ...], on_mp: Run) -> None:
    broken = json.dumps({"vllm_serve_env": {"PYTHONHOME": "/nowhere"}})
    run = sandbox.playbook("serve", *venv, *MP, "-e", broken)
    assert run.rc != 0
    assert "unit llmserve-vllm" in run.text
    state = "systemctl is-active llmserve-vllm.service llmserve-vllm-headless.service || true"
    assert all("\nactive" not in "\n" + found for found in on_both(sandbox, state).values())
    sandbox.playbook("serve", *venv, *MP).ok()


def test_it_comes_back_after_a_reboot(sandbox: Operator, venv: tuple[str, ...], key: str) -> None:
    sandbox.command("docker", "restart", "llmserve-sandbox-node2").ok()
    print(f"answers again after {wait_until_answers(key, 600):.0f} s")
    sandbox.playbook("serve", *venv, *MP).unchanged()


def test_ray_in_units(
    sandbox: Operator, venv: tuple[str, ...], key: str, by_docker: list[tuple[str, list[str]]]
) -> None:
    run = sandbox.playbook("serve", *venv, timeout=1800).ok()
    assert "2 nodes, 2 GPUs" in run.text
    assert on_both(sandbox, UNITS) == RAY_UNITS
    assert on_both(sandbox, OURS) == NOTHING
    assert answers(key) == by_docker
    sandbox.playbook("serve", *venv).unchanged()
    status = sandbox.playbook("status", *venv, "-e", "status_fail=true")
    assert status.rc == 0, status.output


def test_no_secret_where_others_can_read(sandbox: Operator, key: str) -> None:
    token = sandbox.on("node1", "cat /etc/llmserve/ray_token")
    for secret in (key, token):
        seen = sandbox.on(
            "node1", f"grep -rl {secret} /etc/systemd/system /etc/llmserve /run/systemd/transient | xargs"
        )
        assert seen in ("/etc/llmserve/api_key", "/etc/llmserve/ray_token")
        assert secret not in sandbox.on("node1", "systemctl --no-pager show 'llmserve-*'; ps axww -o args")
        assert secret not in sandbox.on("node1", "journalctl --no-pager --unit 'llmserve-*'")
    assert (
        sandbox.on("node1", "stat -c %a-%U /etc/llmserve/vllm.env /etc/llmserve/ray_head.env | xargs")
        == "600-root 600-root"
    )


def started(sandbox: Operator) -> dict[str, str]:
    """When each part of Ray was started."""
    return on_both(sandbox, "systemctl --no-pager show -P ExecMainStartTimestampMonotonic 'llmserve-ray-*.service'")


def in_use(sandbox: Operator) -> dict[str, str]:
    """The environment of each host, as the link says."""
    return on_both(sandbox, "basename $(readlink /var/lib/llmserve/venv/current)")


def test_another_runtime_is_not_for_upgrade(sandbox: Operator, key: str) -> None:
    for playbook in ("upgrade", "rollback"):
        run = sandbox.playbook(playbook)
        assert run.rc != 0
        assert "What was verified runs with llmserve_runtime: venv, and the inventory has docker." in run.text, (
            run.output
        )
        assert run.changed == 0
    assert tokens("hello", key)[0]


def test_nothing_to_upgrade_is_said(sandbox: Operator, venv: tuple[str, ...], key: str) -> None:
    run = sandbox.playbook("upgrade", *venv)
    run.unchanged()
    assert "nothing to change" in run.text, run.output


def test_a_flag_restarts_the_engine_and_not_ray_and_an_answer_under_way_is_finished(
    sandbox: Operator, venv: tuple[str, ...], key: str
) -> None:
    ray = started(sandbox)
    play = begin(sandbox, *venv, "-e", json.dumps(SHORT))
    said = read_until(play, "PLAY [Swap, prove it, or go back]")
    stream = Stream(key)
    stream.start()
    assert stream.begun.wait(60)
    rest, _none = play.communicate(timeout=900)
    run = Run(play.returncode, said + rest).ok()
    stream.join(60)
    assert stream.whole, run.output
    assert re.search(r"Requests 1 open when the drain began, .*, 0 cut", run.text), run.output
    assert (served_length(key), started(sandbox)) == (512, ray)


def test_a_flag_that_the_engine_refuses_is_undone(sandbox: Operator, venv: tuple[str, ...], key: str) -> None:
    run = sandbox.playbook("upgrade", *venv, "-e", json.dumps(TOO_LONG), timeout=900)
    assert_rolled_back(sandbox, key, run, "999999", arguments=venv)
    assert served_length(key) == 512


def test_another_environment_and_back(sandbox: Operator, venv: tuple[str, ...], key: str, tmp_path: Path) -> None:
    old = in_use(sandbox)
    ray = started(sandbox)
    # the same packages by another lock file, which makes another environment of them
    more = json.loads(venv[1])
    other = tmp_path / "lock.txt"
    other.write_text(Path(more["vllm_venv_lock"]).read_text() + "# another one\n")
    changed = ("-e", json.dumps({**more, **SHORT, "vllm_venv_lock": str(other)}))
    run = sandbox.playbook("upgrade", *changed, timeout=1800).ok()
    new = in_use(sandbox)
    assert new["node1"] != old["node1"]
    assert f"image: {old['node1']} -> {new['node1']}" in run.text.replace("-\n", "-"), run.output
    assert lock(sandbox)["deployment"]["image"]["name"] == new["node1"]
    assert new["node1"] in sandbox.on("node2", "cat /etc/systemd/system/llmserve-ray-worker.service")
    assert all(now != ray[host] for host, now in started(sandbox).items())
    assert tokens("hello", key)[0]
    sandbox.playbook("rollback", *changed, timeout=900).ok()
    assert in_use(sandbox) == old
    assert lock(sandbox)["deployment"]["image"]["name"] == old["node1"]
    assert tokens("hello", key)[0]
    # the way there again is refused when it is gone on one host
    sandbox.on("node2", f"rm -r /var/lib/llmserve/venv/{new['node1']}")
    run = sandbox.playbook("rollback", *changed)
    assert run.rc != 0
    assert "What serves was not touched" in run.text, run.output
    assert f"{new['node1']} is not on node2, or not complete" in run.text, run.output
    assert tokens("hello", key)[0]


def test_stop_lets_answers_end_and_the_next_run_starts_the_units(
    sandbox: Operator, venv: tuple[str, ...], key: str
) -> None:
    stream = Stream(key)
    stream.start()
    assert stream.begun.wait(60)
    sandbox.playbook("stop", *venv).ok()
    stream.join(60)
    assert stream.whole
    sandbox.playbook("stop", *venv).unchanged()
    assert sandbox.on("node1", "pgrep -u llmserve -c -f 'raylet|bin/vllm' || true") == "0"
    sandbox.playbook("serve", *venv).ok()
    assert tokens("hello", key)[0]


def test_back_to_containers(
    sandbox: Operator, venv: tuple[str, ...], key: str, by_docker: list[tuple[str, list[str]]]
) -> None:
    sandbox.playbook("serve").ok()
    assert on_both(sandbox, UNITS) == NOTHING
    assert on_both(sandbox, "ls /etc/systemd/system | grep llmserve- | grep -v -e canary -e revive | xargs") == NOTHING
    assert on_both(sandbox, OURS) == ON_RAY
    assert answers(key) == by_docker
    sandbox.playbook("serve").unchanged()


def test_a_broken_download_leaves_what_serves(sandbox: Operator, venv: tuple[str, ...], key: str) -> None:
    sandbox.on("node1", "rm -rf /var/lib/llmserve/venv")
    run = sandbox.playbook("serve", *venv, *MP, "-e", "vllm_venv_index_url=http://hub.sandbox:8080/nowhere")
    assert run.rc != 0
    assert "what served before is untouched" in run.text
    assert on_both(sandbox, OURS) == ON_RAY
    assert tokens("hello", key)[0]
    sandbox.playbook("stop", "-e", "purge=true").ok()
    sandbox.playbook("stop", *venv, "-e", "purge=true").ok()
    assert sandbox.on("node1", "ls -d /var/lib/llmserve/venv /var/lib/llmserve/home 2>/dev/null || true") == ""
