# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Container images as a repository of a Hub cache: one file for each layer, as in the archive of C(docker save).

Layers travel side by side, each one verified by itself, and those that two images share travel once.

This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import subprocess
import tarfile
from typing import Any, BinaryIO, Dict, List, NamedTuple, Optional, Sequence

from ansible_collections.llmserve.vllm.plugins.module_utils._container import Runner, run_cli
from ansible_collections.llmserve.vllm.plugins.module_utils._hub import disk_problem, free_bytes, list_files
from ansible_collections.llmserve.vllm.plugins.module_utils._hub_repository import HubRepository
from ansible_collections.llmserve.vllm.plugins.module_utils._snapshot_store import read_text, write_text

_BLOCK = 1 << 20
# What an image is made of counts, in the same words from every engine; its id depends on how the engine stores it.
_CONFIG = ("Entrypoint", "Cmd", "Env", "User", "WorkingDir")
_MARGIN_PERCENT = 1.0


class ImageError(Exception):
    """Images cannot be saved or loaded: a sentence for the operator, and its kind for the program."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class Image(NamedTuple):
    """An image that a Docker engine has."""

    name: str
    image_id: str
    fingerprint: str
    architecture: str
    size: int


def read_image(name: str, inspected: Dict[str, Any]) -> Image:
    """What C(docker image inspect) says of an image."""
    config = inspected.get("Config") or {}
    content = {
        "os": inspected.get("Os"),
        "architecture": inspected.get("Architecture"),
        "layers": (inspected.get("RootFS") or {}).get("Layers"),
        "config": [config.get(key) or None for key in _CONFIG],
    }
    return Image(
        name,
        str(inspected.get("Id", "")),
        hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest(),
        str(inspected.get("Architecture", "")),
        int(inspected.get("Size") or 0),
    )


def find_image(docker_cli: str, name: str, run: Runner = run_cli) -> Optional[Image]:
    """An image by its name, or C(None) when the engine has none."""
    done = run([docker_cli, "image", "inspect", name], 60)
    if done.rc == 0:
        try:
            return read_image(name, json.loads(done.stdout)[0])
        except (ValueError, LookupError, AttributeError) as exc:
            raise ImageError("docker", "`docker image inspect {0}` answered no JSON: {1}.".format(name, exc)) from exc
    if "no such image" in done.stderr.lower():
        return None
    raise ImageError(
        "docker",
        "`{0} image inspect {1}` failed with rc {2}: {3}. See that Docker runs on this host, and that the task has "
        "become: true.".format(docker_cli, name, done.rc, done.stderr.strip()[-300:] or "no message"),
    )


def find_all(docker_cli: str, names: Sequence[str], run: Runner = run_cli) -> List[Image]:
    """The images to save, every one of which has to be there."""
    found = []
    for name in names:
        if "@" in name:
            raise ImageError(
                "digest",
                "{0} is named by its digest, which `docker load` does not bring back: name it by a tag.".format(name),
            )
        image = find_image(docker_cli, name, run)
        if image is None:
            raise ImageError("image_missing", "This host has no image {0}: pull or build it first.".format(name))
        found.append(image)
    return found


# --- saving --------------------------------------------------------------------------------------------------------


def saved_images(repository: HubRepository) -> List[Dict[str, Any]]:
    """What the repository says that it holds; empty when it is not whole."""
    listing = repository.current()
    try:
        told = json.loads(read_text(_note(repository)) or "")
        same = listing is not None and told["commit"] == listing.commit
        return list(told["images"]) if same else []
    except (ValueError, KeyError, TypeError):
        return []


def assert_room(repository: HubRepository, images: Sequence[Image], reserve: int) -> None:
    """Refuse before the first byte what does not fit; layers that images share are counted twice."""
    where, free = free_bytes(repository.store.repo)
    problem = disk_problem(sum(image.size for image in images) + reserve, free, where, _MARGIN_PERCENT)
    if problem:
        raise ImageError("disk_full", problem.replace("The download needs", "The bundle needs"))


def save(docker_cli: str, images: Sequence[Image], repository: HubRepository) -> str:
    """Write the images into the repository; returns its commit."""
    repository.discard_partial()
    argv = [docker_cli, "save", *(image.name for image in images)]
    with subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            unpack(process.stdout, repository)  # type: ignore[arg-type]
            problem = "" if process.wait() == 0 else "rc {0}".format(process.returncode)
        except tarfile.TarError as exc:
            process.kill()
            problem = str(exc)
        words = process.stderr.read().decode("utf-8", "replace").strip() if process.stderr else ""
    if problem:
        message = "`{0}` ended early ({1}): {2}. Nothing of it is kept.".format(" ".join(argv), problem, words[-300:])
        raise ImageError("docker", message)
    listing = repository.commit()
    note = {"commit": listing.commit, "images": [image._asdict() for image in images]}
    write_text(_note(repository), json.dumps(note, indent=2) + "\n")
    return listing.commit


def unpack(archive: BinaryIO, repository: HubRepository) -> None:
    """Put the files of an archive of C(docker save) into a repository."""
    links: Dict[str, str] = {}
    seen = {}
    with tarfile.open(fileobj=archive, mode="r|", bufsize=_BLOCK) as tar:
        for member in tar:
            path = os.path.normpath(member.name)
            content = tar.extractfile(member) if member.isfile() else None
            if content is not None:
                seen[path] = repository.add(path, content)  # type: ignore[arg-type]
            elif member.issym() or member.islnk():
                folder = os.path.dirname(path) if member.issym() else ""
                links[path] = os.path.normpath(os.path.join(folder, member.linkname))
    if "manifest.json" not in seen:
        raise tarfile.ReadError("the archive has no manifest.json")
    # Older engines write a layer that two images share once, and then a link to it.
    for path, target in links.items():
        if target not in seen:
            raise tarfile.ReadError("{0} is a link to {1}, which is missing".format(path, target))
        repository.add_again(path, seen[target])


def _note(repository: HubRepository) -> str:
    return os.path.join(repository.store.state, "images.json")


# --- loading -------------------------------------------------------------------------------------------------------


def missing_images(docker_cli: str, images: Sequence[Dict[str, Any]], run: Runner = run_cli) -> List[str]:
    """Names of those images that the engine lacks, or has with another content."""
    missing = []
    for wanted in images:
        found = find_image(docker_cli, wanted["name"], run)
        if found is None or found.fingerprint != wanted["fingerprint"]:
            missing.append(str(wanted["name"]))
    return missing


def load(docker_cli: str, path: str) -> None:
    """Load what a snapshot of such a repository holds."""
    if not os.path.isfile(os.path.join(path, "manifest.json")):
        raise ImageError("incomplete", "{0} holds no image: it has no manifest.json.".format(path))
    argv = [docker_cli, "load"]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        with contextlib.suppress(BrokenPipeError):
            # the engine's own words, below, say why it hung up
            pack(path, process.stdin)  # type: ignore[arg-type]
        output = process.communicate()[0].decode("utf-8", "replace").strip()
    if process.returncode != 0:
        raise ImageError("docker", "`docker load` of {0} failed: {1}.".format(path, output[-300:]))


def pack(path: str, archive: BinaryIO) -> None:
    """Write an archive for C(docker load) from the files of a snapshot."""
    with tarfile.open(fileobj=archive, mode="w|", bufsize=_BLOCK, dereference=True) as tar:
        tar.copybufsize = _BLOCK  # type: ignore[attr-defined]
        for item in list_files(path):
            tar.add(os.path.join(path, item.path), item.path, recursive=False)
