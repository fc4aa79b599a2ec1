# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What differs between model families and is not written in every config.json.

The defaults are those of the configuration classes in transformers; the traits are read from the model classes in vLLM.
This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

from typing import Any, Dict, FrozenSet, List, Mapping, NamedTuple

from ansible_collections.llmserve.vllm.plugins.module_utils._planner.errors import label


class Traits(NamedTuple):
    """How the layers of a family are built."""

    known: bool = True
    gated: bool = True
    qkv_bias: bool = False
    biases: bool = False
    # vectors of the hidden size per layer that normalise, and after the last layer
    norms: int = 2
    final_norms: int = 1
    # whether positions are learned, and the rows before position 0
    learns_positions: bool = False
    spare_positions: int = 0
    q_gate: bool = False
    # vectors of a head's size per layer: norms of queries and keys
    head_norms: int = 0
    # whether these norms span all heads of a GPU instead
    wide_norms: bool = False
    # bytes of a value in the router, and of its correction per expert
    router: float = 2.0
    correction: float = 0.0
    # bytes of single values per layer
    scalars: float = 0.0
    # bytes of a head's attention sink
    sink: float = 0.0
    # bytes of a value in the table of cosines and sines
    rope: float = 2.0
    # what every pipeline stage holds, although only the first or the last needs it: embedding, both (with the head)
    everywhere: str = ""


_LLAMA = Traits()
_PLAIN = Traits(gated=False, biases=True, qkv_bias=True, norms=4, final_norms=2)
_QWEN3 = Traits(head_norms=2)
# Model classes that make their embedding and their head without asking for their stage.
_MIXTURE = Traits(everywhere="both")
_GEMMA = Traits(norms=4, everywhere="both")
_GLM_MOE = Traits(router=4.0, correction=4.0)

# By model_type. What is not here is planned with a llama's layers and low confidence.
_TRAITS: Dict[str, Traits] = {
    "llama": _LLAMA,
    "llama4_text": Traits(head_norms=2),
    "mllama_text_model": _LLAMA,
    "mistral": _LLAMA,
    "mistral3": _LLAMA,
    "ministral3": _LLAMA,
    "mixtral": _MIXTURE,
    "qwen2": Traits(qkv_bias=True),
    "qwen2_moe": Traits(qkv_bias=True, everywhere="both"),
    "qwen2_vl": Traits(qkv_bias=True),
    "qwen2_vl_text": Traits(qkv_bias=True),
    "qwen2_5_vl": Traits(qkv_bias=True),
    "qwen2_5_vl_text": Traits(qkv_bias=True),
    "qwen3": _QWEN3,
    "qwen3_moe": _QWEN3._replace(everywhere="both"),
    "qwen3_vl_text": _QWEN3,
    "qwen3_vl_moe_text": _QWEN3,
    "qwen3_next": _QWEN3._replace(q_gate=True, everywhere="both"),
    "qwen3_5_text": _QWEN3._replace(q_gate=True, everywhere="embedding"),
    "qwen3_5_moe_text": _QWEN3._replace(q_gate=True, everywhere="embedding"),
    "gemma": _MIXTURE,
    "gemma2": _GEMMA,
    "gemma3_text": _GEMMA._replace(head_norms=2),
    "gemma4_text": _GEMMA._replace(head_norms=3, scalars=2.0),
    "phi3": _LLAMA,
    "deepseek_v2": _LLAMA,
    "deepseek_v3": _LLAMA,
    "deepseek_v32": _LLAMA,
    "kimi_k2": _LLAMA,
    "glm4": Traits(norms=4),
    "glm4_moe": _GLM_MOE._replace(head_norms=2),
    "glm4_moe_lite": _GLM_MOE,
    "glm_moe_dsa": _LLAMA,
    "gpt_oss": Traits(qkv_bias=True, biases=True, sink=2.0, rope=4.0, everywhere="both"),
    "minimax_m2": _GLM_MOE._replace(head_norms=2, wide_norms=True),
    "olmo2": Traits(head_norms=2, wide_norms=True),
    "granite": _LLAMA,
    "granitemoe": _MIXTURE,
    "cohere": Traits(norms=1, everywhere="embedding"),
    "cohere2": Traits(norms=1, everywhere="embedding"),
    "opt": _PLAIN._replace(learns_positions=True, spare_positions=2, everywhere="both"),
    "starcoder2": _PLAIN,
    "gpt2": _PLAIN._replace(learns_positions=True, everywhere="both"),
    "gpt_bigcode": _PLAIN._replace(learns_positions=True),
}

