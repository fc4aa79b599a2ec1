# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The question that a plan answers: checked options and hosts.

This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import re
from typing import Any, List, Mapping, NamedTuple, Optional, Sequence, Tuple, Union

from ansible_collections.llmserve.vllm.plugins.module_utils import _gpu_models
from ansible_collections.llmserve.vllm.plugins.module_utils._planner import gpus
from ansible_collections.llmserve.vllm.plugins.module_utils._planner.engine import NEWEST, Release
from ansible_collections.llmserve.vllm.plugins.module_utils._planner.errors import PlanError, label, shown

# A config.json has a few kB; lists of spared modules make it some hundred.
MAX_CONFIG_KEYS = 200000
# 100,000 GPUs with what gpu_info tells of each.
MAX_NODE_KEYS = 20000000
# No containers are nested deeper in any of what is read here.
MAX_DEPTH = 64
MAX_GPUS = 100000
# No count of anything is larger, bytes of weights included (a petabyte); what is, would only overflow later.
MAX_NUMBER = 10**15
# Nor is any GPU or host: a pebibyte, in MiB.
MAX_AMOUNT = 1024.0**3
# What is assumed of a GPU whose model and capability nobody told.
UNKNOWN_CAPABILITY = (8, 0)


class Gpu(NamedTuple):
    """One GPU. C(total_gib) is 0 when nothing tells its memory."""

    name: str
    total_gib: float
    capability: Tuple[int, int]
    nvlink: bool
    used_gib: float
    shared: bool
    sliced: bool


class Node(NamedTuple):
    """A host with its GPUs; C(memory_gib) is 0 when it is not known."""

    name: str
    gpus: Tuple[Gpu, ...]
    memory_gib: float


class Rates(NamedTuple):
    """What the network and the disks deliver. C(measured) when somebody stated or measured it."""

    download_mb_s: float
    load_gb_s: float
    download_stated: bool
    load_stated: bool


class Question(NamedTuple):
    """Everything that a plan depends on, checked."""

    name: str
    config: Mapping[str, Any]
    weights_bytes: Optional[int]
    weights_source: str
    download_bytes: Optional[int]
    quantization: Optional[str]
    nodes: Tuple[Node, ...]
    strategy: str
    release: Optional[Release]
    version: str
    gpu_memory_utilization: Optional[float]
    max_model_len: Union[int, str, None]
    max_num_seqs: Optional[int]
    max_num_batched_tokens: Optional[int]
    kv_cache_dtype: str
    enforce_eager: bool
    cpu_offload_gb: Union[float, str]
    tensor: Optional[int]
    pipeline: Optional[int]
    expert_parallel: bool
    async_scheduling: bool
    rates: Rates


# Assumed when nobody states or measured them: a gigabit link that is used well, and one NVMe disk.
ASSUMED_DOWNLOAD_MB_S = 110.0
ASSUMED_LOAD_GB_S = 2.0


def read_question(options: Mapping[str, Any]) -> Question:
    """Check the options of parallel_plan; raises PlanError with one line that names the field."""
    model = options.get("model")
    if not isinstance(model, Mapping):
        raise PlanError("model must be a dictionary with config, the content of the model's config.json.")
    config = model.get("config")
    if not isinstance(config, Mapping):
        raise PlanError("model.config must be the content of the model's config.json, a dictionary.")
    _check_size(config, "model.config", MAX_CONFIG_KEYS)
    _check_size(options.get("nodes"), "nodes", MAX_NODE_KEYS)
    length = options.get("max_model_len")
    length = _length(length) if isinstance(length, str) and length else _whole(options, "max_model_len")
    offload = options.get("cpu_offload_gb")
    version = _text(options, "vllm_version", "")
    return Question(
        name=label(model.get("name"), "the model"),
        config=config,
        weights_bytes=_whole(model, "weights_bytes", "model."),
        weights_source=label(model.get("weights_source"), "given"),
        download_bytes=_whole(model, "download_bytes", "model.", minimum=0),
        quantization=_text(model, "quantization", "", "model.") or None,
        nodes=read_nodes(options.get("nodes")),
        strategy=_strategy(options),
        release=parse_version(version),
        version=version or "{0}.{1}".format(*NEWEST),
        gpu_memory_utilization=_fraction(options, "gpu_memory_utilization"),
        max_model_len=length,
        max_num_seqs=_whole(options, "max_num_seqs"),
        max_num_batched_tokens=_whole(options, "max_num_batched_tokens"),
        kv_cache_dtype=_text(options, "kv_cache_dtype", "auto"),
        enforce_eager=_flag(options, "enforce_eager", False),
        cpu_offload_gb=_offload(offload),
        tensor=_whole(options, "tensor_parallel_size"),
        pipeline=_whole(options, "pipeline_parallel_size"),
        expert_parallel=_flag(options, "enable_expert_parallel", False),
        async_scheduling=_flag(options, "async_scheduling", True),
        rates=_rates(options),
    )


