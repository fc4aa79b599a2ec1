# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Time hf_snapshot beside `hf download` and parallel `curl`, and the re-check of a snapshot of 812 GB.

    python benchmarks/download.py [--quick] [--rounds N] [--directory DIR]

A Hub in a process of its own serves two made-up models: many small files, and few large ones. In each round each client
gets each model once into an empty directory, with the same number of connections; every other round goes the other way
round. Seconds are those from the start of the program to its end, so the start of Python is in them; for hf_snapshot
that is the module, which starts the background job and waits for it. Processor seconds and memory are those of all
processes of the client, the memory being the sum of their peaks. Only hf_snapshot compares digests.

The last table is a snapshot of 200 sparse shards that is complete: how long the module takes to find that out.

It needs huggingface_hub 2 with its `hf` beside this Python, and curl. Twice the size of a model must be free in the
directory (by default in memory: /dev/shm); everything there is removed at the end.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
HUB = ROOT / "tests" / "sandbox" / "images" / "hub" / "hub.py"
MODULE = "ansible_collections.llmserve.vllm.plugins.modules.hf_snapshot"
OURS, THEIRS, CURL = "hf_snapshot", "hf download", "curl"
SHARDS, SHARD_BYTES = 200, 812_000_000_000 // 200
HEADER = 128
PR_SET_CHILD_SUBREAPER = 36


class Case(NamedTuple):
    """A model that is fetched."""

    title: str
    repo: str
    files: int
    size: int

    def names(self) -> list[str]:
        return [f"model-{n:05}-of-{self.files:05}.safetensors" for n in range(1, self.files + 1)]


class Run(NamedTuple):
    """What one client needed once."""

    seconds: float
    cpu: float
    peak_mib: float
    output: str


# --- the Hub ----------------------------------------------------------------------------------------------------------


def make_model(folder: Path, case: Case) -> None:
    """Shards that are whole safetensors files, each with another content."""
    folder.mkdir(parents=True)
    data = case.size - 8 - HEADER
    tensor = {"x": {"dtype": "U8", "shape": [data], "data_offsets": [0, data]}}
    header = HEADER.to_bytes(8, "little") + json.dumps(tensor).encode().ljust(HEADER)
    block = random.Random(1).randbytes(min(data, 16 << 20))
    for number, name in enumerate(case.names()):
        with (folder / name).open("wb") as shard:
            shard.write(header + number.to_bytes(8, "little"))
            while (left := case.size - shard.tell()) > 0:
                shard.write(block[:left])
    (folder / "config.json").write_text('{"model_type": "llama"}')


class Hub(AbstractContextManager["Hub"]):
    """The sandbox's Hub in a process of its own, without a log, so that the clients are what is measured."""

    def __init__(self, models: Path) -> None:
        command = [sys.executable, str(HUB), "--models", str(models), "--wheels", str(models)]
        command += ["--address", "127.0.0.1", "--port", "0", "--quiet"]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("listening on port "):
                self.address = f"http://127.0.0.1:{line.split()[-1]}"
                return
        self.__exit__()
        raise SystemExit("the Hub did not start")

    def __exit__(self, *_error: object) -> None:
        self._process.kill()
        self._process.communicate()


# --- one run ----------------------------------------------------------------------------------------------------------


