# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter llmserve.vllm.deployment_target."""

from __future__ import annotations

DOCUMENTATION = r"""
name: deployment_target
short_description: What the roles have to be told to start a deployment that was verified
version_added: "0.1.0"
author:
  - "The llmserve.vllm authors (@llmserve)"
description:
  - Makes of the deployment in a lock file what was asked for then, with the image and the commit that came of it.
positional: _input
options:
  _input:
    description: The C(deployment) of a lock file, as M(llmserve.vllm.deployment_lock) returns it.
    type: dict
    required: true
  environments:
    description:
      - Today's C(llmserve_environment) by host. Secrets, which no lock file keeps, are taken from here.
    type: dict
    default: {}
  runtime:
    description:
      - Today's C(llmserve_runtime). A deployment of the other one is refused. Empty takes both.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Show what the last verified deployment was made of
  ansible.builtin.debug:
    msg: "{{ kept.lock.deployment | llmserve.vllm.deployment_target }}"
"""

RETURN = r"""
_value:
  description:
    - C(model), C(revision), C(commit), C(path), C(base_image), C(runtime), C(base_digest), C(image) (for units the
      name of their virtual environment), C(digest), C(executor), C(ray_version), C(vllm_version), C(engine_args),
      C(port), C(environments) and C(networks) by host, and C(plan).
  type: dict
"""

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.llmserve.vllm.plugins.plugin_utils._upgrade import TargetError, target_of


def deployment_target(deployment: Any, environments: Any = None, runtime: str = "") -> dict[str, Any]:
    """The target of a deployment that was kept."""
    if not isinstance(deployment, Mapping) or "image" not in deployment:
        raise AnsibleFilterError("llmserve.vllm.deployment_target needs the deployment of a lock file.")
    try:
        return target_of(deployment, environments, runtime)
    except TargetError as exc:
        raise AnsibleFilterError(str(exc)) from exc


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"deployment_target": deployment_target}
