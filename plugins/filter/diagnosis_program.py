# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter llmserve.vllm.diagnosis_program."""

from __future__ import annotations

DOCUMENTATION = r"""
name: diagnosis_program
short_description: The diagnosis of logs as one Python file
version_added: "0.1.0"
author:
  - "The llmserve.vllm authors (@llmserve)"
description:
  - Makes a Python program that prints what P(llmserve.vllm.diagnose_log#filter) finds in a log, for hosts on which
    nothing else of this collection is, such as the nodes of a batch job. It takes the log as its argument.
positional: _input
options:
  _input:
    description: How many causes it prints, the most probable one first.
    type: int
    required: true
"""

EXAMPLES = r"""
- name: Put it where jobs find it
  ansible.builtin.copy:
    content: "{{ 3 | llmserve.vllm.diagnosis_program }}"
    dest: /shared/alice/diagnosis.py
    mode: "0600"
"""

RETURN = r"""
_value:
  description: The program, for Python 3.8 or newer.
  type: str
"""

from collections.abc import Callable
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.llmserve.vllm.plugins.plugin_utils import _diagnosis_program


def diagnosis_program(most: Any) -> str:
    """The program that prints so many causes."""
    if not isinstance(most, int) or most < 1:
        raise AnsibleFilterError(f"llmserve.vllm.diagnosis_program needs a number of causes, not {most!r}.")
    return _diagnosis_program.diagnosis_program(most)


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"diagnosis_program": diagnosis_program}
