# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Change without fear: what was asked for is swapped in, what fails is undone, and nobody's answer is lost unseen.

The tests build on each other, in this order.
"""

from __future__ import annotations

import base64
import json
import os
import re
import signal
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from typing import Any

import pytest

from tests.e2e.conftest import INVENTORY, ROOT, Operator, Run
from tests.e2e.test_2_serving import MODEL, URL, tokens, wait_until_answers
from tests.e2e.test_6_model_supply import CACHE, hub_answers, wait_until

pytestmark = pytest.mark.long
IMAGE = "vllm/vllm-openai:v0.32.0"
BROKEN = f"{IMAGE}-broken"
REVISION = "v2"
# The engine wants a longer context than the model has positions, which no parser of arguments can know.
TOO_LONG = {"llmserve_engine_args": {"max_model_len": 999999}}
SHORT = {"llmserve_engine_args": {"max_model_len": 512}}
STARTED = "docker inspect -f '{{.State.StartedAt}} {{.Id}}' "


def state_of(sandbox: Operator, container: str, host: str = "node1") -> str:
    """When a container was started, and which one it is."""
    return sandbox.on(host, STARTED + container)


def lock(sandbox: Operator, name: str = "lock") -> dict[str, Any]:
    found: dict[str, Any] = json.loads(sandbox.on("node1", f"cat /etc/llmserve/{name}.json"))
    return found


def journal(sandbox: Operator) -> dict[str, Any]:
    text = sandbox.on("node1", "cat /etc/llmserve/upgrade.json 2>/dev/null || echo '{}'")
    found: dict[str, Any] = json.loads(text)
    return found


def served_length(key: str) -> int:
    question = urllib.request.Request(f"{URL}/v1/models", headers={"Authorization": f"Bearer {key}"})
    with urllib.request.urlopen(question, timeout=30) as answer:
        return int(json.load(answer)["data"][0]["max_model_len"])


class Stream(threading.Thread):
    """A long streamed answer, and whether it came to its end."""

    def __init__(self, key: str, count: int = 400) -> None:
        super().__init__(daemon=True)
        body = {"model": MODEL, "prompt": "once upon a time", "max_tokens": count, "ignore_eos": True, "stream": True}
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        self.question = urllib.request.Request(f"{URL}/v1/completions", json.dumps(body).encode(), headers)
        self.whole = False
        self.begun = threading.Event()

    def run(self) -> None:
        try:
            with urllib.request.urlopen(self.question, timeout=300) as answer:
                for line in answer:
                    self.begun.set()
                    self.whole = self.whole or line.strip() == b"data: [DONE]"
        except (OSError, ValueError) as error:
            print(f"the stream ended: {error}")
        finally:
            self.begun.set()


def begin(sandbox: Operator, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        ["ansible-playbook", "playbooks/upgrade.yml", "-i", INVENTORY, *arguments],
        cwd=ROOT,
        env=sandbox.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def read_until(play: subprocess.Popen[str], words: str) -> str:
    """What it says until it says this, or ends."""
    assert play.stdout
    said = ""
    for line in play.stdout:
        said += line
        if words in line:
            break
    return said


def assert_rolled_back(sandbox: Operator, key: str, run: Run, *words: str, arguments: Sequence[str] = ()) -> None:
    """It failed, says why, and what was verified serves as it did."""
    assert run.rc != 0
    for text in ("upgrade failed: what was verified before serves again", "No service for", *words):
        assert text in run.text, run.output
    assert tokens("hello", key)[0]
    assert journal(sandbox)["phase"] == "rolled_back"
    status = sandbox.playbook("status", *arguments).ok().text
    assert "was rolled back: " in status
    # and it is what the lock file says, to the last argument
    assert "nothing differs" in status


@pytest.fixture(scope="module")
def served(sandbox: Operator) -> Run:
    return sandbox.playbook("serve").ok()


@pytest.fixture(scope="module")
def key(sandbox: Operator, served: Run) -> str:
    return sandbox.on("node1", "cat /etc/llmserve/api_key")


def test_nothing_to_change_is_said_and_nothing_is_touched(sandbox: Operator, key: str) -> None:
    before = state_of(sandbox, "llmserve-vllm")
    run = sandbox.playbook("upgrade").ok()
    assert "nothing to change" in run.text, run.output
    assert run.changed == 0
    assert state_of(sandbox, "llmserve-vllm") == before
    # the lock file keeps all that another run of this release needs
    assert {"plan", "environments", "llmserve_port"} <= set(lock(sandbox)["deployment"]["request"])


def test_check_mode_shows_what_would_change_and_no_more(sandbox: Operator, key: str) -> None:
    before = state_of(sandbox, "llmserve-vllm")
    run = sandbox.playbook("upgrade", "--check", "-e", json.dumps(SHORT)).ok()
    assert "argument max_model_len: 1024 -> 512" in run.text, run.output
    assert "the engine alone" in run.text
    assert run.changed == 0
    assert (state_of(sandbox, "llmserve-vllm"), served_length(key)) == (before, 1024)
    assert journal(sandbox) == {}


def test_what_does_not_pass_the_preparation_touches_nothing(sandbox: Operator, key: str) -> None:
    before = state_of(sandbox, "llmserve-vllm")
    for wrong in ({"llmserve_engine_args": {"max_modle_len": 1024}}, {"llmserve_image": "vllm/vllm-openai:v0.0.1"}):
        run = sandbox.playbook("upgrade", "-e", json.dumps(wrong))
        assert run.rc != 0, wrong
        assert "PLAY [Swap" not in run.output, run.output
    assert state_of(sandbox, "llmserve-vllm") == before
    assert journal(sandbox) == {}


def test_a_flag_restarts_the_engine_and_not_ray_and_an_answer_under_way_is_finished(
    sandbox: Operator, key: str
) -> None:
    ray = {
        host: state_of(sandbox, f"llmserve-ray-{part}", host) for host, part in (("node1", "head"), ("node2", "worker"))
    }
    engine = state_of(sandbox, "llmserve-vllm")
    play = begin(sandbox, "-e", json.dumps(SHORT))
    said = read_until(play, "PLAY [Swap, prove it, or go back]")
    streams = [Stream(key) for _number in range(3)]
    for stream in streams:
        stream.start()
    for stream in streams:
        assert stream.begun.wait(60)
    rest, _none = play.communicate(timeout=600)
    run = Run(play.returncode, said + rest).ok()
    for stream in streams:
        stream.join(60)
    told = re.search(r"Requests (\d+) open when the drain began, .*?(\d+) cut", run.text.rpartition("upgrade done")[2])
    assert told, run.output
    # whoever did not get a whole answer was counted
    assert sum(not stream.whole for stream in streams) == int(told.group(2)) == 0, run.output
    assert served_length(key) == 512
    assert state_of(sandbox, "llmserve-vllm") != engine
    for host, part in (("node1", "head"), ("node2", "worker")):
        assert state_of(sandbox, f"llmserve-ray-{part}", host) == ray[host]
    assert lock(sandbox)["deployment"]["engine_args"]["max_model_len"] == "512"
    assert lock(sandbox, "lock.previous")["deployment"]["engine_args"]["max_model_len"] == "1024"


def test_requests_that_get_no_time_are_counted(sandbox: Operator, key: str) -> None:
    play = begin(
        sandbox, "-e", "llmserve_drain_seconds=0", "-e", json.dumps({"llmserve_engine_args": {"max_model_len": 768}})
    )
    said = read_until(play, "TASK [Swap | Put down that requests end]")
    stream = Stream(key)
    stream.start()
    assert stream.begun.wait(60)
    rest, _none = play.communicate(timeout=600)
    run = Run(play.returncode, said + rest).ok()
    stream.join(60)
    told = re.search(r"(\d+) cut", run.text.rpartition("upgrade done")[2])
    assert told, run.output
    assert int(told.group(1)) == int(not stream.whole)


def test_back_by_hand_and_there_again(sandbox: Operator, key: str) -> None:
    checked = sandbox.playbook("rollback", "--check").ok()
    assert checked.changed == 0
    assert "argument max_model_len: 768 -> 512" in checked.text, checked.output
    now, before = lock(sandbox), lock(sandbox, "lock.previous")
    sandbox.playbook("rollback").ok()
    assert served_length(key) == 512
    assert lock(sandbox)["deployment"] == before["deployment"]
    assert lock(sandbox, "lock.previous")["deployment"] == now["deployment"]
    sandbox.playbook("rollback").ok()
    assert served_length(key) == 768
    sandbox.playbook("upgrade").ok()
    assert served_length(key) == 1024


def test_a_flag_that_the_engine_refuses_is_undone(sandbox: Operator, key: str) -> None:
    kept = sandbox.on("node1", "cat /etc/llmserve/lock.json")
    run = sandbox.playbook("upgrade", "-e", json.dumps(TOO_LONG))
    assert_rolled_back(sandbox, key, run, "999999")
    assert served_length(key) == 1024
    assert sandbox.on("node1", "cat /etc/llmserve/lock.json") == kept
    # what the roles make of the inventory is what serves: going back was no detour
    assert sandbox.playbook("serve").ok().changed <= 1
    sandbox.playbook("serve").unchanged()


def test_an_image_whose_vllm_does_not_start_is_undone(sandbox: Operator, key: str) -> None:
    script = r"#!/bin/sh\necho RuntimeError: broken on purpose >&2\nexit 1\n"
    dockerfile = f"FROM {IMAGE}\nRUN printf '{script}' > $(command -v vllm)\n"
    packed = base64.b64encode(dockerfile.encode()).decode()
    sandbox.on("node1", f"echo {packed} | base64 -d | docker build -t {BROKEN} -", timeout=300)
    # Built once: a tag that means another image on each host is refused before anything is changed.
    node = f"{sandbox.hostvars('node1').get('sandbox_name', 'llmserve-sandbox')}-node"
    pipe = f"docker exec {node}1 docker save {BROKEN} | docker exec -i {node}2 docker load"
    sandbox.command("sh", "-c", pipe).ok()
    try:
        run = sandbox.playbook("upgrade", "-e", f"llmserve_image={BROKEN}")
        assert_rolled_back(sandbox, key, run, f"{IMAGE} -> {BROKEN}")
        assert sandbox.on("node1", "docker inspect -f '{{.Config.Image}}' llmserve-vllm") == IMAGE
    finally:
        for host in ("node1", "node2"):
            sandbox.on(host, f"docker rmi -f {BROKEN}")


def test_another_revision_of_the_model_and_back(sandbox: Operator, key: str) -> None:
    hub = f"{sandbox.hostvars('node1').get('sandbox_name', 'llmserve-sandbox')}-hub"
    copy = f"cp -r /models/{MODEL} /models/{MODEL}@{REVISION} && echo >> /models/{MODEL}@{REVISION}/config.json"
    sandbox.command("docker", "exec", hub, "sh", "-c", copy).ok()
    sandbox.command("docker", "restart", "--time", "1", hub).ok()
    wait_until(hub_answers)
    old = lock(sandbox)["deployment"]["model"]["commit"]
    run = sandbox.playbook("upgrade", "-e", f"llmserve_model_revision={REVISION}").ok()
    new = lock(sandbox)["deployment"]["model"]["commit"]
    assert new != old
    assert f"commit of the model: {old} -> {new}" in run.text, run.output
    assert new in sandbox.on("node1", "docker inspect -f '{{json .Args}}' llmserve-vllm")
    # nobody leads to the old one any more but the lock file, and that is enough
    folder = f"{CACHE}/models--{MODEL.replace('/', '--')}"
    for host in ("node1", "node2"):
        sandbox.on(host, f"rm {folder}/refs/main")
    sandbox.playbook("prune", "-e", "hf_model_prune_yes=true", "-e", f"llmserve_model_revision={REVISION}").ok()
    for host in ("node1", "node2"):
        assert sandbox.on(host, f"ls -d {folder}/snapshots/{old}")
    assert sandbox.playbook("rollback").ok().rc == 0
    assert lock(sandbox)["deployment"]["model"]["commit"] == old
    assert tokens("hello", key)[0]


def test_a_snapshot_that_is_gone_is_fetched_again_before_anything_is_touched(sandbox: Operator, key: str) -> None:
    gone = lock(sandbox, "lock.previous")["deployment"]["model"]["path"]
    for host in ("node1", "node2"):
        sandbox.on(host, f"rm -rf {gone}")
    sandbox.playbook("rollback").ok()
    assert lock(sandbox)["deployment"]["model"]["path"] == gone
    sandbox.playbook("rollback").ok()


def test_without_anything_before_there_is_no_way_back(sandbox: Operator, key: str) -> None:
    before = state_of(sandbox, "llmserve-vllm")
    sandbox.on("node1", "mv /etc/llmserve/lock.previous.json /etc/llmserve/lock.away.json")
    try:
        run = sandbox.playbook("rollback")
        assert run.rc != 0
        assert "lock.previous.json is not there" in run.text, run.output
    finally:
        sandbox.on("node1", "mv /etc/llmserve/lock.away.json /etc/llmserve/lock.previous.json")
    assert state_of(sandbox, "llmserve-vllm") == before


@pytest.mark.parametrize("mend", ["upgrade", "rollback", "serve"])
def test_a_controller_that_was_killed_leaves_what_the_next_run_goes_on_from(
    sandbox: Operator, key: str, mend: str
) -> None:
    play = begin(sandbox, "-e", json.dumps(SHORT))
    read_until(play, "TASK [Bring up | Engine and API]")
    time.sleep(5)
    os.killpg(play.pid, signal.SIGKILL)
    play.communicate()
    assert journal(sandbox)["phase"] == "swap"
    # what holds the canary back is still there
    assert "is under way (swap), or was broken off" in sandbox.playbook("status").ok().text
    sandbox.playbook(mend).ok()
    assert served_length(key) == 1024
    assert journal(sandbox).get("phase", "done") == "done"
    assert "nothing differs" in sandbox.playbook("status").ok().text
    wait_until_answers(key)


def test_without_ray_it_is_the_same(sandbox: Operator, key: str) -> None:
    executor = {"llmserve_executor": "mp"}
    run = sandbox.playbook("upgrade", "-e", json.dumps(executor)).ok()
    assert "executor: ray -> mp" in run.text, run.output
    assert sandbox.on("node2", "docker ps --format '{{.Names}}'") == "llmserve-vllm-headless"
    failed = sandbox.playbook("upgrade", "-e", json.dumps({**executor, **TOO_LONG}))
    assert_rolled_back(sandbox, key, failed, "999999")
    assert sandbox.on("node2", "docker ps --format '{{.Names}}'") == "llmserve-vllm-headless"
    # by hand back to Ray
    sandbox.playbook("rollback").ok()
    assert sandbox.on("node2", "docker ps --format '{{.Names}}'") == "llmserve-ray-worker"
    assert sandbox.playbook("serve").ok().changed <= 1
    sandbox.playbook("serve").unchanged()


def test_stop_lets_answers_end(sandbox: Operator, key: str) -> None:
    stream = Stream(key)
    stream.start()
    assert stream.begun.wait(60)
    sandbox.playbook("stop").ok()
    stream.join(60)
    assert stream.whole
    with pytest.raises(urllib.error.URLError):
        served_length(key)
