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
  - With O(path) it describes a model that lies in a directory of the host, and asks no Hub.
extends_documentation_fragment:
  - llmserve.vllm.attributes.reader
options:
  repo_id:
    description: The model, as C(ORGANISATION/NAME). Either this or O(path) is required.
    type: str
  path:
    description:
      - A directory of the host with a whole model, its C(config.json) and its weights, such as one that was copied by
        hand. Nothing but this directory is read. O(revision), O(endpoint), O(token) and O(cache_dir) mean nothing then.
      - Every safetensors file in it is compared with its header, which finds a copy that was cut off.
    type: path
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
      - Without it neither what is present nor the free space is looked at, as for a plan made on the controller.
    type: path
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
  read_headers:
    description:
      - Read the header of every safetensors file on the Hub, also where the model's index states the size of the
        weights. That takes one or two small requests for each file, and tells RV(weights.tensors_by_dtype).
      - Files on the host are always read so.
    type: bool
    default: false
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

- name: Describe a model for the planner, on the controller
  llmserve.vllm.hub_model_info:
    repo_id: meta-llama/Llama-3.1-405B-Instruct
    token: "{{ llmserve_hf_token }}"
  delegate_to: localhost
  run_once: true

- name: Describe a model that was copied to the host by hand
  llmserve.vllm.hub_model_info:
    path: /data/models/llama-3.1-405b-instruct

- name: Show what will be downloaded
  ansible.builtin.debug:
    msg: "{{ (model.bytes_missing / 1e9) | round(1) }} GB of {{ model.files | length }} files at {{ model.commit }}"
"""

RETURN = r"""
commit:
  description: The commit that the revision names now; V(null) with O(path).
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
  description: Size of RV(files) in bytes, which is what a download from nothing would fetch.
  returned: success
  type: int
  sample: 811724578816
weights_bytes:
  description: What vLLM loads of RV(files) in bytes, RV(weights.bytes).
  returned: success
  type: int
  sample: 811706818560
weights:
  description: The weights that vLLM loads from the model's files. What a repository holds in all can be thrice that.
  returned: success
  type: dict
  contains:
    bytes:
      description: Size in bytes, with the layers for multi-token prediction that a checkpoint may hold.
      type: int
      sample: 811706818560
    source:
      description:
        - How that is known. V(index) is the total that C(model.safetensors.index.json) states, unless the sizes of its
          files contradict it; V(headers) the sum of the tensors in the headers of the safetensors files; V(files) the
          size of the files, where neither can be had.
      type: str
      sample: index
    tensors_by_dtype:
      description: Size in bytes of the tensors of each type, by the name that safetensors gives it.
      type: dict
      returned: when headers were read
      sample: {"BF16": 811706818560}
    mtp_bytes:
      description: Size in bytes of the layers for multi-token prediction, which vLLM does not load by default.
      type: int
      returned: when headers were read
      sample: 0
    ignored:
      description:
        - Size in bytes of other weights. C(left_out) are the ones that the patterns leave out, C(not_loaded) the ones
          among RV(files) that vLLM does not load, as the index does not name them or they are in another format or in
          a folder.
      type: dict
      sample: {"left_out": 1623000000000, "not_loaded": 0}
bytes_present:
  description:
    - How much of it is already complete in the cache, in bytes. 0 without O(cache_dir), all of it with O(path).
  returned: success
  type: int
  sample: 0
bytes_missing:
  description: How much is still to be downloaded, in bytes.
  returned: success
  type: int
  sample: 811724578816
free_bytes:
  description:
    - What an ordinary user can still write to the filesystem of the cache, in bytes. V(null) without O(cache_dir).
  returned: success
  type: int
  sample: 2199023255552
free_where:
  description: The directory that RV(free_bytes) was measured at, the nearest that exists. V(null) without O(cache_dir).
  returned: success
  type: str
  sample: /var/lib
config:
  description: The content of C(config.json), empty when the model has none. Infinite numbers are V(null).
  returned: success
  type: dict
gated:
  description: Whether the model's licence must be accepted first; V(null) when RV(offline).
  returned: success
  type: bool
  sample: true
offline:
  description: Whether everything was read from files of the host, from O(path) or because the Hub could not be reached.
  returned: success
  type: bool
  sample: false
reason_kind:
  description:
    - Why the module failed, one of V(bad_repo_id), V(token_missing), V(token_refused), V(licence_not_accepted),
      V(model_not_found), V(revision_not_found), V(model_disabled), V(hub_unreachable), V(hub_error), V(no_weights),
      V(weights_incomplete), V(weights_damaged), V(bad_file), V(bad_path), V(not_enough_disk).
  returned: failure
  type: str
  sample: token_missing
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.llmserve.vllm.plugins.module_utils import _hub
from ansible_collections.llmserve.vllm.plugins.module_utils._hub_api import HubClient, HubError
from ansible_collections.llmserve.vllm.plugins.module_utils._hub_model import Request, from_directory, from_hub


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "repo_id": {"type": "str"},
            "path": {"type": "path"},
            "revision": {"type": "str", "default": "main"},
            "endpoint": {"type": "str", "default": "https://huggingface.co"},
            "token": {"type": "str", "no_log": True},
            "cache_dir": {"type": "path"},
            "allow_patterns": {"type": "list", "elements": "str", "default": list(_hub.DEFAULT_ALLOW_PATTERNS)},
            "ignore_patterns": {"type": "list", "elements": "str", "default": list(_hub.DEFAULT_IGNORE_PATTERNS)},
            "disk_margin_percent": {"type": "float", "default": 2},
            "read_headers": {"type": "bool", "default": False},
            "timeout": {"type": "int", "default": 20},
        },
        mutually_exclusive=[("repo_id", "path")],
        required_one_of=[("repo_id", "path")],
        supports_check_mode=True,
    )
    params = module.params
    request = Request(
        repo_id=params["repo_id"],
        revision=params["revision"],
        cache_dir=params["cache_dir"],
        allow_patterns=params["allow_patterns"],
        ignore_patterns=params["ignore_patterns"],
        disk_margin_percent=params["disk_margin_percent"],
        read_headers=params["read_headers"],
        warn=module.warn,
    )
    try:
        if params["path"] is not None:
            result = from_directory(params["path"], request)
        else:
            result = from_hub(HubClient(params["endpoint"], params["token"], params["timeout"]), request)
    except HubError as exc:
        module.fail_json(msg=str(exc), reason_kind=exc.kind)
        return
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
