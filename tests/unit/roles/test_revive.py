# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The script that starts containers whose start has failed, with a stand-in for Docker's client."""

from __future__ import annotations

import ast
import json
import time
from pathlib import Path

import pytest
from ansible_collections.llmserve.vllm.tests.unit.roles.script import ROLES, load_script

SCRIPT = ROLES / "revive/files/revive.py"
NO_GPU = "OCI runtime create failed: nvidia-container-cli: initialization error: nvml error: driver not loaded: unknown"


revive = load_script(SCRIPT)


def container(
    name: str = "llmserve-vllm", status: str = "exited", error: str = NO_GPU, policy: str = "unless-stopped"
) -> dict[str, str]:
    return {"name": "/" + name, "status": status, "error": error, "policy": policy}


class Docker:
    """A client that knows these containers, and notes what it was told."""

    def __init__(self, directory: Path, containers: list[dict[str, str]], start: str = "exit 0") -> None:
        self.told = directory / "told"
        inspected = directory / "inspected"
        inspected.write_text("".join(json.dumps(item) + "\n" for item in containers), encoding="utf-8")
        ids = " ".join(str(number) for number in range(len(containers)))
        self.path = directory / "docker"
        self.path.write_text(
            f'#!/bin/sh\necho "$@" >> {self.told}\n'
            f'case $1 in\nps) printf "%s\\n" {ids};;\ninspect) cat {inspected};;\nstart) {start};;\nesac\n',
            encoding="utf-8",
        )
        self.path.chmod(0o755)

    def started(self) -> list[str]:
        lines = self.told.read_text(encoding="utf-8").splitlines()
        return [line.split()[1] for line in lines if line.startswith("start ")]

    def run(self, *words: str) -> int:
        return int(revive.main(["--cluster", "llmserve", "--docker", str(self.path), *words]))


@pytest.mark.parametrize(
    ("found", "starts"),
    [
        (container(), True),
        (container(status="created"), True),
        (container(policy="always"), True),
        (container(error=""), False),
        (container(status="running"), False),
        (container(status="restarting"), False),
        (container(policy="no"), False),
    ],
    ids=["failed", "never_started", "always", "stopped", "runs", "docker_restarts_it", "nobody_asked_for_restarts"],
)
def test_only_what_failed_to_start_is_started(tmp_path: Path, found: dict[str, str], starts: bool) -> None:
    docker = Docker(tmp_path, [found])
    assert docker.run() == 0
    assert docker.started() == (["llmserve-vllm"] if starts else [])


def test_only_the_containers_of_the_cluster_are_asked_for(tmp_path: Path) -> None:
    docker = Docker(tmp_path, [container()])
    docker.run()
    assert "label=llmserve.cluster=llmserve" in docker.told.read_text(encoding="utf-8").splitlines()[0]


def test_nothing_down_is_one_question(tmp_path: Path) -> None:
    docker = Docker(tmp_path, [])
    assert docker.run() == 0
    assert len(docker.told.read_text(encoding="utf-8").splitlines()) == 1


def test_a_start_that_fails_again_says_why_and_the_next_one_is_tried(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    both = [container("llmserve-ray-head"), container("llmserve-vllm")]
    docker = Docker(tmp_path, both, start="echo no GPU yet >&2; exit 1")
    assert docker.run() == 1
    assert docker.started() == ["llmserve-ray-head", "llmserve-vllm"]
    printed = capsys.readouterr().out
    assert "driver not loaded" in printed
    assert "docker start: no GPU yet" in printed


@pytest.mark.parametrize(
    ("text", "starts"),
    [
        (json.dumps({"until": time.time() + 600}), False),
        (json.dumps({"until": time.time() - 1}), True),
        ("{}", True),
        ("no JSON", True),
    ],
    ids=["at_work", "forgotten", "says_nothing", "broken"],
)
def test_a_playbook_at_work_holds_it(tmp_path: Path, text: str, starts: bool) -> None:
    hold = tmp_path / "hold.json"
    hold.write_text(text, encoding="utf-8")
    docker = Docker(tmp_path, [container()])
    assert docker.run("--hold-file", str(hold)) == 0
    assert docker.started() == (["llmserve-vllm"] if starts else [])


def test_docker_that_does_not_answer_is_a_failure_with_its_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    client = tmp_path / "docker"
    client.write_text("#!/bin/sh\necho Cannot connect to the Docker daemon >&2; exit 1\n", encoding="utf-8")
    client.chmod(0o755)
    assert revive.main(["--cluster", "llmserve", "--docker", str(client)]) == 1
    assert "docker ps: Cannot connect" in capsys.readouterr().out
    assert revive.main(["--cluster", "llmserve", "--docker", str(tmp_path / "nowhere")]) == 1


def test_it_runs_on_python_3_8() -> None:
    ast.parse(SCRIPT.read_text(encoding="utf-8"), feature_version=(3, 8))
