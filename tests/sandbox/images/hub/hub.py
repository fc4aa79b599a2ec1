"""A Hugging Face Hub and a Python package index for the sandbox, from two folders.

It speaks what huggingface_hub, vLLM and this collection's modules ask for: model information, the file tree,
HEAD and GET of files with ranges and LFS metadata, and the Hub's ways to refuse. Xet storage is absent, so
clients fall back to plain HTTP. Nothing is ever written.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import time
from dataclasses import dataclass, field
from functools import cached_property
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

BRANCH = "main"
LFS_SUFFIXES = (".safetensors", ".pth", ".bin", ".gguf")
GATED = {"sandbox/tiny-llama-instruct"}
# token -> (user, repositories whose licence the user has accepted)
TOKENS: dict[str, tuple[str, set[str]]] = {
    "hf_sandbox": ("sandbox-user", GATED),
    "hf_sandbox_stranger": ("sandbox-stranger", set()),
}
CHUNK = 1 << 16


def git_blob_id(content: bytes) -> str:
    """Return the id that git gives to this content."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


@dataclass(frozen=True)
class RepoFile:
    """One file of a repository, with the identities that the Hub publishes."""

    path: str
    source: Path
    size: int
    blob_id: str
    sha256: str | None
    pointer_size: int = 0

    @classmethod
    def read(cls, root: Path, source: Path) -> RepoFile:
        """Hash a file; large binary ones are LFS objects, as on the Hub."""
        path = source.relative_to(root).as_posix()
        content = source.read_bytes()
        if not path.endswith(LFS_SUFFIXES):
            return cls(path, source, len(content), git_blob_id(content), None)
        sha256 = hashlib.sha256(content).hexdigest()
        pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {len(content)}\n"
        return cls(path, source, len(content), git_blob_id(pointer.encode()), sha256, len(pointer))

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


@dataclass
class Repo:
    """A model repository with one commit, named after its content."""

    name: str
    root: Path
    files: dict[str, RepoFile] = field(init=False)

    def __post_init__(self) -> None:
        sources = sorted(path for path in self.root.rglob("*") if path.is_file())
        self.files = {file.path: file for file in (RepoFile.read(self.root, source) for source in sources)}

    @cached_property
    def commit(self) -> str:
        """Return a commit id that changes exactly when the content does."""
        listing = "".join(f"{file.path} {file.etag}\n" for file in self.files.values())
        return hashlib.sha1(f"{self.name}\n{listing}".encode()).hexdigest()

    @property
    def gated(self) -> bool:
        """Whether files need an account that has accepted the licence."""
        return self.name in GATED

    def knows(self, revision: str) -> bool:
        """Whether a branch or commit exists."""
        return revision in (BRANCH, f"refs/heads/{BRANCH}", self.commit)

    def info(self, with_blobs: bool) -> dict[str, Any]:
        """Describe the repository as the model endpoint does."""
        siblings: list[dict[str, Any]] = [{"rfilename": path} for path in self.files]
        if with_blobs:
            for sibling, file in zip(siblings, self.files.values(), strict=True):
                sibling.update(size=file.size, blobId=file.blob_id)
                if file.sha256:
                    sibling["lfs"] = {"sha256": file.sha256, "size": file.size, "pointerSize": file.pointer_size}
        return {
            "_id": self.commit[:24],
            "id": self.name,
            "modelId": self.name,
            "author": self.name.split("/", maxsplit=1)[0],
            "sha": self.commit,
            "private": False,
            "disabled": False,
            "gated": "manual" if self.gated else False,
            "lastModified": "2026-01-01T00:00:00.000Z",
            "createdAt": "2026-01-01T00:00:00.000Z",
            "downloads": 0,
            "likes": 0,
            "library_name": "transformers",
            "pipeline_tag": "text-generation",
            "tags": ["transformers", "safetensors", "llama", "text-generation"],
            "usedStorage": sum(file.size for file in self.files.values()),
            "siblings": siblings,
        }

    def tree(self, folder: str, recursive: bool) -> list[dict[str, Any]]:
        """List a folder as the tree endpoint does."""
        prefix = f"{folder}/" if folder else ""
        entries: dict[str, dict[str, Any]] = {}
        for file in self.files.values():
            if not file.path.startswith(prefix):
                continue
            parents = file.path[len(prefix) :].split("/")[:-1]
            for depth in range(1, len(parents) + 1):
                path = prefix + "/".join(parents[:depth])
                entries[path] = {"type": "directory", "oid": git_blob_id(path.encode()), "size": 0, "path": path}
            entries[file.path] = file.entry()
        listed = (entry for path, entry in entries.items() if recursive or "/" not in path[len(prefix) :])
        return sorted(listed, key=lambda entry: str(entry["path"]))


