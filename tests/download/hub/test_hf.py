# SPDX-License-Identifier: GPL-3.0-or-later
"""The command `hf`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ..conftest import Hub
from .conftest import OTHERS, REPO, STRANGER, TOKEN, WEIGHTS, file, files

HF = shutil.which("hf", path=str(Path(sys.executable).parent))


@pytest.fixture
def hf(hub: Hub, tmp_path: Path) -> Any:
    if HF is None:
        pytest.skip("hf is not beside this Python")

    def run(*arguments: str, token: str = "") -> subprocess.CompletedProcess[str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGING"))}
        ours = {"HF_ENDPOINT": hub.address, "HF_HOME": str(tmp_path / "hf"), "HF_TOKEN": token, "NO_COLOR": "1"}
        # it would ask a package index for news of itself
        ours |= {"HF_HUB_DISABLE_UPDATE_CHECK": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
        return subprocess.run(
            [str(HF), *arguments], env={**kept, **ours}, capture_output=True, text=True, check=False, timeout=60
        )

    return run


def test_hf_whoami(hf: Any) -> None:
    assert "sandbox-user" in hf("auth", "whoami", token=TOKEN).stdout
    wrong = hf("auth", "whoami", token="hf_wrong")
    assert wrong.returncode != 0 and "Invalid user token" in wrong.stderr + wrong.stdout


def test_hf_download(hf: Any, hub: Hub) -> None:
    done = hf("download", REPO, "--quiet")
    assert done.returncode == 0, done.stderr
    path = Path(done.stdout.strip())
    assert {name: (path / name).read_bytes() for name in files(hub)} == files(hub)
    verified = hf("cache", "verify", REPO)
    assert verified.returncode == 0, verified.stderr


def test_hf_download_of_some_files(hf: Any, hub: Hub) -> None:
    done = hf("download", REPO, "--include", "*.safetensors", "--include", "config.json", "--quiet")
    assert done.returncode == 0, done.stderr
    path = Path(done.stdout.strip())
    assert {item.name for item in path.iterdir()} == {WEIGHTS, OTHERS, "config.json"}
    one = hf("download", REPO, "original/params.json", "--quiet")
    assert Path(one.stdout.strip()).read_bytes() == file(hub, "original/params.json")


@pytest.mark.parametrize(("revision", "suffix"), [("v1", "@v1"), ("refs/pr/1", "@refs%2Fpr%2F1")])
def test_hf_download_of_a_revision(hf: Any, hub: Hub, tmp_path: Path, revision: str, suffix: str) -> None:
    done = hf("download", REPO, "--revision", revision, "--local-dir", str(tmp_path / "here"))
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "here" / WEIGHTS).read_bytes() == file(hub, WEIGHTS, suffix)
    assert (tmp_path / "here" / "config.json").read_bytes() == file(hub, "config.json", suffix)


def test_hf_is_refused(hf: Any, hub: Hub) -> None:
    hub.order("gate", {"repo": REPO, "gated": True})
    refused = hf("download", REPO, token=STRANGER)
    assert refused.returncode != 0 and "requires approval" in refused.stderr
    missing = hf("download", "acme/nowhere")
    assert missing.returncode != 0 and "not found" in missing.stderr.lower()
