# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What differs between model families and is not written in every config.json.

The defaults are those of the configuration classes in transformers; the traits are read from the model classes in vLLM.
This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, NamedTuple


class Traits(NamedTuple):
    """How the layers of a family are built."""

    known: bool = True
    gated: bool = True
    qkv_bias: bool = False
    biases: bool = False
    # vectors of the hidden size per layer that normalise
    norms: int = 2
    # rows before position 0, for models that learn their positions
    learned_positions: int = 0
    q_gate: bool = False


_LLAMA = Traits()
_PLAIN = Traits(gated=False, biases=True, qkv_bias=True, norms=4)

# By model_type. What is not here is planned with a llama's layers and low confidence.
_TRAITS: Dict[str, Traits] = {
    "llama": _LLAMA,
    "llama4_text": _LLAMA,
    "mllama_text_model": _LLAMA,
    "mistral": _LLAMA,
    "mistral3": _LLAMA,
    "ministral3": _LLAMA,
    "mixtral": _LLAMA,
    "qwen2": Traits(qkv_bias=True),
    "qwen2_moe": Traits(qkv_bias=True),
    "qwen2_vl": Traits(qkv_bias=True),
    "qwen2_vl_text": Traits(qkv_bias=True),
    "qwen2_5_vl": Traits(qkv_bias=True),
    "qwen2_5_vl_text": Traits(qkv_bias=True),
    "qwen3": _LLAMA,
    "qwen3_moe": _LLAMA,
    "qwen3_vl_text": _LLAMA,
    "qwen3_vl_moe_text": _LLAMA,
    "qwen3_next": Traits(q_gate=True),
    "qwen3_5_text": Traits(q_gate=True),
    "qwen3_5_moe_text": Traits(q_gate=True),
    "gemma": _LLAMA,
    "gemma2": Traits(norms=4),
    "gemma3_text": Traits(norms=4),
    "gemma4_text": Traits(norms=4),
    "phi3": _LLAMA,
    "deepseek_v2": _LLAMA,
    "deepseek_v3": _LLAMA,
    "deepseek_v32": _LLAMA,
    "kimi_k2": _LLAMA,
    "glm4": Traits(norms=4),
    "glm4_moe": _LLAMA,
    "glm4_moe_lite": _LLAMA,
    "glm_moe_dsa": _LLAMA,
    "gpt_oss": Traits(qkv_bias=True, biases=True),
    "minimax_m2": _LLAMA,
    "olmo2": _LLAMA,
    "granite": _LLAMA,
    "granitemoe": _LLAMA,
    "cohere": Traits(norms=1),
    "cohere2": Traits(norms=1),
    "opt": _PLAIN._replace(learned_positions=2),
    "starcoder2": _PLAIN,
    "gpt2": _PLAIN._replace(learned_positions=1),
    "gpt_bigcode": _PLAIN._replace(learned_positions=1),
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

_GEMMA = {"tie_word_embeddings": True, "head_dim": 256}
_GEMMA3 = dict(_GEMMA, vocab_size=262208, sliding_window=4096, sliding_window_pattern=6, max_position_embeddings=131072)
_DEFAULTS: Dict[str, Dict[str, Any]] = {
    "gemma": dict(_GEMMA, vocab_size=256000, max_position_embeddings=8192),
    "gemma2": dict(
        _GEMMA, vocab_size=256000, sliding_window=4096, sliding_window_pattern=2, max_position_embeddings=8192
    ),
    "gemma3_text": dict(_GEMMA3, num_attention_heads=8, num_key_value_heads=4),
    "gemma4_text": dict(_GEMMA3, vocab_size=262144, sliding_window=1024),
    "mistral": {"num_key_value_heads": 8, "vocab_size": 32000, "max_position_embeddings": 131072},
    "mixtral": {"num_key_value_heads": 8, "num_local_experts": 8, "num_experts_per_tok": 2, "vocab_size": 32000},
    "llama": {"vocab_size": 32000, "max_position_embeddings": 2048},
    "llama4_text": {"attention_chunk_size": 8192, "no_rope_layer_interval": 4, "interleave_moe_layer_step": 1},
    "gpt_oss": {"head_dim": 64, "sliding_window": 128, "attention_bias": True},
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
    model_type = _family(str(text.get("model_type") or ""), str(architecture))
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


def traits(model_type: str, architecture: str) -> Traits:
    """How a family's layers are built; a llama's, marked unknown, when it is not known."""
    return _TRAITS.get(_family(model_type, architecture), Traits(known=False))


def attention_kinds(text: Mapping[str, Any], count: int) -> List[str]:
    """Per layer: full, sliding, chunked, linear, cross, or shared (uses an earlier layer's cache)."""
    kinds = _stated_kinds(text, count) or _pattern_kinds(text, count)
    cross = text.get("cross_attention_layers")
    if isinstance(cross, (list, tuple)):
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
    return [_KIND_NAMES.get(str(kind), "full") for kind in stated]


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


def _whole(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def expert_layers(text: Mapping[str, Any], count: int) -> List[bool]:
    """Which layers are mixtures of experts."""
    dense = _whole(text.get("first_k_dense_replace"))
    step = _whole(text.get("decoder_sparse_step")) or _whole(text.get("moe_layer_freq")) or 1
    listed = text.get("moe_layers")
    if isinstance(listed, (list, tuple)):
        return [index in listed for index in range(count)]
    only = text.get("mlp_only_layers")
    only = only if isinstance(only, (list, tuple)) else ()
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
