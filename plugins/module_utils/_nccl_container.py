# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The container of M(llmserve.vllm.nccl_check): started with a limit to its life, read, and removed.

This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import inspect as sources
import json
import os
import subprocess
from typing import Any, Dict, List, Mapping, Optional, Sequence

from ansible_collections.llmserve.vllm.plugins.module_utils import _host_fabric, _nccl_program, _nccl_rank
from ansible_collections.llmserve.vllm.plugins.module_utils._bounded import call_all
from ansible_collections.llmserve.vllm.plugins.module_utils._container import CliResult, ContainerError
from ansible_collections.llmserve.vllm.plugins.module_utils._host import entries

COMPONENT = "nccl_check"
# Which network NCCL takes, and by which devices. What the operator or the cluster wants quiet is loud here.
DEBUG = {"NCCL_DEBUG": "INFO", "NCCL_DEBUG_SUBSYS": "INIT,BOOTSTRAP,NET,ENV"}
# A file would take NCCL's words away from us.
_UNWANTED = ("NCCL_DEBUG_FILE",)
# Seconds after which what does not end by itself is killed, and then Docker's own time for starting and removing.
_KILL_AFTER = 5
_DOCKER_SECONDS = 60


def environment(wanted: Mapping[str, Any]) -> Dict[str, str]:
    """The variables of the container: the host's own, as its serving containers have them, and NCCL's log."""
    mine = {str(name): str(value) for name, value in wanted.items() if name not in _UNWANTED}
    return dict(mine, **DEBUG)


def argv(docker: str, name: str, params: Mapping[str, Any]) -> List[str]:
    """The command line. Values of variables are not in it, nor is anything that outlives the limit."""
    line = [docker, "run", "--detach", "--name", name, "--pull", "never", "--restart", "no"]
    line += ["--label", "llmserve.cluster=" + params["cluster"], "--label", "llmserve.component=" + COMPONENT]
    line += ["--network", "host", "--ipc", "host", "--gpus", "all"]
    # the daemon's own driver may be one that cannot be read
    line += ["--log-driver", "json-file", "--log-opt", "max-size=64m"]
    for limit in params["ulimits"]:
        # docker run wants memlock=-1:-1 where Ansible's module has memlock:-1:-1
        line += ["--ulimit", limit.replace(":", "=", 1)]
    for device in params["devices"]:
        line += ["--device", device]
    for capability in params["capabilities"]:
        line += ["--cap-add", capability]
    if params["privileged"]:
        line.append("--privileged")
    for variable in sorted(environment(params["environment"])):
        line += ["--env", variable]
    line += ["--entrypoint", "timeout", params["image"]]
    line += ["--kill-after={0}".format(_KILL_AFTER), "{0:g}".format(params["timeout"])]
    return [*line, "python3", "-u", "-c", _nccl_program.BOOT, *_program(params)]


def _program(params: Mapping[str, Any]) -> List[str]:
    plan = _nccl_program.Plan(
        number=params["hosts"].index(params["host"]),
        hosts=list(params["hosts"]),
        addresses=list(params["addresses"]),
        port=params["port"],
        join_seconds=params["join_timeout"],
        limit_seconds=params["timeout"],
        sizes=[int(size * 2**20) for size in params["sizes_mib"]],
        sizes_gloo=[int(size * 2**20) for size in params["sizes_gloo_mib"]],
    )
    return [sources.getsource(_nccl_program), sources.getsource(_nccl_rank), json.dumps(plan._asdict())]


def run(
    command: Sequence[str], variables: Optional[Mapping[str, str]] = None, timeout: float = _DOCKER_SECONDS
) -> CliResult:
    """Run docker with these variables in its environment, where C(--env NAME) takes them from."""
    try:
        done = subprocess.run(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            timeout=timeout,
            check=False,
            env=dict(os.environ, **(variables or {})),
        )
    except subprocess.TimeoutExpired:
        return CliResult(124, "", "no answer within {0:g} s".format(timeout))
    except OSError as exc:
        return CliResult(127, "", str(exc))
    return CliResult(done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace"))


def remove(docker: str, name: str) -> bool:
    """Remove the container if there is one and it is ours; says whether there was."""
    label = '{{index .Config.Labels "llmserve.component"}}'
    asked = run([docker, "inspect", "--type", "container", "--format", label, name])
    if asked.rc:
        if "no such" in asked.stderr.lower() and asked.rc != 127:
            return False
        raise ContainerError("Docker on this host does not answer: {0}".format(asked.stderr.strip()[-300:]))
    if asked.stdout.strip() != COMPONENT:
        raise ContainerError(
            "A container named {0} is on this host and was not made by this check. Remove or rename it.".format(name)
        )
    removed = run([docker, "rm", "--force", name])
    if removed.rc and "no such" not in removed.stderr.lower():
        raise ContainerError("docker rm {0} failed: {1}".format(name, removed.stderr.strip()[-300:]))
    return True


_START_PROBLEMS = (
    ("could not select device driver", "gpu_runtime"),
    ("nvidia-container-cli", "gpu_runtime"),
    ("/dev/infiniband", "infiniband_device"),
    ("no such image", "image"),
    ("unable to find image", "image"),
    ('"timeout": executable file not found', "image_tools"),
)


def start_failure(done: CliResult) -> Dict[str, str]:
    """Why the container did not start."""
    text = done.stderr.strip() or done.stdout.strip() or "rc {0}".format(done.rc)
    cause = next((kind for words, kind in _START_PROBLEMS if words in text.lower()), "docker")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("See 'docker run --help'")]
    return {"kind": "not_started", "cause": cause, "detail": " ".join(lines).replace("docker: ", "")[-400:]}


def fabric(timeout: float = 10) -> Dict[str, Any]:
    """The host's ports for RDMA that are up, and how many of their devices can be given to a container."""
    answer = call_all([_host_fabric.fabric, _user_devices], timeout)
    ports = answer[0].value or []
    up = [port for port in ports if port.get("state") == "ACTIVE"]
    return {
        "active": ["{0}:{1}/{2}".format(port["device"], port["port"], port["link_layer"]) for port in up],
        "user_devices": answer[1].value or [],
    }


def _user_devices() -> List[str]:
    return [name for name in entries("/dev/infiniband") if name.startswith("uverbs")]
