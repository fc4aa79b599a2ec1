# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter llmserve.vllm.status_report."""

from __future__ import annotations

DOCUMENTATION = r"""
name: status_report
short_description: What runs of a deployment, as figures for programs
version_added: "0.1.0"
author:
  - "The llmserve.vllm authors (@llmserve)"
description:
  - Puts together what M(llmserve.vllm.doctor_host) has read on all hosts.
positional: _input
options:
  _input:
    description:
      - "The hosts. Each has C(name); C(facts), as RV(llmserve.vllm.doctor_host#module:facts); and C(node_ip), its
        address in Ray. All but the name may be missing."
    type: list
    elements: dict
    required: true
  cluster:
    description: The cluster's name.
    type: str
    default: llmserve
"""

EXAMPLES = r"""
- name: Show what runs
  llmserve.vllm.show:
    text: "{{ nodes | llmserve.vllm.status_report | llmserve.vllm.status_screen }}"
"""

RETURN = r"""
_value:
  description:
    - "C(serving), whether a completion came back; C(healthy), whether nothing is missing besides; C(nodes), C(ray),
      C(engine), C(model), C(versions), C(requests), the figures of the engine, C(canary), its last state, C(hold), who
      deploys right now, and C(lock), with C(differences) between the lock file and what runs, in words."
  type: dict
"""

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.llmserve.vllm.plugins.plugin_utils._status import status_report as report


def status_report(nodes: Any, cluster: str = "llmserve") -> dict[str, Any]:
    """What runs."""
    if not isinstance(nodes, list) or not all(isinstance(node, Mapping) and node.get("name") for node in nodes):
        raise AnsibleFilterError("llmserve.vllm.status_report needs a list of dictionaries with a name each.")
    return report(nodes, cluster)


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"status_report": status_report}
