# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which revisions on the disks of all hosts are old, and a table of them.

This plugin util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ansible_collections.llmserve.vllm.plugins.module_utils._hub import human_bytes

WIDTH = 80
_COMMIT, _DATE, _SIZE, _GAP = 12, 10, 8, "  "
# What host and model share.
_NAMES = WIDTH - _COMMIT - _DATE - _SIZE - 4 * len(_GAP)
_HOST_MOST = 20


class Place(NamedTuple):
    """A cache directory: the host that is to work on it, and all hosts that see it."""

    host: str
    hosts: list[str]
    infos: list[Mapping[str, Any]]


class Old(NamedTuple):
    """A revision that can go."""

    place: Place
    repo_id: str
    revision: Mapping[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """What a role needs to remove it."""
        return {
            "id": f"{self.place.host} {self.repo_id} {self.revision['commit']}",
            "host": self.place.host,
            "repo_id": self.repo_id,
            **{key: self.revision[key] for key in ("commit", "path", "bytes_freed", "last_accessed")},
        }


class Kept(NamedTuple):
    """A revision that nothing leads to, and why it stays all the same."""

    place: Place
    repo_id: str
    commit: str
    why: str


def old_revisions(hosts: Mapping[str, Mapping[str, Any]], keep: int = 0, shared: bool = False) -> dict[str, Any]:
    """What can go, what stays though nothing leads to it, and both as text."""
    infos = {name: info for name, info in hosts.items() if isinstance(info.get("models"), list)}
    users = _users(infos)
    old: list[Old] = []
    kept: list[Kept] = []
    places = _places(infos, shared)
    for place in places:
        for model in place.infos[0]["models"]:
            found, stay = _of_model(place, model, users, keep)
            old += found
            kept += stay
    return {
        "remove": [item.as_dict() for item in old],
        "kept": [
            {"host": item.place.host, "repo_id": item.repo_id, "commit": item.commit, "why": item.why} for item in kept
        ],
        "unknown": [name for name in hosts if name not in infos],
        "screen": "\n".join(_screen(infos, places, old, kept)),
    }


def _users(infos: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Commits in use, and by whom. A worker's command line does not name the model: any host speaks for all."""
    found: dict[str, str] = {}
    for name, info in infos.items():
        for commit, users in (info.get("in_use") or {}).items():
            found.setdefault(commit, f"in use by {users[0]} on {name}")
    return found


def _places(infos: Mapping[str, Mapping[str, Any]], shared: bool) -> list[Place]:
    """The directories, each once."""
    places: dict[str, Place] = {}
    for name, info in infos.items():
        identity = "shared" if shared else info.get("identity") or name
        place = places.setdefault(identity, Place(name, [], []))
        place.hosts.append(name)
        place.infos.append(info)
    return list(places.values())


def _of_model(
    place: Place, model: Mapping[str, Any], users: Mapping[str, str], keep: int
) -> tuple[list[Old], list[Kept]]:
    repo_id = model["repo_id"]
    views = [view for info in place.infos for view in info["models"] if view["repo_id"] == repo_id]
    wanted = {item["commit"] for view in views for item in view["revisions"] if item["refs"] or item["wanted"]}
    why_all = _why_all(views)
    old: list[Old] = []
    kept: list[Kept] = []
    spared = 0
    for revision in sorted(model["revisions"], key=lambda item: item["last_modified"], reverse=True):
        commit = revision["commit"]
        if commit in wanted:
            continue
        why = users.get(commit) or why_all
        if not why and revision["complete"] and spared < keep:
            # half a download is nothing to go back to
            spared += 1
            why = "one of the newest, of which hf_model_prune_keep spares " + str(keep)
        if why:
            kept.append(Kept(place, repo_id, commit, why))
        else:
            old.append(Old(place, repo_id, revision))
    return old[::-1], kept


def _why_all(views: Sequence[Mapping[str, Any]]) -> str:
    """Why no revision of the model can go."""
    for view in views:
        if view["job"]:
            return "a download of the model runs (job " + view["job"] + ")"
    for view in views:
        if view["problems"]:
            return "the cache is damaged: " + view["problems"][0]
    return ""


# --- the text ------------------------------------------------------------------------------------------------------


def _screen(
    infos: Mapping[str, Mapping[str, Any]], places: Sequence[Place], old: Sequence[Old], kept: Sequence[Kept]
) -> Iterator[str]:
    if old:
        yield from _table(old)
        yield ""
        several = len(old) > 1
        # what only removed revisions have in common goes with the last of them
        shares = any(item.revision["bytes_total"] > item.revision["bytes_freed"] for item in old)
        size = human_bytes(sum(item.revision["bytes_freed"] for item in old))
        yield f"Removing {'them' if several else 'it'} frees {'at least ' if several and shares else ''}{size}."
    else:
        count = sum(len(model["revisions"]) for place in places for model in place.infos[0]["models"])
        yield f"Nothing to remove: {_plural(count, 'revision')} on {_plural(len(infos), 'host')}, and none can go."
    stays: dict[tuple[str, str, str], list[str]] = {}
    for item in kept:
        stays.setdefault((item.repo_id, item.commit, item.why), []).extend(item.place.hosts)
    lines = [
        f"{_fit_hosts(names, _HOST_MOST)}: {repo_id} {commit[:_COMMIT]} stays, {_sentence(why)}"
        for (repo_id, commit, why), names in stays.items()
    ]
    lines += [f"{name}: {problem}" for name, info in infos.items() for problem in info.get("problems") or ()]
    for line in lines:
        yield from textwrap.wrap(_ascii(line), WIDTH, subsequent_indent="  ", break_on_hyphens=False)


def _table(old: Sequence[Old]) -> Iterator[str]:
    """Hosts with the same revision share a line: 64 nodes fit on a screen, too."""
    rows: dict[tuple[str, str, int], list[Old]] = {}
    for item in old:
        rows.setdefault((item.repo_id, item.revision["commit"], item.revision["bytes_freed"]), []).append(item)
    cells = []
    for (repo_id, commit, size), items in rows.items():
        names = [name for item in items for name in item.place.hosts]
        used = max(item.revision["last_accessed"] for item in items)
        cells.append((names, _ascii(repo_id), commit, used, size))
    model_width = max(len("MODEL"), *(len(cell[1]) for cell in cells))
    host_width = max(len("HOST"), *(len(", ".join(cell[0])) for cell in cells))
    least = min(_HOST_MOST, max(len(_short(cell[0])) for cell in cells))
    host_width = min(host_width, max(least, _NAMES - model_width))
    model_width = min(model_width, _NAMES - host_width)
    heads = ("HOST".ljust(host_width), "MODEL".ljust(model_width), "COMMIT".ljust(_COMMIT), "LAST USED".ljust(_DATE))
    yield _GAP.join((*heads, "FREES".rjust(_SIZE)))
    for names, repo_id, commit, used, size in cells:
        yield _GAP.join(
            (
                _fit_hosts(names, host_width).ljust(host_width),
                _fit(repo_id, model_width).ljust(model_width),
                commit[:_COMMIT].ljust(_COMMIT),
                used[:_DATE].ljust(_DATE),
                human_bytes(size).rjust(_SIZE),
            )
        )


def _fit_hosts(names: Sequence[str], width: int) -> str:
    whole = _ascii(", ".join(names))
    if len(whole) <= width:
        return whole
    more = f" +{len(names) - 1}" if len(names) > 1 else ""
    return _fit(_ascii(names[0]), width - len(more)) + more


def _short(names: Sequence[str]) -> str:
    return _ascii(names[0]) + (f" +{len(names) - 1}" if len(names) > 1 else "")


def _fit(text: str, width: int) -> str:
    """The ends of a name tell more than its middle."""
    if len(text) <= width:
        return text
    head = (width - 2) // 2
    return text[:head] + ".." + text[len(text) - (width - 2 - head) :]


def _plural(count: int, word: str) -> str:
    return f"{count} {word}" if count == 1 else f"{count} {word}s"


def _sentence(text: str) -> str:
    return text if text.endswith(".") else text + "."


def _ascii(text: str) -> str:
    return text.encode("ascii", "backslashreplace").decode("ascii")
