# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A bundle: a directory with all that nodes without a way out need, and the lists that tell whether it is whole.

hub/ is a Hub cache with the model, the images and the wheels; wheels/ has the wheels once more, as files for pip.

This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import tarfile
import tempfile
import time
from typing import Any, BinaryIO, Dict, List, NamedTuple, Optional

from ansible_collections.llmserve.vllm.plugins.module_utils._hub import (
    DEFAULT_ALLOW_PATTERNS,
    DEFAULT_IGNORE_PATTERNS,
    wanted_files,
)
from ansible_collections.llmserve.vllm.plugins.module_utils._hub_repository import REVISION, HubRepository
from ansible_collections.llmserve.vllm.plugins.module_utils._snapshot_listing import announced
from ansible_collections.llmserve.vllm.plugins.module_utils._snapshot_store import (
    ListedFile,
    Listing,
    read_text,
    size_of,
    write_text,
)

FORMAT = 1
MANIFEST, SUMS = "bundle.json", "SHA256SUMS"
WHEELS_REPO, WHEELS_FILE = "llmserve/wheels", "wheels.tar"
_BLOCK = 1 << 20
_SHA256 = re.compile(r"^[0-9a-f]{64}$")


class BundleError(Exception):
    """The bundle cannot be made or used: a sentence for the operator, and its kind for the program."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class Contents(NamedTuple):
    """What goes into a bundle, beside the files themselves."""

    model: str
    revision: str
    image_repo: str
    # as hub_image returns them
    images: List[Dict[str, Any]]
    architecture: str
    ray_version: str
    hub_version: str
    python_versions: List[str]
    collection_version: str


class Sealed(NamedTuple):
    """The lists of a bundle."""

    manifest: Dict[str, Any]
    # path in the bundle -> SHA-256
    sums: Dict[str, str]


def sha256_of(path: str) -> str:
    """The digest of a file. hashlib lets other threads run meanwhile."""
    digest = hashlib.sha256()
    buffer = memoryview(bytearray(_BLOCK))
    with open(path, "rb", buffering=0) as handle:
        while True:
            count = handle.readinto(buffer)
            if not count:
                return digest.hexdigest()
            digest.update(buffer[:count])


def hub_of(bundle: str) -> str:
    """The Hub cache of a bundle."""
    return os.path.join(bundle, "hub")


# --- wheels --------------------------------------------------------------------------------------------------------


def wheel_names(bundle: str) -> List[str]:
    """The wheels that the bundle has."""
    folder = os.path.join(bundle, "wheels")
    return sorted(name for name in os.listdir(folder) if name.endswith(".whl")) if os.path.isdir(folder) else []


def pack_wheels(bundle: str, archive: BinaryIO) -> None:
    """All wheels in one file: the same wheels make the same bytes, whoever packs them, and when."""
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for name in wheel_names(bundle):
            path = os.path.join(bundle, "wheels", name)
            member = tarfile.TarInfo(name)
            member.size, member.mode = os.path.getsize(path), 0o644
            with open(path, "rb") as handle:
                tar.addfile(member, handle)


def store_wheels(bundle: str) -> bool:
    """Put the wheels into the bundle's Hub cache; tells whether they were not there."""
    repository = HubRepository(hub_of(bundle), WHEELS_REPO)
    current = repository.current()
    with tempfile.TemporaryFile(dir=bundle) as archive:
        pack_wheels(bundle, archive)
        archive.seek(0)
        digest = hashlib.sha256()
        for block in iter(lambda: archive.read(_BLOCK), b""):
            digest.update(block)
        if current is not None and [item.etag for item in current.files] == [digest.hexdigest()]:
            return False
        archive.seek(0)
        repository.discard_partial()
        repository.add(WHEELS_FILE, archive)
        repository.commit()
    return True


# --- sealing -------------------------------------------------------------------------------------------------------


