#!/usr/bin/python
# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module llmserve.vllm.hub_model_info."""

from __future__ import annotations

DOCUMENTATION = r"""
module: hub_model_info
short_description: Check that a model can be downloaded from the Hugging Face Hub, and what it needs
version_added: "0.1.0"
author:
  - "The llmserve.vllm authors (@llmserve)"
description:
  - Asks the Hub for one revision of a model, its files and its C(config.json), and compares that with the cache and the
    free space of the host. Nothing is downloaded or changed, and nothing but Python is needed on the host.
  - Fails, with a different message for each, when the model is gated and no token was given, when the token is refused,
    when the licence was not accepted, when the model or the revision does not exist, when the Hub cannot be reached and
    when the disk is too small.
  - When the Hub cannot be reached but the cache holds the complete model, that is enough, see RV(offline).
extends_documentation_fragment:
  - llmserve.vllm.attributes.reader
options:
  repo_id:
    description: The model, as C(ORGANISATION/NAME).
    type: str
    required: true
  revision:
    description: A branch, a tag or a commit.
    type: str
    default: main
  endpoint:
    description: The Hub or a mirror of it.
    type: str
    default: https://huggingface.co
  token:
    description: A token with read access. Only sent to O(endpoint), not to where it redirects.
    type: str
  cache_dir:
    description:
      - The Hub cache that the model will be downloaded to, C($HF_HOME/hub). It need not exist yet; its nearest existing
        parent tells the free space.
    type: path
    required: true
  allow_patterns:
    description:
      - Shell patterns of the files to count. C(*) also matches slashes.
      - The default is what vLLM reads from a model in safetensors format.
    type: list
    elements: str
    default: ['*.safetensors', '*.json', '*.jinja', '*.model', '*.tiktoken', '*.txt', '*.py']
  ignore_patterns:
    description: Shell patterns of the files to leave out. The default leaves out second copies in other formats.
    type: list
    elements: str
    default:
      - original/*
      - consolidated*
      - metal/*
      - '*.pth'
      - '*.pt'
      - '*.bin'
      - '*.gguf'
      - '*.h5'
      - '*.msgpack'
      - '*.onnx'
      - onnx/*
  disk_margin_percent:
    description: How much more than the missing bytes must be free, in percent of them.
    type: float
    default: 2
  timeout:
    description: How many seconds to wait for each answer of the Hub.
    type: int
    default: 20
"""

EXAMPLES = r"""
- name: Check the model and the room for it, before anything is installed
  llmserve.vllm.hub_model_info:
    repo_id: meta-llama/Llama-3.1-405B-Instruct
    revision: main
    token: "{{ llmserve_hf_token }}"
    cache_dir: /var/lib/llmserve/huggingface/hub
  register: model

- name: Show what will be downloaded
  ansible.builtin.debug:
    msg: "{{ (model.bytes_missing / 1e9) | round(1) }} GB of {{ model.files | length }} files at {{ model.commit }}"
"""

RETURN = r"""
commit:
  description: The commit that the revision names now.
  returned: success
  type: str
  sample: be673f326cab4cd22ccfef76109faf68e41aa5f1
files:
  description: The files that the patterns choose; when RV(offline), the files that are in the cache.
  returned: success
  type: list
  elements: dict
  contains:
    path: {description: Path inside the repository, type: str, sample: model-00001-of-00191.safetensors}
    size: {description: Size in bytes, type: int, sample: 4773120000}
bytes_total:
  description: Size of RV(files) in bytes.
  returned: success
  type: int
  sample: 811724578816
weights_bytes:
  description: Size of the safetensors files among RV(files) in bytes.
  returned: success
  type: int
  sample: 811706818560
bytes_present:
  description: How much of it is already complete in the cache, in bytes.
  returned: success
  type: int
  sample: 0
bytes_missing:
  description: How much is still to be downloaded, in bytes.
  returned: success
  type: int
  sample: 811724578816
free_bytes:
  description: What an ordinary user can still write to the filesystem of the cache, in bytes.
  returned: success
  type: int
  sample: 2199023255552
free_where:
  description: The directory that RV(free_bytes) was measured at, the nearest that exists.
  returned: success
  type: str
  sample: /var/lib
config:
  description: The content of C(config.json), empty when the model has none.
  returned: success
  type: dict
gated:
  description: Whether the model's licence must be accepted first; V(null) when RV(offline).
  returned: success
  type: bool
  sample: true
offline:
  description: Whether the Hub could not be reached and everything was read from the cache.
  returned: success
  type: bool
  sample: false
reason_kind:
  description:
    - Why the module failed, one of V(bad_repo_id), V(token_missing), V(token_refused), V(licence_not_accepted),
      V(model_not_found), V(revision_not_found), V(model_disabled), V(hub_unreachable), V(hub_error), V(no_weights),
      V(not_enough_disk).
  returned: failure
  type: str
  sample: token_missing
"""