# Where config.json lacks model_type (an excerpt), the class name tells.
_BY_ARCHITECTURE = {
    "LlamaForCausalLM": "llama",
    "MistralForCausalLM": "mistral",
    "Mistral3ForConditionalGeneration": "mistral",
    "PixtralForConditionalGeneration": "mistral",
    "MixtralForCausalLM": "mixtral",
    "MllamaForConditionalGeneration": "mllama_text_model",
    "Llama4ForConditionalGeneration": "llama4_text",
    "Qwen2ForCausalLM": "qwen2",
    "Qwen2MoeForCausalLM": "qwen2_moe",
    "Qwen2VLForConditionalGeneration": "qwen2_vl",
    "Qwen2_5_VLForConditionalGeneration": "qwen2_5_vl",
    "Qwen3ForCausalLM": "qwen3",
    "Qwen3MoeForCausalLM": "qwen3_moe",
    "Qwen3NextForCausalLM": "qwen3_next",
    "GemmaForCausalLM": "gemma",
    "Gemma2ForCausalLM": "gemma2",
    "Gemma3ForCausalLM": "gemma3_text",
    "Gemma3ForConditionalGeneration": "gemma3_text",
    "Gemma4ForCausalLM": "gemma4_text",
    "Gemma4ForConditionalGeneration": "gemma4_text",
    "Phi3ForCausalLM": "phi3",
    "DeepseekV2ForCausalLM": "deepseek_v2",
    "DeepseekV3ForCausalLM": "deepseek_v3",
    "DeepseekV32ForCausalLM": "deepseek_v32",
    "Glm4MoeLite": "glm4_moe_lite",
    "Glm4MoeLiteForCausalLM": "glm4_moe_lite",
    "GlmMoeDsaForCausalLM": "glm_moe_dsa",
    "GptOssForCausalLM": "gpt_oss",
    "MiniMaxM2ForCausalLM": "minimax_m2",
    "OPTForCausalLM": "opt",
    "Starcoder2ForCausalLM": "starcoder2",
    "GPT2LMHeadModel": "gpt2",
    "GPTBigCodeForCausalLM": "gpt_bigcode",
    "CohereForCausalLM": "cohere",
    "Cohere2ForCausalLM": "cohere2",
}

