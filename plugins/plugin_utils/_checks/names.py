# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The variables that the roles know, read from the roles themselves.


This plugin util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import difflib
import functools
import re
from pathlib import Path
from typing import NamedTuple

import yaml

ROOT = Path(__file__).resolve().parents[3]
SHARED = "llmserve_"
# Names with a role's first word that are far from every name of that role are somebody else's.
_NEAR = 0.7
# The same for a typing error in that first word.
_NEAR_WITH_PREFIX = 0.92
# libyaml where Python has it: reading all specifications takes a tenth of the time then.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Names(NamedTuple):
    """The variables that an operator may set, and all names with the roles' prefixes that the collection uses."""

    options: frozenset[str]
    used: frozenset[str]
    prefixes: tuple[str, ...]


class Unknown(NamedTuple):
    """A variable that nothing reads, and the ones that may be meant."""

    name: str
    nearest: list[str]


@functools.lru_cache(maxsize=4)
def known_names(root: Path = ROOT) -> Names:
    """What the roles' specifications declare and mention."""
    specs = sorted(root.glob("roles/*/meta/argument_specs.yml"))
    options: set[str] = set()
    text = ""
    for spec in specs:
        content = spec.read_text(encoding="utf-8")
        text += content
        for entry in (yaml.load(content, _LOADER) or {}).get("argument_specs", {}).values():
            options.update(entry.get("options", {}))
    prefixes = (SHARED, *(f"{spec.parent.parent.name}_" for spec in specs))
    for path in sorted(
        [*root.glob("roles/*/tasks/*.yml"), *root.glob("roles/*/vars/*.yml"), *root.glob("playbooks/*.yml")]
    ):
        text += path.read_text(encoding="utf-8")
    used = set(re.findall(rf"\b(?:{'|'.join(prefixes)})[a-z0-9_]+", text))
    shared = {name for name in used if name.startswith(SHARED)}
    return Names(frozenset(options | shared), frozenset(used | options), prefixes)


def unknown_names(given: list[str], names: Names) -> list[Unknown]:
    """The variables among the given that look like ours and are not."""
    found = []
    for name in sorted(set(given)):
        if name in names.used:
            continue
        prefix = max((prefix for prefix in names.prefixes if name.startswith(prefix)), key=len, default="")
        nearest = _nearest(name, prefix, names.options)
        if nearest or prefix == SHARED:
            found.append(Unknown(name, nearest))
    return found


# Hosts of one cluster have the same variables.
@functools.cache
def _nearest(name: str, prefix: str, options: frozenset[str]) -> list[str]:
    """The option that may be meant. What all of a role's variables begin with says nothing about it."""
    if not prefix:
        return difflib.get_close_matches(name, sorted(options), n=1, cutoff=_NEAR_WITH_PREFIX)
    rest = sorted(option[len(prefix) :] for option in options if option.startswith(prefix))
    return [prefix + found for found in difflib.get_close_matches(name[len(prefix) :], rest, n=1, cutoff=_NEAR)]
