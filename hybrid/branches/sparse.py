"""The sparse branch: learned term weights in front of postings."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from hybrid.branches.base import Encoders
from hybrid.errors import DocumentError, InputError, PipelineError
from hybrid.index import Mask, Rows, Snapshot
from hybrid.index.sparse import (
    HIGHEST_WEIGHT,
    SparseRows,
    SparseScorer,
    SparseStatistics,
    top_of_each,
    weights_scorer,
)
from hybrid.ranking import Ranking
from hybrid.types import BranchKind, Document, Progress, Query
from hybrid.values import short_repr

_HIGHEST_QUERY_WEIGHT = 1e6


@dataclass(frozen=True, slots=True, repr=False)
class Sparse:
    """Search by learned sparse vectors: the inner product of the query's and the document's weights.

    Every document and query brings its ready-made weights under the branch's name, as a mapping
    from terms to numbers that are not negative: ``Document(..., vectors={"sparse": {"cat": 1.3}})``.
    They are kept as float16, and the score is that of the kept weights.

    ``query_cut`` is None for exact results. With a number, only so many of the query's terms, the
    heaviest, list candidates, which are then scored by all terms: faster for long queries, and some of
    the best documents may be missing. It may be changed on a built index.
    """

    query_cut: int | None = None
    name: str = "sparse"

    kind: ClassVar[BranchKind] = "sparse"
    takes_vectors: ClassVar[bool] = True
    models: ClassVar[tuple[str, ...]] = ()
    rows: ClassVar[type[Rows]] = SparseRows

    def __post_init__(self) -> None:
        cut = self.query_cut
        if cut is not None and (not isinstance(cut, int) or isinstance(cut, bool) or cut < 1):
            raise PipelineError(
                f"query_cut is {cut!r}; give a whole number of at least 1, or None for all terms"
            )

    def __repr__(self) -> str:
        """Show what differs from the defaults."""
        return short_repr(self)

    def stored(self) -> Mapping[str, Any]:
        """Return what the postings depend on."""
        return {"weights": "float16"}

    def encode_documents(
        self, documents: Sequence[Document], encoders: Encoders, progress: Progress | None = None
    ) -> SparseRows:
        """Check the weights that documents bring."""
        rows = []
        for document in documents:
            if self.name not in document.vectors:
                raise DocumentError(
                    f"document {document.id!r} brings no weights for branch {self.name!r}; give "
                    f"Document(..., vectors={{{self.name!r}: {{'term': 1.0}}}}), an empty mapping for none"
                )
            try:
                rows.append(checked(document.vectors[self.name], f"document {document.id!r}", HIGHEST_WEIGHT))
            except InputError as error:
                raise DocumentError(str(error)) from error
        return SparseRows.from_weights(rows)

    def encode_queries(self, queries: Sequence[Query], encoders: Encoders) -> list[Mapping[str, float]]:
        """Check the weights that queries bring."""
        for query in queries:
            if self.name not in query.vectors:
                raise InputError(
                    f"the query brings no weights for branch {self.name!r}; give "
                    f"Query({query.text!r}, vectors={{{self.name!r}: {{'term': 1.0}}}})"
                )
        return [
            checked(query.vectors[self.name], f"query {query.text!r}", _HIGHEST_QUERY_WEIGHT)
            for query in queries
        ]

    def scorer(self, snapshot: Snapshot, query: Mapping[str, float], mask: Mask) -> SparseScorer:
        """Return the scorer of one query's weights."""
        return weights_scorer(snapshot, self.name, query, mask, self.query_cut)

    def rankings(
        self, snapshot: Snapshot, queries: Sequence[Mapping[str, float]], mask: Mask, k: int
    ) -> list[Ranking]:
        """Return the best ``k`` documents of each query."""
        return top_of_each([self.scorer(snapshot, query, mask) for query in queries], k)

    def brought(self, snapshot: Snapshot, docnum: int) -> Mapping[str, Any]:
        """Return the document's weights, as they are kept."""
        number, ordinal = snapshot.locate(docnum)
        segment = snapshot.segments[number].segment
        rows = segment.cached(f"{self.name}#rows", lambda: SparseRows.read(segment, self.name))
        return {self.name: rows.weights(ordinal)}

    def stats(self, snapshot: Snapshot) -> Mapping[str, int | float]:
        """Return how many weights are stored (those of deleted documents too, until they are merged away)."""
        statistics = SparseStatistics.of(snapshot, self.name)
        return {"weights": sum(postings.docs.size for postings in statistics.postings)}


def checked(weights: Any, whose: str, highest: float) -> dict[str, float]:
    """Return ready-made weights above 0 by term.

    Raises:
        InputError: it is not a mapping from strings to finite numbers from 0 to ``highest``.
    """
    if not isinstance(weights, Mapping):
        raise InputError(f"the weights of {whose} are {weights!r:.80}; give a mapping from terms to numbers")
    found = {}
    for term, weight in weights.items():
        try:
            value = float(weight)
        except (TypeError, ValueError):
            value = math.nan
        if not isinstance(term, str) or not 0 <= value <= highest:
            raise InputError(
                f"the weights of {whose} have {term!r}: {weight!r}; terms are strings, and weights numbers "
                f"from 0 to {highest:g}"
            )
        if value > 0:
            found[term] = value
    return found
