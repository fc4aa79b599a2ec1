#!/usr/bin/python
# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module ray_status."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ray_status
short_description: Wait until a Ray cluster has its nodes and GPUs
version_added: "0.1.0"
author:
  - "The llmserve.vllm authors (@llmserve)"
description:
  - Asks the running Ray cluster itself, through the Python and the Ray of a container or a systemd unit that takes part
    in it, which nodes are alive and how many GPUs they bring, and waits until both are as many as expected.
  - GPUs that a running engine uses or that a placement group holds count as present, so that a second run of a playbook
    does not wait for GPUs which are rightly busy.
  - Fails at once when waiting is in vain because the container or unit does not exist, has stopped or keeps restarting,
    or because Ray refuses the token or has another version.
  - In a playbook an action plugin of the same name runs this module in slices and prints a line of progress for each.
requirements:
  - With O(container), a container runtime's command line with C(inspect), C(logs) and C(exec), and the right to use it.
  - With O(unit), systemd with C(systemd-run), and root.
extends_documentation_fragment:
  - llmserve.vllm.attributes.waiter
attributes:
  check_mode:
    support: full
    description:
      - Can run in C(check_mode) and return changed status prediction without modifying target.
    details:
      - Looks once, does not wait and does not fail when the cluster is not there yet.
  diff_mode:
    support: none
    description:
      - Will return details on what has changed (or possibly needs changing in C(check_mode)), when in diff mode.
  idempotent:
    support: full
    description:
      - When run twice in a row outside check mode, with the same arguments, the second invocation indicates no change.
    details:
      - Only reads.
options:
  container:
    description:
      - Name of a running container of the cluster, best that of the head. Ray's token is taken from its environment.
      - Either this or O(unit) is required.
    type: str
  unit:
    description:
      - Name of a systemd unit of the cluster that the role vllm_venv has made, best that of the head. Ray is asked as
        its user, with its environment and its token.
    type: str
  address:
    description:
      - C(IP:port) of the head (the GCS), as seen from inside the container or from the unit.
    type: str
    default: 127.0.0.1:6379
  docker_cli:
    description:
      - Name or path of the container runtime's command line on this host.
    type: str
    default: docker
  nodes:
    description:
      - Number of alive nodes to wait for, the head included. Without it one node is enough.
    type: int
    default: 1
  gpus:
    description:
      - Number of GPUs to wait for, over all alive nodes. Without it GPUs are reported and not waited for.
    type: float
  expected_addresses:
    description:
      - Addresses of all nodes as Ray knows them (the C(--node-ip-address) of each). With it the wait ends only when
        every one of them is alive exactly once, and messages name who is missing.
    type: list
    elements: str
    default: []
  timeout:
    description:
      - Seconds to wait in all.
    type: float
    default: 300
  interval:
    description:
      - Seconds between two looks.
    type: float
    default: 2
  log_lines:
    description:
      - Number of the last log lines to return when it has failed.
    type: int
    default: 30
seealso:
  - plugin: llmserve.vllm.parse_ray_status
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Wait until both nodes with eight GPUs each have joined
  llmserve.vllm.ray_status:
    container: llmserve-ray-head
    nodes: 2
    gpus: 16
    expected_addresses:
      - 10.0.0.11
      - 10.0.0.12
    timeout: 300
  become: true

- name: Look at the cluster without waiting
  llmserve.vllm.ray_status:
    container: llmserve-ray-head
    timeout: 0
  become: true
  register: cluster
  # A cluster that is not whole is the answer here, to be shown.
  failed_when: false
"""

RETURN = r"""
healthy:
  description: Whether the cluster has the nodes, the GPUs and the addresses that were asked for.
  returned: always
  type: bool
  sample: true
nodes:
  description:
    - >-
      Every node that the head knows, dead ones with C(alive=false) and their C(death_reason). The keys C(gpus_total),
      C(gpus_used) and C(gpus_reserved) are counts of GPUs.
  returned: always
  type: list
  elements: dict
  sample:
    - {id: 0bb4c35a, address: 10.0.0.11, hostname: gpu-1, alive: true, head: true,
       gpus_total: 8.0, gpus_used: 0.0, gpus_reserved: 0.0, death_reason: ''}
gpus_total:
  description: GPUs of all alive nodes.
  returned: always
  type: float
  sample: 16.0
gpus_used:
  description: GPUs that running tasks and actors hold.
  returned: always
  type: float
  sample: 0.0
gpus_reserved:
  description: GPUs that placement groups hold, whether or not they are used.
  returned: always
  type: float
  sample: 0.0
missing:
  description: Those of O(expected_addresses) that are not alive.
  returned: always
  type: list
  elements: str
  sample: []
ray_version:
  description: Version of Ray in the container or the unit's environment.
  returned: when Ray answered
  type: str
  sample: 2.56.1
error_kind:
  description: Why Ray did not answer, for example V(cluster_unreachable), V(auth_token_wrong) or V(version_mismatch).
  returned: when Ray did not answer
  type: str
  sample: cluster_unreachable
log_tail:
  description: The last lines of the log.
  returned: on failure
  type: list
  elements: str
progress:
  description: The state in one sentence.
  returned: always
  type: str
  sample: 2 of 2 nodes, 16 of 16 GPUs
