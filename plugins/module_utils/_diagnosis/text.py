# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines of logs: what is prefix, what is message, who says it and how serious it is.

This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import re
from typing import Dict, List

_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")

# docker compose's service name, the time of `docker logs -t` and of containerd's files, journald's (in the language of
# the host) and dmesg's heads, the JSON of Docker's files and of log services, labels of kubectl and srun, NCCL's time
_COLLECTOR = (
    r"[\w.-]+ +\| +|"
    r"\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:?\d\d) (?:[\w.-]+ [\w.@/-]+(?:\[\d+\])?: |std(?:out|err) [FP] )?|"
    r"(?:[^\W\d_]{2,5}\.?|\d{1,2}月) +\d+ \d\d:\d\d:\d\d [\w.-]+ [\w.@/-]+(?:\[\d+\])?: |"
    r"\[ *\d+\.\d+\] |\[[A-Z][a-z]{2} [A-Z][a-z]{2} [^\]]*\] |"
    r"\s*\{?\"(?:log|message|MESSAGE|textPayload)\": ?\"|\[pod/[\w./-]+\] |\d{1,4}: |\[[\d-]{10} [\d:]{8}\] "
)
# (EngineCore pid=15261), (RayWorkerWrapper pid=270291, ip=10.1.1.1), (autoscaler +20s), [rank0]:
_PROCESS = r"\([A-Za-z][\w:.\[\]-]*(?: [^()]*|, [^()]*)?\) ?|\[rank\d+\]: ?"
_PREFIX = re.compile("^(?:" + _COLLECTOR + "|" + _PROCESS + ")+")
# ERROR 11-21 01:41:57 [core.py:1510] and, until 0.7, ERROR 02-09 02:31:11 engine.py:389]
_LOGGER = re.compile(
    r"^(?:INFO|WARNING|ERROR|CRITICAL|DEBUG) \d\d-\d\d \d\d:\d\d:\d\d (?:\[[\w./]+:\d+\]|\[?[\w./-]+(?:py)?:? ?\d*\]) ?"
)
# What is said below ERROR, by vLLM, uvicorn, Ray (in Python and in C++), NCCL, torch and Python's warnings.
_MILD = re.compile(
    r"^(?:INFO|WARNING|DEBUG)(?::| \d\d-\d\d | \S+\.py:\d+)|^\[(?:INFO|WARNING|DEBUG)\]|"
    r"^[\d-]{10} [\d:,.]+\s*(?:\d+\s+)?(?:- [\w.]+ )?-?\s*\[?(?:INFO|WARNING|DEBUG)\b|"
    r"^\[[\d-]{10} [\d:,.]+ [IWD] |"
    r"^\[[IWV]\d*[\d:. ]|^[IWV]\d{4} \d\d:\d\d:|"
    r"^\S*:\d+:\d+ \[\d+\] NCCL INFO |^NCCL INFO |"
    r"^\S*:\d+: \w*Warning: |^\w*Warning: "
)
_RANK = re.compile(
    r"\brank[= ]?(\d+)\b|\[rank(\d+)\]|\[Rank (\d+)\]|\(\w*Worker\w*?_?TP(\d+)[_ ][^()]*pid=|\(VllmWorker TP(\d+) "
)
_HOST = re.compile(
    r"\([^()]*\bip=([\w.:]+)[^()]*\)|^[A-Z][a-z]{2} +\d+ \d\d:\d\d:\d\d ([\w.-]+) |^([\w.-]+):\d+:\d+ \[\d+\] NCCL "
)
_GPU = re.compile(r"\bGPU (\d+)\b|\bcuda:(\d+)\b|Xid \(PCI:([\w:.]+)\)")
_NAME = re.compile(r"\(([A-Za-z][\w:.-]*)(?: [^()]*)?\bpid=")


def split_lines(text: str) -> List[str]:
    """Lines without colours; each state of a progress bar, which rewrites its line with CR, is a line of its own."""
    if "\x1b" in text:
        text = _ANSI.sub("", text)
    lines = text.replace("\r", "\n").split("\n")
    return [line.rstrip() for line in lines if line]


def strip_collector(line: str) -> str:
    """The line without what collected it and which process wrote it."""
    match = _PREFIX.match(line)
    return line[match.end() :] if match else line


def strip_prefix(line: str) -> str:
    """The line without the names of process and logger."""
    return _LOGGER.sub("", strip_collector(line))


def is_mild(line: str) -> bool:
    """Whether a line without process names is said below the level of an error."""
    return bool(_MILD.match(line))


def where(line: str) -> Dict[str, str]:
    """Which host, process, rank and GPU a line names."""
    found: Dict[str, str] = {}
    for key, pattern in (("host", _HOST), ("process", _NAME), ("rank", _RANK), ("gpu", _GPU)):
        match = pattern.search(line)
        if match:
            found[key] = next(group for group in match.groups() if group is not None)
    return found


def place(found: Dict[str, str]) -> str:
    """The same in words, such as "host 10.0.0.2, rank 3"; empty when the line names none of them."""
    words = {"host": "host {0}", "rank": "rank {0}", "gpu": "GPU {0}"}
    parts = [text.format(found[key]) for key, text in words.items() if key in found]
    return ", ".join(parts) or (found.get("process", ""))
