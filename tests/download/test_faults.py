# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever goes wrong: the model is whole afterwards, or the error is clear and what has come is kept.

The real huggingface_hub downloads from a Hub that counts the bytes it gives out; docs/model_supply.md tells the
outcomes.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from ansible_collections.llmserve.vllm.tests.download.conftest import (
    GATED,
    MIB,
    MODEL,
    SHARD_BYTES,
    TOKEN,
    Hub,
    Module,
    assert_whole,
    job,
    name_of,
    total,
    wait_until,
)

# What is on the way when a connection ends is lost: the client's block, and the buffers of both ends (of the loopback,
# several MB).
IN_FLIGHT = 8 * MIB


def on_disk(cache: Path) -> int:
    """Bytes that a next run need not fetch."""
    sizes = (path.stat().st_size for path in cache.glob("*/blobs/*"))
    return sum(size for size in sizes if size >= MIB)


def logs(cache: Path) -> list[str]:
    return [path.read_text() for path in cache.glob("*/.llmserve/jobs/*.log")]


@pytest.mark.parametrize("percent", [10, 50, 90])
def test_killed(hub: Hub, cache: Path, module: Module, percent: int) -> None:
    hub.faults({"kind": "slow", "rate": 10 * MIB, "path": "safetensors"})
    run = module.begin(max_workers=2)
    wait_until(lambda: on_disk(cache) * 100 >= percent * total(hub))
    os.kill(job(cache)["pid"], signal.SIGKILL)
    kept = on_disk(cache)
    first = module.end(run)
    assert (first["failed"], first["reason_kind"]) == (True, "job_died")
    hub.faults()
    again = module()
    assert again["changed"]
    assert_whole(hub, again["path"])
    assert hub.served <= total(hub) + 2 * IN_FLIGHT
    # what the killed one had written was not fetched again
    assert again["bytes_fetched"] <= total(hub) - kept
    assert not list(cache.glob("*/blobs/*.incomplete"))
    assert module()["changed"] is False


@pytest.mark.parametrize("reset", [False, True])
def test_dropped_twenty_times(hub: Hub, module: Module, reset: bool) -> None:
    hub.faults({"kind": "drop", "after": 3 * MIB, "times": 20, "path": "safetensors", "reset": reset})
    result = module()
    assert_whole(hub, result["path"])
    assert result["bytes_fetched"] == total(hub), "what had arrived was kept each time"
    # less than a block of the client per drop; a reset also takes what is in the buffers
    assert hub.served <= total(hub) + 20 * (3 * MIB if reset else MIB)


def test_a_storm_of_429(hub: Hub, cache: Path, module: Module) -> None:
    hub.faults({"kind": "status", "status": 429, "retry_after": 1, "times": 25, "path": "safetensors$"})
    run = module.begin(max_workers=4)
    wait_until(lambda: "429" in job(cache).get("figures", {}).get("note", "") + "".join(logs(cache)))
    result = module.end(run)
    assert_whole(hub, result["path"])
    assert hub.served == total(hub)


def test_errors_of_the_server(hub: Hub, module: Module) -> None:
    error = {"kind": "status", "status": 500}
    hub.faults({**error, "times": 3, "path": "api"}, {**error, "times": 8, "path": "safetensors$"})
    result = module()
    assert_whole(hub, result["path"])
    assert hub.served == total(hub)


def test_a_stall(hub: Hub, module: Module) -> None:
    # they would outlast the test
    hub.faults({"kind": "stall", "after": 2 * MIB, "seconds": 600, "times": 2, "path": "safetensors"})
    result = module(timeout=2)
    assert_whole(hub, result["path"])


def test_nothing_moves_any_more(hub: Hub, cache: Path, module: Module) -> None:
    stall = {"kind": "stall", "seconds": 60, "path": "safetensors"}
    hub.faults({**stall, "after": 2 * MIB, "times": 1}, {**stall, "after": 0})
    result = module(timeout=1, stall_timeout=3, max_workers=1)
    assert (result["failed"], result["reason_kind"]) == (True, "stalled")
    assert "What has arrived is kept" in result["msg"]
    assert list(cache.glob("*/blobs/*.incomplete"))


def test_wrong_bytes_once(hub: Hub, module: Module) -> None:
    hub.faults({"kind": "corrupt", "at": 5 * MIB, "times": 1, "path": name_of(2)})
    result = module()
    assert result["refetched"] == [name_of(2)]
    assert_whole(hub, result["path"])
    assert hub.served == total(hub) + SHARD_BYTES


def test_wrong_bytes_always(hub: Hub, module: Module) -> None:
    hub.faults({"kind": "corrupt", "at": 5 * MIB, "path": name_of(2)})
    result = module()
    assert (result["failed"], result["reason_kind"]) == (True, "wrong_content")
    assert name_of(2) in result["msg"]
    hub.faults()
    assert_whole(hub, module()["path"])


def test_a_shard_is_truncated_later(hub: Hub, module: Module) -> None:
    path = module()["path"]
    blob = os.path.realpath(os.path.join(path, name_of(3)))
    os.truncate(blob, 7 * MIB)
    hub.order("reset")
    would = module(_ansible_check_mode=True)
    assert (would["changed"], would["repaired"]) == (True, [name_of(3)])
    result = module()
    assert result["repaired"] == [name_of(3)]
    assert_whole(hub, path)
    # its beginning was good
    assert hub.served == SHARD_BYTES - 7 * MIB


