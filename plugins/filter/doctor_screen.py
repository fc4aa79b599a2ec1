# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter llmserve.vllm.doctor_screen."""

from __future__ import annotations

DOCUMENTATION = r"""
name: doctor_screen
short_description: Show what the doctor has found on one screen
version_added: "0.1.0"
author:
  - "The llmserve.vllm authors (@llmserve)"
description:
  - Turns the report of P(llmserve.vllm.doctor_report#filter) into ASCII text of at most 80 columns - each finding with
    its hosts, what it means, what shows it and what to do, then one line for each host.
positional: _input
options:
  _input:
    description: The report.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Show the report
  llmserve.vllm.show:
    text: "{{ report | llmserve.vllm.doctor_screen }}"
"""

RETURN = r"""
_value:
  description: The text, with line feeds between the lines and none at the end.
  type: str
"""

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.llmserve.vllm.plugins.plugin_utils._doctor_screen import doctor_screen as screen


def doctor_screen(report: Any) -> str:
    """The report as text."""
    if not isinstance(report, Mapping) or "findings" not in report:
        raise AnsibleFilterError("llmserve.vllm.doctor_screen needs the report of llmserve.vllm.doctor_report.")
    return screen(report)


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"doctor_screen": doctor_screen}
