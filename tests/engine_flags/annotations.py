# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What argparse is told about a field of one of vLLM's configuration classes, read from its annotation.

The counterpart of C(get_kwargs) in vllm/engine/arg_utils.py. Nothing of vLLM is imported or run.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from pathlib import Path

# Integers that vLLM reads with a suffix (16k, 2M), wherever it has the function for it.
HUMAN = "human"
_WRAPPERS = {"Optional", "Union", "Annotated", "SkipValidation"}
_MANY = {"list", "List", "tuple", "Tuple", "set", "Set", "Sequence"}
_DICTS = {"dict", "Dict", "Mapping"}


@dataclass
class Spec:
    """The keywords of one add_argument, as far as they say what may follow the flag."""

    action: str = ""
    nargs: str = ""
    type: str = "str"
    choices: list[str] = field(default_factory=list)
    aliases: list[str] = field(default_factory=list)
    deprecated: bool = False


@dataclass
class Names:
    """The classes and the constants of a source tree, by name."""

    classes: dict[str, ast.ClassDef] = field(default_factory=dict)
    values: dict[str, ast.expr] = field(default_factory=dict)

    @classmethod
    def of(cls, package: Path) -> Names:
        found = cls()
        # the configuration comes last: of two classes of one name it has the one that is meant
        for path in sorted(package.rglob("*.py"), key=lambda path: ("config" in path.parts, str(path))):
            for node in ast.parse(path.read_text(encoding="utf-8")).body:
                found.add(node)
        return found

    def add(self, node: ast.stmt) -> None:
        if isinstance(node, ast.ClassDef):
            self.classes[node.name] = node
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            # a stand-in for the time without type checking says nothing
            if not isinstance(node.value, ast.Constant) or node.targets[0].id not in self.values:
                self.values[node.targets[0].id] = node.value
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None:
            self.values[node.target.id] = node.value
        elif isinstance(node, ast.If | ast.Try):
            for child in [*node.body, *node.orelse]:
                self.add(child)

    def is_config(self, name: str) -> bool:
        """Whether it is a dataclass, which the command line takes as JSON."""
        node = self.classes.get(name)
        marks = (
            {_last(mark.func if isinstance(mark, ast.Call) else mark) for mark in node.decorator_list} if node else ()
        )
        return bool({"dataclass", "config", "pydantic_dataclass"} & set(marks))

    def is_dict(self, name: str) -> bool:
        node = self.classes.get(name)
        return node is not None and any(_last(base) in _DICTS for base in node.bases)


def _last(node: ast.expr) -> str:
    """The last part of a dotted name; empty for anything else."""
    if isinstance(node, ast.Subscript):
        return _last(node.value)
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def hints(node: ast.expr, names: Names) -> list[ast.expr]:
    """The alternatives of an annotation: unions, aliases and Annotated[] taken apart."""
    if isinstance(node, ast.BinOp):
        return hints(node.left, names) + hints(node.right, names)
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return hints(ast.parse(node.value, mode="eval").body, names)
    if isinstance(node, ast.Subscript) and _last(node.value) in _WRAPPERS:
        inner = list(node.slice.elts) if isinstance(node.slice, ast.Tuple) else [node.slice]
        inner = inner[:1] if _last(node.value) in ("Annotated", "SkipValidation") else inner
        none: list[ast.expr] = [ast.Constant(None)] if _last(node.value) == "Optional" else []
        return [hint for part in inner for hint in hints(part, names)] + none
    alias = names.values.get(node.id) if isinstance(node, ast.Name) else None
    if isinstance(alias, ast.Subscript | ast.BinOp):
        return hints(alias, names)
    return [node]


def literals(node: ast.expr | None, names: Names) -> list[str] | None:
    """The words in a Literal[], a list, an Enum's values or a constant; None where one cannot be read off."""
    if isinstance(node, ast.Constant):
        return [] if node.value is None else [str(node.value)]
    if isinstance(node, ast.Name):
        value = names.values.get(node.id)
        return literals(value, names) if value is not None else _enum(node.id, names)
    if isinstance(node, ast.Call | ast.Subscript | ast.ListComp):
        inner = _inner(node)
        return literals(inner, names) if inner is not None else None
    parts = _parts(node)
    return _joined(parts, names) if parts is not None else None


def _inner(node: ast.Call | ast.Subscript | ast.ListComp) -> ast.expr | None:
    """What a Literal[], a list() or keys(), or a comprehension takes its words from."""
    if isinstance(node, ast.ListComp):
        return node.generators[0].iter
    if isinstance(node, ast.Subscript):
        return node.slice if _last(node.value) == "Literal" else None
    if _last(node.func) not in {"get_args", "list", "sorted", "tuple", "keys", "set"}:
        return None
    return node.args[0] if node.args else node.func.value if isinstance(node.func, ast.Attribute) else None


def _parts(node: ast.expr | None) -> list[ast.expr] | None:
    """The elements of a container, or of a sum of two."""
    if isinstance(node, ast.Tuple | ast.List | ast.Set):
        return [element.value if isinstance(element, ast.Starred) else element for element in node.elts]
    if isinstance(node, ast.BinOp):
        return [node.left, node.right]
    return [key for key in node.keys if key is not None] if isinstance(node, ast.Dict) else None


def _joined(nodes: list[ast.expr], names: Names) -> list[str] | None:
    parts = [literals(node, names) for node in nodes]
    return None if None in parts else [word for part in parts for word in part or []]


def _enum(name: str, names: Names) -> list[str] | None:
    node = names.classes.get(name)
    if node is None or not any("Enum" in _last(base) for base in node.bases):
        return None
    members = [item.value for item in node.body if isinstance(item, ast.Assign)]
    return _joined(members, names)


def of_field(name: str, annotation: ast.expr, names: Names, source: str) -> Spec:
    """What get_kwargs makes of one field."""
    alternatives = hints(annotation, names)
    kinds = [_last(hint) for hint in alternatives]
    heads = {kind for kind in kinds if kind}
    literal = [hint for hint, head in zip(alternatives, kinds, strict=True) if head == "Literal"]
    # newer releases only show the words when other strings are accepted, too
    words = literals(literal[0], names) if literal and not ("str" in heads and "metavar" in source) else None
    # the order is vLLM's: the first that holds decides
    rules = (
        ("BaseModel" in heads or any(names.is_config(head) for head in heads), Spec(type="json")),
        ("bool" in heads, Spec(nargs="?") if "str" in heads else Spec(action="BooleanOptionalAction")),
        (bool(literal), Spec(choices=words or [])),
        (bool(heads & _MANY), Spec(nargs="+")),
        ("int" in heads, Spec(type=_integer(name, source))),
        ("float" in heads, Spec(type="float")),
        (bool(heads & _DICTS) or any(names.is_dict(head) for head in heads), Spec(type="json")),
    )
    return next((spec for holds, spec in rules if holds), Spec())


def _integer(name: str, source: str) -> str:
    if "human_readable_int" not in source:
        return "int"
    if name == "max_model_len":
        return "length" if "human_readable_int_or_auto" in source else HUMAN
    human = source.partition("human_readable_int_args = {")[2].partition("}")[0]
    return HUMAN if f'"{name}"' in human else "int"
