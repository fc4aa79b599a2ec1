# SPDX-License-Identifier: GPL-3.0-or-later
"""What the module can do when nothing goes wrong, with the real huggingface_hub in processes of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.llmserve.vllm.tests.download.conftest import (
    MIB,
    MODEL,
    SHARD_BYTES,
    SHARDS,
    Hub,
    Module,
    assert_whole,
    job,
    name_of,
    total,
)

GIB = 1 << 30


def test_start_now_and_wait_later(hub: Hub, cache: Path, module: Module) -> None:
    hub.faults({"kind": "slow", "rate": MIB, "path": "safetensors"})
    started = module(wait=False, max_workers=2)
    assert (started["changed"], started["finished"], started["attached"]) == (True, False, False)
    # a second start finds the first
    again = module(wait=False)
    assert (again["job"], again["attached"]) == (started["job"], True)
    slices = [module(job=started["job"], slice=1)]
    while not slices[-1]["finished"]:
        if len(slices) == 4:
            hub.faults()
        slices.append(module(job=started["job"], slice=1, resume=slices[-1]["resume"]))
    assert all("%" in item["progress"] and "B/s" in item["progress"] for item in slices[1:-1])
    assert len(slices) > 3
    result = slices[-1]
    assert (result["changed"], result["files_fetched"], result["bytes_fetched"]) == (True, SHARDS + 3, total(hub))
    assert_whole(hub, result["path"])
    assert hub.served == total(hub)
    nothing = module(wait=False)
    assert (nothing["changed"], nothing["finished"], nothing["job"]) == (False, True, "")
    log = Path(result["log"]).read_text()
    assert log.rstrip().endswith("done") and "100.0 %" in log


def test_waiting_for_a_job_that_fails(hub: Hub, cache: Path, module: Module) -> None:
    hub.faults({"kind": "slow", "rate": MIB // 4, "path": "safetensors"})
    started = module(wait=False)
    late = module(job=started["job"], wait_timeout=1)
    assert (late["failed"], late["reason_kind"]) == (True, "timeout")
    os.kill(job(cache)["pid"], signal.SIGTERM)
    stopped = module(job=started["job"])
    assert (stopped["failed"], stopped["reason_kind"]) == (True, "stopped")


def test_a_job_of_another_host_that_has_died(hub: Hub, cache: Path, module: Module) -> None:
    """Its counter stands still; nothing else can be known of it."""
    hub.faults({"kind": "slow", "rate": 5 * MIB, "path": "safetensors"})
    started = module(wait=False)
    report = job(cache)
    os.kill(report["pid"], signal.SIGKILL)
    path = next(cache.glob("*/.llmserve/jobs/*.json"))
    path.write_text(json.dumps({**report, "host": "elsewhere"}))
    hub.faults()
    watched = module(slice=1)
    assert (watched["finished"], watched["attached"], watched["job"]) == (False, True, started["job"])
    # as if the slices had gone on for a minute
    watched["resume"]["seen"]["since"] -= 60
    result = module(slice=30, resume=watched["resume"])
    assert_whole(hub, result["path"])


def test_a_directory_of_files(hub: Hub, tmp_path: Path, module: Module) -> None:
    folder = tmp_path / "model"
    args: dict[str, Any] = {"cache_dir": None, "local_dir": str(folder)}
    would = module(**args, _ansible_check_mode=True)
    assert (would["changed"], would["bytes_fetched"], folder.exists()) == (True, total(hub), False)
    result = module(**args)
    assert result["path"] == str(folder)
    assert_whole(hub, str(folder))
    assert not (folder / name_of(1)).is_symlink()
    assert module(**args)["changed"] is False
    # huggingface_hub takes it for its own work, and asks for nothing
    hub.order("reset")
    code = (
        "import sys, huggingface_hub as h; h.snapshot_download(sys.argv[1], local_dir=sys.argv[2], allow_patterns='*s')"
    )
    subprocess.run(
        [sys.executable, "-c", code, MODEL, str(folder)], check=True, env={**os.environ, "HF_ENDPOINT": hub.address}
    )
    assert hub.served == 0
    os.truncate(folder / name_of(2), 3 * MIB)
    repaired = module(**args)
    assert (repaired["repaired"], hub.served) == ([name_of(2)], SHARD_BYTES - 3 * MIB)
    assert_whole(hub, str(folder))


def test_files_that_somebody_else_has_put_there(hub: Hub, tmp_path: Path, module: Module) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "mine.txt").write_text("stays")
    for number in (1, 2):
        (folder / name_of(number)).write_bytes((hub.models / MODEL / name_of(number)).read_bytes())
    spoilt = folder / name_of(2)
    spoilt.write_bytes(spoilt.read_bytes()[:-1] + b"\0")
    result = module(cache_dir=None, local_dir=str(folder))
    assert result["repaired"] == [name_of(2)]
    assert hub.served == total(hub) - SHARD_BYTES
    gone = module(cache_dir=None, local_dir=str(folder), state="absent")
    assert gone["changed"]
    assert [path.name for path in folder.iterdir() if path.name != ".cache"] == ["mine.txt"]


def test_two_revisions_share_what_they_can(hub: Hub, cache: Path, module: Module) -> None:
    first = module()
    hub.order("reset")
    second = module(revision="v2")
    shared = (hub.models / MODEL / "config.json").stat().st_size
    assert second["bytes_fetched"] < total(hub) - shared
    assert_whole(hub, first["path"])
    assert_whole(hub, second["path"], f"{MODEL}@v2")

    would = module(revision="v2", state="absent", _ansible_check_mode=True, _ansible_diff=True)
    assert would["changed"] and os.path.exists(second["path"])
    assert name_of(1) not in would["diff"]["before"] and "12.6 MB" in would["diff"]["before"]
    gone = module(revision="v2", state="absent")
    assert gone["bytes_freed"] == would["bytes_freed"] >= SHARDS * SHARD_BYTES
    assert not os.path.exists(second["path"])
    assert_whole(hub, first["path"])
    assert module()["changed"] is False
    assert module(revision="v2", state="absent")["changed"] is False
    assert module(state="absent")["changed"]
    assert not list(cache.glob("models--*"))


def test_absent_leaves_a_running_download_alone(hub: Hub, module: Module) -> None:
    hub.faults({"kind": "slow", "rate": MIB // 4, "path": "safetensors"})
    started = module(wait=False)
    busy = module(state="absent")
    assert (busy["failed"], busy["reason_kind"]) == (True, "busy")
    hub.faults()
    assert module(job=started["job"])["finished"]


def test_digests_without_the_hub(hub: Hub, module: Module) -> None:
    path = module(verify="none")["path"]
    nowhere = {"endpoint": "http://127.0.0.1:9", "offline": True, "verify": "sha256"}
    first = module(**nowhere)
    assert (first["changed"], first["offline"], first["verified"]) == (False, True, "sha256")
    assert first["log"], "a job has read everything"
    second = module(**nowhere)
    assert "log" not in second, "nothing was read again"
    blob = Path(os.path.realpath(os.path.join(path, name_of(1))))
    content = bytearray(blob.read_bytes())
    content[-1] ^= 255
    blob.write_bytes(content)
    assert module(endpoint="http://127.0.0.1:9", offline=True)["changed"] is False
    wrong = module(**nowhere)
    assert (wrong["failed"], wrong["reason_kind"]) == (True, "incomplete")
    assert name_of(1) in wrong["msg"]


def test_a_repository_that_was_renamed(hub: Hub, cache: Path, module: Module) -> None:
    result = module(repo_id="acme/old")
    assert "models--acme--old" in result["path"]
    assert_whole(hub, result["path"])
    assert module(repo_id="acme/old")["changed"] is False


def test_what_an_ordinary_client_has_put_into_the_shared_store(hub: Hub, cache: Path, module: Module) -> None:
    """huggingface_hub's own links out of the model's directory are seen, kept, and never deleted through."""
    path = module()["path"]
    blob = Path(os.path.realpath(os.path.join(path, name_of(1))))
    store = cache / "blobs" / "ab" / ("c" * 64)
    store.parent.mkdir(parents=True)
    blob.rename(store)
    blob.symlink_to(os.path.relpath(store, blob.parent))
    result = module()
    assert (result["changed"], result["self_contained"]) == (False, False)
    os.truncate(store, 5 * MIB)
    repaired = module()
    assert repaired["repaired"] == [name_of(1)]
    assert store.stat().st_size == 5 * MIB, "it belongs to others, too"
    assert module()["self_contained"] is True
    assert_whole(hub, path)


@pytest.mark.parametrize("shards", [200])
def test_looking_over_812_gb_takes_a_moment(tmp_path: Path, module: Module, shards: int) -> None:
    commit, size = "c" * 40, 812_000_000_000 // shards
    folder = tmp_path / "hub" / "models--acme--huge" / "snapshots" / commit
    folder.mkdir(parents=True)
    files = {}
    header = json.dumps(
        {f"t{n}": {"dtype": "U8", "shape": [1], "data_offsets": [n, n + 1]} for n in range(500)}
        | {"rest": {"dtype": "U8", "shape": [size - 10**6], "data_offsets": [500, 500 + size - 10**6]}}
    ).encode()
    for number in range(shards):
        name = f"model-{number + 1:05d}-of-{shards:05d}.safetensors"
        with (folder / name).open("wb") as shard:
            shard.write(len(header).to_bytes(8, "little") + header)
            shard.truncate(8 + len(header) + 500 + size - 10**6)
        files[name] = {
            "size": 134,
            "blob_id": "b" * 40,
            "lfs_sha256": f"{number:064x}",
            "lfs_size": os.path.getsize(folder / name),
        }
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {name: name for name in files}}))
    files[index.name] = {"size": index.stat().st_size, "blob_id": "a" * 40}
    tree = folder.parents[1] / "trees" / f"{commit}.json"
    tree.parent.mkdir()
    tree.write_text(json.dumps({"format_version": 1, "files": files}))
    began = time.monotonic()
    result = module(
        repo_id="acme/huge", revision=commit, cache_dir=str(tmp_path / "hub"), endpoint="http://127.0.0.1:9"
    )
    seconds = time.monotonic() - began
    assert (result["changed"], len(result["files"])) == (False, shards + 1)
    assert result["bytes_total"] > 800 * 10**9
    # reading all of it would take minutes, and the module is given two
    print(f"{shards} shards in {seconds:.2f} s")
