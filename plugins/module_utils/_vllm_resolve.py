# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the name that the operator wrote to the flag that a release has: renamed, left out, or refused with a reason.

This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import difflib
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Tuple

from ansible_collections.llmserve.vllm.plugins.module_utils._vllm_flags import (
    SWITCHES,
    Flag,
    Release,
    aliases,
    deprecated_since,
    life,
    parse_release,
)
from ansible_collections.llmserve.vllm.plugins.module_utils._vllm_moves import KEYS, MOVES, Move
from ansible_collections.llmserve.vllm.plugins.module_utils._vllm_render import VARIABLE, Argument, VllmArgsError

# Everybody on the host can read an argv (ps, docker inspect).
_SECRETS = {"api-key": "llmserve_api_key", "hf-token": "llmserve_hf_token"}


class Target(NamedTuple):
    """The vLLM that will read the arguments."""

    release: Optional[Release]
    version: str
    flags: Mapping[str, Flag]
    # Whether flags are all that it accepts; else an unknown one passes.
    checked: bool
    # Whether the target itself has said so.
    asked: bool = False


class Found(NamedTuple):
    """The arguments that one entry became, with their values, and what the operator should know."""

    arguments: List[Tuple[Argument, Any]]
    warnings: List[str]


def resolve(key: str, value: Any, target: Target) -> Found:
    """What one entry of the engine arguments is for this target; VllmArgsError when it cannot be passed on."""
    name = spell(key)
    head, dot, rest = name.partition(".")
    _refuse_reserved(key, head)
    if head in target.flags:
        return _accepted(key, name, value, target)
    if dot == "" and head in aliases() and len(head) <= 3:
        raise VllmArgsError(
            "{0!r} in {1} is an abbreviation. Write it in full: {2}.".format(
                key, VARIABLE, aliases()[head].replace("-", "_")
            )
        )
    move = MOVES.get(head) or Move("drop")
    older = _older_name(name, target)
    if older:
        found = _under(key, older, value, target)
        text = "vLLM {0} has --{1} under its older name --{2}, which gets its value."
        return Found(found.arguments, [text.format(target.version, name, older), *found.warnings])
    if _is_gone(head, target):
        return _moved(key, head + dot + rest, move, value, target)
    positive = _positive(head, target.flags)
    if positive is not None and not dot:
        return Found([(Argument(positive.name, key, positive.kind, (), True), value)], [])
    if target.checked:
        raise VllmArgsError(_unknown(key, head, target))
    return Found([(Argument(name, key, None), value)], [])


def spell(key: Any) -> str:
    """A name as vLLM spells it, without the leading dashes."""
    head, dot, rest = str(key).partition(".")
    # the part after a dot is a key of a JSON value, where underscores are part of the name
    return head.lstrip("-").replace("_", "-") + dot + rest


def _refuse_reserved(key: str, head: str) -> None:
    if head in _SECRETS:
        raise VllmArgsError(
            "{0!r} must not be in {1}: everybody on the host could read it in the process list. Use {2}.".format(
                key, VARIABLE, _SECRETS[head]
            )
        )
    if head == "model":
        raise VllmArgsError(
            "{0!r} must not be in {1}: the model is given as the first argument. Use llmserve_model.".format(
                key, VARIABLE
            )
        )


# --- flags that the target has ----------------------------------------------------------------------------------------


def _accepted(key: str, name: str, value: Any, target: Target) -> Found:
    head, dot, inner = name.partition(".")
    flag = target.flags[head]
    if dot and target.checked and flag.kind != "json":
        raise VllmArgsError("{0!r} in {1}: --{2} has no keys, it is no JSON value.".format(key, VARIABLE, head))
    warnings: List[str] = []
    if dot:
        name, warnings = _moved_key(key, head, inner, target.release)
    elif flag.kind == "json" and isinstance(value, Mapping):
        value, warnings = _moved_keys(key, head, value, target.release)
    since = deprecated_since(head, target.release) if target.release else ""
    if since:
        warnings.append(_deprecated(head, since))
    return Found([(Argument(name, key, flag.kind, flag.choices), value)] if name else [], warnings)


def _moved_keys(
    key: str, head: str, value: Mapping[str, Any], release: Optional[Release]
) -> Tuple[Dict[str, Any], List[str]]:
    """A JSON value with the keys that the release has."""
    found: Dict[str, Any] = {}
    warnings: List[str] = []
    for inner, item in value.items():
        name, more = _moved_key(key, head, str(inner), release)
        warnings += more
        if name:
            found[name.partition(".")[2]] = item
    return found, warnings


def _moved_key(key: str, head: str, inner: str, release: Optional[Release]) -> Tuple[str, List[str]]:
    """The name with the key as the release has it, empty where it has none."""
    first, dot, rest = inner.partition(".")
    gone, to, since = KEYS.get((head, first), ("", "", ""))
    if not gone or release is None or release < _at(gone):
        return head + "." + inner, []
    what = "The key {0} of --{1} was removed in vLLM {2}".format(first, head, gone)
    if not to or release < _at(since):
        return "", ["{0} and is left out: take it out of {1!r} in {2}.".format(what, key, VARIABLE)]
    return head + "." + to + dot + rest, ["{0}; its value goes to {1}: write that in {2}.".format(what, to, VARIABLE)]


