"""Terms and counts of documents: forward (document → terms) and as postings (term → documents)."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from hybrid.index.segment import Segment, SegmentWriter
from hybrid.index.strings import Strings

_UNSIGNED = (np.uint8, np.uint16, np.uint32)


@dataclass(frozen=True, slots=True, eq=False)
class SparseRows:
    """The terms of n documents with their counts in each of F fields, as rows of a sparse matrix.

    ``vocabulary``: the terms that occur, in UTF-8 and sorted. ``indptr``: int64, shape (n + 1,);
    document i has the entries ``indptr[i]`` to ``indptr[i + 1]``. ``terms``: int32, shape
    (entries,), positions in the vocabulary, ascending in each document. ``counts``: shape
    (F, entries), the smallest unsigned type that holds them (or float32: learned weights).
    ``lengths``: int32, shape (F, n), the number of terms, repetitions included.

    Equal documents give equal arrays, however the rows were put together.
    """

    vocabulary: Strings
    indptr: NDArray[np.int64]
    terms: NDArray[np.int32]
    counts: NDArray[Any]
    lengths: NDArray[np.int32]

    @classmethod
    def from_terms(cls, documents: Sequence[Sequence[Sequence[str]]], fields: int = 1) -> Self:
        """Return the rows of documents given, for each field, as a list of terms in any order.

        >>> rows = SparseRows.from_terms([[["b", "a", "b"]], [[]]])
        >>> [*rows.vocabulary], rows.counts.tolist(), rows.lengths.tolist()
        ([b'a', b'b'], [[1, 2]], [[3, 0]])
        """
        for number, document in enumerate(documents):
            if len(document) != fields:
                raise ValueError(f"document {number} has {len(document)} fields; {fields} are expected")
        n = len(documents)
        sizes = np.fromiter((len(field) for doc in documents for field in doc), np.int64, n * fields)
        lengths = sizes.reshape(n, fields).T.astype(np.int32, order="C")
        numbers: defaultdict[str, int] = defaultdict()
        numbers.default_factory = numbers.__len__  # a new term gets the next number
        every = chain.from_iterable(chain.from_iterable(documents))
        occurrences = np.fromiter(map(numbers.__getitem__, every), np.int64, int(sizes.sum()))
        spelled = [term.encode(errors="surrogatepass") for term in numbers]
        order = sorted(range(len(spelled)), key=spelled.__getitem__)
        ordinal = np.empty(len(order), np.int64)
        ordinal[order] = np.arange(len(order))
        field = np.repeat(np.tile(np.arange(fields), n), sizes)
        starts = _offsets(sizes.reshape(n, fields).sum(axis=1))
        indptr, terms, counts = _count(starts, ordinal[occurrences], field, len(order), fields)
        return cls(Strings.of([spelled[i] for i in order]), indptr, terms, _narrow(counts), lengths)

    def __len__(self) -> int:
        return len(self.indptr) - 1

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
        return type(self)(vocabulary, indptr, terms, _narrow(self.counts[:, entries]), lengths)

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
            np.concatenate([part.counts for part in parts], axis=1),
            np.concatenate([part.lengths for part in parts], axis=1),
        )

    def write(self, out: SegmentWriter, prefix: str) -> None:
        """Write the rows, and the postings derived from them."""
        self.vocabulary.write(out, f"{prefix}/vocabulary")
        out.add(f"{prefix}/lengths", self.lengths)
        out.add(f"{prefix}/indptr", self.indptr)
        out.add(f"{prefix}/terms", self.terms)
        out.add(f"{prefix}/counts", self.counts)
        indptr, docs, entries = self._inverted()
        out.add(f"{prefix}/postings.indptr", indptr)
        out.add(f"{prefix}/postings.docs", docs)
        out.add(f"{prefix}/postings.counts", np.ascontiguousarray(self.counts[:, entries]))

    @classmethod
    def read(cls, segment: Segment, prefix: str) -> Self:
        """Return the rows of a segment, sharing its memory."""
        arrays = (segment[f"{prefix}/{name}"] for name in ("indptr", "terms", "counts", "lengths"))
        return cls(Strings.read(segment, f"{prefix}/vocabulary"), *arrays)

    def _inverted(self) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.int64]]:
        """Return, term after term, the documents in ascending order, and where their entries stand."""
        from scipy.sparse import csr_array

        shape = (len(self), len(self.vocabulary))
        entries = np.arange(len(self.terms))
        matrix = csr_array((entries, self.terms, self.indptr), shape=shape).tocsc()  # a counting sort
        return matrix.indptr.astype(np.int64), matrix.indices.astype(np.int32), matrix.data.astype(np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class Postings:
    """What queries read of a segment's `SparseRows`: for each term, its documents.

    ``docs``: int32, the ordinals of term t's documents, ascending, at ``indptr[t]`` to
    ``indptr[t + 1]``; ``counts``: shape (F, postings), in the same order. ``vocabulary`` and
    ``lengths`` as in `SparseRows`.
    """

    vocabulary: Strings
    indptr: NDArray[np.int64]
    docs: NDArray[np.int32]
    counts: NDArray[Any]
    lengths: NDArray[np.int32]

    @classmethod
    def of(cls, segment: Segment, prefix: str) -> Self:
        """Return the postings of a segment, sharing its memory."""
        names = ("postings.indptr", "postings.docs", "postings.counts", "lengths")
        arrays = (segment[f"{prefix}/{name}"] for name in names)
        return cls(Strings.read(segment, f"{prefix}/vocabulary"), *arrays)

    def find(self, term: str) -> int:
        """Return a term's position in the vocabulary, or -1."""
        spelled = term.encode(errors="surrogatepass")
        position = bisect_left(self.vocabulary, spelled)
        found = position < len(self.vocabulary) and self.vocabulary[position] == spelled
        return position if found else -1

    def entries(self, term: int) -> slice:
        """Return where the postings of a term stand."""
        return slice(int(self.indptr[term]), int(self.indptr[term + 1]))


