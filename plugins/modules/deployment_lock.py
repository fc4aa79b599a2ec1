#!/usr/bin/python
# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module llmserve.vllm.deployment_lock."""

from __future__ import annotations

DOCUMENTATION = r"""
module: deployment_lock
short_description: Keep what was verified to serve
version_added: "0.1.0"
author:
  - "The llmserve.vllm authors (@llmserve)"
description:
  - Keeps the set that was verified to serve in C(lock.json), and the one before in C(lock.previous.json), both readable
    for everybody and without secrets.
  - A set that is the same as the one in the file is no change, however much later and however fast it was measured.
attributes:
  check_mode:
    description: Can run in C(check_mode) and predict the changes without making them.
    support: full
  diff_mode:
    description: Returns details on what has changed, or would change in C(check_mode), when in diff mode.
    support: full
  idempotent:
    description: A second run with the same arguments reports no change.
    support: full
options:
  state:
    description: V(written) keeps O(deployment); V(read) returns what is kept.
    type: str
    choices: [read, written]
    default: read
  path:
    description: Directory of the files. It has to be there for V(written).
    type: path
    default: /etc/llmserve
  deployment:
    description:
      - What serves, as P(llmserve.vllm.running_deployment#filter) makes it. Required for V(written).
    type: dict
  measured:
    description: Figures of the verification, such as tokens per second.
    type: dict
    default: {}
seealso:
  - plugin: llmserve.vllm.running_deployment
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Look at the host
  llmserve.vllm.doctor_host:
    url: http://10.0.0.11:8000
    log_kib: 0
  register: look

- name: Keep what serves
  llmserve.vllm.deployment_lock:
    state: written
    deployment: "{{ look.facts | llmserve.vllm.running_deployment }}"
    measured:
      tokens_per_second: 31.4
"""

RETURN = r"""
lock:
  description: What the file holds now, with C(format), C(time), C(deployment) and C(measured); V(null) without one.
  returned: always
  type: dict
previous:
  description: The same of the deployment before.
  returned: always
  type: dict
differences:
  description: What has changed, or would, from the file as it was, in words.
  returned: always
  type: list
  elements: str
  sample: ['vLLM: 0.33.0, was 0.32.0']
"""

import json
import os
import tempfile
import time
from typing import Any, Dict, Optional

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.llmserve.vllm.plugins.module_utils import _lock
from ansible_collections.llmserve.vllm.plugins.module_utils._host import read_text

_MODE = 0o644


def read(module: AnsibleModule, path: str) -> Optional[Dict[str, Any]]:
    """The lock file; one that makes no sense is a warning, and counts as none."""
    lock, problem = _lock.read(read_text(path))
    if problem:
        module.warn("{0} is no lock file: {1}.".format(path, problem))
    return lock


def shown(lock: Optional[Dict[str, Any]]) -> str:
    """A lock file as text. Its order is the order of arguments, which tells one container from another."""
    return json.dumps(lock, indent=2) + "\n" if lock else ""


def write(module: AnsibleModule, path: str, lock: Dict[str, Any]) -> None:
    """Replace the file in one step."""
    try:
        descriptor, name = tempfile.mkstemp(dir=module.tmpdir)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(shown(lock))
        os.chmod(name, _MODE)
        module.atomic_move(name, path)
        # atomic_move keeps the mode of a file that was there
        module.set_mode_if_different(path, _MODE, False)
    except OSError as exc:
        module.fail_json(msg="{0} cannot be written: {1}.".format(path, exc))


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["read", "written"], "default": "read"},
            "path": {"type": "path", "default": "/etc/llmserve"},
            "deployment": {"type": "dict"},
            "measured": {"type": "dict", "default": {}},
        },
        required_if=[("state", "written", ["deployment"])],
        supports_check_mode=True,
    )
    params = module.params
    paths = [os.path.join(params["path"], name) for name in ("lock.json", "lock.previous.json")]
    before, previous = read(module, paths[0]), read(module, paths[1])
    if params["state"] == "read":
        module.exit_json(changed=False, lock=before, previous=previous, differences=[])
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    # as JSON keeps it, so that what comes back from the file is the same
    after = json.loads(json.dumps(_lock.make(params["deployment"], params["measured"], stamp)))
    problems = _lock.validate(after)
    if problems:
        module.fail_json(msg="This is nothing to go back to, so it is not kept: {0}.".format("; ".join(problems)))
    if _lock.same(before, after):
        module.exit_json(changed=False, lock=before, previous=previous, differences=[])
    if not module.check_mode:
        if before:
            write(module, paths[1], before)
        write(module, paths[0], after)
    module.exit_json(
        changed=True,
        lock=after,
        previous=before or previous,
        differences=_lock.differences(before["deployment"], after["deployment"]) if before else [],
        diff={"before": shown(before), "after": shown(after), "before_header": paths[0], "after_header": paths[0]},
    )


if __name__ == "__main__":
    main()
