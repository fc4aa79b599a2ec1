# SPDX-License-Identifier: GPL-3.0-or-later
"""The module with the real huggingface_hub against the sandbox's hub."""

from __future__ import annotations

import os
import pwd
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.llmserve.vllm.tests.unit.plugins.local_hub import (
    GATED,
    MODEL,
    STRANGER,
    TOKEN,
    free_port,
    make_model,
    running_hub,
    safetensors,
)
from ansible_collections.llmserve.vllm.tests.unit.plugins.modules.module_runner import run_module

pytest.importorskip("huggingface_hub")
WANTED = [
    "config.json",
    "model-00001-of-00002.safetensors",
    "model-00002-of-00002.safetensors",
    "model.safetensors.index.json",
    "tokenizer.json",
]


Run = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("hub")
    make_model(folder / "models" / MODEL)
    make_model(folder / "models" / GATED)
    with running_hub(folder) as address:
        yield address


@pytest.fixture(autouse=True)
def own_environment() -> Iterator[None]:
    """The module sets the environment of its process."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture
def cache(tmp_path: Path) -> str:
    return str(tmp_path / "hf" / "hub")


@pytest.fixture
def snapshot(capsys: pytest.CaptureFixture[str]) -> Run:
    def run(hub: str, cache: str, check: bool = False, diff: bool = False, **args: Any) -> dict[str, Any]:
        given = {"repo_id": MODEL, "cache_dir": cache, "endpoint": hub, "timeout": 5, **args}
        return run_module("hf_snapshot", capsys, _ansible_check_mode=check, _ansible_diff=diff, **given)

    return run


def test_check_download_and_nothing_more(hub: str, cache: str, snapshot: Run) -> None:
    would = snapshot(hub, cache, check=True, diff=True)
    assert would["changed"]
    assert (would["files_fetched"], would["bytes_fetched"]) == (5, would["bytes_total"])
    assert would["diff"]["before"] == ""
    assert "config.json 23 B\n" in would["diff"]["after"]
    assert not os.path.exists(cache)

    did = snapshot(hub, cache)
    assert did["changed"]
    assert [item["path"] for item in did["files"]] == WANTED
    assert all(item["fetched"] for item in did["files"])
    assert did["path"] == os.path.join(cache, "models--acme--tiny", "snapshots", did["commit"])
    assert sorted(os.listdir(did["path"])) == WANTED
    assert did["bytes_fetched"] == sum(os.path.getsize(os.path.join(did["path"], name)) for name in WANTED)

    for check in (False, True):
        again = snapshot(hub, cache, check=check)
        assert (again["changed"], again["files_fetched"], again["bytes_fetched"]) == (False, 0, 0)


def test_a_damaged_file_is_fetched_again(hub: str, cache: str, snapshot: Run) -> None:
    path = snapshot(hub, cache)["path"]
    shard = os.path.join(path, WANTED[1])
    Path(os.path.realpath(shard)).write_bytes(b"cut")
    would = snapshot(hub, cache, check=True)
    assert (would["changed"], would["files_fetched"]) == (True, 1)
    result = snapshot(hub, cache)
    assert [item["path"] for item in result["files"] if item["fetched"]] == [WANTED[1]]
    assert Path(shard).read_bytes() == safetensors(100)
    assert snapshot(hub, cache)["changed"] is False


def test_a_missing_link_or_ref_is_a_change(hub: str, cache: str, snapshot: Run) -> None:
    first = snapshot(hub, cache)
    ref = Path(cache, "models--acme--tiny", "refs", "main")
    ref.unlink()
    second = snapshot(hub, cache)
    assert (second["changed"], second["files_fetched"]) == (True, 0)
    assert ref.read_text() == first["commit"]
    assert snapshot(hub, cache, revision=first["commit"])["changed"] is False


def test_patterns(hub: str, cache: str, snapshot: Run) -> None:
    result = snapshot(hub, cache, allow_patterns=["*.json"], ignore_patterns=["tokenizer*", "*.index.json"])
    # without its index there is nothing that the weights are missing from
    assert [item["path"] for item in result["files"]] == ["config.json"]


def test_offline(hub: str, cache: str, snapshot: Run) -> None:
    nothing = snapshot(hub, cache, offline=True)
    assert (nothing["failed"], nothing["reason_kind"]) == (True, "incomplete")
    path = snapshot(hub, cache)["path"]
    result = snapshot("http://127.0.0.1:9", cache, offline=True)
    assert (result["changed"], result["offline"], result["path"]) == (False, True, path)
    os.unlink(os.path.join(path, "tokenizer.json"))
    assert snapshot(hub, cache, offline=True)["changed"]
    os.unlink(os.path.realpath(os.path.join(path, "config.json")))
    assert snapshot(hub, cache, offline=True)["reason_kind"] == "incomplete"


def test_an_unreachable_hub(hub: str, cache: str, snapshot: Run) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}"
    lost = snapshot(nowhere, cache)
    assert (lost["failed"], lost["reason_kind"]) == (True, "hub_unreachable")
    snapshot(hub, cache)
    result = snapshot(nowhere, cache)
    assert (result["changed"], result["offline"]) == (False, True)
    assert "cannot be reached" in result["warned"]


@pytest.mark.parametrize(
    ("args", "kind"),
    [
        ({"repo_id": "acme/none"}, "model_not_found"),
        ({"repo_id": "acme/none", "token": TOKEN}, "model_not_found"),
        ({"repo_id": "not/a/repo"}, "model_not_found"),
        ({"revision": "v9"}, "revision_not_found"),
        ({"token": "hf_mistyped"}, "token_refused"),
        ({"repo_id": GATED}, "token_missing"),
        ({"repo_id": GATED, "token": STRANGER}, "licence_not_accepted"),
    ],
)
@pytest.mark.parametrize("check", [False, True])
def test_refusals(*, hub: str, cache: str, args: dict[str, str], kind: str, check: bool, snapshot: Run) -> None:
    result = snapshot(hub, cache, check=check, **args)
    assert result["failed"], result
    assert result["reason_kind"] == kind
    if "token" in args:
        assert args["token"] not in str(result)


def test_a_gated_model_with_access(hub: str, cache: str, snapshot: Run) -> None:
    assert snapshot(hub, cache, repo_id=GATED, token=TOKEN)["files_fetched"] == 5


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_the_cache_belongs_to_run_as(hub: str, tmp_path: Path, snapshot: Run) -> None:
    # the users of this machine may not enter the directories of pytest
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    # as root first: what is imported on the way may lie where nobody else can read it, in root's home for one
    assert snapshot(hub, str(tmp_path / "of-root"))["changed"]
    home = tmp_path / "hf"
    home.mkdir()
    cache = str(home / "hub")
    refused = snapshot(hub, cache, run_as="nobody")
    assert (refused["failed"], refused["reason_kind"]) == (True, "not_writable")
    assert "for the user nobody" in refused["msg"]
    os.chown(home, pwd.getpwnam("nobody").pw_uid, -1)
    result = snapshot(hub, cache, run_as="nobody")
    assert result.get("changed"), result
    assert os.stat(os.path.realpath(os.path.join(result["path"], "config.json"))).st_uid == home.stat().st_uid
    assert snapshot(hub, cache, run_as="nobody")["changed"] is False


def test_a_python_without_the_library(hub: str, cache: str, monkeypatch: pytest.MonkeyPatch, snapshot: Run) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    result = snapshot(hub, cache)
    assert result["reason_kind"] == "library_missing"
    assert "ansible_python_interpreter" in result["msg"]
