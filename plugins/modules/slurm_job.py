#!/usr/bin/python
# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module llmserve.vllm.slurm_job."""

from __future__ import annotations

DOCUMENTATION = r"""
module: slurm_job
short_description: One job of a deployment in Slurm, or none
version_added: "0.1.0"
author:
  - "The llmserve.vllm authors (@llmserve)"
description:
  - Submits a job script, unless a job that runs the very same script waits or runs already. Jobs are known by the name
    and the comment that their script gives them.
  - Or cancels all jobs of that name, those of a chain that have not begun as well, and waits until nothing of them is
    on any node.
  - Acts as the user who is logged in. Jobs of others are never touched.
attributes:
  check_mode:
    description: Can run in C(check_mode) and predict the changes without making them.
    support: full
    details: Asks Slurm then whether it would take the script, when it lies there already.
  diff_mode:
    description: Returns details on what has changed, or would change in C(check_mode), when in diff mode.
    support: none
  idempotent:
    description: A second run with the same arguments reports no change.
    support: full
options:
  name:
    description: Name of the jobs.
    type: str
    required: true
  script:
    description: The job script on this host, for O(state=present). It lies on the filesystem that the nodes share.
    type: path
  state:
    description: Whether there is to be a job that waits or runs.
    type: str
    choices: [present, absent]
    default: present
  replace:
    description:
      - Whether jobs of the name that run another script are cancelled first. Without it they are a failure, because a
        place in the queue and a loaded model are worth something.
    type: bool
    default: false
  endpoint_file:
    description: The file that such a job writes when it has answered; removed when no job is left.
    type: path
  timeout:
    description: Seconds until a cancelled job has to be gone.
    type: float
    default: 180
"""

EXAMPLES = r"""
- name: Submit the job, or find it
  llmserve.vllm.slurm_job:
    name: llmserve
    script: /shared/alice/llmserve/job.sh
  register: job

- name: End it
  llmserve.vllm.slurm_job:
    name: llmserve
    state: absent
"""

RETURN = r"""
job_id:
  description: Number of the job that waits or runs; 0 when there is none, and in check mode before there is one.
  returned: success
  type: int
  sample: 4711
cancelled:
  description: Numbers of the jobs that were cancelled.
  returned: success
  type: list
  elements: int
expected:
  description: What Slurm says about the script in check mode, such as when and where it would start.
  returned: with state V(present), when a job is submitted
  type: str
  sample: Job 12 to start at 2026-11-21T23:16:33 using 32 processors on nodes n[1-2] in partition gpu
"""

import os
from typing import Any, Dict, List

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.llmserve.vllm.plugins.module_utils._slurm import Slurm, SlurmError
from ansible_collections.llmserve.vllm.plugins.module_utils._slurm_text import Job
from ansible_collections.llmserve.vllm.plugins.module_utils._slurm_watch import Deployment, mark_of
from ansible_collections.llmserve.vllm.plugins.module_utils._wait import READY, WAITING, Look, wait_for


def present(module: AnsibleModule, slurm: Slurm) -> Dict[str, Any]:
    """The job that runs this script, submitted when there is none."""
    params = module.params
    try:
        with open(params["script"], encoding="utf-8") as handle:
            mark = mark_of(handle.read())
    except OSError as exc:
        if module.check_mode:
            # a real run would have written it before
            return {"changed": True, "job_id": 0, "cancelled": [], "expected": ""}
        raise SlurmError("The job script {0} cannot be read: {1}.".format(params["script"], exc.strerror)) from exc
    if not mark:
        raise SlurmError("{0} has no line #SBATCH --comment=... to know its job by.".format(params["script"]))
    found = Deployment(slurm.jobs(params["name"]), mark)
    others = [job for job in found.live if job.comment != mark]
    if others and not params["replace"]:
        raise SlurmError(
            "Job {0} of this deployment is {1} with another script than the one that is wanted now: let it go on and "
            "change nothing, end it with playbooks/stop.yml, or cancel it and submit anew in one go with "
            "-e slurm_serve_replace=true.".format(others[0].id, others[0].state.lower())
        )
    if found.ours:
        cancelled = cancel(module, slurm, others)
        # the one that is ahead: the next one of a chain has not begun
        first = sorted(found.ours, key=lambda job: (job.pending, -job.id))[0]
        return {"changed": bool(others), "job_id": first.id, "cancelled": cancelled, "expected": ""}
    expected = slurm.try_out(params["script"])
    cancelled = cancel(module, slurm, others)
    number = 0 if module.check_mode else slurm.submit(params["script"])
    return {"changed": True, "job_id": number, "cancelled": cancelled, "expected": expected}


def absent(module: AnsibleModule, slurm: Slurm) -> Dict[str, Any]:
    """No job of the name any more, and nothing that says that there is one."""
    live = [job for job in slurm.jobs(module.params["name"]) if not job.gone]
    cancelled = cancel(module, slurm, live)
    stale = bool(module.params["endpoint_file"]) and os.path.exists(module.params["endpoint_file"])
    if stale and not module.check_mode:
        os.unlink(module.params["endpoint_file"])
    return {"changed": bool(live) or stale, "job_id": 0, "cancelled": cancelled}


def cancel(module: AnsibleModule, slurm: Slurm, jobs: List[Job]) -> List[int]:
    """Cancel jobs and wait until they have left their nodes; those that wait first, so that none takes over."""
    numbers = [job.id for job in sorted(jobs, key=lambda job: not job.pending)]
    if not numbers or module.check_mode:
        return numbers
    slurm.cancel(numbers)

    def look(_budget: float) -> Look:
        left = [job.id for job in slurm.jobs(module.params["name"]) if job.id in numbers and not job.gone]
        return Look(WAITING if left else READY, ", ".join(map(str, left)), {})

    waited = wait_for(look, module.params["timeout"], 1)
    if waited.status != READY:
        raise SlurmError(
            "Job {0} is still ending after {1:g} s: look at it with scontrol show job, at its nodes with sinfo.".format(
                waited.look.sentence, module.params["timeout"]
            )
        )
    return numbers


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "script": {"type": "path"},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "replace": {"type": "bool", "default": False},
            "endpoint_file": {"type": "path"},
            "timeout": {"type": "float", "default": 180},
        },
        required_if=[("state", "present", ["script"])],
        supports_check_mode=True,
    )
    try:
        result = (present if module.params["state"] == "present" else absent)(module, Slurm())
    except SlurmError as exc:
        module.fail_json(msg=str(exc))
    except OSError as exc:
        module.fail_json(msg="{0}: {1}".format(exc.filename, exc.strerror))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
