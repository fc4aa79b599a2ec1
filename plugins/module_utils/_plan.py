# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lay a model out over the GPUs of an inventory by vLLM's own rules.

The sizes come first (this file); what they cost in memory is a matter of its own.
This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

from typing import Any, Dict, Iterable, List, Mapping, NamedTuple, Optional, Sequence, Tuple


class PlanError(ValueError):
    """The question itself is wrong: an option that says nothing sensible."""


class Shape(NamedTuple):
    """The figures of a model that decide how it can be split."""

    architecture: str
    heads: int
    kv_heads: int
    layers: int


class Node(NamedTuple):
    """A host, and how many GPUs it brings."""

    name: str
    gpus: int


class Pool(NamedTuple):
    """The GPUs that can be used: as many of every node as the poorest node has."""

    per_node: int
    nodes: int

    @property
    def total(self) -> int:
        return self.per_node * self.nodes


class Layout(NamedTuple):
    """Tensor and pipeline parallel size."""

    tensor: int
    pipeline: int

    @property
    def gpus(self) -> int:
        return self.tensor * self.pipeline


# The first and last release with GHSA-v97p-wpxp-px84.
LEAKY_PIPELINE = ((0, 16), (0, 20))

# The names that configurations use for the same figure, the common one first.
_HEADS = ("num_attention_heads", "n_head", "n_heads", "num_heads")
_KV_HEADS = ("num_key_value_heads", "n_head_kv", "num_kv_heads", "multi_query_group_num")
_LAYERS = ("num_hidden_layers", "n_layer", "n_layers", "num_layers")
_TEXT_CONFIGS = ("text_config", "llm_config", "language_config", "thinker_config")


def model_shape(config: Mapping[str, Any]) -> Shape:
    """Heads and layers from a config.json; a multimodal model nests its language model's figures."""
    if not config:
        raise PlanError(
            "The model has no config.json, so its layers and heads are unknown: vLLM serves repositories in the "
            "transformers format; check llmserve_model and llmserve_model_revision."
        )
    text = _text_config(config)
    heads = _figure(text, _HEADS)
    layers = _figure(text, _LAYERS)
    if heads is None or layers is None:
        missing = _HEADS[0] if heads is None else _LAYERS[0]
        raise PlanError(
            "config.json has no {0} (model_type {1!r}), so the model cannot be planned: give tensor_parallel_size and "
            "pipeline_parallel_size of a model that vLLM serves.".format(missing, text.get("model_type"))
        )
    kv_heads = _figure(text, _KV_HEADS)
    if kv_heads is None:
        kv_heads = 1 if text.get("multi_query") else heads
    architectures = config.get("architectures") or [str(config.get("model_type") or "unknown")]
    # Multi-head latent attention keeps one compressed cache on every rank and has no KV heads to split.
    if text.get("kv_lora_rank"):
        kv_heads = 1
    return Shape(str(architectures[0]), heads, kv_heads, layers)


def _text_config(config: Mapping[str, Any]) -> Mapping[str, Any]:
    if _figure(config, _HEADS) is not None:
        return config
    for key in _TEXT_CONFIGS:
        nested = config.get(key)
        if isinstance(nested, Mapping):
            return _text_config(nested)
    return config


def _figure(config: Mapping[str, Any], names: Sequence[str]) -> Optional[int]:
    for name in names:
        value = config.get(name)
        if isinstance(value, int) and not isinstance(value, bool) and value > 0:
            return int(value)
    return None


def read_nodes(nodes: Sequence[Mapping[str, Any]]) -> List[Node]:
    """The hosts of the inventory, by name."""
    found = []
    for number, node in enumerate(nodes, start=1):
        name = str(node.get("name") or "node {0}".format(number))
        gpus = node.get("gpus")
        if gpus is None:
            gpus = []
        if not isinstance(gpus, Sequence) or isinstance(gpus, str):
            raise PlanError("The gpus of {0} must be a list with one entry per GPU, not {1!r}.".format(name, gpus))
        found.append(Node(name, len(gpus)))
    return found


def legal_tensor_sizes(shape: Shape, limit: int) -> List[int]:
    """The tensor parallel sizes up to a limit that split both kinds of heads as vLLM demands."""
    return [size for size in range(1, limit + 1) if not _tensor_problems(shape, size)]


