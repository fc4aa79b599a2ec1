# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the header of a safetensors file: which tensors it holds, of which type, and how long it must be.

A file is 8 bytes with the length of the header (little endian), the header (JSON), then the tensors' bytes without
a gap. The safetensors library does this too, but it is not on a bare host and it cannot read the header alone.
This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import json
import os
import struct
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

# The format's own limit.
MAX_HEADER = 100 * 1000 * 1000
LENGTH_BYTES = 8
_TELLING = 256
_MAX_RANK = 64

# Bits, because F4 and F6 are packed without padding.
DTYPE_BITS: Dict[str, int] = {
    "BOOL": 8,
    "F4": 4,
    "F6_E2M3": 6,
    "F6_E3M2": 6,
    "U8": 8,
    "I8": 8,
    "F8_E4M3": 8,
    "F8_E4M3FNUZ": 8,
    "F8_E5M2": 8,
    "F8_E5M2FNUZ": 8,
    "F8_E8M0": 8,
    "U16": 16,
    "I16": 16,
    "F16": 16,
    "BF16": 16,
    "U32": 32,
    "I32": 32,
    "F32": 32,
    "U64": 64,
    "I64": 64,
    "F64": 64,
    "C64": 64,
}


class SafetensorsError(ValueError):
    """What is wrong with a file, worded to follow its name ("is cut off ..."), and its kind for the program.

    The kinds: C(truncated), C(not_safetensors), C(lfs_pointer), C(html), C(bad_header), C(bad_offsets),
    C(unknown_dtype), C(wrong_size).
    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class Tensor(NamedTuple):
    """One tensor; its bytes are at start to end, counted from the end of the header."""

    name: str
    dtype: str
    shape: Tuple[int, ...]
    start: int
    end: int

    @property
    def bytes(self) -> int:
        """Size in the file."""
        return self.end - self.start

    @property
    def elements(self) -> int:
        """How many numbers it holds; a packed format counts its containers."""
        return _product(self.shape)


class Header(NamedTuple):
    """A whole header; the tensors are in the order of their bytes."""

    tensors: Tuple[Tensor, ...]
    # with the 8 bytes of its length: the tensors' bytes begin here
    header_bytes: int
    metadata: Dict[str, str]

    @property
    def data_bytes(self) -> int:
        """Size of all tensors."""
        return self.tensors[-1].end if self.tensors else 0

    @property
    def file_bytes(self) -> int:
        """Size that the file must have."""
        return self.header_bytes + self.data_bytes

    @property
    def parameters(self) -> int:
        """How many numbers the tensors hold."""
        return sum(tensor.elements for tensor in self.tensors)

    def bytes_by_dtype(self) -> Dict[str, int]:
        """Size of the tensors of each type."""
        sizes: Dict[str, int] = {}
        for tensor in self.tensors:
            sizes[tensor.dtype] = sizes.get(tensor.dtype, 0) + tensor.bytes
        return sizes


def header_span(start: bytes, file_size: Optional[int] = None) -> int:
    """How many bytes of a file its header takes, with its length, from the first bytes of it (8 will do)."""
    if len(start) < LENGTH_BYTES:
        raise SafetensorsError("truncated", "is cut off in its header" if start else "is empty")
    length: int = struct.unpack("<Q", start[:LENGTH_BYTES])[0]
    if not 2 <= length <= MAX_HEADER or start[LENGTH_BYTES : LENGTH_BYTES + 1] not in (b"", b"{"):
        raise _stranger(start)
    if file_size is not None and LENGTH_BYTES + length > file_size:
        raise SafetensorsError(
            "truncated",
            "is cut off in its header: it has {0} bytes, the header alone takes {1}".format(
                file_size, LENGTH_BYTES + length
            ),
        )
    return LENGTH_BYTES + length


def parse_header(data: bytes, file_size: Optional[int] = None) -> Header:
    """Read the header at the beginning of the data, and compare what it describes with the file's size."""
    span = header_span(data, file_size)
    if len(data) < span:
        raise SafetensorsError(
            "truncated", "is cut off in its header: {0} of {1} bytes are there".format(len(data), span)
        )
    try:
        entries = json.loads(data[LENGTH_BYTES:span].decode("utf-8"), object_pairs_hook=_unique)
    except SafetensorsError:
        raise
    except (ValueError, RecursionError):
        raise SafetensorsError("bad_header", "has a header that is not JSON") from None
    if not isinstance(entries, dict):
        raise SafetensorsError("bad_header", "has a header that is not a JSON object")
    metadata = entries.pop("__metadata__", None) or {}
    if not isinstance(metadata, dict):
        raise SafetensorsError("bad_header", "has a header whose __metadata__ is not an object")
    header = Header(
        _in_order(_tensor(name, entry) for name, entry in entries.items()),
        span,
        {str(name): str(value) for name, value in metadata.items()},
    )
    if file_size is not None and file_size != header.file_bytes:
        raise SafetensorsError(
            "truncated" if file_size < header.file_bytes else "wrong_size",
            "is {0} bytes long, but its header describes {1}".format(file_size, header.file_bytes),
        )
    return header


