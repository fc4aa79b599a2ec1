# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter llmserve.vllm.nccl_verdict."""

from __future__ import annotations

DOCUMENTATION = r"""
name: nccl_verdict
short_description: Say what an all-reduce over all hosts has shown
version_added: "0.1.0"
author:
  - "The llmserve.vllm authors (@llmserve)"
description:
  - Takes what M(llmserve.vllm.nccl_check) returned on every host, tells the host that is at fault from those that
    only lost it, and compares the network that was used with the one that was expected.
positional: _input
options:
  _input:
    description:
      - The results of all hosts, the first one first, each with C(host), its name, and C(environment), the variables
        that its container was given.
    type: list
    elements: dict
    required: true
  expect:
    description:
      - The network that NCCL has to use. V(ib) is anything but TCP, be it InfiniBand, RoCE or the plugin of a cloud;
        V(socket) is TCP; V(auto) expects V(ib) when every host has an active port for RDMA and devices in
        C(/dev/infiniband).
    type: str
    choices: [auto, ib, socket]
    default: auto
  min_gb_s:
    description:
      - The bus bandwidth in GB/s (10^9 bytes) that the best of the measurements has to reach; V(0) does not judge it.
    type: float
    default: 0
"""

EXAMPLES = r"""
- name: Refuse a network that does not do
  ansible.builtin.assert:
    that: verdict.ok
    fail_msg: "{{ verdict.problems }}"
  vars:
    verdict: "{{ results | llmserve.vllm.nccl_verdict(expect='ib', min_gb_s=40) }}"
  # verdict.text => all-reduce over 2 nodes, 16 GPUs: NCCL over InfiniBand (8 ports) with GPUDirect RDMA, 372.8 GB/s
"""

RETURN = r"""
_value:
  description:
    - A dictionary with C(ok), C(problems) and C(warnings) (lists of C(host), C(check), C(problem) and C(mend)),
      C(backend), C(transport), C(bus_gb_s), C(text), one line for a report, and C(logs), ends of logs that help.
  type: dict
"""

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.llmserve.vllm.plugins.plugin_utils import _nccl_verdict


def nccl_verdict(results: Any, expect: str = "auto", min_gb_s: float = 0) -> dict[str, Any]:
    """What the results of all hosts mean."""
    if not isinstance(results, list) or not results or not all(isinstance(item, Mapping) for item in results):
        raise AnsibleFilterError("llmserve.vllm.nccl_verdict needs a list with the result of every host.")
    if expect not in ("auto", "ib", "socket"):
        raise AnsibleFilterError(f"llmserve.vllm.nccl_verdict: expect is auto, ib or socket, not {expect}.")
    return _nccl_verdict.verdict(results, expect, float(min_gb_s))


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"nccl_verdict": nccl_verdict}
