# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a weight matrix occupies in each quantization format, and which matrices are quantized at all.

This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import functools
import re
from typing import Any, Callable, Dict, FrozenSet, List, Mapping, NamedTuple, Optional, Pattern, Sequence, Tuple

from ansible_collections.llmserve.vllm.plugins.module_utils._planner.errors import PlanError, label, shown

# vLLM computes in 16 bit; float32 checkpoints are converted when they are loaded.
PLAIN = 2.0


class Format(NamedTuple):
    """A quantization format: how it stores a matrix, and which ones it leaves alone."""

    name: str
    # what a person calls it
    title: str
    # bytes of a parameter, scales aside
    value: float
    # parameters that share one scale, along the input; 0 is one scale per row or matrix
    group: int = 0
    # bytes of a scale and what comes with it (zero points)
    scale: float = 0.0
    # bytes of a scale per output
    row: float = 0.0
    # side of the square block that shares a scale of 4 bytes
    block: int = 0
    # matrices that are quantized: all, mlp (attention stays), experts
    scope: str = "all"
    # modules that the checkpoint left in 16 bit
    spared_names: FrozenSet[str] = frozenset()
    spared_patterns: Tuple[Pattern[str], ...] = ()
    # first and last decoder layer stay in 16 bit (Meta's FP8 of Llama 3.1 405B)
    spares_ends: bool = False
    # CUDA capability that computes it natively, as (major, minor); older GPUs need Marlin or cannot
    native: Tuple[int, int] = (0, 0)
    # the oldest capability on which vLLM runs it
    oldest: Tuple[int, int] = (0, 0)
    # whether the kernel is Marlin, with its demands on shapes
    marlin: bool = False
    known: bool = True
    # whether config.json itself says so: then its sizes are those of the quantized matrices (Qwen pads its AWQ
    # variants)
    stated: bool = False
    cache_fp8: bool = False

    @property
    def plain(self) -> bool:
        """Whether nothing is quantized."""
        return self.name == "bf16"

    def matrix_bytes(self, inputs: float, outputs: float) -> float:
        """Bytes of a quantized matrix with its scales."""
        parameters = inputs * outputs
        if self.block:
            return parameters * self.value + _up(inputs, self.block) * _up(outputs, self.block) * 4.0
        if self.group:
            return parameters * (self.value + self.scale / self.group)
        return parameters * self.value + outputs * self.row

    def quantizes(self, layer: int, layers: int, module: str) -> bool:
        """Whether a module of a decoder layer is stored in this format."""
        if self.plain:
            return False
        if self.scope == "experts" and ".experts" not in module:
            return False
        if self.scope == "mlp" and "attn" in module:
            return False
        if self.spares_ends and layer in (0, layers - 1):
            return False
        if not self.spared_names and not self.spared_patterns:
            return True
        return not any(
            _is_spared("{0}{1}.{2}".format(_LAYER, layer, name), self.spared_names, self.spared_patterns)
            for name in _constituents(module)
        )


# Layouts ask the same again and again.
@functools.lru_cache(maxsize=65536)
def _is_spared(name: str, spared: FrozenSet[str], patterns: Tuple[Pattern[str], ...]) -> bool:
    parts = name.split(".")
    if name in spared or parts[-1] in spared or ".".join(parts[:3]) in spared or ".".join(parts[:4]) in spared:
        return True
    if ".".join(parts[-2:]) in spared or parts[3] in spared:
        return True
    short = name.replace(_LAYER, "layers.", 1)
    return any(
        pattern.search(name) or (pattern.pattern.startswith("^") and pattern.search(short)) for pattern in patterns
    )


_LAYER = "model.layers."