from typing import Any, Dict, List

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.llmserve.vllm.plugins.module_utils import _hub
from ansible_collections.llmserve.vllm.plugins.module_utils._hub_api import HubClient, HubError


def measured(cache_dir: str, files: List[_hub.RepoFile], found: _hub.Presence) -> Dict[str, Any]:
    """The part of the result that is the same online and offline."""
    where, free = _hub.free_bytes(cache_dir)
    return {
        "files": [{"path": item.path, "size": item.size} for item in files],
        "bytes_total": found.bytes_total,
        "weights_bytes": sum(item.size for item in files if item.path.endswith(".safetensors")),
        "bytes_present": found.bytes_present,
        "bytes_missing": found.bytes_missing,
        "free_bytes": free,
        "free_where": where,
    }


def ask_hub(module: AnsibleModule, client: HubClient) -> Dict[str, Any]:
    """The result as the Hub tells it."""
    repo_id, cache_dir = module.params["repo_id"], module.params["cache_dir"]
    info = client.model_info(repo_id, module.params["revision"])
    if info.repo_id != repo_id:
        # the cache directory follows the id that was asked for
        module.warn("{0} is called {1} now: keep one spelling in llmserve_model.".format(repo_id, info.repo_id))
    sizes = {item.path: item for item in info.files}
    wanted = _hub.wanted_files(sizes, module.params["allow_patterns"], module.params["ignore_patterns"])
    files = [sizes[path] for path in wanted]
    if not any(item.path.endswith(_hub.WEIGHT_SUFFIXES) for item in files):
        raise HubError("no_weights", _hub.no_weights_message(repo_id, list(sizes)))
    found = _hub.presence(_hub.snapshot_dir(cache_dir, repo_id, info.commit), files)
    result = measured(cache_dir, files, found)
    config = client.config(repo_id, info.commit)
    problem = _hub.disk_problem(
        found.bytes_missing, result["free_bytes"], result["free_where"], module.params["disk_margin_percent"]
    )
    if problem:
        raise HubError("not_enough_disk", problem)
    return dict(result, commit=info.commit, config=config, gated=info.gated, offline=False)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "repo_id": {"type": "str", "required": True},
            "revision": {"type": "str", "default": "main"},
            "endpoint": {"type": "str", "default": "https://huggingface.co"},
            "token": {"type": "str", "no_log": True},
            "cache_dir": {"type": "path", "required": True},
            "allow_patterns": {"type": "list", "elements": "str", "default": list(_hub.DEFAULT_ALLOW_PATTERNS)},
            "ignore_patterns": {"type": "list", "elements": "str", "default": list(_hub.DEFAULT_IGNORE_PATTERNS)},
            "disk_margin_percent": {"type": "float", "default": 2},
            "timeout": {"type": "int", "default": 20},
        },
        supports_check_mode=True,
    )
    params = module.params
    try:
        result = ask_hub(module, HubClient(params["endpoint"], params["token"], params["timeout"]))
    except HubError as exc:
        cached = None
        if exc.kind == "hub_unreachable":
            cached = _hub.find_cached(params["cache_dir"], params["repo_id"], params["revision"])
        if cached is None:
            module.fail_json(msg=str(exc), reason_kind=exc.kind)
            return
        module.warn("{0} The cache holds the complete model, which is used.".format(exc))
        found = _hub.presence(cached.path, cached.files)
        result = measured(params["cache_dir"], cached.files, found)
        result.update(commit=cached.commit, config=cached.config, gated=None, offline=True)
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
