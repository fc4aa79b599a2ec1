# SPDX-License-Identifier: GPL-3.0-or-later
"""The sandbox's Hugging Face Hub on a port of this machine, with models made for a test."""

from __future__ import annotations

import json
import socket
import struct
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HUB = Path(__file__).parents[2] / "sandbox" / "images" / "hub" / "hub.py"
MODEL = "acme/tiny"
# the ids and tokens that the sandbox's hub treats so
GATED = "sandbox/tiny-llama-instruct"
TOKEN = "hf_sandbox"
STRANGER = "hf_sandbox_stranger"


def safetensors(floats: int) -> bytes:
    """A whole safetensors file with one tensor."""
    header = json.dumps({"x": {"dtype": "F32", "shape": [floats], "data_offsets": [0, 4 * floats]}}).encode()
    return struct.pack("<Q", len(header)) + header + bytes(4 * floats)


def make_model(folder: Path) -> None:
    """A sharded model, with files that nobody wants beside it."""
    (folder / "original").mkdir(parents=True)
    shards = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    for number, shard in enumerate(shards):
        (folder / shard).write_bytes(safetensors(100 * (number + 1)))
    weight_map = {f"w{number}": shard for number, shard in enumerate(shards)}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    (folder / "config.json").write_text('{"model_type": "llama"}')
    (folder / "tokenizer.json").write_text("{}")
    (folder / "README.md").write_text("not wanted")
    (folder / "original" / "consolidated.00.pth").write_bytes(bytes(5000))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running_hub(folder: Path) -> Iterator[str]:
    """The address of a hub that serves the models below folder/models."""
    (folder / "wheels").mkdir(exist_ok=True)
    port = free_port()
    command = [sys.executable, str(HUB), "--models", str(folder / "models"), "--wheels", str(folder / "wheels")]
    process = subprocess.Popen([*command, "--port", str(port)], stdout=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    try:
        for _attempt in range(100):
            try:
                urllib.request.urlopen(address + "/healthz", timeout=1).close()
                break
            except OSError:
                time.sleep(0.1)
        yield address
    finally:
        process.terminate()
        process.wait()
