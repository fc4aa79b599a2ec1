# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter llmserve.vllm.declared_gpus."""

from __future__ import annotations

DOCUMENTATION = r"""
name: declared_gpus
short_description: Read the GPUs that an inventory declares for a host
version_added: "0.1.0"
author:
  - "The llmserve.vllm authors (@llmserve)"
description:
  - Turns C(8 x NVIDIA H100 80GB HBM3) into eight GPUs for M(llmserve.vllm.parallel_plan), so that a deployment can be
    planned before there is a host to ask.
positional: _input
options:
  _input:
    description:
      - The number of GPUs, an C(x), and their name; several kinds are separated by commas. A number alone is that many
        GPUs of an unknown model.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Eight GPUs
  ansible.builtin.debug:
    msg: "{{ '8 x NVIDIA H100 80GB HBM3' | llmserve.vllm.declared_gpus }}"
"""

RETURN = r"""
_value:
  description: One dictionary with C(name) per GPU.
  type: list
  elements: dict
"""

import re
from collections.abc import Callable
from typing import Any

from ansible.errors import AnsibleFilterError

MOST = 64


def declared_gpus(text: Any) -> list[dict[str, str]]:
    """The GPUs in a text such as 8 x NVIDIA H100 80GB HBM3."""
    found: list[dict[str, str]] = []
    for part in str(text).split(","):
        match = re.match(r"^\s*(\d+)\s*(?:[x*\u00d7]\s*(\S.*?))?\s*$", part)
        if not match or not 0 < int(match.group(1)) <= MOST:
            raise AnsibleFilterError(
                f"llmserve_gpus is {text!r}: write the number of GPUs of a host (1 to {MOST}), an x and their name, "
                "such as '8 x NVIDIA H100 80GB HBM3'."
            )
        found += [{"name": match.group(2) or "unknown GPU"}] * int(match.group(1))
    return found


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"declared_gpus": declared_gpus}
