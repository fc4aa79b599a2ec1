#!/usr/bin/python
# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module llmserve.vllm.bundle_seal."""

from __future__ import annotations

DOCUMENTATION = r"""
module: bundle_seal
short_description: Write down what a bundle for nodes without a way out holds
version_added: "0.1.0"
author:
  - "The llmserve.vllm authors (@llmserve)"
description:
  - Packs the wheels of a bundle into its Hub cache, and writes C(bundle.json), what the bundle is for, and
    C(SHA256SUMS), which C(sha256sum -c) reads. Both are written last, so a directory that has them was complete.
  - The role P(llmserve.vllm.bundle#role) makes the rest of the bundle.
attributes:
  check_mode:
    description: Can run in C(check_mode) and predict the changes without making them.
    support: full
  diff_mode:
    description: Returns details on what has changed, or would change in C(check_mode), when in diff mode.
    support: none
  idempotent:
    description: A second run with the same arguments reports no change.
    support: full
options:
  path:
    description:
      - Directory of the bundle, with the Hub cache C(hub) and the directory C(wheels).
    type: path
    required: true
  model:
    description:
      - Id of the model on the Hub.
    type: str
    required: true
  revision:
    description:
      - Branch, tag or commit of the model.
    type: str
    default: main
  image_repo:
    description:
      - The repository that M(llmserve.vllm.hub_image) has written.
    type: str
    default: llmserve/image
  images:
    description:
      - The RV(llmserve.vllm.hub_image#module:images) of that repository.
    type: list
    elements: dict
    required: true
  architecture:
    description:
      - Machine that image and wheels are for, as C(uname -m) says it.
    type: str
    required: true
  ray_version:
    description:
      - Version of Ray in the image. Empty when there is none.
    type: str
    default: ''
  hub_version:
    description:
      - Version of huggingface_hub among the wheels.
    type: str
    required: true
  python_versions:
    description:
      - Versions of Python that the wheels are for, such as V(3.12).
    type: list
    elements: str
    required: true
  collection_version:
    description:
      - Version of this collection.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Close the bundle
  llmserve.vllm.bundle_seal:
    path: /srv/bundle
    model: meta-llama/Llama-3.1-405B-Instruct
    images: "{{ saved.images }}"
    architecture: x86_64
    ray_version: 2.56.1
    hub_version: 2.4.0
    python_versions: ['3.10', '3.12']
    collection_version: 0.1.0
"""

RETURN = r"""
manifest:
  description: The content of C(bundle.json).
  returned: success, except in check mode while something is missing
  type: dict
  sample: {format: 1, architecture: x86_64}
bytes_total:
  description: Size of the bundle in bytes.
  returned: success, except in check mode while something is missing
  type: int
  sample: 833000000000
reason_kind:
  description: V(incomplete) or V(io).
  returned: on failure
  type: str
  sample: incomplete
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.llmserve.vllm.plugins.module_utils import _bundle


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "model": {"type": "str", "required": True},
            "revision": {"type": "str", "default": "main"},
            "image_repo": {"type": "str", "default": "llmserve/image"},
            "images": {"type": "list", "elements": "dict", "required": True},
            "architecture": {"type": "str", "required": True},
            "ray_version": {"type": "str", "default": ""},
            "hub_version": {"type": "str", "required": True},
            "python_versions": {"type": "list", "elements": "str", "required": True},
            "collection_version": {"type": "str", "required": True},
        },
        supports_check_mode=True,
    )
    params = dict(module.params)
    path = params.pop("path")
    try:
        packed = not module.check_mode and _bundle.store_wheels(path)
        sealed = _bundle.seal(path, _bundle.Contents(**params))
        changed = _bundle.write(path, sealed, module.check_mode)
    except _bundle.BundleError as exc:
        if module.check_mode:
            # what is missing would be there by now
            module.exit_json(changed=True)
        module.fail_json(msg=str(exc), reason_kind=exc.kind)
    except OSError as exc:
        module.fail_json(msg="{0}: {1}".format(exc.filename or path, exc.strerror), reason_kind="io")
    total = sum(sealed.manifest["files"].values())
    module.exit_json(changed=packed or changed, manifest=sealed.manifest, bytes_total=total)


if __name__ == "__main__":
    main()
