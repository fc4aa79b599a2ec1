#!/usr/bin/python
# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module vllm_ready."""

from __future__ import annotations

DOCUMENTATION = r"""
module: vllm_ready
short_description: Wait until a vLLM server answers, or say why it never will
version_added: "0.1.0"
author:
  - "The llmserve.vllm authors (@llmserve)"
description:
  - Waits until an endpoint has answered a real completion. A green health check is not enough, because an engine that
    hangs keeps it green.
  - Watches the container or systemd unit that serves it meanwhile, and fails within a second when its process has died,
    with the root cause found in its log, instead of waiting for the timeout.
  - In a playbook an action plugin of the same name runs this module in slices and prints a line of progress for each,
    such as the shards loaded so far.
requirements:
  - With O(container), a container runtime's command line with C(inspect) and C(logs), and the right to use it.
  - With O(unit), systemd, and the right to read its journal.
extends_documentation_fragment:
  - llmserve.vllm.attributes.waiter
attributes:
  check_mode:
    support: full
    description:
      - Can run in C(check_mode) and return changed status prediction without modifying target.
    details:
      - Looks once, does not wait and does not fail when there is no server yet.
  diff_mode:
    support: none
    description:
      - Will return details on what has changed (or possibly needs changing in C(check_mode)), when in diff mode.
  idempotent:
    support: full
    description:
      - When run twice in a row outside check mode, with the same arguments, the second invocation indicates no change.
    details:
      - Only reads, and asks for one token.
options:
  url:
    description:
      - Address of the endpoint as seen from this host, with or without C(/v1) at the end.
    type: str
    default: http://127.0.0.1:8000
  api_key:
    description:
      - The key of the endpoint. A key that the server refuses ends the wait at once.
    type: str
  api_key_file:
    description:
      - File on this host that holds the key and nothing else, so that the key itself does not travel.
    type: path
  model:
    description:
      - Name under which the model is served.
    type: str
    required: true
  container:
    description:
      - Name of the container that runs the server on this host. Without it only the endpoint is watched, and a server
        that dies is noticed at the timeout only.
    type: str
  unit:
    description:
      - Name of the systemd unit that runs the server on this host, instead of O(container).
    type: str
  headless:
    description:
      - Whether the container or unit on this host is a rank without an API, of a server that other hosts run, too. Then
        only that is watched, and the wait is over when a host of the same task has got its answer.
      - Takes O(container) or O(unit), and in a playbook only makes sense in a task that waits on the other host as
        well.
    type: bool
    default: false
  together:
    description:
      - Whether all hosts of this task wait for one server. Then the wait ends for all of them within seconds when it
        has failed on one, with what that host found. Ranks of vLLM's own multi-node mode do not notice it themselves.
      - Hosts are watched at the same time as far as there are forks for them, the first ones of the play first.
    type: bool
    default: false
  docker_cli:
    description:
      - Name or path of the container runtime's command line on this host.
    type: str
    default: docker
  restarts_before:
    description:
      - How often Docker had restarted the container, or systemd the unit, before this wait. More restarts mean that the
        server has died.
      - Give V(0) for a container or unit that has just been made. Without it the count at the first look is taken.
    type: int
  timeout:
    description:
      - Seconds to wait in all. A large model from a network filesystem can take more than an hour.
    type: float
    default: 3600
  request_timeout:
    description:
      - Seconds that one completion of one token may take. The first one may compile kernels.
    type: float
    default: 60
  answer_timeout:
    description:
      - Seconds between the first green health check and the first answer, after which the engine is said to hang.
    type: float
    default: 300
  stall_timeout:
    description:
      - Seconds without a new line in the log of a loading server, after which it is said to hang. Compilers and slow
        disks are silent for minutes. Without it, or without a log, only O(timeout) ends the wait.
    type: float
    default: 1800
  interval:
    description:
      - Seconds between two looks.
    type: float
    default: 1
  log_lines:
    description:
      - Number of the last log lines to return when it has failed.
    type: int
    default: 60
  validate_certs:
    description:
      - Whether to verify the certificate of an C(https) endpoint.
    type: bool
    default: true
  ca_path:
    description:
      - File with the certificates of the authorities to trust, in PEM form, instead of the host's.
    type: path
  planned:
    description:
      - The plan that the server was started by, RV(llmserve.vllm.parallel_plan#module:plan). What vLLM logs about its
        memory is compared with it, see RV(differences); a difference above 10 % is a warning.
      - Without O(container) or O(unit) there is no log to compare with.
    type: dict
    default: {}
seealso:
  - plugin: llmserve.vllm.diagnose_log
    plugin_type: filter
  - module: llmserve.vllm.openai_smoke
"""

