# SPDX-License-Identifier: GPL-3.0-or-later
"""llmserve.vllm.hub_image: images into a Hub cache, and back."""

from __future__ import annotations

import hashlib
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.llmserve.vllm.plugins.module_utils import _hub_image
from ansible_collections.llmserve.vllm.plugins.module_utils._hub_repository import HubRepository
from ansible_collections.llmserve.vllm.tests.unit.plugins.image_docker import LAYER, ImageDocker
from ansible_collections.llmserve.vllm.tests.unit.plugins.modules.module_runner import run_module

STOCK, DERIVED = "vllm/vllm-openai:v1", "llmserve/vllm-openai:v1-ray2"


@pytest.fixture
def docker(tmp_path: Path) -> ImageDocker:
    docker = ImageDocker(tmp_path / "docker")
    docker.image(STOCK, "sha256:a")
    docker.image(DERIVED, "sha256:a", "sha256:b")
    docker.archive(("bb/layer.tar", "../aa/layer.tar"))
    return docker


def save(docker: ImageDocker, cache: Path, capsys: pytest.CaptureFixture[str], **more: Any) -> dict[str, Any]:
    args = {"names": [STOCK, DERIVED], "cache_dir": str(cache), "docker_cli": docker.path, **more}
    return run_module("hub_image", capsys, **args)


def saves(docker: ImageDocker) -> int:
    return sum(call.startswith("save ") for call in docker.calls())


def test_images_become_files_by_their_digest_and_come_back(
    docker: ImageDocker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cache = tmp_path / "hub"
    done = save(docker, cache, capsys)
    assert done["changed"] and [image["name"] for image in done["images"]] == [STOCK, DERIVED]
    repo = cache / "models--llmserve--image"
    assert (repo / "blobs" / hashlib.sha256(LAYER).hexdigest()).read_bytes() == LAYER
    # the link of an older engine is a second name for the same bytes
    snapshot = repo / "snapshots" / done["commit"]
    assert (snapshot / "bb/layer.tar").read_bytes() == LAYER
    assert len(list((repo / "blobs").iterdir())) == 2
    assert (repo / "refs/main").read_text() == done["commit"]

    args = {"state": "loaded", "images": done["images"], "path": str(snapshot), "docker_cli": docker.path}
    assert run_module("hub_image", capsys, **args)["changed"] is False
    docker.forget(DERIVED)
    looked = run_module("hub_image", capsys, **args, _ansible_check_mode=True)
    assert looked["changed"] and looked["missing"] == [DERIVED]
    assert run_module("hub_image", capsys, **args)["changed"] is True
    with tarfile.open(docker.folder / "loaded.tar") as tar:
        assert sorted(tar.getnames()) == ["aa/layer.tar", "bb/layer.tar", "manifest.json"]
        assert all(member.isfile() for member in tar)


def test_a_second_save_writes_nothing(docker: ImageDocker, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = save(docker, tmp_path, capsys)
    # another engine gives the same image another id
    docker.image(STOCK, "sha256:a", image_id="sha256:2")
    second = save(docker, tmp_path, capsys)
    assert (second["changed"], second["commit"]) == (False, first["commit"])
    assert saves(docker) == 1


def test_a_changed_image_replaces_the_one_before(
    docker: ImageDocker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = save(docker, tmp_path, capsys)
    docker.image(STOCK, "sha256:a", env="A=2")
    docker.archive()
    second = save(docker, tmp_path, capsys)
    assert second["changed"] and second["commit"] != first["commit"]
    assert os.listdir(tmp_path / "models--llmserve--image/snapshots") == [second["commit"]]


def test_a_lost_blob_is_noticed(docker: ImageDocker, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save(docker, tmp_path, capsys)
    next((tmp_path / "models--llmserve--image/blobs").iterdir()).unlink()
    assert save(docker, tmp_path, capsys)["changed"] is True


def test_check_mode_writes_nothing(docker: ImageDocker, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    done = save(docker, tmp_path / "hub", capsys, _ansible_check_mode=True)
    assert done["changed"] and done["commit"] == ""
    assert not (tmp_path / "hub").exists()


def test_an_interrupted_save_leaves_nothing_that_looks_complete(
    docker: ImageDocker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    docker.break_down()
    failed = save(docker, tmp_path, capsys)
    assert failed["rc"] == 1 and failed["reason_kind"] == "docker"
    assert "no space left" in failed["msg"]
    repository = HubRepository(str(tmp_path), "llmserve/image")
    assert repository.current() is None
    left = tmp_path / "models--llmserve--image/blobs/0123.incomplete"
    left.write_bytes(b"of a process that was killed")
    docker.mend()
    assert save(docker, tmp_path, capsys)["changed"] is True
    assert not left.exists()


def test_what_cannot_be_saved_is_refused(
    docker: ImageDocker, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert save(docker, tmp_path, capsys, names=["a/b@sha256:1"])["reason_kind"] == "digest"
    assert save(docker, tmp_path, capsys, names=["a/b:c"])["reason_kind"] == "image_missing"
    assert save(docker, tmp_path, capsys, docker_cli=str(tmp_path / "none"))["reason_kind"] == "docker"
    monkeypatch.setattr(_hub_image, "free_bytes", lambda _path: ("/srv", 11_000))
    full = save(docker, tmp_path, capsys, reserve_bytes=5_000)
    assert full["reason_kind"] == "disk_full"
    assert "The bundle needs" in full["msg"]
    assert save(docker, tmp_path, capsys)["changed"] is True


def test_what_cannot_be_loaded_says_why(
    docker: ImageDocker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    saved = save(docker, tmp_path, capsys)
    snapshot = tmp_path / "models--llmserve--image/snapshots" / saved["commit"]
    args = {"state": "loaded", "images": saved["images"], "docker_cli": docker.path}
    docker.forget(STOCK)
    assert run_module("hub_image", capsys, **args, path=str(tmp_path))["reason_kind"] == "incomplete"
    docker.break_down()
    failed = run_module("hub_image", capsys, **args, path=str(snapshot))
    assert failed["reason_kind"] == "docker" and "invalid tar header" in failed["msg"]
    docker.mend()
    args["images"] = [dict(image, fingerprint="0") for image in saved["images"]]
    failed = run_module("hub_image", capsys, **args, path=str(snapshot))
    assert failed["reason_kind"] == "other_content"


def test_a_link_to_nothing_is_no_archive(docker: ImageDocker, tmp_path: Path) -> None:
    docker.archive(("bb/layer.tar", "../cc/layer.tar"))
    repository = HubRepository(str(tmp_path), "llmserve/image")
    with pytest.raises(_hub_image.ImageError, match=r"cc/layer\.tar, which is missing"):
        _hub_image.save(docker.path, _hub_image.find_all(docker.path, [STOCK]), repository)
