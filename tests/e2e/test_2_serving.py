# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From fresh hosts to an answered request, and what the endpoint has to survive afterwards.

The tests build on each other, in this order.
"""

from __future__ import annotations

import json
import re
import time
import urllib.error
import urllib.request
from typing import Any

import pytest

from tests.e2e.conftest import Operator, Run

URL = "http://10.89.77.11:8000"
MODEL = "sandbox/tiny-llama-instruct"
PROMPTS = ["The engine", "A cluster of machines", "San Francisco is a", "once upon a time", "1 2 3"]


def request(path: str, key: str, body: dict[str, Any] | None = None, url: str = URL, timeout: float = 60) -> Any:
    data = json.dumps(body).encode() if body is not None else None
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(url + path, data, headers), timeout=timeout) as answer:
        return json.load(answer)


def tokens(prompt: str, key: str, url: str = URL) -> tuple[str, list[str]]:
    body = {"model": MODEL, "prompt": prompt, "max_tokens": 48, "temperature": 0, "logprobs": 0, "ignore_eos": True}
    choice = request("/v1/completions", key, body, url)["choices"][0]
    return choice["text"], choice["logprobs"]["tokens"]


def wait_until_answers(key: str, seconds: float = 300) -> float:
    """Seconds until a real completion comes back."""
    begin = time.monotonic()
    while True:
        try:
            tokens("hello", key)
            return time.monotonic() - begin
        except (OSError, KeyError, ValueError) as error:
            if time.monotonic() - begin > seconds:
                raise AssertionError(f"no completion within {seconds} s: {error}") from error
            time.sleep(1)


@pytest.fixture(scope="module")
def served(sandbox: Operator) -> Run:
    return sandbox.playbook("serve_405b").ok()


@pytest.fixture(scope="module")
def key(sandbox: Operator, served: Run) -> str:
    return sandbox.on("node1", "cat /etc/llmserve/api_key")


def test_the_play_ends_with_endpoint_plan_answer_and_curl_line(served: Run) -> None:
    assert "tensor parallel 1 x pipeline parallel 2" in served.text
    assert f"{URL}/v1" in served.text
    assert "Answer" in served.text
    assert "curl -s" in served.text


def test_the_curl_line_works_as_pasted(sandbox: Operator, served: Run) -> None:
    line = next(line for line in served.output.splitlines() if "Try it" in line)
    run = sandbox.command("bash", "-c", line.partition("Try it")[2])
    assert json.loads(run.output)["choices"][0]["message"]["content"], run.output


def test_the_model_is_split_over_both_nodes(sandbox: Operator, key: str) -> None:
    for host in ("node1", "node2"):
        assert "RayWorkerProc" in sandbox.on(host, "ps axo args"), f"no rank on {host}"


def test_a_second_run_changes_nothing(sandbox: Operator, served: Run) -> None:
    sandbox.playbook("serve_405b").unchanged()


def test_the_plan_is_compared_with_what_vllm_logs(sandbox: Operator, served: Run) -> None:
    """The plan is for the H100 that is simulated, so it has to be far off what the CPU build has."""
    run = sandbox.playbook("serve_405b", "-e", "vllm_serve_compare_plan=true").ok()
    assert re.search(r"Memory +KV cache: planned [\d,]+ tokens, vLLM has 32,768 tokens \(-[\d.]+ %\)", run.output)
    assert "[WARNING]: The plan is off: KV cache" in run.text
    assert run.changed == 0


def test_check_mode_finds_nothing_to_do(sandbox: Operator, served: Run) -> None:
    run = sandbox.playbook("serve_405b", "--check", "--diff").ok()
    assert run.changed == 0
    assert "--- before" not in run.output


def test_status_shows_what_runs(sandbox: Operator, served: Run) -> None:
    run = sandbox.playbook("status").ok()
    for word in ("llmserve: serving", "llmserve-ray-head up", "llmserve-ray-worker up", "2 nodes", "yes, one token in"):
        assert word in run.text, run.output
    assert run.changed == 0


def test_two_stages_answer_token_for_token_like_one_process(sandbox: Operator, key: str) -> None:
    alone = "http://10.89.77.12:8100"
    snapshot = sandbox.on("node2", "ls -d /var/lib/llmserve/huggingface/hub/models--*/snapshots/*")
    sandbox.on(
        "node2",
        "docker run -d --name alone --gpus all --network host --ipc host -v /var/lib/llmserve:/var/lib/llmserve:ro"
        f" vllm/vllm-openai:v0.32.0 {snapshot} --served-model-name {MODEL} --max-model-len 1024 --port 8100",
    )
    try:
        deadline = time.monotonic() + 180
        while True:
            try:
                request("/v1/models", key, url=alone)
                break
            except OSError:
                assert time.monotonic() < deadline, sandbox.on("node2", "docker logs --tail 50 alone 2>&1")
                time.sleep(1)
        for prompt in PROMPTS:
            assert tokens(prompt, key) == tokens(prompt, key, alone)
    finally:
        sandbox.on("node2", "docker rm -f alone")


def test_the_decoys_of_the_repository_were_left_where_they_are(sandbox: Operator, served: Run) -> None:
    files = sandbox.on("node1", "cd /var/lib/llmserve/huggingface/hub/models--*/snapshots/* && find . -printf '%P\\n'")
    assert "model.safetensors.index.json" in files
    assert "consolidated" not in files
    owners = sandbox.on("node1", "find /var/lib/llmserve/huggingface -printf '%u\\n' | sort -u")
    assert owners == "llmserve"


def test_no_secret_shows(sandbox: Operator, served: Run, key: str) -> None:
    ray_token = sandbox.on("node1", "cat /etc/llmserve/ray_token")
    assert len(ray_token) == 64
    assert sandbox.on("node2", "cat /etc/llmserve/ray_token") == ray_token
    for host in ("node1", "node2"):
        shown = sandbox.on(
            host, "docker inspect $(docker ps -aq); ps axww -o args; docker ps -aq | xargs -n1 docker logs 2>&1"
        )
        # beside them lies what everybody may read, such as the lock file, and none of them is in there
        modes = sandbox.on(host, "find /etc/llmserve -name api_key -o -name ray_token | xargs stat -c %a-%U")
        shown += sandbox.on(host, "find /etc/llmserve -type f -perm /077 -exec cat {} +")
        for secret in (key, ray_token, "hf_sandbox"):
            assert secret not in shown.replace("hf_sandbox_stranger", "")
            assert secret not in served.output
        assert set(modes.split()) == {"600-root"}


def test_the_api_wants_its_key_and_ray_its_token(sandbox: Operator, key: str) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        request("/v1/models", "wrong")
    assert refused.value.code == 401
    stranger = sandbox.on(
        "node2",
        "docker exec -e RAY_AUTH_TOKEN_PATH=/dev/null llmserve-ray-worker"
        " ray status --address 10.89.77.11:6379 2>&1; true",
    )
    assert "Active:" not in stranger
    dashboard = sandbox.on("node1", "ss -Hltn 'sport = :8265' | awk '{print $4}'")
    assert dashboard == "127.0.0.1:8265"


def test_it_comes_back_after_the_reboot_of_a_worker(sandbox: Operator, key: str) -> None:
    sandbox.command("docker", "restart", "llmserve-sandbox-node2").ok()
    print(f"answers again after {wait_until_answers(key):.0f} s")
    sandbox.playbook("serve_405b").unchanged()


def test_it_comes_back_after_the_reboot_of_the_head(sandbox: Operator, key: str) -> None:
    sandbox.command("docker", "restart", "llmserve-sandbox-node1").ok()
    print(f"answers again after {wait_until_answers(key):.0f} s")
    sandbox.playbook("serve_405b").unchanged()


def test_an_engine_that_dies_while_starting_ends_the_play_with_its_reason(sandbox: Operator, key: str) -> None:
    run = sandbox.playbook("serve_405b", "-e", json.dumps({"llmserve_engine_args": {"max_model_len": 999999}}))
    assert run.rc != 0
    assert "999999" in run.text
    assert "max_model_len" in run.text or "max_position_embeddings" in run.text
    state = sandbox.on("node1", "docker inspect -f '{{.State.Status}}' llmserve-vllm")
    assert state == "exited", "a container that cannot start must not be left restarting for ever"


def test_the_next_good_run_mends_it(sandbox: Operator, key: str) -> None:
    sandbox.playbook("serve_405b").ok()
    assert tokens("hello", key)[0]


def test_stop_stops_ours_and_nothing_else(sandbox: Operator, served: Run) -> None:
    sandbox.on("node1", "docker run -d --name foreign --entrypoint sleep vllm/vllm-openai:v0.32.0 600")
    try:
        sandbox.playbook("stop").ok()
        assert sandbox.on("node1", "docker ps --format '{{.Names}}'") == "foreign"
        assert sandbox.on("node2", "docker ps -q") == ""
        sandbox.playbook("stop").unchanged()
        sandbox.playbook("stop", "-e", "purge=true", "-e", "purge_verified=true").ok()
        assert sandbox.on("node1", "docker ps -a --format '{{.Names}}'") == "foreign"
    finally:
        sandbox.on("node1", "docker rm -f -t 0 foreign || docker rm -f foreign")
    assert sandbox.on("node2", "docker images -q") == ""
