# SPDX-License-Identifier: GPL-3.0-or-later
"""The flags of every release, and that what is rendered for it is what argparse reads."""

from __future__ import annotations

import argparse
import json
from typing import Any

import pytest
from ansible_collections.llmserve.vllm.plugins.module_utils import _vllm_flags_gone, _vllm_flags_today
from ansible_collections.llmserve.vllm.plugins.module_utils._vllm_args import build_argv
from ansible_collections.llmserve.vllm.plugins.module_utils._vllm_flags import (
    Flag,
    Release,
    aliases,
    deprecated_since,
    flags_of,
    is_known,
    known_releases,
    life,
    parse_release,
)
from ansible_collections.llmserve.vllm.plugins.module_utils._vllm_render import render
from ansible_collections.llmserve.vllm.plugins.module_utils._vllm_resolve import Target, resolve

KINDS = {
    *("str", "int", "float", "human", "length", "choice", "json", "pairs", "comma"),
    *("many", "repeated", "switch", "on_only", "boolean", "optional"),
}
REFUSED = {"api-key", "hf-token", "model"}


@pytest.mark.parametrize(
    ("text", "release"),
    [
        ("0.33.0", (0, 33, 0)),
        ("v0.32.0-cu129", (0, 32, 0)),
        ("v0.33", (0, 33, 0)),
        ("0.8.5.post1", (0, 8, 5, 1)),
        ("0.10.1.1", (0, 10, 1, 1)),
        ("0.26.1rc1.dev693+g7f7a32cfe", (0, 26, 1)),
        ("1.2", (1, 2, 0)),
        ("nightly", None),
        ("", None),
        (None, None),
    ],
)
def test_parse_release(text: str | None, release: Release | None) -> None:
    assert parse_release(text) == release


@pytest.mark.parametrize(
    ("version", "known"),
    [("0.5.0", True), ("0.33.7", True), ("0.15.1", True), ("0.34.0", False), ("0.4.3", False), ("1.0", False)],
)
def test_is_known(version: str, known: bool) -> None:
    assert is_known(parse_release(version)) is known


def test_the_tables_are_consistent() -> None:
    releases = known_releases()
    assert releases[0] == "0.5.0" and releases[-1] == "0.33.0" and len(releases) == 74
    lines = (_vllm_flags_today.FLAGS + _vllm_flags_gone.FLAGS).split("\n")
    names = [line.partition(":")[0] for line in lines if line]
    assert len(names) == len(set(names)) > 380
    for name in names:
        span = life(name)
        assert span is not None and span.first in releases and span.gone in ("", *releases)
        assert bool(span.gone) == (name in _vllm_flags_gone.FLAGS.replace("\n", " ").replace(":", "").split(" "))
    assert life("max-modle-len") is None
    assert aliases()["tp"] == "tensor-parallel-size"
    assert all(life(name) for name in aliases().values())


@pytest.mark.parametrize(
    ("name", "first", "gone"),
    [
        ("swap-space", "0.5.0", "0.18.0"),
        ("disable-log-requests", "0.5.0", "0.17.0"),
        ("enable-log-requests", "0.10.1", ""),
        ("nnodes", "0.11.1", ""),
        ("shutdown-timeout", "0.18.0", ""),
        ("numa-bind", "0.20.0", ""),
        ("device", "0.5.0", "0.10.0"),
        ("worker-use-ray", "0.5.0", "0.7.0"),
        ("guided-decoding-backend", "0.5.0", "0.11.0"),
        ("distributed-executor-backend", "0.5.0", ""),
        ("offload-backend", "0.17.0", ""),
        ("kv-offloading-size", "0.11.1", ""),
    ],
)
def test_when_flags_came_and_went(name: str, first: str, gone: str) -> None:
    assert life(name) == (first, gone)


@pytest.mark.parametrize(
    ("version", "name", "kind"),
    [
        ("0.5.0", "max-model-len", "int"),
        ("0.9.0", "max-model-len", "human"),
        ("0.14.0", "max-model-len", "length"),
        ("0.5.3", "enable-chunked-prefill", "boolean"),
        ("0.33.0", "enable-chunked-prefill", "switch"),
        ("0.33.0", "hf-token", "optional"),
        ("0.33.0", "headless", "on_only"),
        ("0.33.0", "middleware", "repeated"),
        ("0.33.0", "device-ids", "comma"),
        ("0.33.0", "compilation-config", "json"),
        ("0.33.0", "cudagraph-capture-sizes", "many"),
        ("0.33.0", "gpu-memory-utilization", "float"),
    ],
)
def test_kinds(version: str, name: str, kind: str) -> None:
    assert flags_of(parse_release(version))[name].kind == kind


