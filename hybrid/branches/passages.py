"""A branch over passages: it compares passages, and ranks documents.

A document's score is that of its best passage, or the mean or the sum of its best few. Every document is
scored so, listed or not: nothing counts as 0 because it was not in a list of passages.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from hybrid.batches import Representation
from hybrid.branches.base import Branch, Encoders
from hybrid.errors import PipelineError
from hybrid.index import Mask, Merging, Snapshot
from hybrid.index.passages import Grouped, GroupedRows, PassageSnapshot, passages_of
from hybrid.ranking import Ranking, best, empty_ranking
from hybrid.text.chunking import Chunker, Recursive
from hybrid.threads import parallel
from hybrid.types import BranchKind, Docnums, Document, Floats, Progress, Query, Scorer, TermMatch

Aggregate: TypeAlias = Literal["mean", "sum"]

_FIRST_DEPTH = 4
_GROWTH = 4


@dataclass(frozen=True, slots=True)
class Passages:
    """How documents are cut into passages, and how passages' scores become documents'.

    ``chunker``: how they are cut; within what every model of the pipeline reads at once, or
    ``words`` words where there is no model. ``best``: how many of a document's passages count for its score,
    the best; 1 for the best alone. ``aggregate``: their "mean" (of as many as there are), or their "sum".
    ``best`` and ``aggregate`` may be changed on a built index.
    """

    chunker: Chunker = field(default_factory=Recursive)
    best: int = 1
    aggregate: Aggregate = "mean"
    words: int = 200

    def __post_init__(self) -> None:
        if not hasattr(self.chunker, "passages") or isinstance(self.chunker, type):
            raise PipelineError(f"chunker is {self.chunker!r}; give a chunker such as Recursive()")
        for name in ("best", "words"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise PipelineError(f"{name} is {value!r}; give a whole number of at least 1")
        if self.aggregate not in get_args(Aggregate):
            raise PipelineError(
                f"aggregate is {self.aggregate!r}; accepted: {', '.join(get_args(Aggregate))}"
            )

    def stored(self) -> dict[str, Any]:
        """Return what the stored passages depend on."""
        return {"passages": repr(self.chunker), "words": self.words}

    def combined(self, scores: Floats, bounds: NDArray[np.int64]) -> Floats:
        """Return documents' scores, float32; those of document i's passages are from bounds[i], one at least.

        >>> Passages(best=2).combined(np.float32([1, 5, 2, 7]), np.array([0, 3, 4])).tolist()
        [3.5, 7.0]
        """
        if not len(bounds) - 1:
            return np.empty(0, np.float32)
        if self.best == 1:
            return np.maximum.reduceat(scores, bounds[:-1])
        sizes = np.diff(bounds)
        order = np.lexsort((-scores, np.repeat(np.arange(len(sizes)), sizes)))
        place = np.arange(len(scores)) - np.repeat(bounds[:-1], sizes)
        counted = np.where(place < self.best, scores[order].astype(np.float64), 0.0)
        sums = np.add.reduceat(counted, bounds[:-1])
        if self.aggregate == "mean":
            sums /= np.minimum(sizes, self.best)
        return sums.astype(np.float32)

    def bound(self, score: float) -> float:
        """Return the highest score of a document none of whose passages scores more."""
        return score * self.best if self.aggregate == "sum" and score > 0 else score

    def lowest(self, score: float) -> float:
        """Return the lowest score of a document none of whose passages scores less."""
        return score * self.best if self.aggregate == "sum" and score < 0 else score


@dataclass(frozen=True, slots=True, eq=False)
class OverPassages:
    """A branch as it searches passages: a `Branch`, but that what it encodes is cut already."""

    branch: Branch
    passages: Passages

    @property
    def name(self) -> str:
        """The branch's."""
        return self.branch.name

    @property
    def kind(self) -> BranchKind:
        """The branch's."""
        return self.branch.kind

    @property
    def model(self) -> str | None:
        """The branch's."""
        return self.branch.model

    @property
    def takes_vectors(self) -> bool:
        """Whether queries may bring ready-made vectors for it; documents that are cut bring none."""
        return self.branch.takes_vectors

    @property
    def representation(self) -> Representation | None:
        """The branch's."""
        return self.branch.representation

    @property
    def rows(self) -> Merging:
        """How its rows are merged."""
        return GroupedRows(self.branch.rows)

    def stored(self) -> Mapping[str, Any]:
        """Return the settings that the stored rows depend on."""
        return {**self.branch.stored(), **self.passages.stored()}

    def encode_documents(
        self, documents: Sequence[Document], encoders: Encoders, progress: Progress | None = None
    ) -> Grouped:
        """Turn documents that are cut already, a `Cut`, into rows."""
        bounds = getattr(documents, "bounds", None)
        if bounds is None:
            raise TypeError("documents that are cut are needed: see Cut")
        return Grouped(bounds, self.branch.encode_documents(documents, encoders, progress))

    def encode_queries(self, queries: Sequence[Query], encoders: Encoders) -> list[Any]:
        """Turn queries into what `scorer` takes, in order."""
        return self.branch.encode_queries(queries, encoders)

    def scorer(self, snapshot: Snapshot, query: Any, mask: Mask) -> DocumentScorer:
        """Return the scorer of one encoded query over the documents that the mask lets through."""
        inner = passages_of(snapshot)
        scorer = self.branch.scorer(inner, query, inner.masked(mask))
        return DocumentScorer(scorer, snapshot, inner, mask, self.passages)

    def rankings(self, snapshot: Snapshot, queries: Sequence[Any], mask: Mask, k: int) -> list[Ranking]:
        """Return the best ``k`` documents of each query."""
        return parallel(lambda query: self.scorer(snapshot, query, mask).top(k), queries)

    def brought(self, snapshot: Snapshot, docnum: int) -> Mapping[str, Any]:
        """Return no vectors: documents that are cut bring none."""
        return {}

    def stats(self, snapshot: Snapshot) -> Mapping[str, int | float]:
        """Return the branch's figures, which count passages."""
        return self.branch.stats(passages_of(snapshot))


