"""The token vectors of documents: what is accepted, written and merged."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Self, cast

import numpy as np
from numpy.typing import NDArray

from hybrid.batches import TokenBatch
from hybrid.errors import EncoderError
from hybrid.index.dense.vectors import LONGEST, Storage, Vectors
from hybrid.index.groups import bounds_of, spread
from hybrid.index.multivector.codec import Codec, Kept, same
from hybrid.index.multivector.form import TokenForm
from hybrid.index.multivector.pooling import pooled
from hybrid.index.segment import Segment, SegmentWriter
from hybrid.kernels.inner import row_lengths
from hybrid.types import Bools, Floats

_PIECE = 1 << 22
"""How many numbers a merge holds at a time."""


@dataclass(frozen=True, slots=True, eq=False)
class TokenRows:
    """The token vectors of n documents.

    ``bounds``: int64, shape (n + 1,); document i has the tokens ``bounds[i]`` to ``bounds[i + 1]``, at
    least one. ``kept``: all tokens' vectors as they are kept. ``truncated``: bool, shape (n,), True where
    the text was longer than the encoder's window. ``codec``: what keeps them, if they need one. ``form``:
    for rows that wait for their codec, and are float32 until `settled`; else None.
    """

    bounds: NDArray[np.int64]
    kept: Kept
    truncated: Bools
    codec: Codec | None = None
    form: TokenForm | None = None

    @classmethod
    def of(cls, batch: TokenBatch, form: TokenForm) -> Self:
        """Return the rows of encoded texts; they wait for a codec if the form asks for what is learned.

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
        if form.pool is not None:
            batch = pooled(batch, form.pool)
        storage = "float32" if form.fitted else cast("Storage", form.storage)
        kept = Kept.plain(Vectors.of(batch.vectors, storage))
        return cls(batch.indptr, kept, batch.truncated, None, form if form.fitted else None)

    def settled(self, codec: Codec) -> Self:
        """Return rows that waited for a codec as it keeps them.

        Raises:
            EncoderError: a number is too large for float16.
        """
        if self.form is None:
            return self
        return type(self)(self.bounds, codec.encode(self.kept.values, self.form), self.truncated, codec)

    def __len__(self) -> int:
        return len(self.truncated)

    @property
    def dimension(self) -> int:
        """How many numbers a kept vector stands for."""
        if self.codec is not None and self.codec.bits:
            return self.codec.dimension
        return int(self.kept.values.shape[1])

    def decoded(self) -> Floats:
        """Return all vectors in the dimension in which they came, as float32, rounded to it."""
        kept, codec = self.kept, self.codec
        if codec is None or not codec.bits:
            vectors = Vectors(kept.values, kept.scales).decoded()
        else:
            vectors = codec.unpacked(kept.values, kept.codes)
            vectors *= kept.scales.astype(np.float32)[:, None]
        return vectors if codec is None else codec.restored(vectors)

    def take(self, order: NDArray[np.int64]) -> Self:
        """Return the rows at these positions, in this order."""
        bounds, tokens = spread(self.bounds, order)
        return type(self)(bounds, self.kept.take(tokens), self.truncated[order], self.codec, self.form)

    @classmethod
    def concat(cls, parts: Sequence[Self]) -> Self:
        """Return all rows of all parts, in order."""
        if len(parts) == 1:
            return parts[0]
        codec = _check_alike(parts)
        sizes = np.concatenate([np.diff(part.bounds) for part in parts])
        return cls(
            bounds_of(sizes),
            Kept.concat([part.kept for part in parts]),
            np.concatenate([part.truncated for part in parts]),
            codec,
            parts[0].form,
        )

    def write(self, out: SegmentWriter, prefix: str) -> None:
        """Write the arrays."""
        _write([self], np.arange(len(self)), out, prefix)

    @classmethod
    def read(cls, segment: Segment, prefix: str) -> Self:
        """Return the rows of a segment, sharing its memory; the vectors are not read yet."""

        def optional(name: str) -> NDArray[Any]:
            return segment[f"{prefix}/{name}"] if f"{prefix}/{name}" in segment else np.empty(0, np.uint16)

        kept = Kept(segment[f"{prefix}/vectors"], optional("scales"), optional("codes"))
        codec = Codec.read(segment, prefix)
        return cls(segment[f"{prefix}/bounds"], kept, segment[f"{prefix}/truncated"], codec)

    @classmethod
    def merge(
        cls, parts: Sequence[Segment], prefix: str, order: NDArray[np.int64], out: SegmentWriter
    ) -> None:
        """Write rows of segments, given as positions in their concatenation, in pieces."""
        _write([cls.read(part, prefix) for part in parts], order, out, prefix)


