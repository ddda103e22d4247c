"""What is kept of vectors, and true scores from it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from hybrid.errors import EncoderError
from hybrid.index.dense.codes import quantized
from hybrid.index.segment import Segment
from hybrid.kernels.compiling import compiling_pays
from hybrid.kernels.inner import inner_products, row_lengths
from hybrid.threads import parallel, thread_count
from hybrid.types import Doubles, Floats

Storage: TypeAlias = Literal["float32", "float16", "int8"]
STORAGES: tuple[str, ...] = get_args(Storage)

LONGEST = 1e18
"""No vector may be longer: inner products must stay finite in float32."""

_HIGHEST_HALF = 65_504.0
_CHUNK = 1 << 20
"""How many numbers are decoded at a time."""

_SHARED = 1 << 21
"""From how many numbers on a sum is shared among threads."""

_SECONDS_PER_NUMBER = 2e-9
"""What `inner_products` takes, about."""


@dataclass(frozen=True, slots=True, eq=False)
class Vectors:
    """The vectors of n documents as they are kept.

    ``values``: float32, float16 or int8, shape (n, d). ``scales``: float32, shape (n,), what one
    step of an int8 vector is worth; shape (0,) for the others.

    The true score of a document is that of what is kept: a kept vector stands for its values, times
    its scale if there is one, and is not rounded any further.
    """

    values: NDArray[Any]
    scales: Floats

    @classmethod
    def of(cls, vectors: Floats, storage: Storage) -> Self:
        """Return float32 vectors as they are kept.

        Raises:
            EncoderError: a number is too large for float16.
        """
        if storage == "int8":
            return cls(*quantized(vectors))
        if storage == "float16" and not np.abs(vectors).max(initial=0) <= _HIGHEST_HALF:
            raise EncoderError(
                f"a vector has a number of magnitude {np.abs(vectors).max():g}, and float16 ends at "
                f"{_HIGHEST_HALF:g}; keep the vectors with storage='float32'"
            )
        return cls(vectors.astype(storage, copy=False), np.empty(0, np.float32))

    @classmethod
    def read(cls, segment: Segment, prefix: str) -> Self:
        """Return the vectors of a segment, sharing its memory."""
        scales = f"{prefix}/scales"
        return cls(
            segment[f"{prefix}/vectors"], segment[scales] if scales in segment else np.empty(0, np.float32)
        )

    @classmethod
    def concat(cls, parts: Sequence[Self]) -> Self:
        """Return all vectors of parts that keep them in the same way."""
        return cls(
            np.concatenate([part.values for part in parts]), np.concatenate([part.scales for part in parts])
        )

    def __len__(self) -> int:
        return len(self.values)

    @property
    def dimension(self) -> int:
        """How many numbers a vector has."""
        return int(self.values.shape[1])

    def take(self, rows: NDArray[np.int64] | slice) -> Vectors:
        """Return some of the vectors."""
        return Vectors(self.values[rows], self.scales[rows] if len(self.scales) else self.scales)

    def decoded(self) -> Floats:
        """Return the vectors as float32 (of int8 vectors: rounded to it)."""
        if len(self.scales):
            return self.values * self.scales[:, None]
        return self.values.astype(np.float32, copy=False)

    def lengths(self) -> Doubles:
        """Return the Euclidean length of each vector."""
        lengths = np.empty(len(self), np.float64)
        step = max(1, _CHUNK // self.dimension)
        for start in range(0, len(self), step):
            part = slice(start, start + step)
            lengths[part] = row_lengths(self.values[part].astype(np.float32, copy=False))
        return lengths * self.scales if len(self.scales) else lengths

    def products(self, rows: NDArray[np.int64], query: Floats) -> Floats:
        """Return the true scores of some documents: float32, shape (rows,).

        That is Σ q_i·v_i over the kept values v (times the scale), summed in float64 as
        `hybrid.kernels.inner` says, and rounded once.
        """
        size = len(rows) * self.dimension
        pieces = np.array_split(rows, min(len(rows), 4 * thread_count())) if size >= _SHARED else [rows]
        one = self._compiled if self._compiling_pays(size) else self._interpreted
        found = parallel(lambda piece: one(piece, query), pieces)
        return np.concatenate(found) if len(found) > 1 else found[0]

    def _compiling_pays(self, size: int) -> bool:
        if self.values.dtype != np.float32:
            return False
        return "hybrid.kernels.scan" in sys.modules or compiling_pays(size * _SECONDS_PER_NUMBER)

    def _compiled(self, rows: NDArray[np.int64], query: Floats) -> Floats:
        from hybrid.kernels.scan import products

        found: Floats = products(self.values, rows, query.astype(np.float64))
        return found

    def _interpreted(self, rows: NDArray[np.int64], query: Floats) -> Floats:
        found = np.empty(len(rows), np.float32)
        step = max(1, _CHUNK // self.dimension)
        for start in range(0, len(rows), step):
            part = rows[start : start + step]
            values = self.values[part].astype(np.float32, copy=False)
            scales = self.scales[part] if len(self.scales) else None
            found[start : start + step] = inner_products(values, query, scales)
        return found
