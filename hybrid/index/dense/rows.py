"""Dense vectors of documents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from hybrid.errors import EncoderError
from hybrid.index.segment import Segment, SegmentWriter
from hybrid.kernels.inner import row_lengths
from hybrid.types import Bools, Doubles, Floats

LONGEST = 1e18
"""No vector may be longer: inner products must stay finite in float32."""


@dataclass(frozen=True, slots=True, eq=False)
class DenseRows:
    """The vectors of n documents.

    ``vectors``: float32, shape (n, d), C order. ``truncated``: bool, shape (n,), True where the text
    was longer than the encoder's window. ``lengths``: float64, shape (n,), the Euclidean length of
    each vector; computed, and the vectors checked, if not given.

    Raises:
        EncoderError: a shape or type is wrong, or a vector is not finite or is too long.

    """

    vectors: Floats
    truncated: Bools
    lengths: Doubles | None = None

    def __post_init__(self) -> None:
        vectors = self.vectors
        if vectors.ndim != 2 or vectors.shape[1] == 0 or vectors.dtype != np.float32:
            raise EncoderError(
                f"vectors have the type {vectors.dtype} and the shape {vectors.shape}; "
                "float32 and (texts, dimension) are needed"
            )
        if self.truncated.shape != (len(vectors),) or self.truncated.dtype != np.bool_:
            raise EncoderError(
                f"the truncation flags have the type {self.truncated.dtype} and the shape "
                f"{self.truncated.shape}; bool and ({len(vectors)},) are needed"
            )
        if self.lengths is None:
            vectors = np.ascontiguousarray(vectors)
            object.__setattr__(self, "vectors", vectors)
            object.__setattr__(self, "lengths", _checked_lengths(vectors))

    def __len__(self) -> int:
        return len(self.vectors)

    def take(self, order: NDArray[np.int64]) -> Self:
        """Return the rows at these positions, in this order."""
        return type(self)(self.vectors[order], self.truncated[order], self._lengths()[order])

    @classmethod
    def concat(cls, parts: Sequence[Self]) -> Self:
        """Return all rows of all parts, in order."""
        if len(parts) == 1:
            return parts[0]
        dimensions = sorted({part.vectors.shape[1] for part in parts})
        if len(dimensions) > 1:
            raise EncoderError(f"vectors of dimensions {dimensions} cannot be in one index")
        return cls(
            np.concatenate([part.vectors for part in parts]),
            np.concatenate([part.truncated for part in parts]),
            np.concatenate([part._lengths() for part in parts]),
        )

    def write(self, out: SegmentWriter, prefix: str) -> None:
        """Write the three arrays."""
        out.add(f"{prefix}/vectors", self.vectors)
        out.add(f"{prefix}/truncated", self.truncated)
        out.add(f"{prefix}/lengths", self._lengths())

    @classmethod
    def read(cls, segment: Segment, prefix: str) -> Self:
        """Return the rows of a segment, sharing its memory; the vectors are not read yet."""
        return cls(*(segment[f"{prefix}/{name}"] for name in ("vectors", "truncated", "lengths")))

    def _lengths(self) -> Doubles:
        return row_lengths(self.vectors) if self.lengths is None else self.lengths


def _checked_lengths(vectors: Floats) -> Doubles:
    """Return the lengths of vectors; raise if one is not finite or is too long."""
    lengths = row_lengths(vectors)
    bad = np.flatnonzero(~(lengths <= LONGEST))  # NaN fails every comparison
    if len(bad):
        reason = (
            f"is {lengths[bad[0]]:.3g} long; at most {LONGEST:g} is accepted"
            if np.isfinite(vectors[bad[0]]).all()
            else "has a NaN or an infinite number"
        )
        raise EncoderError(f"the vector in row {bad[0]} (counted from 0) {reason}; check the encoder")
    return lengths
