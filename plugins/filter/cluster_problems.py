# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter llmserve.vllm.cluster_problems."""

from __future__ import annotations

DOCUMENTATION = r"""
name: cluster_problems
short_description: Compare hosts before containers start on them
version_added: "0.1.0"
author:
  - "The llmserve.vllm authors (@llmserve)"
description:
  - Compares hosts with each other. Two hosts with the same address, and hosts whose image, Ray version, number of
    GPUs or versions inside the image differ from those of most hosts, are problems. These are some of the checks of
    P(llmserve.vllm.preflight_report#filter), for what becomes known later than the rest.
positional: _input
options:
  _input:
    description:
      - The hosts, each a dictionary with C(name), C(node_ip), C(image), C(ray_version), C(gpus) (a list with one entry
        per GPU) and C(versions) (of the packages in the image, by name). Other keys are ignored, and what a host does
        not have is not compared.
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
      - {name: node-001, node_ip: 10.0.0.1, image: 'vllm/vllm-openai:v0.33.0', gpus: [H100]}
      - {name: node-002, node_ip: 10.0.0.1, image: 'vllm/vllm-openai:v0.33.0', gpus: [H100]}
  # => node-002: llmserve_node_ip 10.0.0.1 is also that of node-001.
"""

RETURN = r"""
_value:
  description:
    - One dictionary per problem, with C(host), C(check), C(problem) and C(mend). The check is V(duplicate_node_ip),
      V(image), V(ray_version), V(image_versions) or V(gpu_count).
  type: list
  elements: dict
"""

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.llmserve.vllm.plugins.plugin_utils._checks.judge import CHECKS, cluster_from, judge

NAMES = ("duplicate_node_ip", "gpu_count", "image", "ray_version", "image_versions")


def cluster_problems(nodes: Any) -> list[dict[str, str]]:
    """What is wrong between the hosts."""
    if not isinstance(nodes, list) or not all(isinstance(node, Mapping) and node.get("name") for node in nodes):
        raise AnsibleFilterError("llmserve.vllm.cluster_problems needs a list of dictionaries with a name each.")
    hosts = [
        {
            "name": node["name"],
            "versions": node.get("versions"),
            "wish": {key: node.get(key) for key in ("node_ip", "image", "ray_version")}
            | {"gpus": len(node.get("gpus") or ())},
        }
        for node in nodes
    ]
    report = judge(cluster_from(hosts), checks=[check for check in CHECKS if check.name in NAMES])
    return [
        {
            "host": row["host"],
            "check": row["check"],
            "problem": f"{row['found']}; wanted: {row['wanted']}.",
            "mend": row["mend"],
        }
        for row in report.rows
    ]


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"cluster_problems": cluster_problems}
