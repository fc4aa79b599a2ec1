# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Causes in the model's own files: their presence, their integrity, and whether this vLLM knows them.

This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

from typing import Tuple

from ansible_collections.llmserve.vllm.plugins.module_utils._diagnosis.model import (
    GENERAL,
    LIKELY,
    NAMED,
    Cause,
    cause,
    seen,
)

_ISSUES = "https://github.com/vllm-project/vllm/issues/"

CAUSES: Tuple[Cause, ...] = (
    cause(
        "model_path_missing",
        "The local model path does not exist in the container, or is not a complete model directory.",
        "Check that the path is mounted into the container on every node and contains config.json and the weights; "
        "the roles mount llmserve_hf_home under the same path everywhere.",
        seen(
            NAMED,
            r"Repo id must (be in the form|use alphanumeric).*'[./]",
            r"Invalid repository ID or local directory specified: '?[./]",
            r"['\" ]/\S+ does not appear to have a file named config\.json",
            r"Can't load the configuration of '/",
            r"(^|: |')/\S+ is not a local folder and is not a valid model identifier",
            r"No such file or directory: '/\S*config\.json'",
        ),
        source=_ISSUES + "10886",
    ),
    cause(
        "trust_remote_code_required",
        "The model brings Python code of its own, which vLLM only runs when told to.",
        "Review the code in the model's repository, pin llmserve_model_revision, then set trust_remote_code: true in "
        "llmserve_engine_args.",
        seen(
            NAMED,
            r"contains custom code which must be executed",
            r"[Pp]lease pass the argument `?trust_remote_code=True",
            r"set(ting)? (the option )?`?--trust-remote-code|set(ting)? (the option )?`?trust_remote_code=True",
            r"requires you to execute the .* in that repo",
        ),
        source="https://docs.vllm.ai/en/latest/configuration/engine_args/",
    ),
    cause(
        "remote_code_broken",
        "The model's own Python code does not run: it needs a package that the image lacks, or other versions.",
        "Use a llmserve_image with what the evidence names, a newer llmserve_model_revision, or the model without "
        "trust_remote_code if vLLM knows it by now.",
        seen(
            NAMED,
            r"This modeling file requires the following packages that were not found in your environment",
        ),
        seen(LIKELY, r"(cannot import name|has no attribute) .*transformers_modules|^\S*Error: .*transformers_modules"),
        seen(GENERAL, r"^(Attribute|Import|Name|Type)Error: ", near=r"/transformers_modules/"),
    ),
    cause(
        "transformers_too_old",
        "The transformers library in the image is too old to know this model.",
        "Use a newer llmserve_image; upgrading transformers inside of an image is rarely compatible.",
        seen(
            NAMED,
            r"but Transformers does not recognize this architecture",
            r"Transformers does not recognize this architecture",
            r"requires? transformers\s?(version)?\s?[><=]=?",
            r"(upgrade|update) (to )?(a newer version of )?[Tt]ransformers",
            r"cannot import name '\w+' from 'transformers",
            r"module transformers has no attribute|module 'transformers' has no attribute",
        ),
        source="https://docs.vllm.ai/en/latest/models/supported_models/",
    ),
    cause(
        "model_arch_unsupported",
        "This vLLM version has no implementation of the model's architecture.",
        "Use a newer llmserve_image, or another model; the evidence names the architecture.",
        seen(
            LIKELY,
            r"Model architectures? .* (is|are) not supported",
            r"has no vLLM implementation",
            r"does not support (the )?Transformers (backend|implementation)",
            r"no .*-compatible Transformers implementation",
            r"Unrecognized (model|configuration class)",
            r"Cannot find model module\.",
        ),
        source="https://docs.vllm.ai/en/latest/models/supported_models/",
    ),
    cause(
        "model_task_mismatch",
        "The model cannot do what it is asked to serve, such as generating with an embedding model.",
        "Leave task, runner and convert out of llmserve_engine_args, or choose what the evidence offers.",
        seen(
            NAMED,
            r"This model does not support the .* task|does not support `?--(task|runner|convert)",
            r"is not a multimodal model|The model does not support (Generate|Completions|Embeddings|Pooling) API",
        ),
        source="https://docs.vllm.ai/en/latest/models/pooling_models/",
    ),
    cause(
        "tokenizer_missing",
        "The model's tokenizer files are missing or unusable.",
        "Download the tokenizer files too, or set tokenizer in llmserve_engine_args to a repository that has them.",
        seen(
            LIKELY,
            r"Can't load tokenizer for",
            r"Couldn't instantiate the backend tokenizer",
            r"Unable to load vocabulary from file",
            r"Tokenizer class \w+ does not exist",
            r"No tokenizer file found|tiktoken\.model not found|tokenizer\.tok\.json not found",
            r"tokenizer\.(json|model).*(not found|does not exist)|tekken\.json.*(not found|does not exist)",
            r"No such file or directory: '\S*(tokenizer\.(json|model)|tokenizer_config\.json|(tekken|vocab)\.json)'",
            r"data did not match any variant of untagged enum",
            r"is not the path to a directory containing a file named vocab|^TypeError: not a string$",
            r"Converting from \S+( and \S+)* failed",
        ),
    ),
    cause(
        "preprocessor_missing",
        "The files that tell how images or sounds are prepared for the model are missing.",
        "Download the whole repository of the model again (role hf_model), or serve text only with "
        "limit_mm_per_prompt: {image: 0} in llmserve_engine_args.",
        seen(
            NAMED,
            r"Can't load (image processor|feature extractor|processor|video processor) for",
            r"does not appear to have a file named (pre)?processor_config\.json",
            r"Unrecognized (image processor|feature extractor|processing class) in",
        ),
    ),
    cause(
        "config_invalid",
        "The model's config.json or generation_config.json cannot be read.",
        "Fetch the model again with the role hf_model, and compare the file with the one on the Hub.",
        seen(
            NAMED,
            r"It looks like the config file at '.*' is not a valid JSON file",
            r"(config|configuration)\.json.*(JSONDecodeError|not valid JSON|Expecting value)",
            r"Value error, (Expecting (value|property name|',' delimiter)|Extra data): line \d+ column",
            r"No such file or directory: .*(generation_config|model\.safetensors\.index)\.json",
        ),
    ),
    cause(
        "weights_missing",
        "The model directory lacks weight files that the model needs.",
        "Run the role hf_model again: it fetches what is missing and verifies the shards.",
        seen(
            LIKELY,
            r"Cannot find any (safetensors )?model weights",
            r"weights were not initialized from checkpoint",
            r"No such file or directory: .*\.(safetensors|bin|pt)\b",
            r"No files? matching .*safetensors|No model weights found in",
            r"Weight files referenced in index but missing",
            r"does not appear to have (a|files) (file )?named .*(model\S*\.safetensors|pytorch_model|model-\d+)",
        ),
        source="https://github.com/huggingface/huggingface_hub/issues/3089",
    ),
    cause(
        "weights_corrupt/lfs_pointer",
        "The weight files are Git LFS pointers: small texts that stand for files which were never fetched.",
        "Fetch the model with the role hf_model, or run `git lfs pull` in the clone.",
        seen(NAMED - 1, r"version https://git-lfs\.github\.com/spec", r"invalid load key, 'v'"),
        source="https://github.com/huggingface/transformers/issues/27923",
    ),
    cause(
        "weights_corrupt/truncated",
        "A weight file is shorter than its header says: its download or its copy broke off.",
        "Delete the file that the log names from the cache and run the role hf_model again (hf_model_verify: sha256 "
        "reads everything once).",
        seen(NAMED - 1, r"MetadataIncompleteBuffer|incomplete metadata, file not fully covered"),
        source="https://github.com/huggingface/transformers/issues/27923",
    ),
    cause(
        "weights_corrupt",
        "A weight file is damaged or was downloaded only in part.",
        "Delete the file that the log names from the cache and run the role hf_model again (hf_model_verify: sha256 "
        "reads everything once).",
        seen(
            NAMED,
            r"SafetensorError|Error while deserializing header|HeaderTooLarge|HeaderTooSmall|InvalidHeader",
            r"PytorchStreamReader failed|failed finding central directory",
            r"UnpicklingError",
        ),
        source="https://github.com/huggingface/transformers/issues/27923",
    ),
    cause(
        "checkpoint_mismatch",
        "The tensors in the checkpoint are not those that this vLLM expects for the model: another format, "
        "quantization "
        "or version.",
        "Use a newer llmserve_image or the checkpoint's original; leave quantization and hf_overrides out of "
        "llmserve_engine_args.",
        seen(
            LIKELY,
            r"There is no module or parameter named",
            r"KeyError: '(model\.|language_model\.|transformer\.)?layers\.\d+\.",
            r"KeyError: '[\w.]+\.(weight|bias|qweight|scales|absmax|\w*scale\w*)'",
            r"Attempted to load weight \(.*\) into parameter",
            r"param_data\.shape == loaded_weight\.shape",
            r"size mismatch for .* copying a param|Error\(s\) in loading state_dict",
            r"start \(\d+\) \+ length \(\d+\) exceeds dimension size",
            r"The size of tensor a \(\d+\) must match the size of tensor b",
        ),
        # without a message: the assertion of a weight loader
        seen(
            GENERAL,
            r"^AssertionError$",
            near=r"in (weight_loader|load_weights|default_weight_loader|load_column_\w+)\b",
        ),
        source=_ISSUES + "16450",
    ),
    cause(
        "weights_slow",
        "The weights came so slowly that somebody gave up waiting.",
        "Put llmserve_hf_home on a local disk, or raise VLLM_ENGINE_READY_TIMEOUT_S in vllm_serve_env and "
        "vllm_serve_ready_timeout.",
        seen(
            LIKELY + 9,
            r"often caused by slow weight loading",
            r"Timed out waiting for (new )?engine core processes to start.*slow weight",
            r"(did not|not) (become )?ready (with)?in.*VLLM_ENGINE_READY_TIMEOUT_S",
            r"VLLM_ENGINE_READY_TIMEOUT_S.*exceeded",
        ),
        source="https://github.com/vllm-project/vllm/pull/24469",
    ),
)
