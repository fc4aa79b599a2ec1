# SPDX-License-Identifier: GPL-3.0-or-later
"""The flags in what vllm serve --help=all prints; the fixtures are what the parsers of these releases printed.

The words of their explanations are masked, but for those about JSON: they are vLLM's, and nothing is read from them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.llmserve.vllm.plugins.module_utils._vllm_args import build_argv
from ansible_collections.llmserve.vllm.plugins.module_utils._vllm_flags import Flag, flags_of, parse_release
from ansible_collections.llmserve.vllm.plugins.module_utils._vllm_help import (
    HelpError,
    canonical,
    from_json,
    merge,
    parse_help,
    to_json,
)

FIXTURES = Path(__file__).parents[2] / "fixtures" / "vllm_help"
TEXT = (FIXTURES / "0.32.0.txt").read_text()
KNOWN = flags_of((0, 32, 0))


@pytest.mark.parametrize("version", ["0.10.2", "0.32.0", "0.33.0"])
def test_the_real_text_names_the_flags_of_the_data(version: str) -> None:
    told = parse_help((FIXTURES / f"{version}.txt").read_text())
    known = flags_of(parse_release(version))
    assert set(told) == set(known)
    # what both can know agrees: the data is read from the source, the text comes from the parser itself
    assert {name: flag.form for name, flag in told.items()} == {name: flag.form for name, flag in known.items()}


def test_what_turns_a_switch_off_is_no_flag() -> None:
    # 0.33 shows --enable-x, --disable-x and accepts --no-enable-x as before
    told = parse_help((FIXTURES / "0.33.0.txt").read_text())
    assert told["enable-prefix-caching"].kind == told["disable-custom-all-reduce"].kind == "switch"
    assert not {"disable-prefix-caching", "enable-custom-all-reduce", "no-enforce-eager"} & set(told)
    engine_args = {"enable_prefix_caching": False, "disable_log_stats": True, "enable_custom_all_reduce": False}
    assert build_argv(engine_args, "0.33.0", told).argv == [
        "--no-enable-prefix-caching",
        "--disable-log-stats",
        "--disable-custom-all-reduce",
    ]


@pytest.mark.parametrize(
    ("name", "flag"),
    [
        ("enforce-eager", Flag("enforce-eager", "switch")),
        ("headless", Flag("headless", "on_only")),
        ("served-model-name", Flag("served-model-name", "many")),
        ("hf-token", Flag("hf-token", "optional")),
        ("dtype", Flag("dtype", "choice", ("auto", "bfloat16", "float", "float16", "float32", "half"))),
        # words that are only shown, and not all there are
        ("distributed-executor-backend", Flag("distributed-executor-backend", "str")),
        ("tool-call-parser", Flag("tool-call-parser", "str")),
        ("compilation-config", Flag("compilation-config", "json")),
        ("pipeline-parallel-size", Flag("pipeline-parallel-size", "str")),
        ("device-memory-utilization", Flag("device-memory-utilization", "str")),
        ("api-server-count", Flag("api-server-count", "str")),
    ],
)
def test_forms(name: str, flag: Flag) -> None:
    assert parse_help(TEXT)[name] == flag


def test_older_and_newer_pythons_write_abbreviations_differently() -> None:
    filler = "".join(f"  --filler-{number} X{number}\n" for number in range(60))
    text = f"usage: vllm serve [-h]\n\noptions:\n{filler}"
    old = parse_help(text + "  --tensor-parallel-size TP, -tp TP\n                        Number\n  -O X, --level X\n")
    new = parse_help(text + "  --tensor-parallel-size, -tp TP\n                        Number\n  -O, --level X\n")
    assert old == new
    assert old["tensor-parallel-size"] == Flag("tensor-parallel-size", "str")
    assert old["level"] == Flag("level", "str")


@pytest.mark.parametrize(
    "text", ["", "Traceback (most recent call last):\n  File ...", "options:\n  -h, --help  show\n"]
)
def test_another_text_is_refused(text: str) -> None:
    with pytest.raises(HelpError, match="fewer than any release of vLLM has"):
        parse_help(text)


def test_merge_keeps_what_the_data_knows_better() -> None:
    merged = merge(KNOWN, parse_help(TEXT))
    assert {name: flag.kind for name, flag in merged.items() if flag.kind != KNOWN[name].kind} == {
        # argparse limits these, the data does not know the words
        "anthropic-disabled-thinking-effort": "choice",
        "chat-template-content-format": "choice",
        "mm-processor-device": "choice",
        "tool-strict-level": "choice",
    }
    # the text knows that one of the words is not for the command line
    assert "passthrough" in KNOWN["all2all-backend"].choices
    assert "passthrough" not in merged["all2all-backend"].choices


def test_merge_takes_what_the_target_has() -> None:
    told = {
        "dtype": Flag("dtype", "str"),
        "max-num-seqs": Flag("max-num-seqs", "many"),
        "vendor": Flag("vendor", "switch"),
    }
    assert merge(KNOWN, told) == told


def test_between_host_and_controller() -> None:
    told = parse_help(TEXT)
    assert from_json(to_json(told)) == told
    assert to_json({"seed": Flag("seed", "int")}) == {"seed": {"kind": "int"}}


@pytest.mark.parametrize("data", [["seed"], {"seed": "int"}, {"seed": {}}])
def test_other_data_is_refused(data: Any) -> None:
    with pytest.raises(HelpError, match="as engine_flags returns them"):
        from_json(data)


def test_canonical() -> None:
    assert canonical("device-memory-utilization", KNOWN) == "gpu-memory-utilization"
    assert canonical("seed", KNOWN) == "seed"
    # an abbreviation is not a second name
    assert canonical("tp", KNOWN) == "tp"


def test_the_real_text_decides_about_arguments() -> None:
    accepted = parse_help(TEXT)
    engine_args = {"enable_prefix_caching": False, "compilation_config": {"mode": 3}, "max_model_len": "16k"}
    assert build_argv(engine_args, "0.32.0", accepted) == (
        ["--no-enable-prefix-caching", "--compilation-config", '{"mode":3}', "--max-model-len", "16k"],
        [],
    )
