# SPDX-License-Identifier: GPL-3.0-or-later
"""llmserve.vllm.engine_flags: an image is asked once."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.llmserve.vllm.plugins.module_utils import _engine_flags
from ansible_collections.llmserve.vllm.plugins.module_utils._container import CliResult
from ansible_collections.llmserve.vllm.tests.unit.plugins.modules.module_runner import run_module

HELP = (Path(__file__).parents[2] / "fixtures" / "vllm_help" / "0.32.0.txt").read_text()
IMAGE, IDENTIFIER = "vllm/vllm-openai:v0.32.0", "sha256:4cbb8b2f"

SCRIPT = """#!/bin/sh
here=$(dirname "$0")
echo "$@" >> "$here/calls"
case "$1" in
  image)
    if [ -s "$here/id" ]; then cat "$here/id"; exit 0; fi
    echo "Error: No such image: x" >&2; exit 1 ;;
  run)
    cat "$here/answer"
    cat "$here/complaint" >&2
    exit "$(cat "$here/rc")" ;;
esac
exit 2
"""


class Docker:
    """A stand-in for the client, with one image."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self.path = str(folder / "docker")
        Path(self.path).write_text(SCRIPT)
        Path(self.path).chmod(0o755)
        self.has(IDENTIFIER)
        self.answers("version 0.32.0+cpu\n" + HELP)

    def has(self, identifier: str) -> None:
        (self.folder / "id").write_text(identifier)

    def answers(self, stdout: str, complaint: str = "", rc: int = 0) -> None:
        for name, text in (("answer", stdout), ("complaint", complaint), ("rc", str(rc))):
            (self.folder / name).write_text(text)

    def runs(self) -> list[str]:
        return [call for call in (self.folder / "calls").read_text().splitlines() if call.startswith("run ")]


@pytest.fixture
def docker(tmp_path: Path) -> Docker:
    return Docker(tmp_path / "docker")


@pytest.fixture
def answers(tmp_path: Path) -> Path:
    return tmp_path / "state" / "engine_flags"


def look_up(docker: Docker, answers: Path, capsys: pytest.CaptureFixture[str], **more: Any) -> dict[str, Any]:
    return run_module(
        "engine_flags", capsys, image=IMAGE, state_dir=str(answers), docker_cli=docker.path, timeout=20, **more
    )


def test_asked_once_and_remembered(docker: Docker, answers: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = look_up(docker, answers, capsys)
    assert first["changed"] and first["asked"] and first["rc"] == 0
    assert first["vllm_version"] == "0.32.0+cpu" and first["image_id"] == IDENTIFIER
    assert len(first["flags"]) == 317
    assert first["flags"]["enforce-eager"] == {"kind": "switch"}
    path = answers / "sha256-4cbb8b2f.json"
    assert first["path"] == str(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert json.loads(path.read_text())["image"] == IMAGE
    assert list(answers.iterdir()) == [path]

    second = look_up(docker, answers, capsys)
    assert not second["changed"] and not second["asked"]
    assert second["flags"] == first["flags"] and second["vllm_version"] == first["vllm_version"]
    assert len(docker.runs()) == 1

    # the same name, another image
    docker.has("sha256:77")
    assert look_up(docker, answers, capsys)["changed"]
    assert len(docker.runs()) == 2
    assert sorted(found.name for found in answers.iterdir()) == ["sha256-4cbb8b2f.json", "sha256-77.json"]


def test_how_it_is_asked(docker: Docker, answers: Path, capsys: pytest.CaptureFixture[str]) -> None:
    look_up(docker, answers, capsys)
    asked = docker.runs()[0]
    for words in ("--rm", "--pull never", "--network none", "--gpus all", f"--entrypoint sh {IMAGE} -c"):
        assert words in asked
    assert "vllm serve --help=all || vllm serve --help" in (docker.folder / "calls").read_text()
    docker.has("sha256:2")
    look_up(docker, answers, capsys, gpus=False)
    assert "--gpus" not in docker.runs()[1]


def test_check_mode_asks_and_writes_nothing(docker: Docker, answers: Path, capsys: pytest.CaptureFixture[str]) -> None:
    looked = look_up(docker, answers, capsys, _ansible_check_mode=True)
    assert looked["changed"] and looked["asked"] and looked["path"] == "" and len(looked["flags"]) == 317
    assert not answers.exists()
    look_up(docker, answers, capsys)
    again = look_up(docker, answers, capsys, _ansible_check_mode=True)
    assert not again["changed"] and again["path"]


def test_an_image_that_is_not_there_yet(docker: Docker, answers: Path, capsys: pytest.CaptureFixture[str]) -> None:
    docker.has("")
    looked = look_up(docker, answers, capsys, _ansible_check_mode=True)
    assert looked["changed"] and looked["flags"] == {} and not docker.runs()
    failed = look_up(docker, answers, capsys)
    assert failed["failed"] and failed["reason_kind"] == "image_missing"
    assert failed["msg"] == f"This host has no image {IMAGE}: pull or build it first."


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (("version 0.9.0\n", "RuntimeError: Failed to infer device type", 1), "Failed to infer device type"),
        (("version 0.9.0\nSomething else", "", 0), "it is not what `vllm serve --help=all` prints"),
        (("", "docker: Error response from daemon: could not select device driver", 125), "select device driver"),
    ],
)
def test_no_answer_is_a_warning(
    docker: Docker, answers: Path, capsys: pytest.CaptureFixture[str], answer: tuple[str, str, int], words: str
) -> None:
    docker.answers(*answer)
    looked = look_up(docker, answers, capsys)
    assert looked["rc"] == 0 and not looked["changed"] and looked["flags"] == {}
    assert looked["reason_kind"] == "no_answer"
    assert words in looked["warned"] and "what is known of its release" in looked["warned"]
    assert not answers.exists()


