"""Inner-product search over the vectors of a snapshot."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hybrid.errors import InputError
from hybrid.index.dense.choice import started
from hybrid.index.dense.kinds import EXACT, Index
from hybrid.index.dense.neighbours import NeighboursSegment
from hybrid.index.dense.search import Search
from hybrid.index.dense.stored import Stored
from hybrid.index.dense.vectors import LONGEST
from hybrid.index.memo import memoized
from hybrid.index.ranks import Standing, true_ranks
from hybrid.index.snapshot import Mask, SegmentView, Snapshot
from hybrid.kernels.inner import row_lengths
from hybrid.ranking import Ranking, merge
from hybrid.types import Docnums, Floats, TermMatch

_AHEAD = 4
"""How many times what was asked for is listed if more was asked for than the first time."""


class DenseScorer:
    """One query vector's inner products with all documents (`hybrid.types.Scorer`).

    The score of a document is Σ q_i·x_i over its vector as it is kept, added in float64 in a fixed
    order and rounded to float32 once (`hybrid.kernels.inner`). Every eligible document is ranked.
    All is exact but ``top``, if the index is approximate and a segment large enough to have one.

    ``query_vector``: float32, shape (d,). ``normalized``: whether all vectors have length 1, up to
    rounding. ``index``: how to search.

    Raises:
        InputError: the query has another dimension than the index, is not finite, or is too long.

    """

    def __init__(
        self,
        snapshot: Snapshot,
        prefix: str,
        query_vector: ArrayLike,
        normalized: bool,
        mask: Mask,
        index: Index | Literal["auto"] = "auto",
    ) -> None:
        self._snapshot, self._prefix, self._mask, self._index = snapshot, prefix, mask, index
        self._stored = [Stored.of(view.segment, prefix) for view in snapshot.segments]
        self._normalized = normalized and all(s.vectors.values.dtype == np.float32 for s in self._stored)
        self._query = np.ascontiguousarray(query_vector, np.float32)
        dimension = len(self._query)
        for stored in self._stored[:1]:
            dimension = stored.vectors.dimension
        if self._query.shape != (dimension,):
            raise InputError(
                f"the query vector has shape {self._query.shape}; the index needs ({dimension},)"
            )
        self._length = float(row_lengths(self._query[None])[0])
        if not self._length <= LONGEST:
            raise InputError(
                f"the query vector's length is {self._length:.3g}; its numbers must be finite, and its "
                f"length at most {LONGEST:g}"
            )
        self._searches = self._started(self._query, index)
        self._listed: Ranking | None = None

    @property
    def exact(self) -> bool:
        """Whether ``top`` is the true one."""
        return not any(isinstance(search, NeighboursSegment) for search in self._searches)

    @property
    def eligible(self) -> int:
        """How many documents the mask lets through."""
        return self._mask.count

    @property
    def lower_bound(self) -> float:
        """-1.0 for normalised vectors; otherwise -|q|·|x|, for the longest live vector x."""
        if self._normalized:
            return -1.0
        segments, prefix = self._snapshot.segments, self._prefix
        longest = memoized(self._snapshot, ("longest", prefix), lambda: longest_live(segments, prefix))
        product = self._length * longest
        # A score is rounded to float32 and may so pass the product; float64 errs by less than 2^-44.
        return -max(product, float(np.float32(product * (1 + 2.0**-44))))

    def top(self, k: int) -> Ranking:
        """Return the best ``k`` eligible documents.

        Asked again for more, it looks further ahead: a scan reads all vectors however many are listed.
        """
        if self._listed is None or len(self._listed) < min(k, self._mask.count):
            ahead = k if self._listed is None else _AHEAD * k
            self._listed = self._top(self._searches, ahead)
        return self._listed.first(max(k, 0))

    def scores(self, docnums: Docnums) -> Floats:
        """Return the score of each document, whether or not the mask lets it through."""
        docnums = np.asarray(docnums, np.int64)
        scores = np.zeros(len(docnums), np.float32)
        for number, here, ordinals in self._located(docnums):
            scores[here] = self._stored[number].vectors.products(ordinals, self._query)
        return scores

    def ranks(self, docnums: Docnums) -> NDArray[np.int64]:
        """Return each document's rank from 1, or 0 where the mask does not let it through."""
        docnums = np.asarray(docnums, np.int64)
        eligible = np.zeros(len(docnums), np.bool_)
        for number, here, ordinals in self._located(docnums):
            part = self._mask.parts[number]
            eligible[here] = True if part is None else part[ordinals]
        ranks = np.zeros(len(docnums), np.int64)
        if eligible.any():
            wanted = docnums[eligible]
            ranks[eligible] = true_ranks(self._snapshot, wanted, self.scores(wanted), self._standing)
        return ranks

    def minimum(self) -> float:
        """Return the lowest score of an eligible document; 0.0 if there is none."""
        lowest = self._top(self._started(-self._query, self._exactly), 1).scores
        return 0.0 - float(lowest[0]) if len(lowest) else 0.0

    def matches(self, docnum: int) -> list[TermMatch]:
        """Return nothing: vectors have no terms."""
        return []

    @property
    def _exactly(self) -> Index | Literal["auto"]:
        return self._index if isinstance(self._index, EXACT) else "auto"

    def _started(self, query: Floats, index: Index | Literal["auto"]) -> list[Search]:
        return [
            started(stored, query, part, index)
            for stored, part in zip(self._stored, self._mask.parts, strict=True)
        ]

    def _top(self, searches: Sequence[Search], k: int) -> Ranking:
        parts = []
        floor = np.full(1, -np.inf)  # a score that k documents reach: later segments need not look below
        for view, search in zip(self._snapshot.segments, searches if k > 0 else (), strict=False):
            ordinals, scores = search.top(k, floor)
            parts.append(Ranking(ordinals + view.base, scores))
        return merge(parts, k, self._snapshot.tie_keys)

    def _standing(self, number: int, levels: Floats) -> Standing:
        return self._searches[number].standing(levels)

    def _located(self, docnums: Docnums) -> Iterator[tuple[int, NDArray[np.bool_], NDArray[np.int64]]]:
        """Yield each segment's position, which of the documents it holds, and their ordinals there."""
        for number, view in enumerate(self._snapshot.segments):
            here = (docnums >= view.base) & (docnums < view.base + view.size)
            if here.any():
                yield number, here, docnums[here] - view.base


def longest_live(segments: tuple[SegmentView, ...], prefix: str) -> float:
    """Return the greatest length of a live document's vector, 0.0 if there are none."""
    longest = 0.0
    for view in segments:
        lengths = view.segment[f"{prefix}/lengths"]
        longest = max(longest, float((lengths if view.live is None else lengths[view.live]).max(initial=0.0)))
    return longest
