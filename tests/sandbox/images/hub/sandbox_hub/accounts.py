"""Who asks, what they may have, and the Hub's ways to refuse."""

from __future__ import annotations

from dataclasses import dataclass, field
from http import HTTPStatus
from typing import NamedTuple

# repositories with a licence to accept, when nothing else is said
GATED = frozenset({"sandbox/tiny-llama-instruct"})


class RefusedError(Exception):
    """A request that the Hub answers with an error of its own kind."""

    def __init__(self, status: HTTPStatus, message: str, code: str | None = None, commit: str | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.code, self.commit = status, message, code, commit


class Account(NamedTuple):
    """Whom a token belongs to, and the repositories whose licence they have accepted."""

    name: str
    accepted: frozenset[str]


@dataclass
class Accounts:
    """All tokens, and what is not open to everybody."""

    tokens: dict[str, Account] = field(
        default_factory=lambda: {
            "hf_sandbox": Account("sandbox-user", GATED),
            "hf_sandbox_stranger": Account("sandbox-stranger", frozenset()),
        }
    )
    gated: frozenset[str] = GATED

    def who(self, authorization: str) -> Account | None:
        """Return who asks, or None for nobody; refuse a token that does not exist."""
        if not authorization:
            return None
        scheme, _space, token = authorization.partition(" ")
        account = self.tokens.get(token.strip())
        if scheme.lower() != "bearer" or account is None:
            raise RefusedError(HTTPStatus.UNAUTHORIZED, "Invalid credentials in Authorization header")
        return account

    def admit(self, repo: str, account: Account | None, site: str) -> None:
        """Refuse the files of a gated repository to those who may not have them."""
        if repo not in self.gated:
            return
        restricted = f"Access to model {repo} is restricted"
        if account is None:
            message = f"{restricted}. You must have access to it and be authenticated to access it. Please log in."
            raise RefusedError(HTTPStatus.UNAUTHORIZED, message, "GatedRepo")
        if repo not in account.accepted:
            message = f"{restricted} and you are not in the authorized list. Visit {site}/{repo} to ask for access."
            raise RefusedError(HTTPStatus.FORBIDDEN, message, "GatedRepo")


def no_repository(account: Account | None) -> RefusedError:
    """A missing repository looks private to those who are not logged in."""
    if account is None:
        return RefusedError(HTTPStatus.UNAUTHORIZED, "Invalid username or password.", "RepoNotFound")
    return RefusedError(HTTPStatus.NOT_FOUND, "Repository not found", "RepoNotFound")


def no_revision(revision: str) -> RefusedError:
    return RefusedError(HTTPStatus.NOT_FOUND, f"Invalid rev id: {revision}", "RevisionNotFound")


def no_entry(commit: str, message: str = "Entry not found") -> RefusedError:
    return RefusedError(HTTPStatus.NOT_FOUND, message, "EntryNotFound", commit)


def no_page() -> RefusedError:
    return RefusedError(HTTPStatus.NOT_FOUND, "Sorry, we can't find the page you are looking for.")
