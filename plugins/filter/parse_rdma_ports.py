# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter parse_rdma_ports."""

from __future__ import annotations

DOCUMENTATION = r"""
name: parse_rdma_ports
short_description: RDMA ports out of what rdma, ibv_devinfo and others print
version_added: "0.1.0"
author:
  - "The llmserve.vllm authors (@llmserve)"
description:
  - Reads the text of C(rdma link), C(ibv_devinfo), C(ibstat), C(ibdev2netdev) or C(grep -r . /sys/class/infiniband/)
    into ports as C(fabric) in RV(llmserve.vllm.preflight_host#module:facts) has them.
  - For recorded output, such as that of a host one cannot log into. M(llmserve.vllm.preflight_host) reads the kernel's
    own files on the host, which are there without any of these tools.
positional: _input
options:
  _input:
    description: The text.
    type: string
    required: true
seealso:
  - module: llmserve.vllm.preflight_host
"""

EXAMPLES = r"""
- name: Which ports of a host are up
  ansible.builtin.debug:
    msg: "{{ ports | selectattr('state', 'eq', 'ACTIVE') | map(attribute='device') | list }}"
  vars:
    ports: "{{ lookup('ansible.builtin.file', 'rdma.txt') | llmserve.vllm.parse_rdma_ports }}"
"""

RETURN = r"""
_value:
  description:
    - "The ports, in the order of the text, each with C(device), C(port), C(link_layer) (V(InfiniBand) or V(Ethernet)),
      C(state) (such as V(ACTIVE)), C(phys_state) (such as V(LinkUp)), C(rate_gbps), C(active_mtu) in bytes, C(netdev),
      C(firmware), C(hca_type) and C(board_id); null where the tool does not say. Empty for another text."
  type: list
  elements: dictionary
"""

from collections.abc import Callable
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.llmserve.vllm.plugins.plugin_utils._rdma_text import read_ports


def parse_rdma_ports(text: Any) -> list[dict[str, Any]]:
    """The filter: see DOCUMENTATION."""
    if not isinstance(text, str):
        raise AnsibleFilterError(f"llmserve.vllm.parse_rdma_ports takes text, and got {type(text).__name__!r}.")
    return read_ports(text)


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"parse_rdma_ports": parse_rdma_ports}
