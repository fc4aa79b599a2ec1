# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter parse_docker_info."""

from __future__ import annotations

DOCUMENTATION = r"""
name: parse_docker_info
short_description: Facts out of what docker info prints
version_added: "0.1.0"
author:
  - "The llmserve.vllm authors (@llmserve)"
description:
  - Reads the text of C(docker info), or its JSON, into what C(docker.server) in
    RV(llmserve.vllm.preflight_host#module:facts) has.
  - For recorded output; M(llmserve.vllm.preflight_host) asks for JSON by itself.
positional: _input
options:
  _input:
    description: The text.
    type: string
    required: true
seealso:
  - module: llmserve.vllm.preflight_host
"""

EXAMPLES = r"""
- name: Does Docker know NVIDIA's runtime there
  ansible.builtin.debug:
    msg: "{{ (lookup('ansible.builtin.file', 'docker_info.txt') | llmserve.vllm.parse_docker_info).nvidia }}"
"""

RETURN = r"""
_value:
  description:
    - C(version), C(root), C(storage_driver), C(containerd_images), C(default_runtime), C(nvidia) (whether the runtime
      or a CDI device of that name is known), C(selinux), C(apparmor), C(rootless) and C(cgroup_version). Null when no
      daemon has answered.
  type: dictionary
"""

from collections.abc import Callable
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.llmserve.vllm.plugins.plugin_utils._docker_text import read_docker_info


def parse_docker_info(text: Any) -> dict[str, Any] | None:
    """The filter: see DOCUMENTATION."""
    if not isinstance(text, str):
        raise AnsibleFilterError(f"llmserve.vllm.parse_docker_info takes text, and got {type(text).__name__!r}.")
    return read_docker_info(text)


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"parse_docker_info": parse_docker_info}
