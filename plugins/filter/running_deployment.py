# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter llmserve.vllm.running_deployment."""

from __future__ import annotations

DOCUMENTATION = r"""
name: running_deployment
short_description: The deployment that runs, as its lock file would name it
version_added: "0.1.0"
author:
  - "The llmserve.vllm authors (@llmserve)"
description:
  - Makes of what M(llmserve.vllm.doctor_host) has found on the head what M(llmserve.vllm.deployment_lock) keeps - what
    runs, and not what the inventory wants to run.
positional: _input
options:
  _input:
    description: The facts of the head, RV(llmserve.vllm.doctor_host#module:facts).
    type: dict
    required: true
  target:
    description:
      - What it was made of, in the form that P(llmserve.vllm.deployment_target#filter) returns. Kept as C(request),
        without secrets, so that it can be asked for again.
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: Show what runs
  ansible.builtin.debug:
    msg: "{{ look.facts | llmserve.vllm.running_deployment }}"
"""

RETURN = r"""
_value:
  description:
    - C(image) with C(name), C(id) and C(digest); C(model) with C(repo), C(commit) and C(path); C(engine_args);
      C(versions) of C(vllm), C(ray), C(torch), C(nccl) and C(driver); C(nodes), the GPUs by address; C(request).
      Empty without an engine.
  type: dict
"""

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.llmserve.vllm.plugins.module_utils._lock import running_deployment as of_facts
from ansible_collections.llmserve.vllm.plugins.plugin_utils._upgrade import request_of


def running_deployment(facts: Any, target: Any = None) -> dict[str, Any]:
    """What runs, and what was asked for."""
    if not isinstance(facts, Mapping):
        raise AnsibleFilterError("llmserve.vllm.running_deployment needs the facts of llmserve.vllm.doctor_host.")
    found = of_facts(facts)
    return {**found, "request": request_of(target)} if found and target else found


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"running_deployment": running_deployment}