def _write(parts: Sequence[TokenRows], order: NDArray[np.int64], out: SegmentWriter, prefix: str) -> None:
    """Write the rows of ``parts`` at these positions in their concatenation, piece after piece."""
    codec = _check_alike(parts)
    if parts[0].form is not None:
        raise ValueError("token vectors that wait for their codec cannot be written")
    kept = parts[0].kept
    starts = np.cumsum([0, *map(len, parts)])
    sizes = np.concatenate([np.diff(part.bounds) for part in parts])[order]
    count, width = int(sizes.sum()), kept.values.shape[1]

    def pieces(column: str) -> Iterator[NDArray[Any]]:
        for piece in _cut(order, sizes * width):
            yield from _runs(parts, starts, piece, column)

    out.add_chunks(f"{prefix}/vectors", kept.values.dtype, (count, width), pieces("values"))
    if any(len(part.kept.scales) for part in parts):
        out.add_chunks(f"{prefix}/scales", kept.scales.dtype, (count,), pieces("scales"))
    out.add(f"{prefix}/bounds", bounds_of(sizes))
    out.add(f"{prefix}/truncated", np.concatenate([part.truncated for part in parts])[order])
    if codec is not None:
        codec.write(out, prefix)
        if len(codec.centroids):
            codes = np.concatenate([np.empty(0, np.uint16), *pieces("codes")])
            out.add(f"{prefix}/codes", codes)
            if not out.passing:
                _write_lists(codes, bounds_of(sizes), len(codec.centroids), out, prefix)


def _write_lists(
    codes: NDArray[np.uint16], bounds: NDArray[np.int64], clusters: int, out: SegmentWriter, prefix: str
) -> None:
    """Write, for each cluster, the documents that have a token in it."""
    from hybrid.kernels.tokens import invert

    edges, documents = invert(codes, bounds, clusters)
    out.add(f"{prefix}/lists.bounds", edges)
    out.add(f"{prefix}/lists.documents", documents)


def _cut(order: NDArray[np.int64], sizes: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """Cut documents into pieces of about `_PIECE` numbers."""
    piece = np.cumsum(sizes) // _PIECE
    return iter(np.split(order, np.flatnonzero(np.diff(piece)) + 1))


def _runs(
    parts: Sequence[TokenRows], starts: NDArray[np.int64], order: NDArray[np.int64], column: str
) -> Iterator[NDArray[Any]]:
    """Yield one column of the tokens of documents, in order, as runs of those of one part."""
    home = np.searchsorted(starts, order, "right") - 1
    for run in np.split(np.arange(len(order)), np.flatnonzero(np.diff(home)) + 1):
        if len(run):
            part = parts[int(home[run[0]])]
            tokens = spread(part.bounds, order[run] - starts[home[run[0]]])[1]
            yield getattr(part.kept, column)[tokens]


def _check_alike(parts: Sequence[TokenRows]) -> Codec | None:
    """Raise unless all vectors are of one dimension, type and codec; return the codec."""
    kinds = sorted({(part.kept.values.shape[1], str(part.kept.values.dtype)) for part in parts})
    if len(kinds) > 1:
        spelt = " and ".join(f"{dimension} numbers of {kind}" for dimension, kind in kinds)
        raise EncoderError(f"token vectors of {spelt} cannot be in one index")
    return same([part.codec for part in parts])
