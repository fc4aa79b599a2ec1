# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How many bytes of weights vLLM loads from a checkpoint. A repository's total size can be several times that.

This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import re
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence

from ansible_collections.llmserve.vllm.plugins.module_utils._hub import WEIGHT_SUFFIXES, RepoFile, human_bytes
from ansible_collections.llmserve.vllm.plugins.module_utils._hub_api import HubClient, HubError
from ansible_collections.llmserve.vllm.plugins.module_utils._safetensors import (
    Header,
    SafetensorsError,
    header_span,
    parse_header,
)

INDEX = "model.safetensors.index.json"
# Holds the header of most shards, so that one request will do.
_FIRST_PART = 16 * 1024
# What headers may add to a checkpoint: up to 1 %, and 1 MiB for each file of small ones.
_HEADER_SHARE = 0.01
_HEADER_BYTES = 1 << 20
_LAYER = re.compile(r"^(?:model\.|language_model\.model\.|model\.language_model\.)layers\.(\d+)\.")
_MTP = re.compile(r"^(?:model\.)?mtp\.")

ReadHeader = Callable[[RepoFile], Header]


class Checkpoint(NamedTuple):
    """The files of a model, and what describes them."""

    name: str
    # what the patterns choose, and all that there is
    wanted: Sequence[RepoFile]
    every: Sequence[RepoFile]
    config: Dict[str, Any]
    weight_index: Optional[Dict[str, Any]]


class Weights(NamedTuple):
    """What vLLM loads, how that is known, and what is noteworthy about it."""

    bytes: int
    source: str
    ignored: Dict[str, int]
    tensors_by_dtype: Optional[Dict[str, int]] = None
    mtp_bytes: Optional[int] = None
    warnings: Sequence[str] = ()

    def as_result(self) -> Dict[str, Any]:
        """The module's return value."""
        result: Dict[str, Any] = {"bytes": self.bytes, "source": self.source, "ignored": self.ignored}
        if self.tensors_by_dtype is not None:
            result.update(tensors_by_dtype=self.tensors_by_dtype, mtp_bytes=self.mtp_bytes)
        return result


def weigh(checkpoint: Checkpoint, read_header: ReadHeader, always_read: bool) -> Weights:
    """Take the total of the index, else add up the tensors in the files' headers, else the files.

    The headers are also read where the index would do when C(always_read), and then they are right.
    """
    loaded = loaded_files(checkpoint)
    ignored = _ignored(checkpoint, loaded)
    files_bytes = sum(item.size for item in loaded)
    warnings: List[str] = []
    total = stated_total(checkpoint.weight_index)
    problem = total_problem(total, loaded)
    if problem:
        warnings.append("{0} of {1} {2}: that figure is not used.".format(INDEX, checkpoint.name, problem))
    usable = None if problem or total is None else int(total)
    headers: List[Header] = []
    if all(item.path.endswith(".safetensors") for item in loaded) and (always_read or usable is None):
        try:
            headers = [read_header(item) for item in loaded]
        except SafetensorsError as exc:
            warnings.append("The size of the weights is less exact without the headers of all files: {0}".format(exc))
    if headers:
        data_bytes = sum(header.data_bytes for header in headers)
        return Weights(
            bytes=data_bytes,
            source="index" if usable == data_bytes else "headers",
            ignored=ignored,
            tensors_by_dtype=_by_dtype(headers),
            mtp_bytes=_mtp_bytes(headers, checkpoint.config),
            warnings=warnings,
        )
    if usable is not None:
        return Weights(usable, "index", ignored, warnings=warnings)
    return Weights(files_bytes, "files", ignored, warnings=warnings)


def loaded_files(checkpoint: Checkpoint) -> List[RepoFile]:
    """The files that vLLM reads: the index's, else all safetensors files of the top folder, else another format."""
    top = {item.path: item for item in checkpoint.wanted if "/" not in item.path}
    if checkpoint.weight_index is not None:
        shards = _shards(checkpoint)
        missing = [shard for shard in shards if shard not in top]
        if missing:
            raise HubError("weights_incomplete", _missing_message(checkpoint, missing))
        return [top[shard] for shard in shards]
    # vLLM takes the first format that it finds, and does not look into folders
    for suffix in WEIGHT_SUFFIXES:
        found = [item for path, item in top.items() if path.endswith(suffix)]
        if found:
            return found
    return [item for item in checkpoint.wanted if item.path.endswith(WEIGHT_SUFFIXES)]


