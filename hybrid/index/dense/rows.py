"""The vectors of documents: what is accepted, written and merged."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from hybrid.errors import EncoderError
from hybrid.index.dense.kinds import Form
from hybrid.index.dense.vectors import LONGEST, Vectors
from hybrid.index.dense.writing import write_search
from hybrid.index.segment import Segment, SegmentWriter
from hybrid.kernels.inner import row_lengths
from hybrid.types import Bools, Doubles, Floats

_PIECE = 1 << 22
"""How many numbers a merge holds at a time."""


@dataclass(frozen=True, slots=True, eq=False)
class DenseRows:
    """The vectors of n documents.

    ``kept``: the vectors as they are kept. ``truncated``: bool, shape (n,), True where the text was
    longer than the encoder's window. ``lengths``: float64, shape (n,), the Euclidean length of each
    kept vector. ``form``: how they are kept and indexed.
    """

    kept: Vectors
    truncated: Bools
    lengths: Doubles
    form: Form

    @classmethod
    def of(cls, vectors: Floats, truncated: Bools, form: Form | None = None) -> Self:
        """Return the rows of float32 vectors, shape (n, d).

        Raises:
            EncoderError: a shape or type is wrong, a vector is not finite or is too long, or it
                cannot be kept as the form says.
        """
        if vectors.ndim != 2 or vectors.shape[1] == 0 or vectors.dtype != np.float32:
            raise EncoderError(
                f"vectors have the type {vectors.dtype} and the shape {vectors.shape}; "
                "float32 and (texts, dimension) are needed"
            )
        if truncated.shape != (len(vectors),) or truncated.dtype != np.bool_:
            raise EncoderError(
                f"the truncation flags have the type {truncated.dtype} and the shape "
                f"{truncated.shape}; bool and ({len(vectors)},) are needed"
            )
        form = form or Form()
        vectors = np.ascontiguousarray(vectors)
        lengths = _checked_lengths(vectors)
        kept = Vectors.of(vectors, form.storage)
        return cls(kept, truncated, lengths if form.storage == "float32" else kept.lengths(), form)

    def __len__(self) -> int:
        return len(self.kept)

    def take(self, order: NDArray[np.int64]) -> Self:
        """Return the rows at these positions, in this order."""
        return type(self)(self.kept.take(order), self.truncated[order], self.lengths[order], self.form)

    @classmethod
    def concat(cls, parts: Sequence[Self]) -> Self:
        """Return all rows of all parts, in order, in the form of the last."""
        if len(parts) == 1:
            return parts[0]
        kept = [part.kept for part in parts]
        _check_alike(kept)
        return cls(
            Vectors.concat(kept),
            np.concatenate([part.truncated for part in parts]),
            np.concatenate([part.lengths for part in parts]),
            parts[-1].form,
        )

    def write(self, out: SegmentWriter, prefix: str) -> None:
        """Write the arrays, and those that make searching them fast."""
        _write([self], np.arange(len(self)), out, prefix)

    @classmethod
    def read(cls, segment: Segment, prefix: str) -> Self:
        """Return the rows of a segment, sharing its memory; the vectors are not read yet."""
        return cls(
            Vectors.read(segment, prefix),
            segment[f"{prefix}/truncated"],
            segment[f"{prefix}/lengths"],
            Form.decode(segment[f"{prefix}/form"]) if f"{prefix}/form" in segment else Form(),
        )

    @classmethod
    def merge(
        cls, parts: Sequence[Segment], prefix: str, order: NDArray[np.int64], out: SegmentWriter
    ) -> None:
        """Write rows of segments, given as positions in their concatenation, in pieces.

        Vectors are copied as they are kept. The form is that of the last part.
        """
        _write([cls.read(part, prefix) for part in parts], order, out, prefix)


def _write(parts: Sequence[DenseRows], order: NDArray[np.int64], out: SegmentWriter, prefix: str) -> None:
    """Write the rows of ``parts`` at these positions in their concatenation, piece after piece."""
    kept = [part.kept for part in parts]
    _check_alike(kept)
    lengths = np.concatenate([part.lengths for part in parts])[order]
    dimension, form = kept[0].dimension, parts[-1].form
    starts = np.cumsum([0, *map(len, kept)])

    def pieces() -> Iterator[Vectors]:
        step = max(1, _PIECE // dimension)
        for start in range(0, len(order), step):
            yield _gathered(kept, starts, order[start : start + step])

    shape = (len(order), dimension)
    out.add_chunks(f"{prefix}/vectors", kept[0].values.dtype, shape, (piece.values for piece in pieces()))
    if kept[0].values.dtype == np.int8:
        out.add(f"{prefix}/scales", np.concatenate([part.scales for part in kept])[order])
    out.add(f"{prefix}/truncated", np.concatenate([part.truncated for part in parts])[order])
    out.add(f"{prefix}/lengths", lengths)
    out.add(f"{prefix}/form", form.encode())
    write_search(out, prefix, form, lengths, dimension, pieces)


def _gathered(kept: Sequence[Vectors], starts: NDArray[np.int64], order: NDArray[np.int64]) -> Vectors:
    """Return vectors given by their positions in the concatenation of several."""
    if len(kept) == 1:
        whole = len(order) > 0 and int(order[-1]) - int(order[0]) == len(order) - 1
        if whole and bool((np.diff(order) == 1).all()):
            return kept[0].take(slice(int(order[0]), int(order[-1]) + 1))  # no copy
        return kept[0].take(order)
    first = kept[0]
    values = np.empty((len(order), first.dimension), first.values.dtype)
    scales = np.empty(len(order) if first.values.dtype == np.int8 else 0, np.float32)
    home = np.searchsorted(starts, order, "right") - 1
    for number, part in enumerate(kept):
        here = np.flatnonzero(home == number)
        found = part.take(order[here] - starts[number])
        values[here] = found.values
        if len(scales):
            scales[here] = found.scales
    return Vectors(values, scales)


def _check_alike(kept: Sequence[Vectors]) -> None:
    """Raise unless all vectors are of one dimension and one type."""
    dimensions = sorted({part.dimension for part in kept})
    if len(dimensions) > 1:
        raise EncoderError(f"vectors of dimensions {dimensions} cannot be in one index")
    types = sorted({str(part.values.dtype) for part in kept})
    if len(types) > 1:
        raise EncoderError(f"vectors kept as {' and '.join(types)} cannot be in one index")


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
