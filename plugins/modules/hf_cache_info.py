#!/usr/bin/python
# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module hf_cache_info."""

from __future__ import annotations

DOCUMENTATION = r"""
module: hf_cache_info
short_description: What lies in a Hugging Face cache, and what removing it would free
version_added: "0.1.0"
author:
  - "The llmserve.vllm authors (@llmserve)"
description:
  - Lists the models of a Hub cache with their revisions, what each revision costs, which branches and tags lead to it,
    who on this host names it on a command line, and whether a job of M(llmserve.vllm.hf_snapshot) works on the model.
  - Damaged entries are reported and never fail the module. A cache that does not exist is an empty list.
  - It needs no huggingface_hub. That library could list a cache, too, but leaves out a model in which one link is
    broken, and the list is of use before it is installed.
notes:
  - Datasets, spaces and content that no revision uses are not listed.
extends_documentation_fragment:
  - llmserve.vllm.attributes.reader
options:
  cache_dir:
    description:
      - The Hub cache, which is C(hub) below C(HF_HOME).
    type: path
    required: true
  repo_id:
    description:
      - List this model only. Without it all models are listed.
    type: str
  wanted:
    description:
      - What a deployment is to serve, by model the revision as a branch, tag or commit, for example
        V({"acme/model":"main"}). Commits that it leads to, a download of it that was interrupted included, have
        RV(models[].revisions[].wanted=true).
    type: dict
    default: {}
  run_as:
    description:
      - User who owns the cache. When the module runs as root, it looks at the cache as this user. Processes and
        containers are looked at without it.
    type: str
  config_dir:
    description:
      - Directory of the lock files of M(llmserve.vllm.deployment_lock). The commits that they name are in use.
    type: path
    default: /etc/llmserve
  docker_cli:
    description:
      - The Docker client, a path or a name. Without one on the host only processes are looked at.
    type: str
    default: docker
seealso:
  - module: llmserve.vllm.hf_snapshot
  - plugin: llmserve.vllm.old_revisions
    plugin_type: filter
"""

EXAMPLES = r"""
- name: See what is in the cache
  llmserve.vllm.hf_cache_info:
    cache_dir: /var/lib/llmserve/huggingface/hub
    wanted:
      meta-llama/Llama-3.1-8B-Instruct: main
    run_as: llmserve
  become: true
  register: cache

- name: Name the revisions that nothing leads to
  ansible.builtin.debug:
    msg: "{{ cache.models | map(attribute='revisions') | flatten | rejectattr('refs') | map(attribute='path') }}"
"""

