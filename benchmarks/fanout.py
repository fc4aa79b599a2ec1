# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Time how long a model takes to reach 1, 2, 4 and 8 nodes, by a chain of nodes and with each node asking the Hub.

    python benchmarks/fanout.py [--nodes 1,2,4,8] [--size-mb 256] [--hub-mbit 200] [--node-mbit 400] [--rounds N]

A sandbox of its own, with nodes without Docker, on this machine; tests/sandbox/README.md says what that needs. The
Hub's and each node's sending is limited with tc, as the way to the Internet and the network cards of a site would. Each
figure is one run of playbooks/fetch_model.yml on nodes that lack the model, from its start to its end; the playbook's
own work is in it and is told by the column "nothing to do". Bytes are those that the Hub counts.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import ExitStack
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
NAME, SUBNET, REGISTRY_PORT = "llmserve-fanout", "10.89.81", 5011
HUB = f"http://{SUBNET}.3:8080"
SMALL, LARGE = "sandbox/tiny-llama-open", "bench/large"
SHARDS = 8
CHAIN, EACH = "auto", "each"


class Run:
    """One playbook's end."""

    def __init__(self, playbook: str, inventory: Path, *arguments: str) -> None:
        command = [str(Path(sys.executable).parent / "ansible-playbook"), f"playbooks/{playbook}.yml"]
        environment = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_FORKS": "10"}
        began = time.monotonic()
        done = subprocess.run(
            [*command, "-i", str(inventory), *arguments],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=1800,
        )
        self.seconds = time.monotonic() - began
        if done.returncode:
            sys.exit(f"{playbook} has failed:\n{done.stdout[-6000:]}")


def write_inventory(folder: Path, nodes: int) -> Path:
    """The sandbox's inventory with that many nodes, in a sandbox of another name."""
    shutil.copytree(ROOT / "inventories" / "sandbox" / "group_vars", folder / "group_vars", dirs_exist_ok=True)
    hosts = {f"fan{number}": {"ansible_host": f"{SUBNET}.{10 + number}"} for number in range(1, nodes + 1)}
    shape = {
        "sandbox_name": NAME,
        "sandbox_subnet": f"{SUBNET}.0/24",
        "sandbox_registry_port": REGISTRY_PORT,
        "sandbox_node_docker": False,
    }
    inventory = folder / f"{nodes}_nodes.json"
    inventory.write_text(json.dumps({"llm_nodes": {"hosts": hosts, "vars": shape}, "all": {"vars": shape}}))
    return inventory


def docker(*arguments: str) -> None:
    """Run a docker command."""
    subprocess.run(["docker", *arguments], check=True, stdout=subprocess.DEVNULL)


def limit(container: str, mbit: int) -> None:
    """Let a container send so much and no more; with this machine's tc, as the Hub's image has none."""
    inspect = ["docker", "inspect", "--format", "{{.State.Pid}}", container]
    pid = subprocess.run(inspect, check=True, capture_output=True, text=True).stdout.strip()
    shape = ["root", "tbf", "rate", f"{mbit}mbit", "burst", "256kb", "latency", "50ms"]
    subprocess.run(["nsenter", "-t", pid, "-n", "tc", "qdisc", "replace", "dev", "eth0", *shape], check=True)


def order(what: str) -> None:
    """Give the Hub an order."""
    request = urllib.request.Request(f"{HUB}/_test/{what}", data=b"{}")
    urllib.request.urlopen(request, timeout=10).close()


def served() -> int:
    """Bytes of weights that the Hub has sent since it was reset."""
    with urllib.request.urlopen(f"{HUB}/_test/stats", timeout=10) as answer:
        figures: dict[str, Any] = json.load(answer)
        return int(figures["total"])


def publish(folder: Path, megabytes: int) -> int:
    """Put a model of that size onto the Hub; its size in bytes."""
    data = megabytes * 1_000_000 // SHARDS
    header = json.dumps({"x": {"dtype": "U8", "shape": [data], "data_offsets": [0, data]}}).encode()
    model = folder / "large"
    model.mkdir()
    for number in range(1, SHARDS + 1):
        content = len(header).to_bytes(8, "little") + header + os.urandom(data)
        (model / f"model-{number:05}-of-{SHARDS:05}.safetensors").write_bytes(content)
    (model / "config.json").write_text('{"model_type": "llama"}')
    docker("exec", f"{NAME}-hub", "mkdir", "-p", f"/models/{LARGE}")
    docker("cp", f"{model}/.", f"{NAME}-hub:/models/{LARGE}")
    docker("restart", f"{NAME}-hub")
    for _attempt in range(100):
        try:
            served()
            break
        except OSError:
            time.sleep(0.2)
    return sum(path.stat().st_size for path in model.iterdir())


def forget(nodes: int) -> None:
    """Take the model away from the nodes."""
    for number in range(1, nodes + 1):
        target = "/var/lib/llmserve/huggingface/hub/models--" + LARGE.replace("/", "--")
        docker("exec", f"{NAME}-fan{number}", "rm", "-rf", target)


def measure(inventory: Path, nodes: int, distribution: str) -> tuple[float, int]:
    """Seconds, and bytes sent by the Hub."""
    forget(nodes)
    order("reset")
    arguments = ["-e", f"llmserve_model={LARGE}", "-e", f"llmserve_model_distribution={distribution}"]
    return Run("fetch_model", inventory, *arguments).seconds, served()


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", default="1,2,4,8")
    parser.add_argument("--size-mb", type=int, default=256)
    parser.add_argument("--hub-mbit", type=int, default=200)
    parser.add_argument("--node-mbit", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=1)
    args = parser.parse_args()
    counts = [int(part) for part in args.nodes.split(",")]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="llmserve-fanout-")))
        everything = write_inventory(folder, max(counts))
        stack.callback(Run, "sandbox_down", everything)
        Run("sandbox_up", everything)
        size = publish(folder, args.size_mb)
        # users, packages and virtual environments are made before the clock runs
        Run("fetch_model", everything, "-e", f"llmserve_model={SMALL}")
        limit(f"{NAME}-hub", args.hub_mbit)
        for number in range(1, max(counts) + 1):
            limit(f"{NAME}-fan{number}", args.node_mbit)
        alone = size * 8 / 1e6 / args.hub_mbit
        print(f"{size / 1e6:.0f} MB in {SHARDS} shards; the Hub sends {args.hub_mbit} Mbit/s (it takes {alone:.1f} s)")
        print(f"to all, each node {args.node_mbit} Mbit/s; seconds are medians of {args.rounds}\n")
        print("| nodes | nothing to do | chain | bytes of the Hub | each by itself | bytes of the Hub | ratio |")
        print("| --- | --- | --- | --- | --- | --- | --- |")
        for nodes in counts:
            inventory = write_inventory(folder, nodes)
            chain = [measure(inventory, nodes, CHAIN) for _round in range(args.rounds)]
            idle = Run("fetch_model", inventory, "-e", f"llmserve_model={LARGE}").seconds
            each = [measure(inventory, nodes, EACH) for _round in range(args.rounds)]
            ours, theirs = (statistics.median(run[0] for run in runs) for runs in (chain, each))
            sent = [max(run[1] for run in runs) / 1e6 for runs in (chain, each)]
            print(
                f"| {nodes} | {idle:.1f} s | {ours:.1f} s | {sent[0]:.1f} MB | {theirs:.1f} s | {sent[1]:.1f} MB "
                f"| {ours / theirs:.2f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
