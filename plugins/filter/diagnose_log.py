# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter diagnose_log."""

from __future__ import annotations

DOCUMENTATION = r"""
name: diagnose_log
short_description: Find the root cause of a failure in logs
version_added: "0.1.0"
author:
  - "The llmserve.vllm authors (@llmserve)"
description:
  - Compares every line of a log with known signatures and tells the root cause from what merely followed it, such as
    second-hand tracebacks and clean-up noise.
  - The logs of vLLM, of any version, and of Ray are understood, as are the kernel's, systemd's journal, messages of
    Docker and of C(nvidia-smi).
  - M(llmserve.vllm.vllm_ready) does the same by itself when the server that it watches dies.
positional: _input
options:
  _input:
    description:
      - The log, for example the output of C(docker logs). Colours, process prefixes and progress bars do not matter.
      - Or several logs by name, for example those of all hosts.
    type: raw
    required: true
seealso:
  - module: llmserve.vllm.vllm_ready
"""

EXAMPLES = r"""
- name: Read the log with both of its streams in the order in which they were written
  ansible.builtin.shell: docker logs llmserve-vllm 2>&1
  register: vllm_log
  changed_when: false

- name: Say why the server died
  ansible.builtin.fail:
    msg: "{{ causes[0].explanation }} {{ causes[0].remedy }} ({{ causes[0].evidence }})"
  vars:
    causes: "{{ vllm_log.stdout | llmserve.vllm.diagnose_log }}"
  when: causes | length > 0

- name: Say which host started it
  ansible.builtin.debug:
    msg: "{{ causes[0].log }}: {{ causes[0].explanation }} {{ causes[0].remedy }}"
  vars:
    causes: >-
      {{ {'node-1 kernel': dmesg.stdout, 'node-1 engine': vllm_log.stdout} | llmserve.vllm.diagnose_log }}
  when: causes | length > 0
"""

RETURN = r"""
_value:
  description:
    - The causes found, the most probable root cause first. Empty for a server that is healthy or still loading.
    - >-
      Each has C(cause) (a stable slug such as V(cuda_oom) or V(unknown_flag)), C(detail) (a special case of it such as
      V(graph_capture), or empty), C(evidence) (the line of the log) and its number C(line), C(explanation) and
      C(remedy), C(source) (where to read more, or empty), C(where) (host, rank or GPU that the line names, or empty)
      and C(figures) (what the log says was asked for and there was).
    - With several logs each has C(log), the name of the log that shows it best, and C(logs), the names of all that do.
  type: list
  elements: dictionary
"""

from collections.abc import Mapping
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.llmserve.vllm.plugins.module_utils._diagnose import diagnose, diagnose_all


def diagnose_log(text: str | dict[str, str]) -> list[dict[str, Any]]:
    """The filter: see DOCUMENTATION."""
    if isinstance(text, Mapping) and all(isinstance(log, str) for log in text.values()):
        return diagnose_all(text)
    if not isinstance(text, str):
        raise AnsibleFilterError(
            f"diagnose_log needs the text of a log, such as registered.stdout, not {type(text).__name__}."
        )
    return diagnose(text)


class FilterModule:
    """Makes the filter known to Ansible."""

    def filters(self) -> dict[str, object]:
        return {"diagnose_log": diagnose_log}