class RefusedError(Exception):
    """A request that the Hub answers with an error of its own kind."""

    def __init__(self, status: HTTPStatus, message: str, code: str | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.code = status, message, code


class Library:
    """Everything that is served: model repositories and wheels."""

    def __init__(self, models: Path, wheels: Path) -> None:
        roots = sorted(path for path in models.glob("*/*") if path.is_dir())
        self.repos = {repo.name: repo for repo in (Repo(root.relative_to(models).as_posix(), root) for root in roots)}
        self.wheels: dict[str, list[Path]] = {}
        for wheel in sorted(wheels.glob("*.whl")):
            project = re.sub(r"[-_.]+", "-", wheel.name.split("-", maxsplit=1)[0]).lower()
            self.wheels.setdefault(project, []).append(wheel)
        self._digests: dict[Path, str] = {}

    def digest(self, wheel: Path) -> str:
        """Return the sha256 of a wheel, computed when a client first asks for its project."""
        if wheel not in self._digests:
            with wheel.open("rb") as stream:
                self._digests[wheel] = hashlib.file_digest(stream, "sha256").hexdigest()
        return self._digests[wheel]

    def repo(self, name: str, token: str | None) -> Repo:
        """Find a repository; a missing one looks private to those who are not logged in."""
        if name in self.repos:
            return self.repos[name]
        if token is None:
            raise RefusedError(HTTPStatus.UNAUTHORIZED, "Invalid username or password.", "RepoNotFound")
        raise RefusedError(HTTPStatus.NOT_FOUND, "Repository not found", "RepoNotFound")


class Handler(BaseHTTPRequestHandler):
    """One connection to the hub."""

    protocol_version = "HTTP/1.1"
    server_version = "sandbox-hub"
    library: Library
    rate: int

    def do_GET(self) -> None:
        """Answer a GET request."""
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        """Answer a HEAD request."""
        self._answer(with_body=False)

    def _answer(self, with_body: bool) -> None:
        self._with_body = with_body
        url = urlsplit(self.path)
        # client libraries quote the parts of a path differently; none of our names holds a slash of its own
        parts = [unquote(part) for part in url.path.split("/") if part]
        query = url.query.lower().split("&")
        try:
            if parts[:1] == ["simple"]:
                self._index(parts[1:])
            elif parts[:1] == ["wheels"]:
                self._wheel(parts[1:])
            elif parts == ["healthz"]:
                self._send(HTTPStatus.OK, b"ok\n", "text/plain")
            elif parts == ["api", "whoami-v2"]:
                self._whoami()
            elif parts[:2] == ["api", "models"] and len(parts) >= 4:
                self._api("/".join(parts[2:4]), parts[4:], query)
            elif len(parts) >= 5 and parts[2] == "resolve":
                self._resolve("/".join(parts[:2]), parts[3], "/".join(parts[4:]))
            else:
                raise RefusedError(HTTPStatus.NOT_FOUND, "Sorry, we can't find the page you are looking for.")
        except RefusedError as refusal:
            self._refuse(refusal)

    def _token(self) -> str | None:
        """Return the token of who asks, or nobody's; refuse one that does not exist."""
        scheme, _space, token = self.headers.get("Authorization", "").partition(" ")
        if not scheme:
            return None
        if scheme.lower() != "bearer" or token.strip() not in TOKENS:
            raise RefusedError(HTTPStatus.UNAUTHORIZED, "Invalid credentials in Authorization header")
        return token.strip()

    def _whoami(self) -> None:
        token = self._token()
        if token is None:
            raise RefusedError(HTTPStatus.UNAUTHORIZED, "Invalid username or password.")
        auth = {"type": "access_token", "accessToken": {"displayName": "sandbox", "role": "read"}}
        name = TOKENS[token][0]
        self._json({"type": "user", "id": name, "name": name, "fullname": name, "auth": auth, "orgs": []})

    def _api(self, name: str, rest: list[str], query: list[str]) -> None:
        """Answer about a repository. As on the Hub, describing and listing a gated one is open to everybody."""
        token = self._token()
        repo = self.library.repo(name, token)
        verb = rest[0] if rest else "revision"
        if verb == "auth-check":
            self._check_access(repo, token)
            self._json({})
            return
        if verb == "refs":
            branch = {"name": BRANCH, "ref": f"refs/heads/{BRANCH}", "targetCommit": repo.commit}
            self._json({"branches": [branch], "converts": [], "tags": []})
            return
        # "refs/heads/main" may come quoted as one part or as three
        revision = "/".join(rest[1:]) if verb == "revision" and len(rest) > 1 else (rest[1:2] or [BRANCH])[0]
        self._check_revision(repo, revision)
        if verb == "revision":
            self._json(repo.info(with_blobs="blobs=true" in query or "blobs=1" in query), commit=repo.commit)
        elif verb == "tree":
            entries = repo.tree("/".join(rest[2:]), recursive="recursive=true" in query or "recursive=1" in query)
            self._json(entries, commit=repo.commit)
        else:
            raise RefusedError(HTTPStatus.NOT_FOUND, "Sorry, we can't find the page you are looking for.")

    @staticmethod
    def _check_revision(repo: Repo, revision: str) -> None:
        if not repo.knows(revision):
            message = f"Invalid rev id: {revision}"
            raise RefusedError(HTTPStatus.NOT_FOUND, message, "RevisionNotFound")

    def _check_access(self, repo: Repo, token: str | None) -> None:
        """Refuse the files of a gated repository to those who may not have them."""
        if not repo.gated:
            return
        restricted = f"Access to model {repo.name} is restricted"
        if token is None:
            message = f"{restricted}. You must have access to it and be authenticated to access it. Please log in."
            raise RefusedError(HTTPStatus.UNAUTHORIZED, message, "GatedRepo")
        if repo.name not in TOKENS[token][1]:
            where = f"http://{self.headers['Host']}/{repo.name}"
            message = f"{restricted} and you are not in the authorized list. Visit {where} to ask for access."
            raise RefusedError(HTTPStatus.FORBIDDEN, message, "GatedRepo")

    def _resolve(self, name: str, revision: str, path: str) -> None:
        token = self._token()
        repo = self.library.repo(name, token)
        self._check_access(repo, token)
        self._check_revision(repo, revision)
        file = repo.files.get(path)
        if file is None:
            raise RefusedError(HTTPStatus.NOT_FOUND, "Entry not found", "EntryNotFound")
        headers = {"ETag": f'"{file.etag}"', "X-Repo-Commit": repo.commit}
        if file.sha256:
            headers |= {"X-Linked-Etag": f'"{file.sha256}"', "X-Linked-Size": str(file.size)}
        name_header = f"inline; filename*=UTF-8''{quote(file.source.name)}"
        self._file(file.source, {**headers, "Content-Disposition": name_header})

    def _index(self, parts: list[str]) -> None:
        """Answer as a package index does (PEP 503)."""
        if not parts:
            links = [f'<a href="{project}/">{project}</a>' for project in self.library.wheels]
        elif parts[0] in self.library.wheels:
            links = [
                f'<a href="/wheels/{quote(wheel.name)}#sha256={self.library.digest(wheel)}">{wheel.name}</a>'
                for wheel in self.library.wheels[parts[0]]
            ]
        else:
            raise RefusedError(HTTPStatus.NOT_FOUND, f"No project {parts[0]}")
        page = "<!DOCTYPE html>\n<html><body>\n" + "<br>\n".join(links) + "\n</body></html>\n"
        self._send(HTTPStatus.OK, page.encode(), "text/html; charset=utf-8")

    def _wheel(self, parts: list[str]) -> None:
        for wheels in self.library.wheels.values():
            for wheel in wheels:
                if parts == [wheel.name]:
                    return self._file(wheel, {"ETag": f'"{wheel.name}"'})
        raise RefusedError(HTTPStatus.NOT_FOUND, "No such wheel")

    def _file(self, source: Path, headers: dict[str, str]) -> None:
        """Send a file, or the range of it that was asked for."""
        size = source.stat().st_size
        start, end, status = 0, size - 1, HTTPStatus.OK
        wanted = re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range", ""))
        if wanted and any(wanted.groups()):
            first, last = wanted.groups()
            start = int(first) if first else max(size - int(last), 0)
            end = min(int(last), size - 1) if first and last else size - 1
            status = HTTPStatus.PARTIAL_CONTENT
            headers = {**headers, "Content-Range": f"bytes {start}-{end}/{size}"}
            if start >= size:
                refused = {"Content-Range": f"bytes */{size}"}
                self._send(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, b"", "text/plain", refused)
                return
        self._head(status, end - start + 1, "application/octet-stream", {**headers, "Accept-Ranges": "bytes"})
        if not self._with_body:
            return
        with source.open("rb") as stream:
            stream.seek(start)
            left = end - start + 1
            while left > 0 and (chunk := stream.read(min(CHUNK, left))):
                self.wfile.write(chunk)
                left -= len(chunk)
                if self.rate and source.name.endswith(LFS_SUFFIXES):
                    time.sleep(len(chunk) / self.rate)

    def _refuse(self, refusal: RefusedError) -> None:
        headers = {"X-Error-Message": refusal.message}
        if refusal.code:
            headers["X-Error-Code"] = refusal.code
        body = json.dumps({"error": refusal.message}).encode()
        self._send(refusal.status, body, "application/json; charset=utf-8", headers)

    def _json(self, payload: Any, commit: str | None = None) -> None:
        headers = {"X-Repo-Commit": commit} if commit else {}
        self._send(HTTPStatus.OK, json.dumps(payload).encode(), "application/json; charset=utf-8", headers)

    def _send(self, status: HTTPStatus, body: bytes, kind: str, headers: dict[str, str] | None = None) -> None:
        self._head(status, len(body), kind, headers or {})
        if self._with_body:
            self.wfile.write(body)

    def _head(self, status: HTTPStatus, length: int, kind: str, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(length), **headers}.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Write the access log to stdout, where `docker logs` looks; never the token."""
        who = "token" if self.headers and self.headers.get("Authorization") else "-"
        print(f"{self.address_string()} {who} {format % args}", flush=True)


def main() -> None:
    """Serve until stopped."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=Path, default=Path("/models"))
    parser.add_argument("--wheels", type=Path, default=Path("/wheels"))
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--rate", type=int, default=0, help="bytes per second of a weights file; 0: no limit")
    args = parser.parse_args()
    Handler.rate = args.rate
    Handler.library = Library(args.models, args.wheels)
    for repo in Handler.library.repos.values():
        print(f"{repo.name} at {repo.commit}, {len(repo.files)} files", flush=True)
    server = ThreadingHTTPServer(("", args.port), Handler)
    server.daemon_threads = True
    server.serve_forever()


if __name__ == "__main__":
    main()
