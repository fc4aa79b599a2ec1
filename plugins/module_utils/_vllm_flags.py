# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which flags C(vllm serve) accepts in which release, and how each takes its value.

The data modules hold one line a flag; here it becomes what one release accepts.
This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import functools
import re
from typing import Dict, List, NamedTuple, Optional, Tuple

from ansible_collections.llmserve.vllm.plugins.module_utils import (
    _vllm_flags_choices,
    _vllm_flags_gone,
    _vllm_flags_today,
)

# (0, 33, 0), and (0, 8, 5, 1) for 0.8.5.post1.
Release = Tuple[int, ...]

# How a flag takes its value:
#   str int float   one value
#   human           one whole number, also with a suffix (16k, 2M)
#   length          as human, or auto
#   choice          one of the words in Flag.choices
#   json            one value: a word of its own or JSON; dicts and lists are written as JSON
#   pairs           one value: a dict is written as key=value,key=value
#   comma           one value: a list is joined with commas
#   many            one or more values after one flag
#   repeated        the flag once for every value
#   switch          --flag or --no-flag
#   on_only         --flag; leaving it out means false
#   boolean         --flag or --flag=false
#   optional        --flag or --flag VALUE
SWITCHES = ("switch", "on_only", "boolean")
# What argparse sees of a kind: only this can be read from a help text.
_FORMS = {"switch": "switch", "on_only": "on_only", "boolean": "optional", "optional": "optional", "many": "many"}


class Flag(NamedTuple):
    """A flag that one release accepts."""

    name: str
    kind: str
    choices: Tuple[str, ...] = ()

    @property
    def form(self) -> str:
        return _FORMS.get(self.kind, "value")


class Life(NamedTuple):
    """From which release to which a flag was accepted."""

    first: str
    # The first release without it; empty when the newest one has it.
    gone: str


def parse_release(version: Optional[str]) -> Optional[Release]:
    """The release in a version or an image tag such as C(v0.33.0-cu129); None when it names none."""
    match = re.match(r"v?(\d+)\.(\d+)(?:\.(\d+))?(?:\.(?:post)?(\d+))?", version or "")
    if not match:
        return None
    major, minor, patch, post = match.groups()
    return (int(major), int(minor), int(patch or 0)) + ((int(post),) if post else ())


@functools.lru_cache(maxsize=1)
def known_releases() -> List[str]:
    """The releases that were read, the oldest first."""
    return _vllm_flags_today.RELEASES.split()


def is_known(release: Optional[Release]) -> bool:
    """Whether the flags of a release are known: any patch of the releases that were read."""
    if release is None:
        return False
    oldest, newest = (_number(known_releases()[index]) for index in (0, -1))
    return oldest <= release and release[:2] <= newest[:2]


@functools.lru_cache(maxsize=8)
def flags_of(release: Optional[Release]) -> Dict[str, Flag]:
    """The flags of a release; of the newest known one where the release is not known."""
    at = release if release is not None and is_known(release) else _number(known_releases()[-1])
    found = {}
    for name, spans in _histories().items():
        kind = _state(spans, at)
        if kind != "-":
            choices = _choices(name, at) if kind == "choice" else ()
            found[name] = Flag(name, kind, choices)
    return found


def life(name: str) -> Optional[Life]:
    """When a flag came and went; None for one that no release has had."""
    spans = _histories().get(name)
    if not spans:
        return None
    return Life(spans[0][0], spans[-1][0] if spans[-1][1] == "-" else "")


@functools.lru_cache(maxsize=1)
def aliases() -> Dict[str, str]:
    """Abbreviations and second names, with the flag that each stands for."""
    return dict(_pairs(_vllm_flags_gone.ALIASES))


def deprecated_since(name: str, release: Release) -> str:
    """The release since which vLLM announces that a flag will go, where this release does; else empty."""
    since = dict(_pairs(_vllm_flags_gone.DEPRECATED)).get(name, "")
    return since if since and _number(since) <= release else ""


def _number(name: str) -> Release:
    return parse_release(name) or (0,)


def _pairs(text: str) -> List[Tuple[str, str]]:
    """The lines C(name: rest) of a table; a line that begins with a space goes on with the one before."""
    lines = [line for line in text.replace("\n ", " ").split("\n") if line]
    return [(name, rest.strip()) for name, _colon, rest in (line.partition(":") for line in lines)]


@functools.lru_cache(maxsize=1)
def _histories() -> Dict[str, List[Tuple[str, str]]]:
    """Every flag of any release: the releases at which its kind changed."""
    found = {}
    for name, text in _pairs(_vllm_flags_today.FLAGS) + _pairs(_vllm_flags_gone.FLAGS):
        parts = [part.partition(" ") for part in text.split(", ")]
        found[name] = [(since, kind) for since, _space, kind in parts]
    return found


def _state(spans: List[Tuple[str, str]], at: Release) -> str:
    states = [kind for since, kind in spans if _number(since) <= at]
    return states[-1] if states else "-"


@functools.lru_cache(maxsize=1)
def _all_choices() -> Dict[str, List[str]]:
    return {name: text.split() for name, text in _pairs(_vllm_flags_choices.CHOICES)}


def _choices(name: str, at: Release) -> Tuple[str, ...]:
    """The words that a flag takes in a release, from entries such as C(fp8), C(bf16@0.9.0) and C(old@0.5.0-0.8.0)."""
    found = []
    for entry in _all_choices().get(name, []):
        word, _at, rest = entry.partition("@")
        # each part is a time in which the word was taken
        times = [part.partition("-") for part in rest.split("@")] if rest else [("0.0", "", "")]
        if any(_number(since) <= at and (not until or at < _number(until)) for since, _dash, until in times):
            found.append(word)
    return tuple(found)
