# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sandbox for the end-to-end run, and ways to act on it as an operator would."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
INVENTORY = "inventories/sandbox"
HUB = "http://10.89.77.3:8080"
BIN = Path(sys.executable).parent


@dataclass(frozen=True)
class Run:
    """What one ansible-playbook did."""

    rc: int
    output: str

    @property
    def changed(self) -> int:
        return sum(int(n) for n in re.findall(r"changed=(\d+)", self.recap))

    @property
    def changes(self) -> list[str]:
        """The tasks that have changed a host, as far as the output names them."""
        tasks = re.split(r"^(?:TASK|RUNNING HANDLER) ", self.output, flags=re.M)[1:]
        return [task for task in tasks if re.search(r"^changed: ", task, re.M)]

    @property
    def recap(self) -> str:
        return self.output.rpartition("PLAY RECAP")[2]

    @property
    def text(self) -> str:
        """The output on one line, for messages that the terminal's width or YAML has folded."""
        return " ".join(self.output.split())

    def ok(self) -> Run:
        assert self.rc == 0, self.output
        return self

    def unchanged(self) -> Run:
        """It went well, and had nothing to do."""
        assert self.ok().changed == 0, "\n".join([*self.changes, self.recap])
        return self


class Operator:
    """Somebody with a shell in the checkout."""

    @property
    def environment(self) -> dict[str, str]:
        """That of the shell, in which the commands of this environment come first."""
        path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
        return dict(os.environ, ANSIBLE_NOCOLOR="1", ANSIBLE_CONFIG=str(ROOT / "ansible.cfg"), PATH=path)

    def playbook(self, name: str, *arguments: str, inventory: str = INVENTORY, timeout: int = 900) -> Run:
        return self.command("ansible-playbook", f"playbooks/{name}.yml", "-i", inventory, *arguments, timeout=timeout)

    def command(self, *argv: str, timeout: int = 900) -> Run:
        done = subprocess.run(
            argv,
            cwd=ROOT,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout,
            check=False,
        )
        return Run(done.returncode, done.stdout)

    def on(self, host: str, script: str, timeout: int = 120) -> str:
        """Run a shell script as root on hosts of the sandbox; returns what one host printed."""
        # Docker's own templates have the same braces as Ansible's. (What begins with a brace is read as JSON.)
        script = f"true; {{% raw %}}{script}{{% endraw %}}"
        run = self.command("ansible", host, "-i", INVENTORY, "-m", "ansible.builtin.raw", "-a", script, timeout=timeout)
        assert run.rc == 0, run.output
        return run.output.partition(">>\n")[2].strip() if ">>\n" in run.output else run.output.strip()

    def hostvars(self, host: str) -> dict[str, Any]:
        run = self.command("ansible-inventory", "-i", INVENTORY, "--host", host).ok()
        variables: dict[str, Any] = json.loads(run.output)
        return variables


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """In the order of their numbers: the first ones want hosts that nothing was deployed on."""

    def number(item: pytest.Item) -> int:
        found = re.match(r"test_(\d+)_", item.path.name)
        return int(found.group(1)) if found and item.path.parent == Path(__file__).parent else 0

    items.sort(key=number)


@pytest.fixture(scope="session")
def operator() -> Operator:
    return Operator()


@pytest.fixture(scope="session")
def sandbox(operator: Operator) -> Iterator[Operator]:
    """Two fresh nodes. LLMSERVE_KEEP_SANDBOX=1 leaves them for a look afterwards."""
    operator.playbook("sandbox_down").ok()
    operator.playbook("sandbox_up", timeout=1800).ok()
    yield operator
    if os.environ.get("LLMSERVE_KEEP_SANDBOX") != "1":
        operator.playbook("sandbox_down").ok()
