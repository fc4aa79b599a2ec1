#!/usr/bin/python
# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module llmserve.vllm.preflight_host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: preflight_host
short_description: Read all that preflight has to know of a host
version_added: "0.1.0"
author:
  - "The llmserve.vllm authors (@llmserve)"
description:
  - Gathers in one call what would make a deployment fail later, so that a cluster of many hosts is looked at in one
    task. It judges nothing. The filter P(llmserve.vllm.preflight_report#filter) does, over all hosts together.
  - Has the facts of M(llmserve.vllm.gpu_info) and adds the distribution, the clock, Docker and the image, who holds
    the ports and the GPUs, and the model's files in the cache.
  - With O(listen_seconds) a process listens on the planned ports that are free, so that
    M(llmserve.vllm.preflight_reach) can connect to them from the other hosts, and have this host connect to theirs.
    It ends when all O(peers) have said goodbye or when the time is up, and with the next call of this module at the
    latest.
  - Writes nothing on the host. Needs root to see the processes of other users.
extends_documentation_fragment:
  - llmserve.vllm.attributes.reader
options:
  host:
    description: The host's name in the inventory, with which its listener greets.
    type: str
    required: true
  node_ip:
    description: The address that the host's Ray and vLLM processes will use. The listener uses it, too.
    type: str
    default: ''
  cluster:
    description: The cluster's name, as in the label C(llmserve.cluster) of its containers.
    type: str
    required: true
  ports:
    description: The TCP ports that will be listened on.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: What the port is for, or the variable that sets it, for messages.
        type: str
        required: true
      port:
        description: The port.
        type: int
        required: true
      public:
        description: Whether the other nodes have to reach it. V(false) for one that is for this host only.
        type: bool
        default: true
  image:
    description: The image that will be run. Its id and digest are read where the host has it.
    type: str
    default: ''
  cache_dir:
    description: The Hub cache that will hold the model. Its filesystem is described as well.
    type: path
  repo_id:
    description: The model's repository, to look for its weights in O(cache_dir).
    type: str
    default: ''
  revision:
    description: The model's branch, tag or commit.
    type: str
    default: main
  model_commit:
    description: The commit that O(revision) stands for on the Hub.
    type: str
    default: ''
  model_files:
    description: The files that the model needs, as RV(llmserve.vllm.hub_model_info#module:files) lists them.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: Path inside the repository.
        type: str
        required: true
      size:
        description: Size in bytes.
        type: int
        required: true
  paths:
    description: More absolute paths whose filesystems are described.
    type: list
    elements: path
    default: []
  listen_seconds:
    description: For how many seconds to listen at most; V(0) does not listen.
    type: int
    default: 0
  peers:
    description: How many hosts will connect.
    type: int
    default: 0
  run_key:
    description:
      - The key of this run, with which M(llmserve.vllm.preflight_reach) signs its order to the listener to connect to
        the other hosts. Without one the listener obeys nobody. The action plugin sets it.
    type: str
    default: ''
  wish:
    description:
      - What the inventory says of the host. It stays on the controller and is returned as it is, so that one task has
        all that is to be judged. A host that cannot be reached is then no failure, but a result with RV(no_answer).
    type: dict
    default: {}
  nvidia_smi:
    description: The C(nvidia-smi) to run, a path or a name.
    type: str
    default: nvidia-smi
  gpu_timeout:
    description: How many seconds C(nvidia-smi) may take.
    type: int
    default: 30
  docker_cli:
    description:
      - The Docker client, a path or a name. Without one on the host, ports that containers hold are reported by
        process.
    type: str
    default: docker
"""

EXAMPLES = r"""
- name: Look at the host
  llmserve.vllm.preflight_host:
    host: "{{ inventory_hostname }}"
    node_ip: "{{ llmserve_node_ip }}"
    cluster: llmserve
    ports:
      - name: llmserve_port
        port: 8000
    image: vllm/vllm-openai:v0.33.0
  register: preflight
  become: true

- name: See who holds the port
  ansible.builtin.debug:
    msg: "{{ preflight.facts.held_ports }}"
"""

RETURN = r"""
wish:
  description: O(wish) as it was given. Added by the action.
  returned: always
  type: dict
no_answer:
  description: Why the host cannot be reached. C(facts) are missing then.
  returned: with O(wish), for a host that cannot be reached
  type: str
  sample: Connection timed out
facts:
  description:
    - What M(llmserve.vllm.gpu_info) returns, by the same names, and what follows. What could not be found out is
      V(null).
  returned: always
  type: dict
  contains:
    node_ip: {description: The address as given, type: str, sample: 10.0.0.1}
    os: {description: "C(id), C(version) and C(name) of the distribution", type: dict}
    python: {description: Version of the Python that runs modules, type: str, sample: 3.12.3}
    time: {description: The host's clock when the module began and when it ended, type: list, elements: float}
    controller_time:
      description: The controller's clock before and after the call. Added by the action.
      type: list
      elements: float
    hostname_addresses: {description: What the host's name resolves to there, type: list, elements: str}
    interfaces: {description: "Network interfaces, each with C(name), C(mtu) and C(state)", type: list, elements: dict}
    default_interfaces: {description: Interfaces of the default routes, type: list, elements: str}
    storage_interfaces:
      description: Interfaces through which mounted network filesystems are reached.
      type: list
      elements: str
    may_raise_limits: {description: Whether root may raise limits there (CAP_SYS_RESOURCE), type: bool}
    numa_balancing: {description: Whether the kernel moves memory between NUMA nodes by itself, type: bool}
    selinux_enforcing: {description: Whether SELinux enforces its policy, type: bool}
    apparmor: {description: Whether the kernel uses AppArmor, type: bool}
    fabric_manager: {description: "C(state) and C(version); V(null) on a host without NVSwitches", type: dict}
    docker:
      description:
        - "C(client), the path of the client; C(server), what the daemon says, V(null) without one that answers;
          C(image), with C(id), C(digest) and C(architecture), V(null) without the image; C(daemon_json), with
          C(error) when the file cannot be read as JSON; C(root), where the images lie."
      type: dict
    held_ports:
      description: Planned ports that are taken, with C(name), C(port) and C(holder); V(null) when it is this cluster.
      type: list
      elements: dict
    gpu_processes:
      description: Processes on the GPUs, with C(gpu), C(memory_used_mib) and C(holder); V(null) for this cluster's.
      type: list
      elements: dict
    model:
      description:
        - "C(commit) of the revision in the cache, and the sizes of its weight C(files) by name; with O(model_files)
          also C(bytes_missing), and C(disk_problem) when the filesystem cannot take them."
      type: dict
    reachable:
      description: Where peers may connect, with C(name), C(port) and C(probe), whether the listener holds it.
      type: list
      elements: dict
"""

import functools
import os
import time
from typing import Any, Dict, List, Optional

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.llmserve.vllm.plugins.module_utils import (
    _bounded,
    _gpu_facts,
    _holders,
    _host_docker,
    _host_model,
    _host_system,
    _probe,
)
from ansible_collections.llmserve.vllm.plugins.module_utils._order import Who
from ansible_collections.llmserve.vllm.plugins.module_utils._quiet import Quiet

# A file server that is dead answers never.
_MODEL_SECONDS = 10


def client_of(module: AnsibleModule) -> Optional[str]:
    """The path of the Docker client, None without one."""
    name = module.params["docker_cli"]
    path = name if os.sep in name else module.get_bin_path(name)
    return path if path and os.path.exists(path) else None


def gather(module: AnsibleModule) -> Dict[str, Any]:
    """All facts."""
    params = module.params
    _probe.stop(params["cluster"])
    client = client_of(module)
    docker = _host_docker.docker_facts(client, params["image"])
    docker["root"] = _host_docker.image_root(docker)
    cache = [params["cache_dir"]] if params["cache_dir"] else []
    paths = [docker["root"], *cache, *params["paths"]]
    facts = _gpu_facts.collect(Quiet(module), params["nvidia_smi"], params["gpu_timeout"], paths).facts
    containers = _holders.Containers(client, lambda argv: _host_docker.run_docker(argv).stdout)
    facts.update(
        _host_system.system_facts(facts["addresses"], facts["nvswitches"]),
        node_ip=params["node_ip"],
        docker=docker,
        held_ports=_holders.held_ports(params["ports"], params["cluster"], containers),
        gpu_processes=_holders.gpu_processes(facts["gpus"], params["cluster"], containers),
        model=model_facts(params),
        reachable=listen(params),
    )
    return facts


def model_facts(params: Dict[str, Any]) -> Optional[Dict[str, Any]]:
    """The model's weights in the cache, None when the filesystem does not answer."""
    if not (params["cache_dir"] and params["repo_id"]):
        return None
    where = (params["cache_dir"], params["repo_id"])
    calls = [functools.partial(_host_model.shards, *where, params["revision"])]
    if params["model_files"]:
        calls.append(functools.partial(_host_model.room, *where, params["model_commit"], params["model_files"]))
    answers = [answer.value for answer in _bounded.call_all(calls, _MODEL_SECONDS)]
    return None if None in answers else {key: value for answer in answers for key, value in answer.items()}


def listen(params: Dict[str, Any]) -> List[Dict[str, Any]]:
    """Begin to listen where that was asked for."""
    if not (params["listen_seconds"] and params["peers"] and params["node_ip"]):
        return []
    ports = _probe.start(
        Who(params["host"], params["node_ip"], params["run_key"]),
        [port for port in params["ports"] if port["public"]],
        cluster=params["cluster"],
        peers=params["peers"],
        seconds=params["listen_seconds"],
    )
    return [{"name": port.name, "port": port.port, "probe": port.probe} for port in ports]


def main() -> None:
    port_spec = {
        "name": {"type": "str", "required": True},
        "port": {"type": "int", "required": True},
        "public": {"type": "bool", "default": True},
    }
    file_spec = {"path": {"type": "str", "required": True}, "size": {"type": "int", "required": True}}
    module = AnsibleModule(
        argument_spec={
            "host": {"type": "str", "required": True},
            "node_ip": {"type": "str", "default": ""},
            "cluster": {"type": "str", "required": True},
            "ports": {"type": "list", "elements": "dict", "default": [], "options": port_spec},
            "image": {"type": "str", "default": ""},
            "cache_dir": {"type": "path"},
            "repo_id": {"type": "str", "default": ""},
            "revision": {"type": "str", "default": "main"},
            "model_commit": {"type": "str", "default": ""},
            "model_files": {"type": "list", "elements": "dict", "default": [], "options": file_spec},
            "paths": {"type": "list", "elements": "path", "default": []},
            "listen_seconds": {"type": "int", "default": 0},
            "peers": {"type": "int", "default": 0},
            "run_key": {"type": "str", "default": "", "no_log": True},
            # the action's
            "wish": {"type": "dict", "default": {}},
            "nvidia_smi": {"type": "str", "default": "nvidia-smi"},
            "gpu_timeout": {"type": "int", "default": 30},
            "docker_cli": {"type": "str", "default": "docker"},
        },
        supports_check_mode=True,
    )
    began = time.time()
    facts = gather(module)
    facts["time"] = [began, time.time()]
    module.exit_json(changed=False, facts=facts)


if __name__ == "__main__":
    main()
