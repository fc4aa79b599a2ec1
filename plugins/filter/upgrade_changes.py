# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter llmserve.vllm.upgrade_changes."""

from __future__ import annotations

DOCUMENTATION = r"""
name: upgrade_changes
short_description: What differs between a deployment that was verified and another one
version_added: "0.1.0"
author:
  - "The llmserve.vllm authors (@llmserve)"
description:
  - Compares the deployment in a lock file with a target. Without a command line, as in check mode before the image is
    there, only what was asked for is compared.
positional: _input, target
options:
  _input:
    description: The C(deployment) of a lock file.
    type: dict
    required: true
  target:
    description: What is to be started, in the form that P(llmserve.vllm.deployment_target#filter) returns.
    type: dict
    required: true
  argv:
    description: The arguments of C(vllm serve) on the head, the model first.
    type: list
    elements: str
    default: []
  versions:
    description: Versions in the image by name.
    type: dict
    default: {}
  kept:
    description: The C(deployment) of the target, where a lock file has it. Then O(argv) is not needed.
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: Show what an upgrade would change
  ansible.builtin.debug:
    msg: "{{ kept.lock.deployment | llmserve.vllm.upgrade_changes(target) | map(attribute='words') }}"
"""

RETURN = r"""
_value:
  description: For each its C(name), C(words), old and new, and C(of_ray), whether Ray has to be restarted for it.
  type: list
  elements: dict
"""

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.llmserve.vllm.plugins.plugin_utils._upgrade import upgrade_changes as of


def upgrade_changes(
    deployment: Any, target: Any, argv: Any = None, versions: Any = None, kept: Any = None
) -> list[dict[str, Any]]:
    """What differs, in words."""
    if not isinstance(deployment, Mapping) or not isinstance(target, Mapping):
        raise AnsibleFilterError("llmserve.vllm.upgrade_changes needs the deployment of a lock file, and a target.")
    return of(deployment, target, [str(word) for word in argv or ()], versions, kept)


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"upgrade_changes": upgrade_changes}
