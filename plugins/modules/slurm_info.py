#!/usr/bin/python
# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module llmserve.vllm.slurm_info."""

from __future__ import annotations

DOCUMENTATION = r"""
module: slurm_info
short_description: What a Slurm partition offers a deployment, and which jobs of it there are
version_added: "0.1.0"
author:
  - "The llmserve.vllm authors (@llmserve)"
description:
  - Asks Slurm on a login node, as the user who is logged in, for its partitions and nodes, and refuses what would wait
    in the queue for ever, such as more GPUs than there are, with what there is instead.
  - Needs no accounting database; where there is one, account and QOS are checked as well.
  - Reads what C(scontrol --oneliner) prints, from Slurm 21.08 on.
extends_documentation_fragment:
  - llmserve.vllm.attributes.reader
options:
  partition:
    description: The partition; without it, the site's default.
    type: str
    default: ""
  account:
    description: The account to submit with.
    type: str
    default: ""
  qos:
    description: The quality of service to submit with.
    type: str
    default: ""
  nodes:
    description: Nodes that the job asks for.
    type: int
    default: 1
  gpus_per_node:
    description: GPUs that it asks for on each; V(0) for all that the nodes have.
    type: int
    default: 0
  gpu_type:
    description: Their type, as the site names it in its GRES; empty for any.
    type: str
    default: ""
  time:
    description: The time limit that it asks for, as Slurm writes it.
    type: str
    default: ""
  gpus:
    description:
      - The GPUs of a node for the planner, as P(llmserve.vllm.declared_gpus#filter) makes them. Without them, the type
        that the site names has to say what they are.
    type: list
    elements: dict
    default: []
  job_name:
    description: Return the jobs of this name, of the user who asks.
    type: str
    default: ""
  jobs_only:
    description: Whether to look at the jobs alone, and at no partition.
    type: bool
    default: false
  endpoint_file:
    description: The file that a job of this name writes when it has answered.
    type: path
"""

EXAMPLES = r"""
- name: Can four nodes with eight GPUs each be had?
  llmserve.vllm.slurm_info:
    partition: gpu
    nodes: 4
    gpus_per_node: 8
  register: offer

- name: Plan with them
  llmserve.vllm.parallel_plan:
    model: {config: "{{ config }}"}
    nodes: "{{ offer.plan_nodes }}"
  delegate_to: localhost
"""

RETURN = r"""
version:
  description: Slurm's release.
  returned: success
  type: str
  sample: 22.05.8
offer:
  description: >-
    What there is for the wish: C(partition), C(max_time), C(gpu_type), C(gpus_per_node), C(nodes) that can have it,
    those that could but are C(down), and of the smallest of them C(memory_mib) and C(cpus).
  returned: success, without O(jobs_only)
  type: dict
plan_nodes:
  description: The nodes of the job for M(llmserve.vllm.parallel_plan).
  returned: success, without O(jobs_only)
  type: list
  elements: dict
jobs:
  description: >-
    The jobs of O(job_name), each with C(id), C(state), C(reason), C(explained), C(comment), C(nodes), C(start), C(end),
    C(log) and C(live).
  returned: success
  type: list
  elements: dict
endpoint:
  description: What the job that serves has written into O(endpoint_file), with C(url) and C(job_id); empty without one.
  returned: success
  type: dict
"""

from typing import Any, Dict, List

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.llmserve.vllm.plugins.module_utils._slurm import Slurm, SlurmError
from ansible_collections.llmserve.vllm.plugins.module_utils._slurm_offer import OfferError, Wish, offer_of, plan_nodes
from ansible_collections.llmserve.vllm.plugins.module_utils._slurm_reasons import explain_end, explain_pending
from ansible_collections.llmserve.vllm.plugins.module_utils._slurm_text import Job
from ansible_collections.llmserve.vllm.plugins.module_utils._slurm_watch import read_endpoint


def told(job: Job) -> Dict[str, Any]:
    """A job for the caller, with its state in words."""
    words = explain_pending(job.reason).text if job.pending else explain_end(job)
    words = words or ("it runs" if job.live else "it is ending")
    return dict(job._asdict(), live=job.live, explained=words)


def offered(slurm: Slurm, params: Dict[str, Any]) -> Dict[str, Any]:
    """The offer, and what the planner makes of it."""
    wish = Wish(*(params[name] for name in Wish._fields))
    offer = offer_of(wish, slurm.partitions(), slurm.nodes(), slurm.accounts())
    return {"offer": offer._asdict(), "plan_nodes": plan_nodes(offer, max(1, wish.nodes), params["gpus"])}


def jobs_of(slurm: Slurm, params: Dict[str, Any]) -> Dict[str, Any]:
    """The jobs of the name, and the endpoint of the one that serves."""
    jobs: List[Job] = slurm.jobs(params["job_name"]) if params["job_name"] else []
    endpoint = read_endpoint(params["endpoint_file"]) if params["endpoint_file"] else {}
    serving = [job.id for job in jobs if job.live and not job.pending]
    return {
        "jobs": [told(job) for job in jobs],
        "endpoint": endpoint if endpoint.get("job_id") in serving else {},
    }


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "partition": {"type": "str", "default": ""},
            "account": {"type": "str", "default": ""},
            "qos": {"type": "str", "default": ""},
            "nodes": {"type": "int", "default": 1},
            "gpus_per_node": {"type": "int", "default": 0},
            "gpu_type": {"type": "str", "default": ""},
            "time": {"type": "str", "default": ""},
            "gpus": {"type": "list", "elements": "dict", "default": []},
            "job_name": {"type": "str", "default": ""},
            "jobs_only": {"type": "bool", "default": False},
            "endpoint_file": {"type": "path"},
        },
        supports_check_mode=True,
    )
    slurm = Slurm()
    try:
        result = {"version": slurm.version(), **jobs_of(slurm, module.params)}
        if not module.params["jobs_only"]:
            result.update(offered(slurm, module.params))
    except (SlurmError, OfferError) as exc:
        module.fail_json(msg=str(exc))
    if result.get("offer", {}).get("down"):
        down = result["offer"]["down"]
        module.warn("Down or drained at the moment, so that a job may wait longer: {0}.".format(", ".join(down)))
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
