# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a serving process runs in, a container or a systemd unit, behind the same questions and orders.

This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import json
from typing import Any, List, Mapping, Optional, Sequence, Union

from ansible_collections.llmserve.vllm.plugins.module_utils import _container, _unit
from ansible_collections.llmserve.vllm.plugins.module_utils._cluster_containers import engine_command
from ansible_collections.llmserve.vllm.plugins.module_utils._container import CliResult, ContainerState

# Whoever carries an order out answers so much later than what it stops was given.
_CLIENT_SECONDS = 30


class Container:
    """A container of Docker, or of what has Docker's command line."""

    def __init__(self, docker_cli: str, name: str) -> None:
        self.docker_cli = docker_cli
        self.name = name

    def state(self) -> ContainerState:
        return _container.inspect(self.docker_cli, self.name)

    def logs(self, tail: int, since: str = "") -> str:
        return _container.logs(self.docker_cli, self.name, tail, since)

    def ask(self, argv: Sequence[str], seconds: float) -> CliResult:
        """Run a program inside, which has to end by itself after so many seconds."""
        return _container.run_cli([self.docker_cli, "exec", self.name, *argv], seconds + 10)

    def command(self) -> List[str]:
        """What follows C(vllm serve) there; empty when nobody tells."""
        argv = [self.docker_cli, "inspect", "--type", "container", "--format", "{{json .Args}}", self.name]
        try:
            return engine_command([str(word) for word in json.loads(_container.run_cli(argv, _CLIENT_SECONDS).stdout)])
        except (ValueError, TypeError):
            return []

    def tell(self) -> CliResult:
        """Send the signal to stop, and go on at once. It is not started again after that."""
        return _container.run_cli([self.docker_cli, "kill", "--signal", "TERM", self.name], _CLIENT_SECONDS)

    def stop(self, seconds: int) -> CliResult:
        """Stop it; what has not ended after so many seconds is killed."""
        return _container.run_cli(
            [self.docker_cli, "stop", "--time", str(seconds), self.name], seconds + _CLIENT_SECONDS
        )


class Unit:
    """A systemd unit with a virtual environment."""

    def __init__(self, name: str) -> None:
        self.name = name

    def state(self) -> ContainerState:
        return _unit.state(self.name)

    def logs(self, tail: int, since: str = "") -> str:
        return _unit.logs(self.name, tail, since)

    def ask(self, argv: Sequence[str], seconds: float) -> CliResult:
        """Run a program beside it, in its environment and as its user."""
        return _unit.ask(self.name, argv, seconds)

    def command(self) -> List[str]:
        """What follows C(vllm serve) there; empty when nobody tells."""
        return engine_command(_unit.unit_file(self.name).command)

    def tell(self) -> CliResult:
        """Send the signal to stop, and go on at once. It is not started again after that."""
        return _container.run_cli(["systemctl", "stop", "--no-block", _unit.unit_name(self.name)], _CLIENT_SECONDS)

    def stop(self, seconds: int) -> CliResult:
        """Stop it; the unit itself says after how many seconds it is killed."""
        return _container.run_cli(["systemctl", "stop", _unit.unit_name(self.name)], seconds + _CLIENT_SECONDS)


Runtime = Union[Container, Unit]


def runtime_of(params: Mapping[str, Any]) -> Optional[Runtime]:
    """That of the options C(container), C(unit) and C(docker_cli) of a module; None where neither is named."""
    if params.get("unit"):
        return Unit(params["unit"])
    return Container(params["docker_cli"], params["container"]) if params.get("container") else None
