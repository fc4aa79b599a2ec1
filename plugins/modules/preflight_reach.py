#!/usr/bin/python
# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module llmserve.vllm.preflight_reach."""

from __future__ import annotations

DOCUMENTATION = r"""
module: preflight_reach
short_description: Connect to the planned ports of the other hosts
version_added: "0.1.0"
author:
  - "The llmserve.vllm authors (@llmserve)"
description:
  - Connects from a host's address on the cluster's network to the ports that M(llmserve.vllm.preflight_host) listens
    on at the other hosts, all at once, and says which of them answered. Run on every host, it proves that every port
    is open both ways.
  - With O(ask) one host suffices. The listeners of the others then connect as well, on an order that is signed with the
    key of the run, and their findings are returned with its own. A host none of whose listeners this one reaches cannot
    be asked; for its findings the module runs there.
  - An answer from another host than the expected one, as address translation or a wrong address brings about, is told
    from silence, and silence from refusal.
  - Changes nothing.
extends_documentation_fragment:
  - llmserve.vllm.attributes.reader
options:
  host:
    description: The name of the host that connects, for its goodbye.
    type: str
    required: true
  cluster:
    description:
      - The name with which M(llmserve.vllm.preflight_host) listens on this host. Without other hosts in O(targets) it
        stops listening at once, as nobody will come.
    type: str
    default: llmserve
  source:
    description: The address to connect from.
    type: str
    required: true
  targets:
    description: The hosts. This one may be among them, and is with O(ask), as the others are to connect to it.
    type: list
    elements: dict
    required: true
    suboptions:
      host:
        description: The host's name in the inventory.
        type: str
        required: true
      address:
        description: Its address on the cluster's network.
        type: str
        required: true
      ports:
        description: Its ports, as C(reachable) in RV(llmserve.vllm.preflight_host#module:facts) has them.
        type: list
        elements: dict
        required: true
  timeout:
    description: How many seconds to wait for the answers.
    type: float
    default: 3
  ask:
    description: Whether to have the other hosts connect, too.
    type: bool
    default: false
  run_key:
    description:
      - The key with which an order is signed, the same that M(llmserve.vllm.preflight_host) was given. The action
        plugin sets it.
    type: str
    default: ''
"""

EXAMPLES = r"""
- name: Connect to the other host
  llmserve.vllm.preflight_reach:
    host: node-001
    source: 10.0.0.1
    targets:
      - host: node-002
        address: 10.0.0.2
        ports:
          - name: node_manager
            port: 6380
            probe: true
  register: reach
"""

RETURN = r"""
failed_connections:
  description: The connections that did not come about, empty when all did.
  returned: always
  type: list
  elements: dict
  contains:
    host: {description: The host that was to answer, type: str, sample: node-002}
    name: {description: What the port is for, type: str, sample: node_manager}
    port: {description: The port, type: int, sample: 6380}
    state:
      description:
        - V(refused), V(timeout) (a firewall drops the packets), V(unreachable) (there is no way to the address), or
          V(wrong_host).
      type: str
      sample: timeout
    answer: {description: What answered or why not, type: str}
reports:
  description: What C(failed_connections) is on each host, by the names of the hosts that could be asked, and this one.
  returned: with O(ask)
  type: dict
  sample: {node-001: [], node-002: []}
no_answer:
  description:
    - Why the host cannot be reached. With O(ask) that is no failure, as the others can connect in calls of their own;
      C(reports) are empty then.
  returned: with O(ask), for a host that cannot be reached
  type: str
  sample: Connection timed out
connections:
  description: How many connections were tried from this host.
  returned: always
  type: int
  sample: 14
"""

from typing import Any, Dict

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.llmserve.vllm.plugins.module_utils import _probe
from ansible_collections.llmserve.vllm.plugins.module_utils._order import Who, ask, failed
from ansible_collections.llmserve.vllm.plugins.module_utils._reach import reach


def main() -> None:
    target_spec = {
        "host": {"type": "str", "required": True},
        "address": {"type": "str", "required": True},
        "ports": {"type": "list", "elements": "dict", "required": True},
    }
    module = AnsibleModule(
        argument_spec={
            "host": {"type": "str", "required": True},
            "cluster": {"type": "str", "default": "llmserve"},
            "source": {"type": "str", "required": True},
            "targets": {"type": "list", "elements": "dict", "required": True, "options": target_spec},
            "timeout": {"type": "float", "default": 3},
            "ask": {"type": "bool", "default": False},
            "run_key": {"type": "str", "default": "", "no_log": True},
        },
        supports_check_mode=True,
    )
    params = module.params
    who = Who(params["host"], params["source"], params["run_key"])
    others = [target for target in params["targets"] if target["host"] != who.name]
    if not others:
        _probe.stop(params["cluster"])
    more: Dict[str, Any] = {}
    if params["ask"]:
        results, reports = ask(who, params["targets"], params["timeout"])
        more["reports"] = {**reports, who.name: failed(results)}
    else:
        results = reach(who.address, who.name, others, params["timeout"])
    module.exit_json(changed=False, failed_connections=failed(results), connections=len(results), **more)


if __name__ == "__main__":
    main()
