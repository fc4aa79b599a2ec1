# SPDX-License-Identifier: GPL-3.0-or-later
"""Whoever names a commit on a command line uses it, and nothing else of the command line comes out."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ansible_collections.llmserve.vllm.plugins.module_utils._cache_users import (
    User,
    commits_in_use,
    containers,
    lock_files,
    processes,
    units,
)
from ansible_collections.llmserve.vllm.plugins.module_utils._container import CliResult

COMMIT, OTHER = "0e9e39f249a16976918f6564b8830bc894c89659", "b" * 40
SNAPSHOT = f"/srv/hf/hub/models--acme--tiny/snapshots/{COMMIT}"


def docker(ps: CliResult, inspect: CliResult | None = None) -> Callable[..., CliResult]:
    def run(argv: list[str], timeout: float) -> CliResult:
        assert argv[0] == "docker" and timeout > 0
        if argv[1] == "ps":
            return ps
        assert argv[-2:] == ["1a", "2b"] and inspect is not None
        return inspect

    return run


def described(name: str, *args: str, mounts: list[dict[str, Any]] | None = None) -> str:
    return " ".join(["/" + name, json.dumps("/bin/sh"), json.dumps(args), json.dumps(mounts or [])])


def test_a_path_or_a_revision_names_a_commit() -> None:
    users = [
        User("one", f"vllm\0serve\0{SNAPSHOT}\0--max-model-len\x0010"),
        User("two", f"vllm serve acme/tiny --revision={COMMIT} and {COMMIT} again"),
        User("three", f"sleep {OTHER}"),
        User("four", "digests are longer " + "a" * 64 + " and tags shorter " + "a" * 39),
    ]
    assert commits_in_use(users) == {COMMIT: ["one", "two"], OTHER: ["three"]}


def test_processes(tmp_path: Path) -> None:
    for pid, line in (
        ("1", ""),
        ("12", f"/usr/bin/python3\0/usr/bin/vllm\0serve\0{SNAPSHOT}\0"),
        ("7", "nginx: worker"),
    ):
        (tmp_path / pid).mkdir()
        (tmp_path / pid / "cmdline").write_text(line)
    (tmp_path / "net").mkdir()
    (tmp_path / "13").mkdir()
    found = processes(str(tmp_path))
    assert [user.name for user in found] == ["process 7 (nginx:)", "process 12 (python3)"]
    assert commits_in_use(found) == {COMMIT: ["process 12 (python3)"]}


def test_containers_by_their_arguments_and_their_mounts() -> None:
    lines = [
        described("llmserve-vllm", "-c", 'exec vllm serve "$@"', "vllm-serve", SNAPSHOT),
        described("mounted", "vllm", "serve", "/model", mounts=[{"Source": SNAPSHOT.replace(COMMIT, OTHER)}]),
    ]
    run = docker(CliResult(0, "1a\n2b\n", ""), CliResult(1, "\n".join(lines) + "\n", "Error: No such container: 2b"))
    found, problem = containers("docker", run)
    assert problem == ""
    assert commits_in_use(found) == {COMMIT: ["container llmserve-vllm"], OTHER: ["container mounted"]}


def test_docker_that_is_missing_empty_or_refuses() -> None:
    assert containers("docker", docker(CliResult(127, "", "No such file"))) == ([], "")
    assert containers("docker", docker(CliResult(0, "\n", ""))) == ([], "")
    assert containers("docker", docker(CliResult(1, "", "permission denied\n"))) == ([], "permission denied")
    broken = docker(CliResult(0, "1a 2b", ""), CliResult(124, "", ""))
    assert containers("docker", broken) == ([], "rc 124")


def test_what_a_lock_file_names_is_in_use(tmp_path: Path) -> None:
    (tmp_path / "lock.previous.json").write_text(json.dumps({"deployment": {"model": {"commit": COMMIT}}}))
    assert commits_in_use(lock_files(str(tmp_path))) == {COMMIT: ["the lock file lock.previous.json"]}
    assert lock_files(str(tmp_path / "nowhere")) == []


def test_a_unit_that_is_stopped_keeps_its_snapshot(tmp_path: Path) -> None:
    commit = "1f2e3d4c5b" * 4
    (tmp_path / "llmserve-vllm.service").write_text(f'[Service]\nExecStart="vllm" "/hub/snapshots/{commit}"\n')
    (tmp_path / "other.service").write_text(f"[Service]\nExecStart=/bin/x {commit}\n")
    assert commits_in_use(units(str(tmp_path))) == {commit: ["unit llmserve-vllm.service"]}