def _tensor_problems(shape: Shape, size: int) -> List[str]:
    problems = []
    if shape.heads % size:
        problems.append("{0} attention heads cannot be divided by {1}".format(shape.heads, size))
    # fewer KV heads than ranks are copied, but only evenly
    if shape.kv_heads % size and size % shape.kv_heads:
        problems.append(
            "{0} key/value heads can neither be divided over {1} GPUs nor be copied evenly to them".format(
                shape.kv_heads, size
            )
        )
    return problems


def stage_layers(layers: int, stages: int) -> List[int]:
    """Layers per pipeline stage as vLLM partitions them: the remainder goes to the stages before the last one."""
    sizes = [layers // stages] * stages
    for back in range(2, 2 + layers % stages):
        sizes[-back] += 1
    return sizes


def make_plan(
    config: Mapping[str, Any],
    nodes: Sequence[Mapping[str, Any]],
    *,
    tensor_parallel_size: Optional[int] = None,
    pipeline_parallel_size: Optional[int] = None,
    name: str = "the model",
    release: Optional[Tuple[int, int]] = None,
) -> Dict[str, Any]:
    """Use every GPU: TP inside a node, PP over the nodes, unless a size is fixed. C(release) is vLLM's."""
    for option, value in (("tensor", tensor_parallel_size), ("pipeline", pipeline_parallel_size)):
        if value is not None and value < 1:
            raise PlanError("{0}_parallel_size must be at least 1, not {1}.".format(option, value))
    shape = model_shape(config)
    hosts = read_nodes(nodes)
    reasons, warnings = _gpu_findings(hosts)
    pool = _pool(hosts)
    layout = _choose(pool, tensor_parallel_size, pipeline_parallel_size)
    if pool.total:
        reasons += _split_reasons(shape, name, layout, pool)
        reasons += _room_reasons(shape, layout, pool)
        warnings += _layout_warnings(layout, pool, release)
    stages = stage_layers(shape.layers, layout.pipeline) if layout.pipeline <= shape.layers else []
    used = layout.gpus if pool.total else 0
    return {
        "fits": not reasons,
        "tensor_parallel_size": layout.tensor,
        "pipeline_parallel_size": layout.pipeline,
        "gpus_used": used,
        "nodes_used": -(-used // pool.per_node) if used else 0,
        "stages": [{"layers": layers} for layers in stages],
        "engine_args": {"tensor_parallel_size": layout.tensor, "pipeline_parallel_size": layout.pipeline},
        "reasons": reasons,
        "warnings": warnings,
        "arithmetic": _arithmetic(shape, layout, stages),
    }


def _pool(hosts: Sequence[Node]) -> Pool:
    counts = [host.gpus for host in hosts if host.gpus]
    return Pool(min(counts), len(counts)) if counts else Pool(0, 0)


def _choose(pool: Pool, tensor: Optional[int], pipeline: Optional[int]) -> Layout:
    """Fill the GPUs: what is not fixed takes the rest, and tensor parallel groups stay inside a node."""
    if tensor is None:
        tensor = pool.per_node if pipeline is None else min(pool.per_node, pool.total // pipeline)
        tensor = max(1, tensor)
    if pipeline is None:
        pipeline = max(1, pool.total // tensor)
    return Layout(tensor, pipeline)


def _gpu_findings(hosts: Sequence[Node]) -> Tuple[List[str], List[str]]:
    if not hosts:
        return ["No nodes were given: put at least one host into the inventory group llm_nodes."], []
    empty = [host.name for host in hosts if not host.gpus]
    if empty:
        return [
            "No GPUs on {0}: mend the driver there (llmserve.vllm.gpu_info says what is wrong), or take the host out "
            "of the inventory group llm_nodes.".format(", ".join(empty))
        ], []
    counts = {host.gpus for host in hosts}
    if len(counts) == 1:
        return [], []
    least = min(counts)
    richer = ["{0} ({1})".format(host.name, host.gpus) for host in hosts if host.gpus > least]
    return [], [
        "The nodes have different numbers of GPUs: {0} of each are used, the rest of {1} stay idle.".format(
            least, ", ".join(richer)
        )
    ]


def _split_reasons(shape: Shape, name: str, layout: Layout, pool: Pool) -> List[str]:
    reasons = []
    problems = _tensor_problems(shape, layout.tensor)
    if problems:
        limit = max(pool.per_node, layout.tensor)
        reasons.append(
            "{0} cannot be split over {1} GPUs: {2}. Tensor parallel sizes that work, up to {3}: {4}. Set "
            "llmserve_tensor_parallel_size to one of them.".format(
                name, layout.tensor, " and ".join(problems), limit, _comma(legal_tensor_sizes(shape, limit))
            )
        )
    if layout.pipeline > shape.layers:
        reasons.append(
            "{0} pipeline stages need at least as many layers, but {1} has {2}: set llmserve_pipeline_parallel_size to "
            "at most {2}, or use fewer nodes.".format(layout.pipeline, name, shape.layers)
        )
    return reasons


def _room_reasons(shape: Shape, layout: Layout, pool: Pool) -> List[str]:
    if layout.gpus <= pool.total:
        return []
    fitting = [
        "{0} x {1}".format(size, min(pool.total // size, shape.layers))
        for size in reversed(legal_tensor_sizes(shape, pool.per_node))
    ]
    return [
        "TP {0} x PP {1} needs {2} GPUs, but {3} node(s) with {4} GPUs each have {5}. TP x PP that fits, at most: {6}. "
        "Set llmserve_tensor_parallel_size and llmserve_pipeline_parallel_size, or add nodes.".format(
            layout.tensor, layout.pipeline, layout.gpus, pool.nodes, pool.per_node, pool.total, _comma(fitting)
        )
    ]


def _layout_warnings(layout: Layout, pool: Pool, release: Optional[Tuple[int, int]]) -> List[str]:
    warnings = []
    if layout.tensor > pool.per_node:
        warnings.append(
            "TP {0} spans nodes of {1} GPUs: every layer waits for the network, which is slow without InfiniBand. "
            "Prefer TP inside the nodes and PP over them.".format(layout.tensor, pool.per_node)
        )
    elif pool.per_node % layout.tensor and layout.gpus > pool.per_node:
        warnings.append(
            "TP {0} does not divide the {1} GPUs of a node, so one tensor parallel group spans two nodes.".format(
                layout.tensor, pool.per_node
            )
        )
    if layout.gpus < pool.total:
        warnings.append("{0} of {1} GPUs stay idle.".format(pool.total - layout.gpus, pool.total))
    if layout.pipeline > 1 and release is not None and LEAKY_PIPELINE[0] <= release <= LEAKY_PIPELINE[1]:
        warnings.append(
            "vLLM {0}.{1} can leak tokens between requests when pipeline stages are scheduled asynchronously "
            "(GHSA-v97p-wpxp-px84): use 0.21 or newer, or set async_scheduling: false in "
            "llmserve_engine_args.".format(*release)
        )
    return warnings


def _arithmetic(shape: Shape, layout: Layout, stages: Sequence[int]) -> List[str]:
    tensor = layout.tensor
    lines = ["TP {0} x PP {1} = {2} GPUs".format(tensor, layout.pipeline, layout.gpus)]
    if shape.heads % tensor == 0:
        lines.append("{0} attention heads / TP {1} = {2} per GPU".format(shape.heads, tensor, shape.heads // tensor))
    if shape.kv_heads % tensor == 0:
        lines.append(
            "{0} key/value heads / TP {1} = {2} per GPU".format(shape.kv_heads, tensor, shape.kv_heads // tensor)
        )
    elif tensor % shape.kv_heads == 0:
        lines.append(
            "{0} key/value heads < TP {1}: each is kept on {2} GPUs".format(
                shape.kv_heads, tensor, tensor // shape.kv_heads
            )
        )
    if stages:
        lines.append(
            "{0} layers / PP {1} = {2} per stage".format(
                shape.layers, layout.pipeline, " + ".join(str(layers) for layers in stages)
            )
        )
    return lines


def _comma(items: Iterable[object]) -> str:
    return ", ".join(str(item) for item in items)
