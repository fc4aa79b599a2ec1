# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write the data modules of the engine arguments from the sources of vLLM's releases.

    python tests/engine_flags/fetch.py DIRECTORY     the sources of every release that is not there yet
    python tests/engine_flags/history.py DIRECTORY   plugins/module_utils/_vllm_flags_*.py from them

A directory holds one folder a release, named 0.33.0 and so on, with vllm/ in it. Only names, kinds and releases are
written.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TypeAlias

ROOT = Path(__file__).resolve().parents[2]
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT / ".ansible" / "collections"))

from ansible_collections.llmserve.vllm.tests.engine_flags.annotations import Spec  # noqa: E402 (needs the path above)
from ansible_collections.llmserve.vllm.tests.engine_flags.sources import Reader  # noqa: E402 (needs the path above)

MODULE_UTILS = ROOT / "plugins" / "module_utils"
Spans: TypeAlias = list[tuple[str, str]]
Releases: TypeAlias = dict[str, dict[str, Spec]]

# One value for argparse, a list with commas for what reads it.
_COMMA = {"disable-access-log-for-endpoints"}
_ACTIONS = {
    "BooleanOptionalAction": "switch",
    "store_true": "on_only",
    "store_false": "on_only",
    "append": "repeated",
    "StoreBoolean": "boolean",
}
_HEADER = '''\
# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""{0}

Written by tests/engine_flags/history.py from vLLM's sources: do not edit.
This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

'''


def release_key(name: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", name))


def kind(name: str, spec: Spec) -> str:
    """How a flag takes its value; _vllm_flags.py says what each kind means."""
    if spec.action in _ACTIONS:
        return _ACTIONS[spec.action]
    if spec.nargs == "?":
        return "optional"
    if spec.nargs:
        return "many"
    if spec.choices:
        return "choice"
    return "comma" if name in _COMMA else spec.type


def read(folder: Path) -> Releases:
    """The flags of every release, the oldest first."""
    names = sorted((path.name for path in folder.iterdir() if (path / "vllm").is_dir()), key=release_key)
    found: Releases = {}
    for name in names:
        reader = Reader(folder / name / "vllm")
        found[name] = reader.flags
        for unread in sorted(reader.unread):
            print(f"{name}: not understood, taken for a string: {unread}", file=sys.stderr)
    return found


def spans(states: dict[str, str]) -> Spans:
    """The releases at which something changed, of one state for each release ('' is absence)."""
    found: Spans = []
    before = ""
    for release, state in states.items():
        if state != before:
            found.append((release, state or "-"))
            before = state
    return found


def flag_history(releases: Releases) -> dict[str, Spans]:
    names = sorted({name for flags in releases.values() for name in flags})
    return {
        name: spans({rel: kind(name, flags[name]) if name in flags else "" for rel, flags in releases.items()})
        for name in names
    }


def choice_history(releases: Releases) -> dict[str, dict[str, Spans]]:
    """The words that a flag of kind choice takes; a word that it has always taken has no span of its own."""
    found: dict[str, dict[str, Spans]] = {}
    for name in sorted({name for flags in releases.values() for name in flags}):
        having = {rel: flags[name].choices for rel, flags in releases.items() if name in flags and flags[name].choices}
        words = list(dict.fromkeys(word for choices in having.values() for word in choices))
        table = {
            word: spans({rel: "y" if word in choices else "" for rel, choices in having.items()}) for word in words
        }
        first = next(iter(having), "")
        if words:
            found[name] = {word: [] if all_of == [(first, "y")] else all_of for word, all_of in table.items()}
    return found


def deprecations(releases: Releases) -> dict[str, str]:
    """The release since which the last one that has a flag has announced that it will go."""
    found: dict[str, str] = {}
    for release, flags in releases.items():
        for name, spec in flags.items():
            if spec.deprecated:
                found.setdefault(name, release)
            else:
                found.pop(name, None)
    return dict(sorted(found.items()))


def alias_history(releases: Releases) -> dict[str, str]:
    """Abbreviations of the newest release that has each."""
    found: dict[str, str] = {}
    for flags in releases.values():
        for name, spec in flags.items():
            found.update({alias.replace("_", "-"): name for alias in spec.aliases})
    return dict(sorted(found.items()))


def _span_text(found: Spans) -> str:
    return ", ".join(f"{release} {state}" for release, state in found)


def _word_text(word: str, found: Spans) -> str:
    text = word
    for release, state in found:
        text += f"@{release}" if state == "y" else f"-{release}"
    return text


def _lines(name: str, words: list[str]) -> list[str]:
    """One line a flag, continued where it would be longer than a line of code may be."""
    lines, line = [], name + ":"
    for word in words:
        if len(line) + len(word) > 114:
            lines.append(line)
            line = " "
        line += " " + word
    return [*lines, line]


def modules(releases: Releases) -> dict[str, str]:
    """The text of the data modules, by file name."""
    history = flag_history(releases)
    newest = list(releases)[-1]
    today = {name: found for name, found in history.items() if name in releases[newest]}
    gone = {name: found for name, found in history.items() if name not in today}
    wrapped = "\n".join(_lines("", list(releases)))[1:].replace("\n ", "\n").strip()
    choices = {
        name: [_word_text(word, found) for word, found in table.items()]
        for name, table in choice_history(releases).items()
    }
    return {
        "_vllm_flags_today.py": _module(
            f"The flags of C(vllm serve) {newest}, and the releases at which each one changed: data only.",
            ("RELEASES", "The releases that were read.", wrapped),
            (
                "FLAGS",
                "A flag, the release that brought it, and what kind of value it takes since when; - is without it.",
                _table({name: _span_text(found) for name, found in today.items()}),
            ),
        ),
        "_vllm_flags_gone.py": _module(
            f"The flags of C(vllm serve) that {newest} no longer has, abbreviations and deprecations: data only.",
            ("FLAGS", "As in _vllm_flags_today.", _table({name: _span_text(found) for name, found in gone.items()})),
            (
                "ALIASES",
                "Abbreviations, of any release, to name the flag in messages.",
                _table(alias_history(releases)),
            ),
            ("DEPRECATED", "Flags that vLLM itself calls deprecated, and since when.", _table(deprecations(releases))),
        ),
        "_vllm_flags_choices.py": _module(
            "The words that a flag of C(vllm serve) takes, where argparse refuses every other: data only.",
            (
                "CHOICES",
                "word@0.9.0 is taken from that release on, word@0.9.0-0.11.0 no longer by the last one.",
                "\n".join(line for name, each in choices.items() for line in _lines(name, each)),
            ),
        ),
    }


def _table(rows: dict[str, str]) -> str:
    return "\n".join(f"{name}: {row}" for name, row in rows.items())


def _module(title: str, *tables: tuple[str, str, str]) -> str:
    bodies = [f'# {comment}\n{name} = """\n{rows}\n"""\n' for name, comment, rows in tables]
    return _HEADER.format(title) + "\n".join(bodies)


def main() -> int:
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    for name, text in modules(read(Path(sys.argv[1]))).items():
        (MODULE_UTILS / name).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
