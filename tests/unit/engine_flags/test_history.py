# SPDX-License-Identifier: GPL-3.0-or-later
"""How the flags of releases are read from vLLM's sources, on sources made up for it."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.llmserve.vllm.tests.engine_flags.history import (
    alias_history,
    choice_history,
    deprecations,
    flag_history,
    kind,
    modules,
    read,
    release_key,
)
from ansible_collections.llmserve.vllm.tests.engine_flags.sources import Reader

# As before 0.8.5: every argument by hand.
OLD = """
class EngineArgs:
    @staticmethod
    def add_cli_args(parser):
        parser.add_argument("--model", type=str)
        parser.add_argument("--max-model-len", type=int)
        parser.add_argument("--swap-space", type=float)
        parser.add_argument("--enforce-eager", action="store_true")
        parser.add_argument("--tensor-parallel-size", "-tp", type=int)
        parser.add_argument("--enable-chunked-prefill", action=StoreBoolean, nargs="?", const="True")
        parser.add_argument("--limit-mm-per-prompt", type=nullable_kvs)
        parser.add_argument("--quantization", type=nullable_str, choices=[*QUANTIZATION_METHODS, None])
        parser.add_argument("--load-format", choices=[f.value for f in LoadFormat])
        parser.add_argument("--device", choices=["auto", "cuda"], help="It is deprecated.")
        return parser
"""
OLD_CONFIG = """
from enum import Enum
QUANTIZATION_METHODS = {"awq": 1, "fp8": 2}
class LoadFormat(str, Enum):
    AUTO = "auto"
    PT = "pt"
"""
# As since then: the fields of the configuration decide.
NEW = """
def union_dict_and_str(val): ...
literal_kwarg = "metavar"
human_readable_int_args = {"max_num_batched_tokens"}
def human_readable_int_or_auto(value): ...

class DeprecatedAction(argparse.BooleanOptionalAction):
    pass

class EngineArgs:
    @staticmethod
    def add_cli_args(parser):
        kwargs = get_kwargs(ModelConfig)
        kwargs["seed"]["help"] = "odd"
        group = parser.add_argument_group(title="x")
        if True:
            group.add_argument("--model", **kwargs["model"])
        group.add_argument("--max-model-len", **kwargs["max_model_len"])
        group.add_argument("--enforce-eager", **kwargs["enforce_eager"])
        group.add_argument("--tensor-parallel-size", "-tp", **get_kwargs(ModelConfig)["tensor_parallel_size"])
        group.add_argument("--gpu-share", "--device-share", **kwargs["gpu_share"])
        group.add_argument("--quantization", "-q", **kwargs["quantization"])
        group.add_argument("--dtype", **kwargs["dtype"])
        group.add_argument("--max-num-batched-tokens", **{**kwargs["max_num_batched_tokens"], "default": None})
        group.add_argument("--compilation-config", "-cc", **kwargs["compilation_config"])
        group.add_argument("--limit-mm-per-prompt", **kwargs["limits"])
        group.add_argument("--sizes", **kwargs["sizes"])
        group.add_argument("--old-switch", action=DeprecatedAction)
        group.add_argument("--hf-token", **kwargs["hf_token"])
        group.add_argument("--odd", type=something_new)
        return parser

class AsyncEngineArgs(EngineArgs):
    @staticmethod
    def add_cli_args(parser):
        parser = EngineArgs.add_cli_args(parser)
        parser.add_argument("--enable-log-requests", action=argparse.BooleanOptionalAction)
        return parser
"""
NEW_CONFIG = '''
from typing import Literal
ModelDType = Literal["auto", "half"]
Methods = Literal["awq", "fp8"]
@config
class CompilationConfig:
    mode: int = 0
@config
class BaseConfig:
    model: str = "x"
@config
class ModelConfig(BaseConfig):
    max_model_len: int | None = None
    """Length."""
    enforce_eager: bool = False
    tensor_parallel_size: int = 1
    gpu_share: float = 0.9
    quantization: Methods | str | None = None
    dtype: ModelDType | torch.dtype = "auto"
    max_num_batched_tokens: SkipValidation[int] = None
    compilation_config: Annotated[CompilationConfig, Field()] = None
    limits: dict[str, int] = {}
    """This is deprecated."""
    sizes: Optional[list[int]] = None
    hf_token: bool | str | None = None
    seed: int = 0
'''
FRONTEND = """
class BaseFrontendArgs:
    chat_template: str | None = None
    lora_modules: list[str] | None = None

    @classmethod
    def _customize_cli_kwargs(cls, frontend_kwargs):
        frontend_kwargs["lora_modules"]["action"] = LoRAParserAction
        return frontend_kwargs

    @classmethod
    def add_cli_args(cls, parser):
        frontend_kwargs = get_kwargs(cls)
        frontend_kwargs = cls._customize_cli_kwargs(frontend_kwargs)
        for key, value in frontend_kwargs.items():
            frontend_group.add_argument(f"--{key}", **value)

