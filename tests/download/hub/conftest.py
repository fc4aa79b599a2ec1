# SPDX-License-Identifier: GPL-3.0-or-later
"""The sandbox's Hub with one small repository in four revisions, asked by the real huggingface_hub and the real `hf`.

It must look to them as the Hub does.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ..conftest import Hub, running, shard

huggingface_hub = pytest.importorskip("huggingface_hub")

REPO, OLD = "acme/small", "acme/former"
TOKEN, STRANGER = "hf_sandbox", "hf_sandbox_stranger"
WEIGHTS, OTHERS = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"
SIZE = 1 << 20
REFS = {
    "": "refs/heads/main",
    "@refs%2Fheads%2Fdev": "refs/heads/dev",
    "@v1": "refs/tags/v1",
    "@refs%2Fpr%2F1": "refs/pr/1",
}


def make_repo(folder: Path, seed: int) -> None:
    (folder / "original").mkdir(parents=True)
    (folder / WEIGHTS).write_bytes(shard(seed, SIZE))
    (folder / OTHERS).write_bytes(shard(seed + 1, SIZE))
    (folder / "config.json").write_text(json.dumps({"model_type": "llama", "seed": seed}))
    (folder / "README.md").write_text("---\nlicense: other\n---\n")
    (folder / "added tokens#1.json").write_text("{}")
    (folder / "empty.txt").touch()
    (folder / "original" / "params.json").write_text('{"dim": 16384}')
    (folder / "original" / "consolidated.00.pth").write_bytes(bytes(5000))


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    models = tmp_path_factory.mktemp("small") / "models"
    for number, suffix in enumerate(REFS):
        make_repo(models / f"{REPO}{suffix}", 10 * number)
    with running(models, "--renamed", f"{OLD}={REPO}", "--page-size", "3") as found:
        yield found


@pytest.fixture
def hub(small: Hub) -> Hub:
    small.order("restore")
    return small


@pytest.fixture
def api(hub: Hub) -> Any:
    return huggingface_hub.HfApi(endpoint=hub.address, token=False)


def file(hub: Hub, path: str, suffix: str = "") -> bytes:
    return (hub.models / f"{REPO}{suffix}" / path).read_bytes()


def files(hub: Hub) -> dict[str, bytes]:
    root = hub.models / REPO
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def git_id(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def refs(api: Any) -> dict[str, str]:
    found = api.list_repo_refs(REPO, include_pull_requests=True)
    listed = [*found.branches, *found.tags, *found.pull_requests]
    return {item.ref: item.target_commit for item in listed}


def metadata(api: Any, path: str, revision: str = "main", token: Any = False) -> Any:
    where = huggingface_hub.hf_hub_url(REPO, path, revision=revision, endpoint=api.endpoint)
    return huggingface_hub.get_hf_file_metadata(where, token=token, endpoint=api.endpoint)
