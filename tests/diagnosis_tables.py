# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write the tables of docs/diagnosis.md: every cause that diagnose_log knows, how it looks, and what to do.

With --check nothing is written and a stale table is an error.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "diagnosis.md"
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT / ".ansible" / "collections"))

from ansible_collections.llmserve.vllm.plugins.module_utils._diagnosis.catalogue import (  # noqa: E402  # path above
    AREAS,
)
from ansible_collections.llmserve.vllm.plugins.module_utils._diagnosis.model import Cause  # noqa: E402  # path above
from ansible_collections.llmserve.vllm.plugins.module_utils._diagnosis.xids import XIDS  # noqa: E402  # path above
from ansible_collections.llmserve.vllm.tests.generated_page import update  # noqa: E402 the path comes first
from ansible_collections.llmserve.vllm.tests.unit.plugins.diagnosis_logs import samples  # noqa: E402  # path above

_LOOKS = 110


def looks() -> dict[str, str]:
    """How each cause looks: the line found in the first of its hand-assembled logs."""
    found: dict[str, str] = {}
    for sample in [*samples("engine"), *samples("host")]:
        lines = sample.text.splitlines()
        telling = [line for line in lines if any(word in line for word in ("Error", "error", "WARN", ":"))]
        found.setdefault(sample.cause, (telling or lines)[-1 if "File " in lines[0] else 0].strip())
    for xid in XIDS:
        found[f"{xid.slug}/xid_{xid.code}"] = f"NVRM: Xid (PCI:0000:17:00): {xid.code}, ..."
    return found


def code(text: str) -> str:
    short = text if len(text) <= _LOOKS else text[: _LOOKS - 4].rstrip() + " ..."
    marks = "``" if "`" in short else "`"
    return marks + short.replace("|", "\\|") + marks


def row(cause: Cause, looks_like: str) -> str:
    name = f"`{cause.slug}`" + (f"<br>`{cause.detail}`" if cause.detail else "")
    source = f"[read]({cause.source})" if cause.source else ""
    remedy = cause.remedy.replace("|", "\\|")
    return f"| {name} | {code(looks_like) if looks_like else ''} | {cause.explanation} | {remedy} | {source} |"


def cause_rows() -> list[str]:
    examples = looks()
    parts = []
    for title, causes in AREAS.items():
        rows = [
            f"### {title}",
            "",
            "| Cause | Looks like | What it is | What to do | More |",
            "| --- | --- | --- | --- | --- |",
        ]
        for cause in causes:
            name = cause.slug + (f"/{cause.detail}" if cause.detail else "")
            rows.append(row(cause, examples.get(name, "")))
        parts.append("\n".join(rows) + "\n")
    return "\n".join(parts).splitlines()


TABLES = {"causes": cause_rows}


if __name__ == "__main__":
    sys.exit(update(PAGE, TABLES))
