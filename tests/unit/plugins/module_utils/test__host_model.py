# SPDX-License-Identifier: GPL-3.0-or-later
"""The weights of a model in a Hub cache."""

from __future__ import annotations

import json
from pathlib import Path

from ansible_collections.llmserve.vllm.plugins.module_utils._host_model import shards

COMMIT = "a" * 40


def cache(root: Path) -> Path:
    """Two shards, the second a link to nothing, the third known to the index only."""
    base = root / "models--meta-llama--Llama"
    snapshot = base / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    (base / "refs").mkdir()
    (base / "refs" / "main").write_text(COMMIT)
    (base / "blobs").mkdir()
    (base / "blobs" / "x").write_bytes(b"12345")
    (snapshot / "model-1.safetensors").symlink_to(base / "blobs" / "x")
    (snapshot / "model-2.safetensors").symlink_to(base / "blobs" / "gone")
    names = ["model-1.safetensors", "model-2.safetensors", "model-3.safetensors", "../../etc/passwd"]
    index = {"weight_map": {str(number): name for number, name in enumerate(names)}}
    (snapshot / "model.safetensors.index.json").write_text(json.dumps(index))
    return snapshot


def test_what_is_there_and_what_is_not(tmp_path: Path) -> None:
    cache(tmp_path)
    files = {"model-1.safetensors": 5, "model-2.safetensors": None, "model-3.safetensors": None}
    for revision in ("main", COMMIT):
        assert shards(str(tmp_path), "meta-llama/Llama", revision) == {"commit": COMMIT, "files": files}


def test_no_model(tmp_path: Path) -> None:
    nothing: dict[str, object] = {"commit": None, "files": {}}
    assert shards(str(tmp_path), "meta-llama/Llama", "main") == nothing
    snapshot = cache(tmp_path)
    assert shards(str(tmp_path), "meta-llama/Llama", "v9") == nothing
    assert shards(str(tmp_path), "meta-llama/Llama", "b" * 40) == nothing
    for broken in ("", "[]", '{"weight_map": 3}', '{"weight_map": {"a": 3}}'):
        (snapshot / "model.safetensors.index.json").write_text(broken)
        assert set(shards(str(tmp_path), "meta-llama/Llama", "main")["files"]) == {
            "model-1.safetensors",
            "model-2.safetensors",
        }
