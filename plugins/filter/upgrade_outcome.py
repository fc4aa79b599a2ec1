# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter llmserve.vllm.upgrade_outcome."""

from __future__ import annotations

DOCUMENTATION = r"""
name: upgrade_outcome
short_description: Say how an upgrade ended
version_added: "0.1.0"
author:
  - "The llmserve.vllm authors (@llmserve)"
description:
  - ASCII text of at most 80 columns - what failed, what serves now, how long nothing did, what became of the requests.
positional: _input
options:
  _input:
    description:
      - C(kind), V(upgrade) or V(rollback); C(cluster); C(result), V(done), V(rolled_back) or V(failed); C(changes) in
        words; C(failures) and C(back_failures), messages by host; C(serves) with C(image), C(model) and C(commit);
        C(outage_seconds); C(requests) in words.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Say how it ended
  llmserve.vllm.show:
    text: "{{ outcome | llmserve.vllm.upgrade_outcome }}"
"""

RETURN = r"""
_value:
  description: The text, with line feeds between the lines and none at the end.
  type: str
"""

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.llmserve.vllm.plugins.plugin_utils._upgrade_screen import outcome_screen


def upgrade_outcome(outcome: Any) -> str:
    """The outcome as text."""
    if not isinstance(outcome, Mapping) or outcome.get("result") not in ("done", "rolled_back", "failed"):
        raise AnsibleFilterError("llmserve.vllm.upgrade_outcome needs a dictionary with the result.")
    return outcome_screen(outcome)


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"upgrade_outcome": upgrade_outcome}
