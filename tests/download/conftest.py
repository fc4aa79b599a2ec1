# SPDX-License-Identifier: GPL-3.0-or-later
"""A Hub with faults, a model of some size on it, and the module run as on a host."""

from __future__ import annotations

import hashlib
import json
import os
import random
import struct
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.llmserve.vllm.tests.unit.plugins.local_hub import free_port

pytest.importorskip("huggingface_hub")
HERE = Path(__file__).parent
ROOT = HERE.parents[1]
HUB = ROOT / "tests" / "sandbox" / "images" / "hub" / "hub.py"
MODEL, GATED, TOKEN = "acme/big", "sandbox/tiny-llama-instruct", "hf_sandbox"
SHARDS, SHARD_BYTES = 4, 12 << 20
MIB = 1 << 20


def shard(seed: int, size: int = SHARD_BYTES) -> bytes:
    """A whole safetensors file of this size, with content of its own."""
    for guess in range(60, 140):
        data = size - 8 - guess
        header = json.dumps({"x": {"dtype": "U8", "shape": [data], "data_offsets": [0, data]}}).encode()
        if len(header) == guess:
            return struct.pack("<Q", guess) + header + random.Random(seed).randbytes(data)
    raise AssertionError(size)


def name_of(number: int) -> str:
    return f"model-{number:05d}-of-{SHARDS:05d}.safetensors"


def make_model(folder: Path, seed: int, shards: int = SHARDS, named: int = SHARDS) -> None:
    folder.mkdir(parents=True)
    for number in range(1, shards + 1):
        (folder / name_of(number)).write_bytes(shard(seed + number))
    weight_map = {f"w{number}": name_of(number) for number in range(1, named + 1)}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    (folder / "config.json").write_text('{"model_type": "llama"}')
    (folder / "tokenizer.json").write_text(json.dumps({"seed": seed}))
    (folder / "README.md").write_text("not wanted")


class Hub:
    """The server, from outside."""

    def __init__(self, address: str, models: Path) -> None:
        self.address, self.models = address, models

    def order(self, what: str, given: Any = None) -> None:
        """One of the orders of tests/sandbox/images/hub/sandbox_hub/steering.py."""
        body = json.dumps({} if given is None else given).encode()
        urllib.request.urlopen(urllib.request.Request(f"{self.address}/_test/{what}", data=body), timeout=60).close()

    def faults(self, *rules: dict[str, Any]) -> None:
        self.order("faults", list(rules))

    @property
    def stats(self) -> dict[str, Any]:
        with urllib.request.urlopen(f"{self.address}/_test/stats", timeout=60) as answer:
            found: dict[str, Any] = json.load(answer)
            return found

    @property
    def served(self) -> int:
        return int(self.stats["total"])


@contextmanager
def running(models: Path, *options: str, storage: bool = True) -> Iterator[Hub]:
    """The sandbox's Hub, and its storage on another port."""
    port = free_port()
    command = [sys.executable, str(HUB), "--models", str(models), "--wheels", str(models), "--address", "127.0.0.1"]
    command += ["--port", str(port), "--test-control", "--quiet", *options]
    command += ["--storage-port", "0"] if storage else []
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        hub = Hub(f"http://127.0.0.1:{port}", models)
        try:
            for _attempt in range(100):
                try:
                    assert hub.stats is not None
                    break
                except OSError:
                    time.sleep(0.1)
            yield hub
        finally:
            process.terminate()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    models = tmp_path_factory.mktemp("hub") / "models"
    make_model(models / MODEL, 100)
    make_model(models / f"{MODEL}@v2", 200)
    make_model(models / "acme" / "lacking", 300, shards=2)
    make_model(models / GATED, 400)
    # small pages, so that whoever reads a list has to turn them
    with running(models, "--renamed", f"acme/old={MODEL}", "--page-size", "3") as hub:
        yield hub


@pytest.fixture
def hub(server: Hub, request: pytest.FixtureRequest) -> Iterator[Hub]:
    """The server as new. What it has served is in the report of --junitxml, for the table in docs/model_supply.md."""
    server.order("restore")
    yield server
    request.node.user_properties += [("bytes_served", server.served), ("bytes_of_the_model", total(server))]
    server.order("restore")


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "hf" / "hub"


class Module:
    """Runs of the module on one cache."""

    def __init__(self, hub: Hub, cache: Path) -> None:
        self.given = {"repo_id": MODEL, "cache_dir": str(cache), "endpoint": hub.address, "timeout": 3}
        self.running: list[subprocess.Popen[str]] = []

    def begin(self, **more: Any) -> subprocess.Popen[str]:
        args = {**self.given, **more}
        args = {name: value for name, value in args.items() if value is not None}
        env = {**os.environ, "PYTHONPATH": str(ROOT / ".ansible" / "collections")}
        process = subprocess.Popen(
            [sys.executable, str(HERE / "run_module.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=env,
        )
        assert process.stdin is not None
        process.stdin.write(json.dumps(args))
        process.stdin.close()
        process.stdin = None
        self.running.append(process)
        return process

    @staticmethod
    def end(process: subprocess.Popen[str]) -> dict[str, Any]:
        out, err = process.communicate(timeout=120)
        assert out, err
        found: dict[str, Any] = json.loads(out)
        return found

    def __call__(self, **more: Any) -> dict[str, Any]:
        return self.end(self.begin(**more))


@pytest.fixture
def module(hub: Hub, cache: Path) -> Iterator[Module]:
    runs = Module(hub, cache)
    yield runs
    for process in runs.running:
        if process.poll() is None:
            process.kill()
            process.wait()
    for report in cache.glob("*/.llmserve/jobs/*.json"):
        told = json.loads(report.read_text())
        if told["state"] == "running":
            try:
                os.kill(told["pid"], 15)
            except ProcessLookupError:
                continue


def job(cache: Path) -> dict[str, Any]:
    """What the latest job says of itself."""
    reports = sorted(cache.glob("*/.llmserve/jobs/*.json"))
    found: dict[str, Any] = json.loads(reports[-1].read_text()) if reports else {}
    return found


def wait_until(done: Callable[[], Any], seconds: float = 120) -> None:
    until = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.05)


def total(hub: Hub, model: str = MODEL) -> int:
    """Size of the files that are wanted."""
    return sum(path.stat().st_size for path in (hub.models / model).iterdir() if path.suffix != ".md")


def assert_whole(hub: Hub, path: str, model: str = MODEL) -> None:
    """Every byte on the disk is the Hub's, and nothing else lies there."""
    wanted = {item.name: item for item in (hub.models / model).iterdir() if item.suffix != ".md"}
    found = {item.name: item for item in Path(path).iterdir() if item.name != ".cache"}
    assert set(found) == set(wanted)
    for name, item in wanted.items():
        assert hashlib.sha256(found[name].read_bytes()).digest() == hashlib.sha256(item.read_bytes()).digest(), name
