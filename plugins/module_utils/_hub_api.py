# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask a Hugging Face Hub about one model, and tell its refusals apart.

Read-only and with the standard library alone: it runs on bare hosts, before huggingface_hub is installed there, and
on controllers that never have it.
This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import http.client
import json
import time
from typing import Any, Callable, Dict, List, NamedTuple, NoReturn, Optional, Tuple
from urllib.error import HTTPError
from urllib.parse import quote, urljoin, urlsplit

from ansible.module_utils.urls import ConnectionError as UrlsError
from ansible.module_utils.urls import open_url
from ansible_collections.llmserve.vllm.plugins.module_utils._hub import RepoFile, is_repo_id
from ansible_collections.llmserve.vllm.plugins.module_utils._json_object import (
    MAX_CONFIG,
    MAX_INDEX,
    JsonError,
    parse_object,
)

_REDIRECTS = (301, 302, 303, 307, 308)
_MAX_REDIRECTS = 5
_BUSY = (429, 500, 502, 503, 504)
_ATTEMPTS = 3
_CHUNK = 1 << 16

# The first byte of a range, and the first one after it.
Span = Tuple[int, int]


class HubError(Exception):
    """The Hub cannot give the model: a sentence for the operator, and its kind for the program."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class Response(NamedTuple):
    """An HTTP answer; header names are in lower case."""

    status: int
    headers: Dict[str, str]
    body: bytes


class ModelInfo(NamedTuple):
    """What the Hub says about one revision of a model."""

    repo_id: str
    commit: str
    gated: bool
    files: List[RepoFile]


class HubClient:
    """A Hub, by its endpoint, token and patience."""

    def __init__(
        self,
        endpoint: str,
        token: Optional[str] = None,
        timeout: float = 20,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.endpoint = endpoint.rstrip("/")
        self.token = token or None
        self.timeout = timeout
        self._sleep = sleep

    def model_info(self, repo_id: str, revision: str) -> ModelInfo:
        """The commit of a revision and every file in it."""
        if not is_repo_id(repo_id):
            raise HubError(
                "bad_repo_id",
                "{0!r} is not a Hugging Face repository id: set llmserve_model to ORGANISATION/NAME.".format(repo_id),
            )
        path = "/api/models/{0}/revision/{1}?blobs=true".format(repo_id, quote(revision, safe=""))
        response = self._get(path)
        if response.status != 200:
            self._refuse(response, repo_id, revision)
        data = self._json(response, path)
        if not isinstance(data, dict) or not isinstance(data.get("sha"), str):
            raise HubError(
                "hub_error", "{0}{1} answered without a commit: is it a Hugging Face Hub?".format(*self._at(path))
            )
        files = [
            RepoFile(item["rfilename"], int((item.get("lfs") or {}).get("size") or item.get("size") or 0))
            for item in data.get("siblings") or ()
        ]
        return ModelInfo(str(data.get("id") or repo_id), data["sha"], bool(data.get("gated")), files)

    def config(self, repo_id: str, commit: str) -> Dict[str, Any]:
        """The model's config.json, empty when the repository has none. The first file behind a gate."""
        return self.json_file(repo_id, commit, "config.json", MAX_CONFIG) or {}

    def json_file(self, repo_id: str, commit: str, path: str, limit: int) -> Optional[Dict[str, Any]]:
        """An object that is a file of the repository, C(None) when there is no such file."""
        response = self._get(_resolve(repo_id, commit, path), limit=limit)
        if response.status == 404 and response.headers.get("x-error-code") == "EntryNotFound":
            return None
        if response.status != 200:
            self._refuse(response, repo_id, commit)
        try:
            return parse_object(response.body, limit)
        except JsonError as exc:
            raise HubError(
                "bad_file",
                "{0} of {1} at {2} {3}: choose another llmserve_model_revision, or check any proxy between this host "
                "and {4}.".format(path, repo_id, commit, exc, self.endpoint),
            ) from exc

    def part(self, repo_id: str, commit: str, path: str, span: Span) -> bytes:
        """Some bytes of a file; fewer when it ends before. A server without ranges is read up to their end only."""
        start, end = span
        response = self._get(_resolve(repo_id, commit, path), limit=end - start, span=span)
        if response.status == 206:
            given = response.headers.get("content-range", "")
            if given.startswith("bytes {0}-".format(start)):
                return response.body
            wrong = "other bytes ({0!r})".format(given)
        elif response.status == 200:
            return response.body[start:]
        else:
            wrong = "HTTP {0}".format(response.status)
        raise HubError(
            "hub_error",
            "Asked for the bytes {0} to {1} of {2} in {3}, {4} answered {5}.".format(
                start, end - 1, path, repo_id, self.endpoint, wrong
            ),
        )

    def _at(self, path: str) -> List[str]:
        return [self.endpoint, path.partition("?")[0]]

    def _json(self, response: Response, path: str) -> Any:
        try:
            return json.loads(response.body.decode("utf-8"))
        except ValueError as exc:
            raise HubError(
                "hub_error",
                "{0}{1} answered with something that is not JSON: check llmserve_hf_endpoint and any proxy in "
                "between.".format(*self._at(path)),
            ) from exc

    def _get(self, path: str, limit: int = MAX_INDEX, span: Optional[Span] = None) -> Response:
        """GET with patience for a busy Hub; a connection that fails is not tried again."""
        for attempt in range(1, _ATTEMPTS + 1):
            response = self._follow(self.endpoint + path, limit, span)
            if response.status not in _BUSY or attempt == _ATTEMPTS:
                break
            self._sleep(min(float(attempt), self.timeout))
        if response.status in _BUSY:
            raise HubError(
                "hub_unreachable",
                "The Hub at {0} is busy or broken (HTTP {1}, {2} attempts): try again later.".format(
                    self.endpoint, response.status, _ATTEMPTS
                ),
            )
        return response

    def _follow(self, url: str, limit: int, span: Optional[Span]) -> Response:
        # By hand, because the token must not follow a redirect to another host (a CDN, a proxy's login page).
        home = urlsplit(self.endpoint)
        for _hop in range(_MAX_REDIRECTS + 1):
            here = urlsplit(url)
            trusted = (here.scheme, here.netloc) == (home.scheme, home.netloc)
            response = self._once(url, self.token if trusted else None, limit, span)
            location = response.headers.get("location")
            if response.status not in _REDIRECTS or not location:
                return response
            url = urljoin(url, location)
        raise HubError(
            "hub_error", "The Hub at {0} redirects for ever: check llmserve_hf_endpoint.".format(self.endpoint)
        )

    def _once(self, url: str, token: Optional[str], limit: int, span: Optional[Span]) -> Response:
        headers = {"Accept": "*/*" if span else "application/json"}
        if token:
            headers["Authorization"] = "Bearer " + token
        if span:
            headers["Range"] = "bytes={0}-{1}".format(span[0], span[1] - 1)
        try:
            answer = open_url(
                url,
                method="GET",
                headers=headers,
                timeout=self.timeout,
                follow_redirects="none",
                use_netrc=False,
                http_agent="llmserve.vllm",
            )
        except HTTPError as error:
            # every status but 2xx arrives as an exception that is also the answer
            answer = error
        except (OSError, UrlsError, http.client.HTTPException, ValueError) as exc:
            raise self._unreachable(exc, url) from exc
        found = {name.lower(): value for name, value in answer.headers.items()}
        # one byte more tells a text that is too long; the whole file, instead of a range, is cut at the range's end
        most = limit + 1 if span is None else (span[1] if answer.code == 200 else limit)
        try:
            body = _read(answer, most, found)
        except (OSError, http.client.HTTPException, EOFError) as exc:
            raise self._unreachable(exc, url) from exc
        finally:
            # closing in the middle of a body is how the rest of a file is declined
            answer.close()
        return Response(int(answer.code), found, body)

    def _unreachable(self, error: Exception, url: str) -> HubError:
        reason = getattr(error, "reason", None) or error
        host = urlsplit(url).netloc
        if host != urlsplit(self.endpoint).netloc:
            return HubError(
                "hub_unreachable",
                "The Hub at {0} sends this host on to {1}, which cannot be reached ({2}): check HTTPS_PROXY and "
                "firewall, or set llmserve_hf_endpoint to a mirror.".format(self.endpoint, host, reason),
            )
        return HubError(
            "hub_unreachable",
            "The Hub at {0} cannot be reached from this host ({1}): check its name resolution, HTTPS_PROXY and "
            "firewall, or set llmserve_hf_endpoint to a mirror.".format(self.endpoint, reason),
        )

    def _token_is_refused(self) -> bool:
        return self._get("/api/whoami-v2").status == 401

    def _refuse(self, response: Response, repo_id: str, revision: str) -> NoReturn:
        """Raise what an answer other than 200 means. The Hub says 401 also for what does not exist."""
        code = response.headers.get("x-error-code") or ""
        said = response.headers.get("x-error-message") or ""
        where = "{0}/{1}".format(self.endpoint, repo_id)
        if response.status == 401 and self.token and self._token_is_refused():
            raise HubError(
                "token_refused",
                "The Hub at {0} refuses the token in llmserve_hf_token (it is mistyped, expired or revoked): create a "
                "new one with read access at {0}/settings/tokens.".format(self.endpoint),
            )
        if code == "GatedRepo" and response.status == 401 and not self.token:
            raise HubError(
                "token_missing",
                "{0} is gated and no token was given: accept its licence at {1}, create a token with read access at "
                "{2}/settings/tokens and put it into llmserve_hf_token (ansible-vault).".format(
                    repo_id, where, self.endpoint
                ),
            )
        if code == "DisabledRepo":
            raise HubError("model_disabled", "The Hub has disabled {0}: choose another model.".format(repo_id))
        if code == "GatedRepo" or (response.status == 403 and self.token):
            raise HubError(
                "licence_not_accepted",
                "The account of llmserve_hf_token may not read {0}: accept the licence at {1} with that account and "
                "wait for the approval; a fine-grained token also needs the permission for gated "
                "repositories.{2}".format(repo_id, where, _quote(said)),
            )
        if code == "RevisionNotFound":
            raise HubError(
                "revision_not_found",
                "{0} has no revision {1!r}: see {2}/commits/main and set llmserve_model_revision to a branch, tag or "
                "commit.".format(repo_id, revision, where),
            )
        if response.status == 401 and not self.token:
            raise HubError(
                "model_not_found",
                "There is no public model {0} at {1}: check the spelling of llmserve_model; if it is private, put a "
                "token into llmserve_hf_token.".format(repo_id, self.endpoint),
            )
        if response.status in (401, 404):
            raise HubError(
                "model_not_found",
                "There is no model {0} at {1}, or it is private and the given token's account may not see it: check "
                "the spelling of llmserve_model.".format(repo_id, self.endpoint),
            )
        raise HubError(
            "hub_error", "The Hub answered HTTP {0} for {1}.{2}".format(response.status, where, _quote(said))
        )


def _quote(said: str) -> str:
    return " The Hub says: {0!r}.".format(said[:300]) if said else ""


def _resolve(repo_id: str, commit: str, path: str) -> str:
    return "/{0}/resolve/{1}/{2}".format(repo_id, commit, quote(path))


def _read(answer: Any, most: int, headers: Dict[str, str]) -> bytes:
    """The body up to a length. An answer that ends before its time raises, as an unlimited read would."""
    parts: List[bytes] = []
    got = 0
    while got < most:
        part = answer.read(min(_CHUNK, most - got))
        if not part:
            break
        parts.append(part)
        got += len(part)
    announced = headers.get("content-length", "")
    if got < most and announced.isdigit() and got < int(announced) and "content-encoding" not in headers:
        raise http.client.IncompleteRead(b"".join(parts), int(announced) - got)
    return b"".join(parts)