def test_choices_change_with_the_release() -> None:
    assert flags_of((0, 5, 0))["distributed-executor-backend"].choices == ("ray", "mp")
    assert flags_of((0, 7, 0))["distributed-executor-backend"].choices == ("ray", "mp", "uni", "external_launcher")
    assert "128" not in flags_of((0, 6, 0))["block-size"].choices
    assert "128" in flags_of((0, 6, 4))["block-size"].choices
    assert "nvfp4" in flags_of((0, 20, 0))["kv-cache-dtype"].choices


def test_deprecated_since() -> None:
    assert deprecated_since("task", (0, 12, 0)) == "0.10.1"
    assert deprecated_since("task", (0, 10, 0)) == ""
    assert deprecated_since("seed", (0, 33, 0)) == ""


def sample(flag: Flag) -> Any:
    """A value that a flag takes."""
    return {
        "int": 3,
        "human": "2M",
        "length": "25.6k",
        "float": 0.5,
        "choice": flag.choices[-1] if flag.choices else "",
        "json": {"a b": [1, "it's", {"c": None}]},
        "pairs": {"image": 2, "video": 1},
        "comma": ["a", "b"],
        "many": ["x y", 2],
        "repeated": ["m.n", "o"],
        "switch": False,
        "on_only": True,
        "boolean": False,
    }.get(flag.kind, "-odd word")


def parser_of(flags: dict[str, Flag]) -> argparse.ArgumentParser:
    """A parser such as vLLM has, made of the data."""
    parser = argparse.ArgumentParser(allow_abbrev=False, exit_on_error=False)
    parser.add_argument("model")
    options: dict[str, dict[str, Any]] = {
        "switch": {"action": argparse.BooleanOptionalAction},
        "on_only": {"action": "store_true"},
        "boolean": {"nargs": "?", "const": "true", "choices": ["true", "false"]},
        "many": {"nargs": "+"},
        "repeated": {"action": "append"},
        "json": {"type": json.loads},
        "int": {"type": int},
        "float": {"type": float},
    }
    for name, flag in flags.items():
        more = {"choices": flag.choices} if flag.kind == "choice" else options.get(flag.kind, {})
        parser.add_argument("--" + name, dest=name, default=None, **more)
    return parser


def wanted(flag: Flag, value: Any) -> Any:
    """What argparse has to understand."""
    texts = {
        "comma": "a,b", "pairs": "image=2,video=1", "many": ["x y", "2"], "boolean": "false", "optional": value,
    }  # fmt: skip
    return texts.get(flag.kind, value)


@pytest.mark.parametrize("version", known_releases())
def test_argparse_reads_what_is_rendered(version: str) -> None:
    flags = {name: flag for name, flag in flags_of(parse_release(version)).items() if name not in REFUSED}
    assert len(flags) > 80
    assert {flag.kind for flag in flags.values()} <= KINDS
    values = {name: sample(flag) for name, flag in flags.items()}
    # past build_argv, whose known bad combinations this is not about
    target = Target(parse_release(version), version, flags, True)
    argv = ["/model"]
    for name, value in values.items():
        for argument, item in resolve(name.replace("-", "_"), value, target).arguments:
            argv += render(argument, item)
    parsed = vars(parser_of(flags).parse_args(argv))
    assert parsed.pop("model") == "/model"
    assert parsed == {name: wanted(flag, values[name]) for name, flag in flags.items()}


def test_every_flag_that_is_gone_is_dealt_with_in_the_newest_release() -> None:
    newest = flags_of((0, 33, 0))
    for line in _vllm_flags_gone.FLAGS.strip().split("\n"):
        name = line.partition(":")[0]
        kind = line.replace(", ", " ").split(" ")[-3]
        value = sample(Flag(name, kind, ("x",)))
        try:
            result = build_argv({name: value}, "0.33.0")
        except ValueError as exc:
            assert "something else: " in str(exc) or "does not take" in str(exc)
            continue
        assert result.warnings, name
        heads = [word[2:].partition(".")[0] for word in result.argv if word.startswith("--")]
        assert all(head in newest or head[3:] in newest for head in heads)