def _text(options: Mapping[str, Any], name: str, default: str, where: str = "") -> str:
    value = options.get(name)
    if value is None or value == "":
        return default
    if not isinstance(value, str) or len(value) > 100 or not value.isprintable():
        raise PlanError("{0}{1} must be a short text, not {2}.".format(where, name, shown(value)))
    return value


def _strategy(options: Mapping[str, Any]) -> str:
    value = _text(options, "strategy", "fill")
    if value not in ("fill", "fit"):
        raise PlanError("strategy must be fill or fit, not {0}.".format(shown(value)))
    return value


def _flag(options: Mapping[str, Any], name: str, default: bool) -> bool:
    value = options.get(name)
    if value is None:
        return default
    if not isinstance(value, bool):
        raise PlanError("{0} must be true or false, not {1}.".format(name, shown(value)))
    return value


def _rates(options: Mapping[str, Any]) -> Rates:
    download = _amount(options, "download_mb_s")
    load = _amount(options, "load_gb_s")
    for name, rate in (("download_mb_s", download), ("load_gb_s", load)):
        if 0 < rate < 1e-6:
            raise PlanError("{0} must be a rate that something ends at, not {1}.".format(name, shown(rate)))
    return Rates(download or ASSUMED_DOWNLOAD_MB_S, load or ASSUMED_LOAD_GB_S, bool(download), bool(load))


def parse_version(text: str) -> Optional[Release]:
    """The release in a version such as 0.8.5.post1 or v0.33.0-cu130; None when there is none."""
    match = re.match(r"^\s*[v~]?([0-9]{1,9})\.([0-9]{1,9})(?:\.([0-9]{1,9}))?", text)
    if not match:
        return None
    return tuple(int(part or 0) for part in match.groups())


def _length(text: str) -> Union[int, str]:
    """max_model_len as vLLM accepts it: auto, 131072, 128k (thousands), 128K (1024s)."""
    wanted = text.strip()
    if wanted.lower() in ("auto", "-1"):
        return "auto"
    match = re.match(r"^(\d{1,15}(?:\.\d{1,9})?)([kKmM]?)$", wanted)
    if not match:
        raise PlanError(
            "max_model_len must be a number of tokens such as 32768 or 32K, or auto, not {0}.".format(shown(text))
        )
    factor = {"": 1, "k": 1000, "K": 1024, "m": 1000**2, "M": 1024**2}[match.group(2)]
    return _bounded(int(float(match.group(1)) * factor), "max_model_len", 1)


def _offload(value: object) -> Union[float, str]:
    if value in (None, ""):
        return 0.0
    if isinstance(value, str):
        if value.strip().lower() == "auto":
            return "auto"
        try:
            value = float(value)
        except ValueError:
            raise PlanError(
                "cpu_offload_gb must be a number of GiB per GPU or auto, not {0}.".format(shown(value))
            ) from None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 100000:
        raise PlanError("cpu_offload_gb must be a number of GiB per GPU or auto, not {0}.".format(shown(value)))
    return float(value)


def _bounded(value: int, name: str, minimum: int) -> int:
    if value < minimum:
        raise PlanError("{0} must be at least {1}, not {2}.".format(name, minimum, shown(value)))
    if value > MAX_NUMBER:
        raise PlanError("{0} must be at most {1}, not {2}.".format(name, MAX_NUMBER, shown(value)))
    return value


def _whole(options: Mapping[str, Any], name: str, where: str = "", minimum: int = 1) -> Optional[int]:
    value = options.get(name)
    if value is None or value == "":
        return None
    if isinstance(value, str) and re.match(r"^-?[0-9]{1,30}$", value.strip()):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise PlanError("{0}{1} must be a whole number, not {2}.".format(where, name, shown(value)))
    return _bounded(value, where + name, minimum)


def _amount(options: Mapping[str, Any], name: str, where: str = "") -> float:
    value = options.get(name)
    if value is None or value == "":
        return 0.0
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            raise PlanError("{0}{1} must be a number, not {2}.".format(where, name, shown(value))) from None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= MAX_AMOUNT:
        raise PlanError(
            "{0}{1} must be a number from 0 to {2:g}, not {3}.".format(where, name, MAX_AMOUNT, shown(value))
        )
    return float(value)


def _fraction(options: Mapping[str, Any], name: str) -> Optional[float]:
    value = _amount(options, name)
    if options.get(name) in (None, ""):
        return None
    if not 0 < value <= 1:
        raise PlanError("{0} must be above 0 and at most 1 (0.92 is 92 % of a GPU), not {1:g}.".format(name, value))
    return value


