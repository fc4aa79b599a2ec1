# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether engine arguments meet a combination that is known to be bad in a release.

This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import json
from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Optional

from ansible_collections.llmserve.vllm.plugins.module_utils._vllm_bad_data import KNOWN_BAD, Condition, KnownBad
from ansible_collections.llmserve.vllm.plugins.module_utils._vllm_flags import Release, parse_release


class Advice(NamedTuple):
    """What follows from the combinations that were met."""

    problems: List[str]
    warnings: List[str]
    # Arguments to add, by the flag's name.
    added: Dict[str, Any]


def known_bad(settings: Mapping[str, Any], release: Optional[Release]) -> Advice:
    """Judge arguments, given by their flags' names; of a release that is not known nothing can be said."""
    advice = Advice([], [], {})
    if release is None:
        return advice
    for entry in KNOWN_BAD:
        if not affects(entry, release) or not all(_holds(condition, settings) for condition in entry.when):
            continue
        text = "{0} (vLLM {1}) Source: {2}".format(entry.text, span(entry), entry.source)
        if entry.action == "refuse" or any(settings.get(name, value) != value for name, value in entry.add.items()):
            advice.problems.append(text)
            continue
        missing = {name: value for name, value in entry.add.items() if name not in settings}
        if entry.action == "add":
            if missing:
                advice.added.update(missing)
                words = ", ".join("{0}: {1}".format(name.replace("-", "_"), _word(missing[name])) for name in missing)
                advice.warnings.append("Added {0}. {1}".format(words, text))
        else:
            advice.warnings.append(text)
    return advice


def affects(entry: KnownBad, release: Release) -> bool:
    """Whether a release is one that the entry is about."""
    fixed = parse_release(entry.fixed)
    return (parse_release(entry.since) or (0,)) <= release and (fixed is None or release < fixed)


def span(entry: KnownBad) -> str:
    """The releases of an entry, in words."""
    if entry.fixed:
        return "from {0} to before {1}".format(entry.since, entry.fixed)
    return "from {0} on".format(entry.since)


def _holds(condition: Condition, settings: Mapping[str, Any]) -> bool:
    value, wanted = _value(condition.option, settings), condition.value
    simple: Dict[str, Callable[[], bool]] = {
        "set": lambda: value is not None,
        "unset": lambda: value is None,
        "not_true": lambda: value is not True,
        "not_false": lambda: value is not False,
        "is": lambda: _same(value, wanted),
        "in": lambda: any(_same(value, word) for word in wanted),
    }
    if condition.test in simple:
        return simple[condition.test]()
    return value is not None and _numbers_hold(condition, value, settings)


def _numbers_hold(condition: Condition, value: Any, settings: Mapping[str, Any]) -> bool:
    other = condition.value
    number, limit = _number(value), _number(_value(other, settings) if isinstance(other, str) else other)
    if number is None or limit is None:
        return False
    if condition.test == "over":
        return number > limit
    if condition.test == "below":
        return number < limit
    return bool(limit) and number % limit != 0


def _value(option: str, settings: Mapping[str, Any]) -> Any:
    """A setting by its flag's name; one with a dot is a key of a JSON value, wherever it was written."""
    if option in settings:
        return settings[option]
    head, dot, key = option.partition(".")
    if dot:
        return _as_dict(settings.get(head)).get(key)
    # a dictionary that was only given key by key
    keys = {name.partition(".")[2]: value for name, value in settings.items() if name.startswith(option + ".")}
    return keys or None


def _as_dict(value: Any) -> Mapping[str, Any]:
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            return {}
    return value if isinstance(value, Mapping) else {}


def _same(value: Any, wanted: Any) -> bool:
    if isinstance(wanted, bool) or isinstance(value, bool):
        return value is wanted
    return str(value).lower() == str(wanted).lower()


def _number(value: Any) -> Optional[float]:
    if value is None or isinstance(value, bool):
        return None
    text = str(value)
    # as vLLM reads it: 16k are 16000, 16K are 16384
    power = "kmgt".find(text[-1:].lower()) + 1 if text[-1:].isalpha() else 0
    try:
        return float(text[:-1] if power else text) * (1000 if text[-1:].islower() else 1024) ** power
    except ValueError:
        return None


def _word(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
