# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter llmserve.vllm.upgrade_preview."""

from __future__ import annotations

DOCUMENTATION = r"""
name: upgrade_preview
short_description: Show what an upgrade is about to change
version_added: "0.1.0"
author:
  - "The llmserve.vllm authors (@llmserve)"
description:
  - ASCII text of at most 80 columns.
positional: _input
options:
  _input:
    description:
      - C(kind), V(upgrade) or V(rollback); C(cluster); C(changes) as P(llmserve.vllm.upgrade_changes#filter) returns
        them; C(back), the lock file to go back to; C(drain_seconds); C(figures) of the endpoint; C(journal) of an
        earlier run; C(drift), what runs differently from what was verified, in words.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Show what would change
  llmserve.vllm.show:
    text: "{{ preview | llmserve.vllm.upgrade_preview }}"
"""

RETURN = r"""
_value:
  description: The text, with line feeds between the lines and none at the end.
  type: str
"""

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.llmserve.vllm.plugins.plugin_utils._upgrade_screen import preview_screen


def upgrade_preview(preview: Any) -> str:
    """The preview as text."""
    if not isinstance(preview, Mapping) or "changes" not in preview:
        raise AnsibleFilterError("llmserve.vllm.upgrade_preview needs a dictionary with the changes.")
    return preview_screen(preview)


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"upgrade_preview": upgrade_preview}
