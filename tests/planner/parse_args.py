# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask vLLM's own parser about command lines: one JSON list of arguments a line in, one verdict a line out.

    docker run --rm -i --entrypoint python3 -v $PWD/tests/planner:/planner:ro IMAGE /planner/parse_args.py < argvs.jsonl

A line holds what follows C(vllm serve), or that with C(serve) or C(vllm serve) before it. Of vLLM come the parser of
C(vllm serve), the checks it makes of what was parsed, and EngineArgs.from_cli_args with the conversions of its
dataclass. No model is looked at, so a number that only a model or the engine's configuration can prove wrong passes.

A line {"argv": [...], "config": {...}} goes further: the model is one with this config.json, and vLLM makes its whole
engine configuration of it (create_engine_config), on the sandbox's platform with 64 simulated GPUs. That refuses, say,
a tensor parallel size that the heads forbid, or a length beyond the positions. No weights are needed, none are read.

{"argv": [...], "ok": true, "error": null, "set": {"tensor_parallel_size": 8}}: C(set) are the arguments that differ
from their defaults, as the parser understood them.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

# without HF_HUB_OFFLINE: offline, EngineArgs wants to see the model's snapshot at once
os.environ.update(
    VLLM_NO_USAGE_STATS="1",
    VLLM_LOGGING_LEVEL="CRITICAL",
    # the simulated platform counts its devices here
    CUDA_VISIBLE_DEVICES=",".join(str(number) for number in range(64)),
)

from vllm.engine.arg_utils import AsyncEngineArgs
from vllm.entrypoints.cli.serve import ServeSubcommand
from vllm.model_executor.models import registry
from vllm.utils.argparse_utils import FlexibleArgumentParser

LIMIT = 5000


def make_parser(command: ServeSubcommand) -> FlexibleArgumentParser:
    """The parser of the program C(vllm), with the one subcommand."""
    parser = FlexibleArgumentParser(description="vLLM CLI")
    command.subparser_init(parser.add_subparsers(required=False, dest="subparser"))
    return parser


def serve_arguments(argv: list[str]) -> list[str]:
    """The arguments with C(serve) as the first."""
    for word in ("vllm", "serve"):
        if argv[:1] == [word]:
            argv = argv[1:]
    return ["serve", *argv]


def reason(error: BaseException, printed: str) -> str:
    """What was wrong, on one line; argparse prints its message and exits."""
    if isinstance(error, SystemExit):
        lines = [line for line in printed.splitlines() if ": error: " in line]
        return lines[-1].partition(": error: ")[2] if lines else f"the parser exited with {error.code}"
    text = " ".join(str(error).split())
    # pydantic repeats what it was given
    return f"{type(error).__name__}: {text.partition(' [type=')[0]}"[:500]


def read_question(line: str) -> tuple[list[str], dict[str, Any] | None]:
    """The arguments of a line, and the model's configuration where it gives one."""
    question = json.loads(line)
    argv, config = (question.get("argv"), question.get("config")) if isinstance(question, dict) else (question, None)
    if not isinstance(argv, list) or not all(isinstance(word, str) for word in argv):
        raise TypeError("a line must be a JSON list of strings, or {argv: such a list, config: a dictionary}")
    return argv, config


def configure(engine: AsyncEngineArgs, config: dict[str, Any]) -> None:
    """Make the engine's configuration for a model of which there is only config.json."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "config.json").write_text(json.dumps(config), encoding="utf-8")
        engine.model, engine.skip_tokenizer_init, engine.load_format = folder, True, "dummy"
        engine.revision = engine.tokenizer = engine.tokenizer_revision = None
        engine.create_engine_config()


def judge(parser: FlexibleArgumentParser, command: ServeSubcommand, defaults: dict[str, Any], line: str) -> dict:
    """The verdict on one line."""
    try:
        argv, config = read_question(line)
    except (ValueError, TypeError) as error:
        return {"argv": line.strip(), "ok": False, "error": reason(error, ""), "set": {}}
    printed = io.StringIO()
    try:
        with contextlib.redirect_stderr(printed), contextlib.redirect_stdout(printed):
            parsed: argparse.Namespace = parser.parse_args(serve_arguments(argv))
            command.validate(parsed)
            if parsed.model_tag is not None:
                parsed.model = parsed.model_tag
            engine = AsyncEngineArgs.from_cli_args(parsed)
            if config is not None:
                configure(engine, config)
    except (Exception, SystemExit) as error:
        return {"argv": argv, "ok": False, "error": reason(error, printed.getvalue()), "set": {}}
    changed = {key: value for key, value in vars(parsed).items() if value != defaults.get(key)}
    return {"argv": argv, "ok": True, "error": None, "set": changed}


def main() -> None:
    """Judge every line of the standard input."""
    # else every model class costs a process that imports vLLM
    registry._run_in_subprocess = lambda function: function()
    command = ServeSubcommand()
    parser = make_parser(command)
    defaults = vars(parser.parse_args(["serve"]))
    for number, line in enumerate(sys.stdin):
        if number >= LIMIT:
            sys.exit(f"more than {LIMIT} lines: the rest was not judged")
        if line.strip():
            verdict = judge(parser, command, defaults, line)
            sys.stdout.write(json.dumps(verdict, default=str) + "\n")


if __name__ == "__main__":
    main()
