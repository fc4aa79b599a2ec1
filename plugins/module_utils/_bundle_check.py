# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a bundle is whole, unaltered, and the right one for a deployment. Nothing but a note is written.

This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

from ansible_collections.llmserve.vllm.plugins.module_utils._bundle import (
    FORMAT,
    MANIFEST,
    SUMS,
    BundleError,
    read_manifest,
    sha256_of,
)
from ansible_collections.llmserve.vllm.plugins.module_utils._hub import human_bytes
from ansible_collections.llmserve.vllm.plugins.module_utils._snapshot_store import read_text, size_of, write_text

_LINE = re.compile(r"^([0-9a-f]{64}) [ *](.+)$")
# Beside the bundle's files; not one of them.
_NOTE = ".checked.json"
_NAMED = 5


class Wanted(NamedTuple):
    """What a deployment is going to ask a bundle for."""

    model: str
    revision: str
    image: str
    # empty: the image needs no Ray
    ray_version: str
    # empty: huggingface_hub is not installed from the bundle
    hub_version: str
    # each with name, architecture and python
    hosts: Sequence[Dict[str, str]]


def open_bundle(bundle: str) -> Tuple[Dict[str, Any], Dict[str, str]]:
    """The manifest and the checksums of a bundle."""
    manifest = read_manifest(bundle)
    sums = read_sums(read_text(os.path.join(bundle, SUMS)) or "")
    if manifest is None or MANIFEST not in sums:
        what = "is no directory" if not os.path.isdir(bundle) else "has no {0} and {1}".format(MANIFEST, SUMS)
        message = (
            "{0} is no complete bundle: it {1}. They are written last, so the save or the copy has not come to its "
            "end; run it again, or set llmserve_bundle to the directory that holds them."
        )
        raise BundleError("not_a_bundle", message.format(bundle, what))
    if manifest.get("format") != FORMAT:
        message = "{0} has format {1!r}, and this version of the collection reads {2}: save it with this version."
        raise BundleError("format", message.format(bundle, manifest.get("format"), FORMAT))
    return manifest, sums


def read_sums(text: str) -> Dict[str, str]:
    """Path and digest of every line of C(SHA256SUMS); lines that name something outside of the bundle do not count."""
    found = {}
    for line in text.splitlines():
        match = _LINE.match(line)
        if match and not os.path.isabs(match.group(2)) and ".." not in match.group(2).split("/"):
            found[match.group(2)] = match.group(1)
    return found


def mismatches(manifest: Dict[str, Any], wanted: Wanted) -> List[str]:
    """What of the deployment the bundle is not made for."""
    try:
        return [
            *_model(manifest["model"], wanted),
            *_image(manifest["image"], wanted),
            *_wheels(manifest["wheels"], wanted),
            *_hosts(manifest["architecture"], manifest["wheels"]["python_versions"], wanted),
        ]
    except (KeyError, TypeError, AttributeError) as exc:
        return ["{0} lacks something ({1}): save the bundle again.".format(MANIFEST, exc)]


def _model(model: Dict[str, Any], wanted: Wanted) -> List[str]:
    if model["repo_id"] != wanted.model:
        return ["It holds the model {0}, and llmserve_model is {1}.".format(model["repo_id"], wanted.model)]
    if wanted.revision not in (model["revision"], model["commit"]):
        return [
            "It holds revision {0} of {1} (commit {2}), and llmserve_model_revision is {3}.".format(
                model["revision"], wanted.model, model["commit"], wanted.revision
            )
        ]
    return []


def _image(image: Dict[str, Any], wanted: Wanted) -> List[str]:
    names = [entry["name"] for entry in image["images"]]
    problems = []
    if wanted.image not in names:
        problems.append("It holds the images {0}, and llmserve_image is {1}.".format(", ".join(names), wanted.image))
    if wanted.ray_version and image["ray_version"] != wanted.ray_version:
        problems.append(
            "Its image has Ray {0}, and llmserve_ray_version is {1}.".format(
                image["ray_version"] or "not at all", wanted.ray_version
            )
        )
    return problems


def _wheels(wheels: Dict[str, Any], wanted: Wanted) -> List[str]:
    if wanted.hub_version in ("", wheels["hub_version"]):
        return []
    message = "Its wheels are those of huggingface_hub {0}, and hf_model_hub_version is {1}."
    return [message.format(wheels["hub_version"], wanted.hub_version)]


