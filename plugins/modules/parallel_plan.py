#!/usr/bin/python
# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module llmserve.vllm.parallel_plan."""

from __future__ import annotations

DOCUMENTATION = r"""
module: parallel_plan
short_description: Plan how vLLM spreads a model over the GPUs at hand, and what fits into their memory
version_added: "0.1.0"
author:
  - "The llmserve.vllm authors (@llmserve)"
description:
  - Computes tensor and pipeline parallel size, CPU offload, context length and the memory of every pipeline stage by
    the accounting of the vLLM release that will serve, shows the arithmetic, and refuses what vLLM would refuse after
    minutes of loading. Every refusal names what is short, by how much, and at least one change that would work.
  - Reads nothing but its options and needs no network, so it can run anywhere; playbooks run it once, on the
    controller.
  - All sizes are those of the GPU with the least memory; GiB are 2^30 bytes, GB are 10^9 bytes.
extends_documentation_fragment:
  - llmserve.vllm.attributes.reader
options:
  model:
    description:
      - The model, a dictionary.
      - C(config) is the content of its C(config.json). The language model of a multimodal one may be nested
        (C(text_config)).
      - C(name) is used in messages.
      - C(weights_bytes) are the bytes of weights that vLLM loads, and C(weights_source) is where they come from, as
        RV(llmserve.vllm.hub_model_info#module:weights) returns them. Without them the weights are computed from
        C(config).
      - C(download_bytes) is what is still to be downloaded, for the estimate of the time. Without it, the weights.
      - C(quantization) names the format when C(config) does not say it, such as V(fp8), V(fp8_block), V(int4_g128),
        V(nvfp4), V(mxfp4) or V(bnb4).
    type: dict
    required: true
  nodes:
    description:
      - The hosts, each a dictionary with C(name), C(gpus) and C(host_memory_mib).
      - C(gpus) is a list with one entry per GPU as RV(llmserve.vllm.gpu_info#module:gpus) returns it. Used are C(name),
        C(memory_total_mib) (as C(nvidia-smi) says) or C(total_memory_gib) (as CUDA says), C(memory_used_mib),
        C(compute_capability) and the MIG fields. With neither size, the name decides.
      - C(host_memory_mib) is needed to check CPU offload.
    type: list
    elements: dict
    required: true
  strategy:
    description:
      - V(fill) uses every GPU, with tensor parallel groups as large as the nodes allow and as few pipeline stages as
        possible. Where nodes have different numbers of GPUs, the smallest number is used of each, with a warning.
      - V(fit) uses the fewest GPUs that hold the model with the wanted context.
    type: str
    choices: [fill, fit]
    default: fill
  vllm_version:
    description:
      - The vLLM release that will serve the model, such as V(0.33.0). Defaults and memory accounting differ between
        releases. Without it, 0.33 is planned for.
    type: str
  gpu_memory_utilization:
    description: Share of a GPU's memory that vLLM may use, above 0 and at most 1. Without it, the release's default.
    type: float
  max_model_len:
    description:
      - Tokens of the longest request, a number, V(32K), or V(auto) for the longest that fits. Without it, what the
        model was made for, as vLLM does it.
    type: str
  max_num_seqs:
    description: Requests that are computed at once. Without it, the default of the release on these GPUs.
    type: int
  max_num_batched_tokens:
    description: Tokens that are computed at once. Without it, the default of the release on these GPUs.
    type: int
  kv_cache_dtype:
    description: Format of the KV cache, as vLLM's option of that name, such as V(fp8).
    type: str
    default: auto
  enforce_eager:
    description: Whether CUDA graphs are left out.
    type: bool
    default: false
  cpu_offload_gb:
    description:
      - GiB of weights that each GPU leaves in the host's memory, or V(auto) for the least that makes the model fit. The
        host needs about twice that for each of its GPUs.
    type: str
    default: "0"
  tensor_parallel_size:
    description: Number of GPUs that share each layer. Without it, the plan decides.
    type: int
  pipeline_parallel_size:
    description: Number of pipeline stages. Without it, the plan decides.
    type: int
  enable_expert_parallel:
    description: Whether the experts of a mixture are dealt out whole instead of being cut.
    type: bool
    default: false
  async_scheduling:
    description: Set to V(false) when it is off in the engine's arguments. Only used to warn of a known defect.
    type: bool
    default: true
  download_mb_s:
    description: What a host downloads, in MB/s. Without it, 110 is assumed and marked so.
    type: float
  load_gb_s:
    description: What a host reads from the disk that holds the model, in GB/s. Without it, 2 is assumed and marked so.
    type: float
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
      weights_bytes: "{{ model_info.weights.bytes }}"
      weights_source: "{{ model_info.weights.source }}"
    nodes:
      - name: node-001
        gpus: "{{ hostvars['node-001'].gpu.gpus }}"
      - name: node-002
        gpus: "{{ hostvars['node-002'].gpu.gpus }}"
    vllm_version: 0.33.0
  delegate_to: localhost
  run_once: true
  register: planned

- name: Show the arithmetic
  ansible.builtin.debug:
    msg: "{{ planned.plan.arithmetic }}"

- name: How many GPUs does a 70B model need for 32K tokens, without a host at hand?
  llmserve.vllm.parallel_plan:
    model:
      config: "{{ lookup('ansible.builtin.file', 'config.json') | from_json }}"
    nodes:
      - name: planned
        gpus: "{{ [{'name': 'H100 80GB'}] * 8 }}"
    strategy: fit
    max_model_len: 32K
"""

