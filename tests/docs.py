# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write the variable tables of the role READMEs from meta/argument_specs.yml.

With --check nothing is written and a stale table is an error.
"""

from __future__ import annotations

import difflib
import re
import sys
from pathlib import Path
from typing import Any

import yaml

ROLES = Path(__file__).resolve().parent.parent / "roles"
BEGIN, END = "<!-- BEGIN_ANSIBLE_DOCS -->", "<!-- END_ANSIBLE_DOCS -->"


def plain(text: str | list[str]) -> str:
    """Ansible's markup as Markdown: C(x), V(x), O(x) and M(x) become code."""
    joined = " ".join(text) if isinstance(text, list) else text
    return re.sub(r"\b[CVOM]\(([^()]*(?:\([^()]*\)[^()]*)*)\)", r"`\1`", " ".join(joined.split()))


def cell(value: Any) -> str:
    """A default as one table cell; a pipe would end the cell."""
    text = yaml.safe_dump(value, default_flow_style=True, width=10**6, sort_keys=False).strip()
    text = text.removesuffix("...").strip()
    if isinstance(value, str) and value:
        text = value
    return "`" + text.replace("|", "\\|") + "`"


def table(options: dict[str, Any]) -> list[str]:
    lines = ["| Variable | Type | Default | Meaning |", "| --- | --- | --- | --- |"]
    for name, option in options.items():
        kind = option.get("type", "str")
        if "elements" in option:
            kind += f" of {option['elements']}"
        default = "required" if option.get("required") else cell(option.get("default"))
        meaning = plain(option["description"])
        if "choices" in option:
            meaning += " One of " + ", ".join(f"`{choice}`" for choice in option["choices"]) + "."
        lines.append(f"| `{name}` | {kind} | {default} | {meaning} |")
    return lines


def section(entry_points: dict[str, Any]) -> str:
    lines: list[str] = []
    main = entry_points["main"].get("options", {})
    for name, entry in entry_points.items():
        options = entry.get("options", {})
        lines += [f"## {entry['short_description']}" if name == "main" else f"## tasks_from: {name}", ""]
        if name != "main":
            lines += [f"{entry['short_description']}.", ""]
        description = entry.get("description", [])
        if name == "main" or description != entry_points["main"].get("description"):
            for paragraph in [description] if isinstance(description, str) else description:
                lines += [plain(paragraph), ""]
        lines += ["Takes the variables above."] if name != "main" and options == main else table(options)
        lines.append("")
    return "\n".join(lines)


def main() -> int:
    stale = 0
    for spec in sorted(ROLES.glob("*/meta/argument_specs.yml")):
        readme = spec.parent.parent / "README.md"
        old = readme.read_text()
        before, rest = old.split(BEGIN)
        after = rest.split(END)[1]
        new = before + BEGIN + "\n" + section(yaml.safe_load(spec.read_text())["argument_specs"]) + END + after
        if new == old:
            continue
        if "--check" in sys.argv:
            stale += 1
            sys.stdout.writelines(difflib.unified_diff(old.splitlines(True), new.splitlines(True), str(readme)))
        else:
            readme.write_text(new)
    if stale:
        print(f"{stale} README(s) are stale: run make docs.", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