def _up(size: float, block: int) -> int:
    return int(-(-size // block))


def _constituents(module: str) -> Sequence[str]:
    # vLLM fuses matrices that checkpoints list one by one
    return _FUSED.get(module, (module,))


_FUSED: Dict[str, Tuple[str, ...]] = {
    "self_attn.qkv_proj": ("self_attn.q_proj", "self_attn.qkv_proj"),
    "self_attn.kv_proj": ("self_attn.k_proj", "self_attn.v_proj", "self_attn.qkv_proj"),
    "mlp.gate_up_proj": ("mlp.gate_proj", "mlp.gate_up_proj", "mlp.fc1"),
    "mlp.experts": ("mlp.experts", "mlp.experts.0.gate_proj", "block_sparse_moe.experts"),
    "mlp.shared_experts": ("mlp.shared_experts.gate_proj", "mlp.shared_expert.gate_proj"),
}

BF16 = Format("bf16", "16 bit", PLAIN)
# Sources of the sizes: vLLM's create_weights of each method; int4 has a 16-bit scale and a 4-bit zero point a group.
_FP8 = Format("fp8", "FP8", 1.0, native=(8, 9), oldest=(8, 0))
_NAMED: Dict[str, Format] = {
    "bf16": BF16,
    "fp8": _FP8,
    "fp8_block": _FP8._replace(name="fp8_block", title="FP8 in blocks of 128", block=128),
    "fp8_experts": _FP8._replace(name="fp8_experts", title="FP8 experts", scope="experts"),
    "fp8_mlp_only": _FP8._replace(name="fp8_mlp_only", title="FP8 MLPs", scope="mlp", spares_ends=True),
    "int8": Format("int8", "INT8", 1.0, oldest=(7, 5)),
    "int4": Format("int4", "4-bit integers", 0.5, 128, 2.5, oldest=(7, 5), marlin=True),
    # nested: the 4-byte scale of every 64 values is itself kept in 8 bits (compress_statistics in vLLM's loader)
    "bnb4": Format("bnb4", "bitsandbytes 4 bit", 0.5, 64, 1.0 + 4 / 256, oldest=(7, 0)),
    "bnb8": Format("bnb8", "bitsandbytes 8 bit", 1.0, oldest=(7, 5)),
    "nvfp4": Format("nvfp4", "NVFP4", 0.5, 16, 1.0, native=(10, 0), oldest=(8, 0)),
    "mxfp4": Format("mxfp4", "MXFP4 experts", 0.5, 32, 1.0, scope="experts", native=(10, 0), oldest=(8, 0)),
    "mxfp8": Format("mxfp8", "MXFP8", 1.0, 32, 1.0, native=(10, 0), oldest=(8, 0)),
}
_ALIASES = {
    "none": "bf16",
    "bfloat16": "bf16",
    "float16": "bf16",
    "fp16": "bf16",
    "fbgemm_fp8": "fp8",
    "awq": "int4",
    "awq_marlin": "int4",
    "gptq": "int4",
    "gptq_marlin": "int4",
    "w4a16": "int4",
    "w8a8": "int8",
    "bitsandbytes": "bnb4",
    "modelopt": "fp8",
    "modelopt_fp4": "nvfp4",
}


def named(name: str) -> Format:
    """A format by the name that a person or vLLM's --quantization gives it, such as int4_g128."""
    wanted = name.strip().lower().replace("-", "_")
    group = re.match(r"^(int4|awq|gptq|w4a16)_g([0-9]{1,6})$", wanted)
    if group:
        return _int4(int(group.group(2)))
    found = _NAMED.get(_ALIASES.get(wanted, wanted))
    if found is None:
        raise PlanError(
            "model.quantization {0} is not known: give one of {1}, or leave it out and let config.json say.".format(
                shown(name), ", ".join(sorted(_NAMED))
            )
        )
    return found


def read_format(config: Mapping[str, Any], quantization: Optional[str]) -> Format:
    """The format of a checkpoint, from its quantization_config, unless a person names another one."""
    stated = config.get("quantization_config") or config.get("compression_config")
    if stated is None and isinstance(config.get("text_config"), Mapping):
        stated = config["text_config"].get("quantization_config")
    if stated is not None and not isinstance(stated, Mapping):
        raise PlanError("model.config.quantization_config must be a dictionary, not {0}.".format(shown(stated)))
    if not quantization:
        return _from_config(stated) if stated else BF16
    wanted = named(quantization)
    if stated:
        own = _from_config(stated)
        if own.name == wanted.name:
            return own
    return wanted


def _int4(group: int, bits: int = 4, zeros: bool = True) -> Format:
    base = _NAMED["int4"]
    if bits == 8:
        base = base._replace(name="int8_weights", title="8-bit integers", value=1.0, oldest=(7, 5))
    if group <= 0:
        return base._replace(group=0)
    return base._replace(group=group, scale=2.0 + (bits / 8.0 if zeros else 0.0))


def _from_config(stated: Mapping[str, Any]) -> Format:
    method = label(stated.get("quant_method"), "unknown").lower().replace("-", "_")
    reader = _READERS.get(method)
    found = reader(stated) if reader else Format(method, method, PLAIN, known=False)
    names, patterns = _spared(stated)
    return found._replace(spared_names=names, spared_patterns=patterns, stated=True, cache_fp8=_caches_fp8(stated))


def _read_fp8(stated: Mapping[str, Any]) -> Format:
    return _NAMED["fp8_block"] if stated.get("weight_block_size") else _FP8


def _read_int4(stated: Mapping[str, Any]) -> Format:
    bits = stated.get("bits", stated.get("w_bit", 4))
    group = stated.get("group_size", stated.get("q_group_size", 128))
    size = _group_size(group)
    if bits not in (4, 8) or size is None:
        bits = label(bits, "")
        return Format("int{0}".format(bits), "{0}-bit integers".format(bits), PLAIN, known=False)
    return _int4(size, bits)


def _group_size(size: object) -> Optional[int]:
    """The group size if it is one; -1 is one group per row."""
    return size if isinstance(size, int) and not isinstance(size, bool) and -1 <= size <= 10**6 else None


def _read_bitsandbytes(stated: Mapping[str, Any]) -> Format:
    return _NAMED["bnb8" if stated.get("load_in_8bit") or stated.get("_load_in_8bit") else "bnb4"]


def _read_modelopt(stated: Mapping[str, Any]) -> Format:
    nested = stated.get("quantization")
    algorithm = stated.get("quant_algo") or (nested.get("quant_algo") if isinstance(nested, Mapping) else None) or "FP8"
    name = label(algorithm, "modelopt")
    return {"NVFP4": _NAMED["nvfp4"], "FP8": _FP8, "MXFP8": _NAMED["mxfp8"], "FP8_PB_WO": _NAMED["fp8_block"]}.get(
        name.upper(), Format(name.lower(), name, PLAIN, known=False)
    )


def _read_compressed_tensors(stated: Mapping[str, Any]) -> Format:
    groups = stated.get("config_groups")
    weights: Optional[Mapping[str, Any]] = None
    if isinstance(groups, Mapping):
        for group in groups.values():
            if isinstance(group, Mapping) and isinstance(group.get("weights"), Mapping):
                weights = group["weights"]
                break
    if weights is None:
        return Format("compressed_tensors", "compressed-tensors", PLAIN, known=False)
    bits, kind, size = weights.get("num_bits"), weights.get("type"), weights.get("group_size")
    row = 4.0 if weights.get("strategy") == "channel" else 0.0
    if kind == "float" and bits == 8:
        return _NAMED["fp8_block"] if weights.get("strategy") == "block" else _FP8._replace(row=row)
    if kind == "float" and bits == 4:
        return _NAMED["mxfp4" if size == 32 else "nvfp4"]._replace(scope="all")
    if kind == "int" and bits in (4, 8):
        packed = str(stated.get("format", "")).startswith("pack")
        if bits == 8 and not packed:
            return _NAMED["int8"]._replace(row=row)
        return _int4(_group_size(size) or 0, bits, zeros=not weights.get("symmetric", True))
    return Format("compressed_tensors", "compressed-tensors", PLAIN, known=False)


_READERS: Dict[str, Callable[[Mapping[str, Any]], Format]] = {
    "fp8": _read_fp8,
    "fbgemm_fp8": _read_fp8,
    "awq": _read_int4,
    "gptq": _read_int4,
    "auto_round": _read_int4,
    "bitsandbytes": _read_bitsandbytes,
    "modelopt": _read_modelopt,
    "modelopt_fp4": _read_modelopt,
    "compressed_tensors": _read_compressed_tensors,
    "mxfp4": lambda _stated: _NAMED["mxfp4"],
}


def _spared(stated: Mapping[str, Any]) -> Tuple[FrozenSet[str], Tuple[Pattern[str], ...]]:
    names: List[str] = []
    patterns: List[Pattern[str]] = []
    for key in ("modules_to_not_convert", "ignored_layers", "ignore", "exclude_modules", "llm_int8_skip_modules"):
        listed = stated.get(key)
        for item in listed if isinstance(listed, (list, tuple)) else ():
            if not isinstance(item, str):
                continue
            if item.startswith("re:"):
                patterns += _compiled(item[3:])
            elif "*" in item:
                patterns += _compiled("^" + re.escape(item).replace(r"\*", ".*"))
            else:
                names.append(re.sub(r"^model\.language_model\.|^language_model\.model\.", "model.", item))
    return frozenset(names), tuple(patterns[:_MOST_PATTERNS])


# Expressions come with a model that anybody may have published, so those that could take for ever are left out: a
# repeated group that itself repeats something, or many repetitions.
_RUNAWAY = re.compile(r"[*+}?]\)*[^()]*\)[*+{]")
_MOST_REPEATS = 5
_LONGEST_PATTERN = 400
# The largest models list some thousand modules by name, and a few expressions.
_MOST_PATTERNS = 64


def _compiled(expression: str) -> List[Pattern[str]]:
    expression = re.sub(r"(\.\*)+", ".*", expression)
    repeats = sum(expression.count(sign) for sign in "*+{")
    if len(expression) > _LONGEST_PATTERN or repeats > _MOST_REPEATS or _RUNAWAY.search(expression):
        return []
    try:
        return [re.compile(expression)]
    except (re.error, OverflowError, RecursionError):
        return []


def _caches_fp8(stated: Mapping[str, Any]) -> bool:
    """Whether the checkpoint asks for an FP8 cache."""
    scheme = stated.get("kv_cache_scheme")
    nested = stated.get("quantization")
    algorithm = stated.get("kv_cache_quant_algo") or (
        nested.get("kv_cache_quant_algo") if isinstance(nested, Mapping) else None
    )
    return str(algorithm).upper() == "FP8" or (isinstance(scheme, Mapping) and scheme.get("num_bits") == 8)
