# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The diagnosis of logs as one Python file, for places where neither Ansible nor this collection is.

This plugin util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import json
from pathlib import Path

_UTILS = Path(__file__).parents[1] / "module_utils"
_PACKAGE = "ansible_collections.llmserve.vllm.plugins.module_utils"
_PROGRAM = '''\
"""Says why a log ends as it does:  python3 diagnosis.py LOG

Made by llmserve.vllm out of its own modules, which are the texts below.
"""
import importlib.util
import json
import sys

MOST = {most}
PACKAGE = {package!r}
SOURCES = json.loads(r"""
{sources}
""")


class Finder:
    """Imports the modules from their texts."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        if name in SOURCES or PACKAGE.startswith(name + ".") or name == PACKAGE:
            is_package = SOURCES.get(name) is None or any(other.startswith(name + ".") for other in SOURCES)
            return importlib.util.spec_from_loader(name, Finder(), is_package=is_package)
        return None

    @staticmethod
    def create_module(spec):
        return None

    @staticmethod
    def exec_module(module):
        exec(compile(SOURCES.get(module.__name__, ""), module.__name__, "exec"), module.__dict__)


sys.meta_path.insert(0, Finder())
diagnosis = importlib.import_module(PACKAGE + "._diagnose")
with open(sys.argv[1], encoding="utf-8", errors="replace") as log:
    findings = diagnosis.diagnose(log.read())
for finding in findings[:MOST]:
    print("llmserve: CAUSE:", diagnosis.describe([finding]))
if not findings:
    print("llmserve: no cause that is known was found in this log")
'''


def diagnosis_program(most: int) -> str:
    """The program; it shows so many causes, the most probable first."""
    paths = [_UTILS / "_diagnose.py", *sorted((_UTILS / "_diagnosis").glob("*.py"))]
    sources = {_module(path): path.read_text(encoding="utf-8") for path in paths}
    return _PROGRAM.format(most=int(most), package=_PACKAGE, sources=json.dumps(sources, indent=0, ensure_ascii=True))


def _module(path: Path) -> str:
    inside = path.relative_to(_UTILS).with_suffix("").parts
    return ".".join([_PACKAGE, *(part for part in inside if part != "__init__")])
