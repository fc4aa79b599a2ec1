# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes wrong when a snapshot is fetched, told apart and with the way out.

This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import errno
import traceback
from typing import Dict, Iterator, NamedTuple, Optional, Sequence, Tuple


class SnapshotError(Exception):
    """The snapshot cannot be had: a sentence for the operator, and its kind for the program."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class Peer(NamedTuple):
    """Another host that has the snapshot, or is fetching it."""

    url: str
    token: str


class Request(NamedTuple):
    """Which snapshot, where from and where to."""

    repo_id: str
    revision: str
    cache_dir: str
    endpoint: str
    token: str
    allow_patterns: Optional[Sequence[str]]
    ignore_patterns: Sequence[str]
    max_workers: int
    # for messages only: the user that writes the cache
    user: str
    # instead of cache_dir: a plain directory with the files themselves
    local_dir: str = ""
    verify: str = "size"
    # seconds without a byte after which a download is given up
    stall_timeout: float = 900.0
    # nearest first; asked instead of the endpoint
    peers: Sequence[Peer] = ()
    # never fall back to the endpoint
    peers_only: bool = False

    @property
    def secrets(self) -> Sequence[str]:
        """What must not appear in anything that is written."""
        return (self.token, *(peer.token for peer in self.peers))

    @property
    def root(self) -> str:
        """The directory that everything is written below."""
        return self.local_dir or self.cache_dir


MESSAGES: Dict[str, str] = {
    "disk_full": (
        "The filesystem of {root} is full. Free space there, or set llmserve_hf_home to a larger one; a new run "
        "goes on where this one stopped."
    ),
    "token_refused": (
        "The Hub at {endpoint} refuses the token (it is mistyped, expired or revoked): create a new one with read "
        "access at {endpoint}/settings/tokens and put it into llmserve_hf_token."
    ),
    "token_missing": (
        "{repo_id} is gated and no token was given: accept its licence at {endpoint}/{repo_id}, create a token with "
        "read access at {endpoint}/settings/tokens and put it into llmserve_hf_token."
    ),
    "licence_not_accepted": (
        "The account of the token may not read {repo_id}: accept the licence at {endpoint}/{repo_id} with that account "
        "and wait for the approval; a fine-grained token also needs the permission for gated repositories."
    ),
    "revision_not_found": (
        "{repo_id} has no revision {revision}: see {endpoint}/{repo_id}/commits/main and set llmserve_model_revision "
        "to a branch, tag or commit."
    ),
    "model_not_found": (
        "There is no model {repo_id} at {endpoint}, or the token given (if any) may not see it: check the spelling of "
        "llmserve_model, and llmserve_hf_token for a private one."
    ),
    "hub_unreachable": (
        "The Hub at {endpoint} cannot be reached from this host ({reason}): check its name resolution, HTTPS_PROXY and "
        "firewall, or set llmserve_hf_endpoint to a mirror."
    ),
    "hub_error": "The download of {repo_id} failed: {reason}",
}
_CONNECTION = {"ConnectError", "TimeoutException", "TransportError", "OfflineModeIsEnabled", "ConnectionError"}


def not_writable(request: Request, where: str) -> SnapshotError:
    """The error for a cache that belongs to somebody else."""
    return SnapshotError(
        "not_writable",
        "{0} is not writable for the user {1}, who downloads the model. An earlier run as another user (a container as "
        "root, for example) may own it: `chown -R {1} {0}` mends that.".format(where, request.user),
    )


def explain(error: BaseException, request: Request) -> SnapshotError:
    """What an exception of huggingface_hub means. It goes by class names: nothing of it is imported here."""
    if isinstance(error, SnapshotError):
        return error
    chain = list(_chain(error))
    denied = next((item for item in chain if isinstance(item, PermissionError)), None)
    if denied is not None:
        return not_writable(request, str(denied.filename or request.root))
    kind, status = _classify(chain, bool(request.token))
    if kind == "hub_unreachable":
        reason = "HTTP {0}".format(status) if status else str(chain[-1]) or type(chain[-1]).__name__
    else:
        reason = traceback.format_exception_only(type(error), error)[-1].strip()
    return SnapshotError(kind, MESSAGES[kind].format(reason=reason, root=request.root, **request._asdict()))


def _chain(error: Optional[BaseException]) -> Iterator[BaseException]:
    seen = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _classify(chain: Sequence[BaseException], has_token: bool) -> Tuple[str, Optional[int]]:
    names = {cls.__name__ for item in chain for cls in type(item).__mro__}
    said = " ".join(str(item) for item in chain)
    codes = {item.errno for item in chain if isinstance(item, OSError)}
    statuses = (getattr(getattr(item, "response", None), "status_code", None) for item in chain)
    status = next((code for code in statuses if code), None)
    gated = "GatedRepoError" in names
    # the first rule that holds; GatedRepoError is a RepositoryNotFoundError, too
    rules = (
        (errno.ENOSPC in codes or errno.EDQUOT in codes or "No space left" in said, "disk_full"),
        (status == 401 and has_token and not gated and "Invalid credentials" in said, "token_refused"),
        (gated and not has_token, "token_missing"),
        (gated or status == 403, "licence_not_accepted"),
        ("RevisionNotFoundError" in names, "revision_not_found"),
        (bool(names & {"RepositoryNotFoundError", "HFValidationError"}) or status in (401, 404), "model_not_found"),
        (bool(names & _CONNECTION) or status == 429 or (status or 0) >= 500, "hub_unreachable"),
    )
    return next((kind for holds, kind in rules if holds), "hub_error"), status
