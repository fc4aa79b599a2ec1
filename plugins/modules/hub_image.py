#!/usr/bin/python
# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module llmserve.vllm.hub_image."""

from __future__ import annotations

DOCUMENTATION = r"""
module: hub_image
short_description: Container images as a repository of a Hub cache, and back into Docker
version_added: "0.1.0"
author:
  - "The llmserve.vllm authors (@llmserve)"
description:
  - With O(state=saved), writes what C(docker save) gives out into a repository of a Hub cache, one file for each layer.
    M(llmserve.vllm.hub_mirror) then offers it to other hosts, and M(llmserve.vllm.hf_snapshot) fetches it there, as
    with a model, interrupted or not, every file verified.
  - With O(state=loaded), loads a fetched snapshot into Docker, where one of the images is missing.
  - An image is the same when its layers and its configuration are, whatever identifier an engine gives it.
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
  state:
    description:
      - V(saved) has the images in the repository, V(loaded) has them in Docker.
    type: str
    choices: [saved, loaded]
    default: saved
  names:
    description:
      - Names of the images with their tags, for O(state=saved). Digests are refused, C(docker load) forgets them.
    type: list
    elements: str
  cache_dir:
    description:
      - The Hub cache to write to, for O(state=saved).
    type: path
  repo_id:
    description:
      - The repository in the cache. What it held before is replaced.
    type: str
    default: llmserve/image
  reserve_bytes:
    description:
      - Bytes that something else is going to need on the filesystem of O(cache_dir). The images are refused when they
        would not fit beside it.
    type: int
    default: 0
  images:
    description:
      - The RV(images) that O(state=saved) has returned, for O(state=loaded).
    type: list
    elements: dict
  path:
    description:
      - Directory of the snapshot to load. Not needed in check mode, which says what is RV(missing).
    type: path
  docker_cli:
    description:
      - The Docker client, a path or a name.
    type: str
    default: docker
seealso:
  - module: llmserve.vllm.hub_mirror
  - module: llmserve.vllm.hf_snapshot
"""

EXAMPLES = r"""
- name: Put an image beside the models
  llmserve.vllm.hub_image:
    names: [vllm/vllm-openai:v0.33.0]
    cache_dir: /srv/bundle/hub
  register: saved

- name: Have the image on another host, where hf_snapshot has fetched it
  llmserve.vllm.hub_image:
    state: loaded
    images: "{{ saved.images }}"
    path: /var/lib/llmserve/huggingface/hub/models--llmserve--image/snapshots/{{ saved.commit }}
"""

RETURN = r"""
commit:
  description: The commit of the repository. Empty in check mode, when it would change.
  returned: when O(state=saved)
  type: str
  sample: 0e9e39f249a16976918f6564b8830bc894c89659
images:
  description: The images, each with its C(name), C(image_id), C(fingerprint), C(architecture) and C(size) in bytes.
  returned: when O(state=saved)
  type: list
  elements: dict
  sample: [{name: "vllm/vllm-openai:v0.33.0", architecture: amd64, size: 21000000000}]
missing:
  description: Names of the images that Docker lacked.
  returned: when O(state=loaded)
  type: list
  elements: str
  sample: []
reason_kind:
  description: V(docker), V(image_missing), V(digest), V(disk_full), V(incomplete), V(other_content) or V(io).
  returned: on failure
  type: str
  sample: image_missing
"""

from typing import Any, Dict

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.llmserve.vllm.plugins.module_utils import _hub_image
from ansible_collections.llmserve.vllm.plugins.module_utils._hub_repository import HubRepository


def saved(params: Dict[str, Any], check_mode: bool) -> Dict[str, Any]:
    """Have the images in the repository."""
    repository = HubRepository(params["cache_dir"], params["repo_id"])
    images = _hub_image.find_all(params["docker_cli"], params["names"])
    before = _hub_image.saved_images(repository)
    wanted = [(image.name, image.fingerprint) for image in images]
    listing = repository.current()
    if listing is not None and [(image["name"], image["fingerprint"]) for image in before] == wanted:
        return {"changed": False, "commit": listing.commit, "images": before}
    _hub_image.assert_room(repository, images, params["reserve_bytes"])
    commit = "" if check_mode else _hub_image.save(params["docker_cli"], images, repository)
    return {"changed": True, "commit": commit, "images": [image._asdict() for image in images]}


def loaded(params: Dict[str, Any], check_mode: bool) -> Dict[str, Any]:
    """Have the images in Docker."""
    missing = _hub_image.missing_images(params["docker_cli"], params["images"])
    if missing and not check_mode:
        _hub_image.load(params["docker_cli"], params["path"] or "")
        still = _hub_image.missing_images(params["docker_cli"], params["images"])
        if still:
            message = "Docker has loaded {0}, but {1} is not what was saved.".format(params["path"], ", ".join(still))
            raise _hub_image.ImageError("other_content", message)
    return {"changed": bool(missing), "missing": missing}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["saved", "loaded"], "default": "saved"},
            "names": {"type": "list", "elements": "str"},
            "cache_dir": {"type": "path"},
            "repo_id": {"type": "str", "default": "llmserve/image"},
            "reserve_bytes": {"type": "int", "default": 0},
            "images": {"type": "list", "elements": "dict"},
            "path": {"type": "path"},
            "docker_cli": {"type": "str", "default": "docker"},
        },
        required_if=[("state", "saved", ("names", "cache_dir")), ("state", "loaded", ("images",))],
        supports_check_mode=True,
    )
    work = saved if module.params["state"] == "saved" else loaded
    try:
        result = work(module.params, module.check_mode)
    except _hub_image.ImageError as exc:
        module.fail_json(msg=str(exc), reason_kind=exc.kind)
    except OSError as exc:
        module.fail_json(msg="{0}: {1}".format(exc.filename or module.params["path"], exc.strerror), reason_kind="io")
    module.exit_json(**result)


if __name__ == "__main__":
    main()
