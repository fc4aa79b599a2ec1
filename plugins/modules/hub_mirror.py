#!/usr/bin/python
# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module hub_mirror."""

from __future__ import annotations

DOCUMENTATION = r"""
module: hub_mirror
short_description: Pass the models of this host's Hub cache on to other hosts, also while they arrive
version_added: "0.1.0"
author:
  - "The llmserve.vllm authors (@llmserve)"
description:
  - Runs a small HTTP server over a Hub cache, which speaks the Hub's protocol. Other hosts fetch a model from it as
    they would from the Hub, with M(llmserve.vllm.hf_snapshot) or with any other client of C(huggingface_hub).
  - A file that M(llmserve.vllm.hf_snapshot) is still fetching is sent as far as it has come, and the rest as it comes.
    So a chain of hosts, each with a mirror of its own, has the model about as soon as the first one has it.
  - Nothing is served without the mirror's own token, and nothing but the files that the cache has for a model. The
    connection is not encrypted, so use a network that is trusted, or that encrypts.
  - The server is a background process, which goes on when the connection to the host is lost. It reads the cache, and
    writes only its own notes and its log, in C(.llmserve/mirror) of the cache, for its own user only. The token is in
    a file there and in the process' memory, not in arguments or environment.
  - It ends by itself when nobody has asked for anything for O(idle_timeout).
attributes:
  check_mode:
    support: full
    description:
      - Can run in C(check_mode) and return changed status prediction without modifying target.
    details:
      - Says also whether the port could be had.
  diff_mode:
    support: full
    description:
      - Will return details on what has changed (or possibly needs changing in C(check_mode)), when in diff mode.
  idempotent:
    support: full
    description:
      - When run twice in a row outside check mode, with the same arguments, the second invocation indicates no change.
    details:
      - A process that has ended by itself in between is started again, which is a change.
options:
  cache_dir:
    description:
      - The Hub cache, which is C(hub) below C(HF_HOME). It is made when it is not there.
    type: path
    required: true
  address:
    description:
      - The IP address of this host to listen on, by which the other hosts reach it. One that stands for all of its
        addresses is refused. Required with O(state=present).
    type: str
  port:
    description:
      - The TCP port to listen on. Required with O(state=present).
    type: int
  state:
    description:
      - V(present) has a mirror running. One with other options is ended and started anew with the same token; clients
        go on where they were.
      - V(absent) ends it and forgets its token.
    type: str
    choices: [present, absent]
    default: present
  run_as:
    description:
      - User who may read the cache, usually its owner. When the module runs as root, the mirror runs as this user.
    type: str
  idle_timeout:
    description:
      - Seconds without a request and without an answer under way after which the process ends.
    type: float
    default: 3600
notes:
  - The result has the token, so use C(no_log) for the task.
  - Where systemd is told to end a user's processes at logout (C(KillUserProcesses=yes)), connect as a user that
    lingers.
seealso:
  - module: llmserve.vllm.hf_snapshot
"""

EXAMPLES = r"""
- name: Have a mirror on the first node
  llmserve.vllm.hub_mirror:
    cache_dir: /var/lib/llmserve/hf/hub
    address: 192.0.2.11
    port: 8901
    run_as: llmserve
  become: true
  no_log: true
  register: mirror
  when: inventory_hostname == 'node1'

- name: Fetch the model from it on the second node
  llmserve.vllm.hf_snapshot:
    repo_id: meta-llama/Llama-3.1-8B-Instruct
    cache_dir: /var/lib/llmserve/hf/hub
    peers: ["{{ hostvars.node1.mirror.peer }}"]
    run_as: llmserve
  become: true
  vars:
    ansible_python_interpreter: /opt/llmserve/hub/bin/python
  when: inventory_hostname == 'node2'

- name: End the mirror
  llmserve.vllm.hub_mirror:
    cache_dir: /var/lib/llmserve/hf/hub
    state: absent
    run_as: llmserve
  become: true
"""

RETURN = r"""
url:
  description: The mirror's address, for clients that ask for the address of a Hub.
  returned: when O(state=present)
  type: str
  sample: http://192.0.2.11:8901
token:
  description: >-
    The token that clients have to send: 64 hexadecimal digits, made once and kept until O(state=absent). In check mode
    it is empty when there is none yet.
  returned: when O(state=present)
  type: str
  sample: 3f1a...
peer:
  description: RV(url) and RV(token) as M(llmserve.vllm.hf_snapshot) takes them in its option C(peers).
  returned: when O(state=present)
  type: dict
  sample: {url: "http://192.0.2.11:8901", token: 3f1a...}
running:
  description: Whether a mirror runs after this task.
  returned: success
  type: bool
  sample: true
pid:
  description: Number of the mirror's process.
  returned: when RV(running) and O(state=present)
  type: int
  sample: 4711
reason_kind:
  description: >-
    V(port_in_use), V(port_not_permitted), V(port_invalid), V(address_not_local), V(address_invalid),
    V(idle_timeout_invalid), V(not_writable), V(not_stopped), V(start_failed) or V(run_as).
  returned: on failure
  type: str
  sample: port_in_use
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.llmserve.vllm.plugins.module_utils._mirror import work
from ansible_collections.llmserve.vllm.plugins.module_utils._run_as import RunAsError, call_as


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "cache_dir": {"type": "path", "required": True},
            "address": {"type": "str"},
            "port": {"type": "int"},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "run_as": {"type": "str"},
            "idle_timeout": {"type": "float", "default": 3600},
        },
        required_if=[("state", "present", ("address", "port"))],
        supports_check_mode=True,
    )
    try:
        result = call_as(module.params["run_as"] or "", lambda: work(module.params, module.check_mode))
    except RunAsError as exc:
        module.fail_json(msg=str(exc), reason_kind="run_as")
    if "failure" in result:
        module.fail_json(msg=result["failure"], reason_kind=result["reason_kind"])
    if not module._diff:
        result.pop("diff", None)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
