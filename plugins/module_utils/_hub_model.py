# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a deployment must know of a model, from the Hub, from a Hub cache or from a plain directory.

This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import os
from typing import Any, Callable, Dict, List, NamedTuple, Optional

from ansible_collections.llmserve.vllm.plugins.module_utils import _hub
from ansible_collections.llmserve.vllm.plugins.module_utils._hub import RepoFile
from ansible_collections.llmserve.vllm.plugins.module_utils._hub_api import HubClient, HubError
from ansible_collections.llmserve.vllm.plugins.module_utils._hub_weights import (
    INDEX,
    Checkpoint,
    hub_header,
    stated_total,
    weigh,
)
from ansible_collections.llmserve.vllm.plugins.module_utils._json_object import (
    MAX_CONFIG,
    MAX_INDEX,
    JsonError,
    parse_object,
)
from ansible_collections.llmserve.vllm.plugins.module_utils._safetensors import (
    Header,
    SafetensorsError,
    read_header,
)


class Request(NamedTuple):
    """The module's options, without what only concerns the connection."""

    repo_id: str
    revision: str
    cache_dir: Optional[str]
    allow_patterns: List[str]
    ignore_patterns: List[str]
    disk_margin_percent: float
    read_headers: bool
    warn: Callable[[str], None]


def from_hub(client: HubClient, request: Request) -> Dict[str, Any]:
    """The result as the Hub tells it; an unreachable Hub is replaced by a complete cache."""
    try:
        return _online(client, request)
    except HubError as exc:
        if exc.kind != "hub_unreachable" or request.cache_dir is None:
            raise
        cached = _hub.find_cached(request.cache_dir, request.repo_id, request.revision)
        if cached is None:
            raise
        request.warn("{0} The cache holds the complete model, which is used.".format(exc))
        return _from_cache(cached, request, request.cache_dir)


def _online(client: HubClient, request: Request) -> Dict[str, Any]:
    repo_id = request.repo_id
    info = client.model_info(repo_id, request.revision)
    if info.repo_id != repo_id:
        # the cache directory follows the id that was asked for
        request.warn("{0} is called {1} now: keep one spelling in llmserve_model.".format(repo_id, info.repo_id))
    files = _wanted(info.files, request)
    if not any(item.path.endswith(_hub.WEIGHT_SUFFIXES) for item in files):
        raise HubError("no_weights", _hub.no_weights_message(repo_id, [item.path for item in info.files]))
    config = client.config(repo_id, info.commit)
    names = {item.path for item in files}

    def read_json(path: str, limit: int) -> Optional[Dict[str, Any]]:
        return client.json_file(repo_id, info.commit, path, limit) if path in names else None

    weights = weigh(
        Checkpoint(repo_id, files, info.files, config, read_json(INDEX, MAX_INDEX)),
        lambda item: hub_header(client, repo_id, info.commit, item),
        request.read_headers,
    )
    found = _hub.Presence(sum(item.size for item in files), 0, files)
    where, free = None, None
    if request.cache_dir is not None:
        found = _hub.presence(_hub.snapshot_dir(request.cache_dir, repo_id, info.commit), files)
        where, free = _hub.free_bytes(request.cache_dir)
        problem = _hub.disk_problem(found.bytes_missing, free, where, request.disk_margin_percent)
        if problem:
            raise HubError("not_enough_disk", problem)
    for text in weights.warnings:
        request.warn(text)
    return dict(
        _measured(files, found),
        weights=weights.as_result(),
        weights_bytes=weights.bytes,
        free_bytes=free,
        free_where=where,
        commit=info.commit,
        config=config,
        gated=info.gated,
        offline=False,
    )


def _from_cache(cached: _hub.CachedSnapshot, request: Request, cache_dir: str) -> Dict[str, Any]:
    where, free = _hub.free_bytes(cache_dir)
    wanted = _wanted(cached.files, request)
    # hf_snapshot looks for damage in the cache, and mends it when the Hub is back
    described = _described(cached.path, request.repo_id, wanted, cached.files, request.warn, strict=False)
    found = _hub.presence(cached.path, cached.files)
    return dict(
        described,
        **_measured(cached.files, found),
        free_bytes=free,
        free_where=where,
        commit=cached.commit,
        offline=True,
    )


