"""What is served: repositories, their refs, and the files of each commit with the identities that the Hub publishes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import unquote

MAIN = "refs/heads/main"
LFS_SUFFIXES = (".safetensors", ".pth", ".bin", ".gguf")
# what the Hub takes as an ordinary file of git at most
GIT_BYTES = 10 << 20
DATE = "2026-01-01T00:00:00.000Z"


def git_blob_id(content: bytes) -> str:
    """Return the id that git gives to this content."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


@dataclass(frozen=True)
class RepoFile:
    """One file of a repository."""

    path: str
    source: Path
    size: int
    blob_id: str
    sha256: str | None
    pointer_size: int = 0

    @classmethod
    def read(cls, root: Path, source: Path) -> RepoFile:
        """Hash a file; large binary ones are LFS objects, as on the Hub."""
        path, size = source.relative_to(root).as_posix(), source.stat().st_size
        if not path.endswith(LFS_SUFFIXES) and size <= GIT_BYTES:
            return cls(path, source, size, git_blob_id(source.read_bytes()), None)
        with source.open("rb") as stream:
            sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
        pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {size}\n"
        return cls(path, source, size, git_blob_id(pointer.encode()), sha256, len(pointer))

    @property
    def etag(self) -> str:
        """The name under which caches store the file."""
        return self.sha256 or self.blob_id

    def entry(self) -> dict[str, Any]:
        """Describe the file as the tree endpoint does."""
        entry: dict[str, Any] = {"type": "file", "oid": self.blob_id, "size": self.size, "path": self.path}
        if self.sha256:
            entry["lfs"] = {"oid": self.sha256, "size": self.size, "pointerSize": self.pointer_size}
        return entry

    def sibling(self, with_blobs: bool) -> dict[str, Any]:
        """Describe the file as the model endpoint does."""
        sibling: dict[str, Any] = {"rfilename": self.path}
        if with_blobs:
            sibling.update(size=self.size, blobId=self.blob_id)
            if self.sha256:
                sibling["lfs"] = {"sha256": self.sha256, "size": self.size, "pointerSize": self.pointer_size}
        return sibling


@dataclass
class Commit:
    """The files of a repository at one commit."""

    repo: str
    root: Path
    files: dict[str, RepoFile] = field(init=False)

    def __post_init__(self) -> None:
        sources = sorted(path for path in self.root.rglob("*") if path.is_file())
        self.files = {file.path: file for file in (RepoFile.read(self.root, source) for source in sources)}

    @cached_property
    def id(self) -> str:
        """Return an id that changes exactly when the content does."""
        listing = "".join(f"{file.path} {file.etag}\n" for file in self.files.values())
        return hashlib.sha1(f"{self.repo}\n{listing}".encode()).hexdigest()

    def info(self, with_blobs: bool, gated: bool) -> dict[str, Any]:
        """Describe the repository as the model endpoint does."""
        return {
            "_id": self.id[:24],
            "id": self.repo,
            "modelId": self.repo,
            "author": self.repo.split("/", maxsplit=1)[0],
            "sha": self.id,
            "private": False,
            "disabled": False,
            "gated": "manual" if gated else False,
            "lastModified": DATE,
            "createdAt": DATE,
            "downloads": 0,
            "likes": 0,
            "library_name": "transformers",
            "pipeline_tag": "text-generation",
            "tags": ["transformers", "safetensors", "llama", "text-generation"],
            "usedStorage": sum(file.size for file in self.files.values()),
            "siblings": [file.sibling(with_blobs) for file in self.files.values()],
        }

    @cached_property
    def entries(self) -> dict[str, dict[str, Any]]:
        """Everything that has a path: files and folders, in the order of the paths."""
        entries = {file.path: file.entry() for file in self.files.values()}
        for file in self.files.values():
            for folder in list(Path(file.path).parents)[:-1]:
                path = folder.as_posix()
                entries[path] = {"type": "directory", "oid": git_blob_id(path.encode()), "size": 0, "path": path}
        return dict(sorted(entries.items()))

    def tree(self, folder: str, recursive: bool) -> list[dict[str, Any]] | None:
        """List a folder as the tree endpoint does; None when there is none."""
        if folder and self.entries.get(folder, {}).get("type") != "directory":
            return None
        prefix = f"{folder}/" if folder else ""
        below = [(path[len(prefix) :], entry) for path, entry in self.entries.items() if path.startswith(prefix)]
        return [entry for path, entry in below if recursive or "/" not in path]

    def about(self, paths: Iterable[str]) -> list[dict[str, Any]]:
        """Describe paths as the paths-info endpoint does: what does not exist is left out."""
        return [self.entries[path] for path in dict.fromkeys(paths) if path in self.entries]

    def expand(self, entries: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
        """Add what the Hub tells of its own about files, when it is asked to expand."""
        last = {"lastCommit": {"id": self.id, "title": "Upload folder using huggingface_hub", "date": DATE}}
        safe = {"securityFileStatus": {"status": "safe", "avScan": None, "pickleImportScan": None}}
        return [{**entry, **last, **(safe if entry["type"] == "file" else {})} for entry in entries]


@dataclass
class Repo:
    """A model repository: commits, and what points to them."""

    name: str
    commits: dict[str, Commit] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)

    def full_ref(self, revision: str) -> str | None:
        """The whole name of a branch, a tag or another ref."""
        return next((ref for ref in full_refs(revision) if ref in self.refs), None)

    def at(self, revision: str) -> Commit | None:
        """What a revision means: a branch, a tag, a whole ref or a commit."""
        ref = self.full_ref(revision)
        return self.commits.get(self.refs[ref] if ref else revision)

    def listed_refs(self, prefix: str) -> list[dict[str, str]]:
        """The refs below a prefix as the refs endpoint lists them."""
        found = {ref: commit for ref, commit in sorted(self.refs.items()) if ref.startswith(prefix)}
        return [{"name": ref.removeprefix(prefix), "ref": ref, "targetCommit": commit} for ref, commit in found.items()]


def full_refs(revision: str) -> tuple[str, ...]:
    """What a revision may stand for, the likeliest first."""
    if revision.startswith("refs/"):
        return (revision,)
    return f"refs/heads/{revision}", f"refs/tags/{revision}"


def load(models: Path) -> dict[str, Repo]:
    """All repositories in all of their revisions, from folders ORG/NAME and ORG/NAME@REF."""
    repos: dict[str, Repo] = {}
    for root in sorted(path for path in models.glob("*/*") if path.is_dir()):
        name, _at, ref = root.relative_to(models).as_posix().partition("@")
        ref = unquote(ref)
        repo = repos.setdefault(name, Repo(name))
        commit = Commit(name, root)
        repo.commits.setdefault(commit.id, commit)
        repo.refs[(ref if ref.startswith("refs/") else f"refs/tags/{ref}") if ref else MAIN] = commit.id
    return repos
