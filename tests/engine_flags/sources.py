# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The flags that one release of vLLM accepts after C(vllm serve MODEL), read from its source.

Its functions that fill the parser are followed statement by statement; nothing of vLLM is imported or run.
"""

from __future__ import annotations

import ast
import re
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

from ansible_collections.llmserve.vllm.tests.engine_flags.annotations import (
    HUMAN,
    Names,
    Spec,
    literals,
    of_field,
)

Table: TypeAlias = dict[str, Spec]
_FILES = (
    "engine/arg_utils.py",
    "entrypoints/openai/cli_args.py",
    "entrypoints/launchers/cli_args.py",
    "entrypoints/common/cli_args.py",
    "entrypoints/cli/serve.py",
    "scripts.py",
)
_FUNCTIONS = (
    "add_cli_args",
    "_async_engine_args_parser",
    "_engine_args_parser",
    "make_arg_parser",
    "subparser_init",
    "main",
)
_JSON = {"loads", "from_cli", "from_json", "union_dict_and_str", "parse_dataclass"}
_DEPRECATED = re.compile(r"\[deprecated\]|\bis deprecated|\bare deprecated|^\W*deprecated", re.IGNORECASE)


class Reader:
    """Follows the functions that fill the parser."""

    def __init__(self, package: Path) -> None:
        self.names = Names.of(package)
        self.flags: Table = {}
        self.unread: set[str] = set()
        self.tables: dict[str, Table] = {}
        self.specs: dict[str, Spec] = {}
        self.owner = ""
        self.others: tuple[str, ...] = ()
        self.source = ""
        arg_utils = (package / "engine" / "arg_utils.py").read_text(encoding="utf-8")
        for name in _FILES:
            path = package / name
            if path.exists():
                self.source = arg_utils
                self.others = ("parser", "chat_parser", "complete_parser") if name == "scripts.py" else ()
                self._file(ast.parse(path.read_text(encoding="utf-8")), name)

    def _file(self, module: ast.Module, name: str) -> None:
        for node in module.body:
            if isinstance(node, ast.ClassDef) and (node.name != "BaseFrontendArgs"):
                self.owner = node.name
                for item in self._methods(node):
                    if item.name in _FUNCTIONS:
                        self._body(item.body)
            elif isinstance(node, ast.FunctionDef) and node.name in _FUNCTIONS:
                if node.name == "main" and name != "scripts.py":
                    continue
                self._body(node.body)

    def _methods(self, node: ast.ClassDef) -> list[ast.FunctionDef]:
        """The methods of a class and of those that it inherits from, the nearest first."""
        found = {item.name: item for item in node.body if isinstance(item, ast.FunctionDef)}
        if node.name == "FrontendArgs":
            for base in node.bases:
                parent = self.names.classes.get(base.id) if isinstance(base, ast.Name) else None
                for item in self._methods(parent) if parent else []:
                    found.setdefault(item.name, item)
        return list(found.values())

    # --- statements ----------------------------------------------------------------------------------------------

    def _body(self, body: list[ast.stmt]) -> None:
        for node in body:
            if isinstance(node, ast.If | ast.With | ast.Try):
                self._body([*node.body, *getattr(node, "orelse", [])])
            elif isinstance(node, ast.For):
                self._loop(node)
            elif isinstance(node, ast.Assign):
                self._assign(node.targets[0], node.value)
            elif isinstance(node, ast.Delete):
                for target in node.targets:
                    self._override(target, None)
            elif isinstance(node, ast.Expr | ast.Return) and isinstance(node.value, ast.Call):
                self._call(node.value)

    def _assign(self, target: ast.expr, value: ast.expr) -> None:
        if isinstance(target, ast.Subscript):
            self._override(target, value)
        elif isinstance(target, ast.Name) and isinstance(value, ast.Call):
            called = _name(value.func)
            if called == "get_kwargs":
                wanted = _name(value.args[0])
                self.tables[target.id] = self._fields(self.owner if wanted == "cls" else wanted)
            elif called == "_customize_cli_kwargs":
                # super()'s have been followed before
                if not isinstance(value.func.value, ast.Call):  # type: ignore[attr-defined]
                    self._customize(target.id, self.owner)
            else:
                self._call(value)
        elif isinstance(target, ast.Name) and isinstance(value, ast.Subscript):
            spec = self._spec(value)
            if spec is not None:
                self.specs[target.id] = spec

    def _customize(self, variable: str, owner: str) -> None:
        """The overrides of _customize_cli_kwargs, those of the base class first."""
        node = self.names.classes.get(owner)
        for base in node.bases if node else []:
            self._customize(variable, _name(base))
        for item in node.body if node else []:
            if isinstance(item, ast.FunctionDef) and item.name == "_customize_cli_kwargs":
                self.tables[item.args.args[1].arg] = self.tables[variable]
                self._body(item.body)

    def _override(self, target: ast.expr, value: ast.expr | None) -> None:
        """kwargs["field"]["type"] = value; None deletes."""
        if not isinstance(target, ast.Subscript) or not isinstance(target.slice, ast.Constant):
            return
        spec = self._spec(target.value)
        if spec is None:
            table = self.tables.get(_name(target.value))
            if table is not None and value is None:
                table.pop(str(target.slice.value), None)
            return
        self._keyword(spec, str(target.slice.value), value)

    def _loop(self, node: ast.For) -> None:
        """for key, value in kwargs.items(): group.add_argument(f"--{key}", **value)"""
        table = self.tables.get(_name(node.iter.func.value)) if _is_items(node.iter) else None  # type: ignore[attr-defined]
        if table is None:
            self._body(node.body)
            return
        for name, spec in table.items():
            self.flags[name.replace("_", "-")] = spec

    # --- calls -----------------------------------------------------------------------------------------------------

    def _call(self, node: ast.Call) -> None:
        called = _name(node.func)
        if called in ("update", "pop") and isinstance(node.func, ast.Attribute):
            spec = self._spec(node.func.value)
            if spec is not None and called == "pop":
                self._override(ast.Subscript(node.func.value, node.args[0], ast.Load()), None)
            elif spec is not None:
                self._update(spec, node)
        elif called == "add_argument":
            words = [arg.value for arg in node.args if isinstance(arg, ast.Constant) and isinstance(arg.value, str)]
            long = [word[2:] for word in words if word.startswith("--")]
            # the flags of `vllm chat` and of `vllm` itself
            other = _name(node.func.value) in self.others if isinstance(node.func, ast.Attribute) else False
            if long and not other:
                self._argument(long, [word.lstrip("-") for word in words], node)

    def _argument(self, long: list[str], words: list[str], node: ast.Call) -> None:
        spec = Spec()
        for keyword in node.keywords:
            if keyword.arg is None:
                spec = self._expanded(keyword.value, long[0])
        for keyword in node.keywords:
            if keyword.arg is not None:
                self._keyword(spec, keyword.arg, keyword.value)
        name = long[0].replace("_", "-")
        spec.aliases = [word for word in words if word.replace("_", "-") != name]
        self.flags[name] = spec
        for other in long[1:]:
            self.flags[other.replace("_", "-")] = replace(spec, aliases=[])

    def _expanded(self, node: ast.expr, name: str) -> Spec:
        """**kwargs["field"], or **{**kwargs["field"], "default": None}."""
        base = node.values[0] if isinstance(node, ast.Dict) and node.keys[:1] == [None] else node
        found = self._spec(base)
        if found is None:
            self.unread.add(f"--{name} **{ast.unparse(node)}")
            return Spec()
        spec = replace(found, choices=list(found.choices), aliases=[])
        if isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                if isinstance(key, ast.Constant):
                    self._keyword(spec, str(key.value), value)
        return spec

    def _update(self, spec: Spec, node: ast.Call) -> None:
        for keyword in node.keywords:
            if keyword.arg:
                self._keyword(spec, keyword.arg, keyword.value)
        for arg in node.args:
            if isinstance(arg, ast.Dict):
                for key, value in zip(arg.keys, arg.values, strict=True):
                    if isinstance(key, ast.Constant):
                        self._keyword(spec, str(key.value), value)

    def _keyword(self, spec: Spec, name: str, value: ast.expr | None) -> None:
        if name == "nargs":
            spec.nargs = "" if value is None else ast.literal_eval(value) if isinstance(value, ast.Constant) else "+"
        elif name == "action":
            self._action(spec, value)
        elif name == "type":
            spec.type = "str" if value is None else self._type(value)
            if spec.type == "boolean":
                spec.action, spec.type = "StoreBoolean", "str"
        elif name == "choices":
            spec.choices = [] if value is None else literals(value, self.names) or []
        elif name == "flags" and isinstance(value, ast.List):
            spec.aliases = [str(ast.literal_eval(item)).lstrip("-") for item in value.elts]
        elif name == "help" and value is not None:
            spec.deprecated = bool(_DEPRECATED.search(self._text(value)))
        elif name == "deprecated":
            spec.deprecated = True

    def _action(self, spec: Spec, value: ast.expr | None) -> None:
        name = "" if value is None else str(value.value) if isinstance(value, ast.Constant) else _name(value)
        node = self.names.classes.get(name)
        spec.deprecated = spec.deprecated or "Deprecated" in name
        if node is not None and name != "StoreBoolean":
            bases = [_name(base) for base in node.bases]
            name = "BooleanOptionalAction" if "BooleanOptionalAction" in bases else ""
        spec.action = name

    def _text(self, node: ast.expr) -> str:
        if isinstance(node, ast.Name):
            node = self.names.values.get(node.id, node)
        return " ".join(str(item.value) for item in ast.walk(node) if isinstance(item, ast.Constant))

    def _type(self, node: ast.expr) -> str:
        name = _name(node.func) if isinstance(node, ast.Call) else _name(node)
        if isinstance(node, ast.Call) and node.args and name in ("optional_type", "parse_type", "partial"):
            return self._type(node.args[0])
        if name in ("str", "int", "float"):
            return name
        if isinstance(node, ast.Lambda):
            return "comma" if "isdigit() else" in ast.unparse(node) else "str"
        known = {
            "bool": "boolean",
            "check_port": "int",
            "human_readable_int": HUMAN,
            "human_readable_int_or_auto": "length",
            "nullable_kvs": "pairs",
            "nullable_str": "str",
            "parse_reasoning_parser": "str",
        }
        if name in _JSON:
            return "json"
        if name not in known:
            self.unread.add(f"type={ast.unparse(node)}")
        return known.get(name, "str")

    # --- values ----------------------------------------------------------------------------------------------------

    def _spec(self, node: ast.expr) -> Spec | None:
        """What kwargs["field"] stands for."""
        if isinstance(node, ast.Name):
            return self.specs.get(node.id)
        if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
            if isinstance(node.value, ast.Call) and _name(node.value.func) == "get_kwargs":
                return self._fields(_name(node.value.args[0])).get(str(node.slice.value))
            return self.tables.get(_name(node.value), {}).get(str(node.slice.value))
        return None

    def _fields(self, name: str) -> Table:
        node = self.names.classes.get(name)
        if node is None:
            self.unread.add(f"class {name}")
            return {}
        table: Table = {}
        for base in node.bases:
            table.update(self._fields(_name(base)) if _name(base) in self.names.classes else {})
        for item, after in zip(node.body, [*node.body[1:], None], strict=True):
            if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name):
                if "ClassVar" in ast.unparse(item.annotation):
                    continue
                spec = of_field(item.target.id, item.annotation, self.names, self.source)
                if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
                    spec.deprecated = bool(_DEPRECATED.search(str(after.value.value)))
                table[item.target.id] = spec
        return table


def _name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def _is_items(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "items"
