# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter llmserve.vllm.slurm_script."""

from __future__ import annotations

DOCUMENTATION = r"""
name: slurm_script
short_description: The script of a Slurm job that serves a model
version_added: "0.1.0"
author:
  - "The llmserve.vllm authors (@llmserve)"
description:
  - Makes a job script that stands by itself. The arguments and the environment of vLLM are those of
    P(llmserve.vllm.engine_launches#filter), with variables of the script in place of addresses and ports, which the job
    alone knows.
  - No secret is in it; keys are read from files while it runs.
positional: _input
options:
  _input:
    description: The engine, as P(llmserve.vllm.engine_launches#filter) takes it; C(served_name) may be a list.
    type: dict
    required: true
  wanted:
    description: >-
      What the job asks Slurm for: C(nodes), C(gpus_per_node), C(name), C(gpu_type), C(partition), C(account), C(qos),
      C(reservation), C(constraint), C(time), C(exclusive), C(cpus_per_node), C(memory), C(directives).
    type: dict
    required: true
  places:
    description: >-
      Where things lie: C(home), C(temp_root), C(api_key_file) and C(ray_token_file).
    type: dict
    required: true
  ways:
    description: >-
      How vLLM is started on a node, and how long what may take: C(setup_commands), C(launcher), C(interface),
      C(environment), C(join_seconds), C(drain_seconds), C(stop_seconds), C(chain), C(chain_lead_seconds),
      C(object_store_memory).
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: Show the script
  llmserve.vllm.show:
    text: "{{ engine | llmserve.vllm.slurm_script(wanted=wanted, places={'home': '/shared/me'}) }}"
  vars:
    wanted: {nodes: 2, gpus_per_node: 8}
    engine:
      executor: ray
      model: /shared/models/llama
      served_name: [llama, /shared/models/llama]
      planned_args: {tensor_parallel_size: 8, pipeline_parallel_size: 2}
      version: 0.33.0
"""

RETURN = r"""
_value:
  description: The script. Its line C(#SBATCH --comment) has a digest of all the rest.
  type: str
"""

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible.utils.display import Display
from ansible_collections.llmserve.vllm.plugins.module_utils._engine_launch import Engine, LaunchError
from ansible_collections.llmserve.vllm.plugins.module_utils._vllm_help import HelpError, from_json
from ansible_collections.llmserve.vllm.plugins.plugin_utils._slurm_script import (
    Places,
    ScriptError,
    Wanted,
    Ways,
    slurm_script,
    warnings_of,
)

display = Display()

_NUMBERS = (
    "nodes",
    "gpus_per_node",
    "cpus_per_node",
    "chain",
    "chain_lead_seconds",
    "object_store_memory",
    "ready_seconds",
)
_SECONDS = ("join_seconds", "drain_seconds", "stop_seconds", "execute_seconds", "port", "master_port")


def script(engine: Any, wanted: Any, places: Any, ways: Any = None) -> str:
    """The whole script; what the operator should know becomes warnings."""
    if not all(isinstance(part, Mapping) for part in (engine, wanted, places, ways or {})):
        raise AnsibleFilterError("llmserve.vllm.slurm_script needs dictionaries.")
    try:
        asked = Engine(**_values(engine))
        sizes, where = Wanted(**_values(wanted)), Places(**_values(places))
        text = slurm_script(asked, sizes, where, Ways(**_values(ways or {})))
        said = warnings_of(asked, sizes.nodes, where)
    except (LaunchError, HelpError, ScriptError) as exc:
        raise AnsibleFilterError(str(exc)) from exc
    except (TypeError, ValueError) as exc:
        raise AnsibleFilterError(f"llmserve.vllm.slurm_script: {exc}") from exc
    for warning in said:
        display.warning(warning)
    return text


def _values(given: Mapping[str, Any]) -> dict[str, Any]:
    values = {str(name): value for name, value in given.items() if value is not None}
    for name in (*_NUMBERS, *_SECONDS):
        if name in values:
            values[name] = int(values[name])
    if values.get("accepted"):
        values["accepted"] = from_json(values["accepted"])
    return values


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"slurm_script": script}
