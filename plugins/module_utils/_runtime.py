# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a serving process runs in, a container or a systemd unit, behind the same three questions.

This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

from typing import Any, Mapping, Optional, Sequence, Union

from ansible_collections.llmserve.vllm.plugins.module_utils import _container, _unit
from ansible_collections.llmserve.vllm.plugins.module_utils._container import CliResult, ContainerState


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


Runtime = Union[Container, Unit]


def runtime_of(params: Mapping[str, Any]) -> Optional[Runtime]:
    """That of the options C(container), C(unit) and C(docker_cli) of a module; None where neither is named."""
    if params.get("unit"):
        return Unit(params["unit"])
    return Container(params["docker_cli"], params["container"]) if params.get("container") else None
