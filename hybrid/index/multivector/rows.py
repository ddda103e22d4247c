"""The token vectors of documents: what is accepted, written and merged."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from hybrid.batches import TokenBatch
from hybrid.errors import EncoderError
from hybrid.index.dense.vectors import LONGEST, Storage, Vectors
from hybrid.index.segment import Segment, SegmentWriter
from hybrid.kernels.inner import row_lengths
from hybrid.types import Bools

_PIECE = 1 << 22
"""How many numbers a merge holds at a time."""


@dataclass(frozen=True, slots=True, eq=False)
class TokenRows:
    """The token vectors of n documents.

    ``bounds``: int64, shape (n + 1,); document i has the tokens ``bounds[i]`` to ``bounds[i + 1]``, at
    least one. ``kept``: all tokens' vectors as they are kept. ``truncated``: bool, shape (n,), True where
    the text was longer than the encoder's window.
    """

    bounds: NDArray[np.int64]
    kept: Vectors
    truncated: Bools

    @classmethod
    def of(cls, batch: TokenBatch, storage: Storage) -> Self:
        """Return the rows of encoded texts.

        Raises:
            EncoderError: a text has no token, or a vector is not finite, too long, or cannot be kept so.
        """
        empty = np.flatnonzero(np.diff(batch.indptr) < 1)
        if len(empty):
            raise EncoderError(
                f"text {empty[0]} (counted from 0) has no token vectors; at least one is needed"
            )
        lengths = row_lengths(batch.vectors)
        bad = np.flatnonzero(~(lengths <= LONGEST))  # NaN fails every comparison
        if len(bad):
            text = int(np.searchsorted(batch.indptr, bad[0], "right")) - 1
            raise EncoderError(
                f"a token vector of text {text} (counted from 0) is not finite or longer than {LONGEST:g}; "
                "check the encoder"
            )
        return cls(batch.indptr, Vectors.of(batch.vectors, storage), batch.truncated)

    def __len__(self) -> int:
        return len(self.truncated)

    def take(self, order: NDArray[np.int64]) -> Self:
        """Return the rows at these positions, in this order."""
        bounds, tokens = spread(self.bounds, order)
        return type(self)(bounds, self.kept.take(tokens), self.truncated[order])

    @classmethod
    def concat(cls, parts: Sequence[Self]) -> Self:
        """Return all rows of all parts, in order."""
        if len(parts) == 1:
            return parts[0]
        _check_alike([part.kept for part in parts])
        sizes = np.concatenate([np.diff(part.bounds) for part in parts])
        return cls(
            _bounds(sizes),
            Vectors.concat([part.kept for part in parts]),
            np.concatenate([part.truncated for part in parts]),
        )

    def write(self, out: SegmentWriter, prefix: str) -> None:
        """Write the arrays."""
        _write([self], np.arange(len(self)), out, prefix)

    @classmethod
    def read(cls, segment: Segment, prefix: str) -> Self:
        """Return the rows of a segment, sharing its memory; the vectors are not read yet."""
        return cls(segment[f"{prefix}/bounds"], Vectors.read(segment, prefix), segment[f"{prefix}/truncated"])

    @classmethod
    def merge(
        cls, parts: Sequence[Segment], prefix: str, order: NDArray[np.int64], out: SegmentWriter
    ) -> None:
        """Write rows of segments, given as positions in their concatenation, in pieces."""
        _write([cls.read(part, prefix) for part in parts], order, out, prefix)


def _write(parts: Sequence[TokenRows], order: NDArray[np.int64], out: SegmentWriter, prefix: str) -> None:
    """Write the rows of ``parts`` at these positions in their concatenation, piece after piece."""
    kept = [part.kept for part in parts]
    _check_alike(kept)
    starts = np.cumsum([0, *map(len, parts)])
    sizes = np.concatenate([np.diff(part.bounds) for part in parts])[order]
    shape = (int(sizes.sum()), kept[0].dimension)

    def pieces() -> Iterator[Vectors]:
        for piece in _cut(order, sizes * kept[0].dimension):
            yield from _runs(parts, starts, piece)

    out.add_chunks(f"{prefix}/vectors", kept[0].values.dtype, shape, (piece.values for piece in pieces()))
    if kept[0].values.dtype == np.int8:
        out.add_chunks(f"{prefix}/scales", np.float32, shape[:1], (piece.scales for piece in pieces()))
    out.add(f"{prefix}/bounds", _bounds(sizes))
    out.add(f"{prefix}/truncated", np.concatenate([part.truncated for part in parts])[order])


def _cut(order: NDArray[np.int64], sizes: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """Cut documents into pieces of about `_PIECE` numbers."""
    piece = np.cumsum(sizes) // _PIECE
    return iter(np.split(order, np.flatnonzero(np.diff(piece)) + 1))


def _runs(
    parts: Sequence[TokenRows], starts: NDArray[np.int64], order: NDArray[np.int64]
) -> Iterator[Vectors]:
    """Yield the tokens of documents, in order, as runs of those of one part."""
    home = np.searchsorted(starts, order, "right") - 1
    for run in np.split(np.arange(len(order)), np.flatnonzero(np.diff(home)) + 1):
        if len(run):
            part = parts[int(home[run[0]])]
            yield part.kept.take(spread(part.bounds, order[run] - starts[home[run[0]]])[1])


def spread(
    bounds: NDArray[np.int64], documents: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the bounds of documents' tokens put end to end, and the tokens' positions; both int64."""
    sizes = bounds[documents + 1] - bounds[documents]
    found = _bounds(sizes)
    return found, np.arange(found[-1]) + np.repeat(bounds[documents] - found[:-1], sizes)


def _bounds(sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)])


def _check_alike(kept: Sequence[Vectors]) -> None:
    """Raise unless all vectors are of one dimension and one type."""
    kinds = sorted({(part.dimension, str(part.values.dtype)) for part in kept})
    if len(kinds) > 1:
        spelt = " and ".join(f"{dimension} numbers of {kind}" for dimension, kind in kinds)
        raise EncoderError(f"token vectors of {spelt} cannot be in one index")