def read_header(path: str) -> Header:
    """Read a file's header, and nothing more of it; an C(OSError) passes through."""
    with open(path, "rb") as handle:
        size = os.fstat(handle.fileno()).st_size
        # more than the length, to tell what the file is when it is none
        span = header_span(handle.read(_TELLING), size)
        handle.seek(0)
        return parse_header(handle.read(span), size)


def _stranger(start: bytes) -> SafetensorsError:
    """Name what a download or a checkout often leaves in the place of a file."""
    text = start[:_TELLING].lstrip().lower()
    if text.startswith(b"version https://git-lfs") or start.startswith(b"version "):
        return SafetensorsError(
            "lfs_pointer", "is not a safetensors file, but a Git LFS pointer: the real file was not fetched"
        )
    if text.startswith((b"<!doctype", b"<html", b"<?xml", b"<head", b"<!--")) or start.startswith(b"<!"):
        return SafetensorsError("html", "is not a safetensors file, but a web page, such as a login or error page")
    if start.startswith(b"\x00" * LENGTH_BYTES):
        return SafetensorsError("not_safetensors", "begins with zeros: its content was never written")
    return SafetensorsError("not_safetensors", "is not a safetensors file")


def _unique(pairs: List[Tuple[str, Any]]) -> Dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _value in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise SafetensorsError("bad_header", "has a header that names {0!r} twice".format(twice))
    return found


def _tensor(name: str, entry: Any) -> Tensor:
    try:
        dtype, shape, (start, end) = entry["dtype"], tuple(entry["shape"]), entry["data_offsets"]
    except (KeyError, TypeError, ValueError):
        raise SafetensorsError(
            "bad_header", "has a header without the type, shape or place of {0!r}".format(name)
        ) from None
    if len(shape) > _MAX_RANK or not all(map(_is_size, (*shape, start, end))):
        raise SafetensorsError("bad_header", "has a header with an impossible shape or place of {0!r}".format(name))
    bits = DTYPE_BITS.get(dtype) if isinstance(dtype, str) else None
    if bits is None:
        raise SafetensorsError("unknown_dtype", "holds {0!r} of the unknown type {1!r}".format(name, dtype))
    if bits * _product(shape) != 8 * (end - start):
        raise SafetensorsError(
            "bad_offsets",
            "gives {0!r} {1} bytes, but its shape takes {2:g}".format(name, end - start, bits * _product(shape) / 8.0),
        )
    return Tensor(name, dtype, shape, start, end)


def _is_size(number: Any) -> bool:
    return isinstance(number, int) and not isinstance(number, bool) and 0 <= number < 2**63


def _in_order(tensors: Any) -> Tuple[Tensor, ...]:
    """Sort tensors by place, and refuse gaps and overlaps."""
    ordered = tuple(sorted(tensors, key=lambda tensor: (tensor.start, tensor.end)))
    place = 0
    for tensor in ordered:
        if tensor.start != place:
            raise SafetensorsError(
                "bad_offsets",
                "has {0} before {1!r}".format("a gap" if tensor.start > place else "an overlap", tensor.name),
            )
        place = tensor.end
    return ordered


def _product(shape: Tuple[int, ...]) -> int:
    product = 1
    for size in shape:
        product *= size
    return product
