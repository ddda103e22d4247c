"""What is learned from token vectors once, and then keeps and gives back all of an index."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, NamedTuple, Self, cast

import numpy as np
from numpy.typing import NDArray

from hybrid.errors import EncoderError
from hybrid.forking import cached_property
from hybrid.index.dense.vectors import Storage, Vectors
from hybrid.index.multivector.form import TokenForm
from hybrid.index.segment import Segment, SegmentWriter
from hybrid.kernels.inner import float32_error, row_lengths
from hybrid.threads import parallel
from hybrid.types import Doubles, Floats

_CHUNK = 1024
"""How many vectors are compared with the centroids at a time."""

_MOST_SCALE = 1e4
"""Scales of residuals are float16."""

_NOTHING = 1e-4
"""What a projection keeps less of, relative to a vector's length, is rounding."""

_ARRAYS = ("projection", "centroids", "cutoffs", "levels", "share")


@dataclass(frozen=True, slots=True, eq=False)
class Kept:
    """The token vectors of documents as they are kept.

    ``values``: float32, float16 or int8, shape (tokens, d), or packed residuals, uint8. ``scales``: by which
    each token's values count: float32 for int8, float16 for residuals; shape (0,) for 1. ``codes``: uint16,
    shape (tokens,), each token's centroid, if the codec has centroids; else shape (0,).
    """

    values: NDArray[Any]
    scales: NDArray[Any]
    codes: NDArray[np.uint16]

    @classmethod
    def plain(cls, vectors: Vectors) -> Self:
        """Return vectors that need no codec."""
        return cls(vectors.values, vectors.scales, np.empty(0, np.uint16))

    @classmethod
    def concat(cls, parts: Sequence[Self]) -> Self:
        """Return all tokens of parts that are kept in the same way."""
        columns = ([getattr(part, name) for part in parts] for name in ("values", "scales", "codes"))
        return cls(*map(np.concatenate, columns))

    def __len__(self) -> int:
        return len(self.values)

    def take(self, rows: NDArray[np.int64]) -> Kept:
        """Return some of the tokens."""
        scales, codes = (a[rows] if len(a) else a for a in (self.scales, self.codes))
        return Kept(self.values[rows], scales, codes)

    @property
    def bytes_per_token(self) -> float:
        """How many bytes a token takes, without what its document and its codec take."""
        held = self.values.nbytes + self.scales.nbytes + self.codes.nbytes
        return held / max(1, len(self))


class Steps(NamedTuple):
    """Residuals' levels in bytes, for `hybrid.kernels.steps`.

    ``table``: uint8, shape (p / 4, 64). ``worth``: float64, shape (p,), what 1 stands for in each number.
    ``lost``: float64, shape (p,), how far a level is from its byte times that, at most.
    """

    table: NDArray[np.uint8]
    worth: Doubles
    lost: Doubles