def _deprecated(head: str, since: str) -> str:
    gone = life(head)
    until = " and is gone in {0}".format(gone.gone) if gone and gone.gone else ""
    move = MOVES.get(head)
    return "--{0} is deprecated since vLLM {1}{2}{3}".format(
        head, since, until, ": " + move.advice if move and move.advice else "."
    )


# --- flags that the target no longer has, or not yet ------------------------------------------------------------------


def _is_gone(head: str, target: Target) -> bool:
    """Whether a flag of older releases is not accepted because its time is over."""
    span = life(head)
    if span is None or not span.gone:
        return False
    return target.release is None or target.release >= _at(span.gone) or (target.asked and head in MOVES)


def _older_name(name: str, target: Target) -> str:
    """The name that the value of a flag had in a release before the flag: a rename read backwards."""
    return next(
        (old for old, move in MOVES.items() if move.action == "rename" and move.to == name and old in target.flags), ""
    )


def _moved(key: str, name: str, move: Move, value: Any, target: Target) -> Found:
    head = name.partition(".")[0]
    span = life(head)
    gone = "--{0} was removed in vLLM {1}".format(head, span.gone if span else "")
    if move.action == "rename":
        new = move.to + name[len(head) :]
        found = _under(key, new, value, target)
        text = "{0}; its value goes to --{1}. Write {2} in {3}.".format(gone, new, _written(new), VARIABLE)
        return Found(found.arguments, [text, *found.warnings])
    if move.action == "set" and isinstance(value, bool) and value in move.values:
        return _replaced(key, gone, move.values[value], move.advice, target)
    if move.action in ("refuse", "set") and target.release is None and not target.asked:
        text = "{0}: if this image is newer, it ends with 'unrecognized arguments'. {1}"
        return Found([(Argument(name, key, None), value)], [text.format(gone, move.advice)])
    if move.action in ("refuse", "set"):
        raise VllmArgsError("{0}, {1!r} in {2} would mean something else: {3}".format(gone, key, VARIABLE, move.advice))
    return Found([], [_left_out(gone, move.advice, head)])


def _under(key: str, name: str, value: Any, target: Target) -> Found:
    """What an entry is under another name, still called as the operator did."""
    found = resolve(_written(name), value, target)
    return Found([(argument._replace(key=key), item) for argument, item in found.arguments], found.warnings)


def _replaced(key: str, gone: str, values: Mapping[str, Any], advice: str, target: Target) -> Found:
    arguments: List[Tuple[Argument, Any]] = []
    for name, item in values.items():
        arguments += _under(key, name, item, target).arguments
    if not arguments:
        return Found([], [_left_out(gone, advice, spell(key))])
    words = ", ".join("{0}: {1}".format(_written(name), _word(item)) for name, item in values.items())
    return Found(arguments, ["{0}; {1} stands for it: {2}".format(gone, words, advice)])


def _left_out(gone: str, advice: str, head: str) -> str:
    return "{0} and is left out: {1}Take {2} out of {3}.".format(
        gone, advice + " " if advice else "", head.replace("-", "_"), VARIABLE
    )


def _positive(name: str, flags: Mapping[str, Flag]) -> Optional[Flag]:
    """The switch that a negative spelling turns off: C(no-x), or C(disable-x) where the flag is C(enable-x)."""
    candidates = [name[3:]] if name.startswith("no-") else []
    for prefix, inverse in (("disable-", "enable-"), ("enable-", "disable-")):
        if name.startswith(prefix):
            candidates.append(inverse + name[len(prefix) :])
    found = (flags[candidate] for candidate in candidates if candidate in flags)
    return next((flag for flag in found if flag.kind in SWITCHES), None)


def _unknown(key: str, head: str, target: Target) -> str:
    span = life(head)
    if span is not None and target.release is not None and target.release < _at(span.first):
        return (
            "vLLM {0} does not have the flag --{1} ({2!r} in {3}) yet, {4} is the first. Remove it, or set "
            "llmserve_image to a newer release.".format(target.version, head, key, VARIABLE, span.first)
        )
    if span is not None and target.asked:
        return (
            "the image's own `vllm serve --help=all` does not name --{0} ({1!r} in {2}), although vLLM had it from {3} "
            "on. Remove it.".format(head, key, VARIABLE, span.first)
        )
    near = difflib.get_close_matches(head, target.flags, n=1, cutoff=0.6)
    advice = (
        "Did you mean {0}?".format(near[0].replace("-", "_")) if near else "Remove it, or see 'vllm serve --help=all'."
    )
    return "vLLM has no flag --{0} ({1!r} in {2}). {3}".format(head, key, VARIABLE, advice)


def _written(name: str) -> str:
    head, dot, rest = name.partition(".")
    return head.replace("-", "_") + dot + rest


def _word(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _at(name: str) -> Release:
    return parse_release(name) or (0,)
