# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter llmserve.vllm.status_screen."""

from __future__ import annotations

DOCUMENTATION = r"""
name: status_screen
short_description: Show what runs of a deployment on one screen
version_added: "0.1.0"
author:
  - "The llmserve.vllm authors (@llmserve)"
description:
  - Turns the report of P(llmserve.vllm.status_report#filter) into ASCII text of at most 80 columns.
positional: _input
options:
  _input:
    description: The report.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Show what runs
  llmserve.vllm.show:
    text: "{{ report | llmserve.vllm.status_screen }}"
"""

RETURN = r"""
_value:
  description: The text, with line feeds between the lines and none at the end.
  type: str
"""

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.llmserve.vllm.plugins.plugin_utils._status import status_screen as screen


def status_screen(report: Any) -> str:
    """The report as text."""
    if not isinstance(report, Mapping) or "engine" not in report:
        raise AnsibleFilterError("llmserve.vllm.status_screen needs the report of llmserve.vllm.status_report.")
    return screen(report)


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"status_screen": status_screen}
