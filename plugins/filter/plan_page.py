# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter llmserve.vllm.plan_page."""

from __future__ import annotations

DOCUMENTATION = r"""
name: plan_page
short_description: Draw a deployment plan as an HTML page
version_added: "0.1.0"
author:
  - "The llmserve.vllm authors (@llmserve)"
description:
  - Turns the plan of M(llmserve.vllm.parallel_plan) into one HTML document with the hosts and their GPUs by pipeline
    stage, what the memory of a GPU of each stage is spent on, the headline figures, warnings, reasons, alternatives,
    engine arguments and the arithmetic.
  - The page needs nothing else. It holds no script, asks for nothing over the network, and its content security policy
    forbids both. It can be read on a phone, in the dark, by a screen reader, and on paper.
positional: _input
options:
  _input:
    description:
      - The plan, as RV(llmserve.vllm.parallel_plan#module:plan) has it.
    type: dict
    required: true
seealso:
  - module: llmserve.vllm.parallel_plan
  - plugin: llmserve.vllm.plan_screen
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Keep the plan as a page
  ansible.builtin.copy:
    content: "{{ planned.plan | llmserve.vllm.plan_page }}"
    dest: plan.html
    mode: "0644"
  delegate_to: localhost
"""

RETURN = r"""
_value:
  description:
    - The document, in UTF-8.
    - >-
      Its figures can be read by programs as well. Each part of a bar has C(data-stage) (counted from 0), C(data-kind)
      (V(weights), V(kv), V(activation), V(overhead), V(free), V(short)) and C(data-gib); each GPU has C(data-gpu) and
      C(data-stage), empty when idle; the headline figures have attributes such as C(data-max-model-len).
    - Where there are more than eight stages, equal ones in a row share a bar, from C(data-stage) to
      C(data-last-stage).
  type: str
"""

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.llmserve.vllm.plugins.plugin_utils import _plan_page


def plan_page(plan: Any) -> str:
    """The plan as HTML."""
    if not isinstance(plan, Mapping):
        raise AnsibleFilterError(
            "llmserve.vllm.plan_page needs the plan of llmserve.vllm.parallel_plan, such as registered.plan, not "
            f"{type(plan).__name__}."
        )
    return _plan_page.plan_page(plan)


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"plan_page": plan_page}
