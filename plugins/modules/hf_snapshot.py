#!/usr/bin/python
# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module hf_snapshot."""

from __future__ import annotations

DOCUMENTATION = r"""
module: hf_snapshot
short_description: One revision of a Hugging Face model, complete and verified on disk
version_added: "0.1.0"
author:
  - "The llmserve.vllm authors (@llmserve)"
description:
  - Downloads what is missing of one revision of a model into a Hub cache, and verifies that every file has the size
    that the Hub lists, that every shard of the weights' index is there and that no shard is cut off.
  - An interrupted download goes on where it stopped. A file of the wrong size is fetched again.
  - When the Hub cannot be reached and the snapshot is complete on disk, the module succeeds with a warning.
requirements:
  - huggingface_hub >= 1.0, tested with 2.4.0, for the Python that runs this module. The role
    P(llmserve.vllm.hf_model#role) installs it into a virtual environment and sets C(ansible_python_interpreter) for
    this task.
attributes:
  check_mode:
    support: full
    description:
      - Can run in C(check_mode) and return changed status prediction without modifying target.
    details:
      - Asks the Hub and says what would be fetched.
  diff_mode:
    support: full
    description:
      - Will return details on what has changed (or possibly needs changing in C(check_mode)), when in diff mode.
  idempotent:
    support: full
    description:
      - When run twice in a row outside check mode, with the same arguments, the second invocation indicates no change.
    details:
      - A branch such as V(main) may have moved between two runs; give a commit as O(revision) to rule that out.
options:
  repo_id:
    description:
      - Id of the model on the Hub, C(organisation/name). The cache directory follows the spelling given here, so use
        the same one for the server.
    type: str
    required: true
  revision:
    description:
      - Branch, tag or commit.
    type: str
    default: main
  cache_dir:
    description:
      - The Hub cache, which is C(hub) below C(HF_HOME).
    type: path
    required: true
  endpoint:
    description:
      - Address of the Hub or of a mirror.
    type: str
    default: https://huggingface.co
  token:
    description:
      - Token with read access. Without it the Hub is asked anonymously, whatever token the host may have stored.
    type: str
  allow_patterns:
    description:
      - Glob patterns of the files to have. The default is what vLLM reads.
    type: list
    elements: str
    default: ['*.safetensors', '*.json', '*.jinja', '*.model', '*.tiktoken', '*.txt', '*.py']
  ignore_patterns:
    description:
      - Glob patterns of files to leave out of these. The default leaves out second copies of the weights.
    type: list
    elements: str
    default: ['original/*', 'consolidated*', 'metal/*', '*.pth', '*.pt', '*.bin', '*.gguf', '*.h5', '*.msgpack',
              '*.onnx', 'onnx/*']
  max_workers:
    description:
      - Number of files to fetch at the same time.
    type: int
    default: 8
  run_as:
    description:
      - User who is to own the cache. When the module runs as root, it does its work as this user.
    type: str
  offline:
    description:
      - Do not go online. Succeeds only when the snapshot is complete on disk; needs no huggingface_hub.
    type: bool
    default: false
  timeout:
    description:
      - Seconds that the Hub may be silent before a request is given up.
    type: float
    default: 30
seealso:
  - module: llmserve.vllm.hub_model_info
"""

EXAMPLES = r"""
- name: Have the model on disk
  llmserve.vllm.hf_snapshot:
    repo_id: meta-llama/Llama-3.1-8B-Instruct
    revision: 0e9e39f249a16976918f6564b8830bc894c89659
    cache_dir: /var/lib/llmserve/hf/hub
    token: "{{ llmserve_hf_token }}"
    run_as: llmserve
  become: true
  vars:
    ansible_python_interpreter: /opt/llmserve/hub/bin/python

- name: Make sure on an air-gapped host that nothing is missing
  llmserve.vllm.hf_snapshot:
    repo_id: meta-llama/Llama-3.1-8B-Instruct
    cache_dir: /var/lib/llmserve/hf/hub
    offline: true
"""

RETURN = r"""
path:
  description: The snapshot's directory.
  returned: success
  type: str
  sample: /var/lib/llmserve/hf/hub/models--meta-llama--Llama-3.1-8B-Instruct/snapshots/0e9e39f249a1
commit:
  description: The commit of the revision.
  returned: success
  type: str
  sample: 0e9e39f249a16976918f6564b8830bc894c89659
bytes_total:
  description: Size of the snapshot in bytes.
  returned: success
  type: int
  sample: 16068700000
bytes_fetched:
  description: Bytes that were fetched, or would be in check mode.
  returned: success
  type: int
  sample: 16068700000
files_fetched:
  description: Number of files that were fetched, or would be in check mode.
  returned: success
  type: int
  sample: 12
files:
  description: Every file of the snapshot, with its C(path), C(size) in bytes and whether this run has C(fetched) it.
  returned: success
  type: list
  elements: dict
  sample: [{path: config.json, size: 855, fetched: true}]
offline:
  description: Whether the answer comes from the disk alone.
  returned: success
  type: bool
  sample: false
reason_kind:
  description: >-
    V(token_missing), V(token_refused), V(licence_not_accepted), V(model_not_found), V(revision_not_found),
    V(nothing_matches), V(hub_unreachable), V(hub_error), V(disk_full), V(not_writable), V(incomplete),
    V(revision_moved), V(run_as) or V(library_missing).
  returned: on failure
  type: str
  sample: licence_not_accepted
"""