class Cut(Sequence[Document]):
    """Passages of documents, each as a document; ``bounds``: where those of each begin, int64 (n + 1,)."""

    def __init__(self, passages: Sequence[Document], bounds: NDArray[np.int64]) -> None:
        self._passages, self.bounds = passages, bounds

    def __len__(self) -> int:
        return len(self._passages)

    def __getitem__(self, at: Any) -> Any:
        """Return the passage at a position."""
        return self._passages[at]


class DocumentScorer:
    """A scorer of passages, as one of their documents."""

    def __init__(
        self, scorer: Scorer, snapshot: Snapshot, passages: PassageSnapshot, mask: Mask, how: Passages
    ) -> None:
        self.scorer, self._snapshot, self._passages = scorer, snapshot, passages
        self._mask, self._how = mask, how

    @property
    def exact(self) -> bool:
        """Whether the scorer's own list is."""
        return self.scorer.exact

    @property
    def eligible(self) -> int:
        """How many documents the mask lets through."""
        return self._mask.count

    @property
    def lower_bound(self) -> float:
        """The lowest score that a document could have."""
        return self._how.lowest(self.scorer.lower_bound)

    def top(self, k: int) -> Ranking:
        """Return the best ``k`` documents that have a ranked passage.

        Passages are listed until no document without a listed one can be among the best (the threshold
        algorithm of Fagin, Lotem and Naor 2003, with one list).
        """
        if k <= 0:
            return empty_ranking()
        depth = max(k * _FIRST_DEPTH, 64)
        while True:
            listed = self.scorer.top(depth)
            docnums = np.unique(self._passages.homes(listed.docnums))
            found = best(docnums, self.scores(docnums), k, self._snapshot.tie_keys)
            if len(listed) < depth or depth >= self.scorer.eligible:
                return found
            unseen = self._how.bound(float(listed.scores[-1]))
            if len(found) == k and float(found.scores[-1]) > unseen:
                return found
            depth *= _GROWTH

    def scores(self, docnums: Docnums) -> Floats:
        """Return the true score of each given document."""
        bounds, passages = self._passages.of(docnums)
        return self._how.combined(self.scorer.scores(passages), bounds)

    def ranks(self, docnums: Docnums) -> NDArray[np.int64]:
        """Return each document's true rank from 1, or 0 where it is not ranked."""
        wanted = np.asarray(docnums, np.int64)
        k = 256
        while True:
            listed = self.top(k)
            order = np.argsort(listed.docnums)
            at = np.searchsorted(listed.docnums[order], wanted)
            at = np.minimum(at, max(len(order) - 1, 0))
            known = listed.docnums[order][at] == wanted if len(order) else np.zeros(len(wanted), np.bool_)
            if known.all() or len(listed) < k or k >= self.eligible:
                ranks = np.zeros(len(wanted), np.int64)
                ranks[known] = order[at[known]] + 1
                return ranks
            k *= _GROWTH

    def minimum(self) -> float:
        """Return the lowest score among all eligible documents."""
        docnums = np.concatenate(
            [
                view.base + (np.arange(view.size) if part is None else np.flatnonzero(part))
                for view, part in zip(self._snapshot.segments, self._mask.parts, strict=True)
            ]
        )
        return float(self.scores(docnums).min()) if len(docnums) else 0.0

    def matches(self, docnum: int) -> list[TermMatch]:
        """Return what the passages that count match, each term once, with what it adds to the score."""
        _, passages = self._passages.of(np.array([docnum], np.int64))
        counted = passages[np.argsort(-self.scorer.scores(passages), kind="stable")][: self._how.best]
        if len(counted) == 1:
            return self.scorer.matches(int(counted[0]))
        share = len(counted) if self._how.aggregate == "mean" else 1
        found: dict[str, TermMatch] = {}
        for match in (match for passage in counted.tolist() for match in self.scorer.matches(passage)):
            before = found[match.term].score if match.term in found else 0.0
            found[match.term] = replace(match, score=before + match.score / share)
        return sorted(found.values(), key=lambda match: (-match.score, match.term))
