# SPDX-License-Identifier: GPL-3.0-or-later
"""llmserve.vllm.bundle_seal and bundle_check: the lists of a bundle, and what they find."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.llmserve.vllm.plugins.module_utils._bundle_check import (
    Checksums,
    few,
    open_bundle,
    read_sums,
)
from ansible_collections.llmserve.vllm.plugins.module_utils._hub_repository import HubRepository, commit_of
from ansible_collections.llmserve.vllm.plugins.module_utils._snapshot_listing import announce
from ansible_collections.llmserve.vllm.plugins.module_utils._snapshot_store import ListedFile, Listing, write_text
from ansible_collections.llmserve.vllm.tests.unit.plugins.modules.module_runner import run_module

MODEL, IMAGE = "org/model", "vllm/vllm-openai:v1"
COMMIT = "c" * 40
CONTENT = {"config.json": b"{}", "model.safetensors": b"weights" * 100}
Seal = Callable[..., dict[str, Any]]
Check = Callable[..., dict[str, Any]]


def git_id(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A bundle as the role leaves it before it is sealed."""
    folder = tmp_path / "bundle"
    (folder / "wheels").mkdir(parents=True)
    (folder / "wheels/a-1-py3-none-any.whl").write_bytes(b"wheel a")
    (folder / "wheels/b-1-py3-none-any.whl").write_bytes(b"wheel b")
    store = HubRepository(str(folder / "hub"), MODEL).store
    files = [
        ListedFile("config.json", 2, git_id(CONTENT["config.json"])),
        ListedFile("model.safetensors", 700, hashlib.sha256(CONTENT["model.safetensors"]).hexdigest()),
        # on the Hub, but nothing that is served
        ListedFile("original/consolidated.00.pth", 9, "0" * 64),
    ]
    for item in files[:2]:
        path = Path(store.content(item))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(CONTENT[item.path])
        store.link(COMMIT, item)
    announce(store.state, "main", Listing(COMMIT, files))
    write_text(os.path.join(store.repo, "refs", "main"), COMMIT)
    image = HubRepository(str(folder / "hub"), "llmserve/image")
    image.add("manifest.json", io.BytesIO(b"[]"))
    image.commit()
    return folder


@pytest.fixture
def seal(bundle: Path, capsys: pytest.CaptureFixture[str]) -> Seal:
    def run(**more: Any) -> dict[str, Any]:
        args: dict[str, Any] = {
            "path": str(bundle),
            "model": MODEL,
            "images": [{"name": IMAGE}, {"name": "llmserve/vllm-openai:v1-ray2"}],
            "architecture": "x86_64",
            "ray_version": "2",
            "hub_version": "2.4.0",
            "python_versions": ["3.10", "3.12"],
            "collection_version": "0.1.0",
        }
        return run_module("bundle_seal", capsys, **{**args, **more})

    return run


@pytest.fixture
def check(bundle: Path, capsys: pytest.CaptureFixture[str]) -> Check:
    def run(**more: Any) -> dict[str, Any]:
        host = {"name": "node1", "architecture": "x86_64", "python": "3.12"}
        args: dict[str, Any] = {"path": str(bundle), "model": MODEL, "image": IMAGE, "hosts": [host]}
        return run_module("bundle_check", capsys, **{**args, "ray_version": "2", "hub_version": "2.4.0", **more})

    return run


def blob(bundle: Path) -> Path:
    """The blob of the weights."""
    return bundle / "hub/models--org--model/blobs" / hashlib.sha256(CONTENT["model.safetensors"]).hexdigest()


def test_sealed_once_and_then_left_alone(bundle: Path, seal: Seal) -> None:
    first = seal()
    assert first["changed"] is True
    assert first["manifest"]["model"] == {"repo_id": MODEL, "revision": "main", "commit": COMMIT}
    text = (bundle / "bundle.json").read_text()
    assert seal()["changed"] is False
    assert (bundle / "bundle.json").read_text() == text
    (bundle / "wheels/c-1-py3-none-any.whl").write_bytes(b"wheel c")
    assert seal()["changed"] is True


