"""What is in an embedding cache: keys made of everything that decides a value, and values of bytes.

A value begins with the CRC-32 of the rest (4 bytes, little endian) and a byte that says whether the text was
truncated; three empty bytes follow, and then the numbers: float32 for dense vectors and token vectors,
int32 terms and then their float32 weights for sparse weights.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from itertools import pairwise
from typing import Any, Protocol, runtime_checkable

import numpy as np

from hybrid.batches import DenseBatch, Representation, Side, SparseBatch, TokenBatch

_LAYOUT = 1
"""Part of every key: a release that keeps values in another way finds none of these."""

_HEAD = struct.Struct("<IBxxx")


@runtime_checkable
class EmbeddingCache(Protocol):
    """Where embeddings are kept: bytes under keys of 20 bytes. May be used from several threads.

    An error that it raises is told once, and the cache is then left alone: texts are encoded as if there was
    none.
    """

    def get(self, keys: Sequence[bytes]) -> Mapping[bytes, bytes]:
        """Return the values of those keys that are there."""
        ...

    def put(self, values: Mapping[bytes, bytes]) -> None:
        """Keep values; those that are there already are replaced."""
        ...


def space(fingerprint: Mapping[str, Any], salt: bytes = b"") -> bytes:
    """Return what stands for an encoder in keys: two with equal fingerprints share their entries."""
    described = json.dumps(dict(fingerprint), sort_keys=True).encode()
    return blake2b(bytes([_LAYOUT]) + salt + b"\0" + described, digest_size=16).digest()


def key(space: bytes, side: Side | None, kind: Representation, text: str) -> bytes:
    """Return the key of a text; without a side, that of what is known of the encoder itself."""
    what = f"{side or 'encoder'}/{kind}/".encode()
    return blake2b(space + what + text.encode("utf-8", "surrogatepass"), digest_size=20).digest()


def pack(kind: Representation, batch: Any) -> list[bytes]:
    """Return the value of each text of a batch.

    Raises:
        ValueError: the batch is not of the shape that its kind has; such a thing is not kept.
    """
    rows = _PACKERS[kind](batch)
    flags = np.asarray(batch.truncated, np.bool_).tolist()
    return [_value(numbers, truncated) for numbers, truncated in zip(rows, flags, strict=True)]


def _value(numbers: bytes, truncated: bool) -> bytes:
    rest = _HEAD.pack(0, truncated)[4:] + numbers
    return zlib.crc32(rest).to_bytes(4, "little") + rest


def _dense_rows(batch: DenseBatch) -> list[bytes]:
    return [row.tobytes() for row in _matrix(batch.vectors)]


def _sparse_rows(batch: SparseBatch) -> list[bytes]:
    terms, weights = np.asarray(batch.terms, "<i4"), np.asarray(batch.weights, "<f4")
    if not (np.isfinite(weights) & (weights > 0)).all():
        raise ValueError("weights that are not finite and above 0")
    bounds = pairwise(batch.indptr.tolist())
    return [terms[a:b].tobytes() + weights[a:b].tobytes() for a, b in bounds]


def _token_rows(batch: TokenBatch) -> list[bytes]:
    vectors = _matrix(batch.vectors)
    return [vectors[a:b].tobytes() for a, b in pairwise(batch.indptr.tolist())]


def _matrix(vectors: Any) -> Any:
    array = np.ascontiguousarray(vectors, "<f4")
    if array.ndim != 2 or not np.isfinite(array).all():
        raise ValueError(f"vectors of shape {array.shape}, or numbers that are not finite")
    return array


_PACKERS: Mapping[Representation, Any] = {"dense": _dense_rows, "sparse": _sparse_rows, "tokens": _token_rows}


def intact(value: bytes | None, kind: Representation, width: int) -> bool:
    """Return whether a value is whole, and holds rows of ``width`` numbers (of sparse weights: any)."""
    if not isinstance(value, bytes) or len(value) < _HEAD.size:
        return False
    size = len(value) - _HEAD.size
    if zlib.crc32(memoryview(value)[4:]) != int.from_bytes(value[:4], "little"):
        return False
    if kind == "dense":
        return size == 4 * width
    return size % (8 if kind == "sparse" else 4 * width) == 0


def unpack(kind: Representation, values: Sequence[bytes], width: int) -> Any:
    """Return intact values, at least one, as a batch in their order, bit for bit what was packed."""
    truncated = np.array([value[4] for value in values], np.bool_)
    rows = [np.frombuffer(value, "<f4", offset=_HEAD.size) for value in values]
    if kind == "dense":
        return DenseBatch(np.stack(rows), truncated)
    if kind == "tokens":
        indptr = _bounds([len(row) // width for row in rows])
        return TokenBatch(indptr, np.concatenate(rows).reshape(-1, width), truncated)
    sizes = [len(row) // 2 for row in rows]
    terms = [row[:size].view("<i4") for row, size in zip(rows, sizes, strict=True)]
    weights = [row[size:] for row, size in zip(rows, sizes, strict=True)]
    return SparseBatch(_bounds(sizes), np.concatenate(terms), np.concatenate(weights), truncated)


def _bounds(sizes: Sequence[int]) -> Any:
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes, dtype=np.int64)])
