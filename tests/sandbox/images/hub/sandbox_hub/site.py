"""Everything that the ports of one Hub share."""

from __future__ import annotations

import copy
import hashlib
import hmac
import secrets
from dataclasses import dataclass, field
from typing import Any

from .accounts import Accounts
from .faults import Counters, Faults
from .repos import Repo
from .wheels import WheelIndex


@dataclass
class Site:
    """What is served, to whom, and how badly."""

    repos: dict[str, Repo]
    wheels: WheelIndex
    renamed: dict[str, str] = field(default_factory=dict)
    accounts: Accounts = field(default_factory=Accounts)
    # bytes per second of a file of weights; 0: no limit
    rate: int = 0
    # entries of a page of a tree, where the client names no number
    page_size: int = 1000
    # where LFS files are redirected to; 0: they are answered at once
    storage_port: int = 0
    # whether /_test/ is answered
    steerable: bool = False
    quiet: bool = False
    faults: Faults = field(default_factory=Faults)
    counters: Counters = field(default_factory=Counters)

    def __post_init__(self) -> None:
        self._key = secrets.token_bytes(16)
        self._first = self._changeable()

    def _changeable(self) -> dict[str, Any]:
        refs = {name: repo.refs for name, repo in self.repos.items()}
        return copy.deepcopy({"refs": refs, "renamed": self.renamed, "accounts": self.accounts, "rate": self.rate})

    def restore(self) -> None:
        """Forget all orders: as it was when it started."""
        first = copy.deepcopy(self._first)
        for name, refs in first["refs"].items():
            self.repos[name].refs = refs
        self.renamed, self.accounts, self.rate = first["renamed"], first["accounts"], first["rate"]
        self.faults.set([])
        self.counters = Counters()

    def signature(self, path: str) -> str:
        """What opens a path of the storage."""
        return hmac.new(self._key, path.encode(), hashlib.sha256).hexdigest()
