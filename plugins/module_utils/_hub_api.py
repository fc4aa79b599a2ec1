# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask a Hugging Face Hub about one model, and tell its refusals apart.

Read-only and with nothing but ansible-core on the target: it runs before huggingface_hub is installed there.
This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import http.client
import json
import time
from typing import Any, Callable, Dict, List, NamedTuple, NoReturn, Optional
from urllib.error import HTTPError
from urllib.parse import quote, urljoin, urlsplit

from ansible.module_utils.urls import ConnectionError as UrlsError
from ansible.module_utils.urls import open_url
from ansible_collections.llmserve.vllm.plugins.module_utils._hub import RepoFile, is_repo_id

_REDIRECTS = (301, 302, 303, 307, 308)
_MAX_REDIRECTS = 5
_BUSY = (429, 500, 502, 503, 504)
_ATTEMPTS = 3


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
        path = "/{0}/resolve/{1}/config.json".format(repo_id, commit)
        response = self._get(path)
        if response.status == 404 and response.headers.get("x-error-code") == "EntryNotFound":
            return {}
        if response.status != 200:
            self._refuse(response, repo_id, commit)
        data = self._json(response, path)
        return data if isinstance(data, dict) else {}

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

    def _get(self, path: str) -> Response:
        """GET with patience for a busy Hub; a connection that fails is not tried again."""
        for attempt in range(1, _ATTEMPTS + 1):
            response = self._follow(self.endpoint + path)
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

    def _follow(self, url: str) -> Response:
        # By hand, because the token must not follow a redirect to another host (a CDN, a proxy's login page).
        home = urlsplit(self.endpoint)
        for _hop in range(_MAX_REDIRECTS + 1):
            here = urlsplit(url)
            trusted = (here.scheme, here.netloc) == (home.scheme, home.netloc)
            response = self._once(url, self.token if trusted else None)
            location = response.headers.get("location")
            if response.status not in _REDIRECTS or not location:
                return response
            url = urljoin(url, location)
        raise HubError(
            "hub_error", "The Hub at {0} redirects for ever: check llmserve_hf_endpoint.".format(self.endpoint)
        )

    def _once(self, url: str, token: Optional[str]) -> Response:
        headers = {"Accept": "application/json"}
        if token:
            headers["Authorization"] = "Bearer " + token
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
            raise self._unreachable(exc) from exc
        try:
            body = answer.read()
        except (OSError, http.client.HTTPException) as exc:
            raise self._unreachable(exc) from exc
        found = {name.lower(): value for name, value in answer.headers.items()}
        return Response(int(answer.code), found, body)

    def _unreachable(self, error: Exception) -> HubError:
        reason = getattr(error, "reason", None) or error
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