_GEMMA_DEFAULTS = {"tie_word_embeddings": True, "head_dim": 256}
_GEMMA3_DEFAULTS = dict(
    _GEMMA_DEFAULTS, vocab_size=262208, sliding_window=4096, sliding_window_pattern=6, max_position_embeddings=131072
)
_DEFAULTS: Dict[str, Dict[str, Any]] = {
    "gemma": dict(_GEMMA_DEFAULTS, vocab_size=256000, max_position_embeddings=8192),
    "gemma2": dict(
        _GEMMA_DEFAULTS, vocab_size=256000, sliding_window=4096, sliding_window_pattern=2, max_position_embeddings=8192
    ),
    "gemma3_text": dict(_GEMMA3_DEFAULTS, num_attention_heads=8, num_key_value_heads=4),
    "gemma4_text": dict(_GEMMA3_DEFAULTS, vocab_size=262144, sliding_window=1024),
    "mistral": {"num_key_value_heads": 8, "vocab_size": 32000, "max_position_embeddings": 131072},
    "mixtral": {"num_key_value_heads": 8, "num_local_experts": 8, "num_experts_per_tok": 2, "vocab_size": 32000},
    "llama": {"vocab_size": 32000, "max_position_embeddings": 2048},
    "llama4_text": {"attention_chunk_size": 8192, "no_rope_layer_interval": 4, "interleave_moe_layer_step": 1},
    "gpt_oss": {
        "head_dim": 64,
        "sliding_window": 128,
        "attention_bias": True,
        "rope_scaling": {"rope_type": "yarn", "factor": 32.0, "original_max_position_embeddings": 4096},
    },
    "qwen2_moe": {"decoder_sparse_step": 1},
    "opt": {"tie_word_embeddings": True},
    "gpt2": {"tie_word_embeddings": True},
    "gpt_bigcode": {"tie_word_embeddings": True},
    "cohere": {"tie_word_embeddings": True},
    "cohere2": {"tie_word_embeddings": True, "sliding_window": 4096, "sliding_window_pattern": 4},
}


def with_defaults(text: Mapping[str, Any], config: Mapping[str, Any]) -> Dict[str, Any]:
    """The language model's figures, with what its family leaves out of config.json."""
    names = config.get("architectures")
    architecture = names[0] if isinstance(names, (list, tuple)) and names else ""
    model_type = _family(label(text.get("model_type"), ""), label(architecture, ""))
    if architecture == "Gemma3ForConditionalGeneration" and not text.get("rope_parameters"):
        # all published ones (4B to 27B) stretch their global layers; excerpts of config.json forget it
        text = dict({"rope_scaling": {"rope_type": "linear", "factor": 8.0}}, **text)
    merged = dict(_DEFAULTS.get(model_type, {}), model_type=model_type)
    for key, value in text.items():
        if value is not None and key != "model_type":
            merged[key] = value
    return merged


def _family(model_type: str, architecture: str) -> str:
    if model_type in _TRAITS:
        return model_type
    return _BY_ARCHITECTURE.get(architecture, model_type)


def traits(text: Mapping[str, Any], architecture: str) -> Traits:
    """How a family's layers are built; a llama's, marked unknown, when it is not known."""
    found = _TRAITS.get(_family(label(text.get("model_type"), ""), architecture), Traits(known=False))
    normalised = text.get("use_qk_norm")
    if normalised is False or (normalised is None and text.get("model_type") == "glm4_moe"):
        found = found._replace(head_norms=0)
    elif normalised is True and text.get("model_type") == "cohere":
        found = found._replace(head_norms=2, wide_norms=True)
    if text.get("topk_method") == "noaux_tc" or text.get("model_type") in ("deepseek_v3", "kimi_k2"):
        found = found._replace(correction=4.0)
    return found


def attention_kinds(text: Mapping[str, Any], count: int) -> List[str]:
    """Per layer: full, sliding, chunked, linear, cross, or shared (uses an earlier layer's cache)."""
    kinds = _stated_kinds(text, count) or _pattern_kinds(text, count)
    cross = text.get("cross_attention_layers")
    if isinstance(cross, (list, tuple)):
        cross = _indices(cross)
        kinds = ["cross" if index in cross else kind for index, kind in enumerate(kinds)]
    shared = text.get("num_kv_shared_layers")
    if isinstance(shared, int) and 0 < shared < count:
        kinds[count - shared :] = ["shared"] * shared
    return kinds


_KIND_NAMES = {
    "full_attention": "full",
    "attention": "full",
    "sliding_attention": "sliding",
    "chunked_attention": "chunked",
    "linear_attention": "linear",
}


def _stated_kinds(text: Mapping[str, Any], count: int) -> List[str]:
    stated = text.get("layer_types")
    if not isinstance(stated, (list, tuple)) or len(stated) != count:
        return []
    return [_KIND_NAMES.get(kind, "full") if isinstance(kind, str) else "full" for kind in stated]


