# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the model can be had, and lies on all hosts alike.


This plugin util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from ansible_collections.llmserve.vllm.plugins.plugin_utils._checks.base import (
    ERROR,
    WARNING,
    Cluster,
    Finding,
    Found,
    Group,
    Host,
    deviations,
    known,
)

GROUP = Group("model")

_WANTED = {
    "token_missing": "a token for the gated model",
    "token_refused": "a token that is not refused",
    "licence_not_accepted": "an accepted licence",
    "revision_not_found": "a revision that exists",
    "hub_unreachable": "a way to the Hub, or to a mirror",
}
# The messages of the Hub's reader end with what to do, behind a colon.
_MEND = re.compile(
    r": (?=(accept|ask|check|choose|create|free|give|log|make|move|put|read|remove|see|set|start|try|use|wait)\b)"
)


def _split(message: str) -> tuple[str, str]:
    parts = _MEND.split(message, maxsplit=1)
    if len(parts) < 3:
        return message, "Mend that, or choose another llmserve_model."
    return parts[0], parts[2][:1].upper() + parts[2][1:]


@GROUP.add("model_access", ERROR, "the Hub gives the model to this token, at this revision")
def model_access(cluster: Cluster) -> Iterator[Finding]:
    for host in cluster.hosts:
        message = str(host.hub.get("reason") or "")
        if message:
            found, mend = _split(message)
            yield Finding(host.name, found, _WANTED.get(str(host.hub.get("reason_kind")), "access to the model"), mend)


@GROUP.each("model_disk", ERROR, "the filesystem of the model has room for what is missing of it")
def model_disk(host: Host, cluster: Cluster) -> Iterator[Found]:
    message = host.fact("model", "disk_problem")
    if message:
        found, mend = _split(str(message))
        yield Found(found, "room for the model", mend)


def _commit(host: Host) -> str | None:
    return host.fact("model", "commit")


@GROUP.add("model_revision", WARNING, "hosts that have the model have the same commit of it")
def model_revision(cluster: Cluster) -> Iterator[Finding]:
    for other in deviations(known(cluster, _commit)):
        yield Finding(
            other.host,
            f"commit {other.value[:12]}",
            f"{other.usual[:12]}, as {other.like}",
            "The role hf_model brings all hosts to one commit; set llmserve_model_revision to a commit to stay there.",
        )


@GROUP.add("model_files", WARNING, "hosts that have the model have all of its weights, in the same sizes")
def model_files(cluster: Cluster) -> Iterator[Finding]:
    by_commit: dict[str, list[Host]] = {}
    for host in cluster.hosts:
        if _commit(host):
            by_commit.setdefault(str(_commit(host)), []).append(host)
    for hosts in by_commit.values():
        for name in sorted({name for host in hosts for name in host.fact("model", "files")}):
            yield from _one_file(name, hosts)


def _one_file(name: str, hosts: list[Host]) -> Iterator[Finding]:
    sizes = {host.name: host.fact("model", "files").get(name) for host in hosts}
    mend = "The role hf_model fetches it again; until then do not start the containers by hand."
    for host, size in sizes.items():
        if size is None:
            yield Finding(host, f"{name} is missing", "every file of the model", mend)
    there = {host: size for host, size in sizes.items() if size is not None}
    for other in deviations(there):
        yield Finding(other.host, f"{name} has {other.value} bytes", f"{other.usual}, as {other.like}", mend)
