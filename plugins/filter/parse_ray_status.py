# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter parse_ray_status."""

from __future__ import annotations

DOCUMENTATION = r"""
name: parse_ray_status
short_description: Summarize the text of ray status
version_added: "0.1.0"
author:
  - "The llmserve.vllm authors (@llmserve)"
description:
  - Turns what C(ray status) or C(ray status -v) printed into a dictionary, whichever Ray version or autoscaler it was.
  - A worker that died vanishes from this text without a trace. Only M(llmserve.vllm.ray_status), which asks Ray itself,
    shows it as dead; use this filter for recorded output.
positional: _input
options:
  _input:
    description:
      - Standard output of C(ray status), or its standard error when it failed.
    type: string
    required: true
seealso:
  - module: llmserve.vllm.ray_status
"""

EXAMPLES = r"""
- name: Read a recorded status
  ansible.builtin.debug:
    msg: "{{ summary.alive_nodes }} nodes, {{ summary.gpus_free }} of {{ summary.gpus_total }} GPUs free"
  vars:
    summary: "{{ lookup('ansible.builtin.file', 'ray_status.txt') | llmserve.vllm.parse_ray_status }}"
"""

RETURN = r"""
_value:
  description:
    - >-
      C(state) is V(ok), V(partial) (an excerpt that lacks a section), V(no_status_yet) (Ray is still starting) or
      V(error).
    - >-
      C(active_nodes), C(idle_nodes), C(alive_nodes) (both together) and C(pending_nodes) are counts, or null where the
      excerpt does not say; C(active) and C(idle) count by node name or type; C(pending), C(failures), C(demands) and
      C(constraints) are the lines of these sections.
    - >-
      C(gpus_total), C(gpus_used) (by running work), C(gpus_reserved) (by placement groups, used or not) and
      C(gpus_free) (for new work); C(resources) has the same for every resource.
    - C(error_kind) and C(error) say why there is no status, for example V(auth_token_wrong) and Ray's line.
  type: dictionary
"""

from ansible.errors import AnsibleFilterError
from ansible_collections.llmserve.vllm.plugins.module_utils._ray_text import parse_status


def parse_ray_status(text: str) -> dict[str, object]:
    """The filter: see DOCUMENTATION."""
    if not isinstance(text, str):
        raise AnsibleFilterError(
            f"parse_ray_status needs the text of `ray status`, such as registered.stdout, not {type(text).__name__}."
        )
    return parse_status(text)


class FilterModule:
    """Makes the filter known to Ansible."""

    def filters(self) -> dict[str, object]:
        return {"parse_ray_status": parse_ray_status}
