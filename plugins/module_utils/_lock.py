# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lock file: what was verified to serve, so that later can be said what differs, and be gone back to.

C(deployment) is what makes one deployment different from another; the time and the figures that were measured beside
it are not, and do not make a file a new one.

This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import json
from typing import Any, Dict, Iterator, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from ansible_collections.llmserve.vllm.plugins.module_utils._cluster_containers import engine_args, model_of

FORMAT = 1
# Without these nobody could go back to it.
_NEEDED = ("image.name", "model.path", "engine_args", "versions.vllm")
# Chosen anew with every container, or the same in other words.
_SILENT = ("image.id",)
_NAMES = {
    "image.name": "image",
    "image.digest": "digest of the image",
    "model.repo": "model",
    "model.commit": "commit of the model",
    "model.path": "path of the model",
    "versions.vllm": "vLLM",
    "versions.ray": "Ray",
    "versions.torch": "torch",
    "versions.nccl": "NCCL",
    "versions.python": "Python",
    "versions.driver": "driver",
}


def running_deployment(facts: Mapping[str, Any]) -> Dict[str, Any]:
    """The deployment that runs, from what doctor_host has found on its head; empty without an engine."""
    engine = next((item for item in facts.get("containers") or () if item["component"] == "vllm"), None)
    if engine is None:
        return {}
    versions = dict(facts.get("versions") or {})
    versions["vllm"] = versions.get("vllm") or (facts.get("endpoint") or {}).get("version") or ""
    versions["driver"] = (facts.get("gpu") or {}).get("driver_version") or ""
    found: Dict[str, Any] = {
        "image": {"name": engine["image"], "id": engine["image_id"], "digest": engine.get("image_digest") or ""},
        "model": model_of(engine["command"]),
        "engine_args": engine_args(engine["command"]),
        "versions": {name: version for name, version in sorted(versions.items()) if version},
    }
    nodes = [node for node in (facts.get("ray") or {}).get("nodes") or () if node["alive"]]
    if nodes:
        found["nodes"] = {node["address"]: "{0:g} GPUs".format(node["gpus_total"]) for node in nodes}
    return found


def make(deployment: Mapping[str, Any], measured: Mapping[str, Any], stamp: str) -> Dict[str, Any]:
    """The content of a lock file."""
    return {"format": FORMAT, "time": stamp, "deployment": dict(deployment), "measured": dict(measured)}


def read(text: Optional[str]) -> Tuple[Optional[Dict[str, Any]], str]:
    """A lock file's content, or None and why it is none; a file that is not there is no problem."""
    if text is None:
        return None, ""
    try:
        data = json.loads(text)
    except ValueError as exc:
        return None, "it is not JSON: {0}".format(exc)
    problems = validate(data)
    return (None, "; ".join(problems)) if problems else (data, "")


def validate(lock: Any) -> List[str]:
    """What keeps this from being a lock file that somebody could go back to."""
    if not isinstance(lock, dict):
        return ["it is not an object"]
    if lock.get("format") != FORMAT:
        return ["its format is {0!r}, and this release knows {1}".format(lock.get("format"), FORMAT)]
    deployment = lock.get("deployment")
    if not isinstance(deployment, dict):
        return ["it has no deployment"]
    return ["its deployment has no {0}".format(name) for name in _NEEDED if not _at(deployment, name.split("."))]


def _at(data: Any, path: Sequence[str]) -> Any:
    for key in path:
        data = data.get(key) if isinstance(data, dict) else None
    return data


def same(before: Optional[Mapping[str, Any]], after: Mapping[str, Any]) -> bool:
    """Whether two lock files are of one deployment, whenever and however fast it was measured."""
    return before is not None and before["deployment"] == after["deployment"]


class Change(NamedTuple):
    """One thing that is not what it was; None is a side that has it not."""

    name: str
    before: Any
    after: Any


def changes(before: Mapping[str, Any], after: Mapping[str, Any], shared: bool = False) -> List[Change]:
    """What of a deployment has changed; with C(shared) only among what both sides know."""
    old, new = dict(_leaves(before)), dict(_leaves(after))
    found = []
    for path in [*old, *(path for path in new if path not in old)]:
        top = path.partition(".")[0]
        if path in _SILENT or old.get(path) == new.get(path) or (shared and not (top in before and top in after)):
            continue
        found.append(Change(_name(path), old.get(path), new.get(path)))
    return found


def differences(before: Mapping[str, Any], after: Mapping[str, Any], shared: bool = False) -> List[str]:
    """The same in words."""
    return [_sentence(change) for change in changes(before, after, shared)]


def _leaves(data: Mapping[str, Any], prefix: str = "") -> Iterator[Tuple[str, Any]]:
    for key, value in data.items():
        path = prefix + str(key)
        # an address has dots of its own, and an object below it would be told apart no further
        if isinstance(value, Mapping):
            yield from _leaves(value, path + ".")
        else:
            yield path, value


def _name(path: str) -> str:
    top, _dot, rest = path.partition(".")
    if path in _NAMES or not rest:
        return _NAMES.get(path, path)
    return {"engine_args": "argument ", "nodes": "node "}.get(top, top + " ") + rest


def _sentence(change: Change) -> str:
    if change.before is None:
        return "{0}: {1}, which the lock file has not".format(change.name, in_words(change.after))
    if change.after is None:
        return "{0}: gone, was {1}".format(change.name, in_words(change.before))
    return "{0}: {1}, was {2}".format(change.name, in_words(change.after), in_words(change.before))


def in_words(value: Any) -> str:
    """A value of a deployment as people read it."""
    return "set" if value is True else str(value) if isinstance(value, (str, int, float)) else json.dumps(value)
