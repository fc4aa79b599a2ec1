# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter diagnose_log."""

from __future__ import annotations

DOCUMENTATION = r"""
name: diagnose_log
short_description: Find the root cause in the log of a vLLM server
version_added: "0.1.0"
author:
  - "The llmserve.vllm authors (@llmserve)"
description:
  - Compares every line of a vLLM log, of any version, with known signatures and tells the root cause from what merely
    followed it, such as second-hand tracebacks and clean-up noise.
  - M(llmserve.vllm.vllm_ready) does the same by itself when the server that it watches dies.
positional: _input
options:
  _input:
    description:
      - The log, for example the output of C(docker logs). Colours, process prefixes and progress bars do not matter.
    type: string
    required: true
seealso:
  - module: llmserve.vllm.vllm_ready
"""

EXAMPLES = r"""
- name: Say why the server died
  ansible.builtin.fail:
    msg: "{{ causes[0].explanation }} {{ causes[0].remedy }} ({{ causes[0].evidence }})"
  vars:
    causes: "{{ vllm_log.stdout | llmserve.vllm.diagnose_log }}"
  when: causes | length > 0
"""

RETURN = r"""
_value:
  description:
    - The causes found, the most probable root cause first. Empty for a server that is healthy or still loading.
    - >-
      Each has C(cause) (a stable slug such as V(cuda_oom) or V(unknown_flag)), C(evidence) (the line of the log),
      C(explanation) and C(remedy).
  type: list
  elements: dictionary
"""

from ansible.errors import AnsibleFilterError
from ansible_collections.llmserve.vllm.plugins.module_utils._diagnose import diagnose


def diagnose_log(text: str) -> list[dict[str, str]]:
    """The filter: see DOCUMENTATION."""
    if not isinstance(text, str):
        raise AnsibleFilterError(
            f"diagnose_log needs the text of a log, such as registered.stdout, not {type(text).__name__}."
        )
    return diagnose(text)


class FilterModule:
    """Makes the filter known to Ansible."""

    def filters(self) -> dict[str, object]:
        return {"diagnose_log": diagnose_log}
