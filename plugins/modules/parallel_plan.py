#!/usr/bin/python
# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module llmserve.vllm.parallel_plan."""

from __future__ import annotations

DOCUMENTATION = r"""
module: parallel_plan
short_description: Decide the tensor and pipeline parallel sizes of a model on the GPUs at hand
version_added: "0.1.0"
author:
  - "The llmserve.vllm authors (@llmserve)"
description:
  - Computes how vLLM can split a model over the GPUs of an inventory, shows the arithmetic, and refuses what vLLM would
    refuse after minutes of starting up. Every refusal names sizes that work.
  - Reads nothing but its options, so it can run anywhere; playbooks run it once, on the controller.
extends_documentation_fragment:
  - llmserve.vllm.attributes.reader
options:
  model:
    description:
      - The model, a dictionary with C(config), the content of its C(config.json), and C(name) for messages.
      - For multimodal models the figures of the language model are taken from C(text_config).
    type: dict
    required: true
  nodes:
    description:
      - The hosts, each a dictionary with C(name) and C(gpus), a list with one entry per GPU as
        RV(llmserve.vllm.gpu_info#module:gpus) returns it. Other keys are ignored.
    type: list
    elements: dict
    required: true
  strategy:
    description:
      - V(fill) uses every GPU of the inventory, with one tensor parallel group per node and one pipeline stage per
        group. Where nodes have different numbers of GPUs, the smallest number is used of each, with a warning.
    type: str
    choices: [fill]
    default: fill
  vllm_version:
    description: The vLLM release that will serve the model, such as V(0.33.0). Only used to warn of known defects.
    type: str
  tensor_parallel_size:
    description: Number of GPUs that share each layer. Without it, the GPUs of a node.
    type: int
  pipeline_parallel_size:
    description: Number of pipeline stages. Without it, as many as the GPUs allow.
    type: int
  allow_unfit:
    description:
      - Whether to return a plan that cannot work, with RV(plan.fits=false) and RV(plan.reasons), instead of failing.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Plan Llama 3.1 405B on two nodes with eight GPUs each
  llmserve.vllm.parallel_plan:
    model:
      name: meta-llama/Llama-3.1-405B-Instruct
      config: "{{ model_info.config }}"
    nodes:
      - name: node-001
        gpus: "{{ hostvars['node-001'].gpu.gpus }}"
      - name: node-002
        gpus: "{{ hostvars['node-002'].gpu.gpus }}"
  delegate_to: localhost
  run_once: true
  register: planned

- name: Show the arithmetic
  ansible.builtin.debug:
    msg: "{{ planned.plan.arithmetic }}"
"""

RETURN = r"""
plan:
  description: The plan.
  returned: success, and on failure when the model and the nodes could be read
  type: dict
  contains:
    fits: {description: Whether vLLM can run the plan, type: bool, sample: true}
    tensor_parallel_size: {description: GPUs that share each layer, type: int, sample: 8}
    pipeline_parallel_size: {description: Pipeline stages, type: int, sample: 2}
    gpus_used: {description: GPUs in use, type: int, sample: 16}
    nodes_used: {description: Nodes in use, type: int, sample: 2}
    stages:
      description: The pipeline stages in order, each with its number of C(layers).
      type: list
      elements: dict
      sample: [{layers: 63}, {layers: 63}]
    engine_args:
      description: The sizes as engine arguments, for the filter P(llmserve.vllm.vllm_args#filter).
      type: dict
      sample: {tensor_parallel_size: 8, pipeline_parallel_size: 2}
    reasons:
      description: Why the plan cannot work, and what would; empty when it fits.
      type: list
      elements: str
    warnings:
      description: What works, but not as one may expect.
      type: list
      elements: str
    arithmetic:
      description: How the figures come about, line by line.
      type: list
      elements: str
      sample:
        - TP 8 x PP 2 = 16 GPUs
        - 128 attention heads / TP 8 = 16 per GPU
        - 8 key/value heads / TP 8 = 1 per GPU
        - 126 layers / PP 2 = 63 + 63 per stage
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.llmserve.vllm.plugins.module_utils._plan import PlanError, make_plan
from ansible_collections.llmserve.vllm.plugins.module_utils._vllm_args import parse_release


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "model": {"type": "dict", "required": True},
            "nodes": {"type": "list", "elements": "dict", "required": True},
            "strategy": {"type": "str", "choices": ["fill"], "default": "fill"},
            "vllm_version": {"type": "str"},
            "tensor_parallel_size": {"type": "int"},
            "pipeline_parallel_size": {"type": "int"},
            "allow_unfit": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    params = module.params
    config = params["model"].get("config")
    if not isinstance(config, dict):
        module.fail_json(msg="model.config must be the content of the model's config.json, a dictionary.")
    try:
        plan = make_plan(
            config,
            params["nodes"],
            tensor_parallel_size=params["tensor_parallel_size"],
            pipeline_parallel_size=params["pipeline_parallel_size"],
            name=str(params["model"].get("name") or "the model"),
            release=parse_release(params["vllm_version"]),
        )
    except PlanError as exc:
        module.fail_json(msg=str(exc))
    for warning in plan["warnings"]:
        module.warn(warning)
    if not plan["fits"] and not params["allow_unfit"]:
        module.fail_json(msg=" ".join(plan["reasons"]), plan=plan)
    module.exit_json(changed=False, plan=plan)


if __name__ == "__main__":
    main()
