# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Turn engine arguments into the argv of C(vllm serve), as far as a given release accepts them.

vLLM ends with "unrecognized arguments" minutes after the containers were started, and argparse silently takes an
abbreviation for the longer flag; here both are found on the controller.
This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import difflib
import json
import re
from typing import Any, Dict, List, Mapping, NamedTuple, Optional

from ansible_collections.llmserve.vllm.plugins.module_utils._vllm_flags_data import (
    FLAGS,
    FLAGS_ADDED_LATER,
    REMOVED_FLAGS,
    SHORT_NAMES,
    SUCCESSORS,
    Release,
)

_VARIABLE = "the inventory variable llmserve_engine_args"
# Everybody on the host can read an argv (ps, docker inspect).
_SECRETS = {"api-key": "llmserve_api_key", "hf-token": "llmserve_hf_token"}


class VllmArgsError(ValueError):
    """An engine argument that vLLM would refuse, or that must not be in an argv."""


class VllmArgs(NamedTuple):
    """The arguments, and what the operator should know about them."""

    argv: List[str]
    warnings: List[str]


class _Flag(NamedTuple):
    name: str  # as vLLM spells it, without the leading dashes
    key: str  # as the operator spelt it
    negated: bool
    shape: Optional[str]  # None: not known, guess from the value


def parse_release(version: Optional[str]) -> Optional[Release]:
    """The C((major, minor)) in a version or an image tag such as C(v0.33.0-cu129); None when it names no release."""
    match = re.match(r"v?(\d+)\.(\d+)", version or "")
    return (int(match.group(1)), int(match.group(2))) if match else None


def build_argv(engine_args: Mapping[str, Any], version: Optional[str] = None) -> VllmArgs:
    """The argv for C(vllm serve MODEL), without the model."""
    release = parse_release(version)
    known = FLAGS_ADDED_LATER.get(release) if release else None
    argv: List[str] = []
    warnings: List[str] = []
    seen: Dict[str, str] = {}
    for key, value in engine_args.items():
        if value is None:
            continue
        name = _spell(key)
        removed = _removed(name, release)
        if removed:
            warnings.append(removed)
            continue
        flag = _resolve(str(key), name, known is not None)
        if known is not None and flag.name.partition(".")[0] in known:
            raise VllmArgsError(_too_old(flag, version))
        if flag.name in seen:
            raise VllmArgsError(
                "{0!r} and {1!r} in {2} set the same flag --{3}: keep one.".format(
                    seen[flag.name], flag.key, _VARIABLE, flag.name
                )
            )
        seen[flag.name] = flag.key
        argv += _render(flag, value)
    if known is None and seen:
        warnings.append(_unchecked(version))
    return VllmArgs(argv, warnings)


def _spell(key: Any) -> str:
    head, dot, rest = str(key).partition(".")
    # the part after a dot is a key of a JSON value, where underscores are part of the name
    return head.lstrip("-").replace("_", "-") + dot + rest


def _removed(name: str, release: Optional[Release]) -> Optional[str]:
    if name not in REMOVED_FLAGS:
        return None
    since, advice = REMOVED_FLAGS[name]
    if release is not None and release < since:
        return None
    return "--{0} was removed in vLLM {1}.{2} and is left out: {3} Take {4} out of {5}.".format(
        name, since[0], since[1], advice, name.replace("-", "_"), _VARIABLE
    )


def _resolve(key: str, name: str, checked: bool) -> _Flag:
    head = name.partition(".")[0]
    if head in _SECRETS:
        raise VllmArgsError(
            "{0!r} must not be in {1}: everybody on the host could read it in the process list. Use {2}.".format(
                key, _VARIABLE, _SECRETS[head]
            )
        )
    if head == "model":
        raise VllmArgsError(
            "{0!r} must not be in {1}: the model is given as the first argument. Use llmserve_model.".format(
                key, _VARIABLE
            )
        )
    if head in FLAGS:
        return _Flag(name, key, False, FLAGS[head])
    positive = _positive(name)
    if positive is not None:
        return _Flag(positive, key, True, "switch")
    if checked:
        raise VllmArgsError(_unknown(key, head))
    return _Flag(name, key, False, None)