def test_sha256sum_agrees_and_every_file_that_is_served_is_listed(bundle: Path, seal: Seal) -> None:
    seal()
    done = subprocess.run(
        ["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=bundle, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    listed = set(read_sums((bundle / "SHA256SUMS").read_text()))
    assert {"bundle.json", "wheels/a-1-py3-none-any.whl", str(blob(bundle).relative_to(bundle))} <= listed
    blobs = {str(path.relative_to(bundle)) for path in bundle.glob("hub/*/blobs/*")}
    assert blobs <= listed


def test_the_same_wheels_are_the_same_archive(bundle: Path, seal: Seal) -> None:
    commit = seal()["manifest"]["wheels"]["commit"]
    for wheel in (bundle / "wheels").iterdir():
        os.utime(wheel, (1, 1))
    assert seal()["manifest"]["wheels"]["commit"] == commit


def test_check_mode_writes_no_lists(bundle: Path, seal: Seal) -> None:
    assert seal(_ansible_check_mode=True)["changed"] is True
    assert not (bundle / "bundle.json").exists()
    seal()
    assert seal(_ansible_check_mode=True)["changed"] is False


def test_an_incomplete_bundle_is_not_sealed(bundle: Path, seal: Seal) -> None:
    blob(bundle).write_bytes(b"half")
    failed = seal()
    assert failed["reason_kind"] == "incomplete" and "model.safetensors" in failed["msg"]
    blob(bundle).unlink()
    (bundle / "elsewhere").write_bytes(CONTENT["model.safetensors"])
    blob(bundle).symlink_to(bundle / "elsewhere")
    assert "link out of the bundle" in seal()["msg"]
    assert not (bundle / "SHA256SUMS").exists()


def test_a_good_bundle_is_accepted_and_not_read_twice(bundle: Path, seal: Seal, check: Check) -> None:
    seal()
    assert check()["manifest"]["format"] == 1
    _manifest, sums = open_bundle(str(bundle))
    assert Checksums(str(bundle), sums, {}).work(1e-9) is True
    # the same size, another content: its time tells
    blob(bundle).write_bytes(b"WEIGHTS" * 100)
    assert check()["reason_kind"] == "wrong_content"


def test_a_copy_has_the_same_lists(bundle: Path, seal: Seal, check: Check, tmp_path: Path) -> None:
    seal()
    check()
    copy = tmp_path / "copy"
    shutil.copytree(bundle, copy, symlinks=True)
    assert check(path=str(copy))["finished"] is True


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ({"model": "org/other"}, "holds the model org/model, and llmserve_model is org/other"),
        ({"revision": "v2"}, "llmserve_model_revision is v2"),
        ({"image": "vllm/vllm-openai:v2"}, "llmserve_image is vllm/vllm-openai:v2"),
        ({"ray_version": "3"}, "Its image has Ray 2, and llmserve_ray_version is 3"),
        ({"hub_version": "2.5.0"}, "hf_model_hub_version is 2.5.0"),
        ({"hosts": [{"name": "n", "architecture": "aarch64", "python": "3.12"}]}, "for x86_64, and n is aarch64"),
        ({"hosts": [{"name": "n", "architecture": "x86_64", "python": "3.9"}]}, "bundle_python_versions: ['3.9']"),
    ],
)
def test_a_bundle_for_something_else_is_refused(seal: Seal, check: Check, wanted: dict[str, Any], words: str) -> None:
    seal()
    failed = check(**wanted)
    assert failed["reason_kind"] == "mismatch" and words in failed["msg"]
    assert "Nothing has been changed." in failed["msg"]


def test_the_commit_is_as_good_as_the_branch(seal: Seal, check: Check) -> None:
    seal()
    assert check(revision=COMMIT)["finished"] is True


def test_damage_is_named(bundle: Path, seal: Seal, check: Check) -> None:
    seal()
    weights = blob(bundle).read_bytes()
    blob(bundle).unlink()
    assert f"{blob(bundle).name} is missing" in check()["msg"]
    blob(bundle).write_bytes(weights[:-1])
    assert "has 699 bytes instead of 700" in check()["msg"]
    blob(bundle).write_bytes(weights[:-1] + b"x")
    assert check(verify="size")["finished"] is True
    failed = check()
    assert failed["reason_kind"] == "wrong_content" and blob(bundle).name in failed["msg"]
    assert blob(bundle).exists(), "nothing of a bundle is taken away"


def test_what_is_no_bundle_is_told_apart(bundle: Path, seal: Seal, check: Check) -> None:
    assert check()["reason_kind"] == "not_a_bundle"
    assert "is no directory" in check(path=str(bundle / "none"))["msg"]
    seal()
    manifest = json.loads((bundle / "bundle.json").read_text())
    (bundle / "bundle.json").write_text(json.dumps(dict(manifest, format=2)))
    assert check()["reason_kind"] == "format"
    del manifest["image"]
    (bundle / "bundle.json").write_text(json.dumps(manifest))
    assert "lacks something ('image')" in check()["msg"]
    (bundle / "bundle.json").write_text("{}")
    assert check()["reason_kind"] == "not_a_bundle"


def test_a_slice_goes_on_where_the_one_before_stopped(bundle: Path, seal: Seal) -> None:
    seal()
    _manifest, sums = open_bundle(str(bundle))
    # too short for a single file
    first = Checksums(str(bundle), sums, {})
    assert first.work(1e-9) is False
    assert "0.0 %" in first.progress
    second = Checksums(str(bundle), sums, first.resume)
    assert second.work(0) is True and second.wrong == []
    assert "100.0 %" in second.progress
    assert Checksums(str(bundle), sums, second.resume).work(1e-9) is True


def test_sums_outside_of_the_bundle_do_not_count() -> None:
    digest = "a" * 64
    lines = f"{digest}  ../x\n{digest}  /etc/passwd\n{digest}  ok\nnonsense\n{digest} *binary\n"
    assert read_sums(lines) == {"ok": digest, "binary": digest}


def test_many_problems_are_counted() -> None:
    assert few(["x"] * 8)[-1] == "and 3 more"
    assert few(["x"] * 5) == ["x"] * 5


def test_a_commit_is_its_content() -> None:
    one, two = ListedFile("a", 1, "1" * 64), ListedFile("b", 1, "2" * 64)
    assert commit_of("r", [one, two]) == commit_of("r", [two, one])
    assert len({commit_of("r", [one]), commit_of("r", [two]), commit_of("s", [one])}) == 3