EXAMPLES = r"""
- name: Wait until the model answers
  llmserve.vllm.vllm_ready:
    url: http://127.0.0.1:8000
    api_key: "{{ llmserve_api_key }}"
    model: meta-llama/Llama-3.1-405B-Instruct
    container: llmserve-vllm
    restarts_before: 0
    timeout: 7200
  become: true

- name: Wait for one server on two hosts
  llmserve.vllm.vllm_ready:
    url: http://10.0.0.1:8000
    api_key_file: "{{ omit if headless else '/etc/llmserve/api_key' }}"
    model: meta-llama/Llama-3.1-405B-Instruct
    container: "{{ 'llmserve-vllm-headless' if headless else 'llmserve-vllm' }}"
    headless: "{{ headless }}"
    together: true
  vars:
    headless: "{{ inventory_hostname != ansible_play_hosts_all[0] }}"

- name: Wait for a server on another host, whose container cannot be watched
  llmserve.vllm.vllm_ready:
    url: https://llm.example.org
    api_key: "{{ llmserve_api_key }}"
    model: llama
    timeout: 600
  delegate_to: localhost
"""

RETURN = r"""
ready:
  description: Whether a completion came back.
  returned: always
  type: bool
  sample: true
answer:
  description: The C(text) of the completion and the C(seconds) that it took.
  returned: when ready
  type: dict
  sample: {text: ',', seconds: 0.08}
memory:
  description:
    - >-
      What vLLM has logged about its memory: C(weights_gib_per_gpu), C(kv_cache_gib_per_gpu), C(kv_cache_tokens),
      C(max_concurrency), C(load_seconds), as far as the log goes back to the start.
  returned: when ready, with O(container) or O(unit)
  type: dict
  sample: {weights_gib_per_gpu: 14.99, kv_cache_gib_per_gpu: 51.38, kv_cache_tokens: 420896}
differences:
  description: One sentence per figure that both RV(memory) and O(planned) have.
  returned: when ready, with O(container) or O(unit)
  type: list
  elements: str
  sample: ['weights: planned 14.99 GiB per GPU, vLLM has 14.99 GiB per GPU (+0.0 %)']
progress:
  description: How far it has come, in one sentence with figures.
  returned: always
  type: str
  sample: 'loading weights: 86 of 191 shards (45 %), 12:41 left'
figures:
  description: >-
    The C(stage) (V(start), V(init), V(placement_group), V(head), V(download), V(load), V(compile), V(kv_cache),
    V(graphs), V(api), V(answer)) and its figures, such as C(done), C(total) and C(percent).
  returned: always
  type: dict
  sample: {stage: load, done: 86, total: 191, percent: 45}
diagnosis:
  description: What M(llmserve.vllm.vllm_ready) found in the log, the most probable root cause first.
  returned: on failure
  type: list
  elements: dict
  contains:
    cause:
      description: Stable name of the cause.
      type: str
      sample: unknown_flag
    explanation:
      description: The cause in plain words.
      type: str
    remedy:
      description: What to do.
      type: str
    evidence:
      description: The line of the log.
      type: str
      sample: "vllm: error: unrecognized arguments: --swap-space 16"
    detail:
      description: A special case of the cause, or empty.
      type: str
      sample: removed
    where:
      description: Host, rank or GPU that the line names, or empty.
      type: str
      sample: rank 5, GPU 5
    figures:
      description: What the log says was asked for and there was, by name.
      type: dict
      sample: {asked_max_len: 131072, fitting_max_len: 74720}
    line:
      description: Number of the line in the log, without empty lines; 0 when it is not from the log.
      type: int
    source:
      description: Where to read more, or empty.
      type: str
reason_kind:
  description: >-
    V(died), V(unauthorized), V(model_not_found), V(bad_response), V(hangs), V(timeout), V(no_container_runtime) or,
    with O(together), V(other_host).
  returned: on failure
  type: str
  sample: died
log_tail:
  description: The last lines of the log.
  returned: on failure
  type: list
  elements: str
elapsed:
  description: Seconds waited so far, those of earlier slices included.
  returned: always
  type: float
  sample: 1260.2
finished:
  description: Whether the wait is over. Only a slice returns V(false).
  returned: always
  type: bool
  sample: true
resume:
  description: What the next slice needs to know.
  returned: always
  type: dict
"""

