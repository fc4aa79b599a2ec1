# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From one deployment to another: what to start, and what differs.

A target is all that the roles have to be told to start one deployment and no other. That of today is made of the
inventory; that of a lock file out of what was kept there: what was asked for, with the image, the commit and the
layout that came of it.

This plugin util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.llmserve.vllm.plugins.module_utils._cluster_containers import engine_args, model_of
from ansible_collections.llmserve.vllm.plugins.module_utils._lock import Change, changes, in_words
from ansible_collections.llmserve.vllm.plugins.module_utils._redact import REDACTED, redact

# What of a plan decides how a deployment is started.
PLANNED = ("engine_args", "tensor_parallel_size", "pipeline_parallel_size", "nodes_used", "gpus_used")
# What a lock file has of a target as it was asked for.
_ASKED = {
    "model": "llmserve_model",
    "revision": "llmserve_model_revision",
    "runtime": "llmserve_runtime",
    "base_image": "llmserve_image",
    "executor": "llmserve_executor",
    "ray_version": "llmserve_ray_version",
    "vllm_version": "llmserve_vllm_version",
    "engine_args": "llmserve_engine_args",
    "port": "llmserve_port",
    "environments": "environments",
    "networks": "networks",
    "plan": "plan",
    "base_digest": "image_digest",
}
# What Ray's own containers are made of.
_OF_RAY = ("image", "llmserve_image", "llmserve_vllm_version", "environment", "network", "executor")


class TargetError(ValueError):
    """A lock file that nothing can be started from; the message says why and how to mend it."""


def request_of(target: Mapping[str, Any]) -> dict[str, Any]:
    """What a lock file keeps of a target: no secret, and nothing that another run of the same plan would say anew."""
    request = {asked: target.get(name) for name, asked in _ASKED.items()}
    plan = target.get("plan") or {}
    request["plan"] = {name: plan[name] for name in PLANNED if name in plan}
    request["environments"] = {
        host: {name: _shown(name, value) for name, value in environment.items()}
        for host, environment in (target.get("environments") or {}).items()
        if environment
    }
    request["networks"] = {host: dict(chosen) for host, chosen in (target.get("networks") or {}).items() if chosen}
    return request


def _shown(name: str, value: Any) -> str:
    pair = f"{name}={value}"
    return str(value) if redact(pair) == pair else REDACTED


def target_of(
    deployment: Mapping[str, Any], today: Mapping[str, Mapping[str, Any]] | None = None, runtime: str = ""
) -> dict[str, Any]:
    """The target of a lock file's deployment. Secrets are not in the file: C(today) has them, by host and name.

    With C(runtime) nothing but a deployment of that one is taken.
    """
    request = deployment.get("request") or {}
    if not (request.get("plan") or {}).get("engine_args"):
        raise TargetError(
            "The lock file does not say how its deployment was laid out, because an older release of this collection "
            "has kept it. Run playbooks/serve.yml once as the deployment is now: it verifies it and keeps the rest."
        )
    target = {name: request.get(asked) for name, asked in _ASKED.items()}
    # a file of before there were two
    target["runtime"] = target["runtime"] or "docker"
    if runtime and target["runtime"] != runtime:
        raise TargetError(
            f"What was verified runs with llmserve_runtime: {target['runtime']}, and the inventory has {runtime}. "
            "playbooks/serve.yml changes the runtime; upgrade.yml and rollback.yml do not. Nothing has been changed."
        )
    target.update(
        image=deployment["image"]["name"],
        digest=deployment["image"].get("digest") or "",
        path=deployment["model"]["path"],
        commit=deployment["model"].get("commit") or "",
        networks=request.get("networks") or {},
        environments=_whole(request.get("environments") or {}, today or {}),
    )
    return target


def _whole(kept: Mapping[str, Mapping[str, str]], today: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, str]]:
    missing = [
        f"{name} of {host}"
        for host, environment in kept.items()
        for name, value in environment.items()
        if value == REDACTED and name not in (today.get(host) or {})
    ]
    if missing:
        raise TargetError(
            f"The lock file keeps no secrets, and the inventory has none any more for {', '.join(missing)}: put it "
            "back into llmserve_environment."
        )
    return {
        host: {
            name: str((today.get(host) or {})[name]) if value == REDACTED else value
            for name, value in environment.items()
        }
        for host, environment in kept.items()
    }


def upgrade_changes(
    deployment: Mapping[str, Any],
    target: Mapping[str, Any],
    argv: Sequence[str] = (),
    versions: Mapping[str, str] | None = None,
    kept: Mapping[str, Any] | None = None,
) -> list[dict[str, Any]]:
    """What differs between what a lock file has and a target.

    More is known with the command line and the versions, or with the deployment that was kept of the target.
    """
    request = deployment.get("request") or {}
    found: list[Change] = []
    if kept:
        after = {top: dict(kept.get(top) or {}) for top in ("model", "engine_args", "versions")}
        after["image"] = {"name": target["image"]}
        # of the host, and not of what is put back
        after["versions"].pop("driver", None)
        found += changes(_as_far_as(deployment, after), after)
    elif argv:
        model = {name: value for name, value in model_of(argv).items() if value}
        after = {"image": {"name": target["image"]}, "model": model, "engine_args": engine_args(argv)}
        after["versions"] = {name: value for name, value in (versions or {}).items() if value}
        found += changes(_as_far_as(deployment, after), after)
    else:
        # before image and model are there, only what is asked for can be compared
        wanted = request_of(target)
        software = "llmserve_image" if target.get("runtime") != "venv" else "llmserve_vllm_version"
        names = ("llmserve_model", "llmserve_model_revision", software, "llmserve_engine_args", "plan")
        found += changes({name: request.get(name) for name in names}, {name: wanted[name] for name in names})
    found += changes(
        {
            "executor": request.get("llmserve_executor"),
            "environment": request.get("environments") or {},
            "network": request.get("networks") or {},
        },
        {
            "executor": target["executor"],
            "environment": request_of(target)["environments"],
            "network": request_of(target)["networks"],
        },
    )
    return [
        {
            "name": item.name,
            "words": f"{item.name}: {_word(item.before)} -> {_word(item.after)}",
            "of_ray": item.name.startswith(_OF_RAY),
        }
        for item in found
    ]


def _word(value: Any) -> str:
    return "none" if value is None else in_words(value)


def _as_far_as(deployment: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """The old side without what the new one cannot know before it runs."""
    kept = {top: dict(deployment.get(top) or {}) for top in after}
    for top in ("image", "model", "versions"):
        kept[top] = {name: value for name, value in kept[top].items() if name in after[top]}
    if after["model"].get("commit") and "path" in kept["model"]:
        # the commit says it in fewer words
        kept["model"]["path"] = after["model"]["path"]
    return kept
