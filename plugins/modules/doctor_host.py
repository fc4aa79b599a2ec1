#!/usr/bin/python
# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module llmserve.vllm.doctor_host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: doctor_host
short_description: Read how a deployment runs on a host, and its logs, without secrets
version_added: "0.1.0"
author:
  - "The llmserve.vllm authors (@llmserve)"
description:
  - Gathers in one call what explains how a deployment is on a host, so that a cluster of many hosts is looked at in one
    task - its containers and how they ended, their logs, Docker, the journal of what runs containers and GPUs, the
    kernel log, GPUs and who holds them, filesystems; on the head also Ray, the endpoint, the canary and the lock file.
  - It judges nothing. The filters P(llmserve.vllm.doctor_report#filter) and P(llmserve.vllm.status_report#filter) do,
    over all hosts together.
  - Works without Docker, without a driver and without a journal; what could not be asked is V(null).
  - Secrets are taken out here, before anything leaves the host - those in O(secret_files) wherever they stand, and
    whatever looks like one. When one of these files is there but cannot be read, no log is returned.
  - Changes nothing on the host. Needs root to read logs and to see the processes of other users.
extends_documentation_fragment:
  - llmserve.vllm.attributes.reader
options:
  cluster:
    description: The cluster's name, as in the label C(llmserve.cluster) of its containers.
    type: str
    default: llmserve
  log_kib:
    description:
      - How many KiB of each container's log are kept, its beginning and above all its end. The journal and the kernel
        log get a quarter of it each. V(0) reads no logs.
    type: int
    default: 256
  secret_files:
    description: Files of this host whose content, as a whole and line by line, must not leave it.
    type: list
    elements: path
    default: []
  paths:
    description: Absolute paths whose filesystems are described, besides those of the system and of Docker.
    type: list
    elements: path
    default: []
  url:
    description: Address of the endpoint on this host. Empty on a host without one.
    type: str
    default: ''
  api_key_file:
    description: File on this host that holds the key of the endpoint.
    type: path
  model:
    description: The model to ask for one token. Empty for the first that is served.
    type: str
    default: ''
  answer_timeout:
    description:
      - How many seconds the answer of one token may take; V(0) asks for none. Only an answer tells an engine that
        works from one that hangs.
    type: float
    default: 30
  ray_address:
    description: Address of the Ray head, asked inside its container. Empty on a host without a head.
    type: str
    default: ''
  canary_file:
    description: Where the canary writes its state.
    type: path
  lock_file:
    description: The lock file of the deployment, see M(llmserve.vllm.deployment_lock).
    type: path
  hold_file:
    description: The file that says that a deployment is under way.
    type: path
  journal_file:
    description: The file in which an upgrade puts down how far it is.
    type: path
  nvidia_smi:
    description: The C(nvidia-smi) to run, a path or a name.
    type: str
    default: nvidia-smi
  gpu_timeout:
    description: How many seconds C(nvidia-smi) may take.
    type: int
    default: 30
  docker_cli:
    description: The Docker client, a path or a name.
    type: str
    default: docker
seealso:
  - plugin: llmserve.vllm.doctor_report
    plugin_type: filter
  - plugin: llmserve.vllm.status_report
    plugin_type: filter
  - module: llmserve.vllm.deployment_lock
"""

EXAMPLES = r"""
- name: Look at the host
  llmserve.vllm.doctor_host:
    cluster: llmserve
    secret_files:
      - /etc/llmserve/api_key
      - /etc/llmserve/ray_token
  register: look
  become: true

- name: Say why
  ansible.builtin.debug:
    msg: "{{ look.facts.texts | llmserve.vllm.diagnose_log }}"
"""

RETURN = r"""
facts:
  description: What was found. What could not be found out is V(null).
  returned: always
  type: dict
  contains:
    time: {description: The host's clock, type: float}
    uptime_seconds: {description: Since when the host runs, type: float}
    hostname: {description: Name of the host, type: str}
    kernel: {description: Release of the kernel, type: str}
    host_memory_mib: {description: Memory of the host, type: int}
    disks: {description: "Filesystems, as RV(llmserve.vllm.gpu_info#module:disks)", type: list, elements: dict}
    docker:
      description: "C(client), its path; C(server), what the daemon says of itself; C(error), why it does not answer."
      type: dict
    containers:
      description:
        - "Containers with the cluster's label, with C(name), C(component), C(status), C(exit_code), C(oom_killed),
          C(error), C(restarts), C(restart_policy), C(image), C(image_id), C(image_digest), C(command), and the times
          C(created), C(started) and C(finished) in seconds since 1970."
      type: list
      elements: dict
    versions:
      description: "What is installed in the container of the engine or of Ray - C(vllm), C(ray), C(torch), C(nccl)
        and more"
      type: dict
    ray:
      description: "On the head, C(nodes) as RV(llmserve.vllm.ray_status#module:nodes), C(gpus_total),
        C(gpus_reserved), C(version), or C(error) and C(error_kind)"
      type: dict
    endpoint:
      description:
        - "With O(url), C(healthy), C(version), C(models), C(figures) from C(/metrics) by names that are the same for
          all releases of vLLM (C(requests_running), C(requests_waiting), C(kv_cache_used), C(generated_tokens)),
          C(answer_seconds), or C(error) and C(error_kind)."
      type: dict
    canary: {description: The state of the canary, type: dict}
    lock: {description: The lock file of the deployment, type: dict}
    hold: {description: Who is deploying right now, type: dict}
    journal: {description: How far the last upgrade or rollback has come, type: dict}
    gpu:
      description:
        - "C(present), C(reason) and C(reason_kind) without a usable driver, C(driver_version), C(cuda_version),
          C(gpus), C(gpus_lost), and C(holders), the processes on the GPUs with C(holder) in words, V(null) for this
          cluster's."
      type: dict
    texts: {description: Logs by name, type: dict}
    problems: {description: "What could not be read, in sentences", type: list, elements: str}
"""

from typing import Any, Dict

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.llmserve.vllm.plugins.module_utils._host_look import HostLook
from ansible_collections.llmserve.vllm.plugins.module_utils._quiet import Quiet
from ansible_collections.llmserve.vllm.plugins.module_utils._without_secrets import read_secrets, without


def look(module: AnsibleModule) -> Dict[str, Any]:
    """All facts, without secrets."""
    secrets = read_secrets([*module.params["secret_files"], *filter(None, [module.params["api_key_file"]])])
    facts = HostLook(Quiet(module), module.params).facts()
    if secrets.unread:
        # what must be taken out is not known
        facts["texts"] = {}
        facts["problems"].append("No logs: a file of secrets cannot be read ({0}).".format("; ".join(secrets.unread)))
    clean: Dict[str, Any] = without(facts, secrets.values)
    return clean


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "cluster": {"type": "str", "default": "llmserve"},
            "log_kib": {"type": "int", "default": 256},
            "secret_files": {"type": "list", "elements": "path", "default": [], "no_log": False},
            "paths": {"type": "list", "elements": "path", "default": []},
            "url": {"type": "str", "default": ""},
            "api_key_file": {"type": "path", "no_log": False},
            "model": {"type": "str", "default": ""},
            "answer_timeout": {"type": "float", "default": 30},
            "ray_address": {"type": "str", "default": ""},
            "canary_file": {"type": "path"},
            "lock_file": {"type": "path"},
            "hold_file": {"type": "path"},
            "journal_file": {"type": "path"},
            "nvidia_smi": {"type": "str", "default": "nvidia-smi"},
            "gpu_timeout": {"type": "int", "default": 30},
            "docker_cli": {"type": "str", "default": "docker"},
        },
        supports_check_mode=True,
    )
    module.exit_json(changed=False, facts=look(module))


if __name__ == "__main__":
    main()
