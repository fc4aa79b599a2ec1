# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter llmserve.vllm.systemd_command."""

from __future__ import annotations

DOCUMENTATION = r"""
name: systemd_command
short_description: A list of arguments as systemd's ExecStart takes it
version_added: "0.1.0"
author:
  - "The llmserve.vllm authors (@llmserve)"
description:
  - Puts every argument into quotes and takes their meaning from percent and dollar signs, so that the program gets each
    one as it is, whatever is in it.
positional: _input
options:
  _input:
    description: The program and its arguments.
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
- name: Show what a unit would have in ExecStart=
  ansible.builtin.debug:
    msg: "{{ ['/usr/bin/echo', '100 %', '{\"a\": 1}'] | llmserve.vllm.systemd_command }}"
"""

RETURN = r"""
_value:
  description: One line.
  type: str
"""

from collections.abc import Callable, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.llmserve.vllm.plugins.module_utils._unit_file import UnitFileError, command_line


def systemd_command(words: Any) -> str:
    """The words of a command in one line."""
    if not isinstance(words, Sequence) or isinstance(words, str) or not words:
        raise AnsibleFilterError("llmserve.vllm.systemd_command needs the list of a program and its arguments.")
    try:
        return command_line([str(word) for word in words])
    except UnitFileError as exc:
        raise AnsibleFilterError(str(exc)) from exc


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"systemd_command": systemd_command}
