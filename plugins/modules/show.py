#!/usr/bin/python
# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The documentation of the action llmserve.vllm.show."""

from __future__ import annotations

DOCUMENTATION = r"""
module: show
short_description: Print a text as it is
version_added: "0.1.0"
author:
  - "The llmserve.vllm authors (@llmserve)"
description:
  - Prints a text on the controller, unquoted and unfolded whatever output format Ansible is set to, so that a command
    line in it works as pasted. M(ansible.builtin.debug) shows the same text in JSON or YAML.
  - This is an action that runs on the controller; nothing is done on a host.
extends_documentation_fragment:
  - llmserve.vllm.attributes.reader
options:
  text:
    description: The text. Control characters, which a model's answer can hold, are left out.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Say how to reach the endpoint
  llmserve.vllm.show:
    text: "curl -s {{ url }}/v1/models"
"""

RETURN = r""" # """
