# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter llmserve.vllm.doctor_report."""

from __future__ import annotations

DOCUMENTATION = r"""
name: doctor_report
short_description: Judge how a deployment runs, all hosts together
version_added: "0.1.0"
author:
  - "The llmserve.vllm authors (@llmserve)"
description:
  - Finds out of what M(llmserve.vllm.doctor_host) has read on all hosts what is wrong. The logs are judged as by
    P(llmserve.vllm.diagnose_log#filter), so that a full disk of one host comes before the engine of another that died
    of it; the state of containers, Ray, GPUs, filesystems and the endpoint is judged besides.
positional: _input
options:
  _input:
    description:
      - "The hosts. Each has C(name); C(facts), as RV(llmserve.vllm.doctor_host#module:facts); C(node_ip), its address
        in Ray; C(gpus), how many it should have; C(unreachable) or C(failure), messages. All but the name may be
        missing."
    type: list
    elements: dict
    required: true
"""

EXAMPLES = r"""
- name: Show what is wrong
  llmserve.vllm.show:
    text: "{{ nodes | llmserve.vllm.doctor_report | llmserve.vllm.doctor_screen }}"
"""

RETURN = r"""
_value:
  description:
    - "C(findings), the nearest to the root first, each with C(cause), C(detail), C(severity) (V(error) or V(warning)),
      C(hosts), C(evidence), C(log), the log that shows it, C(explanation), C(remedy), C(where) and C(source);
      C(errors) and C(warnings), their numbers; C(hosts), each with C(name), C(healthy) and a C(line) of what runs;
      C(problems), what could not be read."
  type: dict
"""

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.llmserve.vllm.plugins.plugin_utils._doctor import report


def doctor_report(nodes: Any) -> dict[str, Any]:
    """What is wrong, and what is well."""
    if not isinstance(nodes, list) or not all(isinstance(node, Mapping) and node.get("name") for node in nodes):
        raise AnsibleFilterError("llmserve.vllm.doctor_report needs a list of dictionaries with a name each.")
    return report(nodes)


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"doctor_report": doctor_report}
