# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A model on its way to two nodes: what is lost on the way, and what is not fetched twice."""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import signal
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import HUB, INVENTORY, ROOT, Operator, Run

MODEL = "sandbox/tiny-llama-open"
# Large enough for what is lost with a reboot to be little beside it; its weights are noise.
LARGE, SHARDS, SHARD_BYTES = "sandbox/large", 8, 4_000_000
CACHE = "/var/lib/llmserve/huggingface/hub"
NODES = ("node1", "node2")
# What may be on its way when a connection breaks.
ON_THE_WAY = 1 << 20
SLOW = {"kind": "slow", "rate": 20_000, "path": "safetensors"}


def order(what: str, given: Any) -> None:
    body = json.dumps(given).encode()
    urllib.request.urlopen(urllib.request.Request(f"{HUB}/_test/{what}", data=body), timeout=10).close()


def served() -> int:
    with urllib.request.urlopen(f"{HUB}/_test/stats", timeout=10) as answer:
        return int(json.load(answer)["total"])


def hub_answers() -> bool:
    try:
        served()
    except OSError:
        return False
    return True


def wait_until(done: Callable[[], Any], seconds: float = 90) -> None:
    until = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.5)


class Supply:
    """Runs of the playbook that fetches a model, on nodes that lack it."""

    def __init__(self, sandbox: Operator, model: str = MODEL) -> None:
        self.sandbox = sandbox
        self.model = model
        self.folder = f"{CACHE}/models--{model.replace('/', '--')}"
        self.size = 0

    def fetch(self, *arguments: str) -> Run:
        return self.sandbox.playbook("fetch_model", "-e", f"llmserve_model={self.model}", *arguments).ok()

    def forget(self) -> None:
        for node in NODES:
            self.sandbox.on(node, f"rm -rf {self.folder}")
        order("reset", {})

    def begin(self) -> subprocess.Popen[str]:
        variable = f"llmserve_model={self.model}"
        command = ["ansible-playbook", "playbooks/fetch_model.yml", "-i", INVENTORY, "-e", variable]
        return subprocess.Popen(
            command,
            cwd=ROOT,
            env=self.sandbox.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def job(self, node: str) -> dict[str, Any]:
        """What the latest job on a node says of itself."""
        text = self.sandbox.on(
            node, f"cat $(ls -t {self.folder}/.llmserve/jobs/*.json 2>/dev/null | head -1) </dev/null"
        )
        found: dict[str, Any] = json.loads(text) if text.startswith("{") else {}
        return found

    def arrived(self, node: str) -> int:
        return int(self.job(node).get("figures", {}).get("bytes_done", 0))

    def assert_whole(self) -> None:
        for node in NODES:
            for line in self.sandbox.on(node, f"cd {self.folder}/blobs; sha256sum *").splitlines():
                digest, name = line.split()
                assert digest == name or len(name) == 40, line


@pytest.fixture
def supply(sandbox: Operator) -> Iterator[Supply]:
    supply = Supply(sandbox)
    # users and virtual environments are there already, so that what is timed by faults is the download
    supply.fetch()
    with contextlib.suppress(OSError, KeyError):
        supply.size = int(supply.job("node1")["result"]["bytes_total"])
    supply.forget()
    yield supply
    order("faults", [])


@pytest.fixture
def large(sandbox: Operator, supply: Supply, tmp_path: Path) -> Supply:
    """A larger model, on the Hub and on no node. (The environments are there, by the small one.)"""
    hub = f"{sandbox.hostvars('node1').get('sandbox_name', 'llmserve-sandbox')}-hub"
    entry = {"x": {"dtype": "U8", "shape": [SHARD_BYTES], "data_offsets": [0, SHARD_BYTES]}}
    header = json.dumps(entry).encode()
    for number in range(1, SHARDS + 1):
        content = len(header).to_bytes(8, "little") + header + random.Random(number).randbytes(SHARD_BYTES)
        (tmp_path / f"model-{number:05}-of-{SHARDS:05}.safetensors").write_bytes(content)
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    sandbox.command("docker", "exec", hub, "mkdir", "-p", f"/models/{LARGE}").ok()
    sandbox.command("docker", "cp", f"{tmp_path}/.", f"{hub}:/models/{LARGE}").ok()
    sandbox.command("docker", "restart", "--time", "1", hub).ok()
    wait_until(hub_answers)
    larger = Supply(sandbox, LARGE)
    larger.size = sum(path.stat().st_size for path in tmp_path.iterdir())
    larger.forget()
    return larger


def test_the_hub_sends_it_once_for_all_nodes(supply: Supply) -> None:
    run = supply.fetch()
    assert run.changed == len(NODES)
    assert served() == supply.size
    supply.assert_whole()
    again = supply.fetch()
    assert again.changed == 0
    assert served() == supply.size
    for node in NODES:
        assert "29600" not in supply.sandbox.on(node, "ss -Htln"), "a mirror is left"


def test_each_node_by_itself(supply: Supply) -> None:
    supply.fetch("-e", "llmserve_model_distribution=each")
    assert served() == len(NODES) * supply.size


def test_a_lost_connection_does_not_end_the_download(supply: Supply) -> None:
    order("faults", [SLOW])
    play = supply.begin()
    wait_until(lambda: supply.arrived("node2") > ON_THE_WAY)
    os.killpg(play.pid, signal.SIGKILL)
    play.communicate()
    for node in NODES:
        subprocess.run(
            ["docker", "exec", f"llmserve-sandbox-{node}", "pkill", "-KILL", "-u", "ops", "sshd"], check=False
        )
    before = {node: supply.job(node)["job"] for node in NODES}
    again = supply.fetch()
    assert re.search(r"node[12]: downloading \d+\.\d %", again.output), again.output
    assert {node: supply.job(node)["job"] for node in NODES} == before
    assert served() == supply.size
    supply.assert_whole()


@pytest.mark.parametrize("node", NODES)
def test_a_reboot_in_the_middle(large: Supply, node: str) -> None:
    order("faults", [SLOW])
    play = large.begin()
    wait_until(lambda: large.arrived("node2") > ON_THE_WAY)
    subprocess.run(["docker", "restart", "--time", "1", f"llmserve-sandbox-{node}"], check=True, capture_output=True)
    output, _none = play.communicate(timeout=300)
    assert play.returncode != 0, output
    order("faults", [])
    wait_until(lambda: large.sandbox.command("ansible", node, "-i", INVENTORY, "-m", "ansible.builtin.ping").rc == 0)
    large.fetch()
    # the digests are compared on arrival; what was lost is what had not reached the disk
    assert served() < large.size + 4 * ON_THE_WAY
    large.assert_whole()


def test_no_token_lies_about_while_a_model_arrives(supply: Supply) -> None:
    order("faults", [SLOW])
    play = supply.begin()
    wait_until(lambda: supply.arrived("node2") > ON_THE_WAY)
    places = "/proc/[0-9]*/cmdline /proc/[0-9]*/environ /var/lib/llmserve /var/log /var/tmp /tmp /run /home /root"
    mirror = supply.sandbox.on("node1", f"cat $(find {CACHE}/.llmserve/mirror -name token) </dev/null")
    assert len(mirror) >= 32
    for node in NODES:
        # the parts are put together in a pipe, so that no command line has the whole
        for start, rest in (("hf_sand", "box"), (mirror[:10], mirror[10:])):
            script = f"printf %s%s {start} {rest} | grep -rlsF -f - {places} || true"
            found = supply.sandbox.on(node, script).split()
            # the mirror's own file, for its owner only
            assert [path for path in found if not re.match(rf"{CACHE}/\.llmserve/mirror/.*token$", path)] == []
    modes = supply.sandbox.on("node1", f"stat -c '%a %U' $(find {CACHE}/.llmserve/mirror -name token)")
    assert modes == "600 llmserve"
    order("faults", [])
    output, _none = play.communicate(timeout=300)
    assert play.returncode == 0, output
    assert "hf_sandbox" not in output and mirror not in output
    assert supply.sandbox.on("node1", f"find {CACHE}/.llmserve -name token 2>/dev/null || true") == ""