def test_a_damaged_memory_is_replaced(docker: Docker, answers: Path, capsys: pytest.CaptureFixture[str]) -> None:
    look_up(docker, answers, capsys)
    (answers / "sha256-4cbb8b2f.json").write_text('{"help": "usage')
    assert look_up(docker, answers, capsys)["changed"]
    assert not look_up(docker, answers, capsys)["changed"]


def test_no_docker(docker: Docker, answers: Path, capsys: pytest.CaptureFixture[str]) -> None:
    docker.path = str(docker.folder / "none")
    failed = look_up(docker, answers, capsys)
    assert failed["failed"] and failed["reason_kind"] == "docker"
    assert "become: true" in failed["msg"] and IMAGE in failed["msg"]


def test_a_directory_that_cannot_be_made(docker: Docker, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    failed = look_up(docker, tmp_path / "file" / "flags", capsys)
    assert failed["failed"] and failed["reason_kind"] == "io"


def test_a_container_that_hangs_is_removed() -> None:
    calls: list[list[str]] = []

    def run(argv: list[str], timeout: float) -> CliResult:
        calls.append(argv)
        return CliResult(124, "", f"no answer within {timeout:g} s") if argv[1] == "run" else CliResult(0, "", "")

    with pytest.raises(_engine_flags.FlagsError, match="rc 124: no answer within 5 s"):
        _engine_flags.ask(_engine_flags.Question("docker", IMAGE, True, 5), run)
    name = calls[0][calls[0].index("--name") + 1]
    assert calls[1] == ["docker", "rm", "--force", name]


SETPRIV = """#!/bin/sh
echo "$@" >> "$(dirname "$0")/calls"
cat "$(dirname "$0")/answer"
"""


def test_a_virtual_environment_is_asked_once_as_its_user(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    venv = tmp_path / "vllm-0.32.0-py312-0f1e"
    (venv / "bin").mkdir(parents=True)
    arguments = {"venv": str(venv), "user": "somebody", "state_dir": str(tmp_path / "flags")}
    missing = run_module("engine_flags", capsys, **arguments)
    assert missing["reason_kind"] == "image_missing"
    assert "make it first" in missing["msg"]
    (venv / "bin/vllm").write_text("")
    setpriv = tmp_path / "setpriv"
    setpriv.write_text(SETPRIV)
    setpriv.chmod(0o755)
    (tmp_path / "answer").write_text("version 0.32.0+cpu\n" + HELP)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    first = run_module("engine_flags", capsys, **arguments)
    assert (first["asked"], first["image_id"], first["vllm_version"]) == (True, venv.name, "0.32.0+cpu")
    assert "max-model-len" in first["flags"]
    assert run_module("engine_flags", capsys, **arguments)["asked"] is False
    calls = (tmp_path / "calls").read_text()
    assert calls.count("--reuid somebody") == 1
    assert f"PATH={venv}/bin:" in calls


def test_an_image_or_an_environment(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "one of the following is required" in run_module("engine_flags", capsys, state_dir=str(tmp_path))["msg"]
