"""Orders of tests and benchmarks below /_test/, with --test-control.

    GET  stats      total (bytes of repositories' files), bytes (by ORG/NAME/PATH), clients (requests and bytes by
                    address), requests (by method), answers (by status), wheels (bytes), token_at_storage (requests
                    to the storage that had a token with them)
    GET  faults     the faults that are still to happen
    POST faults     [FAULT, ...] in place of all others; see faults.py
    POST reset      count from zero
    POST restore    everything as it was at the start
    POST move       {"repo", "ref", "to"}: a branch (default: main), tag or whole ref to where another ref or commit
                    is; null removes it; a new bare name becomes a branch
    POST rename     {"old", "new"}: redirect the old name; null ends that
    POST gate       {"repo", "gated": bool}
    POST allow      {"token", "repos": [...], "user"}: the token exists, and has accepted the licences of these
                    (default: of all that are gated)
    POST revoke     {"token"}
    POST rate       {"rate"}: bytes per second of a file of weights; 0: no limit

What /_test/ and /healthz serve is not counted, and faults do not meet it.
"""

from __future__ import annotations

import json
from typing import Any

from .accounts import Account
from .faults import Counters
from .repos import full_refs
from .site import Site

PREFIX = "/_test/"


def steer(site: Site, method: str, path: str, body: bytes) -> Any:
    """Carry out an order and answer with JSON; ValueError when it makes no sense."""
    what = path.removeprefix(PREFIX)
    if method == "GET":
        if what not in ("stats", "faults"):
            raise ValueError(f"nothing to read at {path}")
        return site.counters.figures() if what == "stats" else site.faults.left()
    if what not in ORDERS:
        raise ValueError(f"no such order: {path}; there are {', '.join(ORDERS)}")
    given: Any = json.loads(body) if body else {}
    try:
        ORDERS[what](site, given)
    except KeyError as error:
        raise ValueError(f"{path}: {error} is missing or unknown") from error
    return {}


def _reset(site: Site, given: Any) -> None:
    site.counters = Counters()


def _move(site: Site, given: Any) -> None:
    repo = site.repos[given["repo"]]
    name = given.get("ref", "main")
    ref = repo.full_ref(name) or full_refs(name)[0]
    if given["to"] is None:
        del repo.refs[ref]
        return
    commit = repo.at(given["to"])
    if commit is None:
        raise KeyError(given["to"])
    repo.refs[ref] = commit.id


def _rename(site: Site, given: Any) -> None:
    if given["new"] is None:
        del site.renamed[given["old"]]
        return
    site.renamed[given["old"]] = given["new"]


def _gate(site: Site, given: Any) -> None:
    repo = {site.repos[given["repo"]].name}
    site.accounts.gated = site.accounts.gated | repo if given["gated"] else site.accounts.gated - repo


def _allow(site: Site, given: Any) -> None:
    accepted = frozenset(given.get("repos", site.accounts.gated))
    site.accounts.tokens[given["token"]] = Account(given.get("user", "sandbox-user"), accepted)


def _revoke(site: Site, given: Any) -> None:
    del site.accounts.tokens[given["token"]]


def _rate(site: Site, given: Any) -> None:
    site.rate = int(given["rate"])


ORDERS = {
    "faults": lambda site, given: site.faults.set(given),
    "reset": _reset,
    "restore": lambda site, given: site.restore(),
    "move": _move,
    "rename": _rename,
    "gate": _gate,
    "allow": _allow,
    "revoke": _revoke,
    "rate": _rate,
}
