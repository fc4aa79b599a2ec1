#!/usr/bin/python
# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module nccl_check."""

from __future__ import annotations

DOCUMENTATION = r"""
module: nccl_check
short_description: Take part in an all-reduce over the GPUs of all hosts, inside the serving image
version_added: "0.1.0"
author:
  - "The llmserve.vllm authors (@llmserve)"
description:
  - Starts a container of the serving image on this host that meets those of the other hosts, connects to each of them,
    and runs an all-reduce over all their GPUs with the NCCL that will serve later; without CUDA in the image's PyTorch
    the same with gloo, one process a host.
  - It measures the speed for some sizes and reads from NCCL's log which network carries the data.
  - To be run on all hosts at the same time, with O(state=started) first, so that no host waits for another that
    Ansible has not come to, and O(state=finished) then. The filter P(llmserve.vllm.nccl_verdict#filter) says what
    the results of all hosts mean.
  - The container ends by itself after O(timeout), is removed when its result is read or with O(state=absent), and holds
    the GPUs no longer than that. Containers of another origin are not touched.
  - In a playbook an action plugin of the same name runs this module in slices and prints a line of progress for each.
requirements:
  - Docker's command line, and the right to use it.
  - An image with C(python3), PyTorch and C(timeout), as vLLM's are.
extends_documentation_fragment:
  - llmserve.vllm.attributes.waiter
attributes:
  check_mode:
    support: full
    description: Can run in C(check_mode) and return changed status prediction without modifying target.
    details: Is skipped, for there is nothing to say without the measurement.
  diff_mode:
    support: none
    description:
      - Will return details on what has changed (or possibly needs changing in C(check_mode)), when in diff mode.
  idempotent:
    support: full
    description:
      - When run twice in a row outside check mode, with the same arguments, the second invocation indicates no change.
    details: Leaves nothing behind on the host, and so reports no change.
options:
  state:
    description:
      - V(started) starts this host's part and returns at once, V(finished) waits for its end, reads the result and
        removes the container, V(absent) removes what is left of it.
    type: str
    choices: [started, finished, absent]
    default: finished
  host:
    description: The name of this host, one of O(hosts). Needed with O(state=started).
    type: str
  hosts:
    description: The names of all hosts, in the same order everywhere. The first one serves the others as meeting place.
    type: list
    elements: str
  addresses:
    description: The addresses of O(hosts) on the network between them, in the same order.
    type: list
    elements: str
  image:
    description: The serving image. It has to be on the host.
    type: str
  cluster:
    description: Name of the cluster, for the container's label C(llmserve.cluster).
    type: str
    default: llmserve
  container:
    description: Name of the container.
    type: str
    default: llmserve-nccl-check
  docker_cli:
    description: Name or path of Docker's command line on this host.
    type: str
    default: docker
  port:
    description:
      - The TCP port at which the first host is met, on its cluster address. All else takes ports of the kernel's.
    type: int
    default: 29511
  join_timeout:
    description: Seconds within which all hosts have to be there.
    type: float
    default: 120
  timeout:
    description: Seconds after which the container ends, whatever it is doing.
    type: float
    default: 300
  sizes_mib:
    description: The sizes in MiB to measure with NCCL.
    type: list
    elements: float
    default: [8, 64, 512]
  sizes_gloo_mib:
    description: The sizes in MiB to measure with gloo.
    type: list
    elements: float
    default: [1, 8, 32]
  environment:
    description:
      - Environment variables of the container, such as E(NCCL_SOCKET_IFNAME) and E(NCCL_IB_HCA), as the serving
        containers of this host have them. Not E(NCCL_DEBUG), which the check needs itself.
    type: dict
    default: {}
  devices:
    description: Devices for the container, as C(docker run --device) takes them.
    type: list
    elements: str
    default: []
  capabilities:
    description: Capabilities to add.
    type: list
    elements: str
    default: []
  ulimits:
    description: Limits as C(name:soft:hard).
    type: list
    elements: str
    default: ['memlock:-1:-1']
  privileged:
    description: Whether the container is privileged.
    type: bool
    default: false
seealso:
  - plugin: llmserve.vllm.nccl_verdict
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Start everywhere
  llmserve.vllm.nccl_check:
    state: started
    host: "{{ inventory_hostname }}"
    hosts: [node-001, node-002]
    addresses: [10.0.0.1, 10.0.0.2]
    image: vllm/vllm-openai:v0.33.0
    environment:
      NCCL_SOCKET_IFNAME: ens3

- name: Wait for the end
  llmserve.vllm.nccl_check:
    state: finished
    timeout: 300
  register: nccl
"""

