# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What preflight costs a host: judging simulated hosts, and the whole playbook on hosts that are this machine.

    python benchmarks/preflight.py [--hosts 2,8,32] [--inventory inventories/sandbox]

The playbook runs over a local connection: every "host" is read, listens on an address of its own in 127.0.0.0/8 and is
connected to by all others, as real hosts are. What SSH costs comes on top, in parallel. With an inventory its hosts are
measured instead. Wall-clock figures mean something on an idle machine only, so the processor's time is shown as well.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / ".ansible" / "collections"))

from ansible_collections.llmserve.vllm.plugins.filter.preflight_report import (  # noqa: E402 the path comes first
    preflight_report,
)
from ansible_collections.llmserve.vllm.plugins.filter.preflight_table import (  # noqa: E402 the path comes first
    preflight_table,
)
from ansible_collections.llmserve.vllm.tests.preflight.cluster import healthy  # noqa: E402 the path comes first

TARGET_SECONDS = 25.0
TARGET_PER_HOST = 0.5


class Cost(NamedTuple):
    """Seconds of a clock on the wall, and of the processor in all processes."""

    hosts: int
    wall: float
    processor: float


def judge(hosts: int, times: int = 5) -> float:
    """Seconds to judge that many hosts and to show the table."""
    seconds = []
    for _time in range(times):
        picture = healthy(hosts)
        began = time.perf_counter()
        preflight_table(preflight_report(picture.nodes, picture.wishes, picture.plan), network=True)
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)


def local_inventory(hosts: int) -> str:
    """Hosts that are this machine, each with a name, an address and a cluster of its own."""
    entries = {
        f"host{number:02d}": {
            "llmserve_node_ip": f"127.0.1.{number}",
            # listeners of one machine must not end each other
            "preflight_cluster": f"benchmark{number}",
        }
        for number in range(1, hosts + 1)
    }
    first, *rest = entries
    groups = {
        "ray_head": {"hosts": {first: entries[first]}},
        "ray_workers": {"hosts": {name: entries[name] for name in rest}},
    }
    variables = {
        "ansible_connection": "local",
        "ansible_become": False,
        "ansible_python_interpreter": sys.executable,
        "llmserve_model": "benchmark/none",
        # refuses at once: the Hub's answer is not what is measured
        "llmserve_hf_endpoint": "http://127.0.0.1:9",
    }
    return json.dumps({"all": {"vars": variables, "children": {"llm_nodes": {"children": groups}}}})


def play(inventory: str, hosts: int) -> Cost:
    """The whole playbook; that it ends with problems is what it should do on hosts without GPUs."""
    environment = dict(os.environ, ANSIBLE_NOCOLOR="1", ANSIBLE_CONFIG=str(ROOT / "ansible.cfg"))
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    argv = ["ansible-playbook", "playbooks/preflight.yml", "-i", inventory, "-e", "preflight_report_file="]
    done = subprocess.run(argv, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    if f"Preflight on {hosts} host" not in done.stdout:
        raise SystemExit(f"The playbook did not come to its end:\n{done.stdout}\n{done.stderr}")
    return Cost(hosts, wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def local_play(hosts: int) -> Cost:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "hosts.json"
        path.write_text(local_inventory(hosts))
        return play(str(path), hosts)


def hosts_of(inventory: str) -> int:
    """How many hosts an inventory has in llm_nodes."""
    argv = [str(Path(sys.executable).parent / "ansible"), "llm_nodes", "-i", inventory, "--list-hosts"]
    listed = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return len(listed.splitlines()) - 1


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--hosts", default="2,8,16,32", help="numbers of simulated hosts, the smallest first")
    parser.add_argument("--inventory", help="measure the hosts of this inventory instead")
    arguments = parser.parse_args()
    if arguments.inventory:
        count = hosts_of(arguments.inventory)
        cost = min((play(arguments.inventory, count) for _time in range(3)), key=lambda one: one.wall)
        print(
            f"{count} hosts of {arguments.inventory}: {cost.wall:.1f} s, {cost.processor:.1f} s of the processor here"
        )
        return 0 if cost.wall < TARGET_SECONDS else 1
    numbers = [int(text) for text in arguments.hosts.split(",")]
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    print("hosts  judge    playbook  processor  s/host more  processor s/host more")
    first: Cost | None = None
    slope = 0.0
    for hosts in numbers:
        judged, cost = judge(hosts), local_play(hosts)
        more = ""
        if first is not None:
            slope = (cost.wall - first.wall) / (hosts - first.hosts)
            more = f"{slope:11.2f}  {(cost.processor - first.processor) / (hosts - first.hosts):21.2f}"
        first = first or cost
        print(f"{hosts:5d}  {judged * 1000:4.0f} ms  {cost.wall:6.1f} s  {cost.processor:7.1f} s  {more}", flush=True)
    return 0 if first is not None and first.wall < TARGET_SECONDS and slope < TARGET_PER_HOST else 1


if __name__ == "__main__":
    sys.exit(main())
