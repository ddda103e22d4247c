"""The BM25 branch: an analyzer in front of postings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, ClassVar, NamedTuple, cast

from hybrid.batches import Representation
from hybrid.branches.base import Encoders
from hybrid.branches.feedback import RM3, respelled
from hybrid.branches.passages import Passages
from hybrid.errors import PipelineError
from hybrid.index import Mask, Rows, Snapshot
from hybrid.index.sparse import SparseRows, SparseScorer, SparseStatistics, bm25_scorer, top_of_each
from hybrid.index.sparse.postings import narrow
from hybrid.index.strings import Strings
from hybrid.kernels.weighting import Weighting
from hybrid.ranking import Ranking
from hybrid.text import Analyzer, Cleaning, analyse, analysis_fingerprint, analyzer, analyzer_names
from hybrid.types import BranchKind, Document, Progress, Query
from hybrid.values import short_repr

_HIGHEST = 1e6


@dataclass(frozen=True, slots=True)
class FieldWeights:
    """How much a term counts in the title and in the text; both at least 0, one of them above."""

    title: float = 1.0
    text: float = 1.0

    def __post_init__(self) -> None:
        for name, weight in zip(("title", "text"), self.values(), strict=True):
            number = isinstance(weight, int | float) and not isinstance(weight, bool)
            if not number or not 0 <= weight <= _HIGHEST:
                raise PipelineError(
                    f"the weight of field {name!r} is {weight!r}; give a number from 0 to {_HIGHEST:g}"
                )
        if not any(self.values()):
            raise PipelineError("both fields have weight 0; give at least one of them more")

    def values(self) -> tuple[float, float]:
        """Return the weights of title and text."""
        return (self.title, self.text)


@lru_cache(maxsize=64)
def _weighting(variant: str, k1: float, b: float, delta: float | None) -> Weighting:
    """Return a formula, checked once: every query asks for it."""
    return Weighting(variant=variant, k1=k1, b=b, delta=delta)


def spelling(value: Analyzer) -> str | Analyzer:
    """Return the shortest thing that stands for an analyzer: a preset's name, or the analyzer itself."""
    preset = value.name in analyzer_names() and value == analyzer(value.name)
    return value.name if preset else value


class Terms(NamedTuple):
    """An encoded query: its terms, and how the texts of the collection were cleaned, if that matters."""

    terms: list[str] | dict[str, float]
    cleaning: Cleaning | None = None


