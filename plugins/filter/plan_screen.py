# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter llmserve.vllm.plan_screen."""

from __future__ import annotations

DOCUMENTATION = r"""
name: plan_screen
short_description: Show a deployment plan on one screen
version_added: "0.1.0"
author:
  - "The llmserve.vllm authors (@llmserve)"
description:
  - Turns the plan of M(llmserve.vllm.parallel_plan) into text for a terminal or a log file. It is ASCII, with at most
    80 columns, and a plan for two hosts takes about 25 lines.
  - Hosts that are alike and pipeline stages with equal figures share a line, so that 64 hosts fit on the screen, too.
  - What the plan does not say, such as the memory of an unknown GPU, is left out or called unknown.
positional: _input
options:
  _input:
    description:
      - The plan, as RV(llmserve.vllm.parallel_plan#module:plan) has it.
    type: dict
    required: true
  arithmetic:
    description:
      - Whether to add how the figures come about.
    type: bool
    default: false
seealso:
  - module: llmserve.vllm.parallel_plan
  - plugin: llmserve.vllm.plan_page
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Show the plan
  llmserve.vllm.show:
    text: "{{ planned.plan | llmserve.vllm.plan_screen(arithmetic=true) }}"
"""

RETURN = r"""
_value:
  description:
    - The text, with line feeds between the lines and none at the end.
    - A bar per stage shows what a GPU's memory is spent on, with C(W) for weights, C(K) for the KV cache, C(A) for
      activations, C(O) for overhead, dots for what stays free and exclamation marks for what is lacking.
  type: str
"""

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible.module_utils.parsing.convert_bool import boolean
from ansible_collections.llmserve.vllm.plugins.plugin_utils import _plan_screen


def plan_screen(plan: Any, arithmetic: Any = False) -> str:
    """The plan as text."""
    if not isinstance(plan, Mapping):
        raise AnsibleFilterError(
            "llmserve.vllm.plan_screen needs the plan of llmserve.vllm.parallel_plan, such as registered.plan, not "
            f"{type(plan).__name__}."
        )
    try:
        wanted = boolean(arithmetic)
    except TypeError as exc:
        raise AnsibleFilterError(
            f"llmserve.vllm.plan_screen: arithmetic is true or false, not {arithmetic!r}."
        ) from exc
    return _plan_screen.plan_screen(plan, wanted)


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"plan_screen": plan_screen}
