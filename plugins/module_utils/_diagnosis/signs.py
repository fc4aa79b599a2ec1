# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Signs of how far a server has come, and of its end.

This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import re
from typing import Tuple

# What a server says when it begins (since 0.16 only its banner), and when it listens.
BEGUN = ("vLLM API server version", "▀▄▀ █  version ")
STARTED = ("Application startup complete.", "Uvicorn running on")

# What only a server does that is up.
UP = re.compile(r"Avg prompt throughput|\"(POST|GET) /\S* HTTP/\d[.\d]*\" 200")
UP_ANCHORS = ("Avg prompt throughput", '" 200')

# Signs that the start went on.
PROGRESS = re.compile(
    r"Loading (safetensors|pt|bin|weights|model)\b.*(shards|Completed|weights)|"
    r"Loading weights took|Model loading took|Starting to load model|Loading model weights took|"
    r"KV cache size|Available KV cache memory|Capturing CUDA graph|Graph capturing finished|"
    r"Application startup complete"
)
PROGRESS_ANCHORS = (
    "Loading ",
    "Model loading took",
    "Starting to load model",
    "KV cache",
    "Capturing CUDA graph",
    "Graph capturing finished",
    "Application startup complete",
)

# Nothing comes after these but the clean-up, and they never say why.
TERMINAL = re.compile(
    r"EngineCore failed to start|Engine core initialization failed|Engine process failed to start|"
    r"WorkerProc (initialization )?failed|EngineCore encountered a(n issue| fatal error)|Engine\w*DeadError|"
    r"died unexpectedly|EngineGenerateError|See (stack trace (above )?(for (the )?)?|the )?root ?cause|"
    r"Engine background task failed|Background loop (has errored|is stopped)|Engine loop has died|"
    r"Ray workers have not started successfully|Task finished unexpectedly|"
    r"LLMEngine (is already dead|has failed)|terminating server process|EngineCore hit an exception|"
    r"Got fatal signal from worker processes"
)
TERMINAL_ANCHORS = (
    "EngineCore failed",
    "EngineCore encountered",
    "EngineCore hit",
    "Got fatal signal",
    "Engine core",
    "Engine process",
    "Engine background",
    "Engine loop",
    "EngineGenerateError",
    "DeadError",
    "WorkerProc",
    "died unexpectedly",
    "root cause",
    "rootcause",
    "Background loop",
    "Ray workers have not started",
    "Task finished unexpectedly",
    "LLMEngine ",
    "terminating server process",
)

# The server misses a process, and says neither how it ended nor why. Mostly the reason stands above.
SILENT = re.compile(r"Failed core proc\(s\): \{\}")

# A server that has listened is only in trouble when one of these follows; other errors are those of requests.
ENDED = re.compile(
    TERMINAL.pattern.replace("EngineGenerateError|", "")
    + r"|\[Errno 98\]|Fatal Python error|exit ?code:? (-|13\d)|exited with code [1-9]|core dumped|Watchdog caught|"
    r"terminated with exception|"
    r"^Killed$|received signal|[Rr]eceived (SIGTERM|SIGINT)|Shutting down|Finished server process|KeyboardInterrupt|"
    r"Failed to initialize NVML|has been marked dead|out of memory: Killed process|"
    r"NVRM: Xid|The actor died|ActorDiedError|Main process exited|CANCELLED AT"
)
ENDED_ANCHORS = (
    *TERMINAL_ANCHORS,
    "[Errno 98]",
    "Fatal Python error",
    "exit code",
    "exitcode",
    "exited with code",
    "core dumped",
    "Watchdog caught",
    "terminated with exception",
    "Killed",
    "received signal",
    "eceived SIG",
    "Shutting down",
    "Finished server process",
    "KeyboardInterrupt",
    "Failed to initialize NVML",
    "marked dead",
    "NVRM: Xid",
    "The actor died",
    "ActorDiedError",
    "Main process exited",
    "CANCELLED AT",
)

# Asked to end: what failed before it were single requests, what fails after it are its consequences.
STOPPED = re.compile(
    r"received signal|[Rr]eceived (SIGTERM|SIGINT)|SIGTERM received|Shutting down( FastAPI|$)|KeyboardInterrupt|"
    r"CANCELLED AT|exited with code (130|143)"
)

# Said calmly after the end of a process.
CLEAN_UP = re.compile(r"resource_tracker|destroy_process_group|leaked |[Ss]hut(ting)? ?down|warnings\.warn\(")

_EXCEPTIONS = r"Error|gaierror|Exception|Interrupt|Exit|Failure|Fault|Timeout|StatusCode"
EXCEPTION = re.compile(r"^(?:[A-Za-z_]\w*\.)*(?:[A-Za-z_]\w*)?(?:" + _EXCEPTIONS + r")(?:: |:?$)")
# What follows another failure: a waiter that was told off, a peer that has gone.
SECOND_HAND: Tuple[str, ...] = (
    "asyncio.exceptions.CancelledError",
    "CancelledError",
    "KeyboardInterrupt",
    "SystemExit",
    "BrokenPipeError",
    "ConnectionResetError",
    "EOFError",
    "zmq.error",
    "subprocess.CalledProcessError",
    "ray.exceptions.",
    "ChildProcessError",
    "torch.distributed.DistBackendError",
    "concurrent.futures",
)
