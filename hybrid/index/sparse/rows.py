"""The terms of documents with their counts or weights, in memory and in the order of documents."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from hybrid.batches import SparseBatch
from hybrid.index.segment import Segment, SegmentWriter
from hybrid.index.sparse.merging import merge_postings
from hybrid.index.sparse.postings import Postings, PostingsWriter, narrow
from hybrid.index.strings import Strings
from hybrid.kernels import codes
from hybrid.kernels.blocks import transpose

HIGHEST_WEIGHTS = {16: 60_000.0, 8: codes.HIGHEST}
"""No learned weight may be above this, by the bits it is kept in: float16 ends at 65,504."""


@dataclass(frozen=True, slots=True, eq=False)
class SparseRows:
    """The terms of n documents with their counts in each of F fields, as rows of a sparse matrix.

    ``vocabulary``: the terms that occur, in UTF-8 and sorted. ``indptr``: int64, shape (n + 1,);
    document i has the entries ``indptr[i]`` to ``indptr[i + 1]``. ``terms``: int32, shape
    (entries,), positions in the vocabulary, ascending in each document. ``values``: shape
    (F, entries), counts in the smallest unsigned type that holds them, or (F = 1) learned weights as
    float16. ``lengths``: int32, shape (F, n), the number of terms, repetitions included; shape
    (0, n) for learned weights, which have none.

    Equal documents give equal arrays, however the rows were put together. ``bits``: how many a learned
    weight takes on disk: 16, or 8 of those that `hybrid.kernels.codes` can keep.
    """

    vocabulary: Strings
    indptr: NDArray[np.int64]
    terms: NDArray[np.int32]
    values: NDArray[Any]
    lengths: NDArray[np.int32]
    bits: int = 16

    @classmethod
    def from_weights(cls, documents: Sequence[Mapping[str, float]], bits: int = 16) -> Self:
        """Return the rows of documents given as learned weights by term.

        Weights are kept as float16, whose relative error is at most 2^-11, or in 8 ``bits`` (2^-5); those
        that round to 0 are left out. They must be finite and not negative, and at most `HIGHEST_WEIGHTS`.

        >>> rows = SparseRows.from_weights([{"b": 0.5, "a": 2.0}, {}])
        >>> [*rows.vocabulary], rows.values.tolist()
        ([b'a', b'b'], [[2.0, 0.5]])
        """
        sizes = np.fromiter(map(len, documents), np.int64, len(documents))
        numbers: defaultdict[str, int] = defaultdict()
        numbers.default_factory = numbers.__len__
        every = chain.from_iterable(documents)
        terms = np.fromiter(map(numbers.__getitem__, every), np.int64, int(sizes.sum()))
        values = chain.from_iterable(document.values() for document in documents)
        weights = _kept(np.fromiter(values, np.float64, len(terms)), bits)
        vocabulary, ordinal = _spelled(numbers)
        terms = ordinal[terms]
        rows = np.repeat(np.arange(len(documents)), sizes)
        order = np.lexsort((terms, rows))
        order = order[weights[order] > 0]
        indptr = _offsets(np.bincount(rows[order], minlength=len(documents)))
        lengths = np.zeros((0, len(documents)), np.int32)
        found = cls(vocabulary, indptr, terms[order].astype(np.int32), weights[None, order], lengths, bits)
        return found if len(order) == len(weights) else found.take(np.arange(len(documents)))

    @classmethod
    def from_batch(cls, batch: SparseBatch, vocabulary: Sequence[str], bits: int = 16) -> Self:
        """Return the rows of encoded texts, as `from_weights` does; ``vocabulary`` names the batch's terms.

        >>> batch = SparseBatch(
        ...     np.array([0, 2, 2]), np.int32([7, 3]), np.float32([0.5, 2]), np.array([False, False])
        ... )
        >>> rows = SparseRows.from_batch(batch, "zyxwvuba")
        >>> [*rows.vocabulary], rows.values.tolist()
        ([b'a', b'w'], [[0.5, 2.0]])
        """
        weights = _kept(batch.weights, bits)
        kept = weights > 0
        found, numbers = np.unique(batch.terms[kept], return_inverse=True)
        spelled, ordinal = _spelled({vocabulary[term]: n for n, term in enumerate(found.tolist())})
        terms = ordinal[numbers]
        rows = np.repeat(np.arange(len(batch)), np.diff(batch.indptr))[kept]
        order = np.lexsort((terms, rows))
        indptr = _offsets(np.bincount(rows, minlength=len(batch)))
        lengths = np.zeros((0, len(batch)), np.int32)
        return cls(
            spelled, indptr, terms[order].astype(np.int32), weights[None, kept][:, order], lengths, bits
        )

    def __len__(self) -> int:
        return len(self.indptr) - 1

    def weights(self, row: int) -> dict[str, float]:
        """Return one document's learned weights by term."""
        entries = slice(int(self.indptr[row]), int(self.indptr[row + 1]))
        terms = [self.vocabulary[n].decode(errors="surrogatepass") for n in self.terms[entries].tolist()]
        return dict(zip(terms, self.values[0, entries].astype(float).tolist(), strict=True))

    def take(self, order: NDArray[np.int64]) -> Self:
        """Return the rows at these positions, in this order; terms that no longer occur are dropped."""
        sizes = self.indptr[order + 1] - self.indptr[order]
        indptr = _offsets(sizes)
        entries = np.arange(indptr[-1]) + np.repeat(self.indptr[order] - indptr[:-1], sizes)
        terms, vocabulary = self.terms[entries], self.vocabulary
        used = np.bincount(terms, minlength=len(vocabulary)) > 0
        if not used.all():
            vocabulary = vocabulary.take(np.flatnonzero(used))
            terms = (np.cumsum(used) - 1).astype(np.int32)[terms]
        lengths = np.ascontiguousarray(self.lengths[:, order])
        return type(self)(vocabulary, indptr, terms, narrow(self.values[:, entries]), lengths, self.bits)

    @classmethod
    def concat(cls, parts: Sequence[Self]) -> Self:
        """Return all rows of all parts, in order, over the union of their vocabularies."""
        if len(parts) == 1:
            return parts[0]
        if len({len(part.lengths) for part in parts}) > 1:
            raise ValueError("rows with different numbers of fields cannot be put together")
        union = sorted(set(chain.from_iterable(part.vocabulary for part in parts)))
        ordinal = {term: number for number, term in enumerate(union)}
        terms = [
            np.fromiter((ordinal[term] for term in part.vocabulary), np.int32, len(part.vocabulary))[
                part.terms
            ]
            for part in parts
        ]
        return cls(
            Strings.of(union),
            _offsets(np.concatenate([np.diff(part.indptr) for part in parts])),
            np.concatenate(terms),
            np.concatenate([part.values for part in parts], axis=1),
            np.concatenate([part.lengths for part in parts], axis=1),
            max(part.bits for part in parts),
        )

    def write(self, out: SegmentWriter, prefix: str) -> None:
        """Write the rows as postings."""
        starts, docs, entries = transpose(self.indptr, self.terms, len(self.vocabulary))
        with PostingsWriter(
            out, prefix, self.lengths, self.values.dtype, float(self.values.max(initial=0)), self.bits
        ) as postings:
            postings.add(self.vocabulary, starts, docs, np.ascontiguousarray(self.values[:, entries]))

    @classmethod
    def read(cls, segment: Segment, prefix: str) -> Self:
        """Return the rows of a segment."""
        postings = Postings.of(segment, prefix)
        starts, docs, values = postings.decode(0, len(postings.vocabulary))
        indptr, terms, entries = transpose(starts, docs, postings.documents)
        values = np.ascontiguousarray(values[:, entries])
        bits = postings.bits if postings.learned else 16
        return cls(postings.vocabulary, indptr, terms, values, postings.lengths, bits)

    @classmethod
    def merge(
        cls, parts: Sequence[Segment], prefix: str, order: NDArray[np.int64], out: SegmentWriter
    ) -> None:
        """Write rows of segments, given as positions in their concatenation, in bounded memory."""
        merge_postings([Postings.of(part, prefix) for part in parts], order, out, prefix)


def _kept(weights: NDArray[Any], bits: int) -> NDArray[np.float16]:
    """Return weights as they are kept."""
    return weights.astype(np.float16) if bits == 16 else codes.rounded(weights)


def _spelled(numbers: Mapping[str, int]) -> tuple[Strings, NDArray[np.int64]]:
    """Return numbered terms in UTF-8 and sorted, and the place of each number among them."""
    spelled = [term.encode(errors="surrogatepass") for term in numbers]
    order = sorted(range(len(spelled)), key=spelled.__getitem__)
    ordinal = np.empty(len(order), np.int64)
    ordinal[order] = np.arange(len(order))
    return Strings.of([spelled[i] for i in order]), ordinal


def _offsets(sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return where pieces of these sizes begin when put end to end, and the end."""
    offsets = np.zeros(len(sizes) + 1, np.int64)
    np.cumsum(sizes, out=offsets[1:])
    return offsets
