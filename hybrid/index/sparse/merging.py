"""Merging postings term by term, in memory bounded by a piece of them, not by the collection."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybrid.index.segment import SegmentWriter
from hybrid.index.sparse.postings import Postings, PostingsWriter
from hybrid.index.strings import Strings

PIECE = 1 << 21
"""How many postings are merged at a time (a term is never cut)."""


def merge_postings(
    parts: Sequence[Postings], order: NDArray[np.int64], out: SegmentWriter, prefix: str
) -> None:
    """Write the postings of some documents of several segments.

    ``order``: int64, which documents, as positions in the concatenation of the parts, in their new
    order. Documents of one part must keep their order, as they do where all are sorted by id.
    """
    sizes = [part.documents for part in parts]
    places = np.full(sum(sizes), -1, np.int32)
    places[order] = np.arange(len(order), dtype=np.int32)
    lengths = np.concatenate([part.lengths for part in parts], axis=1)[:, order]
    highest = max(float(part.values.max(initial=0)) for part in parts)
    dtype = np.float16 if parts[0].learned else np.uint32
    moved = np.split(places, np.cumsum(sizes)[:-1])
    bits = max(part.bits for part in parts)
    with PostingsWriter(out, prefix, np.ascontiguousarray(lengths), dtype, highest, bits) as writer:
        for terms, spans in _pieces(parts):
            writer.add(*_merged(terms, spans, parts, moved, len(order)))


def _pieces(parts: Sequence[Postings]) -> Iterator[tuple[list[bytes], list[tuple[int, NDArray[np.int64]]]]]:
    """Cut the union of the vocabularies into runs of terms with at most `PIECE` postings together.

    Yields the terms, sorted, and for each part where its own terms of the run begin in its vocabulary,
    and which of the run's terms they are.
    """
    union = sorted(set().union(*(part.vocabulary for part in parts)))
    number = {term: n for n, term in enumerate(union)}
    members = [
        np.fromiter(map(number.__getitem__, part.vocabulary), np.int64, len(part.vocabulary))
        for part in parts
    ]
    counts = np.zeros(len(union), np.int64)
    for part, which in zip(parts, members, strict=True):
        starts = part.starts.astype(np.int64)
        counts[which] += starts[1:] - starts[:-1]
    until = np.cumsum(counts)
    first = 0
    while first < len(union):
        before = until[first - 1] if first else 0
        last = max(first + 1, int(np.searchsorted(until, before + PIECE, "right")))
        spans = []
        for which in members:
            start, stop = np.searchsorted(which, (first, last)).tolist()
            spans.append((start, which[start:stop] - first))
        yield union[first:last], spans
        first = last


def _merged(
    terms: list[bytes],
    spans: Sequence[tuple[int, NDArray[np.int64]]],
    parts: Sequence[Postings],
    moved: Sequence[NDArray[np.int32]],
    documents: int,
) -> tuple[Strings, NDArray[np.int64], NDArray[np.int32], NDArray[Any]]:
    """Return the terms that still occur, where their postings begin, the documents and the values."""
    keys, values = [], []
    for part, places, (start, which) in zip(parts, moved, spans, strict=True):
        starts, docs, found = part.decode(start, start + len(which))
        keys.append(np.repeat(which, np.diff(starts)) * documents + places[docs])
        kept = places[docs] >= 0
        keys[-1] = keys[-1][kept]
        values.append(found[:, kept])
    key, value = np.concatenate(keys), np.concatenate(values, axis=1)
    if len(parts) > 1:
        order = np.argsort(key, kind="stable")  # it finds the ordered runs that the parts are
        key, value = key[order], value[:, order]
    which, docs = np.divmod(key, max(documents, 1))
    counts = np.bincount(which, minlength=len(terms))
    left = np.flatnonzero(counts)
    starts = np.zeros(len(left) + 1, np.int64)
    np.cumsum(counts[left], out=starts[1:])
    return Strings.of([terms[n] for n in left.tolist()]), starts, docs.astype(np.int32), value
