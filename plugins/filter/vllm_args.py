# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter llmserve.vllm.vllm_args."""

from __future__ import annotations

DOCUMENTATION = r"""
name: vllm_args
short_description: Turn engine arguments into the argv of vllm serve
version_added: "0.1.0"
author:
  - "The llmserve.vllm authors (@llmserve)"
description:
  - Writes a dictionary of vLLM engine arguments as command line arguments for C(vllm serve), without the executable
    and without the model.
  - Knows which flags every vLLM release from 0.5.0 to 0.33.0 accepts, and how each takes its value. A renamed flag is
    renamed. One that was removed is left out with a warning that names the release, or refused when leaving it out
    would mean something else. An unknown one is refused with the nearest name, and so is a value that the flag's own
    parser would refuse. For other versions only removed flags are looked for, and a warning says so.
  - What the target itself accepts, O(accepted), wins over that.
  - Combinations that are known to be bad in a release are refused, or get the workaround and a warning, with the
    source.
  - Everything that is wrong is said at once.
  - Refuses secrets, because everybody on a host can read the arguments of a process.
positional: _input
options:
  _input:
    description:
      - The engine arguments. Keys are the flags without leading dashes, with underscores or dashes.
      - V(true) and V(false) become C(--flag) and C(--no-flag), a list the values of one flag, a dictionary JSON.
        A key whose value is V(null) is left out.
      - A key may reach into a JSON value with dots, as in C(compilation_config.cudagraph_mode). Beside a value of the
        whole flag, and for releases before 0.9.0, which know no dots, it becomes part of the JSON.
    type: dict
    required: true
  version:
    description:
      - The vLLM release that will read the arguments, such as V(0.33.0) or an image tag such as V(v0.33.0).
      - Without it, only removed flags are looked for.
    type: str
  accepted:
    description:
      - What M(llmserve.vllm.engine_flags) returns as RV(llmserve.vllm.engine_flags#module:flags), by the flag's name.
      - Empty leaves it to O(version).
    type: dict
    default: {}
seealso:
  - module: llmserve.vllm.engine_flags
notes:
  - The flags and the known combinations are listed in C(docs/engine_arguments.md).
"""

EXAMPLES = r"""
- name: Show the arguments that vLLM gets
  ansible.builtin.debug:
    msg: "{{ llmserve_engine_args | llmserve.vllm.vllm_args(version='0.33.0') }}"
  vars:
    llmserve_engine_args:
      max_model_len: 32768
      enable_prefix_caching: false
      served_model_name: [llama, llama-405b]
      limit_mm_per_prompt: {image: 2}
  # => ["--max-model-len", "32768", "--no-enable-prefix-caching", "--served-model-name", "llama", "llama-405b",
  #     "--limit-mm-per-prompt", "{\"image\":2}"]
"""

RETURN = r"""
_value:
  description: The arguments, one list element each.
  type: list
  elements: str
"""

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible.utils.display import Display
from ansible_collections.llmserve.vllm.plugins.module_utils._vllm_args import VllmArgsError, build_argv
from ansible_collections.llmserve.vllm.plugins.module_utils._vllm_help import HelpError, from_json

display = Display()


def vllm_args(engine_args: Any, version: Any = None, accepted: Any = None) -> list[str]:
    """Engine arguments to argv; what the operator should know becomes warnings."""
    if not isinstance(engine_args, Mapping):
        raise AnsibleFilterError(
            f"llmserve.vllm.vllm_args needs a dictionary of engine arguments, not {type(engine_args).__name__}: "
            "check the inventory variable llmserve_engine_args."
        )
    try:
        flags = from_json(accepted) if accepted else None
        result = build_argv(engine_args, str(version) if version else None, flags)
    except (VllmArgsError, HelpError) as exc:
        raise AnsibleFilterError(str(exc)) from exc
    for warning in result.warnings:
        display.warning(warning)
    return result.argv


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"vllm_args": vllm_args}
