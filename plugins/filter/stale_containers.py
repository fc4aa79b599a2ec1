# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter llmserve.vllm.stale_containers."""

from __future__ import annotations

DOCUMENTATION = r"""
name: stale_containers
short_description: The serving containers and units that a host is not to run
version_added: "0.1.0"
author:
  - "The llmserve.vllm authors (@llmserve)"
description:
  - Names the containers and systemd units of a deployment that another executor, another runtime, or another layout of
    the same one, has left on a host.
  - Goes by the labels C(llmserve.component) and C(llmserve.executor), never by names.
positional: _input, executor, wanted, runtime
options:
  _input:
    description: >-
      The containers of the deployment, as M(community.docker.docker_host_info) lists them with C(verbose_output), and
      the units, as M(llmserve.vllm.serving_units_info) does.
    type: list
    elements: dict
    required: true
  executor:
    description: V(ray) or V(mp).
    type: str
    required: true
  wanted:
    description: The components that this host is to run.
    type: list
    elements: str
    required: true
  runtime:
    description: V(docker) or V(venv), what they are to run in.
    type: str
    default: docker
"""

EXAMPLES = r"""
- name: What has to go before vLLM's own multi-node mode can start here
  ansible.builtin.debug:
    msg: "{{ docker.containers | llmserve.vllm.stale_containers('mp', ['vllm']) | map(attribute='name') }}"
"""

RETURN = r"""
_value:
  description: >-
    For each its C(name), C(component), C(runtime) and C(why), in the order in which they are to go.
  type: list
  elements: dict
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError

# The engine before what it stands on.
_ORDER = ("vllm", "vllm_headless", "ray_worker", "ray_head")


def stale_containers(containers: Any, executor: str, wanted: Any, runtime: str = "docker") -> list[dict[str, str]]:
    """What has to go, in the order in which it has to."""
    if not isinstance(containers, Sequence) or isinstance(containers, str):
        raise AnsibleFilterError("llmserve.vllm.stale_containers needs the list of containers of docker_host_info.")
    found = []
    for item in map(_read, containers):
        why = _why(item["component"], item["executor"] or "ray", executor, wanted)
        if item["component"] in _ORDER and item["runtime"] != runtime:
            why = f"made for the runtime {item['runtime']}"
        if why and item["name"]:
            found.append({**{key: item[key] for key in ("name", "component", "runtime")}, "why": why})
    return sorted(found, key=lambda item: _ORDER.index(item["component"]))


def _read(item: Mapping[str, Any]) -> dict[str, str]:
    """A unit as it is, or a container by its labels."""
    if item.get("runtime") == "venv":
        return {key: str(item.get(key) or "") for key in ("name", "component", "executor", "runtime")}
    labels: Mapping[str, Any] = item.get("Labels") or {}
    names = item.get("Names") or ("",)
    return {
        "name": str(names[0]).lstrip("/"),
        "component": str(labels.get("llmserve.component", "")),
        "executor": str(labels.get("llmserve.executor") or ""),
        "runtime": "docker",
    }


def _why(component: str, made_for: str, executor: str, wanted: Sequence[str]) -> str:
    if component not in _ORDER:
        return ""
    if component not in wanted:
        return f"not wanted here with the executor {executor}"
    # Ray's own containers know one executor only
    if component == "vllm" and made_for != executor:
        return f"made for the executor {made_for}"
    return ""


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"stale_containers": stale_containers}
