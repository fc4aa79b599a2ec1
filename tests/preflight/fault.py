# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a fault is, and ways to put one into a healthy cluster."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from ansible_collections.llmserve.vllm.tests.preflight.cluster import Picture

Inject = Callable[[Picture], Any]


class Fault(NamedTuple):
    """One fault."""

    name: str
    check: str
    what: str
    mend: str
    inject: Inject
    fabric: str = "infiniband"
    hosts: int = 2


def put(path: str, value: Any, index: int = 1) -> Inject:
    """Sets a fact of one host, by keys and numbers with dots between them."""

    def inject(picture: Picture) -> None:
        place: Any = picture.nodes[index]
        *steps, last = path.split(".")
        for step in steps:
            place = place[int(step)] if step.isdigit() else place[step]
        place[int(last) if last.isdigit() else last] = value

    return inject


def fact(path: str, value: Any) -> Inject:
    return put(f"facts.{path}", value)


def wish(path: str, value: Any) -> Inject:
    return put(f"wish.{path}", value)


def together(*several: Inject) -> Inject:
    def inject(picture: Picture) -> None:
        for one in several:
            one(picture)

    return inject


def every(path: str, value: Any) -> Inject:
    return together(put(f"facts.{path}", value, 0), put(f"facts.{path}", value, 1))


def cluster_wish(**values: Any) -> Inject:
    return lambda picture: picture.wishes.update(values)
