#!/usr/bin/python
# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module llmserve.vllm.bundle_check."""

from __future__ import annotations

DOCUMENTATION = r"""
module: bundle_check
short_description: Refuse a bundle that is damaged, incomplete, or not for this deployment
version_added: "0.1.0"
author:
  - "The llmserve.vllm authors (@llmserve)"
description:
  - Reads C(bundle.json) and C(SHA256SUMS) of a bundle that the role P(llmserve.vllm.bundle#role) has saved, compares
    them with the files and with what is going to be asked for, and fails with every problem by name.
  - While it reads the files, the task prints at least every 15 seconds how far it is. Which files had the right
    checksum is noted beside the bundle, and those that have the same size, time and inode since are not read again.
extends_documentation_fragment:
  - llmserve.vllm.attributes.reader
  - llmserve.vllm.attributes.waiter
options:
  path:
    description:
      - Directory of the bundle.
    type: path
    required: true
  model:
    description:
      - The model that is going to be served.
    type: str
    required: true
  revision:
    description:
      - Its revision; the branch or tag that the bundle was saved for, or its commit.
    type: str
    default: main
  image:
    description:
      - The image that is going to be run.
    type: str
    required: true
  ray_version:
    description:
      - Version of Ray that has to be in the image. Empty when none is needed.
    type: str
    default: ''
  hub_version:
    description:
      - Version of huggingface_hub that has to be among the wheels. Empty when none is needed.
    type: str
    default: ''
  hosts:
    description:
      - The hosts that are going to use the bundle.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of the host, for messages.
        type: str
        required: true
      architecture:
        description: What C(uname -m) says there.
        type: str
        required: true
      python:
        description: Version of its C(python3), such as V(3.12).
        type: str
        required: true
  verify:
    description:
      - V(sha256) compares every file with its checksum, V(size) only with its size.
    type: str
    choices: [size, sha256]
    default: sha256
"""

EXAMPLES = r"""
- name: Look at the bundle
  llmserve.vllm.bundle_check:
    path: /srv/bundle
    model: meta-llama/Llama-3.1-405B-Instruct
    image: vllm/vllm-openai:v0.33.0
    ray_version: 2.56.1
    hosts:
      - name: node1
        architecture: x86_64
        python: '3.12'
"""

RETURN = r"""
manifest:
  description: The content of C(bundle.json).
  returned: success
  type: dict
  sample: {format: 1, architecture: x86_64}
problems:
  description: What is wrong with the bundle.
  returned: on failure
  type: list
  elements: str
  sample: ["It holds the model a/b, and llmserve_model is a/c."]
reason_kind:
  description: V(not_a_bundle), V(format), V(mismatch), V(incomplete) or V(wrong_content).
  returned: on failure
  type: str
  sample: wrong_content
finished:
  description: Whether the check is over. Only a slice returns V(false).
  returned: success
  type: bool
  sample: true
progress:
  description: How far it has come, in one sentence with figures.
  returned: when RV(finished=false)
  type: str
  sample: comparing the bundle with its checksums, 43.1 %, 350 GB of 812 GB
resume:
  description: What the next slice needs to know.
  returned: when RV(finished=false)
  type: dict
"""

from typing import Any, Dict, List, Tuple

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.llmserve.vllm.plugins.module_utils import _bundle_check
from ansible_collections.llmserve.vllm.plugins.module_utils._bundle import BundleError


def quick_look(params: Dict[str, Any], manifest: Dict[str, Any], sums: Dict[str, str]) -> Tuple[str, List[str]]:
    """What is wrong that takes no reading of large files to find."""
    fields = _bundle_check.Wanted._fields
    problems = _bundle_check.mismatches(manifest, _bundle_check.Wanted(**{name: params[name] for name in fields}))
    if problems:
        return "mismatch", problems
    return "incomplete", _bundle_check.few(_bundle_check.incomplete(params["path"], manifest, sums))


def main() -> None:
    host = {name: {"type": "str", "required": True} for name in ("name", "architecture", "python")}
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "model": {"type": "str", "required": True},
            "revision": {"type": "str", "default": "main"},
            "image": {"type": "str", "required": True},
            "ray_version": {"type": "str", "default": ""},
            "hub_version": {"type": "str", "default": ""},
            "hosts": {"type": "list", "elements": "dict", "default": [], "options": host},
            "verify": {"type": "str", "choices": ["size", "sha256"], "default": "sha256"},
            "slice": {"type": "float", "default": 0},
            "resume": {"type": "dict", "default": {}},
        },
        supports_check_mode=True,
    )
    params = module.params

    def refuse(kind: str, problems: List[str]) -> None:
        lines = "".join("\n- {0}".format(problem) for problem in problems)
        message = "The bundle {0} cannot be used. Nothing has been changed.{1}".format(params["path"], lines)
        module.fail_json(msg=message, problems=problems, reason_kind=kind)

    try:
        manifest, sums = _bundle_check.open_bundle(params["path"])
    except BundleError as exc:
        module.fail_json(msg=str(exc), problems=[str(exc)], reason_kind=exc.kind)
    kind, problems = quick_look(params, manifest, sums)
    if problems:
        refuse(kind, problems)
    if params["verify"] == "sha256":
        checksums = _bundle_check.Checksums(params["path"], sums, params["resume"])
        if not checksums.work(params["slice"]):
            module.exit_json(changed=False, finished=False, progress=checksums.progress, resume=checksums.resume)
        if checksums.wrong:
            words = "{0} has another content than SHA256SUMS says: copy it again, or save the bundle again"
            refuse("wrong_content", _bundle_check.few([words.format(path) for path in sorted(checksums.wrong)]))
    module.exit_json(changed=False, finished=True, manifest=manifest)


if __name__ == "__main__":
    main()
