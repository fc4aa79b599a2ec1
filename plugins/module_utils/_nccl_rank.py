# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One rank of the all-reduce of M(llmserve.vllm.nccl_check), in the serving image; _nccl_program starts it.

Its source text is handed to the image's Python, so it uses the standard library and torch alone.

This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import datetime
import functools
import json
import os
import sys
import time
from typing import Any, Callable, Dict

# all-reduces of each size: without timing, and with
_WARM_UP, _TIMED = 3, 10


class WrongResult(Exception):
    """The hosts have computed, but not this."""


def bus_factor(world: int) -> float:
    """nccl-tests' factor from the size over the time to what each link has carried, for an all-reduce."""
    return 2.0 * (world - 1) / world


def prove(torch: Any, reduce: Callable[[Any], Any], device: Any, rank: int, world: int) -> None:
    """A first all-reduce whose result is known."""
    data = torch.full((4096,), float(rank + 1), device=device)
    reduce(data)
    want = world * (world + 1) / 2.0
    if not bool(torch.all(data == want).item()):
        raise WrongResult("{0} instead of {1}".format(data[data != want][0].item(), want))


def clock(once: Callable[[], Any], wait: Callable[[], None]) -> float:
    """Seconds that one all-reduce takes."""
    for _round in range(_WARM_UP):
        once()
    wait()
    began = time.perf_counter()
    for _round in range(_TIMED):
        once()
    wait()
    return (time.perf_counter() - began) / _TIMED


def work(task: Dict[str, Any], say: Callable[..., None]) -> None:
    """Join, prove that sums are right, and time them."""
    import torch  # noqa: PLC0415 - the controller and the hosts have none
    import torch.distributed as dist  # noqa: PLC0415

    rank, world, on_gpu = task["rank"], task["world"], task["backend"] == "nccl"
    patience = datetime.timedelta(seconds=task["limit_seconds"])
    cpu = torch.device("cpu")
    device = torch.device("cuda", task["local"]) if on_gpu else cpu
    if on_gpu:
        torch.cuda.set_device(device)
    address, port = task["addresses"][0], task["port"]
    store = dist.TCPStore(address, port, is_master=False, timeout=patience, wait_for_workers=False)
    meeting = dist.PrefixStore("ranks", store)
    dist.init_process_group(task["backend"], store=meeting, rank=rank, world_size=world, timeout=patience)
    prove(torch, dist.all_reduce, device, rank, world)
    if on_gpu:
        # vLLM's processes also talk through gloo.
        gloo = dist.new_group(backend="gloo", timeout=patience)
        prove(torch, functools.partial(dist.all_reduce, group=gloo), cpu, rank, world)
    store.set("connected/{0}".format(rank), "1")

    def wait() -> None:
        if on_gpu:
            torch.cuda.synchronize()

    for size in task["sizes" if on_gpu else "sizes_gloo"]:
        data = torch.zeros(max(1, size // 4), dtype=torch.float32, device=device)
        seconds = clock(functools.partial(dist.all_reduce, data), wait)
        slowest = torch.tensor([seconds], dtype=torch.float64, device=device)
        dist.all_reduce(slowest, op=dist.ReduceOp.MAX)
        if rank == 0:
            taken = float(slowest.item())
            say("size", bytes=size, seconds=taken, bus_gb_s=size / taken * bus_factor(world) / 1e9, world=world)
    dist.barrier()
    dist.destroy_process_group()


def main(task: Dict[str, Any]) -> None:
    """Work, and say how it went wrong."""

    def say(event: str, **facts: Any) -> None:
        os.write(1, ("\n" + task["mark"] + json.dumps(dict(facts, event=event)) + "\n").encode())

    try:
        work(task, say)
    except Exception as exc:
        kind = "wrong_result" if isinstance(exc, WrongResult) else "exception"
        host = task["hosts"][task["number"]]
        say("rank_failed", host=host, rank=task["rank"], kind=kind, detail=str(exc).strip() or type(exc).__name__)
        sys.stdout.flush()
        # not sys.exit: what has failed may hang in its own cleaning up
        os._exit(1)


if __name__ == "__main__":
    main(json.loads(sys.argv[2]))
