# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write the tables of docs/engine_arguments.md from the data of the engine arguments.

With --check nothing is written and a stale table is an error.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "engine_arguments.md"
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT / ".ansible" / "collections"))

# they need the path above
from ansible_collections.llmserve.vllm.plugins.module_utils import _vllm_flags as flags  # noqa: E402 (path)
from ansible_collections.llmserve.vllm.plugins.module_utils._vllm_bad import span  # noqa: E402 (path)
from ansible_collections.llmserve.vllm.plugins.module_utils._vllm_bad_data import KNOWN_BAD, Condition  # noqa: E402 (path)
from ansible_collections.llmserve.vllm.plugins.module_utils._vllm_moves import KEYS, MOVES, Move  # noqa: E402 (path)
from ansible_collections.llmserve.vllm.tests.generated_page import update  # noqa: E402 the path comes first

ACTIONS = {"rename": "renamed", "set": "replaced", "drop": "left out, with a warning", "refuse": "refused"}
TESTS = {
    "set": "`{0}` set",
    "unset": "`{0}` not set",
    "not_true": "`{0}` not `true`",
    "not_false": "`{0}` not `false`",
    "is": "`{0}: {1}`",
    "in": "`{0}` one of {1}",
    "over": "`{0}` over {1}",
    "below": "`{0}` below {1}",
    "not_divisible_by": "`{0}` no multiple of {1}",
}


def written(name: str) -> str:
    """A flag as the operator writes it."""
    head, dot, rest = name.partition(".")
    return head.replace("-", "_") + dot + rest


def release_rows() -> list[str]:
    rows = ["| Release | Flags | New | Gone |", "| --- | ---: | ---: | --- |"]
    before: set[str] = set()
    for release in flags.known_releases():
        now = set(flags.flags_of(flags.parse_release(release)))
        if now != before:
            gone = ", ".join(f"`{written(name)}`" for name in sorted(before - now))
            rows.append(f"| {release} | {len(now)} | {len(now - before) if before else ''} | {gone} |")
        before = now
    return rows


def fate(move: Move) -> str:
    if move.action == "rename":
        return f"`{written(move.to)}`"
    words = [
        f"`{str(value).lower()}`: "
        + (", ".join(f"`{written(name)}: {shown(item)}`" for name, item in each.items()) or "left out")
        for value, each in move.values.items()
    ]
    return "; ".join([*words, move.advice]) if words else move.advice


def shown(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def gone_rows() -> list[str]:
    rows = ["| Argument | From | Gone in | What happens | Instead |", "| --- | --- | --- | --- | --- |"]
    newest = flags.flags_of(None)
    names = sorted(
        {name for release in flags.known_releases() for name in flags.flags_of(flags.parse_release(release))}
    )
    for name in names:
        when = flags.life(name)
        if name in newest or when is None:
            continue
        move = MOVES.get(name, Move("drop"))
        rows.append(f"| `{written(name)}` | {when.first} | {when.gone} | {ACTIONS[move.action]} | {fate(move)} |")
    return rows


def key_rows() -> list[str]:
    rows = ["| Key | Gone in | Instead |", "| --- | --- | --- |"]
    for (flag, key), (gone, to, _since) in KEYS.items():
        rows.append(f"| `{written(flag)}.{key}` | {gone} | {f'`{to}`' if to else 'nothing'} |")
    return rows


def condition_text(condition: Condition) -> str:
    value = condition.value
    if isinstance(value, tuple):
        text = ", ".join(f"`{word}`" for word in value)
    elif condition.test == "is":
        text = shown(value)
    else:
        text = f"`{written(value)}`" if isinstance(value, str) else str(value)
    return TESTS[condition.test].format(written(condition.option), text)


def bad_rows() -> list[str]:
    rows = ["| vLLM | Arguments | What happens | Why | Source |", "| --- | --- | --- | --- | --- |"]
    for entry in KNOWN_BAD:
        added = ", ".join(f"`{written(name)}: {shown(value)}`" for name, value in entry.add.items())
        action = {"refuse": "refused", "warn": "warning", "add": f"{added} is added"}[entry.action]
        when = " and ".join(condition_text(condition) for condition in entry.when)
        source = f"[{entry.source.rstrip('/').rsplit('/', 1)[1]}]({entry.source})"
        rows.append(f"| {span(entry)} | {when} | {action} | {entry.text} | {source} |")
    return rows


TABLES = {"releases": release_rows, "gone": gone_rows, "keys": key_rows, "bad": bad_rows}


if __name__ == "__main__":
    sys.exit(update(PAGE, TABLES))
