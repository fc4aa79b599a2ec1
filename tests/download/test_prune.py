# SPDX-License-Identifier: GPL-3.0-or-later
"""playbooks/prune.yml on hosts that are directories of this machine, with revisions that were really downloaded."""

from __future__ import annotations

import json
import os
import pty
import pwd
import re
import select
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from ansible_collections.llmserve.vllm.tests.download.conftest import MODEL, ROOT, Hub, Module, assert_whole

PLAYBOOK = [str(Path(sys.executable).parent / "ansible-playbook"), "playbooks/prune.yml", "-i"]
YES = ["-e", "hf_model_prune_yes=true"]


class Run(NamedTuple):
    """A run of the playbook: its exit code, what it printed, and the counters of each host."""

    rc: int
    text: str

    @property
    def recap(self) -> dict[str, dict[str, int]]:
        lines = re.findall(r"^(\w+) +: (ok=.*)$", self.text, re.MULTILINE)
        return {
            host: {key: int(count) for key, count in re.findall(r"(\w+)=(\d+)", counters)} for host, counters in lines
        }

    def counted(self, what: str) -> list[int]:
        return [counters[what] for counters in self.recap.values()]


class Hosts:
    """An inventory, and the playbook run on it."""

    def __init__(self, folder: Path, homes: dict[str, Path]) -> None:
        self.inventory = folder / "inventory.json"
        hosts = {name: {"llmserve_hf_home": str(home)} for name, home in homes.items()}
        common = {
            "ansible_connection": "local",
            "ansible_become": False,
            "ansible_python_interpreter": sys.executable,
            "llmserve_model": MODEL,
            "llmserve_user": pwd.getpwuid(os.geteuid()).pw_name,
            # the virtual environment with huggingface_hub
            "hf_model_venv": sys.prefix,
        }
        self.inventory.write_text(json.dumps({"all": {"children": {"llm_nodes": {"hosts": hosts, "vars": common}}}}))
        docker = folder / "bin" / "docker"
        docker.parent.mkdir()
        docker.write_text("#!/bin/sh\n")
        docker.chmod(0o755)
        # the containers of this machine are none of the test's business
        self._env = {**os.environ, "PATH": f"{docker.parent}:{os.environ['PATH']}", "ANSIBLE_NOCOLOR": "1"}
        self._env["ANSIBLE_CONFIG"] = str(ROOT / "ansible.cfg")

    def __call__(self, *args: str) -> Run:
        done = subprocess.run(
            [*PLAYBOOK, str(self.inventory), *args],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=ROOT,
            env=self._env,
            text=True,
            check=False,
            timeout=300,
        )
        return Run(done.returncode, done.stdout)

    def at_a_terminal(self, answer: str) -> Run:
        """With somebody who answers the question."""
        pid, terminal = pty.fork()
        if pid == 0:
            os.chdir(ROOT)
            os.execve(PLAYBOOK[0], [*PLAYBOOK, str(self.inventory)], self._env)
        seen, silent = b"", 0
        while silent < 120:
            if not select.select([terminal], [], [], 1)[0]:
                silent += 1
                # what is typed before the question has settled is thrown away
                if b"Type yes or no" in seen:
                    os.write(terminal, answer.encode() + b"\r")
                continue
            try:
                seen += os.read(terminal, 4096)
            except OSError:
                # Linux ends a terminal so, whose other side is closed
                break
        os.close(terminal)
        _pid, status = os.waitpid(pid, 0)
        return Run(os.waitstatus_to_exitcode(status), seen.decode().replace("\r\n", "\n"))


class Revisions(NamedTuple):
    """What has been downloaded: main was the old commit, and is the new one."""

    old: Path
    new: Path

    def on(self, home: Path) -> list[bool]:
        """Which of them a host has."""
        places = (home / "hub" / path.relative_to(path.parents[2]) for path in self)
        return [place.is_dir() for place in places]


@pytest.fixture
def revisions(hub: Hub, module: Module) -> Revisions:
    old = module()["path"]
    hub.order("move", {"repo": MODEL, "ref": "main", "to": "v2"})
    return Revisions(Path(old), Path(module()["path"]))


@pytest.fixture
def homes(tmp_path: Path, cache: Path, revisions: Revisions) -> dict[str, Path]:
    shutil.copytree(cache.parent, tmp_path / "hf2", symlinks=True)
    return {"node1": cache.parent, "node2": tmp_path / "hf2"}


@pytest.fixture
def hosts(tmp_path: Path, homes: dict[str, Path]) -> Hosts:
    return Hosts(tmp_path, homes)


def blobs(home: Path) -> int:
    return sum(path.lstat().st_size for path in (home / "hub").glob("*/blobs/*"))


