# SPDX-License-Identifier: GPL-3.0-or-later
"""The shell of llmserve.vllm.hf_cache_info, with this machine's own processes."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.llmserve.vllm.tests.unit.plugins.modules.module_runner import run_module

COMMIT = "5e" * 20


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    made = tmp_path / "hf" / "hub"
    snapshot = made / "models--acme--tiny" / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").write_text("{}")
    return made


@pytest.fixture
def docker(tmp_path: Path) -> Path:
    """A client whose daemon is not there."""
    path = tmp_path / "docker"
    path.write_text("#!/bin/sh\necho 'Cannot connect to the Docker daemon' >&2\nexit 1\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def server(cache: Path) -> Iterator[int]:
    """A process that names the snapshot as a server does."""
    path = str(cache / "models--acme--tiny" / "snapshots" / COMMIT)
    process = subprocess.Popen([sys.executable, "-c", "input()", "serve", path], stdin=subprocess.PIPE)
    try:
        yield process.pid
    finally:
        process.kill()
        process.communicate()


def test_a_cache(*, cache: Path, tmp_path: Path, server: int, capsys: pytest.CaptureFixture[str]) -> None:
    args = {"cache_dir": str(cache), "docker_cli": str(tmp_path / "none"), "wanted": {"acme/tiny": COMMIT}}
    result = run_module("hf_cache_info", capsys, **args)
    assert (result["changed"], result["rc"], result["warned"], result["problems"]) == (False, 0, "", [])
    [revision] = result["models"][0]["revisions"]
    assert (revision["commit"], revision["wanted"], revision["bytes_freed"]) == (COMMIT, True, 2)
    assert revision["in_use"] == result["in_use"][COMMIT]
    assert revision["in_use"][0].startswith(f"process {server} (python")
    assert run_module("hf_cache_info", capsys, **args, repo_id="acme/none")["models"] == []


def test_no_cache_and_no_user(*, tmp_path: Path, docker: Path, capsys: pytest.CaptureFixture[str]) -> None:
    args = {"cache_dir": str(tmp_path / "none"), "run_as": "nobody-of-that-name", "docker_cli": str(docker)}
    result = run_module("hf_cache_info", capsys, **args)
    assert (result["models"], result["identity"]) == ([], "")
    assert "Cannot connect to the Docker daemon" in result["warned"]
    (tmp_path / "none").mkdir()
    refused = run_module("hf_cache_info", capsys, **args)
    assert (refused["failed"], refused["reason_kind"]) == (True, "run_as")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_as_the_owner_of_the_cache(*, cache: Path, docker: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # the users of this machine may not enter the directories of pytest
    for folder in (cache.parent, *cache.parent.parents[:3]):
        folder.chmod(0o755)
    cache.chmod(0o700)
    args = {"cache_dir": str(cache), "run_as": "nobody", "docker_cli": str(docker)}
    assert "set run_as to its owner" in run_module("hf_cache_info", capsys, **args)["problems"][0]
    os.chown(cache, pwd.getpwnam("nobody").pw_uid, -1)
    assert len(run_module("hf_cache_info", capsys, **args)["models"]) == 1
