# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Time diagnose_log and redact over long logs.

    python benchmarks/diagnose_speed.py [--megabytes N]

"served" is a server that has answered requests all day, "died" the same with an engine that ran out of memory at the
end, "restarts" a container that fails again and again, "noise" nothing but different lines that are said as errors,
which is the worst case: every line is looked at for every literal of every signature. Each log is diagnosed once, in
this process; the time of the first diagnosis includes nothing of compiling the patterns, which is told by itself.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

BEGIN = "(APIServer pid=1) INFO 11-21 01:40:00 [api_server.py:1772] vLLM API server version 0.33.0\n"
UP = "(APIServer pid=1) INFO:     Application startup complete.\n"
END = (
    "(EngineCore pid=7) ERROR 11-21 02:00:00 [core.py:800] EngineCore encountered a fatal error.\n"
    "(EngineCore pid=7) ERROR 11-21 02:00:00 [core.py:800] torch.OutOfMemoryError: CUDA out of memory. Tried to "
    "allocate 2.50 GiB. GPU 0 has a total capacity of 79.18 GiB of which 1.20 GiB is free.\n"
)


def served() -> Iterator[str]:
    for number in count():
        if number % 3:
            address = f"10.0.0.{number % 250}:{number % 60000}"
            yield f'(APIServer pid=1) INFO:     {address} - "POST /v1/completions HTTP/1.1" 200 OK\n'
        else:
            moment = f"11-21 01:{number // 60 % 60:02}:{number % 60:02}"
            speed = f"Avg prompt throughput: {number % 977}.1 tokens/s, Avg generation throughput: 499.0 tokens/s"
            yield f"(APIServer pid=1) INFO {moment} [loggers.py:248] Engine 000: {speed}, Running: 3 reqs\n"


def restarts() -> Iterator[str]:
    for number in count():
        yield BEGIN.replace("01:40:00", f"{number % 24:02}:{number % 60:02}:00")
        yield from (f"(EngineCore pid={number}) ERROR 11-21 [core.py:{line}]     frame {line}\n" for line in range(200))
        yield END.replace("pid=7", f"pid={number}")


def noise() -> Iterator[str]:
    for number in count():
        rank = f"(Worker_TP{number % 8} pid={number % 999})"
        yield f"{rank} ERROR 11-21 01:00:00 [a.py:1] number {number} of what nobody knows\n"


def filled(lines: Iterator[str], size: int) -> str:
    parts, length = [], 0
    for line in lines:
        parts.append(line)
        length += len(line)
        if length >= size:
            break
    return "".join(parts)


def timed(function: Callable[[], object]) -> tuple[float, object]:
    begin = time.perf_counter()
    result = function()
    return time.perf_counter() - begin, result


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--megabytes", type=int, default=50)
    size = parser.parse_args().megabytes * 1000 * 1000
    sys.path.insert(0, str(ROOT / ".ansible" / "collections"))
    begin = time.perf_counter()
    from ansible_collections.llmserve.vllm.plugins.module_utils._diagnose import (  # noqa: PLC0415  # is timed
        diagnose,
    )

    print(f"import and compile {1000 * (time.perf_counter() - begin):6.0f} ms")
    from ansible_collections.llmserve.vllm.plugins.module_utils._redact import redact  # noqa: PLC0415  # path above

    day = filled(served(), size)
    logs = {
        "served": BEGIN + UP + day,
        "died": BEGIN + UP + day + END,
        "restarts": filled(restarts(), size),
        "noise": filled(noise(), size),
    }
    for name, log in logs.items():
        seconds, found = timed(lambda log=log: [item["cause"] for item in diagnose(log)])  # type: ignore[misc]  # default binds
        cleaning = timed(lambda log=log: redact(log))[0]  # type: ignore[misc]  # default binds
        print(f"{name:9} {len(log) / 1e6:5.1f} MB  diagnose {seconds:5.1f} s  redact {cleaning:5.1f} s  {found}")


if __name__ == "__main__":
    main()
