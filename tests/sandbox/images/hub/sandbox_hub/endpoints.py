"""What the Hub answers to, and the package index beside it."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any
from urllib.parse import SplitResult, parse_qs, quote, urlencode

from . import storage
from .accounts import Account, RefusedError, no_entry, no_page, no_repository, no_revision
from .answers import TEXT, Answers
from .repos import Commit, Repo, RepoFile

Query = dict[str, list[str]]


def asked_for(query: Query, name: str) -> bool:
    """Whether a switch is on, as the clients of the Hub write it."""
    return query.get(name, ["false"])[-1].lower() in ("true", "1")


def number(query: Query, name: str, default: int) -> int:
    """A number of the query."""
    given = query.get(name, [str(default)])[-1]
    if not given.isdecimal():
        raise RefusedError(HTTPStatus.BAD_REQUEST, f"{name} is no number: {given}")
    return int(given)


def split_revision(parts: list[str]) -> tuple[str, list[str]]:
    """The revision that a path begins with, and the rest. "refs/heads/main" comes quoted as one part, or as three."""
    size = 3 if parts[:1] == ["refs"] else 1
    return "/".join(parts[:size]), parts[size:]


class Hub(Answers):
    """One connection to the Hub."""

    def answer(self, url: SplitResult, parts: list[str], body: bytes) -> None:
        """Find out who is asked for."""
        if self.command == "POST" and parts[4:5] != ["paths-info"]:
            raise no_page()
        query = parse_qs(url.query)
        if parts[:1] == ["simple"]:
            self._index(parts[1:])
        elif parts[:1] == ["wheels"]:
            self._wheel(parts[1:])
        elif parts == ["api", "whoami-v2"]:
            self._whoami()
        elif parts[:2] == ["api", "models"] and len(parts) >= 4:
            if not self._renamed(url, 3):
                self._api("/".join(parts[2:4]), parts[4:], query, body)
        elif parts[:3] == ["api", "resolve-cache", "models"] and len(parts) >= 7:
            self._resolve_cache("/".join(parts[3:5]), parts[5], "/".join(parts[6:]))
        elif len(parts) >= 5 and parts[2] == "resolve":
            if not self._renamed(url, 1):
                self._resolve("/".join(parts[:2]), parts[3:])
        else:
            raise no_page()

    def _who(self) -> Account | None:
        return self.site.accounts.who(self.headers.get("Authorization", ""))

    def _repo(self, name: str, account: Account | None) -> Repo:
        repo = self.site.repos.get(name)
        if repo is None:
            raise no_repository(account)
        return repo

    def _admit(self, repo: Repo, account: Account | None) -> None:
        self.site.accounts.admit(repo.name, account, self.origin())

    def _commit(self, repo: Repo, revision: str) -> Commit:
        commit = repo.at(revision)
        if commit is None:
            raise no_revision(revision)
        return commit

    def _renamed(self, url: SplitResult, place: int) -> bool:
        """Send those who ask for an old name to the new one, which stands at the same place of the path."""
        parts = url.path.split("/")
        new = self.site.renamed.get("/".join(parts[place : place + 2]))
        if new is None:
            return False
        path = "/".join([*parts[:place], new, *parts[place + 2 :]])
        self._redirect(HTTPStatus.TEMPORARY_REDIRECT, f"{path}?{url.query}" if url.query else path, {})
        return True

    def _redirect(self, status: HTTPStatus, where: str, headers: dict[str, str]) -> None:
        self.send(status, f"{status.phrase}. Redirecting to {where}".encode(), TEXT, {**headers, "Location": where})

    def _whoami(self) -> None:
        account = self._who()
        if account is None:
            raise RefusedError(HTTPStatus.UNAUTHORIZED, "Invalid username or password.")
        auth = {"type": "access_token", "accessToken": {"displayName": "sandbox", "role": "read"}}
        name = account.name
        self.send_json({"type": "user", "id": name, "name": name, "fullname": name, "auth": auth, "orgs": []})

    # --- about repositories; as on the Hub, describing and listing a gated one is open to everybody -------------------

    def _api(self, name: str, rest: list[str], query: Query, body: bytes) -> None:
        account = self._who()
        repo = self._repo(name, account)
        verb, rest = (rest[0], rest[1:]) if rest else ("revision", [])
        if verb == "auth-check":
            self._admit(repo, account)
            return self.send_json({})
        if verb == "refs":
            return self.send_json(self._refs(repo, query))
        if verb == "revision":
            return self._info(self._commit(repo, "/".join(rest) or "main"), query)
        revision, path = split_revision(rest or ["main"])
        if verb == "tree":
            return self._tree(self._commit(repo, revision), revision, "/".join(path), query)
        if verb == "paths-info" and self.command == "POST":
            return self._paths_info(self._commit(repo, revision), body)
        raise no_page()

    def _refs(self, repo: Repo, query: Query) -> dict[str, Any]:
        kinds = {"branches": "refs/heads/", "converts": "refs/convert/", "tags": "refs/tags/"}
        if asked_for(query, "include_prs"):
            kinds["pullRequests"] = "refs/pr/"
        return {kind: repo.listed_refs(prefix) for kind, prefix in kinds.items()}

    def _info(self, commit: Commit, query: Query) -> None:
        info = commit.info(asked_for(query, "blobs"), commit.repo in self.site.accounts.gated)
        fields = query.get("expand")
        if fields:
            info = {name: value for name, value in info.items() if name in ("_id", "id", *fields)}
        self.send_json(info, {"X-Repo-Commit": commit.id})

    def _tree(self, commit: Commit, revision: str, folder: str, query: Query) -> None:
        entries = commit.tree(folder, asked_for(query, "recursive"))
        if entries is None:
            raise no_entry(commit.id, f'{folder} does not exist on "{revision}"')
        begin = number(query, "cursor", 0)
        end = begin + max(1, number(query, "limit", self.site.page_size))
        page, headers = entries[begin:end], {"X-Repo-Commit": commit.id}
        if end < len(entries):
            following = urlencode({**query, "cursor": [str(end)]}, doseq=True)
            headers["Link"] = f'<{self.origin()}{self.path.partition("?")[0]}?{following}>; rel="next"'
        self.send_json(commit.expand(page) if asked_for(query, "expand") else page, headers)

    def _paths_info(self, commit: Commit, body: bytes) -> None:
        """Take a form, as huggingface_hub sends it, or JSON."""
        if self.headers.get_content_type() == "application/json":
            try:
                given = json.loads(body)
                paths, expand = list(map(str, given["paths"])), bool(given.get("expand"))
            except (ValueError, KeyError, TypeError) as error:
                raise RefusedError(HTTPStatus.BAD_REQUEST, f"paths-info wants paths: {error}") from error
        else:
            form = parse_qs(body.decode())
            paths, expand = form.get("paths", []), asked_for(form, "expand")
        entries = commit.about(paths)
        self.send_json(commit.expand(entries) if expand else entries, {"X-Repo-Commit": commit.id})

    # --- files --------------------------------------------------------------------------------------------------------

    def _resolve(self, name: str, tail: list[str]) -> None:
        account = self._who()
        repo = self._repo(name, account)
        self._admit(repo, account)
        revision, rest = split_revision(tail)
        commit = self._commit(repo, revision)
        file = self._entry(commit, "/".join(rest))
        headers = {"X-Repo-Commit": commit.id, "Accept-Ranges": "bytes"}
        if file.sha256:
            linked = {"X-Linked-Etag": f'"{file.sha256}"', "X-Linked-Size": str(file.size)}
            if not self.site.storage_port:
                return self._content(commit, file, linked)
            where = self.origin(self.site.storage_port) + storage.address(self.site, commit, file)
            return self._redirect(HTTPStatus.FOUND, where, {**headers, **linked})
        if file.size == 0 or name in self.site.accounts.gated:
            return self._content(commit, file, {})
        asked, etag = quote(self.path.partition("?")[0], safe=""), quote(f'"{file.etag}"')
        where = f"/api/resolve-cache/models/{name}/{commit.id}/{quote(file.path)}?{asked}=&etag={etag}"
        return self._redirect(HTTPStatus.TEMPORARY_REDIRECT, where, headers)

    def _resolve_cache(self, name: str, commit_id: str, path: str) -> None:
        account = self._who()
        repo = self._repo(name, account)
        self._admit(repo, account)
        commit = repo.commits.get(commit_id)
        if commit is None:
            raise RefusedError(HTTPStatus.BAD_REQUEST, f"Invalid commit: {commit_id}")
        self._content(commit, self._entry(commit, path), {})

    def _entry(self, commit: Commit, path: str) -> RepoFile:
        file = commit.files.get(path)
        if file is None:
            raise no_entry(commit.id)
        return file

    def _content(self, commit: Commit, file: RepoFile, headers: dict[str, str]) -> None:
        name = file.source.name
        shown = f"inline; filename*=UTF-8''{quote(name)}; filename=\"{name}\";"
        own = {"ETag": f'"{file.etag}"', "X-Repo-Commit": commit.id, "Content-Disposition": shown}
        self.send_file(file.source, f"{commit.repo}/{file.path}", {**own, **headers})

    # --- the package index --------------------------------------------------------------------------------------------

    def _index(self, parts: list[str]) -> None:
        page = self.site.wheels.page(parts[0] if parts else None)
        if page is None:
            raise RefusedError(HTTPStatus.NOT_FOUND, f"No project {parts[0]}")
        self.send(HTTPStatus.OK, page, "text/html; charset=utf-8")

    def _wheel(self, parts: list[str]) -> None:
        wheel = self.site.wheels.wheel("/".join(parts))
        if wheel is None:
            raise RefusedError(HTTPStatus.NOT_FOUND, "No such wheel")
        self.send_file(wheel, "", {"ETag": f'"{wheel.name}"'})