RETURN = r"""
ok:
  description: Whether this host has gone through to the end. Speed and network are for the filter to judge.
  returned: with O(state=finished)
  type: bool
  sample: true
failures:
  description: What went wrong as seen by this host, each with its C(kind) and what belongs to it.
  returned: with O(state=finished)
  type: list
  elements: dict
  sample: []
backend:
  description: V(nccl), or V(gloo) where the image's PyTorch knows no CUDA.
  returned: with O(state=finished)
  type: str
  sample: nccl
gpus:
  description: GPUs that took part on this host.
  returned: with O(state=finished)
  type: int
  sample: 8
network:
  description:
    - What NCCL says of the network. C(name) is V(IB), V(Socket) or a plugin's, C(devices) its ports or interfaces,
      C(gpudirect) whether all channels use GPUDirect RDMA, C(interface) that of the bootstrap.
  returned: with O(state=finished)
  type: dict
  sample: {name: IB, devices: ['mlx5_0:1/IB'], gpudirect: true, interface: ens3, channels: 16,
    no_infiniband_device: false, nccl: 2.28.9}
sizes:
  description:
    - The measurements, on the first host only, with C(bytes), C(seconds) for one all-reduce, C(world), the number of
      processes, and C(bus_gb_s), the bus bandwidth in GB/s (10^9 bytes) as nccl-tests defines it.
  returned: with O(state=finished)
  type: list
  elements: dict
  sample: [{bytes: 536870912, seconds: 0.0027, bus_gb_s: 372.8, world: 16}]
fabric:
  description: The ports for RDMA of this host that are C(active), and the C(user_devices) in C(/dev/infiniband).
  returned: with O(state=finished)
  type: dict
  sample: {active: ['mlx5_0:1/InfiniBand'], user_devices: [uverbs0]}
interfaces:
  description: The network interfaces as the container sees them, with their IPv4 addresses.
  returned: with O(state=finished)
  type: dict
  sample: {ens3: 10.0.0.1, lo: 127.0.0.1}
gloo_interface:
  description: The interface that gloo takes.
  returned: with O(state=finished)
  type: str
  sample: ens3
versions:
  description: Versions of C(torch) and C(nccl) in the image.
  returned: with O(state=finished)
  type: dict
  sample: {torch: 2.13.0+cu130, nccl: 2.28.9}
warnings_of_nccl:
  description: Warnings in NCCL's log, each once.
  returned: with O(state=finished)
  type: list
  elements: str
log_tail:
  description: The last lines of the container's log, but for the check's own.
  returned: with O(state=finished), when it went wrong
  type: list
  elements: str
progress:
  description: How far it is, in one sentence.
  returned: with O(state=finished)
  type: str
  sample: 'all-reduce of 64 MiB: 301.2 GB/s'
finished:
  description: Whether the wait is over. Only a slice returns V(false).
  returned: always
  type: bool
  sample: true
resume:
  description: What the next slice needs to know.
  returned: with O(state=finished)
  type: dict
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.llmserve.vllm.plugins.module_utils import _nccl_container, _nccl_log
from ansible_collections.llmserve.vllm.plugins.module_utils._container import ContainerError, inspect, last_lines, logs
from ansible_collections.llmserve.vllm.plugins.module_utils._nccl_program import MARK
from ansible_collections.llmserve.vllm.plugins.module_utils._wait import (
    FAILED,
    READY,
    TIMEOUT,
    WAITING,
    Look,
    wait_for,
)

# What Docker may add to the container's own limit before it says that the process is dead.
GRACE_SECONDS = 20
# Enough for the log of 16 ranks.
LOG_LINES = 200000
TAIL_LINES = 40


def start(module: AnsibleModule) -> None:
    """Start the container; a Docker that refuses is a failure of this host."""
    params = module.params
    docker, name = params["docker_cli"], params["container"]
    if len(params["hosts"]) != len(params["addresses"]) or params["host"] not in params["hosts"]:
        module.fail_json(msg="nccl_check needs one address for each of the hosts, and host to be one of them.")
    _nccl_container.remove(docker, name)
    command = _nccl_container.argv(docker, name, params)
    done = _nccl_container.run(command, _nccl_container.environment(params["environment"]))
    if done.rc:
        failure = _nccl_container.start_failure(done)
        _nccl_container.remove(docker, name)
        module.exit_json(changed=False, finished=True, started=False, failures=[failure])
    module.exit_json(changed=False, finished=True, started=True, failures=[])


def look_at(docker: str, name: str) -> Look:
    """The state of this host's part."""
    state = inspect(docker, name)
    if not state.exists:
        facts = _nccl_log.read("")
        facts["failures"].append({"kind": "lost", "detail": "its container {0} is gone".format(name)})
        return Look(FAILED, "the container is gone", facts)
    text = logs(docker, name, LOG_LINES)
    facts = _nccl_log.read(text)
    if state.running:
        return Look(WAITING, _nccl_log.progress(facts), facts)
    # the check's own lines are in the facts already
    others = "\n".join(line for line in text.split("\n") if MARK not in line)
    facts["log_tail"] = last_lines(others, TAIL_LINES)
    if not facts["ended"] and not facts["failures"]:
        killed = "killed for memory, " if state.oom_killed else "killed, " if state.exit_code == 137 else ""
        detail = "{0}exit code {1}".format(killed, state.exit_code)
        # what `timeout` has to stop ends with 124
        kind = "limit" if state.exit_code == 124 else "lost"
        facts["failures"].append({"kind": kind, "detail": detail, "phase": facts["phase"]})
    return Look(READY, _nccl_log.progress(facts), facts)