def seal(bundle: str, contents: Contents) -> Sealed:
    """The lists of what the bundle holds. Fails when something of it is missing."""
    sums: Dict[str, str] = {}
    model = _repository(bundle, contents.model, contents.revision, sums, only_wanted=True)
    image = _repository(bundle, contents.image_repo, REVISION, sums)
    wheels = _repository(bundle, WHEELS_REPO, REVISION, sums)
    for name in wheel_names(bundle):
        sums["wheels/" + name] = sha256_of(os.path.join(bundle, "wheels", name))
    manifest = {
        "format": FORMAT,
        "saved": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "collection_version": contents.collection_version,
        "architecture": contents.architecture,
        "model": {"repo_id": contents.model, "revision": contents.revision, "commit": model.commit},
        "image": {
            "repo_id": contents.image_repo,
            "commit": image.commit,
            "ray_version": contents.ray_version,
            "images": contents.images,
        },
        "wheels": {
            "repo_id": WHEELS_REPO,
            "commit": wheels.commit,
            "file": WHEELS_FILE,
            "sha256": wheels.files[0].etag,
            "hub_version": contents.hub_version,
            "python_versions": contents.python_versions,
            "names": wheel_names(bundle),
        },
        "files": {path: size_of(os.path.join(bundle, path)) for path in sorted(sums)},
    }
    return Sealed(manifest, sums)


def write(bundle: str, sealed: Sealed, check_mode: bool) -> bool:
    """Write the lists; tells whether they say something new. When they do not, the time of the save stays."""
    manifest = dict(sealed.manifest)
    before = read_manifest(bundle)
    if before and {**before, "saved": ""} == {**manifest, "saved": ""}:
        manifest["saved"] = before["saved"]
    text = json.dumps(manifest, indent=2) + "\n"
    sums = dict(sealed.sums)
    sums[MANIFEST] = hashlib.sha256(text.encode()).hexdigest()
    lines = "".join("{0}  {1}\n".format(sums[path], path) for path in sorted(sums))
    changed = False
    for name, content in ((MANIFEST, text), (SUMS, lines)):
        path = os.path.join(bundle, name)
        if read_text(path) != content:
            changed = True
            if not check_mode:
                write_text(path, content)
    return changed


def read_manifest(bundle: str) -> Optional[Dict[str, Any]]:
    """The bundle's manifest, or C(None) when there is none that can be read."""
    try:
        manifest = json.loads(read_text(os.path.join(bundle, MANIFEST)) or "")
    except ValueError:
        return None
    return manifest if isinstance(manifest, dict) and "saved" in manifest else None


def _repository(
    bundle: str, repo_id: str, revision: str, sums: Dict[str, str], *, only_wanted: bool = False
) -> Listing:
    """Add the files of a repository to the sums, those that a mirror needs to offer it."""
    store = HubRepository(hub_of(bundle), repo_id).store
    listing = announced(store.state, revision)
    if listing is None:
        raise BundleError("incomplete", "{0} has no {1} at revision {2}.".format(hub_of(bundle), repo_id, revision))
    files = listing.files
    if only_wanted:
        paths = set(wanted_files([i.path for i in files], DEFAULT_ALLOW_PATTERNS, DEFAULT_IGNORE_PATTERNS))
        files = [item for item in files if item.path in paths]
    for item in files:
        _add_blob(bundle, store.content(item), item, sums)
    notes = [os.path.join(folder, listing.commit + ".json") for folder in ("trees", ".llmserve/listings")]
    for folder in ("refs", ".llmserve/listings/refs"):
        notes += [os.path.join(folder, name) for name in _files(os.path.join(store.repo, folder))]
    for note in notes:
        path = os.path.join(store.repo, note)
        if os.path.isfile(path):
            sums[os.path.relpath(path, bundle)] = sha256_of(path)
    return listing


def _files(folder: str) -> List[str]:
    """Files below a directory, as paths in it: a branch may have slashes in its name."""
    found = []
    for where, _folders, names in os.walk(folder):
        found += [os.path.relpath(os.path.join(where, name), folder) for name in names]
    return found


def _add_blob(bundle: str, path: str, item: ListedFile, sums: Dict[str, str]) -> None:
    if os.path.islink(path):
        message = "{0} ({1}) is a link out of the bundle: remove it and save again, so that it is fetched."
        raise BundleError("incomplete", message.format(path, item.path))
    if size_of(path) != item.size:
        message = "{0} ({1}) is missing or cut off: save the bundle again."
        raise BundleError("incomplete", message.format(path, item.path))
    # The large ones were compared with the digest that is their name when they came.
    sums[os.path.relpath(path, bundle)] = item.etag if _SHA256.match(item.etag) else sha256_of(path)
