"""The Lucene impact branch: learned weights as whole numbers in Lucene's postings."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from hybrid.batches import Representation
from hybrid.branches.base import Encoders
from hybrid.branches.lucene.analysis import IMPACTS, LONGEST_TERM
from hybrid.branches.lucene.bm25 import bytes_of
from hybrid.branches.lucene.jvm import java
from hybrid.branches.lucene.rows import ImpactRows
from hybrid.branches.lucene.scorer import LuceneScorer
from hybrid.branches.lucene.searcher import Clause, LuceneIndex, Similarity
from hybrid.branches.sparse import Sparse, by_term, checked
from hybrid.errors import DocumentError, EncoderError, InputError, PipelineError
from hybrid.index import Mask, Rows, Snapshot
from hybrid.index.strings import Strings
from hybrid.ranking import Ranking
from hybrid.types import BranchKind, Document, Progress, Query
from hybrid.values import short_repr

HIGHEST_IMPACT = 65_535
_IMPACT = "io.anserini.search.similarity.ImpactSimilarity"
_HIGHEST_SCALE = 1e6
_HIGHEST_WEIGHT = 1e6
_UNSAFE = re.compile(r"[\s|%\x00-\x20\ud800-\udfff]")
_ESCAPED = re.compile(r"%([0-9a-f]*);")


@dataclass(frozen=True, slots=True, repr=False)
class LuceneImpact:
    """Learned sparse weights in a Lucene index, as Anserini keeps those of SPLADE, uniCOIL and their like.

    A document's weight is multiplied by ``scale`` and rounded to a whole number, its **impact**, which
    Lucene keeps as the count of the term; 0 is left out, and the highest is 65,535. A score is
    Σ query weight · impact / scale. ``scale=1`` is for weights that are whole numbers already.

    ``model``: a model that gives sparse weights; None if documents and queries bring theirs, as for
    `Sparse`. ``scale`` and ``model`` belong to the built index. As for `LuceneBM25`, an index that is not
    one segment without deletes is built anew when a process first searches it.

    Needs Java 21 and the extra ``lucene``.
    """

    model: str | None = None
    scale: float = 100.0
    name: str = "impact"

    kind: ClassVar[BranchKind] = "sparse"
    takes_vectors: ClassVar[bool] = True
    rows: ClassVar[type[Rows]] = ImpactRows
    representation: ClassVar[Representation | None] = "sparse"

    def __post_init__(self) -> None:
        if self.model is not None and (not isinstance(self.model, str) or not self.model):
            raise PipelineError(f"model is {self.model!r}; give a model's name")
        number = isinstance(self.scale, int | float) and not isinstance(self.scale, bool)
        if not number or not 0 < self.scale <= _HIGHEST_SCALE:
            raise PipelineError(
                f"scale is {self.scale!r}; give a number above 0 and up to {_HIGHEST_SCALE:g}"
            )
        object.__setattr__(self, "scale", float(self.scale))

    def __repr__(self) -> str:
        """Show what differs from the defaults."""
        return short_repr(self)

    def stored(self) -> Mapping[str, Any]:
        """Return what the index depends on."""
        java("java.lang.System")  # opening such an index says at once if Java is missing
        return {"scale": self.scale, **({"model": self.model} if self.model is not None else {})}

    def encode_documents(
        self, documents: Sequence[Document], encoders: Encoders, progress: Progress | None = None
    ) -> ImpactRows:
        """Encode the documents that bring no weights; check the weights that are brought."""
        texts: dict[int, str] = {}
        for n, document in enumerate(documents):
            if self.name in document.vectors:
                try:
                    texts[n] = self._text(document.vectors[self.name], f"document {document.id!r}")
                except InputError as error:
                    raise DocumentError(str(error)) from error
        rest = [n for n in range(len(documents)) if n not in texts]
        if rest and self.model is None:
            raise DocumentError(
                f"document {documents[rest[0]].id!r} brings no weights for branch {self.name!r}, which has "
                f"no model; give Document(..., vectors={{{self.name!r}: {{'term': 1.0}}}}), an empty mapping "
                "for none, or give the branch a model"
            )
        if rest and self.model is not None:
            encoder = encoders.sparse(self.model)
            batch = encoder.encode_documents([documents[n].content for n in rest], progress)
            try:
                for n, weights in zip(rest, by_term(batch, encoder.vocabulary), strict=True):
                    texts[n] = self._text(weights, f"document {documents[n].id!r}")
            except InputError as error:
                raise EncoderError(f"model {self.model!r} gave unusable weights: {error}") from error
        return ImpactRows(Strings.of([texts[n].encode() for n in range(len(documents))]), IMPACTS)

    def encode_queries(self, queries: Sequence[Query], encoders: Encoders) -> list[Mapping[str, float]]:
        """Encode the queries that bring no weights; check the weights that are brought."""
        return Sparse(self.model, name=self.name).encode_queries(queries, encoders)

    def scorer(self, snapshot: Snapshot, query: Mapping[str, float], mask: Mask) -> LuceneScorer:
        """Return the scorer of one query's weights."""
        clauses = [Clause(term, escaped(term), weight / self.scale) for term, weight in query.items()]
        index = LuceneIndex.of(snapshot, self.name, ImpactRows)
        return LuceneScorer(snapshot, index, Similarity(_IMPACT), clauses, mask)

    def rankings(
        self, snapshot: Snapshot, queries: Sequence[Mapping[str, float]], mask: Mask, k: int
    ) -> list[Ranking]:
        """Return the best ``k`` documents of each query."""
        return [self.scorer(snapshot, query, mask).top(k) for query in queries]

    def brought(self, snapshot: Snapshot, docnum: int) -> Mapping[str, Any]:
        """Return the document's weights, as they are kept, if there is no model to make them."""
        if self.model is not None:
            return {}
        number, ordinal = snapshot.locate(docnum)
        segment = snapshot.segments[number].segment
        (text,) = ImpactRows.stream([segment], self.name, np.array([ordinal]))
        pairs = (token.rpartition("|") for token in text.split(" ") if token)
        return {self.name: {unescaped(term): int(impact) / self.scale for term, _, impact in pairs}}

    def stats(self, snapshot: Snapshot) -> Mapping[str, int | float]:
        """Return the bytes of Lucene's files (those of deleted documents too, until they are merged away)."""
        return {"lucene_bytes": bytes_of(snapshot, self.name)}

    def _text(self, given: Any, whose: str) -> str:
        """Return weights as Lucene's analysis of impacts takes them.

        Raises:
            InputError: they are not weights by term, an impact is too high, or a term too long.
        """
        weights = checked(given, whose, _HIGHEST_WEIGHT)
        tokens = []
        for term, weight in weights.items():
            token, impact = escaped(term), round(weight * self.scale)
            if impact > HIGHEST_IMPACT:
                raise InputError(
                    f"the weights of {whose} have {term[:40]!r}: {weight:g}, times scale {self.scale:g} more "
                    f"than {HIGHEST_IMPACT:,}; build the index with a smaller scale"
                )
            if len(token.encode()) > LONGEST_TERM:
                raise InputError(
                    f"the weights of {whose} have a term of more than {LONGEST_TERM:,} bytes, "
                    f"{term[:40]!r}…; shorten it"
                )
            if impact:
                tokens.append(f"{token}|{impact}")
        return " ".join(tokens)


def escaped(term: str) -> str:
    """Return a term without spaces and bars, which separate terms and weights.

    >>> escaped("a b"), escaped("100%|"), escaped("")
    ('a%20;b', '100%25;%7c;', '%;')
    """
    return _UNSAFE.sub(lambda found: f"%{ord(found[0]):x};", term) or "%;"


def unescaped(token: str) -> str:
    """Return the term that `escaped` made a token of."""
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)) if found[1] else "", token)