def _hosts(architecture: str, pythons: Sequence[str], wanted: Wanted) -> List[str]:
    problems = []
    for host in wanted.hosts:
        if host["architecture"] != architecture:
            problems.append(
                "It is for {0}, and {1} is {2}: save one on a host of that architecture.".format(
                    architecture, host["name"], host["architecture"]
                )
            )
        if host["python"] not in pythons:
            problems.append(
                "Its wheels are for Python {0}, and {1} has {2}: save it with bundle_python_versions: ['{2}'].".format(
                    ", ".join(pythons), host["name"], host["python"]
                )
            )
    return problems


def incomplete(bundle: str, manifest: Dict[str, Any], sums: Dict[str, str]) -> List[str]:
    """Files that are missing, cut off or without a checksum."""
    problems = []
    for path, size in sorted(manifest.get("files", {}).items()):
        found = size_of(os.path.join(bundle, path))
        if found < 0:
            problems.append("{0} is missing".format(path))
        elif found != size:
            problems.append("{0} has {1} bytes instead of {2}".format(path, found, size))
        elif path not in sums:
            problems.append("{0} is not in {1}".format(path, SUMS))
    return problems


def few(problems: Sequence[str]) -> List[str]:
    """The first few of many problems, and how many more there are."""
    more = len(problems) - _NAMED
    return [*problems[:_NAMED], *(["and {0} more".format(more)] if more > 0 else [])]


# --- checksums -----------------------------------------------------------------------------------------------------


class Checksums:
    """Compares the files with their checksums, slice after slice. What has not changed since is not read again."""

    def __init__(self, bundle: str, sums: Dict[str, str], resume: Dict[str, Any]) -> None:
        self._bundle, self._sums = bundle, sums
        self._right: Dict[str, List[Any]] = dict(resume.get("right") or self._noted())
        self.wrong: List[str] = list(resume.get("wrong") or ())
        self._left = [path for path in sorted(sums) if path not in self.wrong and not self._holds(path)]

    def work(self, seconds: float) -> bool:
        """Read for so many seconds, or to the end with C(0); tells whether nothing is left."""
        until: Optional[float] = time.monotonic() + seconds if seconds > 0 else None

        def check(path: str) -> Optional[bool]:
            if until is not None and time.monotonic() >= until:
                return None
            mark = self._mark(path)
            try:
                right = sha256_of(os.path.join(self._bundle, path)) == self._sums[path]
            except OSError:
                right = False
            if right:
                self._right[path] = mark
            else:
                self.wrong.append(path)
            return right

        with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
            looked = list(pool.map(check, self._left))
        self._left = [path for path, right in zip(self._left, looked) if right is None]
        with contextlib.suppress(OSError):
            # a bundle on a medium that cannot be written is read again the next time
            write_text(os.path.join(self._bundle, _NOTE), json.dumps(self._right, indent=0, sort_keys=True) + "\n")
        return not self._left

    @property
    def progress(self) -> str:
        """How far it has come, in one sentence with figures."""
        sizes = {path: max(0, size_of(os.path.join(self._bundle, path))) for path in self._sums}
        total = sum(sizes.values())
        done = total - sum(sizes[path] for path in self._left)
        share = 100.0 * done / total if total else 100.0
        return "comparing the bundle with its checksums, {0:.1f} %, {1} of {2}".format(
            share, human_bytes(done), human_bytes(total)
        )

    @property
    def resume(self) -> Dict[str, Any]:
        """What the next slice needs to know."""
        return {"right": self._right, "wrong": self.wrong}

    def _holds(self, path: str) -> bool:
        mark = self._mark(path)
        return bool(mark) and self._right.get(path) == mark

    def _mark(self, path: str) -> List[Any]:
        try:
            stat = os.stat(os.path.join(self._bundle, path))
        except OSError:
            return []
        return [stat.st_size, stat.st_mtime_ns, stat.st_ino, self._sums[path]]

    def _noted(self) -> Dict[str, List[Any]]:
        try:
            noted = json.loads(read_text(os.path.join(self._bundle, _NOTE)) or "")
        except ValueError:
            return {}
        return noted if isinstance(noted, dict) else {}
