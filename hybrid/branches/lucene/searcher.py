"""The Lucene index of a snapshot's live documents, and searches in it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hybrid import forking
from hybrid.branches.lucene.analysis import IMPACTS, encodable
from hybrid.branches.lucene.files import FIELD, Files, build, open_reader
from hybrid.branches.lucene.jvm import calling, java
from hybrid.branches.lucene.rows import TextRows, analysis_of, lucene_files
from hybrid.index import Snapshot
from hybrid.index.memo import memoized
from hybrid.index.merge import order_by_id
from hybrid.types import Bools, Docnums, Floats

_SEARCH = "org.apache.lucene.search"


@dataclass(frozen=True, slots=True)
class Clause:
    """A term of a query: as the user knows it, as Lucene does, and how much it counts."""

    term: str
    token: str
    weight: float


@dataclass(frozen=True, slots=True)
class Similarity:
    """How Lucene scores: the name of a Java class, and what it is made with."""

    name: str
    arguments: tuple[float, ...] = ()


class LuceneIndex:
    """One Lucene index with no deleted documents, open for searching. Thread-safe.

    ``docnums``: the document of the snapshot that Lucene's document n is, ascending by id; None if n is
    its number, too. So Lucene's own tie-break (the lower number first) is by id.
    """

    def __init__(self, files: Files, docnums: Docnums | None) -> None:
        self.docnums = docnums
        self._files = files  # what the reader reads
        with calling():
            self._reader = open_reader(files)
            self.size = int(self._reader.maxDoc())
            leaves = self._reader.leaves()
            self._leaf = leaves.get(0) if leaves.size() else None

    @classmethod
    def of(cls, snapshot: Snapshot, prefix: str, rows: type[TextRows]) -> LuceneIndex:
        """Return the index of a snapshot's live documents, and of nothing else.

        The one segment of a snapshot without deletes has it ready. For any other snapshot it is built
        from the live documents when it is first asked for, once a process and generation.
        """
        views = snapshot.segments
        if len(views) == 1 and views[0].live is None:
            segment = views[0].segment
            return segment.cached(f"{prefix}#lucene", lambda: cls(lucene_files(segment, prefix), None))
        slot: _Slot = memoized(snapshot, (cls, prefix), _Slot)
        with slot.lock:
            if slot.index is None:
                order = order_by_id(views) if views else np.empty(0, np.int64)
                segments = [view.segment for view in views]
                texts = rows.stream(segments, prefix, order)
                slot.index = cls(build(texts, analysis_of(segments, prefix) if segments else IMPACTS), order)
        return slot.index

    def bits(self, mask: Bools) -> Any:
        """Return a mask over Lucene's documents (bool, shape (size,)) as a Java ``Bits``."""
        padded = np.zeros(-(-self.size // 64) * 64, np.bool_)
        padded[: self.size] = mask
        words = np.packbits(padded, bitorder="little").view("<i8").tolist()
        with calling():
            return java("org.apache.lucene.util.FixedBitSet")(words, self.size)

    def search(
        self, clauses: Sequence[Clause], similarity: Similarity, k: int, bits: Any, *, pruned: bool = False
    ) -> tuple[Docnums, Floats]:
        """Return the best ``k`` of Lucene's documents with a score above 0, and their scores, best first.

        ``bits``: those that may be found; None for all. ``pruned``: whether Lucene may leave out documents
        that cannot be among them (block-max MAXSCORE and WAND), or scores every one.
        """
        k = min(k, self.size)
        if k < 1 or not clauses or self._leaf is None:
            return np.empty(0, np.int64), np.empty(0, np.float32)
        with calling():
            searcher = java(f"{_SEARCH}.IndexSearcher")(self._reader.getContext())
            searcher.setQueryCache(None)
            searcher.setSimilarity(java(similarity.name)(*similarity.arguments))
            mode = java(f"{_SEARCH}.ScoreMode")
            weight = searcher.createWeight(
                searcher.rewrite(_query(clauses)), mode.TOP_SCORES if pruned else mode.COMPLETE, 1.0
            )
            collector = java(f"{_SEARCH}.TopScoreDocCollector").create(k, k)
            scorer = weight.bulkScorer(self._leaf)
            if scorer is not None:  # else no document has a term
                scorer.score(collector.getLeafCollector(self._leaf), bits, 0, self.size)
            mapper = java("com.fasterxml.jackson.databind.ObjectMapper")()
            found = json.loads(mapper.writeValueAsBytes(collector.topDocs()).tostring())["scoreDocs"]
        scores = np.array([each["score"] for each in found], np.float32)
        documents = np.array([each["doc"] for each in found], np.int64)
        return documents[scores > 0], scores[scores > 0]


class _Slot:
    """Where the index of a snapshot is kept, once it is built."""

    def __init__(self) -> None:
        self.lock = forking.Lock()
        self.index: LuceneIndex | None = None


def _query(clauses: Sequence[Clause]) -> Any:
    """Return a query for any of the terms, as Anserini makes it."""
    builder = java(f"{_SEARCH}.BooleanQuery$Builder")()
    should = java(f"{_SEARCH}.BooleanClause$Occur").SHOULD
    for clause in clauses:
        term = java("org.apache.lucene.index.Term")(FIELD, encodable(clause.token))
        query = java(f"{_SEARCH}.TermQuery")(term)
        builder.add(java(f"{_SEARCH}.BoostQuery")(query, clause.weight), should)
    return builder.build()