class FrontendArgs(BaseFrontendArgs):
    allowed_origins: list[str] = None
    middleware: list[str] = None

    @classmethod
    def _customize_cli_kwargs(cls, frontend_kwargs):
        frontend_kwargs = super()._customize_cli_kwargs(frontend_kwargs)
        frontend_kwargs["allowed_origins"]["type"] = json.loads
        del frontend_kwargs["allowed_origins"]["nargs"]
        frontend_kwargs["middleware"].update({"action": "append"})
        frontend_kwargs["middleware"].pop("nargs", None)
        return frontend_kwargs

def make_arg_parser(parser):
    parser.add_argument("model_tag", nargs="?")
    parser.add_argument("--headless", action="store_true")
    parser = FrontendArgs.add_cli_args(parser)
    return parser
"""


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    for release, files in {
        "0.8.0": {"engine/arg_utils.py": OLD, "config.py": OLD_CONFIG},
        "0.10.0": {
            "engine/arg_utils.py": NEW,
            "config/model.py": NEW_CONFIG,
            "entrypoints/openai/cli_args.py": FRONTEND,
        },
    }.items():
        for name, text in files.items():
            path = tmp_path / release / "vllm" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    (tmp_path / "0.9.0.part").mkdir()
    return tmp_path


def kinds(folder: Path, release: str) -> dict[str, str]:
    return {name: kind(name, spec) for name, spec in Reader(folder / release / "vllm").flags.items()}


def test_arguments_written_by_hand(sources: Path) -> None:
    assert kinds(sources, "0.8.0") == {
        "model": "str",
        "max-model-len": "int",
        "swap-space": "float",
        "enforce-eager": "on_only",
        "tensor-parallel-size": "int",
        "enable-chunked-prefill": "boolean",
        "limit-mm-per-prompt": "pairs",
        "quantization": "choice",
        "load-format": "choice",
        "device": "choice",
    }


def test_arguments_of_the_configuration(sources: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert kinds(sources, "0.10.0") == {
        "model": "str",
        "max-model-len": "length",
        "enforce-eager": "switch",
        "tensor-parallel-size": "int",
        "gpu-share": "float",
        "device-share": "float",
        # the words are only shown, other strings are taken, too
        "quantization": "str",
        "dtype": "choice",
        "max-num-batched-tokens": "human",
        "compilation-config": "json",
        "limit-mm-per-prompt": "json",
        "sizes": "many",
        "old-switch": "switch",
        "hf-token": "optional",
        "odd": "str",
        "enable-log-requests": "switch",
        "headless": "on_only",
        "chat-template": "str",
        "lora-modules": "many",
        "allowed-origins": "json",
        "middleware": "repeated",
    }
    read(sources)
    assert "0.10.0: not understood, taken for a string: type=something_new" in capsys.readouterr().err


def test_histories(sources: Path) -> None:
    releases = read(sources)
    assert list(releases) == ["0.8.0", "0.10.0"]
    history = flag_history(releases)
    assert history["enforce-eager"] == [("0.8.0", "on_only"), ("0.10.0", "switch")]
    assert history["swap-space"] == [("0.8.0", "float"), ("0.10.0", "-")]
    assert history["model"] == [("0.8.0", "str")]
    choices = choice_history(releases)
    assert choices["dtype"] == {"auto": [], "half": []}
    assert choices["load-format"] == {"auto": [], "pt": []}
    assert choices["quantization"] == {"awq": [], "fp8": []}
    assert alias_history(releases) == {
        "cc": "compilation-config",
        "device-share": "gpu-share",
        "q": "quantization",
        "tp": "tensor-parallel-size",
    }
    assert deprecations(releases) == {"device": "0.8.0", "limit-mm-per-prompt": "0.10.0", "old-switch": "0.10.0"}


def test_modules_are_python(sources: Path) -> None:
    texts = modules(read(sources))
    assert sorted(texts) == ["_vllm_flags_choices.py", "_vllm_flags_gone.py", "_vllm_flags_today.py"]
    namespaces: dict[str, dict[str, str]] = {name: {} for name in texts}
    for name, text in texts.items():
        exec(compile(text, name, "exec"), namespaces[name])
    assert "\nenforce-eager: 0.8.0 on_only, 0.10.0 switch\n" in namespaces["_vllm_flags_today.py"]["FLAGS"]
    assert "\nswap-space: 0.8.0 float, 0.10.0 -\n" in namespaces["_vllm_flags_gone.py"]["FLAGS"]
    assert namespaces["_vllm_flags_today.py"]["RELEASES"].split() == ["0.8.0", "0.10.0"]


def test_release_order() -> None:
    names = ["0.10.0", "0.9.2", "0.8.5.post1", "0.8.5", "0.10.1.1", "0.10.1"]
    assert sorted(names, key=release_key) == ["0.8.5", "0.8.5.post1", "0.9.2", "0.10.0", "0.10.1", "0.10.1.1"]