def test_a_shard_is_damaged_later(hub: Hub, module: Module) -> None:
    path = module(verify="sha256")["path"]
    blob = Path(os.path.realpath(os.path.join(path, name_of(3))))
    content = bytearray(blob.read_bytes())
    content[9 * MIB] ^= 255
    blob.write_bytes(content)
    hub.order("reset")
    assert module()["changed"] is False, "sizes and headers cannot tell"
    result = module(verify="sha256")
    assert (result["changed"], result["repaired"], hub.served) == (True, [name_of(3)], SHARD_BYTES)
    assert_whole(hub, path)


def test_an_error_page_in_place_of_a_shard(hub: Hub, module: Module) -> None:
    path = module()["path"]
    Path(os.path.realpath(os.path.join(path, name_of(1)))).write_bytes(b"<html>".ljust(SHARD_BYTES))
    result = module()
    assert result["repaired"] == [name_of(1)]
    assert_whole(hub, path)


def test_the_index_names_a_shard_that_is_nowhere(hub: Hub, module: Module) -> None:
    result = module(repo_id="acme/lacking")
    assert (result["failed"], result["reason_kind"]) == (True, "index_incomplete")
    assert name_of(3) in result["msg"] and "the repository lacks them" in result["msg"]
    assert hub.served < MIB, "no weights for nothing"


def test_the_token_is_revoked_midway(hub: Hub, cache: Path, module: Module) -> None:
    hub.faults({"kind": "slow", "rate": 8 * MIB, "path": "safetensors"})
    run = module.begin(repo_id=GATED, token=TOKEN, max_workers=1)
    wait_until(lambda: job(cache).get("figures", {}).get("bytes_done", 0) > 15 * MIB)
    hub.order("revoke", {"token": TOKEN})
    result = module.end(run)
    assert (result["failed"], result["reason_kind"]) == (True, "token_refused")
    kept = job(cache)["figures"]["bytes_done"]
    hub.order("allow", {"token": TOKEN})
    hub.faults()
    again = module(repo_id=GATED, token=TOKEN)
    assert_whole(hub, again["path"], GATED)
    assert again["bytes_fetched"] <= total(hub, GATED) - kept
    assert hub.stats["token_at_storage"] == 0


def test_the_branch_moves_midway(hub: Hub, cache: Path, module: Module) -> None:
    hub.faults({"kind": "slow", "rate": 10 * MIB, "path": "safetensors"})
    run = module.begin(max_workers=2)
    wait_until(lambda: job(cache).get("figures", {}).get("bytes_done", 0) > 10 * MIB)
    hub.order("move", {"repo": MODEL, "to": "v2"})
    result = module.end(run)
    assert_whole(hub, result["path"])
    assert any("has moved" in str(warning) for warning in result["warnings"])
    assert module(stay_on_commit=True)["commit"] == result["commit"]
    hub.faults()
    newer = module()
    assert newer["commit"] != result["commit"]
    assert_whole(hub, newer["path"], f"{MODEL}@v2")


def test_two_runs_at_once(hub: Hub, module: Module) -> None:
    hub.faults({"kind": "slow", "rate": 20 * MIB, "path": "safetensors"})
    runs = [module.begin(), module.begin()]
    results = [module.end(run) for run in runs]
    assert all(result["changed"] for result in results)
    assert results[0]["path"] == results[1]["path"]
    assert_whole(hub, results[0]["path"])
    assert hub.served == total(hub)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small filesystem")
def test_the_disk_is_full(hub: Hub, tmp_path: Path, module: Module) -> None:
    mount = tmp_path / "small"
    mount.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={total(hub) + 8 * MIB}", "tmpfs", str(mount)], check=True)
    try:
        ballast = mount / "ballast"
        ballast.write_bytes(bytes(20 * MIB))
        refused = module(cache_dir=str(mount / "hub"))
        assert (refused["failed"], refused["reason_kind"]) == (True, "disk_full")
        assert "Free at least" in refused["msg"] and hub.served == 0
        ballast.unlink()

        hub.faults({"kind": "slow", "rate": 10 * MIB, "path": "safetensors"})
        run = module.begin(cache_dir=str(mount / "hub"), max_workers=2)
        wait_until(lambda: job(mount / "hub").get("figures", {}).get("bytes_done", 0) > 5 * MIB)
        ballast.write_bytes(bytes(20 * MIB))
        full = module.end(run)
        assert (full["failed"], full["reason_kind"]) == (True, "disk_full")
        assert "Still to fetch" in full["msg"]
        kept = sum(path.stat().st_size for path in mount.glob("hub/*/blobs/*"))
        assert kept > 10 * MIB
        ballast.unlink()
        hub.faults()
        again = module(cache_dir=str(mount / "hub"))
        assert_whole(hub, again["path"])
        assert again["bytes_fetched"] <= total(hub) - kept
    finally:
        subprocess.run(["umount", "-l", str(mount)], check=True)


def test_the_token_is_nowhere(hub: Hub, cache: Path, module: Module) -> None:
    hub.faults({"kind": "slow", "rate": 10 * MIB, "path": "safetensors"}, {"kind": "status", "status": 429, "times": 3})
    run = module.begin(repo_id=GATED, token=TOKEN)
    wait_until(lambda: job(cache).get("figures", {}).get("bytes_done", 0) > 5 * MIB)
    process = Path("/proc", str(job(cache)["pid"]))
    for name in ("cmdline", "environ"):
        assert TOKEN.encode() not in (process / name).read_bytes()
    result = module.end(run)
    assert TOKEN not in str({**result, "invocation": {}})
    for folder, _folders, names in os.walk(cache):
        for name in names:
            assert TOKEN.encode() not in Path(folder, name).read_bytes()
    shutil.rmtree(cache)