import getpass
import importlib
import os
import sys
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.llmserve.vllm.plugins.module_utils._hub import (
    DEFAULT_ALLOW_PATTERNS,
    DEFAULT_IGNORE_PATTERNS,
)
from ansible_collections.llmserve.vllm.plugins.module_utils._run_as import RunAsError, call_as
from ansible_collections.llmserve.vllm.plugins.module_utils._snapshot import (
    ListedFile,
    Listing,
    ensure,
    ensure_offline,
    environment,
)
from ansible_collections.llmserve.vllm.plugins.module_utils._snapshot_errors import Request, SnapshotError


class HubLibrary:
    """huggingface_hub, as _snapshot.py wants it."""

    def __init__(self, settings: dict[str, str]) -> None:
        # It reads its settings when it is imported, and some from more than one name.
        os.environ.update(settings)
        for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_XET_CACHE"):
            os.environ.pop(name, None)
        try:
            self.hub: Any = importlib.import_module("huggingface_hub")
        except ImportError as exc:
            raise SnapshotError(
                "library_missing",
                "{0} on this host has no usable huggingface_hub ({1}). Install it for this Python "
                "(`{0} -m pip install huggingface_hub==2.4.0`), or set ansible_python_interpreter for this task to the "
                "Python of the virtual environment that the role hf_model makes.".format(sys.executable, exc),
            ) from exc

    def describe(self, request: Request) -> Listing:
        # without a token of ours, not some other token that lies around on the host
        api = self.hub.HfApi(endpoint=request.endpoint, token=request.token or False)
        info = api.model_info(request.repo_id, revision=request.revision, files_metadata=True)
        if info.gated:
            # everybody may list a gated model
            api.auth_check(request.repo_id)
        files = [
            ListedFile(item.rfilename, int(item.size or 0), item.lfs.sha256 if item.lfs else str(item.blob_id))
            for item in info.siblings or ()
        ]
        return Listing(str(info.sha), files)

    def download(self, request: Request) -> str:
        path = self.hub.snapshot_download(
            request.repo_id,
            revision=request.revision,
            cache_dir=request.cache_dir,
            endpoint=request.endpoint,
            token=request.token or False,
            allow_patterns=None if request.allow_patterns is None else list(request.allow_patterns),
            ignore_patterns=list(request.ignore_patterns),
            max_workers=request.max_workers,
        )
        return str(path)


def work(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Runs as the user of the cache, perhaps in a child process: errors travel as data."""
    request = Request(
        repo_id=params["repo_id"],
        revision=params["revision"],
        cache_dir=params["cache_dir"],
        endpoint=params["endpoint"].rstrip("/"),
        token=params["token"] or "",
        allow_patterns=params["allow_patterns"],
        ignore_patterns=params["ignore_patterns"],
        max_workers=params["max_workers"],
        user=params["run_as"] or getpass.getuser(),
    )
    try:
        if params["offline"]:
            return ensure_offline(request)
        library = HubLibrary(environment(request.cache_dir, request.endpoint, params["timeout"]))
        return ensure(request, library, check_mode)
    except SnapshotError as exc:
        return {"failure": str(exc), "reason_kind": exc.kind}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "repo_id": {"type": "str", "required": True},
            "revision": {"type": "str", "default": "main"},
            "cache_dir": {"type": "path", "required": True},
            "endpoint": {"type": "str", "default": "https://huggingface.co"},
            "token": {"type": "str", "no_log": True},
            "allow_patterns": {"type": "list", "elements": "str", "default": list(DEFAULT_ALLOW_PATTERNS)},
            "ignore_patterns": {"type": "list", "elements": "str", "default": list(DEFAULT_IGNORE_PATTERNS)},
            "max_workers": {"type": "int", "default": 8},
            "run_as": {"type": "str"},
            "offline": {"type": "bool", "default": False},
            "timeout": {"type": "float", "default": 30},
        },
        supports_check_mode=True,
    )
    try:
        result = call_as(module.params["run_as"] or "", lambda: work(module.params, module.check_mode))
    except RunAsError as exc:
        module.fail_json(msg=str(exc), reason_kind="run_as")
    if "failure" in result:
        module.fail_json(msg=result["failure"], reason_kind=result["reason_kind"])
    warning = result.pop("warning", None)
    if warning:
        module.warn(warning)
    if not module._diff:
        result.pop("diff", None)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