RETURN = r"""
plan:
  description: The plan.
  returned: success, and on failure when the model and the nodes could be read
  type: dict
  contains:
    fits:
      description: Whether vLLM can run the plan. Missing when the memory of the GPUs is not known.
      type: bool
      sample: true
    model: {description: Name of the model, type: str, sample: meta-llama/Llama-3.1-405B-Instruct}
    architecture: {description: Class of the model, type: str, sample: LlamaForCausalLM}
    confidence:
      description:
        - V(high) for text models of known architecture, V(medium) for multimodal ones and where the checkpoint differs
          from its config, V(low) for unknown architectures and formats.
      type: str
      sample: high
    quantization: {description: Format of the weights, type: str, sample: bf16}
    strategy: {description: As in O(strategy), type: str, sample: fill}
    vllm_version: {description: Release that was planned for, type: str, sample: 0.33.0}
    tensor_parallel_size: {description: GPUs that share each layer, type: int, sample: 8}
    pipeline_parallel_size: {description: Pipeline stages, type: int, sample: 2}
    expert_parallel: {description: Whether experts are dealt out whole, type: bool, sample: false}
    gpus_used: {description: GPUs in use, type: int, sample: 16}
    gpus_total: {description: GPUs that could be used, type: int, sample: 16}
    nodes_used: {description: Nodes in use, type: int, sample: 2}
    replicas: {description: How many copies of this layout the nodes could hold, type: int, sample: 1}
    gpu:
      description:
        - The GPU with the least memory, with C(name), C(total_gib) as CUDA reports it, C(requested_gib), what vLLM
          takes of it, and C(compute_capability).
      type: dict
    gpu_memory_utilization: {description: Share of a GPU's memory that vLLM may use, type: float, sample: 0.92}
    max_model_len: {description: Tokens of the longest request, type: int, sample: 131072}
    max_num_seqs: {description: Requests that are computed at once, type: int, sample: 1024}
    max_num_batched_tokens: {description: Tokens that are computed at once, type: int, sample: 8192}
    kv_cache_dtype: {description: Format of the KV cache, type: str, sample: auto}
    enforce_eager: {description: Whether CUDA graphs are left out, type: bool, sample: false}
    cpu_offload_gb: {description: GiB of weights per GPU in the host's memory, type: float, sample: 0}
    host_memory_needed_gib: {description: GiB of memory that every host needs, type: float, sample: 32}
    weights_bytes: {description: Bytes of weights that are loaded, type: int, sample: 811706777600}
    weights_source:
      description: Where that comes from, V(config) when it is computed.
      type: str
      sample: index
    weights_gib_per_gpu: {description: GiB of weights on the fullest GPU, type: float, sample: 47.28}
    kv_cache_gib_per_gpu: {description: GiB of KV cache on the GPU that has the least room, type: float, sample: 22.19}
    kv_cache_tokens: {description: Tokens in the cache as vLLM counts and logs them, type: int, sample: 738656}
    kv_bytes_per_token: {description: Bytes of a token in the cache of such a GPU, type: int, sample: 32256}
    kv_cache_groups: {description: Groups of layers with a block table of their own, type: int, sample: 1}
    max_concurrency: {description: Requests of the longest length that fit at once, type: float, sample: 5.63}
    stages:
      description:
        - The pipeline stages in order, each with C(layers), C(first_layer), and in GiB per GPU C(weights_gib),
          C(kv_gib), C(activation_gib), C(overhead_gib) (CUDA graphs, NCCL, libraries), C(free_gib) (what vLLM leaves
          alone) and their sum C(total_gib); C(offloaded_gib) lies in the host's memory.
      type: list
      elements: dict
    nodes:
      description: The hosts with C(name), C(gpu_name) and C(gpus), the pipeline stage of each GPU or V(null).
      type: list
      elements: dict
    download:
      description:
        - Estimate of the download with C(bytes), C(seconds), C(mb_per_second) and whether that rate was C(stated);
          V(null) when nothing is missing.
      type: dict
    load:
      description:
        - Estimate of the time that loading takes with C(bytes_per_node), C(seconds), C(gb_per_second) and whether that
          rate was C(stated).
      type: dict
    alternatives:
      description: Other layouts that were looked at, with C(fits), C(kv_cache_tokens) and C(why) they came second.
      type: list
      elements: dict
    engine_args:
      description: What vLLM has to be told, for the filter P(llmserve.vllm.vllm_args#filter).
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
from ansible_collections.llmserve.vllm.plugins.module_utils._planner.errors import PlanError
from ansible_collections.llmserve.vllm.plugins.module_utils._planner.plan import make_plan


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "model": {"type": "dict", "required": True},
            "nodes": {"type": "list", "elements": "dict", "required": True},
            "strategy": {"type": "str", "choices": ["fill", "fit"], "default": "fill"},
            "vllm_version": {"type": "str"},
            "gpu_memory_utilization": {"type": "float"},
            "max_model_len": {"type": "str"},
            "max_num_seqs": {"type": "int"},
            "max_num_batched_tokens": {"type": "int", "no_log": False},
            "kv_cache_dtype": {"type": "str", "default": "auto"},
            "enforce_eager": {"type": "bool", "default": False},
            "cpu_offload_gb": {"type": "str", "default": "0"},
            "tensor_parallel_size": {"type": "int"},
            "pipeline_parallel_size": {"type": "int"},
            "enable_expert_parallel": {"type": "bool", "default": False},
            "async_scheduling": {"type": "bool", "default": True},
            "download_mb_s": {"type": "float"},
            "load_gb_s": {"type": "float"},
            "allow_unfit": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    try:
        plan = make_plan(module.params)
    except PlanError as exc:
        module.fail_json(msg=str(exc))
    for warning in plan["warnings"]:
        module.warn(warning)
    if not module.params["allow_unfit"]:
        if plan["reasons"]:
            module.fail_json(msg=" ".join(plan["reasons"]), plan=plan)
        if "fits" not in plan:
            module.fail_json(
                msg="The memory of the GPUs is not known: give memory_total_mib of each GPU in nodes, as nvidia-smi "
                "shows it.",
                plan=plan,
            )
    module.exit_json(changed=False, plan=plan)


if __name__ == "__main__":
    main()