def from_directory(path: str, request: Request) -> Dict[str, Any]:
    """The result for a model that lies in a directory as vLLM will read it. Nothing but that directory is asked."""
    if not os.path.isdir(path) or not os.access(path, os.R_OK | os.X_OK):
        wrong = "cannot be read by this user" if os.path.isdir(path) else "is no directory on this host"
        raise HubError("bad_path", "{0} {1}: give the directory with the model's config.json.".format(path, wrong))
    every = _hub.list_files(path)
    if not any(item.path == "config.json" for item in every):
        raise HubError("bad_path", "{0} holds no config.json: give the directory of one whole model.".format(path))
    files = _wanted(every, request)
    described = _described(path, path, files, every, request.warn, strict=True)
    total = sum(item.size for item in files)
    return dict(
        described,
        **_measured(files, _hub.Presence(total, total, [])),
        free_bytes=None,
        free_where=None,
        commit=None,
        offline=True,
    )


def _described(
    root: str,
    name: str,
    wanted: List[RepoFile],
    every: List[RepoFile],
    warn: Callable[[str], None],
    *,
    strict: bool,
) -> Dict[str, Any]:
    """What files on this host tell. Their headers are always read: that is quick, and finds what was cut off."""
    names = {item.path for item in every}

    def read_json(path: str, limit: int) -> Optional[Dict[str, Any]]:
        return _read_object(root, path, limit) if path in names else None

    if not any(item.path.endswith(_hub.WEIGHT_SUFFIXES) for item in wanted):
        if strict and not any(item.path.endswith(_hub.WEIGHT_SUFFIXES) for item in every):
            return _bare(name, read_json, warn)
        raise HubError("no_weights", _hub.no_weights_message(name, [item.path for item in every]))

    def header(item: RepoFile) -> Header:
        try:
            return read_header(os.path.join(root, item.path))
        except OSError as exc:
            raise HubError(
                "bad_path", "{0} cannot be read ({1}).".format(os.path.join(root, item.path), exc.strerror)
            ) from exc
        except SafetensorsError as exc:
            problem = "{0} {1}.".format(os.path.join(root, item.path), exc)
            if strict:
                raise HubError("weights_damaged", "{0} Copy it again.".format(problem)) from exc
            raise SafetensorsError(exc.kind, problem) from exc

    config = read_json("config.json", MAX_CONFIG) or {}
    index = read_json(INDEX, MAX_INDEX)
    weights = weigh(Checkpoint(name, wanted, every, config, index), header, always_read=True)
    for text in weights.warnings:
        warn(text)
    return {
        "weights": weights.as_result(),
        "weights_bytes": weights.bytes,
        "config": config,
        "gated": None,
    }


def _bare(
    name: str, read_json: Callable[[str, int], Optional[Dict[str, Any]]], warn: Callable[[str], None]
) -> Dict[str, Any]:
    """A directory with the description of a model and nothing else, which is enough for a plan."""
    total = stated_total(read_json(INDEX, MAX_INDEX))
    known = isinstance(total, int) and not isinstance(total, bool) and total > 0
    warn("{0} holds no weights: it can be planned with, but not served.".format(name))
    return {
        "weights": {"bytes": total if known else None, "source": "index" if known else "config", "ignored": {}},
        "weights_bytes": total if known else None,
        "config": read_json("config.json", MAX_CONFIG) or {},
        "gated": None,
    }


def _read_object(root: str, path: str, limit: int) -> Dict[str, Any]:
    full = os.path.join(root, path)
    try:
        with open(full, "rb") as handle:
            return parse_object(handle.read(limit + 1), limit)
    except OSError as exc:
        raise HubError("bad_path", "{0} cannot be read ({1}).".format(full, exc.strerror)) from exc
    except JsonError as exc:
        raise HubError("bad_file", "{0} {1}: copy it again or mend it.".format(full, exc)) from exc


def _wanted(files: List[RepoFile], request: Request) -> List[RepoFile]:
    sizes = {item.path: item for item in files}
    return [sizes[path] for path in _hub.wanted_files(sizes, request.allow_patterns, request.ignore_patterns)]


def _measured(files: List[RepoFile], found: _hub.Presence) -> Dict[str, Any]:
    return {
        "files": [{"path": item.path, "size": item.size} for item in files],
        "bytes_total": found.bytes_total,
        "bytes_present": found.bytes_present,
        "bytes_missing": found.bytes_missing,
    }
