# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One engine argument as words of a command line, checked against the kind of its flag.

This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import difflib
import json
import re
from typing import Any, List, Mapping, NamedTuple, Optional, Tuple

VARIABLE = "the inventory variable llmserve_engine_args"
_WHOLE = re.compile(r"-?\d+$")
_SUFFIXED = re.compile(r"\d+(\.\d+)?[kKmMgGtT]$")
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?$")
# vLLM takes 80m and 1K between the quoted parts of JSON, too.
_JSON_SUFFIX = re.compile(r'("(?:[^"\\]|\\.)*")|\b(\d+(?:\.\d+)?)[kKmMgGtT]\b')


class VllmArgsError(ValueError):
    """Engine arguments that vLLM would refuse, or that must not be in an argv."""


class Argument(NamedTuple):
    """An engine argument whose flag has been found."""

    name: str  # as vLLM spells it, without the leading dashes; keys of a JSON value follow after dots
    key: str  # as the operator spelt it
    kind: Optional[str]  # None: not known, guess from the value
    choices: Tuple[str, ...] = ()
    negated: bool = False


def render(argument: Argument, value: Any) -> List[str]:
    """The words of one argument; VllmArgsError for a value that its flag does not take."""
    option = "--" + argument.name
    if "." in argument.name:
        return _pair(option, text_of(value))
    if isinstance(value, bool):
        return _render_bool(argument, value)
    if argument.kind in ("switch", "on_only", "boolean"):
        raise _problem(argument, "is a switch: it takes true or false, not {0!r}.".format(value))
    if isinstance(value, (list, tuple)):
        return _render_list(argument, option, list(value))
    if isinstance(value, Mapping):
        return _render_dict(argument, option, value)
    check(argument, value)
    return _pair(option, text_of(value))


def text_of(value: Any) -> str:
    """A value as one word; what is no scalar becomes JSON."""
    if isinstance(value, str):
        return str(value)
    if isinstance(value, (bool, list, tuple, Mapping)):
        return json.dumps(value, separators=(",", ":"), default=str)
    return str(value)


def check(argument: Argument, value: Any) -> None:
    """Refuse what the flag's own parser would."""
    text = text_of(value)
    kind = argument.kind
    if text in ("", "None") and kind != "json":
        # how vLLM writes that an optional value is not set
        return
    if kind == "int" and not _WHOLE.match(text):
        raise _problem(argument, "takes a whole number, not {0!r}.".format(value))
    whole = _WHOLE.match(text) or _SUFFIXED.match(text)
    if (kind == "human" and not whole) or (kind == "length" and not whole and text != "auto"):
        wanted = " or auto" if kind == "length" else ""
        raise _problem(argument, "takes a whole number such as 16384 or 16k{0}, not {1!r}.".format(wanted, value))
    if kind == "float" and not _NUMBER.match(text):
        raise _problem(argument, "takes a number, not {0!r}.".format(value))
    if kind == "choice" and text not in argument.choices:
        near = difflib.get_close_matches(text, argument.choices, n=1, cutoff=0.6)
        raise _problem(
            argument,
            "does not take {0!r}.{1} It takes {2}.".format(
                text, " Did you mean {0}?".format(near[0]) if near else "", ", ".join(argument.choices)
            ),
        )
    if kind == "json" and isinstance(value, str) and re.match(r"\s*[\[{]", value):
        _check_json(argument, value)


def _check_json(argument: Argument, text: str) -> None:
    try:
        json.loads(_JSON_SUFFIX.sub(lambda found: found.group(1) or found.group(2), text))
    except ValueError as exc:
        raise _problem(
            argument, "is no JSON ({0}): write it as a YAML dictionary, or with double quotes: {1}".format(exc, text)
        ) from exc


def _render_bool(argument: Argument, value: bool) -> List[str]:
    wanted = value != argument.negated
    option = "--" + argument.name
    if argument.kind in ("on_only", "optional"):
        return [option] if wanted else []
    if argument.kind == "boolean":
        return [option] if wanted else [option + "=false"]
    if argument.kind in ("switch", None):
        return [option] if wanted else ["--no-" + argument.name]
    raise _problem(argument, "needs a value, not {0}.".format(str(value).lower()))


def _render_list(argument: Argument, option: str, values: List[Any]) -> List[str]:
    if argument.kind == "json":
        return _pair(option, text_of(values))
    if argument.kind not in ("many", "repeated", "comma", None):
        raise _problem(argument, "takes one value, not a list: {0!r}.".format(values))
    if not values:
        return []
    texts = [text_of(value) for value in values]
    if argument.kind == "comma":
        return _pair(option, ",".join(texts))
    if argument.kind == "repeated":
        return [word for text in texts for word in _pair(option, text)]
    dashed = [text for text in texts if _looks_like_flag(text)]
    if dashed:
        raise _problem(argument, "has the value {0!r}, which vLLM would take for a flag.".format(dashed[0]))
    return [option, *texts]


def _render_dict(argument: Argument, option: str, value: Mapping[str, Any]) -> List[str]:
    if argument.kind == "pairs":
        return _pair(option, ",".join("{0}={1}".format(key, text_of(item)) for key, item in value.items()))
    if argument.kind not in ("json", "many", "repeated", None):
        raise _problem(argument, "takes one value, not a dict: {0!r}.".format(dict(value)))
    return _pair(option, text_of(value))


def _problem(argument: Argument, rest: str) -> VllmArgsError:
    return VllmArgsError("{0!r} in {1} {2}".format(argument.key, VARIABLE, rest))


def _pair(option: str, text: str) -> List[str]:
    # vLLM takes any word with a leading dash and a dot for a dotted option, -0.5 too
    return [option + "=" + text] if _looks_like_flag(text) or re.match(r"-.*\.", text) else [option, text]


def _looks_like_flag(text: str) -> bool:
    return bool(re.match(r"-(?!\d)", text))
