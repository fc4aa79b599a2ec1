# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Break a serving sandbox, and keep what users saw, who noticed and when it served again, for docs/recovery.md.

    python tests/recovery/run.py [--only NAME,NAME] [--executor ray|mp] [--keep] [--bound 600]

Takes a fresh sandbox and removes it; with --keep the one that is there is used and left. Each trouble happens to a
deployment that serves, and nobody helps: what does not serve again within the bound is recorded as that, and only then
deployed anew with playbooks/serve.yml.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / ".ansible" / "collections"))

from ansible_collections.llmserve.vllm.tests.measuring import (  # noqa: E402 the path first
    MeasuringError,
    Node,
    Results,
    choose,
    extra,
    play,
    read_time,
    undone,
)
from ansible_collections.llmserve.vllm.tests.recovery.load import Load  # noqa: E402 the path first
from ansible_collections.llmserve.vllm.tests.recovery.outcome import (  # noqa: E402 the path first
    RESULTS,
    Canary,
    is_back,
    look_at_docker,
    notices_of_docker,
    outcome,
)
from ansible_collections.llmserve.vllm.tests.recovery.troubles import (  # noqa: E402 the path first
    BOTH,
    BY_NAME,
    HEAD,
    TROUBLES,
    WORKER,
    Trouble,
)

ADDRESS = "10.89.77.11"
URL = f"http://{ADDRESS}:8000"
MODEL = "sandbox/tiny-llama-instruct"
IDLE_SECONDS = 20.0
# So long it has served before something happens.
STEADY_SECONDS = 20.0


class Deployment:
    """The sandbox with a deployment that serves."""

    def __init__(self, executor: str, bound: float) -> None:
        self.executor = executor
        self.bound = bound
        self.nodes = {name: Node(name) for name in (HEAD, WORKER)}

    def serve(self) -> None:
        """With the canary as it comes, for it is a part of what is measured."""
        play("playbooks/serve.yml", *extra(llmserve_executor=self.executor), timeout=1800).must_succeed()

    def load(self) -> Load:
        return Load(URL, MODEL, self.nodes[HEAD].sh("cat /etc/llmserve/api_key"))

    def measure(self, trouble: Trouble) -> dict[str, Any]:
        """Let it happen, and wait until it serves again."""
        with ExitStack() as stack:
            load = stack.enter_context(self.load())
            canary = stack.enter_context(Canary(self.nodes[HEAD]))
            self._steady(load)
            node = self.nodes[trouble.node]
            if trouble.idle:
                load.pause()
            # what a measurement that broke off did not come to
            stack.enter_context(undone(node, trouble.heal))
            if trouble.power:
                stack.callback(docker, "start", node.container)
            fault = self._strike(trouble, node)
            self._heal(trouble, node, fault)
            if trouble.idle:
                time.sleep(max(0.0, fault + IDLE_SECONDS - time.time()))
                load.resume()
            while not is_back(load.requests(time.time()), fault, time.time()) and time.time() - fault < self.bound:
                time.sleep(1)
            until = time.time()
            notices = canary.notices(fault)
            notices += notices_of_docker(look_at_docker(self.nodes, fault, until), fault, trouble.ends)
            row = outcome(fault, load.requests(until), load.streams, notices)
            back = is_back(load.requests(until), fault, until)
        return {**row, "bound": self.bound} if back else {**row, "bound": self.bound, "came_back": False}

    def _steady(self, load: Load) -> None:
        end = time.time() + self.bound
        while time.time() < end:
            time.sleep(1)
            now = time.time()
            recent = [one for one in load.requests(now) if one.sent > now - STEADY_SECONDS]
            if len(recent) > STEADY_SECONDS / 2 and all(one.good for one in recent):
                return
        raise MeasuringError(f"There is no deployment that serves steadily at {URL}.")

    def _strike(self, trouble: Trouble, node: Node) -> float:
        if not trouble.power:
            striker = node.begin(trouble.strike)
            if striker.stdout is None:
                raise MeasuringError("The script's output is not heard.")
            # it prints when it strikes, and may take long to end
            return read_time(striker.stdout.readline())
        fault = time.time()
        docker("kill", node.container)
        return fault

    def _heal(self, trouble: Trouble, node: Node, fault: float) -> None:
        time.sleep(max(0.0, fault + trouble.heal_seconds - time.time()))
        if trouble.power:
            docker("start", node.container)
        elif trouble.heal:
            node.sh(trouble.heal)


def docker(*words: str) -> None:
    """Act on a node from outside."""
    subprocess.run(["docker", *words], check=True, stdout=subprocess.DEVNULL, timeout=60)


def measure_all(executor: str, names: list[str], bound: float, results: Results) -> list[str]:
    """All troubles of an executor; what did not come back."""
    deployment = Deployment(executor, bound)
    deployment.serve()
    lost = []
    for name in names:
        if executor not in BY_NAME[name].executors:
            continue
        began = time.monotonic()
        try:
            row = deployment.measure(BY_NAME[name])
            results.keep(f"{executor}/{name}", row)
            says = f"users {row['users_seconds']} s, noticed {row['noticed_seconds']} s ({row['noticed_by']}), "
            says += f"serving {row['serving_seconds']} s, lost {row['lost']}, came back {row['came_back']}"
            good = bool(row["came_back"])
        except (MeasuringError, subprocess.SubprocessError) as error:
            good, says = False, f"not measured: {error}"
        print(f"{executor}/{name} ({time.monotonic() - began:.0f} s): {says}", flush=True)
        if not good:
            lost.append(f"{executor}/{name}")
            # as an operator would; what it takes is no part of the figures
            deployment.serve()
    return lost


def main() -> int:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="names, separated by commas")
    parser.add_argument("--executor", default="", choices=("", *BOTH), help="both without it")
    parser.add_argument("--keep", action="store_true", help="use the sandbox that is there, and leave it")
    parser.add_argument("--bound", type=float, default=600, help="seconds that a deployment has to come back")
    args = parser.parse_args()
    names = choose([trouble.name for trouble in TROUBLES], args.only)
    if not args.keep:
        play("playbooks/sandbox_down.yml").must_succeed()
    play("playbooks/sandbox_up.yml", timeout=1800).must_succeed()
    results = Results(RESULTS)
    lost = []
    for executor in [args.executor] if args.executor else BOTH:
        lost += measure_all(executor, names, args.bound, results)
    if not args.keep:
        play("playbooks/sandbox_down.yml").must_succeed()
    print(f"\nDid not serve again within {args.bound:.0f} s: {', '.join(lost) or 'none'}")
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