def _pattern_kinds(text: Mapping[str, Any], count: int) -> List[str]:
    interval = _whole(text.get("full_attention_interval"))
    if interval and text.get("linear_num_value_heads"):
        return ["full" if (index + 1) % interval == 0 else "linear" for index in range(count)]
    if _whole(text.get("attention_chunk_size")):
        step = _whole(text.get("no_rope_layer_interval")) or 4
        return ["full" if (index + 1) % step == 0 else "chunked" for index in range(count)]
    pattern = _whole(text.get("sliding_window_pattern"))
    if _whole(text.get("sliding_window")) and text.get("use_sliding_window") is not False:
        if text.get("model_type") in _WHOLLY_SLIDING:
            return ["sliding"] * count
        if text.get("model_type") == "gpt_oss":
            return ["full" if index % 2 else "sliding" for index in range(count)]
        if pattern:
            return ["full" if (index + 1) % pattern == 0 else "sliding" for index in range(count)]
    return ["full"] * count


# Families whose every layer slides when a window is set. Starcoder2's and Qwen2's windows are not used by vLLM.
_WHOLLY_SLIDING = ("mistral", "mixtral", "phi3")


def _indices(listed: object) -> FrozenSet[int]:
    if not isinstance(listed, (list, tuple)):
        return frozenset()
    return frozenset(item for item in listed if isinstance(item, int) and not isinstance(item, bool))


def _whole(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def expert_layers(text: Mapping[str, Any], count: int) -> List[bool]:
    """Which layers are mixtures of experts."""
    dense = _whole(text.get("first_k_dense_replace"))
    step = _whole(text.get("decoder_sparse_step")) or _whole(text.get("moe_layer_freq")) or 1
    listed = text.get("moe_layers")
    if isinstance(listed, (list, tuple)):
        sparse = _indices(listed)
        return [index in sparse for index in range(count)]
    only = _indices(text.get("mlp_only_layers"))
    if text.get("model_type") == "llama4_text":
        step = _whole(text.get("interleave_moe_layer_step")) or 1
    if dense:
        return [index >= dense and (index - dense) % step == 0 for index in range(count)]
    return [(index + 1) % step == 0 and index not in only for index in range(count)]


def has_shared_gate(text: Mapping[str, Any]) -> bool:
    """Qwen weighs its shared expert by a gate of its own."""
    return str(text.get("model_type") or "").startswith("qwen")


def shares_one_expert(text: Mapping[str, Any]) -> bool:
    """Llama 4 has one shared expert of the experts' width without saying so."""
    return text.get("model_type") == "llama4_text"


def has_indexer(text: Mapping[str, Any]) -> bool:
    """DeepSeek sparse attention keeps an index beside the latent cache."""
    return bool(text.get("index_topk")) or text.get("model_type") in ("deepseek_v32", "glm_moe_dsa")


def state_value(text: Mapping[str, Any]) -> float:
    """Bytes of a value in the state of linear attention: Qwen 3.5 asks for 32 bit (models/config.py)."""
    return 4.0 if text.get("mamba_ssm_dtype") == "float32" else 2.0


def has_local_rope(text: Mapping[str, Any]) -> bool:
    """Gemma 3 and 4 turn their sliding layers at a frequency of their own, so there are two tables."""
    return text.get("model_type") in ("gemma3_text", "gemma4_text")


def vision_is_gated(config: Mapping[str, Any], architecture: str) -> bool:
    """Pixtral's and Qwen2.5-VL's towers have gated MLPs."""
    if architecture in ("Mistral3ForConditionalGeneration", "PixtralForConditionalGeneration"):
        return True
    if config.get("embed_dim") or config.get("num_position_embeddings"):
        return False
    return str(config.get("model_type") or "") in ("pixtral", "qwen2_5_vl") or bool(config.get("out_hidden_size"))