def _count(
    starts: NDArray[np.int64], terms: NDArray[np.int64], field: NDArray[np.int64], size: int, fields: int
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.int64]]:
    """Count occurrences: return indptr, the distinct terms of each document, and counts (F, entries).

    ``terms`` and ``field`` describe each occurrence; document i has ``starts[i]`` to ``starts[i + 1]``.
    """
    from scipy.sparse import csr_array

    n = len(starts) - 1
    ones = np.ones(len(terms), np.int64)
    matrix = csr_array((ones, terms * fields + field, starts), shape=(n, size * fields))
    matrix.sum_duplicates()  # in each document now one entry per term and field, in that order
    found, which = np.divmod(matrix.indices.astype(np.int64), fields)
    rows = np.repeat(np.arange(n), np.diff(matrix.indptr))
    first = np.ones(len(found), np.bool_)
    first[1:] = (found[1:] != found[:-1]) | (rows[1:] != rows[:-1])
    counts = np.zeros((fields, int(first.sum())), np.int64)
    counts[which, np.cumsum(first) - 1] = matrix.data
    indptr = _offsets(np.bincount(rows[first], minlength=n))
    return indptr, found[first].astype(np.int32), counts


def _offsets(sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return where pieces of these sizes begin when put end to end, and the end."""
    offsets = np.zeros(len(sizes) + 1, np.int64)
    np.cumsum(sizes, out=offsets[1:])
    return offsets


def _narrow(counts: NDArray[Any]) -> NDArray[Any]:
    """Return whole counts in the smallest unsigned type that holds them all; floats as they are."""
    if counts.dtype.kind == "f":
        return counts
    highest = int(counts.max(initial=0))
    dtype = next(kind for kind in _UNSIGNED if highest <= np.iinfo(kind).max)
    return counts.astype(dtype)
