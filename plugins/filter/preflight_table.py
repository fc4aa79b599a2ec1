# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter llmserve.vllm.preflight_table."""

from __future__ import annotations

DOCUMENTATION = r"""
name: preflight_table
short_description: Show what preflight has found as one table
version_added: "0.1.0"
author:
  - "The llmserve.vllm authors (@llmserve)"
description:
  - Turns the report of P(llmserve.vllm.preflight_report#filter) into text of at most 80 columns, ASCII where the
    findings are. Each finding has its hosts, its check, what was found, what is wanted, and how to mend it.
  - Hosts with the same finding share a row, so that one cause is one row on 64 hosts, too.
positional: _input
options:
  _input:
    description: The report.
    type: dict
    required: true
  network:
    description: Whether to add which interfaces and RDMA ports were chosen, and why.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Show the report
  llmserve.vllm.show:
    text: "{{ report | llmserve.vllm.preflight_table }}"
"""

RETURN = r"""
_value:
  description: The text, with line feeds between the lines and none at the end.
  type: str
"""

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.llmserve.vllm.plugins.plugin_utils._checks.table import network_lines, table


def preflight_table(report: Any, network: bool = False) -> str:
    """The report as text."""
    if not isinstance(report, Mapping) or "rows" not in report:
        raise AnsibleFilterError("llmserve.vllm.preflight_table needs the report of llmserve.vllm.preflight_report.")
    text = table(report, report.get("hosts") or ())
    return "\n".join([text, *network_lines(report)]) if network else text


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"preflight_table": preflight_table}
