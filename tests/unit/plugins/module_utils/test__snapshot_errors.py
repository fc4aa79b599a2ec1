# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes wrong with the Hub, told apart."""

from __future__ import annotations

import errno
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.llmserve.vllm.plugins.module_utils._snapshot_errors import Request, SnapshotError, explain


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