def _check_size(content: object, name: str, limit: int) -> None:
    """Refuse what cannot be meant before anything walks through it."""
    seen = 0
    stack: List[Tuple[Any, int]] = [(content, 0)]
    while stack:
        item, depth = stack.pop()
        if isinstance(item, str):
            seen += len(item) // 100
            continue
        if not isinstance(item, (Mapping, list, tuple)):
            continue
        if depth > MAX_DEPTH:
            raise PlanError("{0} is nested more than {1} levels deep: that cannot be right.".format(name, MAX_DEPTH))
        seen += len(item)
        if seen > limit:
            break
        inner = item.values() if isinstance(item, Mapping) else item
        stack.extend((part, depth + 1) for part in inner if isinstance(part, (str, Mapping, list, tuple)))
    if seen > limit:
        raise PlanError(
            "{0} has more than {1} entries: that cannot be right (a config.json has a few kB).".format(name, limit)
        )


def read_nodes(nodes: object) -> Tuple[Node, ...]:
    """The hosts of the inventory."""
    if nodes is None:
        return ()
    if not isinstance(nodes, Sequence) or isinstance(nodes, str):
        raise PlanError("nodes must be a list of hosts, not {0}.".format(shown(nodes)))
    found = []
    known: dict = {}
    total = 0
    for number, node in enumerate(nodes, start=1):
        if not isinstance(node, Mapping):
            raise PlanError(
                "nodes[{0}] must be a dictionary with name and gpus, not {1}.".format(number - 1, shown(node))
            )
        name = label(node.get("name"), "node {0}".format(number))
        listed = node.get("gpus")
        listed = [] if listed is None else listed
        if not isinstance(listed, Sequence) or isinstance(listed, str):
            raise PlanError(
                "The gpus of {0} must be a list with one entry per GPU, not {1}.".format(name, shown(listed))
            )
        total += len(listed)
        if total > MAX_GPUS:
            raise PlanError("nodes has more than {0} GPUs.".format(MAX_GPUS))
        memory = _amount(node, "host_memory_mib", "{0}: ".format(name)) / 1024.0
        cards = tuple(_gpu(item, name, known) for item in listed)
        if memory:
            # host and GPU share one memory (GB10, Jetson): CUDA reports all of it
            cards = tuple(
                card._replace(total_gib=memory) if card.shared and not card.total_gib else card for card in cards
            )
        found.append(Node(name, cards, memory))
    return tuple(found)


def _gpu(item: object, node: str, known: dict) -> Gpu:
    if not isinstance(item, Mapping):
        raise PlanError("A GPU of {0} must be a dictionary with name and memory, not {1}.".format(node, shown(item)))
    key = tuple(repr(item.get(field)) for field in _GPU_FIELDS)
    if key not in known:
        known[key] = _read_gpu(item, node)
    found: Gpu = known[key]
    return found


_GPU_FIELDS = (
    "name",
    "memory_total_mib",
    "total_memory_gib",
    "memory_used_mib",
    "compute_capability",
    "mig_enabled",
    "mig_devices",
    "memory_is_shared",
)


def _read_gpu(item: Mapping[str, Any], node: str) -> Gpu:
    where = "{0}: gpus[].".format(node)
    name = label(item.get("name"), "unknown GPU")
    model = gpus.lookup(name)
    total = _amount(item, "total_memory_gib", where)
    mib = _amount(item, "memory_total_mib", where)
    sliced = item.get("mig_enabled") is True
    if sliced and isinstance(item.get("mig_devices"), Sequence):
        slices = [_amount(part, "memory_total_mib", where) for part in item["mig_devices"] if isinstance(part, Mapping)]
        mib = max(slices, default=mib)
    shared = item.get("memory_is_shared") is True or _gpu_models.shares_host_memory(name)
    if not total and mib:
        total = gpus.from_nvidia_smi(mib)
        if model and not sliced and abs(model.total_gib - total) < 1.0:
            total = model.total_gib
    if not total and not shared:
        total = model.total_gib if model else gpus.size_in_name(name) or 0.0
    return Gpu(
        name=name,
        total_gib=total,
        capability=_capability(item.get("compute_capability") or _gpu_models.compute_capability(name, None)),
        nvlink=bool(model and model.nvlink),
        used_gib=_amount(item, "memory_used_mib", where) / 1024.0,
        shared=shared,
        sliced=sliced,
    )


def _capability(value: object) -> Tuple[int, int]:
    match = re.match(r"^([0-9]{1,3})\.([0-9]{1,3})$", str(value))
    return (int(match.group(1)), int(match.group(2))) if match else UNKNOWN_CAPABILITY
