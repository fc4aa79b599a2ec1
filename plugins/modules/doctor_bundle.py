#!/usr/bin/python
# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The documentation of the action llmserve.vllm.doctor_bundle."""

from __future__ import annotations

DOCUMENTATION = r"""
module: doctor_bundle
short_description: Pack what the doctor has found for a bug report
version_added: "0.1.0"
author:
  - "The llmserve.vllm authors (@llmserve)"
description:
  - Writes an archive on the controller with the report, and with the facts and logs of each host. They come from
    M(llmserve.vllm.doctor_host), which takes the secrets out; whatever looks like one is taken out here once more.
  - This is an action that runs on the controller; nothing is done on a host. The archive is a file of the operator's,
    readable for nobody else, and no change to report. Check mode writes none.
extends_documentation_fragment:
  - llmserve.vllm.attributes.reader
options:
  path:
    description: Where to write the archive, a C(.tar.gz).
    type: path
    required: true
  report:
    description: The report of P(llmserve.vllm.doctor_report#filter).
    type: dict
    required: true
  nodes:
    description: The hosts that the report was made of.
    type: list
    elements: dict
    required: true
"""

EXAMPLES = r"""
- name: Pack it
  llmserve.vllm.doctor_bundle:
    path: ./llmserve-doctor.tar.gz
    report: "{{ nodes | llmserve.vllm.doctor_report }}"
    nodes: "{{ nodes }}"
"""

RETURN = r"""
path:
  description: Absolute path of the archive.
  returned: always
  type: str
files:
  description: The names of the files in it.
  returned: always
  type: list
  elements: str
"""
