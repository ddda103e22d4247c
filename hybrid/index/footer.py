"""The layout of a segment file: what stands where, and how its own description of itself is checked.

All integers are little-endian::

    header    8 bytes magic, u32 version, zero padding to 64 bytes
    arrays    each at a multiple of 64 bytes, C order, zero padding between them
    footer    JSON: {"arrays": {name: [dtype, shape, offset, bytes, checksum]}}
    trailer   u32 version, u64 footer offset, u64 footer bytes, 16 bytes checksum, 8 bytes magic

Checksums are BLAKE2b-128. The trailer's checksum covers the footer and the trailer's own numbers,
and the footer holds each array's checksum, so that one checksum stands for the whole file.
"""

from __future__ import annotations

import json
import mmap
import struct
from dataclasses import dataclass
from hashlib import blake2b
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from hybrid.errors import CorruptIndexError, FormatError

SEGMENT_VERSION = 3
OLDEST_VERSION = 2  # knew no versions and expiries of documents (see ``lives``); merging writes it anew
ALIGNMENT = 64
DTYPES = frozenset({"|b1", "|i1", "|u1", "<i2", "<u2", "<i4", "<u4", "<i8", "<u8", "<f2", "<f4", "<f8"})
"""What an array may hold: booleans, integers and floats; never Python objects."""

HEADER = struct.Struct("<8sI52x")
NUMBERS = struct.Struct("<IQQ")
TRAILER = struct.Struct("<IQQ16s8s")
START, END = b"HYBRIDsg", b"gsDIRBYH"
DIGEST = 16
REMEDY = "repair the index (`hybrid repair`), or restore it from a copy"

_MOST = 1 << 62


@dataclass(frozen=True, slots=True)
class Entry:
    """Where one array lies in the file."""

    dtype: str
    shape: tuple[int, ...]
    offset: int
    bytes: int
    checksum: str


def checksum(data: Any) -> str:
    """Return the checksum of an array's bytes, in hexadecimal."""
    return blake2b(data, digest_size=DIGEST).hexdigest()


def footer(entries: dict[str, Entry], position: int) -> tuple[bytes, str]:
    """Return what ends a file whose arrays end at a position, and the checksum of the whole file."""
    arrays = {n: [e.dtype, e.shape, e.offset, e.bytes, e.checksum] for n, e in entries.items()}
    described = json.dumps({"arrays": arrays}, separators=(",", ":")).encode()
    numbers = NUMBERS.pack(SEGMENT_VERSION, position, len(described))
    whole = blake2b(described + numbers, digest_size=DIGEST)
    return described + numbers + whole.digest() + END, whole.hexdigest()


def read_footer(path: Path, memory: mmap.mmap, size: int) -> tuple[dict[str, Entry], str]:
    """Return the arrays' places and the file's checksum; raise if anything disagrees."""
    start, version = HEADER.unpack_from(memory, 0)
    if start != START or any(memory[12 : HEADER.size]):
        raise corrupt(path, "it does not begin like a segment file")
    if not OLDEST_VERSION <= version <= SEGMENT_VERSION:
        raise FormatError(
            f"the segment file {path} has format version {version}, and this release reads "
            f"{OLDEST_VERSION} to {SEGMENT_VERSION}; "
            + ("upgrade hybrid-retrieval" if version > SEGMENT_VERSION else "build the index anew")
        )
    again, offset, length, digest, end = TRAILER.unpack_from(memory, size - TRAILER.size)
    if end != END:
        raise corrupt(path, "it does not end like a segment file (was it cut short?)")
    footer = memory[offset : offset + length] if offset + length <= size else b""
    whole = blake2b(footer + NUMBERS.pack(again, offset, length), digest_size=DIGEST)
    if whole.digest() != digest:
        raise corrupt(path, "its footer does not match its checksum")
    if again != version or offset + length + TRAILER.size != size:
        raise corrupt(path, f"it has {size} bytes, and its trailer describes another size or version")
    try:
        arrays = json.loads(footer)["arrays"]
        entries = {n: Entry(d, tuple(s), o, b, c) for n, (d, s, o, b, c) in arrays.items()}
        consistent = all(_fits(entry, offset) for entry in entries.values())
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise corrupt(path, f"its footer cannot be read: {error}") from error
    if not consistent:
        raise corrupt(path, "its footer describes an array that cannot be there")
    return entries, whole.hexdigest()


def _fits(entry: Entry, end: int) -> bool:
    """Return whether an array has an accepted dtype and lies aligned between header and footer."""
    return (
        entry.dtype in DTYPES
        and all(type(number) is int for number in (*entry.shape, entry.offset, entry.bytes))
        and all(0 <= extent < _MOST for extent in entry.shape)
        and entry.bytes == prod(entry.shape) * np.dtype(entry.dtype).itemsize
        and entry.offset % ALIGNMENT == 0
        and HEADER.size <= entry.offset <= entry.offset + entry.bytes <= end
    )


def corrupt(path: Path, reason: str) -> CorruptIndexError:
    """Return the error for a damaged file."""
    return CorruptIndexError(f"the segment file {path} is damaged: {reason}; {REMEDY}")
