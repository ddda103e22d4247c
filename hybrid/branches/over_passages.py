"""A branch over passages: it compares passages, and ranks documents.

Nothing counts as 0 because it was not in a list of passages: every document is scored by its best, listed or
not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybrid.batches import Representation
from hybrid.branches.base import Branch, Encoders
from hybrid.branches.passages import Passages
from hybrid.index import Mask, Merging, Snapshot
from hybrid.index.passages import PREFIX, Grouped, GroupedRows, PassageSnapshot, passages_of
from hybrid.ranking import Ranking, best, empty_ranking
from hybrid.threads import parallel
from hybrid.types import BranchKind, Docnums, Document, Floats, Progress, Query, Scorer, TermMatch

_FIRST_DEPTH = 4
_GROWTH = 4


@dataclass(frozen=True, slots=True)
class OverPassages:
    """A branch as it searches passages: a `Branch`, but that what it encodes is cut already.

    ``prefix``: under which name segments hold which passages are whose.
    """

    branch: Branch
    passages: Passages
    prefix: str = PREFIX

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
        return GroupedRows(self.branch.rows, self.prefix)

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

    def scorer(self, snapshot: Snapshot, query: Any, mask: Mask) -> Scorer:
        """Return the scorer of one encoded query over the documents that the mask lets through."""
        if self.whole(snapshot):
            return self.branch.scorer(snapshot, query, mask)
        inner = passages_of(snapshot, self.prefix)
        scorer = self.branch.scorer(inner, query, inner.masked(mask))
        return DocumentScorer(scorer, snapshot, inner, mask, self.passages)

    def rankings(self, snapshot: Snapshot, queries: Sequence[Any], mask: Mask, k: int) -> list[Ranking]:
        """Return the best ``k`` documents of each query."""
        if self.whole(snapshot):
            return self.branch.rankings(snapshot, queries, mask, k)
        return parallel(lambda query: self.scorer(snapshot, query, mask).top(k), queries)

    def whole(self, snapshot: Snapshot) -> bool:
        """Whether only long documents are cut, and there are none: then passages are the documents."""
        return self.passages.cut == "long" and passages_of(snapshot, self.prefix).uncut

    def first(self, snapshot: Snapshot, docnums: Docnums) -> tuple[Snapshot, Docnums]:
        """Return the passages that documents begin with: their snapshot, and their numbers in it."""
        inner = passages_of(snapshot, self.prefix)
        return inner, inner.bounds[docnums]

    def brought(self, snapshot: Snapshot, docnum: int) -> Mapping[str, Any]:
        """Return no vectors: what is cut brings none, and a model can make the others again."""
        return {}

    def stats(self, snapshot: Snapshot) -> Mapping[str, int | float]:
        """Return the branch's figures, which count passages, and how many there are where they differ."""
        inner = passages_of(snapshot, self.prefix)
        if self.whole(snapshot):
            return self.branch.stats(inner)
        return {**self.branch.stats(inner), "passages": inner.live}


class Cut(Sequence[Document]):
    """Passages of documents, each as a document; ``bounds``: where those of each begin, int64 (n + 1,).

    ``wholes``: the documents themselves; ``spans``: where each passage stands in its own, (passages, 2). Both
    may be missing where no branch reads them.
    """

    def __init__(
        self,
        passages: Sequence[Document],
        bounds: NDArray[np.int64],
        wholes: Sequence[Document] = (),
        spans: NDArray[np.int64] | None = None,
    ) -> None:
        self._passages, self.bounds = passages, bounds
        self.wholes, self.spans = wholes, spans

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
        self.scorer, self.passages, self.how = scorer, passages, how
        self._snapshot, self._mask = snapshot, mask

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
        return self.how.lowest(self.scorer.lower_bound)

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
            docnums = np.unique(self.passages.homes(listed.docnums))
            found = best(docnums, self.scores(docnums), k, self._snapshot.tie_keys)
            if len(listed) < depth or depth >= self.scorer.eligible:
                return found
            unseen = self.how.bound(float(listed.scores[-1]))
            if len(found) == k and float(found.scores[-1]) > unseen:
                return found
            depth *= _GROWTH

    def scores(self, docnums: Docnums) -> Floats:
        """Return the true score of each given document."""
        bounds, passages = self.passages.of(docnums)
        return self.how.combined(self.scorer.scores(passages), bounds)

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
        _, passages = self.passages.of(np.array([docnum], np.int64))
        counted = passages[np.argsort(-self.scorer.scores(passages), kind="stable")][: self.how.best]
        if len(counted) == 1:
            return self.scorer.matches(int(counted[0]))
        share = len(counted) if self.how.aggregate == "mean" else 1
        found: dict[str, TermMatch] = {}
        for match in (match for passage in counted.tolist() for match in self.scorer.matches(passage)):
            before = found[match.term].score if match.term in found else 0.0
            found[match.term] = replace(match, score=before + match.score / share)
        return sorted(found.values(), key=lambda match: (-match.score, match.term))