def end_children() -> None:
    """End all that is left of a client."""
    children = Path(f"/proc/self/task/{os.getpid()}/children")
    while pids := children.read_text().split():
        for pid in map(int, pids):
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def measure(limit: int, command: list[str]) -> dict[str, Any]:
    """Run a client in this process' charge, which gets the processes that it leaves behind as children, too."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    signal.signal(signal.SIGALRM, lambda *_given: sys.exit(f"not done after {limit} s: {command[0]}"))
    signal.alarm(limit)
    seconds, cpu, peak, code, text = 0.0, 0.0, 0.0, 0, ""
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        try:
            began = time.perf_counter()
            client = subprocess.Popen(command, stdout=output, stderr=errors, stdin=subprocess.DEVNULL)
            while True:
                pid, status, usage = os.wait4(-1, 0)
                if pid == client.pid:
                    seconds, code = time.perf_counter() - began, os.waitstatus_to_exitcode(status)
                    client.returncode = code
                cpu += usage.ru_utime + usage.ru_stime
                peak += usage.ru_maxrss / 1024
        except ChildProcessError:
            output.seek(0)
            errors.seek(0)
            text = output.read() + (errors.read() if code else "")
        finally:
            signal.alarm(0)
            end_children()
    return {"seconds": seconds, "cpu": cpu, "peak_mib": peak, "output": text, "code": code}


def run(command: list[str], environment: dict[str, str], limit: int) -> Run:
    """The same in a fresh process."""
    measuring = [sys.executable, __file__, "--measure", str(limit), "--", *command]
    with subprocess.Popen(measuring, stdout=subprocess.PIPE, env=environment, text=True) as process:
        try:
            answer, _err = process.communicate()
        except BaseException:
            # it ends the client first
            process.terminate()
            raise
    if process.returncode:
        raise SystemExit(process.returncode)
    found = json.loads(answer)
    if found.pop("code"):
        raise SystemExit(f"{command[0]} failed: {found['output'][-2000:]}")
    return Run(**found)


class Clients:
    """The ways to get a model."""

    def __init__(self, address: str, scratch: Path, workers: int, limit: int) -> None:
        self._address, self._scratch, self._workers, self._limit = address, scratch, workers, limit
        self._target = scratch / "target"
        places = [str(ROOT / ".ansible" / "collections"), str(ROOT.parent.parent.parent)]
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGING"))},
            "PYTHONPATH": os.pathsep.join(place for place in [*places, os.environ.get("PYTHONPATH", "")] if place),
            "HF_HOME": str(self._target / "hf"),
            "HF_ENDPOINT": address,
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "NO_COLOR": "1",
        }

    def module(self, **options: Any) -> tuple[Run, dict[str, Any]]:
        """One run of the module, as Ansible starts it, with its options in a file."""
        arguments = self._scratch / "options.json"
        arguments.write_text(json.dumps({"ANSIBLE_MODULE_ARGS": {"max_workers": self._workers, **options}}))
        done = run([sys.executable, "-m", MODULE, str(arguments)], self.environment, self._limit)
        result: dict[str, Any] = json.loads(done.output)
        return done, result

    def ours(self, case: Case) -> Run:
        done, result = self.module(
            repo_id=case.repo, cache_dir=str(self._target / "hf" / "hub"), endpoint=self._address
        )
        if result["bytes_fetched"] < case.files * case.size:
            raise SystemExit(f"hf_snapshot fetched {result['bytes_fetched']} bytes only")
        return done

    def theirs(self, case: Case) -> Run:
        program = shutil.which("hf", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
        if not program:
            raise SystemExit("hf is missing: install huggingface_hub for this Python")
        command = [program, "download", case.repo, "--quiet", "--max-workers", str(self._workers)]
        return run(command, self.environment, self._limit)

    def curl(self, case: Case) -> Run:
        lines = ["parallel", f"parallel-max = {self._workers}", "location", "fail", "silent", "show-error"]
        for name in [*case.names(), "config.json"]:
            lines += [f'url = "{self._address}/{case.repo}/resolve/main/{name}"', f'output = "{self._target / name}"']
        config = self._scratch / "curl.config"
        config.write_text("\n".join(lines))
        return run(["curl", "--config", str(config)], self.environment, self._limit)

    def once(self, client: str, case: Case) -> Run:
        """Fetch a model with one client into an empty directory, and see that it is there."""
        ways: dict[str, Callable[[Case], Run]] = {OURS: self.ours, THEIRS: self.theirs, CURL: self.curl}
        self._target.mkdir()
        try:
            done = ways[client](case)
            for name in case.names():
                found = [path for path in self._target.rglob(name) if path.stat().st_size == case.size]
                if not found:
                    raise SystemExit(f"{client} has not got {name}")
            return done
        finally:
            shutil.rmtree(self._target)


# --- the tables -------------------------------------------------------------------------------------------------------


def spread(values: list[float], digits: int = 2) -> str:
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f}-{max(values):.{digits}f})"


LINE = "{:<22}{:>22}{:>8}{:>8}{:>12}"


def compare(clients: Clients, case: Case, rounds: int) -> None:
    """One table."""
    runs: dict[str, list[Run]] = {OURS: [], THEIRS: [], CURL: []}
    for number in range(rounds):
        for client in list(runs) if number % 2 == 0 else reversed(list(runs)):
            runs[client].append(clients.once(client, case))
    print(LINE.format(case.title, "seconds (min-max)", "MB/s", "CPU s", "memory MiB"))
    for client, done in runs.items():
        seconds = [item.seconds for item in done]
        rate = case.files * case.size / 1e6 / statistics.median(seconds)
        cpu, peak = statistics.median(item.cpu for item in done), max(item.peak_mib for item in done)
        print(LINE.format(client, spread(seconds), f"{rate:.0f}", f"{cpu:.2f}", f"{peak:.0f}"))
    for other in (THEIRS, CURL):
        ratios = [mine.seconds / its.seconds for mine, its in zip(runs[OURS], runs[other], strict=True)]
        print(LINE.format(f"ratio to {other}", spread(ratios), "", "", "").rstrip())
    print(flush=True)


def sparse_snapshot(cache: Path, commit: str) -> None:
    """A complete snapshot of which only the headers take room."""
    repo = cache / "models--acme--huge"
    folder = repo / "snapshots" / commit
    folder.mkdir(parents=True)
    data = SHARD_BYTES - 50_000
    tensors: dict[str, Any] = {f"t{n}": {"dtype": "U8", "shape": [1], "data_offsets": [n, n + 1]} for n in range(500)}
    tensors["rest"] = {"dtype": "U8", "shape": [data - 500], "data_offsets": [500, data]}
    header = json.dumps(tensors).encode()
    files: dict[str, dict[str, Any]] = {}
    for number in range(SHARDS):
        path, digest = folder / f"model-{number + 1:05}-of-{SHARDS:05}.safetensors", f"{number:064x}"
        with path.open("wb") as shard:
            shard.write(len(header).to_bytes(8, "little") + header)
            shard.truncate(8 + len(header) + data)
        size = path.stat().st_size
        files[path.name] = {"size": 134, "blob_id": "b" * 40, "lfs_sha256": digest, "lfs_size": size}
    (repo / "trees").mkdir()
    (repo / "trees" / f"{commit}.json").write_text(json.dumps({"format_version": 1, "files": files}))


def pretend_verified(cache: Path) -> None:
    """What the module remembers after it has read all 812 GB."""
    verified = {}
    for number, path in enumerate(sorted(cache.rglob("*.safetensors"))):
        stat = path.stat()
        verified[f"{number:064x} {path.name}"] = [stat.st_size, stat.st_mtime_ns, stat.st_ino]
    notes = cache / "models--acme--huge" / ".llmserve"
    notes.mkdir()
    (notes / "verified.json").write_text(json.dumps(verified))


def recheck(clients: Clients, scratch: Path, rounds: int) -> None:
    """How long it takes to see that nothing is missing."""
    cache, commit = scratch / "huge", "c" * 40
    sparse_snapshot(cache, commit)
    nowhere = {"repo_id": "acme/huge", "revision": commit, "cache_dir": str(cache), "endpoint": "http://127.0.0.1:9"}
    print(LINE.format(f"{SHARDS} shards, 812 GB", "seconds (min-max)", "", "CPU s", "memory MiB"))
    for verify, title in (("size", "size and headers"), ("sha256", "digests remembered")):
        if verify == "sha256":
            pretend_verified(cache)
        done = []
        for _round in range(rounds):
            once, result = clients.module(**nowhere, verify=verify)
            if result["changed"] or result["job"] or result["bytes_total"] < 800e9:
                raise SystemExit(f"the snapshot is not taken for complete: {result}")
            done.append(once)
        cpu, peak = statistics.median(item.cpu for item in done), max(item.peak_mib for item in done)
        print(LINE.format(title, spread([item.seconds for item in done]), "", f"{cpu:.2f}", f"{peak:.0f}"), flush=True)


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="runs of each client and model (default 5)")
    parser.add_argument("--quick", action="store_true", help="two rounds with small models, to see that all works")
    parser.add_argument("--small", type=int, default=400, help="number of small files (default 400)")
    parser.add_argument("--small-kib", type=int, default=64, help="size of a small file in KiB (default 64)")
    parser.add_argument("--large", type=int, default=8, help="number of large files (default 8)")
    parser.add_argument("--large-mb", type=int, default=256, help="size of a large file in MB (default 256)")
    parser.add_argument("--workers", type=int, default=8, help="connections at a time (default 8)")
    parser.add_argument("--limit", type=int, default=300, help="seconds that one run may take (default 300)")
    parser.add_argument("--directory", help="where to work (default /dev/shm, else the temporary directory)")
    parser.add_argument("--measure", type=int, help=argparse.SUPPRESS)
    parser.add_argument("command", nargs="*", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if min(options.rounds, options.small, options.small_kib, options.large, options.large_mb, options.workers) < 1:
        parser.error("all numbers must be at least 1")
    if options.quick:
        options.rounds, options.small, options.large, options.large_mb = 2, 40, 2, 16
    return options


def main() -> int:
    options = read_options()
    signal.signal(signal.SIGTERM, lambda *_given: sys.exit(1))
    if options.measure:
        print(json.dumps(measure(options.measure, options.command)))
        return 0
    cases = (
        Case(f"{options.small} x {options.small_kib} KiB", "acme/small", options.small, options.small_kib << 10),
        Case(f"{options.large} x {options.large_mb} MB", "acme/large", options.large, options.large_mb * 1_000_000),
    )
    where = options.directory or ("/dev/shm" if os.access("/dev/shm", os.W_OK) else tempfile.gettempdir())
    needed = sum(case.files * case.size for case in cases) + max(case.files * case.size for case in cases)
    if shutil.disk_usage(where).free < needed * 1.05 + 64e6:
        raise SystemExit(f"{where} has too little room: {needed / 1e6:.0f} MB are needed")
    print(f"{options.workers} connections, {options.rounds} rounds, in {where}, {os.cpu_count()} processors\n")
    with tempfile.TemporaryDirectory(prefix="download-", dir=where) as folder:
        scratch = Path(folder)
        for case in cases:
            make_model(scratch / "models" / case.repo, case)
        with Hub(scratch / "models") as hub:
            clients = Clients(hub.address, scratch, options.workers, options.limit)
            for case in cases:
                compare(clients, case, options.rounds)
            recheck(clients, scratch, options.rounds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
