# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter llmserve.vllm.offload_proof."""

from __future__ import annotations

DOCUMENTATION = r"""
name: offload_proof
short_description: Whether weights were offloaded to host memory as planned
version_added: "0.1.0"
author:
  - "The llmserve.vllm authors (@llmserve)"
description:
  - Compares the CPU offload of a plan with what vLLM has logged and with what the GPUs use. Releases of vLLM have
    ignored C(cpu_offload_gb) for some models without a word.
  - Needs the log of the start. When it does not go back so far, only the GPUs can tell.
positional: _input, memory
options:
  _input:
    description: The plan, as M(llmserve.vllm.parallel_plan) returns it.
    type: dict
    required: true
  memory:
    description: What M(llmserve.vllm.vllm_ready) returns as RV(llmserve.vllm.vllm_ready#module:memory).
    type: dict
    default: {}
  gpus:
    description: What M(llmserve.vllm.gpu_info) returns as RV(llmserve.vllm.gpu_info#module:gpus).
    type: list
    elements: dict
    default: []
"""

EXAMPLES = r"""
- name: Refuse an offload that is none
  ansible.builtin.assert:
    that: proof.took_place is not false
    fail_msg: "{{ proof.evidence | join('; ') }}"
  vars:
    proof: "{{ plan | llmserve.vllm.offload_proof(ready.memory, gpus=info.gpus) }}"
"""

RETURN = r"""
_value:
  description: >-
    C(planned_gib), what each GPU was to have in host memory, 0 without offload; C(took_place), C(null) when nothing
    tells; C(evidence), a list of sentences.
  type: dict
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.llmserve.vllm.plugins.module_utils._engine_memory import (
    offload_proof as prove,
)
from ansible_collections.llmserve.vllm.plugins.module_utils._engine_memory import (
    planned_offload,
)


def offload_proof(plan: Any, memory: Any = None, gpus: Any = None) -> dict[str, Any]:
    """The verdict as a dictionary."""
    if not isinstance(plan, Mapping):
        raise AnsibleFilterError("llmserve.vllm.offload_proof needs a plan.")
    cards: Sequence[Any] = gpus or ()
    used = [float(gpu["memory_used_mib"]) for gpu in cards if isinstance(gpu, Mapping) and gpu.get("memory_used_mib")]
    verdict = prove(plan, memory or {}, used)
    if verdict is None:
        return {"planned_gib": 0.0, "took_place": None, "evidence": []}
    return {
        "planned_gib": planned_offload(plan),
        "took_place": verdict.took_place,
        "evidence": verdict.evidence,
    }


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"offload_proof": offload_proof}