def stated_total(index: Optional[Dict[str, Any]]) -> Any:
    """The index's C(metadata.total_size) as it stands there, C(None) when there is none."""
    metadata = (index or {}).get("metadata")
    return metadata.get("total_size") if isinstance(metadata, dict) else None


def total_problem(total: Any, loaded: Sequence[RepoFile]) -> Optional[str]:
    """Why the index's total cannot be right, as repositories exist that carry one of another checkpoint."""
    if total is None:
        return None
    # older savers wrote it as a float
    if isinstance(total, bool) or not isinstance(total, (int, float)) or total != int(total):
        return "states a total_size that is no whole number"
    if total <= 0:
        return "states a total_size of {0}".format(total)
    files = sum(item.size for item in loaded)
    if total > files:
        return "states {0} of weights, but its files have only {1}".format(human_bytes(total), human_bytes(files))
    if total < files * (1 - _HEADER_SHARE) - _HEADER_BYTES * len(loaded):
        return "states {0} of weights, but its files have {1}".format(human_bytes(total), human_bytes(files))
    return None


def hub_header(client: HubClient, repo_id: str, commit: str, item: RepoFile) -> Header:
    """The header of a file on the Hub, without fetching the tensors."""
    try:
        start = client.part(repo_id, commit, item.path, (0, min(_FIRST_PART, item.size))) if item.size else b""
        span = header_span(start, item.size)
        if span > len(start):
            start += client.part(repo_id, commit, item.path, (len(start), span))
        return parse_header(start, item.size)
    except SafetensorsError as exc:
        raise SafetensorsError(exc.kind, "{0} of {1} {2}.".format(item.path, repo_id, exc)) from exc
    except HubError as exc:
        # a size is no reason to fail: what keeps the header from being read keeps it from being exact
        raise SafetensorsError("unread", str(exc)) from exc


def _shards(checkpoint: Checkpoint) -> List[str]:
    weight_map = (checkpoint.weight_index or {}).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise HubError("bad_file", "{0} of {1} has no weight_map: {2}".format(INDEX, checkpoint.name, _OTHER))
    for tensor, shard in weight_map.items():
        if not isinstance(shard, str) or not shard:
            raise HubError(
                "bad_file",
                "{0} of {1} names no file for {2!r} in weight_map: {3}".format(INDEX, checkpoint.name, tensor, _OTHER),
            )
    return sorted(set(weight_map.values()))


_OTHER = "vLLM cannot load it, choose another revision or model."


def _missing_message(checkpoint: Checkpoint, missing: Sequence[str]) -> str:
    left_out = {item.path for item in checkpoint.every}.intersection(missing)
    more = " and {0} more".format(len(missing) - 3) if len(missing) > 3 else ""
    return "{0} of {1} names {2}{3}, which {4}.".format(
        INDEX,
        checkpoint.name,
        ", ".join(missing[:3]),
        more,
        "the patterns leave out: widen allow_patterns or shorten ignore_patterns"
        if left_out
        else "is not there: an upload or a copy was not finished, copy it again or choose another revision",
    )


def _ignored(checkpoint: Checkpoint, loaded: Sequence[RepoFile]) -> Dict[str, int]:
    """Bytes of weights that do not count: left out of the download, and downloaded although vLLM skips them."""
    wanted = {item.path for item in checkpoint.wanted}
    counted = {item.path for item in loaded}
    spare = [item for item in checkpoint.every if item.path.endswith(WEIGHT_SUFFIXES) and item.path not in counted]
    return {
        "left_out": sum(item.size for item in spare if item.path not in wanted),
        "not_loaded": sum(item.size for item in spare if item.path in wanted),
    }


def _by_dtype(headers: Sequence[Header]) -> Dict[str, int]:
    sizes: Dict[str, int] = {}
    for header in headers:
        for dtype, size in header.bytes_by_dtype().items():
            sizes[dtype] = sizes.get(dtype, 0) + size
    return sizes


def _mtp_bytes(headers: Sequence[Header], config: Dict[str, Any]) -> int:
    """Size of the layers for multi-token prediction, behind the last ordinary one; vLLM skips them by default."""
    text = config.get("text_config")
    layers = (text if isinstance(text, dict) else config).get("num_hidden_layers", config.get("num_hidden_layers"))
    total = 0
    for header in headers:
        for tensor in header.tensors:
            found = _LAYER.match(tensor.name)
            extra = found and isinstance(layers, int) and int(found.group(1)) >= layers
            if extra or _MTP.match(tensor.name):
                total += tensor.bytes
    return total