from typing import Any, Dict

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.llmserve.vllm.plugins.module_utils._engine_memory import compare
from ansible_collections.llmserve.vllm.plugins.module_utils._openai import Endpoint, read_key
from ansible_collections.llmserve.vllm.plugins.module_utils._ready import Probe
from ansible_collections.llmserve.vllm.plugins.module_utils._ready_watch import ReadyWatch
from ansible_collections.llmserve.vllm.plugins.module_utils._wait import FAILED, TIMEOUT, wait_as_told


def checked_memory(module: AnsibleModule, watch: ReadyWatch) -> Dict[str, Any]:
    """What vLLM logged about its memory, beside the plan."""
    measured = watch.memory()
    differences = compare(module.params["planned"], measured)
    for difference in differences:
        if difference.warn:
            module.warn("The plan is off: {0}.".format(difference.sentence))
    return {"memory": measured, "differences": [difference.sentence for difference in differences]}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "url": {"type": "str", "default": "http://127.0.0.1:8000"},
            "api_key": {"type": "str", "no_log": True},
            "api_key_file": {"type": "path", "no_log": False},
            "model": {"type": "str", "required": True},
            "container": {"type": "str"},
            "unit": {"type": "str"},
            "headless": {"type": "bool", "default": False},
            "together": {"type": "bool", "default": False},
            "docker_cli": {"type": "str", "default": "docker"},
            "restarts_before": {"type": "int"},
            "timeout": {"type": "float", "default": 3600},
            "request_timeout": {"type": "float", "default": 60},
            "answer_timeout": {"type": "float", "default": 300},
            "stall_timeout": {"type": "float", "default": 1800},
            "interval": {"type": "float", "default": 1},
            "log_lines": {"type": "int", "default": 60},
            "validate_certs": {"type": "bool", "default": True},
            "ca_path": {"type": "path"},
            "planned": {"type": "dict", "default": {}},
            "slice": {"type": "float", "default": 0},
            "resume": {"type": "dict", "default": {}},
        },
        mutually_exclusive=[("api_key", "api_key_file"), ("container", "unit")],
        required_if=[("headless", True, ["container", "unit"], True)],
        supports_check_mode=True,
    )
    params = module.params
    try:
        key = params["api_key"] or read_key(params["api_key_file"])
        if key:
            # a key from a file is as secret as one from the task
            module.no_log_values.add(key)
        endpoint = Endpoint(params["url"], key, params["validate_certs"], params["ca_path"] or "")
    except (ValueError, OSError) as exc:
        module.fail_json(msg="Cannot ask {0}: {1}".format(params["url"], exc))
    watch = ReadyWatch(
        params,
        Probe(endpoint, params["model"], params["request_timeout"]),
        # without a second look the first one has to wait for the answer
        patience=10 if module.check_mode or params["timeout"] <= 0 else params["interval"],
    )
    waited = wait_as_told(watch.look, params, module.check_mode)
    result = waited.as_result(**watch.resume)
    if waited.status in (FAILED, TIMEOUT) and not module.check_mode:
        module.fail_json(**dict(result, **watch.autopsy(waited.look, waited.status)))
    if waited.look.facts.get("ready"):
        result.update(checked_memory(module, watch))
    module.exit_json(**dict(result, **waited.look.facts))


if __name__ == "__main__":
    main()
