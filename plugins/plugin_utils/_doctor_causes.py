# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Causes that are seen in the state of a deployment and not in a log: what each is, and what to do.


This plugin util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from ansible_collections.llmserve.vllm.plugins.module_utils._diagnose import finding

ERROR = "error"
WARNING = "warning"
SEVERITIES = (ERROR, WARNING)


class Cause(NamedTuple):
    """What something means, and what to do about it."""

    severity: str
    explanation: str
    remedy: str


CAUSES = {
    "host_unreachable": Cause(
        ERROR,
        "Ansible cannot reach the host.",
        "See whether it is up and SSH answers; what runs there is unknown until then.",
    ),
    "host_not_examined": Cause(
        ERROR,
        "Ansible reaches the host, but could not look at it.",
        "See that it has Python 3.8 or newer, and that sudo works; `ansible HOST -m ping -b` shows both.",
    ),
    "docker_missing": Cause(
        ERROR,
        "The host has no Docker.",
        "Run playbooks/serve.yml, whose role docker_nvidia installs it.",
    ),
    "docker_not_answering": Cause(
        ERROR,
        "The Docker daemon does not answer.",
        "See `systemctl status docker` and `journalctl -u docker -n 100` there, then `systemctl restart docker`.",
    ),
    "container_missing": Cause(
        ERROR,
        "The host has no part of the Ray cluster that other hosts have.",
        "Run playbooks/serve.yml; it starts what is missing.",
    ),
    "nothing_deployed": Cause(
        WARNING,
        "No host has a container or a unit of this cluster.",
        "Run playbooks/serve.yml, or name the right cluster with llmserve_cluster.",
    ),
    "container_stopped": Cause(
        ERROR,
        "It was stopped: what somebody, or a failed run of a playbook, has stopped is not started again.",
        "Run playbooks/serve.yml when it is to serve again.",
    ),
    "container_restarts": Cause(
        ERROR,
        "It dies and is started again, over and over.",
        "Mend the cause above, or read its log: `docker logs --tail 200`, or `journalctl -n 200 -u`, with its name.",
    ),
    "container_ended": Cause(
        ERROR,
        "It has ended with an error.",
        "Read the end of its log: `docker logs --tail 200`, or `journalctl -n 200 -u`, with its name. "
        "Then run playbooks/serve.yml.",
    ),
    "engine_loading": Cause(
        WARNING,
        "The engine is still loading.",
        "Wait; playbooks/serve.yml shows how far it is.",
    ),
    "engine_not_listening": Cause(
        ERROR,
        "The endpoint does not answer, and the engine runs.",
        "Restart it on the head: `docker restart llmserve-vllm`, or `systemctl restart` for a unit; "
        "when it stays silent, read its log.",
    ),
    "engine_hangs": Cause(
        ERROR,
        "The engine's health check is green, but a completion does not come back in time.",
        "Restart it on the head: `docker restart llmserve-vllm`, or `systemctl restart` for a unit. "
        "Under a heavy load raise doctor_answer_timeout first.",
    ),
    "endpoint_refuses": Cause(
        ERROR,
        "The endpoint answers, but not with a completion.",
        "Compare the model and the key with the inventory, then run playbooks/serve.yml.",
    ),
    "ray_silent": Cause(
        ERROR,
        "The Ray head runs, but does not answer.",
        "Restart it on the head: `docker restart llmserve-ray-head`, or `systemctl restart` for a unit; "
        "engine and workers follow by themselves.",
    ),
    "ray_node_missing": Cause(
        ERROR,
        "Ray has lost a node.",
        "See the log of the Ray worker there, and whether it reaches the head over the cluster network.",
    ),
    "gpu_unusable": Cause(
        ERROR,
        "The host has no usable GPU driver.",
        "See `nvidia-smi` and `dmesg | grep -i nvrm` there.",
    ),
    "gpu_missing": Cause(
        ERROR,
        "The host has fewer GPUs than the inventory says.",
        "See `nvidia-smi -L` and `lspci | grep -i nvidia` there; restart the host, cold if need be.",
    ),
    "gpu_foreign": Cause(
        WARNING,
        "A process that does not belong to this cluster computes on a GPU.",
        "Stop it, or give it GPUs of its own: the engine takes what the plan says, and finds it missing.",
    ),
    "filesystem_full": Cause(
        ERROR,
        "A filesystem is almost full.",
        "Make room: playbooks/prune.yml removes old revisions of models, `docker image prune` unused images.",
    ),
    "filesystem_trouble": Cause(
        ERROR,
        "A filesystem does not answer as it should.",
        "See `mount` and `dmesg` there; a network filesystem may have lost its server.",
    ),
    "versions_differ": Cause(
        ERROR,
        "The hosts run different versions.",
        "Run playbooks/serve.yml, which brings the same image to all of them.",
    ),
    "drivers_differ": Cause(
        WARNING,
        "The hosts have different drivers.",
        "Install the same NVIDIA driver everywhere; NCCL between different ones fails in ways that are hard to read.",
    ),
    "canary_fails": Cause(
        WARNING,
        "The canary gets no answers.",
        "The canary restarts what hangs by itself; see `journalctl -u llmserve-canary` on the head.",
    ),
    "canary_gave_up": Cause(
        ERROR,
        "The canary has restarted the engine as often as it may, in vain.",
        "Mend the cause, then run playbooks/serve.yml; the first answer lets the canary begin anew.",
    ),
    "differs_from_lock": Cause(
        WARNING,
        "What runs is not what was verified last.",
        "Run playbooks/serve.yml, which verifies it and keeps it in the lock file.",
    ),
}


def seen(slug: str, host: str, evidence: str, where: str = "") -> dict[str, Any]:
    """A finding of one of these causes, in the form of those from logs."""
    cause = CAUSES[slug]
    return {
        "cause": slug,
        "detail": "",
        "severity": cause.severity,
        "hosts": [host],
        "log": "",
        "evidence": " ".join(evidence.split()),
        "explanation": cause.explanation,
        "remedy": cause.remedy,
        "source": "",
        "where": where,
    }


def known(slug: str, host: str, evidence: str) -> dict[str, Any]:
    """A finding of a cause that logs show, too, seen in the state of the host."""
    found = finding(slug, evidence)
    return {
        **{key: found[key] for key in ("cause", "detail", "evidence", "explanation", "remedy", "source", "where")},
        "severity": ERROR,
        "hosts": [host],
        "log": "",
    }
