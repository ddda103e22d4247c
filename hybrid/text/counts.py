"""Terms of many texts, counted, as columns of numbers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from hybrid.text.analysis import Analyzer


@dataclass(frozen=True, slots=True, eq=False)
class TermCounts:
    """How often each term occurs in each field of n documents.

    ``vocabulary``: uint8, the distinct terms in UTF-8, sorted and end to end; ``offsets``: int64, shape
    (terms + 1,), where each begins. ``indptr``: int64, shape (n + 1,); document i has the entries
    ``indptr[i]`` to ``indptr[i + 1]``. ``terms``: int32, shape (entries,), positions in the vocabulary,
    ascending in each document. ``counts``: uint32, shape (fields, entries). ``lengths``: int32, shape
    (fields, n), the number of terms, repetitions included.
    """

    vocabulary: NDArray[np.uint8]
    offsets: NDArray[np.int64]
    indptr: NDArray[np.int64]
    terms: NDArray[np.int32]
    counts: NDArray[np.uint32]
    lengths: NDArray[np.int32]


def count_terms(analyzer: Analyzer, texts: Sequence[str], fields: int = 1) -> TermCounts:
    """Analyse the texts of documents and count their terms.

    ``texts`` holds ``fields`` texts for each document, one document after the other.

    >>> counts = count_terms(Analyzer(), ["b a b", "", "b", ""], fields=2)
    >>> bytes(counts.vocabulary), counts.terms.tolist(), counts.counts.tolist()
    (b'ab', [0, 1, 1], [[1, 2, 1], [0, 0, 0]])
    """
    numbers: defaultdict[str, int] = defaultdict()
    numbers.default_factory = numbers.__len__  # a new term gets the next number
    sizes: list[int] = []

    def analysed() -> Iterator[list[str]]:
        for text in texts:
            terms = analyzer.terms(text)
            sizes.append(len(terms))
            yield terms

    occurrences = np.fromiter(map(numbers.__getitem__, chain.from_iterable(analysed())), np.int64)
    spelled = [term.encode(errors="surrogatepass") for term in numbers]
    order = sorted(range(len(spelled)), key=spelled.__getitem__)
    places = np.empty(len(order), np.int64)
    places[order] = np.arange(len(order))
    lengths = np.array(sizes, np.int32).reshape(-1, fields)
    owner = np.repeat(np.arange(len(sizes)), sizes)  # which text: document * fields + field
    indptr, terms, counts = _count(owner, places[occurrences], len(order), len(lengths), fields)
    return TermCounts(
        np.frombuffer(b"".join(spelled[n] for n in order), np.uint8),
        _offsets([len(spelled[n]) for n in order]),
        indptr,
        terms,
        counts,
        np.ascontiguousarray(lengths.T),
    )


def _count(
    owner: NDArray[np.int64], terms: NDArray[np.int64], vocabulary: int, documents: int, fields: int
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.uint32]]:
    """Return indptr, the distinct terms of each document, and their counts in each field."""
    document, field = np.divmod(owner, fields)
    every = np.sort((document * vocabulary + terms) * fields + field)
    first = _changes(every)
    entry, which = np.divmod(every[first], fields)
    amounts = np.diff(np.append(first, len(every)))
    start = _changes(entry)
    counts = np.zeros((fields, len(start)), np.uint32)
    counts[which, np.repeat(np.arange(len(start)), np.diff(np.append(start, len(entry))))] = amounts
    owners, found = np.divmod(entry[start], max(vocabulary, 1))
    return _offsets(np.bincount(owners, minlength=documents)), found.astype(np.int32), counts


def _changes(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return where sorted values begin to differ from the one before."""
    return np.flatnonzero(np.diff(values, prepend=-1))


def _offsets(sizes: Sequence[int] | NDArray[np.int64]) -> NDArray[np.int64]:
    """Return where pieces of these sizes begin when put end to end, and the end."""
    offsets = np.zeros(len(sizes) + 1, np.int64)
    np.cumsum(sizes, out=offsets[1:])
    return offsets
