# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The flags in what C(vllm serve --help=all) prints.

A help text shows whether a flag takes a value, several or none, and the words that it is limited to; not whether a
value is a number. What the data knows beyond that is kept where the two agree.
This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import re
from typing import Any, Dict, Iterator, List, Mapping, Tuple

from ansible_collections.llmserve.vllm.plugins.module_utils._vllm_flags import Flag, aliases

# Fewer flags than any release has: the text is something else, such as a traceback or the help by groups.
_FEWEST = 60
_JSON_TIP = "valid JSON string"
_OPTION = re.compile(r"(--?[A-Za-z][\w.-]*)(?: (.*?))?(?:, (?=-)|$)")


class HelpError(ValueError):
    """The text is not the help of C(vllm serve)."""


def parse_help(text: str) -> Dict[str, Flag]:
    """Every flag in a help text: switch, on_only, optional, many, choice, json or, where nothing more shows, str."""
    found: Dict[str, Flag] = {}
    for invocation, explanation in _entries(text):
        options = _OPTION.findall(invocation)
        names = [option[2:] for option, _metavar in options if option.startswith("--")]
        metavar = next((metavar for _option, metavar in reversed(options) if metavar), "")
        kind, choices = _read(names, metavar, explanation)
        # of a switch, what turns it off is no flag of its own
        for name in names[:1] if kind == "switch" else names:
            if name != "help":
                found[name] = Flag(name, kind, choices)
    if len(found) < _FEWEST:
        raise HelpError(
            "the text names {0} flags, fewer than any release of vLLM has: it is not what `vllm serve --help=all` "
            "prints. It begins: {1!r}".format(len(found), text.strip()[:200])
        )
    return found


def _entries(text: str) -> Iterator[Tuple[str, str]]:
    """The invocation and the explanation of every option; argparse indents the one by 2, the other by more."""
    # the names come after the usage, which may list them all, too
    parts = re.split(r"\n  (?=-)", text)[1:]
    for part in parts:
        first, _newline, rest = part.partition("\n")
        invocation, _gap, beginning = first.partition("  ")
        yield invocation.strip(), beginning + "\n" + re.split(r"\n(?=\S)", rest)[0]


def _read(names: List[str], metavar: str, explanation: str) -> Tuple[str, Tuple[str, ...]]:
    if not metavar:
        return ("switch" if any(off in names[1:] for off in _negatives(names[:1])) else "on_only"), ()
    if metavar.startswith("[") and not metavar.startswith("['"):
        return "optional", ()
    if metavar.endswith(" ...]"):
        return "many", ()
    words = re.match(r"\{([^{}]*)\}$", metavar)
    if words:
        return "choice", tuple(words.group(1).split(","))
    return ("json" if _JSON_TIP in " ".join(explanation.split()) else "str"), ()


def _negatives(names: List[str]) -> List[str]:
    """What turns a switch off: C(no-x), and from 0.33 on only C(disable-x) is shown for C(enable-x)."""
    found = ["no-" + name for name in names]
    for prefix, inverse in (("enable-", "disable-"), ("disable-", "enable-")):
        found += [inverse + name[len(prefix) :] for name in names if name.startswith(prefix)]
    return found


def merge(known: Mapping[str, Flag], told: Mapping[str, Flag]) -> Dict[str, Flag]:
    """The flags that the target accepts: those that it told of, as exact as the data knows them."""
    found = {}
    for name, flag in told.items():
        before = known.get(name)
        # with the kind choice, the target no longer limits it to the words of the data
        agree = before is not None and before.form == flag.form and before.kind != "choice"
        exact = before is not None and agree and not flag.choices and flag.kind != "json"
        found[name] = before if before is not None and exact else flag
    return found


def to_json(flags: Mapping[str, Flag]) -> Dict[str, Any]:
    """As a mapping of plain types, to travel between host and controller."""
    return {
        name: {"kind": flag.kind, "choices": list(flag.choices)} if flag.choices else {"kind": flag.kind}
        for name, flag in sorted(flags.items())
    }


def from_json(data: Mapping[str, Any]) -> Dict[str, Flag]:
    """The counterpart of to_json; HelpError names what is wrong."""
    try:
        return {
            str(name): Flag(str(name), str(entry["kind"]), tuple(str(word) for word in entry.get("choices", ())))
            for name, entry in data.items()
        }
    except (TypeError, KeyError, AttributeError) as exc:
        raise HelpError("flags have to be as engine_flags returns them: {0!r}".format(exc)) from exc


def canonical(name: str, flags: Mapping[str, Flag]) -> str:
    """The first of a flag's names, so that two spellings of one flag are seen as one."""
    first = aliases().get(name, name)
    return first if name in flags and first in flags else name
