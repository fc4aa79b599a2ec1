# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bad input on fresh hosts: a clear error, and nothing has been changed."""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.e2e.conftest import HUB, INVENTORY, Operator

# Everything that a deployment puts on a host.
TRACES = "ls -d /etc/llmserve /var/lib/llmserve 2>&-; docker ps -aq; docker images -q; id -u llmserve 2>&-; true"


@pytest.fixture
def fresh(sandbox: Operator) -> Iterator[Operator]:
    yield sandbox
    for host in ("node1", "node2"):
        assert sandbox.on(host, TRACES) == "", f"{host} was changed"


def override(tmp_path: Path, host: str, **variables: object) -> list[str]:
    """A second inventory that changes host variables, as a site's typing error would."""
    path = tmp_path / "typo.yml"
    path.write_text(yaml.safe_dump({"all": {"hosts": {host: variables}}}))
    return ["-i", str(path)]


def extra(**variables: object) -> list[str]:
    return ["-e", json.dumps(variables)]


VARIABLES: dict[str, tuple[dict[str, object], list[str]]] = {
    "token_missing": ({"llmserve_hf_token": ""}, ["gated", "llmserve_hf_token"]),
    "token_refused": ({"llmserve_hf_token": "hf_nobody"}, ["token", "refused"]),
    "licence_not_accepted": ({"llmserve_hf_token": "hf_sandbox_stranger"}, ["licence", "sandbox/tiny-llama-instruct"]),
    "unknown_model": ({"llmserve_model": "sandbox/no-such-model"}, ["sandbox/no-such-model", "llmserve_model"]),
    "unknown_revision": ({"llmserve_model_revision": "v9"}, ["revision", "v9"]),
    "hub_unreachable": ({"llmserve_hf_endpoint": "http://10.89.77.250:1"}, ["10.89.77.250"]),
    "wrong_gpu_count": ({"llmserve_gpus_per_node": 8}, ["node1", "node2", "8", "llmserve_gpus_per_node"]),
    "unknown_engine_flag": ({"llmserve_engine_args": {"max_modle_len": 1024}}, ["max_modle_len", "max_model_len"]),
    "removed_engine_flag_that_is_a_secret": ({"llmserve_engine_args": {"api_key": "x"}}, ["llmserve_api_key"]),
    "heads_not_divisible": (
        {
            "llmserve_model": "sandbox/odd-heads",
            "llmserve_tensor_parallel_size": 4,
            "llmserve_pipeline_parallel_size": 1,
        },
        ["6 attention heads", "tensor parallel"],
    ),
    "no_such_share_of_memory": (
        {"llmserve_engine_args": {"gpu_memory_utilization": 1.5}},
        ["gpu_memory_utilization", "at most 1"],
    ),
    "too_little_memory": (
        {"llmserve_engine_args": {"gpu_memory_utilization": 0.01}},
        ["does not fit on", "GiB for weights", "activations and overhead"],
    ),
    "no_hosts_to_serve_on": ({"plan_offline": True}, ["plan_offline", "hosts would not be looked at"]),
}


@pytest.mark.parametrize("case", VARIABLES, ids=str)
def test_a_wrong_variable_is_named(fresh: Operator, case: str) -> None:
    variables, words = VARIABLES[case]
    run = fresh.playbook("serve_405b", *extra(**variables))
    assert run.rc != 0
    for word in words:
        assert word.lower() in run.text.lower(), run.output
    assert run.changed == 0


HOST_VARIABLES: dict[str, tuple[dict[str, object], list[str]]] = {
    "public_address": ({"llmserve_node_ip": "8.8.8.8"}, ["node2", "8.8.8.8", "llmserve_node_ip"]),
    "unknown_address": ({"llmserve_node_ip": "10.89.77.99"}, ["node2", "10.89.77.99", "interface"]),
    "not_an_address": ({"llmserve_node_ip": "node2"}, ["node2", "llmserve_node_ip"]),
    "address_of_another_host": ({"llmserve_node_ip": "10.89.77.11"}, ["node1", "node2", "10.89.77.11"]),
    "other_ray_version": ({"llmserve_ray_version": "2.60.0"}, ["node1", "node2", "2.60.0", "2.56.1"]),
    "other_image": ({"llmserve_image": "vllm/vllm-openai:v0.31.0"}, ["node1", "node2", "v0.31.0", "llmserve_image"]),
    "unreachable_host": ({"ansible_host": "10.89.77.250"}, ["node2", "unreachable"]),
}