def _positive(name: str) -> Optional[str]:
    """The switch that a negative spelling turns off: C(no-x), or C(disable-x) where the flag is C(enable-x)."""
    candidates = [name[3:]] if name.startswith("no-") else []
    for prefix, inverse in (("disable-", "enable-"), ("enable-", "disable-")):
        if name.startswith(prefix):
            candidates.append(inverse + name[len(prefix) :])
    return next((found for found in candidates if FLAGS.get(found) == "switch"), None)


def _unknown(key: str, name: str) -> str:
    if name in SUCCESSORS:
        advice = "{0}.".format(SUCCESSORS[name][0].upper() + SUCCESSORS[name][1:])
    elif name in SHORT_NAMES:
        advice = "Write it in full: {0}.".format(SHORT_NAMES[name].replace("-", "_"))
    else:
        near = difflib.get_close_matches(name, FLAGS, n=1, cutoff=0.6)
        advice = (
            "Did you mean {0}?".format(near[0].replace("-", "_"))
            if near
            else "Remove it, or see 'vllm serve --help=all'."
        )
    return "vLLM has no flag --{0} ({1!r} in {2}). {3}".format(name, key, _VARIABLE, advice)


def _too_old(flag: _Flag, version: Optional[str]) -> str:
    return (
        "vLLM {0} does not have the flag --{1} ({2!r} in {3}) yet. Remove it, or set llmserve_image to a newer "
        "release.".format(version, flag.name, flag.key, _VARIABLE)
    )


def _unchecked(version: Optional[str]) -> str:
    releases = sorted("{0}.{1}".format(*release) for release in FLAGS_ADDED_LATER)
    return (
        "The flags of vLLM {0} are not known to this collection (known: {1}), so {2} is only checked for flags "
        "that were removed.".format(version or "of an unnamed version", ", ".join(releases), _VARIABLE)
    )


def _render(flag: _Flag, value: Any) -> List[str]:
    option = "--" + flag.name
    if isinstance(value, bool) and "." not in flag.name:
        return _render_bool(flag, value)
    if flag.shape in ("switch", "on_only"):
        raise VllmArgsError(
            "{0!r} in {1} is a switch: it takes true or false, not {2!r}.".format(flag.key, _VARIABLE, value)
        )
    if isinstance(value, (list, tuple)):
        return _render_list(flag, option, list(value))
    if isinstance(value, Mapping) and flag.shape == "value":
        raise VllmArgsError("{0!r} in {1} takes one value, not a dict: {2!r}.".format(flag.key, _VARIABLE, value))
    return _pair(option, _text(value))


def _render_bool(flag: _Flag, value: bool) -> List[str]:
    wanted = value != flag.negated
    if flag.shape == "on_only":
        return ["--" + flag.name] if wanted else []
    if flag.shape in ("switch", None):
        return ["--" + flag.name] if wanted else ["--no-" + flag.name]
    raise VllmArgsError("{0!r} in {1} needs a value, not {2}.".format(flag.key, _VARIABLE, str(value).lower()))


def _render_list(flag: _Flag, option: str, values: List[Any]) -> List[str]:
    if flag.shape == "json" or "." in flag.name:
        return _pair(option, _text(values))
    if not values:
        return []
    texts = [_text(value) for value in values]
    if flag.shape == "comma":
        return _pair(option, ",".join(texts))
    if flag.shape == "repeated":
        return [word for text in texts for word in _pair(option, text)]
    if flag.shape == "value":
        raise VllmArgsError("{0!r} in {1} takes one value, not a list: {2!r}.".format(flag.key, _VARIABLE, values))
    dashed = [text for text in texts if _looks_like_flag(text)]
    if dashed:
        raise VllmArgsError(
            "{0!r} in {1} has the value {2!r}, which vLLM would take for a flag.".format(flag.key, _VARIABLE, dashed[0])
        )
    return [option, *texts]


def _pair(option: str, text: str) -> List[str]:
    return [option + "=" + text] if _looks_like_flag(text) else [option, text]


def _looks_like_flag(text: str) -> bool:
    return bool(re.match(r"-(?!\d)", text))


def _text(value: Any) -> str:
    if isinstance(value, str):
        return str(value)
    if isinstance(value, (bool, list, tuple, Mapping)):
        return json.dumps(value, separators=(",", ":"), default=str)
    return str(value)