elapsed:
  description: Seconds waited so far, those of earlier slices included.
  returned: always
  type: float
  sample: 12.5
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

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.llmserve.vllm.plugins.module_utils._container import (
    ContainerError,
    hopeless_reason,
    last_lines,
)
from ansible_collections.llmserve.vllm.plugins.module_utils._ray import PROBE_SCRIPT, judge, parse_probe
from ansible_collections.llmserve.vllm.plugins.module_utils._ray_text import PERMANENT_ERRORS, classify_error
from ansible_collections.llmserve.vllm.plugins.module_utils._runtime import Runtime, runtime_of
from ansible_collections.llmserve.vllm.plugins.module_utils._wait import (
    FAILED,
    READY,
    TIMEOUT,
    WAITING,
    Look,
    minutes,
    wait_as_told,
)

# Seconds that one question to Ray may take; a head that is down keeps Ray's client busy for much longer.
PROBE_SECONDS = 14
NOTHING: dict[str, Any] = {"nodes": [], "gpus_total": 0.0, "gpus_used": 0.0, "gpus_reserved": 0.0}


class RayWatch:
    """Looks at the container or unit, then asks the Ray in it."""

    def __init__(self, params: dict[str, Any], runtime: Runtime) -> None:
        self.params = params
        self.runtime = runtime
        self.restarts_before = params["resume"].get("restarts_before")

    def look(self, budget: float) -> Look:
        params = self.params
        try:
            state = self.runtime.state()
        except ContainerError as exc:
            return self._nothing(FAILED, str(exc), "no_container_runtime")
        if self.restarts_before is None:
            self.restarts_before = state.restarts
        gone = hopeless_reason(state, self.runtime.name, int(self.restarts_before))
        if gone:
            return self._nothing(FAILED, gone, "container_not_running")
        if not state.running:
            return self._nothing(WAITING, "the {0} is restarting".format(state.kind), "container_not_running")
        argv = ["python3", "-c", PROBE_SCRIPT, params["address"], str(PROBE_SECONDS)]
        done = self.runtime.ask(argv, PROBE_SECONDS)
        cluster = parse_probe(done.stdout)
        if cluster is None:
            kind, line = classify_error(done.stderr + "\n" + done.stdout)
            if done.rc in (124, 128 + 14):
                kind, line = "cluster_unreachable", "no answer within {0} s".format(PROBE_SECONDS)
            line = line or " ".join(last_lines(done.stderr or done.stdout, 1)) or "rc {0}".format(done.rc)
            status = FAILED if kind in PERMANENT_ERRORS else WAITING
            return self._nothing(status, "Ray does not answer: " + line, kind or "unknown")
        verdict = judge(cluster, params["nodes"], params["gpus"], params["expected_addresses"])
        facts = {
            "nodes": [node._asdict() for node in cluster.nodes],
            "gpus_total": cluster.gpus_total,
            "gpus_used": cluster.gpus_used,
            "gpus_reserved": cluster.gpus_reserved,
            "healthy": verdict.healthy,
            "missing": verdict.missing,
            "ray_version": cluster.version,
        }
        return Look(READY if verdict.healthy else WAITING, verdict.sentence, facts)

    def _nothing(self, status: str, sentence: str, kind: str) -> Look:
        facts = dict(NOTHING, healthy=False, missing=list(self.params["expected_addresses"]), error_kind=kind)
        return Look(status, sentence, facts)

    def log_tail(self) -> list[str]:
        count = self.params["log_lines"]
        return last_lines(self.runtime.logs(count * 2), count)


def failure(params: dict[str, Any], status: str, look: Look, elapsed: float) -> str:
    """What went wrong, where, and what to do."""
    command = "`{0} logs {1}`".format(params["docker_cli"], params["container"])
    if params["unit"]:
        command = "`journalctl --unit {0}`".format(params["unit"])
    sentence = look.sentence.rstrip(".")
    if status == FAILED:
        return "The Ray cluster is not coming up: {0}. See log_tail, and {1} on this host.".format(sentence, command)
    if look.facts.get("error_kind"):
        mend = "See log_tail, and {0} on this host.".format(command)
    else:
        mend = (
            "On each missing node read the log of its Ray worker. The node must reach the head and "
            "all others over the cluster network on every TCP port, and run the same versions with the same Ray token."
        )
    return "The Ray cluster is not complete after {0}: {1}. {2}".format(minutes(elapsed), sentence, mend)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "container": {"type": "str"},
            "unit": {"type": "str"},
            "address": {"type": "str", "default": "127.0.0.1:6379"},
            "docker_cli": {"type": "str", "default": "docker"},
            "nodes": {"type": "int", "default": 1},
            "gpus": {"type": "float"},
            "expected_addresses": {"type": "list", "elements": "str", "default": []},
            "timeout": {"type": "float", "default": 300},
            "interval": {"type": "float", "default": 2},
            "log_lines": {"type": "int", "default": 30},
            "slice": {"type": "float", "default": 0},
            "resume": {"type": "dict", "default": {}},
        },
        required_one_of=[("container", "unit")],
        mutually_exclusive=[("container", "unit")],
        supports_check_mode=True,
    )
    params = module.params
    runtime = runtime_of(params)
    if runtime is None:
        module.fail_json(msg="Name the container or the unit of Ray: container or unit is empty.")
        return
    watch = RayWatch(params, runtime)
    waited = wait_as_told(watch.look, params, module.check_mode)
    result = dict(waited.look.facts, **waited.as_result(restarts_before=watch.restarts_before))
    if waited.status in (FAILED, TIMEOUT) and not module.check_mode:
        message = failure(params, waited.status, waited.look, waited.elapsed)
        module.fail_json(msg=message, log_tail=watch.log_tail(), **result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
