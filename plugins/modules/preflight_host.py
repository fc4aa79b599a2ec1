#!/usr/bin/python
# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module llmserve.vllm.preflight_host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: preflight_host
short_description: Find what on a host would make a deployment fail later
version_added: "0.1.0"
author:
  - "The llmserve.vllm authors (@llmserve)"
description:
  - Checks the node's address, the ports that will be needed and the number of GPUs, and returns every problem that it
    finds instead of failing at the first. The filter P(llmserve.vllm.cluster_problems#filter) puts the hosts together.
  - A port that a container of the same cluster listens on is free, so a second run finds no problem.
  - Changes nothing. Needs root to see the processes of other users.
extends_documentation_fragment:
  - llmserve.vllm.attributes.reader
options:
  node_ip:
    description:
      - The address that the host's Ray and vLLM processes will use. It must be an IP address, configured on an
        interface of the host and not loopback.
    type: str
    required: true
  allow_public:
    description:
      - Whether O(node_ip) may be a public address. Traffic between nodes is neither encrypted nor authenticated.
    type: bool
    default: false
  ports:
    description: The TCP ports that will be listened on.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: What the port is for, or the variable that sets it, for messages.
        type: str
        required: true
      port:
        description: The port.
        type: int
        required: true
  gpus_expected:
    description: How many GPUs the host should have, V(0) for any number but none.
    type: int
    default: 0
  gpus_found:
    description: How many GPUs the host has. Without it, GPUs are not checked.
    type: int
  gpus_missing_reason:
    description: Why there are none, as RV(llmserve.vllm.gpu_info#module:reason) says; becomes a part of the problem.
    type: str
    default: ''
  cluster:
    description: The cluster's name, as in the label C(llmserve.cluster) of its containers.
    type: str
    required: true
  docker_cli:
    description:
      - The Docker client, a path or a name. Without one on the host, ports that containers hold are reported by
        process.
    type: str
    default: docker
"""

EXAMPLES = r"""
- name: Look for problems
  llmserve.vllm.preflight_host:
    node_ip: "{{ llmserve_node_ip }}"
    cluster: llmserve
    ports:
      - name: llmserve_port
        port: 8000
    gpus_expected: 8
    gpus_found: "{{ gpu.gpus | length }}"
  register: preflight
  become: true

- name: Refuse a host with problems
  ansible.builtin.assert:
    that: preflight.problems | length == 0
    fail_msg: "{{ preflight.problems }}"
"""

RETURN = r"""
problems:
  description: What was found; empty when nothing stands in the way.
  returned: always
  type: list
  elements: dict
  contains:
    check:
      description:
        - Which check it was, one of V(node_ip), V(node_ip_local), V(node_ip_public), V(port), V(gpus).
      type: str
      sample: port
    problem:
      description: What is wrong, and where.
      type: str
      sample: Port 8000 (llmserve_port) is taken by process 812 (nginx).
    mend:
      description: What to do about it.
      type: str
      sample: Stop it, or choose another port for llmserve_port in the inventory.
"""

import json
import os
import socket
from typing import Optional

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.llmserve.vllm.plugins.module_utils import _preflight
from ansible_collections.llmserve.vllm.plugins.module_utils._host import local_addresses


def can_bind(address: str) -> bool:
    """Whether an address is configured here, for hosts without the ip command."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True


def inspect_container(module: AnsibleModule, container_id: str) -> Optional[_preflight.Container]:
    """The container's name and labels, None when no Docker on this host knows it."""
    name = module.params["docker_cli"]
    client = name if os.sep in name else module.get_bin_path(name)
    if not client or not os.path.exists(client):
        return None
    template = '{"name": {{json .Name}}, "labels": {{json .Config.Labels}}}'
    rc, out, _err = module.run_command([client, "inspect", "--type", "container", "--format", template, container_id])
    if rc != 0:
        return None
    try:
        found = json.loads(out)
    except ValueError:
        return None
    return _preflight.Container(found["name"].lstrip("/"), found["labels"] or {})


def main() -> None:
    port_spec = {"name": {"type": "str", "required": True}, "port": {"type": "int", "required": True}}
    module = AnsibleModule(
        argument_spec={
            "node_ip": {"type": "str", "required": True},
            "allow_public": {"type": "bool", "default": False},
            "ports": {"type": "list", "elements": "dict", "default": [], "options": port_spec},
            "gpus_expected": {"type": "int", "default": 0},
            "gpus_found": {"type": "int"},
            "gpus_missing_reason": {"type": "str", "default": ""},
            "cluster": {"type": "str", "required": True},
            "docker_cli": {"type": "str", "default": "docker"},
        },
        supports_check_mode=True,
    )
    params = module.params
    problems = _preflight.address_problems(
        params["node_ip"].strip(), local_addresses(module), params["allow_public"], can_bind
    )
    problems += _preflight.gpu_problems(params["gpus_expected"], params["gpus_found"], params["gpus_missing_reason"])
    problems += _preflight.port_problems(
        params["ports"], params["cluster"], lambda container_id: inspect_container(module, container_id)
    )
    module.exit_json(changed=False, problems=problems)


if __name__ == "__main__":
    main()
