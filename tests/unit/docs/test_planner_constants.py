# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/planner.md names every constant of the planner with the value that the code has.

A row of a table that begins with `module.NAME` is about that constant or function. A constant that is one number has
that number in the row; for everything else the numbers in the code and in its rows have to be the same ones.
"""

from __future__ import annotations

import ast
import importlib
import re
from pathlib import Path
from typing import Any, TypeGuard

import pytest
from ansible_collections.llmserve.vllm.benchmarks import planner_speed
from ansible_collections.llmserve.vllm.plugins.module_utils._planner import families, gpus
from ansible_collections.llmserve.vllm.plugins.module_utils._planner.plan import make_plan
from ansible_collections.llmserve.vllm.tests import planner_tables
from ansible_collections.llmserve.vllm.tests.generated_page import rendered

ROOT = Path(__file__).resolve().parents[3]
PLANNER = ROOT / "plugins" / "module_utils" / "_planner"
PAGE = (ROOT / "docs" / "planner.md").read_text(encoding="utf-8")
PACKAGE = "ansible_collections.llmserve.vllm.plugins.module_utils._planner"

# Numbers that count, halve, square, or convert units.
TRIVIAL = {"0", "1", "2", "3", "1024", "1000", "1000000", "1e+06", "1e+09", "1000000000"}
# What has no meaning for a plan, or stands in a generated table.
LEFT_OUT = {
    "gpus._MODELS": "generated table",
    "formats._NAMED": "generated table",
    "formats._FP8": "generated table",
    "formats.Format": "generated table",
    "formats._read_int4": "codes of config.json",
    "formats._read_compressed_tensors": "codes of config.json",
    "formats._caches_fp8": "codes of config.json",
    "formats._int4": "codes of config.json",
    "findings._few": "length of a message",
    "explain._memory": "digits that are shown",
    "question._check_size": "length of a text",
    "question._offload": "a bound of its own that nobody meets",
    "question._rates": "a bound of its own that nobody meets",
    "question._text": "length of a text",
}


def is_left_out(name: str, node: ast.stmt) -> bool:
    """Families are a generated table, errors are about the length of messages."""
    module, _attribute = name.split(".")
    return name in LEFT_OUT or module == "errors" or (module == "families" and not isinstance(node, ast.FunctionDef))


def number(value: float) -> str:
    return f"{value:.12g}"


def is_whole(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def literals(node: ast.AST) -> list[set[frozenset[str]]]:
    """The numbers in some code, each with the ways to write it: (0, 17) is 0.17, or 0 and 17."""
    if isinstance(node, ast.Tuple) and 2 <= len(node.elts) <= 3:
        parts = [item.value for item in node.elts if isinstance(item, ast.Constant) and is_whole(item.value)]
        if len(parts) == len(node.elts):
            version = ".".join(str(part) for part in parts)
            return [{frozenset({version}), frozenset(number(part) for part in parts)}]
    if isinstance(node, ast.Constant) and isinstance(node.value, (int, float)) and not isinstance(node.value, bool):
        return [{frozenset({number(node.value)})}]
    return [found for child in ast.iter_child_nodes(node) for found in literals(child)]


def named_nodes() -> dict[str, ast.stmt]:
    """Functions, classes and constants of every module of the planner."""
    found: dict[str, ast.stmt] = {}
    for path in sorted(PLANNER.glob("*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                found[f"{path.stem}.{node.name}"] = node
            elif isinstance(node, (ast.Assign, ast.AnnAssign)):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                for target in targets:
                    names = target.elts if isinstance(target, ast.Tuple) else [target]
                    found.update({f"{path.stem}.{name.id}": node for name in names if isinstance(name, ast.Name)})
    return found


def documented() -> dict[str, str]:
    """The cells with values, by the name in the first cell; rows of one name are joined."""
    found: dict[str, str] = {}
    for name, value in re.findall(r"^\| `([a-z_]+\.\w+)` \| ([^|]*) \|", PAGE, re.MULTILINE):
        found[name] = found.get(name, "") + " " + value
    return found


def written(text: str) -> list[str]:
    """The numbers of a cell as they stand there; A100 is none, 16,384 is one."""
    return re.findall(r"(?<![A-Za-z.\d])\d+(?:\.\d+)*", re.sub(r"(?<=\d),(?=\d{3})", "", text))


def normal(item: str) -> str:
    """2.0 as 2; a release such as 0.8.5 as it is."""
    return item if item.count(".") > 1 else number(float(item))


def tokens(text: str) -> set[str]:
    """The numbers of a cell, as they stand there (releases) and as numbers."""
    return {way for item in written(text) for way in (item, normal(item))}


NODES = named_nodes()
ROWS = documented()


def test_there_are_rows() -> None:
    assert len(ROWS) > 50


def value_of(name: str) -> object:
    module, attribute = name.split(".")
    return getattr(importlib.import_module(f"{PACKAGE}.{module}"), attribute, None)


def is_number(value: object) -> bool:
    return type(value) in (int, float)


def missing_numbers(name: str) -> list[str]:
    """What the code has and the rows have not."""
    cell = tokens(ROWS.get(name, "")) | TRIVIAL
    return [
        " or ".join(" ".join(sorted(way)) for way in ways)
        for ways in literals(NODES[name])
        if not any(way <= cell for way in ways)
    ]


@pytest.mark.parametrize("name", sorted(ROWS))
def test_a_row_says_what_the_code_says(name: str) -> None:
    assert name in NODES, f"{name} is in docs/planner.md, but not in the planner"
    known = {part for ways in literals(NODES[name]) for way in ways for part in way} | TRIVIAL
    value = value_of(name)
    if isinstance(value, (int, float)) and is_number(value):
        known.add(number(value))
        assert number(value) in tokens(ROWS[name]) or not missing_numbers(name), f"{name} is {number(value)}"
    elif isinstance(value, tuple) and all(is_whole(part) for part in value):
        assert ".".join(str(part) for part in value) in tokens(ROWS[name]), f"{name} is {value}"
    wrong = [item for item in written(ROWS[name]) if not {item, normal(item)} & known]
    assert not wrong, f"docs/planner.md: {name} has no {', '.join(wrong)} in the code"


@pytest.mark.parametrize("name", sorted(name for name, node in NODES.items() if not is_left_out(name, node)))
def test_every_number_of_the_code_has_a_row(name: str) -> None:
    value = value_of(name)
    if isinstance(value, (int, float)) and is_number(value) and number(value) in tokens(ROWS.get(name, "")):
        return
    missing = missing_numbers(name)
    assert not missing, f"docs/planner.md has no row for {', '.join(missing)} of {name}"


def test_nothing_is_left_out_that_is_not_there() -> None:
    assert not set(LEFT_OUT) - set(NODES)


def test_the_generated_tables_are_fresh() -> None:
    assert rendered(PAGE, planner_tables.TABLES) == PAGE, "run python tests/planner_tables.py"


def test_every_gpu_has_an_origin() -> None:
    assert {model.title for _pattern, model in gpus._MODELS} == set(planner_tables.ORIGINS)


def test_every_trait_is_explained() -> None:
    assert not [name for name in families.Traits._fields if f"`{name}`" not in PAGE]


def plan_of(config: dict[str, Any], nodes: int) -> dict[str, Any]:
    gpus_of_node = [{"name": "NVIDIA H100 80GB HBM3", "memory_total_mib": 81559}] * 8
    options = {
        "model": {"config": config},
        "nodes": [{"name": f"node-{number}", "gpus": gpus_of_node} for number in range(nodes)],
        "vllm_version": "0.33.0",
    }
    return make_plan(options)


def test_the_example_is_what_the_module_shows() -> None:
    shown = PAGE.split("```text\n", 1)[1].split("```", 1)[0]
    assert shown.splitlines() == plan_of(planner_speed.CONFIG, 2)["arithmetic"]


@pytest.mark.parametrize(
    ("config", "nodes", "weights", "token", "cache"),
    [
        (planner_speed.CONFIG, 2, "811.7 GB = 756.0 GiB", "516,096", "63.0 GiB"),
        (
            dict(
                planner_speed.CONFIG,
                hidden_size=8192,
                intermediate_size=28672,
                num_hidden_layers=80,
                num_attention_heads=64,
            ),
            1,
            "141.1 GB = 131.4 GiB",
            "327,680",
            "40.0 GiB",
        ),
    ],
)
def test_the_figures_to_check_by_hand(config: dict[str, Any], nodes: int, weights: str, token: str, cache: str) -> None:
    arithmetic = "\n".join(plan_of(config, nodes)["arithmetic"])
    assert f"weights: {weights} " in arithmetic
    assert f"KV cache per token: {token} B in the model" in arithmetic
    assert f"one request of 131,072 tokens: {cache[:-4]}0 GiB in the model" in arithmetic
    table = PAGE.split("## Figures to check by hand", 1)[1]
    assert all(figure in table for figure in (weights, token, cache))


def test_no_line_is_too_long() -> None:
    lines = [line for line in PAGE.splitlines() if not line.startswith("|")]
    assert max(len(line) for line in lines) <= 120