@dataclass(frozen=True, eq=False)
class Codec:
    """A projection, centroids and the steps of residuals, as far as a form asks for them.

    ``projection``: float32, shape (p, d), orthonormal rows; (0, d) for none. ``centroids``: float16,
    shape (K, p); (0, p) for none. ``cutoffs``, ``levels``: float32, shape (p, 2^b - 1) and (p, 2^b), of
    residuals of b bits; (p, 0) for none. ``share``: float64, shape (1,), how much of the vectors' squared
    lengths the projection kept when it was fitted.
    """

    projection: Floats
    centroids: NDArray[np.float16]
    cutoffs: Floats
    levels: Floats
    share: Doubles

    @classmethod
    def read(cls, segment: Segment, prefix: str) -> Self | None:
        """Return the codec of a segment's token vectors, if they have one."""
        if f"{prefix}/codec.centroids" not in segment:
            return None
        return segment.cached(
            f"{prefix}#codec", lambda: cls(*(segment[f"{prefix}/codec.{name}"] for name in _ARRAYS))
        )

    def write(self, out: SegmentWriter, prefix: str) -> None:
        """Write the arrays."""
        for name in _ARRAYS:
            out.add(f"{prefix}/codec.{name}", getattr(self, name))

    @cached_property
    def fingerprint(self) -> str:
        """A digest of all arrays: segments of one fingerprint keep vectors in the same way."""
        digest = blake2b(digest_size=16)
        for name in _ARRAYS:
            array = np.ascontiguousarray(getattr(self, name))
            digest.update(f"{name} {array.shape} ".encode() + array.tobytes())
        return digest.hexdigest()

    @property
    def dimension(self) -> int:
        """How many numbers a kept vector stands for."""
        return int(self.centroids.shape[1])

    @property
    def bits(self) -> int:
        """How many bits a number of a residual has; 0 if none are kept."""
        return {16: 4, 4: 2}.get(self.levels.shape[1], 0)

    @cached_property
    def centres(self) -> Floats:
        """The centroids as float32."""
        return self.centroids.astype(np.float32)

    @cached_property
    def longest(self) -> float:
        """An upper bound of the length of a decoded residual's vector, before its scale."""
        reach = float(row_lengths(np.abs(self.levels).max(axis=1, initial=0)[None])[0])
        return (float(row_lengths(self.centres).max(initial=0)) + reach) * (1 + 1e-6)

    def project(self, vectors: Floats) -> Floats:
        """Return vectors in the kept dimension: float32, shape (n, p)."""
        if not len(self.projection):
            return vectors
        from hybrid.kernels.tokens import project

        out = np.empty((len(vectors), len(self.projection)), np.float32)
        columns = np.ascontiguousarray(self.projection.T, np.float64)
        steps = [slice(a, a + _CHUNK) for a in range(0, len(vectors), _CHUNK)]
        parallel(lambda part: project(vectors[part], columns, out[part]), steps)
        return out

    def shortened(self, vectors: Floats) -> Floats:
        """Return documents' vectors in the kept dimension, as long as they were: float32, shape (n, p).

        Without that, tokens of which the projection keeps little could hardly be the best of a document.
        """
        near = self.project(vectors)
        if not len(self.projection):
            return near
        lengths, whole = row_lengths(near), row_lengths(vectors)
        left = lengths > _NOTHING * whole
        near *= np.where(left, whole / np.where(left, lengths, 1.0), 1.0).astype(np.float32)[:, None]
        return near

    def encode(self, vectors: Floats, form: TokenForm) -> Kept:
        """Return float32 vectors, shape (tokens, d), as they are kept.

        Raises:
            EncoderError: a number is too large for float16.
        """
        near = self.shortened(vectors)
        codes = nearest(near, self.centres) if len(self.centroids) else np.empty(0, np.uint16)
        if not self.bits:
            kept = Vectors.of(near, cast("Storage", form.storage))
            return Kept(kept.values, kept.scales, codes)
        from hybrid.kernels.tokens import pack

        packed = np.empty((len(near), -(-self.dimension * self.bits // 8)), np.uint8)
        pack(near, codes, self.centres, self.cutoffs, self.bits, packed)
        made = self.unpacked(packed, codes)
        lengths = row_lengths(made)
        scales = np.minimum(row_lengths(near) / np.where(lengths > 0, lengths, 1.0), _MOST_SCALE)
        return Kept(packed, scales.astype(np.float16), codes)

    @cached_property
    def table(self) -> Floats:
        """The levels that each byte of a packed row stands for: float32, shape (bytes, 256, 8 / bits)."""
        each = 8 // self.bits
        width = -(-self.dimension // each)
        whole = np.zeros((width * each, 1 << self.bits), np.float32)
        whole[: self.dimension] = self.levels
        steps = (np.arange(256)[:, None] >> self.bits * np.arange(each)) & ((1 << self.bits) - 1)
        return np.ascontiguousarray(whole[np.arange(width * each).reshape(width, 1, each), steps])

    @cached_property
    def steps(self) -> Steps | None:
        """The levels in bytes; None where rows of residuals do not end with a word."""
        width = self.dimension * self.bits // 8
        if not self.bits or width % 4 or width * 8 != self.dimension * self.bits:
            return None
        levels = self.levels.astype(np.float64)
        largest = np.abs(levels).max(axis=1)
        worth = np.where(largest > 0, largest, 1.0) / 127
        whole = np.rint(levels / worth[:, None])
        table = np.full((self.dimension, 16), 128, np.uint8)
        table[:, : levels.shape[1]] = whole + 128
        lost = np.abs(levels - whole * worth[:, None]).max(axis=1)
        return Steps(table.reshape(-1, 64), worth, lost)

    def unpacked(self, packed: NDArray[np.uint8], codes: NDArray[np.uint16]) -> Floats:
        """Return residuals' vectors, before their scales: float32, shape (tokens, p)."""
        from hybrid.kernels.tokens import unpack

        out = np.empty((len(packed), self.dimension), np.float32)
        unpack(packed, codes, self.centres, self.table, out)
        return out

    def restored(self, vectors: Floats) -> Floats:
        """Return kept vectors in the dimension that they came in: float32, shape (n, d)."""
        if not len(self.projection):
            return vectors
        made: Floats = (vectors.astype(np.float64) @ self.projection).astype(np.float32)
        return made


def nearest(vectors: Floats, centres: Floats) -> NDArray[np.uint16]:
    """Return the number of each vector's nearest centroid, the first of equals: uint16, shape (n,)."""
    from hybrid.kernels.tokens import nearest as compiled

    found = np.empty(len(vectors), np.uint16)
    lengths = row_lengths(centres)
    halves, longest = lengths**2 / 2, float(lengths.max())
    turned = np.ascontiguousarray(centres.T)
    for a in range(0, len(vectors), _CHUNK):
        part = vectors[a : a + _CHUNK]
        errors = np.array([float32_error(part.shape[1], n, longest) for n in row_lengths(part).tolist()])
        compiled(part, centres, halves, part @ turned, errors, found[a : a + _CHUNK])
    return found


def same(codecs: Sequence[Codec | None]) -> Codec | None:
    """Return the codec that parts of an index share.

    Raises:
        EncoderError: they do not.
    """
    prints = {codec.fingerprint if codec else "" for codec in codecs}
    if len(prints) > 1:
        raise EncoderError(
            f"token vectors of {len(prints)} different codecs cannot be in one index; build it anew"
        )
    return codecs[0]
