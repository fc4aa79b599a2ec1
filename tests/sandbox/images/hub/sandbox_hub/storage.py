"""The storage that LFS files are redirected to: a port of its own, where addresses are signed and tokens unknown."""

from __future__ import annotations

from http import HTTPStatus
from urllib.parse import SplitResult, parse_qs, quote

from .answers import TEXT, Answers
from .repos import Commit, RepoFile
from .site import Site

ROOT = "storage"


def address(site: Site, commit: Commit, file: RepoFile) -> str:
    """Path and query under which the storage gives out a file to everybody who knows them."""
    path = f"/{ROOT}/{commit.repo}/{commit.id}/{file.path}"
    return f"{quote(path)}?signature={site.signature(path)}"


class Storage(Answers):
    """One connection to the storage."""

    def answer(self, url: SplitResult, parts: list[str], body: bytes) -> None:
        """Send the file that the address names."""
        if self.headers.get("Authorization"):
            self._counters.saw_token()
        path = self.request_seen.path
        if parts[:1] != [ROOT] or parse_qs(url.query).get("signature") != [self.site.signature(path)]:
            return self.send(HTTPStatus.FORBIDDEN, b"the signature is missing or wrong\n", TEXT)
        repo, commit, name = "/".join(parts[1:3]), parts[3], "/".join(parts[4:])
        file = self.site.repos[repo].commits[commit].files[name]
        return self.send_file(file.source, f"{repo}/{name}", {"ETag": f'"{file.etag}"'})
