# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter llmserve.vllm.root_failure."""

from __future__ import annotations

DOCUMENTATION = r"""
name: root_failure
short_description: The failure of the host that has failed first
version_added: "0.1.0"
author:
  - "The llmserve.vllm authors (@llmserve)"
description:
  - Where one host fails, all hosts of a deployment end. This picks what the first one has said, and not what the others
    say of it.
positional: _input
options:
  _input:
    description: Messages by host. Empty ones are of hosts that have not failed.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Say why
  ansible.builtin.debug:
    msg: "{{ {'node1': 'Another host has failed.', 'node2': 'No space left'} | llmserve.vllm.root_failure }}"
"""

RETURN = r"""
_value:
  description: The host and its message.
  type: str
  sample: "node2: No space left"
"""

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.llmserve.vllm.plugins.plugin_utils._upgrade_screen import root_failure as of


def root_failure(failures: Any) -> str:
    """The host and its message."""
    if not isinstance(failures, Mapping):
        raise AnsibleFilterError("llmserve.vllm.root_failure needs messages by host.")
    return of({str(host): str(text) for host, text in failures.items()})


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"root_failure": root_failure}
