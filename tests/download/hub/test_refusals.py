# SPDX-License-Identifier: GPL-3.0-or-later
"""Who gets nothing, and how the client understands it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ..conftest import Hub
from .conftest import REPO, STRANGER, TOKEN, WEIGHTS, metadata

errors = pytest.importorskip("huggingface_hub.errors")


@pytest.mark.parametrize(
    ("token", "status"), [(False, 401), (STRANGER, 403)], ids=["nobody", "who has not accepted the licence"]
)
def test_gated(api: Any, hub: Hub, tmp_path: Path, token: Any, status: int) -> None:
    hub.order("gate", {"repo": REPO, "gated": True})
    assert api.model_info(REPO, token=token).gated == "manual"
    for path in ("config.json", WEIGHTS):
        with pytest.raises(errors.GatedRepoError) as refused:
            metadata(api, path, token=token)
        assert refused.value.response.status_code == status
        assert f"Access to model {REPO} is restricted" in str(refused.value)
    with pytest.raises(errors.GatedRepoError):
        api.auth_check(REPO, token=token)
    with pytest.raises(errors.GatedRepoError):
        api.snapshot_download(REPO, token=token, cache_dir=tmp_path)
    hub.order("allow", {"token": TOKEN})
    api.auth_check(REPO, token=TOKEN)
    assert api.snapshot_download(REPO, token=TOKEN, cache_dir=tmp_path)


def test_a_token_that_does_not_exist(api: Any) -> None:
    for ask in (api.model_info, api.auth_check, lambda repo, token: metadata(api, WEIGHTS, token=token)):
        with pytest.raises(errors.HfHubHTTPError) as refused:
            ask(REPO, token="hf_wrong")
        assert refused.value.response.status_code == 401
        assert not isinstance(refused.value, errors.RepositoryNotFoundError)
    with pytest.raises(errors.HfHubHTTPError, match="Invalid user token"):
        api.whoami(token="hf_wrong")
    assert api.whoami(token=TOKEN)["name"] == "sandbox-user"


@pytest.mark.parametrize(("token", "status"), [(False, 401), (TOKEN, 404)])
def test_no_such_repository(api: Any, tmp_path: Path, token: Any, status: int) -> None:
    for ask in (api.model_info, api.auth_check, api.list_repo_refs, lambda repo, token: api.list_repo_files(repo)):
        with pytest.raises(errors.RepositoryNotFoundError) as missing:
            ask("acme/nowhere", token=token)
        assert not isinstance(missing.value, errors.GatedRepoError)
    with pytest.raises(errors.RepositoryNotFoundError) as missing:
        api.hf_hub_download("acme/nowhere", "config.json", token=token, cache_dir=tmp_path)
    assert missing.value.response.status_code == status


def test_no_such_revision(api: Any, tmp_path: Path) -> None:
    for revision in ("v3", "0" * 40, "refs/pr/7", api.model_info(REPO).sha[:8]):
        with pytest.raises(errors.RevisionNotFoundError):
            api.model_info(REPO, revision=revision)
        with pytest.raises(errors.RevisionNotFoundError):
            api.hf_hub_download(REPO, "config.json", revision=revision, cache_dir=tmp_path)
        with pytest.raises(errors.RevisionNotFoundError):
            list(api.list_repo_tree(REPO, revision=revision))


def test_no_such_file(api: Any, tmp_path: Path) -> None:
    with pytest.raises(errors.EntryNotFoundError):
        api.hf_hub_download(REPO, "nowhere.json", cache_dir=tmp_path)
    commit = api.model_info(REPO).sha
    # the client remembers that, for the Hub has named the commit
    assert (tmp_path / "models--acme--small" / ".no_exist" / commit / "nowhere.json").exists()
    assert not api.file_exists(REPO, "nowhere.json")
    assert api.file_exists(REPO, "original/params.json")
