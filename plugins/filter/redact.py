# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter redact."""

from __future__ import annotations

DOCUMENTATION = r"""
name: redact
short_description: Take secrets out of a text
version_added: "0.1.0"
author:
  - "The llmserve.vllm authors (@llmserve)"
description:
  - Replaces secrets in a text that leaves the site, such as a log for a bug report.
  - Removes what looks like a secret (tokens of the Hub and of other services, private keys, signed URLs, passwords in
    URLs) and the values of what is called one (C(--api-key), C(RAY_AUTH_TOKEN=), C(Authorization:), C("password":)).
positional: _input
options:
  _input:
    description: The text.
    type: string
    required: true
  secrets:
    description:
      - Secrets that are known, to be removed wherever they stand, also when they are quoted for URLs or JSON or are
        written in base64. Shorter ones than four characters are left alone.
    type: list
    elements: string
    default: []
"""

EXAMPLES = r"""
- name: Keep the end of the log for a bug report
  ansible.builtin.copy:
    content: "{{ vllm_log.stdout | llmserve.vllm.redact(secrets=[llmserve_hf_token, llmserve_api_key]) }}"
    dest: report/vllm.log
    mode: "0600"
  delegate_to: localhost
"""

RETURN = r"""
_value:
  description: The text with C(<redacted>) in the place of each secret.
  type: string
"""

from ansible.errors import AnsibleFilterError
from ansible_collections.llmserve.vllm.plugins.module_utils._redact import redact


def redact_text(text: str, secrets: list[str] | None = None) -> str:
    """The filter: see DOCUMENTATION."""
    if not isinstance(text, str):
        raise AnsibleFilterError(f"redact needs a text, such as registered.stdout, not {type(text).__name__}.")
    if secrets is not None and not isinstance(secrets, list):
        raise AnsibleFilterError(f"redact needs secrets as a list of strings, not {type(secrets).__name__}.")
    return redact(text, [secret for secret in secrets or [] if secret])


class FilterModule:
    """Makes the filter known to Ansible."""

    def filters(self) -> dict[str, object]:
        return {"redact": redact_text}
