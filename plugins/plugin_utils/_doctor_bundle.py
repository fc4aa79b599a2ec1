# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of a bundle for a bug report, and their archive.


This plugin util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import gzip
import io
import json
import re
import tarfile
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.llmserve.vllm.plugins.module_utils._redact import redact

_ABOUT = """What playbooks/doctor.yml of the collection llmserve.vllm has found.

report.txt           what is wrong, as it was shown
report.json          the same for programs
HOST/facts.json      how the deployment runs on that host
HOST/*.log           its logs, each cut to a size, the middle first

Secrets were taken out on each host: the keys and tokens of the deployment, and whatever looks like a secret or is
called one. Look through it all the same before you send it to somebody: hosts, addresses and paths are in it.
"""


def bundle_files(screen: str, report: Mapping[str, Any], hosts: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Every file of the bundle by name. What looks like a secret is taken out once more."""
    files = {"README": _ABOUT, "report.txt": screen + "\n", "report.json": _json(report)}
    for host in hosts:
        facts = dict(host.get("facts") or {"unreachable": host.get("unreachable"), "failure": host.get("failure")})
        folder = safe_name(str(host["name"]))
        for name, text in (facts.pop("texts", None) or {}).items():
            files[f"{folder}/{safe_name(name)}.log"] = text.rstrip("\n") + "\n"
        files[f"{folder}/facts.json"] = _json(facts)
    return {name: redact(text) for name, text in files.items()}


def safe_name(name: str) -> str:
    """A host's or a log's name as a file's, which leads nowhere else."""
    return re.sub(r"[^A-Za-z0-9._-]", "_", name).lstrip(".") or "_"


def _json(data: Any) -> str:
    return json.dumps(data, indent=2, sort_keys=True, default=str) + "\n"


def pack(files: Mapping[str, str], folder: str, mtime: int) -> bytes:
    """The archive, in which everything lies in one folder."""
    buffer = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=buffer, mode="wb", mtime=mtime) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for name, text in sorted(files.items()):
            data = text.encode("utf-8", "replace")
            member = tarfile.TarInfo(f"{folder}/{name}")
            member.size, member.mtime, member.mode = len(data), mtime, 0o600
            archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()