RETURN = r"""
models:
  description: The models, in the order of their names.
  returned: success
  type: list
  elements: dict
  contains:
    repo_id:
      description: Id of the model on the Hub.
      type: str
      sample: meta-llama/Llama-3.1-8B-Instruct
    path:
      description: The model's directory.
      type: str
      sample: /var/lib/llmserve/huggingface/hub/models--meta-llama--Llama-3.1-8B-Instruct
    bytes_total:
      description: Size of all of its revisions, with what they share counted once, and of its partial files.
      type: int
      sample: 16068700000
    job:
      description: The job of M(llmserve.vllm.hf_snapshot) that is working on the model, or empty.
      type: str
      sample: ""
    partial_files:
      description: >-
        Files that are not complete, each with its C(path), its C(size) in bytes and the C(commits) that it is known to
        belong to.
      type: list
      elements: dict
      sample: []
    problems:
      description: >-
        What is damaged, and how to mend it. While there is something, huggingface_hub overlooks the model, and
        M(llmserve.vllm.hf_snapshot) cannot remove revisions of it.
      type: list
      elements: str
      sample: []
    revisions:
      description: The revisions, in the order of their commits.
      type: list
      elements: dict
      contains:
        commit:
          description: The commit.
          type: str
          sample: 0e9e39f249a16976918f6564b8830bc894c89659
        path:
          description: The snapshot's directory, which does not exist when there are only partial files yet.
          type: str
          sample: /var/lib/llmserve/huggingface/hub/models--a--b/snapshots/0e9e39f249a16976918f6564b8830bc894c89659
        refs:
          description: Branches and tags that lead to the commit on this host.
          type: list
          elements: str
          sample: [main]
        wanted:
          description: Whether O(wanted) leads to the commit.
          type: bool
          sample: true
        in_use:
          description: The processes, and the containers whether they run or not, that name the commit.
          type: list
          elements: str
          sample: [container llmserve-vllm, process 812 (python3)]
        complete:
          description: >-
            Whether M(llmserve.vllm.hf_snapshot) would find nothing to fetch with its default patterns, going by names
            and sizes. Without the Hub's list of files, whether the index of the weights names only files that are here.
          type: bool
          sample: true
        files:
          description: Number of files.
          type: int
          sample: 12
        bytes_total:
          description: Size of the files, without partial ones.
          type: int
          sample: 16068700000
        bytes_freed:
          description: >-
            What removing the revision frees, which is the size of the files that no other revision uses, partial ones
            included. Content in the store that huggingface_hub shares between models is not counted.
          type: int
          sample: 16059600000
        bytes_partial:
          description: Size of the partial files that belong to the revision.
          type: int
          sample: 0
        last_modified:
          description: When something was last fetched or linked, in UTC.
          type: str
          sample: "2026-01-02T03:04:05Z"
        last_accessed:
          description: >-
            When the weights that only this revision has were last read, in UTC, as far as the filesystem keeps that
            (mounted with C(relatime) to the day, with C(noatime) not at all).
          type: str
          sample: "2026-01-09T10:11:12Z"
        problems:
          description: What is damaged in the revision.
          type: list
          elements: str
          sample: []
problems:
  description: What is not as it should be in the cache itself.
  returned: success
  type: list
  elements: str
  sample: []
in_use:
  description: Every commit that processes, containers or lock files of this host name, with who names it.
  returned: success
  type: dict
  sample: {0e9e39f249a16976918f6564b8830bc894c89659: [process 812 (python3)]}
identity:
  description: >-
    Tells the directory from others. Hosts that return the same look at one directory, which they share. Empty when
    there is none.
  returned: success
  type: str
  sample: 1310722-1767323045000000000
reason_kind:
  description: V(run_as) when the user cannot be assumed.
  returned: on failure
  type: str
  sample: run_as
"""

import os

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.llmserve.vllm.plugins.module_utils._cache_info import read_cache
from ansible_collections.llmserve.vllm.plugins.module_utils._cache_users import (
    commits_in_use,
    containers,
    lock_files,
    processes,
    units,
)
from ansible_collections.llmserve.vllm.plugins.module_utils._run_as import RunAsError, call_as


def is_missing(path: str) -> bool:
    """Whether there certainly is no such directory; then its owner need not exist either."""
    try:
        os.stat(path)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return False


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "cache_dir": {"type": "path", "required": True},
            "repo_id": {"type": "str"},
            "wanted": {"type": "dict", "default": {}},
            "run_as": {"type": "str"},
            "config_dir": {"type": "path", "default": "/etc/llmserve"},
            "docker_cli": {"type": "str", "default": "docker"},
        },
        supports_check_mode=True,
    )
    params = module.params
    boxes, problem = containers(params["docker_cli"])
    if problem:
        module.warn(
            "Only running processes were looked at, because containers cannot be listed ({0}). Run the task with "
            "become: true, and see `systemctl status docker`.".format(problem)
        )
    in_use = commits_in_use([*boxes, *units(), *lock_files(params["config_dir"]), *processes()])
    wanted = {str(model): str(revision) for model, revision in params["wanted"].items()}
    user = "" if is_missing(params["cache_dir"]) else params["run_as"] or ""
    try:
        result = call_as(user, lambda: read_cache(params["cache_dir"], params["repo_id"] or "", wanted, in_use))
    except RunAsError as exc:
        module.fail_json(msg=str(exc), reason_kind="run_as")
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
