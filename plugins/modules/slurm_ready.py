#!/usr/bin/python
# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module llmserve.vllm.slurm_ready."""

from __future__ import annotations

DOCUMENTATION = r"""
module: slurm_ready
short_description: Wait until a Slurm job serves, or say why it never will
version_added: "0.1.0"
author:
  - "The llmserve.vllm authors (@llmserve)"
description:
  - Watches a job in the queue, with its place in line, the reason explained and the time at which Slurm expects to
    start it, then its log, with the shards loaded so far, until it has answered a completion and written its endpoint.
  - Fails at once when the job has ended, with the root cause found in its log, or when it waits for what never comes.
  - In a playbook an action plugin of the same name runs this module in slices and prints a line of progress for each.
extends_documentation_fragment:
  - llmserve.vllm.attributes.waiter
attributes:
  check_mode:
    description: Can run in C(check_mode) and predict the changes without making them.
    support: full
    details: Looks once, does not wait and does not fail.
  diff_mode:
    description: Returns details on what has changed, or would change in C(check_mode), when in diff mode.
    support: none
  idempotent:
    description: A second run with the same arguments reports no change.
    support: full
    details: Only reads.
options:
  job_id:
    description: Number of the job.
    type: int
    required: true
  endpoint_file:
    description: The file that the job writes when it has answered.
    type: path
    required: true
  timeout:
    description: Seconds to wait in all, in the queue and while it loads. The job goes on when they are over.
    type: float
    default: 86400
  interval:
    description: Seconds between two looks.
    type: float
    default: 3
  log_lines:
    description: Number of the log's last lines to return when it has failed.
    type: int
    default: 60
"""

EXAMPLES = r"""
- name: Wait until it serves
  llmserve.vllm.slurm_ready:
    job_id: "{{ job.job_id }}"
    endpoint_file: /shared/alice/llmserve/endpoint.json
  register: served
"""

RETURN = r"""
endpoint:
  description: What the job has written, with C(url), C(node), C(address), C(port) and C(job_id).
  returned: when it serves
  type: dict
progress:
  description: How far it has come, in one sentence with figures.
  returned: always
  type: str
  sample: 'job 4711, number 3 of 12 in line: jobs with a higher priority are before it (Priority)'
figures:
  description: >-
    The C(stage) (V(queue), V(start), V(load), V(end) and the others of M(llmserve.vllm.vllm_ready)) and its figures,
    such as C(done) and C(total).
  returned: always
  type: dict
diagnosis:
  description: What was found in the log, as in RV(llmserve.vllm.vllm_ready#module:diagnosis).
  returned: on failure
  type: list
  elements: dict
reason_kind:
  description: V(ended), V(gone), V(never) or V(timeout).
  returned: on failure
  type: str
  sample: ended
log_tail:
  description: The last lines of the job's log.
  returned: on failure
  type: list
  elements: str
elapsed:
  description: Seconds waited so far, those of earlier slices included.
  returned: always
  type: float
finished:
  description: Whether the wait is over. Only a slice returns V(false).
  returned: always
  type: bool
resume:
  description: What the next slice needs to know.
  returned: always
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.llmserve.vllm.plugins.module_utils._slurm_watch import JobWatch
from ansible_collections.llmserve.vllm.plugins.module_utils._wait import FAILED, TIMEOUT, minutes, wait_as_told


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "job_id": {"type": "int", "required": True},
            "endpoint_file": {"type": "path", "required": True},
            "timeout": {"type": "float", "default": 86400},
            "interval": {"type": "float", "default": 3},
            "log_lines": {"type": "int", "default": 60},
            "slice": {"type": "float", "default": 0},
            "resume": {"type": "dict", "default": {}},
        },
        supports_check_mode=True,
    )
    params = module.params
    watch = JobWatch(params)
    waited = wait_as_told(watch.look, params, module.check_mode)
    result = waited.as_result()
    if waited.status in (FAILED, TIMEOUT) and not module.check_mode:
        found = watch.autopsy(waited.look, params["log_lines"])
        if waited.status == TIMEOUT:
            found["msg"] = (
                "Not served within {0}; last seen: {1} The job goes on: run the playbook again to wait on.".format(
                    minutes(params["timeout"]), found["msg"]
                )
            )
        module.fail_json(**dict(result, **dict(waited.look.facts, **found)))
    module.exit_json(**dict(result, **waited.look.facts))


if __name__ == "__main__":
    main()