@dataclass(frozen=True, slots=True, repr=False)
class BM25:
    """Exact lexical search (Robertson and Zaragoza 2009), with the variants of Kamphuis et al. 2020.

    ``k1`` is the term-frequency saturation, ``b`` the length normalisation, ``variant`` one of
    lucene, robertson, atire, bm25l, bm25+, and ``delta`` the lower bound that bm25l and bm25+ add
    (the papers' 0.5 and 1 if it is not given; the others have none).
    ``analyzer`` is a preset's name or an `Analyzer`. ``fields`` is None for title and text as one
    field, or a weight for each of them: ``FieldWeights(title=2.0)``, or the same as a mapping (simple
    BM25F: Robertson, Zaragoza and Taylor 2004). ``feedback`` adds terms of the best documents to the
    query (`hybrid.RM3`). ``fuzzy``: where the collection has no word of a query, words up to so many edits
    away stand for them, 1 or 2 (`hybrid.text.spelling`); 0 for none. All but the analyzer, and whether there
    are fields, may be changed on a built index.
    """

    k1: float = 1.2
    b: float = 0.75
    variant: str = "lucene"
    delta: float | None = None
    analyzer: Analyzer | str = "english"
    fields: FieldWeights | Mapping[str, float] | None = None
    name: str = "bm25"
    passages: Passages | None = None
    feedback: RM3 | None = None
    fuzzy: int = field(default=0, metadata={"neutral": True})

    kind: ClassVar[BranchKind] = "sparse"
    takes_vectors: ClassVar[bool] = False
    model: ClassVar[str | None] = None
    representation: ClassVar[Representation | None] = None
    rows: ClassVar[type[Rows]] = SparseRows

    def __post_init__(self) -> None:
        weighting = Weighting(variant=self.variant, k1=self.k1, b=self.b, delta=self.delta)
        for name in ("k1", "b", "delta"):  # as the formula uses them: a recipe spells them out
            object.__setattr__(self, name, getattr(weighting, name))
        if isinstance(self.analyzer, str):
            object.__setattr__(self, "analyzer", analyzer(self.analyzer))
        elif not isinstance(self.analyzer, Analyzer):
            raise PipelineError(
                f"analyzer is {self.analyzer!r}; give a preset's name such as 'english', or an Analyzer"
            )
        if self.feedback is not None and not isinstance(self.feedback, RM3):
            raise PipelineError(f"feedback is {self.feedback!r}; give RM3(), or None for none")
        if self.fuzzy not in (0, 1, 2) or isinstance(self.fuzzy, bool):
            raise PipelineError(f"fuzzy is {self.fuzzy!r}; give 0, 1 or 2")
        if isinstance(self.fields, Mapping):
            if not set(self.fields) <= {"title", "text"}:
                raise PipelineError(f"fields is {dict(self.fields)!r}; the fields are title and text")
            object.__setattr__(self, "fields", FieldWeights(**self.fields))
        elif self.fields is not None and not isinstance(self.fields, FieldWeights):
            raise PipelineError(
                f"fields is {self.fields!r}; give a weight for title and text, such as "
                "FieldWeights(title=2.0), or nothing for both as one field"
            )

    def __repr__(self) -> str:
        """Show the analyzer, and what else differs from the defaults."""
        return short_repr(self, analyzer=spelling(cast("Analyzer", self.analyzer)))

    def weighting(self) -> Weighting:
        """Return the formula with its parameters."""
        return _weighting(self.variant, self.k1, self.b, self.delta)

    def stored(self) -> Mapping[str, Any]:
        """Return what the postings depend on: the analysis and the fields."""
        return {
            "analyzer": repr(self.analyzer),
            "analysis": analysis_fingerprint(cast("Analyzer", self.analyzer)),
            "fields": self.fields is not None,
        }

    def encode_documents(
        self, documents: Sequence[Document], encoders: Encoders, progress: Progress | None = None
    ) -> SparseRows:
        """Analyse documents into terms and counts."""
        if progress is not None:
            progress(f"analyse {self.name}", 0, len(documents))
        if self.fields is None:
            texts, fields = [document.content for document in documents], 1
        else:
            texts, fields = [text for d in documents for text in (d.title, d.text)], 2
        found = analyse(cast("Analyzer", self.analyzer), texts, fields)
        if progress is not None:
            progress(f"analyse {self.name}", len(documents), len(documents))
        vocabulary = Strings(found.vocabulary, found.offsets)
        return SparseRows(vocabulary, found.indptr, found.terms, narrow(found.counts), found.lengths)

    def encode_queries(self, queries: Sequence[Query], encoders: Encoders) -> list[Terms]:
        """Analyse queries into terms."""
        analyse_one = cast("Analyzer", self.analyzer).terms
        return [Terms(analyse_one(query.text), encoders.cleaning) for query in queries]

    def mixed(self, queries: Sequence[tuple[Terms, float]]) -> Terms:
        """Return one query for several with their shares: the terms of all, each counted by its shares."""
        terms: dict[str, float] = {}
        for query, share in queries:
            for term, count in Counter(query.terms).items():
                terms[term] = terms.get(term, 0.0) + share * count
        return Terms({term: count for term, count in terms.items() if count > 0}, queries[0][0].cleaning)

    def encode_written(self, texts: Sequence[str], encoders: Encoders) -> list[Terms]:
        """Turn written passages into queries: their terms."""
        return self.encode_queries([Query(text) for text in texts], encoders)

    def scorer(self, snapshot: Snapshot, query: Terms, mask: Mask) -> SparseScorer:
        """Return the BM25 scorer of one query's terms."""
        terms: Sequence[str] | Mapping[str, float] = query.terms
        if self.fuzzy and query.terms:
            statistics = SparseStatistics.of(snapshot, self.name)
            if not any(statistics.term(term).frequency for term in query.terms):
                terms = respelled(query.terms, statistics, self.fuzzy)
        if self.feedback is not None:
            terms = self._expanded(snapshot, terms, query.cleaning, self.feedback)
        return self._plain(snapshot, terms, mask)

    def _plain(
        self, snapshot: Snapshot, terms: Sequence[str] | Mapping[str, float], mask: Mask
    ) -> SparseScorer:
        weights = None if self.fields is None else cast("FieldWeights", self.fields).values()
        return bm25_scorer(snapshot, self.name, terms, self.weighting(), weights, mask)

    def _expanded(
        self,
        snapshot: Snapshot,
        terms: Sequence[str] | Mapping[str, float],
        cleaning: Cleaning | None,
        feedback: RM3,
    ) -> Mapping[str, float]:
        """Return the query with terms of its best documents."""
        listed = self._plain(snapshot, terms, snapshot.mask(None)).top(feedback.documents)
        analyse_one, statistics = (
            cast("Analyzer", self.analyzer).terms,
            SparseStatistics.of(snapshot, self.name),
        )
        texts = (document.content for document in snapshot.documents(listed.docnums))
        seen = (text if cleaning is None else cleaning.document(text) for text in texts)
        return feedback.expanded(
            terms if isinstance(terms, Mapping) else Counter(terms),
            zip(map(analyse_one, seen), listed.scores.tolist(), strict=True),
            lambda term: statistics.term(term).frequency / max(1, statistics.documents),
        )

    def rankings(self, snapshot: Snapshot, queries: Sequence[Terms], mask: Mask, k: int) -> list[Ranking]:
        """Return the best ``k`` documents of each query."""
        return top_of_each([self.scorer(snapshot, query, mask) for query in queries], k)

    def brought(self, snapshot: Snapshot, docnum: int) -> Mapping[str, Any]:
        """Return nothing: the text is enough."""
        return {}

    def stats(self, snapshot: Snapshot) -> Mapping[str, int | float]:
        """Return the number of terms in the live documents, and per document on average."""
        statistics = SparseStatistics.of(snapshot, self.name)
        total = sum(statistics.total_lengths)
        return {
            "terms": total,
            "average_length": total / statistics.documents if statistics.documents else 0.0,
        }
