# SPDX-License-Identifier: GPL-3.0-or-later
"""Completeness of snapshots, and errors told apart."""

from __future__ import annotations

import errno
import json
import struct
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.llmserve.vllm.plugins.module_utils._snapshot import (
    INDEX,
    ListedFile,
    Listing,
    damage,
    ensure,
    environment,
    safetensors_problem,
)
from ansible_collections.llmserve.vllm.plugins.module_utils._snapshot_errors import Request, SnapshotError, explain
from ansible_collections.llmserve.vllm.tests.unit.plugins.local_hub import make_model, safetensors


def request(**changes: Any) -> Request:
    given: dict[str, Any] = {
        "repo_id": "acme/tiny",
        "revision": "main",
        "cache_dir": "/srv/hf/hub",
        "endpoint": "https://hub.example.org",
        "token": "",
        "allow_patterns": None,
        "ignore_patterns": (),
        "max_workers": 2,
        "user": "llmserve",
    }
    return Request(**{**given, **changes})


def test_environment() -> None:
    assert environment("/srv/hf/hub", "https://h", 30)["HF_HOME"] == "/srv/hf"
    settings = environment("/srv/cache", "https://h", 0.2)
    assert settings["HF_HOME"] == "/srv/cache"
    assert (settings["HF_HUB_ETAG_TIMEOUT"], settings["HF_HUB_DISABLE_TELEMETRY"]) == ("1", "1")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (safetensors(10), None),
        (b"", "is empty"),
        (b"abc", "is cut off"),
        (safetensors(10)[:-3], "its header describes"),
        (safetensors(10) + b"x", "its header describes"),
        (safetensors(10)[:20], "cut off in its header"),
        (struct.pack("<Q", 1 << 40) + b"{}", "is not a safetensors file"),
        (struct.pack("<Q", 4) + b"nope", "has an unreadable header"),
        (struct.pack("<Q", 2) + b"[]", "has an unreadable header"),
        (struct.pack("<Q", 2) + b"{}", None),
    ],
)
def test_safetensors_problem(tmp_path: Path, content: bytes, problem: str | None) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    found = safetensors_problem(str(path))
    assert (found is None) if problem is None else (found is not None and problem in found)


def test_damage_of_a_model_directory(tmp_path: Path) -> None:
    make_model(tmp_path / "m")
    assert damage(str(tmp_path / "m")) == []
    (tmp_path / "m" / "model-00001-of-00002.safetensors").unlink()
    (tmp_path / "m" / "model-00002-of-00002.safetensors").write_bytes(b"")
    assert damage(str(tmp_path / "m")) == [
        "model-00001-of-00002.safetensors is missing",
        "model-00002-of-00002.safetensors is empty",
    ]
    (tmp_path / "m" / INDEX).write_text(json.dumps({"weight_map": []}))
    assert damage(str(tmp_path / "m")) == [INDEX + " is unreadable"]


def hub_error(name: str, *bases: type[Exception], status: int | None = None, text: str = "said") -> Exception:
    """An exception of huggingface_hub, by the name of its class."""
    kind = type(name, bases or (Exception,), {})
    error: Exception = kind(text)
    if status:
        error.response = SimpleNamespace(status_code=status)  # type: ignore[attr-defined]
    return error


class RepositoryNotFoundError(Exception):
    """As in huggingface_hub, GatedRepoError is one of these."""


@pytest.mark.parametrize(
    ("error", "token", "kind"),
    [
        (hub_error("GatedRepoError", RepositoryNotFoundError, status=401), "", "token_missing"),
        (hub_error("GatedRepoError", RepositoryNotFoundError, status=403), "t", "licence_not_accepted"),
        (
            hub_error("HfHubHTTPError", OSError, status=401, text="Invalid credentials in Authorization header"),
            "t",
            "token_refused",
        ),
        (hub_error("RepositoryNotFoundError", status=401), "", "model_not_found"),
        (hub_error("HFValidationError", ValueError), "", "model_not_found"),
        (hub_error("RevisionNotFoundError", status=404), "", "revision_not_found"),
        (hub_error("HfHubHTTPError", OSError, status=403), "t", "licence_not_accepted"),
        (hub_error("HfHubHTTPError", OSError, status=503), "", "hub_unreachable"),
        (hub_error("ConnectError"), "", "hub_unreachable"),
        (ConnectionResetError("reset"), "", "hub_unreachable"),
        (OSError(errno.ENOSPC, "No space left on device"), "", "disk_full"),
        (RuntimeError("No space left on device (os error 28)"), "", "disk_full"),
        (PermissionError(errno.EACCES, "Permission denied", "/srv/hf/hub/x"), "", "not_writable"),
        (ValueError("surprise"), "", "hub_error"),
    ],
)
def test_explain(error: Exception, token: str, kind: str) -> None:
    # huggingface_hub wraps what a dry run met
    wrapped = OSError("Dry run cannot be performed")
    wrapped.__cause__ = error
    for item in (error, wrapped):
        found = explain(item, request(token=token))
        assert found.kind == kind
        assert len(str(found)) > 30


def test_explain_leaves_our_own_errors_alone() -> None:
    mine = SnapshotError("incomplete", "x")
    assert explain(mine, request()) is mine


class Library:
    """A hub in memory."""

    def __init__(self, *files: ListedFile, commit: str = "c" * 40) -> None:
        self.files = list(files)
        self.commit = commit
        self.path = ""

    def describe(self, request: Request) -> Listing:
        return Listing("c" * 40, self.files)

    def download(self, request: Request) -> str:
        return "/snapshots/" + self.commit


def test_patterns_that_match_nothing(tmp_path: Path) -> None:
    with pytest.raises(SnapshotError, match="matches allow_patterns") as caught:
        ensure(request(cache_dir=str(tmp_path), allow_patterns=["*.x"]), Library(ListedFile("a", 1, "e")), False)
    assert caught.value.kind == "nothing_matches"


def test_a_branch_that_moves_during_the_download(tmp_path: Path) -> None:
    with pytest.raises(SnapshotError, match="has moved") as caught:
        ensure(request(cache_dir=str(tmp_path)), Library(ListedFile("a", 1, "e"), commit="d" * 40), False)
    assert caught.value.kind == "revision_moved"


def test_a_download_that_leaves_something_out(tmp_path: Path) -> None:
    with pytest.raises(SnapshotError, match="not whole after the download: a is missing") as caught:
        ensure(request(cache_dir=str(tmp_path)), Library(ListedFile("a", 1, "e")), False)
    assert caught.value.kind == "incomplete"


def test_content_that_another_revision_brought_is_not_fetched(tmp_path: Path) -> None:
    blobs = tmp_path / "models--acme--tiny" / "blobs"
    blobs.mkdir(parents=True)
    (blobs / "e").write_text("x")
    result = ensure(request(cache_dir=str(tmp_path)), Library(ListedFile("a", 1, "e"), ListedFile("b", 2, "f")), True)
    assert (result["changed"], result["files_fetched"], result["bytes_fetched"]) == (True, 1, 2)
    assert [(item["path"], item["fetched"]) for item in result["files"]] == [("a", False), ("b", True)]
