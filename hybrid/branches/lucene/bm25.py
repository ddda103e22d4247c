"""The Lucene BM25 branch: Lucene's analyzers, postings and BM25, as pyserini and Anserini use them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from hybrid.batches import Representation
from hybrid.branches.base import Encoders
from hybrid.branches.lucene.analysis import ANALYZERS, LuceneAnalyzer, fingerprint
from hybrid.branches.lucene.rows import TextRows, lucene_files
from hybrid.branches.lucene.scorer import LuceneScorer
from hybrid.branches.lucene.searcher import Clause, LuceneIndex, Similarity
from hybrid.errors import PipelineError
from hybrid.index import Mask, Rows, Snapshot
from hybrid.index.strings import Strings
from hybrid.ranking import Ranking
from hybrid.types import BranchKind, Document, Progress, Query
from hybrid.values import short_repr

_BM25 = "org.apache.lucene.search.similarities.BM25Similarity"
_HIGHEST = 1e6


@dataclass(frozen=True, slots=True, repr=False)
class LuceneBM25:
    """BM25 by Apache Lucene, over an index that Lucene builds from title and text as one field.

    It gives what pyserini gives, in one index with the other branches. `BM25` is the faster one, and
    exact in document lengths, which Lucene keeps in one byte (lengths up to 39 terms exactly).

    ``k1`` and ``b`` are Anserini's unless they are given, and may be changed on a built index.
    ``analyzer`` is the name of one of Lucene's (`ANALYZERS`). Statistics are those of the live
    documents that have a term at all, whatever was deleted: Lucene's count deleted documents until
    they are merged away, so an index that is not one segment without deletes is built anew, from the stored
    texts, when a process first searches it. `optimize` makes that unnecessary.

    Needs Java 21 and the extra ``lucene``.
    """

    k1: float = 0.9
    b: float = 0.4
    analyzer: str = "english"
    name: str = "lucene"

    kind: ClassVar[BranchKind] = "sparse"
    takes_vectors: ClassVar[bool] = False
    model: ClassVar[str | None] = None
    representation: ClassVar[Representation | None] = None
    rows: ClassVar[type[Rows]] = TextRows

    def __post_init__(self) -> None:
        for name, highest in (("k1", _HIGHEST), ("b", 1)):
            value = getattr(self, name)
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if not number or not 0 <= value <= highest:
                raise PipelineError(f"{name} is {value!r}; give a number from 0 to {highest:g}")
            object.__setattr__(self, name, float(value))
        if self.analyzer not in ANALYZERS:
            raise PipelineError(f"analyzer is {self.analyzer!r}; Lucene's are {', '.join(sorted(ANALYZERS))}")

    def __repr__(self) -> str:
        """Show what differs from the defaults."""
        return short_repr(self)

    def stored(self) -> Mapping[str, Any]:
        """Return what the index depends on: the analyzer, and what it does."""
        return {"analyzer": self.analyzer, "analysis": fingerprint(self.analyzer)}

    def encode_documents(
        self, documents: Sequence[Document], encoders: Encoders, progress: Progress | None = None
    ) -> TextRows:
        """Return the documents' texts; Lucene analyses them when they are written."""
        return TextRows(Strings.of([document.content.encode() for document in documents]), self.analyzer)

    def encode_queries(self, queries: Sequence[Query], encoders: Encoders) -> list[list[str]]:
        """Analyse queries into terms."""
        return [LuceneAnalyzer(self.analyzer).terms(query.text) for query in queries]

    def scorer(self, snapshot: Snapshot, query: list[str], mask: Mask) -> LuceneScorer:
        """Return the scorer of one query's terms; a repeated one counts as often as it is repeated."""
        clauses = [Clause(term, term, float(count)) for term, count in Counter(query).items()]
        index = LuceneIndex.of(snapshot, self.name, TextRows)
        return LuceneScorer(snapshot, index, Similarity(_BM25, (self.k1, self.b)), clauses, mask)

    def rankings(self, snapshot: Snapshot, queries: Sequence[list[str]], mask: Mask, k: int) -> list[Ranking]:
        """Return the best ``k`` documents of each query."""
        return [self.scorer(snapshot, query, mask).top(k) for query in queries]

    def brought(self, snapshot: Snapshot, docnum: int) -> Mapping[str, Any]:
        """Return nothing: the text is enough."""
        return {}

    def stats(self, snapshot: Snapshot) -> Mapping[str, int | float]:
        """Return the bytes of Lucene's files (those of deleted documents too, until they are merged away)."""
        return {"lucene_bytes": bytes_of(snapshot, self.name)}


def bytes_of(snapshot: Snapshot, prefix: str) -> int:
    """Return the bytes of the files of Lucene in a snapshot's segments."""
    found = (lucene_files(view.segment, prefix) for view in snapshot.segments)
    return sum(content.nbytes for files in found for content in files.values())
