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
  - Downloads what is missing of one revision of a model into a Hub cache or a directory, and verifies that every file
    has the size that the Hub lists, that every shard of the weights' index is there and that no shard is cut off.
  - The work is done by a background process on the host, which goes on when the connection to the host is lost. A later
    run, or one on another host that shares the directory, watches that process instead of starting a second one. The
    token is in that process' memory only.
  - While it waits, the task prints at least every 15 seconds how far the download has come. The same lines are in the
    file RV(log) on the host.
  - An interrupted download goes on where it stopped, in the middle of a file, too. Each file's content is compared with
    the Hub's digest while it arrives. A file that was damaged later is fetched again, and only that one.
  - When the Hub cannot be reached and the snapshot is complete on disk, the module succeeds with a warning.
requirements:
  - huggingface_hub >= 2.0, tested with 2.4.0, for the Python that runs this module. The role
    P(llmserve.vllm.hf_model#role) installs it into a virtual environment and sets C(ansible_python_interpreter) for
    this task.
extends_documentation_fragment:
  - llmserve.vllm.attributes.waiter
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
      - A branch such as V(main) may have moved between two runs; give a commit as O(revision), or O(stay_on_commit), to
        rule that out.
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
  stay_on_commit:
    description:
      - Keep to the commit that this host last had for O(revision), though the branch or tag may have moved on the Hub
        since.
    type: bool
    default: false
  state:
    description:
      - V(present) has the revision complete. V(absent) removes it, its partial files included, except for files that
        another revision in the cache uses. In O(local_dir) it removes only files that are known to have come from the
        revision.
    type: str
    choices: [present, absent]
    default: present
  cache_dir:
    description:
      - The Hub cache, which is C(hub) below C(HF_HOME). Files that this module fetches lie inside the model's own
        directory there, not in the store that huggingface_hub shares between models, so that the directory can be
        mounted or copied on its own.
    type: path
  local_dir:
    description:
      - A directory to have the files in by themselves, instead of a cache. A file of another content that has the name
        of one of the repository's is replaced.
    type: path
  endpoint:
    description:
      - Address of the Hub or of a mirror.
    type: str
    default: https://huggingface.co
  peers:
    description:
      - Other hosts that have the revision or are fetching it at this moment (see M(llmserve.vllm.hub_mirror)), the
        nearest first. Files are asked for there, and passed on while they still arrive there, so that the Hub sends
        each byte only once. The revision is what it is there.
      - A host that does not answer is passed over for the next one.
    type: list
    elements: dict
    default: []
    suboptions:
      url:
        description: Its RV(llmserve.vllm.hub_mirror#module:url).
        type: str
        required: true
      token:
        description: Its RV(llmserve.vllm.hub_mirror#module:token).
        type: str
        required: true
  peers_only:
    description:
      - Never ask O(endpoint). With V(false) it is asked when, at the beginning, none of the O(peers) answers.
    type: bool
    default: false
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
  verify:
    description:
      - V(size) compares the sizes with the Hub's list, and what the header of each shard describes with the shard's
        size, which takes milliseconds. V(sha256) also compares the content of all files with the Hub's digests, several
        at a time, except for those that were compared before and have the same size, time and inode since. V(none)
        compares the sizes only.
      - What is fetched is compared with the digest while it arrives, unless V(none) is given.
    type: str
    choices: [none, size, sha256]
    default: size
  max_workers:
    description:
      - Number of files to fetch at the same time.
    type: int
    default: 8
  run_as:
    description:
      - User who is to own the files. When the module runs as root, it does its work as this user.
    type: str
  offline:
    description:
      - Do not go online. Succeeds only when the snapshot is complete on disk; needs no huggingface_hub.
    type: bool
    default: false
  wait:
    description:
      - Whether to wait for the end of the work. With V(false) the module returns as soon as the background process has
        started, with its RV(job); it returns RV(finished=true) when there is nothing to do.
    type: bool
    default: true
  job:
    description:
      - The RV(job) of an earlier task with O(wait=false). The module waits for that job and returns its result, and
        needs no O(token). Empty when that task had nothing to do; then the module looks for itself.
    type: str
    default: ''
  timeout:
    description:
      - Seconds that the Hub may be silent before a request is given up and made again.
    type: float
    default: 30
  stall_timeout:
    description:
      - Seconds without a single byte after which the download is given up.
    type: float
    default: 900
  wait_timeout:
    description:
      - Seconds to wait for the end of the work; V(0) waits as long as it takes. The work goes on in any case.
    type: float
    default: 0
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

- name: Start the download, to do something else meanwhile
  llmserve.vllm.hf_snapshot:
    repo_id: meta-llama/Llama-3.1-8B-Instruct
    cache_dir: /var/lib/llmserve/hf/hub
    token: "{{ llmserve_hf_token }}"
    wait: false
  register: download

- name: Wait for the download
  llmserve.vllm.hf_snapshot:
    repo_id: meta-llama/Llama-3.1-8B-Instruct
    cache_dir: /var/lib/llmserve/hf/hub
    job: "{{ download.job }}"

- name: Fetch from the host next door, which is fetching from the Hub
  llmserve.vllm.hf_snapshot:
    repo_id: meta-llama/Llama-3.1-8B-Instruct
    cache_dir: /var/lib/llmserve/hf/hub
    peers:
      - url: "{{ hostvars['node1'].mirror.url }}"
        token: "{{ hostvars['node1'].mirror.token }}"

- name: Make sure on an air-gapped host that not one byte is wrong
  llmserve.vllm.hf_snapshot:
    repo_id: meta-llama/Llama-3.1-8B-Instruct
    cache_dir: /var/lib/llmserve/hf/hub
    offline: true
    verify: sha256

- name: Remove an old revision
  llmserve.vllm.hf_snapshot:
    repo_id: meta-llama/Llama-3.1-8B-Instruct
    revision: 8c22764a7e3675c50d4c7c9a4edb474456022b16
    cache_dir: /var/lib/llmserve/hf/hub
    state: absent
"""

RETURN = r"""
path:
  description: The snapshot's directory.
  returned: success
  type: str
  sample: /var/lib/llmserve/hf/hub/models--meta-llama--Llama-3.1-8B-Instruct/snapshots/0e9e39f249a1
commit:
  description: The commit of the revision.
  returned: success, except while a job is only watched
  type: str
  sample: 0e9e39f249a16976918f6564b8830bc894c89659
bytes_total:
  description: Size of the snapshot in bytes.
  returned: when O(state=present) and finished
  type: int
  sample: 16068700000
bytes_fetched:
  description: >-
    Bytes that have come over the network, those of wrong content included. In check mode, and with O(wait=false), those
    that would.
  returned: when O(state=present) and finished
  type: int
  sample: 16068700000
files_fetched:
  description: Number of files that were fetched, or would be in check mode.
  returned: when O(state=present) and finished
  type: int
  sample: 12
files:
  description: Every file of the snapshot, with its C(path), C(size) in bytes and whether this run has C(fetched) it.
  returned: when O(state=present) and finished
  type: list
  elements: dict
  sample: [{path: config.json, size: 855, fetched: true}]
repaired:
  description: Files that were there, but damaged, and were fetched again; in check mode those that would be.
  returned: when O(state=present) and finished
  type: list
  elements: str
  sample: [model-00002-of-00004.safetensors]
refetched:
  description: Files that came with another content than the Hub lists, and were asked for once more.
  returned: when something was fetched
  type: list
  elements: str
  sample: []
verified:
  description: How the snapshot was verified, as O(verify).
  returned: when O(state=present) and finished
  type: str
  sample: size
filesystem:
  description: >-
    Where the files are or will be: C(mount_point), C(type), C(shared) (whether the type is one that other hosts may
    see), C(free_bytes), and the C(directory) that was asked.
  returned: when O(state=present) and not O(offline)
  type: dict
  sample: {directory: /mnt/models, mount_point: /mnt/models, type: nfs4, shared: true, free_bytes: 2000000000000}
self_contained:
  description: Whether all content lies in the model's own directory, so that a copy of it alone has no dangling links.
  returned: when nothing had to be fetched
  type: bool
  sample: true
removed:
  description: What was removed, or would be in check mode, with its C(path) and C(size).
  returned: when O(state=absent)
  type: list
  elements: dict
  sample: []
bytes_freed:
  description: Size of what was removed, or would be in check mode.
  returned: when O(state=absent)
  type: int
  sample: 0
offline:
  description: Whether the answer comes from the disk alone.
  returned: success
  type: bool
  sample: false
finished:
  description: Whether the work is over.
  returned: success
  type: bool
  sample: true
job:
  description: The background process' job, for O(job). Empty when there was nothing to do.
  returned: success
  type: str
  sample: 20260102T030405-1a2b3c4d
attached:
  description: Whether the job was running already, started by an earlier run or another host.
  returned: when RV(finished=false)
  type: bool
  sample: false
progress:
  description: How far it has come, in one sentence with figures.
  returned: when RV(finished=false)
  type: str
  sample: downloading 43.1 %, 350 GB of 812 GB, 118 MB/s, 1 h 05 min left, 83 of 197 files
figures:
  description: >-
    The C(phase) (V(fetch), V(verify) or V(finish)), C(bytes_done), C(bytes_total), C(bytes_fetched), C(files_done),
    C(files_total), C(bytes_per_second), C(still_seconds) since something has moved, and a C(note) why.
  returned: when RV(finished=false)
  type: dict
  sample: {phase: fetch, bytes_done: 350000000000, bytes_total: 812000000000}
log:
  description: The file on the host with the lines of the progress.
  returned: when a job has run
  type: str
  sample: /var/lib/llmserve/hf/hub/models--a--b/.llmserve/jobs/20260102T030405-1a2b3c4d.log
resume:
  description: What the next slice needs to know.
  returned: when RV(finished=false)
  type: dict
reason_kind:
  description: >-
    V(token_missing), V(token_refused), V(licence_not_accepted), V(model_not_found), V(revision_not_found),
    V(nothing_matches), V(index_incomplete), V(hub_unreachable), V(peers_unreachable), V(hub_error), V(disk_full),
    V(not_writable), V(wrong_content), V(incomplete), V(stalled), V(stopped), V(job_died), V(timeout), V(busy),
    V(run_as), V(damaged) or V(library_missing).
  returned: on failure
  type: str
  sample: licence_not_accepted
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.llmserve.vllm.plugins.module_utils._hub import (
    DEFAULT_ALLOW_PATTERNS,
    DEFAULT_IGNORE_PATTERNS,
)
from ansible_collections.llmserve.vllm.plugins.module_utils._run_as import RunAsError, call_as
from ansible_collections.llmserve.vllm.plugins.module_utils._snapshot_module import work


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "repo_id": {"type": "str", "required": True},
            "revision": {"type": "str", "default": "main"},
            "stay_on_commit": {"type": "bool", "default": False},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "cache_dir": {"type": "path"},
            "local_dir": {"type": "path"},
            "endpoint": {"type": "str", "default": "https://huggingface.co"},
            "peers": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "url": {"type": "str", "required": True},
                    "token": {"type": "str", "required": True, "no_log": True},
                },
            },
            "peers_only": {"type": "bool", "default": False},
            "token": {"type": "str", "no_log": True},
            "allow_patterns": {"type": "list", "elements": "str", "default": list(DEFAULT_ALLOW_PATTERNS)},
            "ignore_patterns": {"type": "list", "elements": "str", "default": list(DEFAULT_IGNORE_PATTERNS)},
            "verify": {"type": "str", "choices": ["none", "size", "sha256"], "default": "size"},
            "max_workers": {"type": "int", "default": 8},
            "run_as": {"type": "str"},
            "offline": {"type": "bool", "default": False},
            "wait": {"type": "bool", "default": True},
            "job": {"type": "str", "default": ""},
            "timeout": {"type": "float", "default": 30},
            "stall_timeout": {"type": "float", "default": 900},
            "wait_timeout": {"type": "float", "default": 0},
            "slice": {"type": "float", "default": 0},
            "resume": {"type": "dict", "default": {}},
        },
        mutually_exclusive=[("cache_dir", "local_dir")],
        required_one_of=[("cache_dir", "local_dir")],
        supports_check_mode=True,
    )
    try:
        result = call_as(module.params["run_as"] or "", lambda: work(module.params, module.check_mode))
    except RunAsError as exc:
        module.fail_json(msg=str(exc), reason_kind="run_as")
    if "failure" in result:
        module.fail_json(msg=result["failure"], reason_kind=result["reason_kind"])
    for warning in result.pop("warnings", ()):
        module.warn(warning)
    if not module._diff:
        result.pop("diff", None)
    module.exit_json(**{"job": "", **result})


if __name__ == "__main__":
    main()
