# SPDX-License-Identifier: GPL-3.0-or-later
"""Headers of safetensors files, whole and damaged."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.llmserve.vllm.plugins.module_utils import _safetensors
from ansible_collections.llmserve.vllm.plugins.module_utils._safetensors import (
    SafetensorsError,
    Tensor,
    header_span,
    parse_header,
    read_header,
)
from ansible_collections.llmserve.vllm.tests.unit.plugins.hub_server import safetensors

# what the library itself writes for a tensor of one by two by three
FROM_THE_LIBRARY = (
    struct.pack("<Q", 64) + b'{"attn.0":{"dtype":"F32","shape":[1,2,3],"data_offsets":[0,24]}}' + bytes(24)
)
WHOLE = safetensors({"a": ("BF16", [4, 8], 64), "b": ("F8_E4M3", [10], 10), "c": ("BF16", [], 2)})


def with_header(header: Any, data: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def entry(dtype: Any = "U8", shape: Any = (4,), start: Any = 0, end: Any = 4) -> dict[str, Any]:
    return {"dtype": dtype, "shape": list(shape) if isinstance(shape, tuple) else shape, "data_offsets": [start, end]}


def problem(data: bytes, size: int | None = None) -> SafetensorsError:
    with pytest.raises(SafetensorsError) as caught:
        parse_header(data, size)
    return caught.value


def test_a_whole_file() -> None:
    header = parse_header(WHOLE, len(WHOLE))
    assert header.tensors[1] == Tensor("b", "F8_E4M3", (10,), 64, 74)
    assert header.metadata == {"format": "pt"}
    assert header.bytes_by_dtype() == {"BF16": 66, "F8_E4M3": 10}
    assert (header.data_bytes, header.parameters, header.file_bytes) == (76, 32 + 10 + 1, len(WHOLE))
    assert parse_header(WHOLE[: header.header_bytes], len(WHOLE)) == header


def test_what_the_library_writes() -> None:
    assert parse_header(FROM_THE_LIBRARY, len(FROM_THE_LIBRARY)).tensors == (Tensor("attn.0", "F32", (1, 2, 3), 0, 24),)
    empty = with_header(b"{}      ")
    assert parse_header(empty, len(empty)).data_bytes == 0


def test_only_the_header_is_read(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(WHOLE[:-76])
    with path.open("r+b") as handle:
        # a file with a hole: quick to make, slow to read
        handle.truncate(len(WHOLE))
    assert read_header(str(path)) == parse_header(WHOLE)
    with pytest.raises(FileNotFoundError):
        read_header(str(tmp_path / "absent"))


@pytest.mark.parametrize(
    ("dtype", "shape", "size"),
    [
        ("F4", [2, 6], 6),
        ("F6_E2M3", [4], 3),
        ("F6_E3M2", [8], 6),
        ("BOOL", [3], 3),
        ("U16", [3], 6),
        ("F8_E8M0", [3], 3),
        ("F8_E5M2", [3], 3),
        ("I64", [3], 24),
        ("C64", [3], 24),
        ("F16", [0, 7], 0),
    ],
)
def test_types_and_their_sizes(dtype: str, shape: list[int], size: int) -> None:
    data = safetensors({"x": (dtype, shape, size)})
    assert parse_header(data, len(data)).bytes_by_dtype() == {dtype: size}
    if size:
        assert problem(safetensors({"x": (dtype, shape, size + 1)})).kind == "bad_offsets"


def test_tensors_need_not_be_listed_in_order() -> None:
    header = parse_header(with_header({"b": entry(start=4, end=8), "a": entry()}))
    assert [tensor.name for tensor in header.tensors] == ["a", "b"]


@pytest.mark.parametrize(
    ("data", "kind", "words"),
    [
        (b"", "truncated", "is empty"),
        (b"abc", "truncated", "is cut off in its header"),
        (WHOLE[:40], "truncated", "40 of "),
        (bytes(4096), "not_safetensors", "begins with zeros"),
        (b"PK\x03\x04" + bytes(100), "not_safetensors", "is not a safetensors file"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 2\n", "lfs_pointer", "Git LFS pointer"),
        (b"<!DOCTYPE html>\n<html>", "html", "web page"),
        (b"  <html><body>Sign in", "html", "web page"),
        (b'{"error": "no"}', "not_safetensors", "is not a safetensors file"),
        (struct.pack("<Q", _safetensors.MAX_HEADER + 1) + b"{", "not_safetensors", ""),
        (with_header(b"[1]"), "not_safetensors", ""),
        (with_header(b"{]"), "bad_header", "not JSON"),
        (with_header(b'{"a":' * 50000), "bad_header", "not JSON"),
        (with_header(b'{"\xff": 1}'), "bad_header", "not JSON"),
        (with_header(b'{"a": {}, "a": {}}'), "bad_header", "names 'a' twice"),
        (with_header({"__metadata__": [1]}), "bad_header", "__metadata__"),
        (with_header({"a": {"dtype": "U8"}}), "bad_header", "without the type, shape or place of 'a'"),
        (with_header({"a": [1]}), "bad_header", "'a'"),
        (with_header({"a": entry(shape=4)}), "bad_header", "'a'"),
        (with_header({"a": entry(shape=(-4,))}), "bad_header", "impossible shape"),
        (with_header({"a": entry(shape=(True,) * 4)}), "bad_header", "impossible shape"),
        (with_header({"a": entry(shape=(2**70,))}), "bad_header", "impossible shape"),
        (with_header({"a": entry(shape=(1,) * 99)}), "bad_header", "impossible shape"),
        (with_header({"a": entry(end=4.0)}), "bad_header", "impossible shape"),
        (with_header({"a": entry(dtype="F3")}), "unknown_dtype", "'a' of the unknown type 'F3'"),
        (with_header({"a": entry(dtype=["U8"])}), "unknown_dtype", "unknown type"),
        (with_header({"a": entry(end=5)}), "bad_offsets", "gives 'a' 5 bytes, but its shape takes 4"),
        (with_header({"a": entry(start=8, end=4)}), "bad_offsets", "-4 bytes"),
        (with_header({"a": entry(), "b": entry(start=3, end=7)}), "bad_offsets", "an overlap before 'b'"),
        (with_header({"a": entry(), "b": entry(start=5, end=9)}), "bad_offsets", "a gap before 'b'"),
        (with_header({"a": entry(start=1, end=5)}), "bad_offsets", "a gap before 'a'"),
    ],
)
def test_what_is_wrong_is_told_apart(data: bytes, kind: str, words: str) -> None:
    error = problem(data)
    assert error.kind == kind
    assert words in str(error)


def test_the_file_must_be_as_long_as_its_header_says(tmp_path: Path) -> None:
    assert problem(WHOLE, len(WHOLE) - 1).kind == "truncated"
    assert f"bytes long, but its header describes {len(WHOLE)}" in str(problem(WHOLE, len(WHOLE) - 1))
    assert problem(WHOLE, len(WHOLE) + 1).kind == "wrong_size"
    assert "the header alone takes" in str(problem(WHOLE, 20))
    path = tmp_path / "cut.safetensors"
    for length in (0, 5, 100, len(WHOLE) - 1):
        path.write_bytes(WHOLE[:length])
        with pytest.raises(SafetensorsError):
            read_header(str(path))


def test_the_span_needs_eight_bytes_only() -> None:
    assert header_span(WHOLE[:8]) == parse_header(WHOLE).header_bytes
    with pytest.raises(SafetensorsError) as caught:
        header_span(b"version ")
    assert caught.value.kind == "lfs_pointer"
