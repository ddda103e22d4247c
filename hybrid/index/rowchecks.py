"""Whether the arrays of a branch's rows fit each other, told from the arrays alone."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from hybrid.index.segment import Segment
from hybrid.index.sparse.postings import Postings
from hybrid.index.strings import Strings
from hybrid.kernels.blocks import WIDTH

_RUN = 1 << 20
"""How many postings are decoded at a time."""


def row_problems(segment: Segment, prefix: str, rows: int) -> Iterator[str]:
    """Yield what contradicts that the arrays under ``prefix`` are so many rows; nothing if they fit.

    Looked at are bounds, flags, lengths, vectors and postings; counts of terms are added up and compared
    with documents' lengths. Arrays of other libraries are opaque here.
    """
    if f"{prefix}/postings.docs" in segment:
        yield from _postings(Postings.of(segment, prefix), rows)
    elif f"{prefix}/bounds" in segment:
        bounds = segment[f"{prefix}/bounds"]
        if not _ascends(bounds, rows) or bounds[-1] != len(segment[f"{prefix}/vectors"]):
            yield "the bounds of its rows do not fit the vectors"
    elif f"{prefix}/vectors" in segment:
        for name in ("vectors", "lengths"):
            if len(segment[f"{prefix}/{name}"]) != rows:
                yield f"it has {len(segment[f'{prefix}/{name}'])} {name} for {rows} rows"
    if f"{prefix}/truncated" in segment and len(segment[f"{prefix}/truncated"]) != rows:
        yield f"it has {len(segment[f'{prefix}/truncated'])} flags for {rows} rows"


def _postings(postings: Postings, rows: int) -> Iterator[str]:
    terms, blocks, entries = len(postings.vocabulary), len(postings.windows), len(postings.docs)
    if postings.lengths.ndim != 2 or postings.documents != rows:
        yield f"it has lengths of the shape {postings.lengths.shape} for {rows} rows"
    elif not (_ascends(postings.starts, terms) and _ascends(postings.blocks, terms)):
        yield "the places of its terms do not ascend"
    elif (
        int(postings.blocks[-1]) != blocks or len(postings.sizes) != blocks or len(postings.levels) != blocks
    ):
        yield "it has other blocks than its terms say"
    elif (
        int(postings.starts[-1]) != entries
        or postings.values.ndim != 2
        or postings.values.shape[1] != entries
    ):
        yield "it has other postings than its terms say"
    elif len(postings.peaks) != terms * postings.learned:
        yield "it has other greatest weights than terms"
    elif int((postings.sizes.astype(np.int64) + 1).sum()) != entries:
        yield "its blocks hold other postings than there are"
    elif not _spelled(postings.vocabulary):
        yield "its terms are not UTF-8"
    else:
        yield from _added_up(postings, rows)


def _added_up(postings: Postings, rows: int) -> Iterator[str]:
    """Compare the counts of every document's terms with its length; learned weights have no lengths."""
    found = np.zeros(rows, np.int64)
    starts = postings.starts.astype(np.int64)
    first = 0
    while first < len(postings.vocabulary):
        last = max(first + 1, int(np.searchsorted(starts, starts[first] + _RUN, "right")) - 1)
        blocks, entries = postings.span(first, last)
        sizes = postings.sizes[blocks].astype(np.int64) + 1
        places = np.repeat(postings.windows[blocks].astype(np.int64) * WIDTH, sizes)
        if len(places) != entries.stop - entries.start:
            yield "a term's blocks hold other postings than it has"
            return
        documents = places + postings.docs[entries]
        if len(documents) and documents.max() >= rows:
            yield "it has postings of documents that are not there"
            return
        if not postings.learned:
            counts = postings.values[:, entries].sum(axis=0, dtype=np.int64)
            found += np.bincount(documents, counts, rows).astype(np.int64)
        first = last
    if not postings.learned and (found != postings.lengths.sum(axis=0, dtype=np.int64)).any():
        yield "the counts of its terms do not add up to the documents' lengths"


def _spelled(terms: Strings) -> bool:
    """Return whether every term can be decoded: all bytes can, and none begins inside a character."""
    if not _ascends(terms.offsets, len(terms)) or int(terms.offsets[-1]) != len(terms.data):
        return False
    starts = terms.offsets[:-1]
    if ((terms.data[starts[starts < len(terms.data)]] & 0xC0) == 0x80).any():
        return False
    try:
        terms.data.tobytes().decode(errors="surrogatepass")
    except UnicodeDecodeError:
        return False
    return True


def _ascends(bounds: NDArray[np.int64], groups: int) -> bool:
    """Return whether bounds begin with 0, never descend, and are of so many groups."""
    return len(bounds) == groups + 1 and int(bounds[0]) == 0 and bool((bounds[1:] >= bounds[:-1]).all())
