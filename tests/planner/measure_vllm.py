# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure what vLLM holds for the tiny models beside this file: weights, groups of the KV cache, its size in tokens.

It runs inside the sandbox's engine image, and prints one JSON line per model, layout and rank:

    docker run --rm --entrypoint python3 -v $PWD/tests/planner:/planner:ro IMAGE /planner/measure_vllm.py [NAME ...]

What is vLLM's own: the arguments (EngineArgs), the worker process of every rank (WorkerWrapperBase and CPUWorker, with
a real gloo group where there are several), the loading of dummy weights with all that follows it, the specifications
of the cache, get_kv_cache_configs over all ranks, the allocation of the cache, and the figures of the line that vLLM
logs ("KV cache size: ... tokens, Maximum concurrency ...").

What is not: the processes are forked from one that has imported vLLM instead of started by an executor, model classes
are inspected in this process instead of one of their own, and neither scheduler nor API server is made. Nothing is
generated. The size given to the cache is that of the sandbox's platform (64 MiB a rank).

Each line says how far it went: path is "engine" for all of the above. It is "instantiated" for models that this CPU
build has no kernel for ("stub_kernels" in the model's file): their layers get a kernel that does nothing, so that the
weights are made as vLLM makes them (experts as for Marlin's kernels); nothing prepares them afterwards, and their cache
is planned but not allocated. Where a model cannot be loaded, "error" and "where" tell.

The figures: weights_bytes are parameters and buffers as they were loaded, before kernels of the CPU repack them into
memory that no tensor shows; weights.parts splits them. absorbed_bytes are the copies that MLA adds after loading
(null where nothing was prepared). kv_* are of this rank. at_gpu_pages repeats the plan of the cache, by the same
functions of vLLM and without allocating it, with the pages of a CUDA device (16 tokens, 64 for MLA; the kernels of the
CPU want 32 and 16).
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import json
import multiprocessing
import os
import re
import socket
import sys
import tempfile
import traceback
from collections import deque
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

os.environ.update(
    HF_HUB_OFFLINE="1",
    VLLM_NO_USAGE_STATS="1",
    VLLM_LOGGING_LEVEL=os.environ.get("VLLM_LOGGING_LEVEL", "CRITICAL"),
    VLLM_CPU_OMP_THREADS_BIND="nobind",
    GLOO_SOCKET_IFNAME="lo",
    # the simulated platform counts its devices here
    CUDA_VISIBLE_DEVICES="0,1,2,3",
)

import torch
import vllm
from torch import nn
from vllm.engine.arg_utils import EngineArgs
from vllm.model_executor.model_loader import base_loader
from vllm.model_executor.models import registry
from vllm.v1.attention.backends.utils import resolve_kv_cache_layout
from vllm.v1.core import kv_cache_utils
from vllm.v1.core.single_type_kv_cache_manager import register_all_kvcache_specs
from vllm.v1.worker.worker_base import WorkerWrapperBase

HERE = Path(__file__).resolve().parent
SECONDS_PER_LAYOUT = 90
# What one engine gets when its file says nothing else. 32 is the smallest page of the CPU's kernels, MLA's aside.
ARGUMENTS: dict[str, Any] = {"block_size": 32, "max_model_len": 1024, "max_num_batched_tokens": 512, "max_num_seqs": 8}
PARTS = (
    # sparse attention: one for all layers, max_num_batched_tokens x index_topk
    ("workspace", re.compile(r"topk_indices_buffer")),
    ("rope", re.compile(r"rotary_emb|cos_sin_cache")),
    ("lm_head", re.compile(r"(^|\.)lm_head\.")),
    ("embedding", re.compile(r"embed_tokens|embed_positions|model\.embedding|\bwte\b|\bwpe\b")),
    ("experts", re.compile(r"\.experts\.|\.block_sparse_moe\.")),
    ("layers", re.compile(r"(^|\.)(layers|h)\.\d+\.")),
)


def held_tensors(model: nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    """Every tensor that a loaded model keeps, with its name. Besides parameters and buffers there are plain
    attributes of a module, such as MLA's absorbed matrices, and those of its attention or quantization method.
    """
    for name, parameter in model.named_parameters(remove_duplicate=False):
        yield name, parameter
    for name, buffer in model.named_buffers(remove_duplicate=False):
        yield name, buffer
    for name, module in model.named_modules():
        for key, value in vars(module).items():
            if isinstance(value, torch.Tensor):
                yield f"{name}.{key}", value
            elif not isinstance(value, (nn.Module, type)) and hasattr(value, "__dict__"):
                for inner, tensor in vars(value).items():
                    if isinstance(tensor, torch.Tensor):
                        yield f"{name}.{key}.{inner}", tensor


def weigh(model: nn.Module) -> tuple[dict[str, Any], dict[int, torch.Tensor]]:
    """Bytes of the storages behind a model's tensors, each counted once; and these storages, by address."""
    seen: dict[int, torch.Tensor] = {}
    parts: dict[str, int] = {}
    per_layer: dict[str, int] = {}
    for name, tensor in held_tensors(model):
        size, address = tensor.untyped_storage().nbytes(), tensor.untyped_storage().data_ptr()
        if size == 0 or address in seen:
            continue
        seen[address] = tensor
        part = next((label for label, pattern in PARTS if pattern.search(name)), "other")
        parts[part] = parts.get(part, 0) + size
        layer = re.search(r"(?:^|\.)(?:layers|h)\.(\d+)\.", name)
        if layer and part not in ("rope", "workspace"):
            per_layer[layer[1]] = per_layer.get(layer[1], 0) + size
    return {"bytes": sum(parts.values()), "parts": parts, "layers": list(per_layer.values())}, seen


def watch_loading(seen: dict[str, Any], stub_kernels: bool) -> None:
    """Weigh the model before vLLM prepares its weights for the kernels of this machine, and what MLA adds then."""
    prepare = base_loader.process_weights_after_loading

    def weighed(model: nn.Module, *rest: Any, **options: Any) -> None:
        weights, before = weigh(model)
        seen.update(weights)
        if stub_kernels:
            return
        prepare(model, *rest, **options)
        added = {
            tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes()
            for name, tensor in held_tensors(model)
            if re.search(r"\.W_U[KV]", name) and tensor.untyped_storage().data_ptr() not in before
        }
        seen["absorbed"] = sum(added.values())

    base_loader.process_weights_after_loading = weighed


class StubKernel:
    """A kernel that does nothing, for layers whose weights are made and never multiplied."""

    def __init__(self, *_arguments: Any, **_options: Any) -> None: ...

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda *_arguments, **_options: None


# (module of the format, its experts' oracle, the oracle's choice, its names of kernels)
EXPERT_KERNELS = (
    ("fp8", "fp8", "select_fp8_moe_backend", "Fp8MoeBackend"),
    (
        "compressed_tensors.compressed_tensors_moe.compressed_tensors_moe_w8a8_fp8",
        "fp8",
        "select_fp8_moe_backend",
        "Fp8MoeBackend",
    ),
    ("auto_awq", "int_wna16", "select_wna16_moe_backend", "WNA16MoEBackend"),
    ("auto_gptq", "int_wna16", "select_wna16_moe_backend", "WNA16MoEBackend"),
    ("mxfp4", "mxfp4", "select_mxfp4_moe_backend", "Mxfp4MoeBackend"),
)


def stub_all_kernels() -> None:
    """Let FP8 layers and sparse attention find a kernel, and experts take the weights that Marlin's would have."""
    layers = "vllm.model_executor.layers"
    linear: Any = importlib.import_module("vllm.model_executor.kernels.linear")
    linear.choose_scaled_mm_linear_kernel = lambda *_arguments, **_options: StubKernel
    cpu: Any = importlib.import_module("vllm.platforms.cpu").CpuPlatform
    choose_attention = cpu.get_attn_backend_cls

    def choose_dense(wanted: Any, attn_selector_config: Any, **rest: Any) -> Any:
        dense = attn_selector_config._replace(use_sparse=False)
        return choose_attention(wanted, attn_selector_config=dense, **rest)

    cpu.get_attn_backend_cls = staticmethod(choose_dense)
    for module, oracle, choose, kernels in EXPERT_KERNELS:
        marlin = getattr(importlib.import_module(f"{layers}.fused_moe.oracle.{oracle}"), kernels).MARLIN
        user = importlib.import_module(f"{layers}.quantization.{module}")
        setattr(user, choose, lambda *_arguments, kernel=marlin, **_options: (kernel, None))


def describe_group(group: Any) -> dict[str, Any]:
    """One group of layers that share a block table."""
    spec = group.kv_cache_spec
    one = next(iter(spec.kv_cache_specs.values())) if hasattr(spec, "kv_cache_specs") else spec
    return {
        "kind": type(spec).__name__,
        "layers": len(group.layer_names),
        "block_size": spec.block_size,
        "page_bytes": one.page_size_bytes,
        "window": getattr(one, "sliding_window", None) or getattr(one, "attention_chunk_size", None),
        "dtype": str(getattr(one, "dtype", getattr(one, "dtypes", None))),
    }


class Cache:
    """The caches of all ranks, as EngineCore._initialize_kv_caches plans them."""

    def __init__(self, worker: WorkerWrapperBase, config: Any) -> None:
        # only there once the worker has joined its group
        from vllm.distributed.parallel_state import get_world_group  # noqa: PLC0415

        self.worker, self.config, self.world = worker, config, get_world_group()
        mine = (
            worker.get_kv_cache_spec(),
            worker.get_supported_kv_cache_layouts(),
            worker.determine_available_memory(),
        )
        every: list[Any] = [mine] * self.world.world_size
        if self.world.world_size > 1:
            torch.distributed.all_gather_object(every, mine, group=self.world.cpu_group)
        self.specs, layouts, self.available = (list(column) for column in zip(*every, strict=True))
        register_all_kvcache_specs(config)
        layout = resolve_kv_cache_layout(config, layouts, [spec for one in self.specs for spec in one.values()])
        worker.set_kv_cache_layout(layout.name)

    def plan(self, allocate: bool) -> dict[str, Any]:
        """Plan the caches, allocate this rank's, describe it."""
        configs = kv_cache_utils.get_kv_cache_configs(self.config, self.specs, self.available)
        for one in configs:
            one.kv_cache_layout = self.config.cache_config.kv_cache_layout
        if allocate:
            self.worker.initialize_from_config(configs)
        mine = self.specs[self.world.rank_in_group].values()
        described = self.describe(configs)
        described["kv_cache_bytes"] = sum(tensor.size for tensor in configs[self.world.rank_in_group].kv_cache_tensors)
        described["kv_state_bytes"] = [spec.page_size_bytes for spec in mine if hasattr(spec, "shapes")]
        return described

    def at_gpu_pages(self) -> dict[str, Any] | None:
        """The plan with the pages of a CUDA device; None with recurrent layers, whose states decide the pages."""
        every = [spec for one in self.specs for spec in one.values()]
        if any(hasattr(spec, "shapes") for spec in every):
            return None
        size = 64 if any("MLA" in type(spec).__name__ for spec in every) else 16
        specs = [{name: dataclasses.replace(spec, block_size=size) for name, spec in one.items()} for one in self.specs]
        self.config.cache_config.block_size = size
        return self.describe(kv_cache_utils.get_kv_cache_configs(self.config, specs, self.available))

    def describe(self, configs: list[Any]) -> dict[str, Any]:
        """Of a plan: this rank's pages and groups, and what vLLM logs of it."""
        own = configs[self.world.rank_in_group]
        shared = kv_cache_utils.generate_scheduler_kv_cache_config(configs)
        tokens, concurrency = kv_cache_utils.get_kv_cache_capacity(self.config, shared)
        return {
            "kv_groups": [describe_group(group) for group in own.kv_cache_groups],
            "block_size": self.config.cache_config.block_size,
            "kv_bytes_per_block": kv_cache_utils._pool_bytes_per_block(self.config, own.kv_cache_groups),
            "kv_blocks": own.num_blocks,
            "kv_cache_tokens": tokens,
            "max_concurrency": round(concurrency, 4),
        }


def measure(model: dict[str, Any], layout: dict[str, Any], rank: int, port: int) -> dict[str, Any]:
    """Be one rank of an engine, and say what it holds."""
    # else every new model class costs a process that imports vLLM
    registry._run_in_subprocess = lambda function: function()
    stubbed = bool(model.get("stub_kernels"))
    if stubbed:
        stub_all_kernels()
    weights: dict[str, Any] = {}
    watch_loading(weights, stubbed)
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "config.json").write_text(json.dumps(model["config"]), encoding="utf-8")
        arguments = {**ARGUMENTS, **model.get("engine_args", {}), **layout}
        engine = EngineArgs(model=folder, skip_tokenizer_init=True, load_format="dummy", **arguments)
        config = engine.create_engine_config()
        worker = start_worker(config, rank, port)
        worker.load_model()
        cache = Cache(worker, config)
        described = cache.plan(allocate=not stubbed)
    attention = [spec for spec in cache.specs[rank].values() if not hasattr(spec, "shapes")]
    return {
        "path": "instantiated" if stubbed else "engine",
        "rank": rank,
        "stage": rank // config.parallel_config.tensor_parallel_size,
        "weights_bytes": weights["bytes"],
        "weights": {key: weights[key] for key in ("parts", "layers")},
        "absorbed_bytes": weights.get("absorbed"),
        "kv_bytes_per_token": sum(spec.page_size_bytes / spec.block_size for spec in attention),
        **described,
        "kv_cache_bytes_available": cache.available[rank],
        "at_gpu_pages": cache.at_gpu_pages(),
        "dtype": str(config.model_config.dtype),
        "max_num_batched_tokens": config.scheduler_config.max_num_batched_tokens,
        "max_in_flight_tokens": config.max_in_flight_tokens,
        "engine_args": arguments,
    }


def start_worker(config: Any, rank: int, port: int) -> WorkerWrapperBase:
    """The worker of one rank, as the multiprocessing executor starts it."""
    worker = WorkerWrapperBase(rpc_rank=rank, global_rank=rank)
    every: list[dict[str, Any]] = [{} for _rank in range(config.parallel_config.world_size)]
    every[rank] = {
        "vllm_config": config,
        "local_rank": rank,
        "rank": rank,
        "distributed_init_method": f"tcp://127.0.0.1:{port}",
        "is_driver_worker": rank % config.parallel_config.tensor_parallel_size == 0,
    }
    worker.init_worker(every)
    worker.init_device()
    return worker


def answer(pipe: Connection, *question: Any) -> None:
    """Send what was measured, or why it could not be."""
    debug = bool(os.environ.get("MEASURE_DEBUG"))
    for stream in (1,) if debug else (1, 2):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
    try:
        pipe.send(measure(*question))
    except BaseException as error:
        if debug:
            traceback.print_exc()
        frame = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{frame.filename.rpartition('dist-packages/')[2]}:{frame.lineno}"
        reason = " ".join(str(error).split())[:400] or "no message"
        pipe.send({"rank": question[2], "error": f"{type(error).__name__}: {reason}", "where": where})
    finally:
        pipe.close()
        # no rank waits for another's farewell
        os._exit(0)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Layout:
    """One layout that is being measured, every rank in a process of its own."""

    def __init__(self, name: str, model: dict[str, Any], layout: dict[str, Any]) -> None:
        self.name, self.model, self.layout = name, model, layout
        fork = multiprocessing.get_context("fork")
        port = free_port()
        self.ranks = []
        for rank in range(layout["tensor_parallel_size"] * layout["pipeline_parallel_size"]):
            inner, outer = fork.Pipe(duplex=False)
            process = fork.Process(target=answer, args=(outer, model, layout, rank, port))
            process.start()
            outer.close()
            self.ranks.append((process, inner))

    def lines(self) -> Iterator[dict[str, Any]]:
        """Wait for the ranks, and say what they measured."""
        for rank, (process, pipe) in enumerate(self.ranks):
            result = {"rank": rank, "error": "no answer in time", "where": ""}
            try:
                if pipe.poll(SECONDS_PER_LAYOUT):
                    result = pipe.recv()
            except EOFError:
                result["error"] = "the process died"
            process.kill()
            process.join()
            version = {"vllm_version": vllm.__version__, "config": self.model["config"]}
            yield {"name": self.name, **self.layout, **result, **version}


def measure_all(names: list[str]) -> Iterator[dict[str, Any]]:
    """Measure models, as many layouts at a time as there are cores."""
    running: deque[Layout] = deque()
    for name in names:
        model = json.loads((HERE / "models" / f"{name}.json").read_text(encoding="utf-8"))
        for layout in model["layouts"]:
            if len(running) >= len(os.sched_getaffinity(0)):
                yield from running.popleft().lines()
            running.append(Layout(name, model, layout))
    while running:
        yield from running.popleft().lines()


def main() -> None:
    """Measure the models named on the command line, or all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="a model in models/, without .json; all by default")
    names = parser.parse_args().names or sorted(path.stem for path in (HERE / "models").glob("*.json"))
    for line in measure_all(names):
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    # the processes share what has been imported by now; threads would not survive the fork
    torch.set_num_threads(1)
    main()
