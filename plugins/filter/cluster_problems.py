# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter llmserve.vllm.cluster_problems."""

from __future__ import annotations

DOCUMENTATION = r"""
name: cluster_problems
short_description: Put the problems of all hosts together, and add those between hosts
version_added: "0.1.0"
author:
  - "The llmserve.vllm authors (@llmserve)"
description:
  - Takes what M(llmserve.vllm.preflight_host) found on every host and compares the hosts with each other. Two hosts
    with the same address, and hosts whose image, Ray version or number of GPUs differs from that of most hosts, are
    problems.
positional: _input
options:
  _input:
    description:
      - The hosts, each a dictionary with C(name), C(node_ip), C(image), C(ray_version), C(gpus) (a list with one entry
        per GPU), C(versions) (of the packages in the image, by name) and C(problems) (as
        RV(llmserve.vllm.preflight_host#module:problems)). Other keys are ignored, and what a host does not have is not
        compared.
    type: list
    elements: dict
    required: true
"""

EXAMPLES = r"""
- name: Refuse to start with problems
  ansible.builtin.assert:
    that: problems | length == 0
    fail_msg: "{{ problems }}"
  vars:
    problems: "{{ nodes | llmserve.vllm.cluster_problems }}"
    nodes:
      - {name: node-001, node_ip: 10.0.0.1, image: 'vllm/vllm-openai:v0.33.0', gpus: [H100], problems: []}
      - {name: node-002, node_ip: 10.0.0.1, image: 'vllm/vllm-openai:v0.33.0', gpus: [H100], problems: []}
  # => node-002: llmserve_node_ip 10.0.0.1 is also that of node-001.
"""

RETURN = r"""
_value:
  description:
    - One dictionary per problem, with C(host), C(check), C(problem) and C(mend). Besides the checks of
      M(llmserve.vllm.preflight_host) there are V(duplicate_node_ip), V(image), V(ray_version),
      V(image_versions) and V(gpu_count).
  type: list
  elements: dict
"""

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.llmserve.vllm.plugins.module_utils import _preflight


def cluster_problems(nodes: Any) -> list[dict[str, str]]:
    """Every host's problems, and those between hosts."""
    if not isinstance(nodes, list) or not all(isinstance(node, Mapping) and node.get("name") for node in nodes):
        raise AnsibleFilterError("llmserve.vllm.cluster_problems needs a list of dictionaries with a name each.")
    return _preflight.cluster_problems(nodes)


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"cluster_problems": cluster_problems}
