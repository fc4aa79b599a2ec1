# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Provoke failures on the sandbox, and keep what was said of each, and when, for docs/failures.md.

    python tests/failures/run.py [--only NAME,NAME] [--keep] [--lanes 2]

Takes a fresh sandbox and removes it; with --keep the one that is there is used and left. Failures of one engine run on
both nodes at the same time, the others one after the other. The exit status is 1 when a cause was not named in time.
"""

from __future__ import annotations

import argparse
import queue
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / ".ansible" / "collections"))

from ansible_collections.llmserve.vllm.tests.failures.failures import BY_NAME, FAILURES  # noqa: E402 the path first
from ansible_collections.llmserve.vllm.tests.failures.fault import (  # noqa: E402 the path first
    ENGINE,
    GATE,
    PREFLIGHT,
    RANKS,
    RAY,
    SERVING,
    Failure,
)
from ansible_collections.llmserve.vllm.tests.failures.measure import (  # noqa: E402 the path first
    NODES,
    RESULTS,
    Bench,
    problem,
)
from ansible_collections.llmserve.vllm.tests.measuring import (  # noqa: E402 the path first
    MeasuringError,
    Results,
    choose,
    play,
)


class Runner:
    """Measures, prints a line for each failure, and keeps the rows."""

    def __init__(self, bench: Bench, results: Results) -> None:
        self.bench = bench
        self.results = results
        self.problems: list[str] = []

    def one(self, failure: Failure, on: str = "node1") -> None:
        began = time.monotonic()
        try:
            row = self.bench.measure(failure, on)
            self.results.keep(failure.name, row)
            wrong = problem(failure, row)
            says = wrong or f"{row['seconds']} s, {row['noticed_by']}: {row['message'][:120]}"
        except MeasuringError as error:
            wrong = says = f"{failure.name}: not measured: {error}"
        if wrong:
            self.problems.append(wrong)
        print(f"{failure.name} ({time.monotonic() - began:.0f} s): {says}", flush=True)

    def all(self, failures: Sequence[Failure], lanes: int = 1) -> None:
        """One after the other, or on several nodes at once."""
        waiting: queue.SimpleQueue[Failure] = queue.SimpleQueue()
        for failure in failures:
            waiting.put(failure)

        def lane(node: str) -> None:
            while True:
                try:
                    failure = waiting.get_nowait()
                except queue.Empty:
                    return
                self.one(failure, node)

        threads = [threading.Thread(target=lane, args=(node,)) for node in NODES[:lanes]]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def main() -> int:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="names, separated by commas")
    parser.add_argument("--keep", action="store_true", help="use the sandbox that is there, and leave it")
    parser.add_argument("--lanes", type=int, default=2, choices=(1, 2))
    args = parser.parse_args()
    chosen = [BY_NAME[name] for name in choose([failure.name for failure in FAILURES], args.only)]
    by_way = {way: [one for one in chosen if one.way == way] for way in (PREFLIGHT, ENGINE, SERVING, RAY, GATE, RANKS)}
    if not args.keep:
        play("playbooks/sandbox_down.yml").must_succeed()
    play("playbooks/sandbox_up.yml", timeout=1800).must_succeed()
    runner = Runner(Bench(), Results(RESULTS))
    runner.bench.stop_ray()
    runner.bench.clear()
    # on nodes as they come: what is refused has changed nothing
    runner.all(by_way[PREFLIGHT])
    if any(by_way[way] for way in (ENGINE, SERVING, RAY, GATE, RANKS)):
        runner.bench.prepare()
    runner.all(by_way[ENGINE], args.lanes)
    runner.all(by_way[SERVING])
    if by_way[RAY] or by_way[GATE]:
        runner.bench.start_ray()
        runner.all([*by_way[GATE], *by_way[RAY]])
        runner.bench.stop_ray()
    runner.all(by_way[RANKS])
    if not args.keep:
        play("playbooks/sandbox_down.yml").must_succeed()
    print(f"\n{len(chosen)} failures, {len(runner.problems)} of them not as they should be", flush=True)
    for line in runner.problems:
        print(f"- {line}")
    return 1 if runner.problems else 0


if __name__ == "__main__":
    sys.exit(main())