@pytest.mark.parametrize("case", HOST_VARIABLES, ids=str)
def test_a_wrong_host_variable_is_named(fresh: Operator, tmp_path: Path, case: str) -> None:
    variables, words = HOST_VARIABLES[case]
    run = fresh.playbook("serve_405b", *override(tmp_path, "node2", **variables))
    assert run.rc != 0
    for word in words:
        assert word.lower() in run.text.lower(), run.output
    assert run.changed == 0


def test_a_port_that_somebody_else_holds_is_named_with_its_holder(fresh: Operator) -> None:
    fresh.on("node1", "systemd-run --unit squatter python3 -m http.server 8000")
    try:
        run = fresh.playbook("serve_405b")
    finally:
        fresh.on("node1", "systemctl stop squatter")
    assert run.rc != 0
    for word in ("node1", "8000", "python3", "llmserve_port"):
        assert word in run.text, run.output
    assert run.changed == 0


def test_a_disk_that_is_too_small_is_named_with_both_figures(fresh: Operator) -> None:
    fresh.on("node1", "mkdir /mnt/small && mount -t tmpfs -o size=200k tmpfs /mnt/small")
    try:
        run = fresh.playbook("serve_405b", *extra(llmserve_hf_home="/mnt/small/huggingface"))
    finally:
        fresh.on("node1", "umount /mnt/small && rmdir /mnt/small")
    assert run.rc != 0
    for word in ("node1", "/mnt/small", "free", "llmserve_hf_home"):
        assert word in run.text, run.output
    assert run.changed == 0


def test_the_plan_changes_no_host_and_is_written_down(fresh: Operator, tmp_path: Path) -> None:
    arguments = ["-e", f"plan_output_dir={tmp_path}"]
    run = fresh.playbook("plan", *arguments).ok()
    for words in ("TP 1 x PP 2", "2 of 2 GPUs on 2 hosts", "node1", "H100", "KV cache"):
        assert words in run.text, run.output
    screen = run.output.split("=" * 80)[2].partition("\nok: ")[0]
    assert 10 < len(screen.splitlines()) < 40
    assert max(len(line) for line in screen.splitlines()) <= 80, screen
    assert re.findall(r"(\S+) +: .*changed=2", run.recap) == ["localhost"]
    plan = json.loads((tmp_path / "plan.json").read_text())
    assert (plan["fits"], plan["gpus_used"], plan["weights_source"]) == (True, 2, "index")
    assert f"{plan['kv_cache_tokens']:,}" in (tmp_path / "plan.html").read_text()
    fresh.playbook("plan", *arguments).unchanged()


def test_a_plan_without_hosts_takes_the_inventory_at_its_word(fresh: Operator, tmp_path: Path) -> None:
    def figures(name: str, *more: str) -> dict[str, object]:
        directory = tmp_path / name
        directory.mkdir()
        fresh.playbook("plan", "-e", f"plan_output_dir={directory}", *more).ok()
        plan: dict[str, object] = json.loads((directory / "plan.json").read_text())
        return {key: value for key, value in plan.items() if key not in ("download", "weights_source", "arithmetic")}

    model = tmp_path / "model"
    model.mkdir()
    # from here and not from a host, whose journal keeps the commands of sudo, tokens and all
    url = f"{HUB}/sandbox/tiny-llama-instruct/resolve/main/config.json"
    request = urllib.request.Request(url, headers={"Authorization": "Bearer hf_sandbox"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        (model / "config.json").write_bytes(answer.read())
    # hosts that answer nobody: they must not be asked
    nowhere = override(tmp_path, "node2", ansible_host="10.89.77.250")
    offline = figures("offline", *nowhere, "-e", "plan_offline=true", "-e", f"preflight_model_dir={model}")
    online = figures("online")
    assert {**offline, "weights_bytes": 0} == {**online, "weights_bytes": 0}


def test_check_mode_on_fresh_hosts_says_what_would_come_first(fresh: Operator) -> None:
    run = fresh.playbook("serve_405b", "--check", "--diff").ok()
    assert INVENTORY not in run.recap
    assert "check mode ends here" in run.text.lower()