def finish(module: AnsibleModule) -> None:
    """Wait for the end, read the result, remove the container."""
    params = module.params
    docker, name = params["docker_cli"], params["container"]
    waited = wait_for(
        lambda _budget: look_at(docker, name),
        timeout=params["timeout"] + GRACE_SECONDS,
        interval=1,
        slice_seconds=params["slice"],
        already=float(params["resume"].get("elapsed", 0)),
    )
    facts: dict[str, Any] = dict(waited.look.facts)
    if waited.status == TIMEOUT:
        facts["failures"] = [*facts["failures"], {"kind": "limit", "phase": facts["phase"], "detail": "still running"}]
    facts["warnings_of_nccl"] = facts.pop("warnings")
    facts["ok"] = facts["ok"] and not facts["failures"]
    if waited.status != WAITING:
        facts["fabric"] = _nccl_container.fabric()
        _nccl_container.remove(docker, name)
    module.exit_json(
        changed=False,
        finished=waited.status != WAITING,
        progress=waited.look.sentence,
        resume={"elapsed": waited.elapsed},
        **facts,
    )


def main() -> None:
    texts = {"type": "list", "elements": "str"}
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "default": "finished", "choices": ["started", "finished", "absent"]},
            "host": {"type": "str"},
            "hosts": dict(texts),
            "addresses": dict(texts),
            "image": {"type": "str"},
            "cluster": {"type": "str", "default": "llmserve"},
            "container": {"type": "str", "default": "llmserve-nccl-check"},
            "docker_cli": {"type": "str", "default": "docker"},
            "port": {"type": "int", "default": 29511},
            "join_timeout": {"type": "float", "default": 120},
            "timeout": {"type": "float", "default": 300},
            "sizes_mib": {"type": "list", "elements": "float", "default": [8, 64, 512]},
            "sizes_gloo_mib": {"type": "list", "elements": "float", "default": [1, 8, 32]},
            "environment": {"type": "dict", "default": {}},
            "devices": dict(texts, default=[]),
            "capabilities": dict(texts, default=[]),
            "ulimits": dict(texts, default=["memlock:-1:-1"]),
            "privileged": {"type": "bool", "default": False},
            "slice": {"type": "float", "default": 0},
            "resume": {"type": "dict", "default": {}},
        },
        required_if=[("state", "started", ["host", "hosts", "addresses", "image"])],
        supports_check_mode=True,
    )
    if module.check_mode:
        module.exit_json(changed=False, skipped=True, finished=True, msg="check mode starts no containers")
    try:
        if module.params["state"] == "started":
            start(module)
        if module.params["state"] == "finished":
            finish(module)
        _nccl_container.remove(module.params["docker_cli"], module.params["container"])
        module.exit_json(changed=False, finished=True)
    except ContainerError as exc:
        module.fail_json(msg=str(exc))


if __name__ == "__main__":
    main()
