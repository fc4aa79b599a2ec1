# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter llmserve.vllm.engine_launches."""

from __future__ import annotations

DOCUMENTATION = r"""
name: engine_launches
short_description: How each host of a deployment starts vLLM
version_added: "0.1.0"
author:
  - "The llmserve.vllm authors (@llmserve)"
description:
  - Makes the arguments and the environment of C(vllm serve) for every host, whatever starts it there and with either
    executor.
  - With the executor C(ray) the first host starts the engine, and Ray starts its workers on all hosts. With C(mp),
    vLLM's own multi-node mode, every host starts a rank, the first one with the API, the others headless. A single
    host needs neither Ray nor ranks.
  - What the plan decides wins over the operator's arguments. Both are checked as P(llmserve.vllm.vllm_args#filter)
    does it.
positional: _input
options:
  _input:
    description:
      - The engine, alike for all hosts.
    type: dict
    required: true
    suboptions:
      executor:
        description: V(ray) or V(mp).
        type: str
        required: true
      model:
        description: The model's directory, or its name on the Hub.
        type: str
        required: true
      served_name:
        description: The model's name in requests.
        type: str
        required: true
      listen:
        description: The address of the API on the first host.
        type: str
      port:
        description: The port of the API.
        type: int
      engine_args:
        description: The operator's arguments.
        type: dict
      planned_args:
        description: The C(engine_args) of a plan.
        type: dict
      version:
        description: The release of vLLM.
        type: str
      accepted:
        description: What M(llmserve.vllm.engine_flags) returns as C(flags).
        type: dict
      master_port:
        description: The port at which the ranks of C(mp) meet, on the first host.
        type: int
      ready_seconds:
        description: How long loading may take.
        type: int
      execute_seconds:
        description: How long one step of the model may take.
        type: int
      ray:
        description: >-
          What the engine needs of Ray: C(address), C(token_file), C(config_root) and C(temp_dir). Not with V(mp).
        type: dict
  hosts:
    description:
      - The hosts, each with C(name) and C(address), the head first.
    type: list
    elements: dict
    required: true
"""

EXAMPLES = r"""
- name: Show what two hosts run
  ansible.builtin.debug:
    msg: "{{ engine | llmserve.vllm.engine_launches(hosts) | map(attribute='argv') | map('join', ' ') }}"
  vars:
    engine:
      executor: mp
      model: /models/llama
      served_name: llama
      listen: 10.0.0.1
      planned_args: {tensor_parallel_size: 8, pipeline_parallel_size: 2}
      version: 0.33.0
    hosts:
      - {name: node-001, address: 10.0.0.1}
      - {name: node-002, address: 10.0.0.2}
"""

RETURN = r"""
_value:
  description: >-
    One entry for each host that starts something, with C(name), C(rank), C(headless), C(argv), the model first,
    C(environment) and C(gpus), the number of GPUs that it has to see, 0 for all.
  type: list
  elements: dict
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible.utils.display import Display
from ansible_collections.llmserve.vllm.plugins.module_utils._engine_launch import (
    Engine,
    Host,
    LaunchError,
    Ray,
    launches,
)
from ansible_collections.llmserve.vllm.plugins.module_utils._vllm_help import HelpError, from_json

display = Display()

_NUMBERS = ("port", "master_port", "ready_seconds", "execute_seconds")


def engine_launches(engine: Any, hosts: Any) -> list[dict[str, Any]]:
    """What each host runs; what the operator should know becomes warnings."""
    if not isinstance(engine, Mapping) or not isinstance(hosts, Sequence) or isinstance(hosts, str):
        raise AnsibleFilterError("llmserve.vllm.engine_launches needs a dictionary and a list of hosts.")
    try:
        result = launches(_engine(engine), [Host(str(host["name"]), str(host["address"])) for host in hosts])
    except KeyError as exc:
        raise AnsibleFilterError(f"llmserve.vllm.engine_launches needs {exc.args[0]!r}.") from exc
    except (LaunchError, HelpError, TypeError, ValueError) as exc:
        raise AnsibleFilterError(str(exc)) from exc
    for warning in result.warnings:
        display.warning(warning)
    return [launch._asdict() for launch in result.launches]


def _engine(given: Mapping[str, Any]) -> Engine:
    unknown = sorted(set(map(str, given)) - set(Engine._fields))
    if unknown:
        raise AnsibleFilterError(f"llmserve.vllm.engine_launches does not know {unknown[0]!r}.")
    values = {str(name): value for name, value in given.items() if value is not None}
    values.update({name: int(values[name]) for name in _NUMBERS if name in values})
    values["accepted"] = from_json(values["accepted"]) if values.get("accepted") else None
    values["ray"] = Ray(**values["ray"]) if values.get("ray") else None
    for name in ("executor", "model", "served_name"):
        values[name] = str(values[name])
    if not values["model"]:
        raise AnsibleFilterError(
            "There is no model to serve: run the role hf_model before, or set vllm_serve_model_path to its directory."
        )
    return Engine(**values)


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"engine_launches": engine_launches}
