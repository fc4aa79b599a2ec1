#!/usr/bin/python
# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module llmserve.vllm.serving_units_info."""

from __future__ import annotations

DOCUMENTATION = r"""
module: serving_units_info
short_description: The systemd units of a deployment on a host
version_added: "0.1.0"
author:
  - "The llmserve.vllm authors (@llmserve)"
description:
  - Lists the units that carry a cluster's name in their section C(X-llmserve), as M(llmserve.vllm.serving_unit) has
    made them, running or not. Units of anybody else are not looked at.
extends_documentation_fragment:
  - llmserve.vllm.attributes.reader
options:
  cluster:
    description: The cluster's name.
    type: str
    default: llmserve
seealso:
  - module: llmserve.vllm.serving_unit
"""

EXAMPLES = r"""
- name: Look for units
  llmserve.vllm.serving_units_info:
  register: here

- name: Show them
  ansible.builtin.debug:
    msg: "{{ here.units | map(attribute='name') }}"
"""

RETURN = r"""
units:
  description: The units, sorted by name.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Name without C(.service).
      type: str
      sample: llmserve-vllm
    component:
      description: C(vllm), C(vllm_headless), C(ray_head) or C(ray_worker).
      type: str
      sample: vllm
    executor:
      description: The executor that it was made for.
      type: str
      sample: mp
    group:
      description: What ranks that belong together have in common.
      type: str
    status:
      description: C(running), C(restarting) or C(exited).
      type: str
      sample: running
    restarts:
      description: How often systemd has started it again.
      type: int
      sample: 0
    image:
      description: The name of its virtual environment.
      type: str
      sample: vllm-0.33.0-py312-0f1e2d3c4b5a6978
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.llmserve.vllm.plugins.module_utils._unit import units


def main() -> None:
    module = AnsibleModule(argument_spec={"cluster": {"type": "str", "default": "llmserve"}}, supports_check_mode=True)
    module.exit_json(changed=False, units=units(module.params["cluster"]))


if __name__ == "__main__":
    main()