def test_list_refuse_remove_and_nothing_more(
    hub: Hub, hosts: Hosts, homes: dict[str, Path], revisions: Revisions
) -> None:
    listed = hosts("--check")
    assert (listed.rc, listed.counted("changed")) == (0, [1, 1]), listed.text
    [row] = [line for line in listed.text.splitlines() if revisions.old.name[:12] in line and "node1, node2" in line]
    assert MODEL in row and row.endswith(" MB")
    assert all(len(line) <= 80 for line in listed.text[listed.text.index("HOST ") :].splitlines()[:4])
    assert "node2: 0.05 GB would be freed" in listed.text

    refused = hosts()
    assert (refused.rc, refused.counted("changed")) == (2, [0, 0]), refused.text
    assert "-e hf_model_prune_yes=true" in refused.text
    assert "Nothing was removed" in refused.text
    assert [revisions.on(home) for home in homes.values()] == [[True, True]] * 2

    before = {name: blobs(home) for name, home in homes.items()}
    removed = hosts(*YES)
    assert (removed.rc, removed.counted("changed")) == (0, [1, 1]), removed.text
    for name, home in homes.items():
        assert revisions.on(home) == [False, True]
        assert f"{name}: {(before[name] - blobs(home)) / 1e9:.3f}".rstrip("0") + " GB freed" in removed.text
    assert_whole(hub, str(revisions.new), f"{MODEL}@v2")

    again = hosts()
    assert (again.rc, again.counted("changed")) == (0, [0, 0]), again.text
    assert "Nothing to remove: 2 revisions on 2 hosts" in again.text


def test_no_and_yes_at_a_terminal(hosts: Hosts, homes: dict[str, Path], revisions: Revisions) -> None:
    no = hosts.at_a_terminal("no")
    assert (no.rc, no.counted("changed")) == (0, [0, 0]), no.text
    assert [revisions.on(home) for home in homes.values()] == [[True, True]] * 2
    assert hosts.at_a_terminal("").rc == 2
    assert [revisions.on(home) for home in homes.values()] == [[True, True]] * 2
    yes = hosts.at_a_terminal("yes")
    assert (yes.rc, yes.counted("changed")) == (0, [1, 1]), yes.text
    assert [revisions.on(home) for home in homes.values()] == [[False, True]] * 2


def test_what_is_served_stays(hosts: Hosts, homes: dict[str, Path], revisions: Revisions) -> None:
    # the server of node1 speaks for node2, too: a worker has no path on its command line
    command = [sys.executable, "-c", "input()", "serve", str(revisions.old)]
    server = subprocess.Popen(command, stdin=subprocess.PIPE)
    try:
        run = hosts(*YES)
    finally:
        server.kill()
        server.communicate()
    assert (run.rc, run.counted("changed")) == (0, [0, 0]), run.text
    assert f"stays, in use by process {server.pid} (python" in run.text.replace("\n  ", " ")
    assert [revisions.on(home) for home in homes.values()] == [[True, True]] * 2


@pytest.mark.parametrize("args", [["-e", "hf_model_prune_keep=1"], ["-e", "llmserve_model_revision={old}"]])
def test_what_is_to_stay(hosts: Hosts, homes: dict[str, Path], revisions: Revisions, args: list[str]) -> None:
    run = hosts(*YES, *(arg.format(old=revisions.old.name) for arg in args))
    assert (run.rc, run.counted("changed")) == (0, [0, 0]), run.text
    assert [revisions.on(home) for home in homes.values()] == [[True, True]] * 2


def test_one_directory_of_two_hosts(tmp_path: Path, cache: Path, revisions: Revisions) -> None:
    hosts = Hosts(tmp_path, {"node1": cache.parent, "node2": cache.parent})
    run = hosts(*YES)
    assert (run.rc, run.counted("changed")) == (0, [1, 0]), run.text
    assert revisions.on(cache.parent) == [False, True]
    assert hosts(*YES).counted("changed") == [0, 0]


def test_removing_twice_at_once_is_no_failure(module: Module, revisions: Revisions) -> None:
    """Hosts whose common directory cannot be told."""
    absent = {"state": "absent", "revision": revisions.old.name}
    results: list[dict[str, Any]] = [module(**absent), module(**absent)]
    assert [(item["changed"], item["bytes_freed"] > 0) for item in results] == [(True, True), (False, False)]


def test_other_models_only_when_asked_for(hosts: Hosts, homes: dict[str, Path], revisions: Revisions) -> None:
    other = ["-e", "llmserve_model=acme/another", *YES]
    nothing = hosts(*other)
    assert (nothing.rc, nothing.counted("changed")) == (0, [0, 0]), nothing.text
    assert hosts(*other, "-e", "hf_model_prune_all=true", "--check").counted("changed") == [1, 1]


def test_some_of_the_nodes_are_not_enough(hosts: Hosts, homes: dict[str, Path], revisions: Revisions) -> None:
    limited = hosts("--limit", "node2", *YES)
    assert limited.rc == 2
    assert "node1 would not be asked what they serve: run without --limit" in limited.text
    unreachable = hosts(*YES, "-e", '{"ansible_python_interpreter": "{{ inventory_hostname }}-has-none"}')
    assert unreachable.rc != 0
    assert [revisions.on(home) for home in homes.values()] == [[True, True]] * 2


def test_nodes_without_the_library(hosts: Hosts, homes: dict[str, Path], revisions: Revisions) -> None:
    run = hosts(*YES, "-e", "hf_model_venv=/nowhere")
    assert (run.rc, run.counted("changed")) == (2, [0, 0]), run.text
    assert "/nowhere is not on this host" in run.text
    assert [revisions.on(home) for home in homes.values()] == [[True, True]] * 2


def test_nodes_without_a_cache(tmp_path: Path) -> None:
    run = Hosts(tmp_path, {"node1": tmp_path / "none"})("-e", "llmserve_user=nobody-of-that-name")
    assert (run.rc, run.counted("changed")) == (0, [0]), run.text
