# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter llmserve.vllm.old_revisions."""

from __future__ import annotations

DOCUMENTATION = r"""
name: old_revisions
short_description: Find the revisions in the caches of all hosts that nobody needs
version_added: "0.1.0"
author:
  - "The llmserve.vllm authors (@llmserve)"
description:
  - Takes what M(llmserve.vllm.hf_cache_info) found on every host. A revision is old when no branch or tag of its host
    leads to it, the deployment does not want it, no process and no container of any of the hosts names it, and no job
    works on its model.
  - A directory that several hosts share is worked on by the first of them. Hosts share it when they return the same
    RV(llmserve.vllm.hf_cache_info#module:identity).
  - Revisions of a damaged model stay, because huggingface_hub cannot remove them.
positional: _input
options:
  _input:
    description:
      - The result of M(llmserve.vllm.hf_cache_info) by name of the host. Hosts without one are returned as C(unknown).
    type: dict
    required: true
  keep:
    description:
      - How many complete revisions of a model to keep besides, the newest of those that are old.
    type: int
    default: 0
  shared:
    description:
      - Whether all hosts share one directory, whatever its identity.
    type: bool
    default: false
seealso:
  - module: llmserve.vllm.hf_cache_info
  - module: llmserve.vllm.hf_snapshot
"""

EXAMPLES = r"""
- name: Show what can go
  llmserve.vllm.show:
    text: "{{ (caches | llmserve.vllm.old_revisions(keep=1)).screen }}"
  vars:
    caches: "{{ dict(ansible_play_hosts | zip(ansible_play_hosts | map('extract', hostvars, 'cache'))) }}"
"""

RETURN = r"""
_value:
  description:
    - C(remove), a list with the C(id) (host, model and commit), C(host), C(repo_id), C(commit), C(path), C(bytes_freed)
      and C(last_accessed) of each revision that can go.
    - C(kept), a list with the C(host), C(repo_id) and C(commit) of each revision that nothing leads to and that stays,
      and C(why).
    - C(unknown), the names of hosts that did not say what they have.
    - C(screen), all that as text for a terminal, ASCII and with at most 80 columns.
  type: dict
"""

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible.module_utils.parsing.convert_bool import boolean
from ansible_collections.llmserve.vllm.plugins.plugin_utils import _old_revisions


def old_revisions(hosts: Any, keep: Any = 0, shared: Any = False) -> dict[str, Any]:
    """What can go."""
    if not isinstance(hosts, Mapping) or not all(isinstance(info, Mapping) for info in hosts.values()):
        raise AnsibleFilterError(
            "llmserve.vllm.old_revisions needs the results of llmserve.vllm.hf_cache_info, by name of the host."
        )
    try:
        count, one = int(keep), boolean(shared)
    except (TypeError, ValueError) as exc:
        raise AnsibleFilterError(
            f"llmserve.vllm.old_revisions: keep is a number and shared true or false: {exc}"
        ) from exc
    if count < 0:
        raise AnsibleFilterError(f"llmserve.vllm.old_revisions: keep is {count}, but cannot be less than 0.")
    return _old_revisions.old_revisions(hosts, count, one)


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"old_revisions": old_revisions}
