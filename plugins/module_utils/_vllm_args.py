# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Turn engine arguments into the argv of C(vllm serve), as far as a given release accepts them.

vLLM ends with "unrecognized arguments" minutes after the containers were started, and argparse silently takes an
abbreviation for the longer flag; here both are found on the controller, and all that is wrong is said at once.
This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import json
from typing import Any, Dict, List, Mapping, NamedTuple, Optional

from ansible_collections.llmserve.vllm.plugins.module_utils._vllm_bad import known_bad
from ansible_collections.llmserve.vllm.plugins.module_utils._vllm_flags import (
    Flag,
    flags_of,
    is_known,
    known_releases,
    parse_release,
)
from ansible_collections.llmserve.vllm.plugins.module_utils._vllm_help import canonical, merge
from ansible_collections.llmserve.vllm.plugins.module_utils._vllm_render import (
    VARIABLE,
    Argument,
    VllmArgsError,
    render,
)
from ansible_collections.llmserve.vllm.plugins.module_utils._vllm_resolve import Target, resolve

# Dotted options came with this release; before it, they have to be JSON.
_DOTTED_SINCE = (0, 9, 0)


class VllmArgs(NamedTuple):
    """The arguments, and what the operator should know about them."""

    argv: List[str]
    warnings: List[str]


class _Entry(NamedTuple):
    argument: Argument
    value: Any


def build_argv(
    engine_args: Mapping[str, Any],
    version: Optional[str] = None,
    accepted: Optional[Mapping[str, Flag]] = None,
) -> VllmArgs:
    """The argv for C(vllm serve MODEL), without the model.

    accepted are the flags that the target's own help has named; they win over what is known of its release.
    """
    target = _target(version, accepted)
    entries: Dict[str, _Entry] = {}
    warnings: List[str] = []
    problems: List[str] = []
    for key, value in engine_args.items():
        if value is None:
            continue
        try:
            found = resolve(str(key), value, target)
            warnings += found.warnings
            for argument, item in found.arguments:
                _add(entries, _Entry(argument, item), target)
        except VllmArgsError as exc:
            problems.append(str(exc))
    _fold(entries, target, problems)
    advice = known_bad({name: _plain(entry) for name, entry in entries.items()}, target.release)
    problems += advice.problems
    warnings += advice.warnings
    for name, value in advice.added.items():
        entries.update((new.name, _Entry(new, item)) for new, item in resolve(name, value, target).arguments)
    argv = _words(entries, problems)
    if problems:
        raise VllmArgsError(_together(problems))
    if not target.checked and entries:
        warnings.append(_unchecked(version))
    return VllmArgs(argv, warnings)


def _target(version: Optional[str], accepted: Optional[Mapping[str, Flag]]) -> Target:
    release = parse_release(version)
    known = flags_of(release)
    if accepted:
        return Target(release, version or "of the image", merge(known, accepted), True, True)
    return Target(release, version or "", known, is_known(release))


def _add(entries: Dict[str, _Entry], entry: _Entry, target: Target) -> None:
    head, dot, rest = entry.argument.name.partition(".")
    name = canonical(head, target.flags) + dot + rest
    before = entries.get(name)
    if before is not None:
        raise VllmArgsError(
            "{0!r} and {1!r} in {2} set the same flag --{3}: keep one.".format(
                before.argument.key, entry.argument.key, VARIABLE, name
            )
        )
    entries[name] = entry


def _plain(entry: _Entry) -> Any:
    """A value as the flag itself has it: C(no-x: true) is false."""
    return entry.value != entry.argument.negated if isinstance(entry.value, bool) else entry.value


def _fold(entries: Dict[str, _Entry], target: Target, problems: List[str]) -> None:
    """Put dotted options into the JSON value of their flag, where vLLM would not do that itself.

    Releases before 0.9.0 know no dots; later ones let a JSON value beside dots win, and lose what the dots said.
    """
    old = target.checked and target.release is not None and target.release < _DOTTED_SINCE
    for name in [name for name in entries if "." in name]:
        head, _dot, rest = name.partition(".")
        if not old and head not in entries:
            continue
        dotted = entries[name]
        base = entries.get(head) or _Entry(dotted.argument._replace(name=head), {})
        whole = _as_dict(base.value)
        if whole is None:
            problems.append(
                "{0!r} and {1!r} in {2} set the same flag --{3}: keep one.".format(
                    base.argument.key, dotted.argument.key, VARIABLE, head
                )
            )
            continue
        _put(whole, rest.split("."), dotted.value)
        # in the place of the dotted one, so that the order of the operator is kept
        del entries[name]
        entries[head] = _Entry(base.argument, whole)


def _as_dict(value: Any) -> Optional[Dict[str, Any]]:
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            return None
    return json.loads(json.dumps(value, default=str)) if isinstance(value, Mapping) else None


def _put(whole: Dict[str, Any], path: List[str], value: Any) -> None:
    for part in path[:-1]:
        inner = whole.get(part)
        whole[part] = inner if isinstance(inner, dict) else {}
        whole = whole[part]
    whole[path[-1]] = value


def _words(entries: Mapping[str, _Entry], problems: List[str]) -> List[str]:
    argv: List[str] = []
    for entry in entries.values():
        try:
            argv += render(entry.argument, entry.value)
        except VllmArgsError as exc:
            problems.append(str(exc))
    return argv


def _together(problems: List[str]) -> str:
    if len(problems) == 1:
        return problems[0]
    return "{0} problems:\n".format(len(problems)) + "\n".join("- " + problem for problem in problems)


def _unchecked(version: Optional[str]) -> str:
    releases = known_releases()
    return (
        "The flags of vLLM {0} are not known to this collection (known: {1} to {2}), so {3} is only checked for flags "
        "that were removed.".format(version or "of an unnamed version", releases[0], releases[-1], VARIABLE)
    )
