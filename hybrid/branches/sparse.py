"""The sparse branch: learned term weights in front of postings."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar, Literal, TypeAlias

import numpy as np

from hybrid.batches import Representation, SparseBatch
from hybrid.branches.base import Encoders
from hybrid.branches.passages import Passages
from hybrid.errors import DocumentError, EncoderError, InputError, PipelineError
from hybrid.index import Mask, Rows, Snapshot
from hybrid.index.sparse import (
    HIGHEST_WEIGHTS,
    LearnedRows,
    SparseRows,
    SparseScorer,
    SparseStatistics,
    top_of_each,
    truncated_flags,
    weights_scorer,
)
from hybrid.ranking import Ranking
from hybrid.types import BranchKind, Document, Progress, Query
from hybrid.values import short_repr

_HIGHEST_QUERY_WEIGHT = 1e6

WeightStorage: TypeAlias = Literal["float16", "float8"]
_BITS: dict[WeightStorage, int] = {"float16": 16, "float8": 8}


@dataclass(frozen=True, slots=True, repr=False)
class Sparse:
    """Search by learned sparse vectors: the inner product of the query's and the document's weights.

    ``model`` names an encoder that gives sparse weights (SPLADE, BGE-M3). Documents and queries may bring
    ready-made weights under the branch's name, as a mapping from terms to numbers that are not
    negative: ``Document(..., vectors={"sparse": {"cat": 1.3}})``; without a model all must. Documents'
    weights are kept as ``storage`` says: "float16" (to 2^-11 of each), or "float8" (8 bits a weight, from
    2^-9 to 124, to 2^-5 of each), and the score is that of the kept weights.

    ``query_cut`` is None for exact results. With a number, only so many of the query's terms, the
    heaviest, list candidates, which are then scored by all terms: faster for long queries, and some of
    the best documents may be missing. It may be changed on a built index.

    ``document_terms`` and ``query_terms``: how many terms of what the model gives are kept, the heaviest;
    None for all. The score is that of what is kept. ``query_terms`` may be changed on a built index.
    """

    model: str | None = None
    query_cut: int | None = None
    name: str = "sparse"
    document_terms: int | None = None
    query_terms: int | None = None
    storage: WeightStorage = "float16"
    passages: Passages | None = None

    kind: ClassVar[BranchKind] = "sparse"
    takes_vectors: ClassVar[bool] = True
    rows: ClassVar[type[Rows]] = LearnedRows
    representation: ClassVar[Representation | None] = "sparse"

    def __post_init__(self) -> None:
        if self.storage not in _BITS:
            raise PipelineError(f"storage is {self.storage!r}; it is one of {', '.join(_BITS)}")
        if self.model is not None and (not isinstance(self.model, str) or not self.model):
            raise PipelineError(f"model is {self.model!r}; give a model's name")
        for name in ("query_cut", "document_terms", "query_terms"):
            most = getattr(self, name)
            if most is not None and (not isinstance(most, int) or isinstance(most, bool) or most < 1):
                raise PipelineError(
                    f"{name} is {most!r}; give a whole number of at least 1, or None for all terms"
                )
            if most is not None and self.model is None and name != "query_cut":
                raise PipelineError(
                    f"{name} is {most!r}, and the branch has no model whose terms it could cut"
                )

    def __repr__(self) -> str:
        """Show what differs from the defaults."""
        return short_repr(self)

    def stored(self) -> Mapping[str, Any]:
        """Return what the postings depend on."""
        return {
            "weights": self.storage,
            **({"model": self.model} if self.model is not None else {}),
            **({"document_terms": self.document_terms} if self.document_terms is not None else {}),
        }

    def encode_documents(
        self, documents: Sequence[Document], encoders: Encoders, progress: Progress | None = None
    ) -> LearnedRows:
        """Encode the documents that bring no weights; check the weights that are brought."""
        bits = _BITS[self.storage]
        rows: dict[int, Mapping[str, float]] = {}
        for n, document in enumerate(documents):
            if self.name in document.vectors:
                try:
                    rows[n] = checked(
                        document.vectors[self.name], f"document {document.id!r}", HIGHEST_WEIGHTS[bits]
                    )
                except InputError as error:
                    raise DocumentError(str(error)) from error
        rest = [n for n in range(len(documents)) if n not in rows]
        if rest and self.model is None:
            raise DocumentError(
                f"document {documents[rest[0]].id!r} brings no weights for branch {self.name!r}, which has "
                f"no model; give Document(..., vectors={{{self.name!r}: {{'term': 1.0}}}}), an empty mapping "
                "for none, or give the branch a model"
            )
        given = LearnedRows(SparseRows.from_weights(list(rows.values()), bits), np.zeros(len(rows), np.bool_))
        if not rest or self.model is None:
            return given
        encoder = encoders.sparse(self.model)
        batch = encoder.encode_documents([documents[n].content for n in rest], progress)
        self._check(batch, len(encoder.vocabulary), HIGHEST_WEIGHTS[bits])
        if self.document_terms is not None:
            batch = batch.heaviest(self.document_terms)
        encoded = LearnedRows(SparseRows.from_batch(batch, encoder.vocabulary, bits), batch.truncated)
        if not rows:
            return encoded
        return LearnedRows.concat([given, encoded]).take(np.argsort([*rows, *rest]))

    def encode_queries(self, queries: Sequence[Query], encoders: Encoders) -> list[Mapping[str, float]]:
        """Encode the queries that bring no weights; check the weights that are brought."""
        found: dict[int, Mapping[str, float]] = {
            n: checked(query.vectors[self.name], f"query {query.text!r}", _HIGHEST_QUERY_WEIGHT)
            for n, query in enumerate(queries)
            if self.name in query.vectors
        }
        rest = [n for n in range(len(queries)) if n not in found]
        if rest and self.model is None:
            raise InputError(
                f"the query brings no weights for branch {self.name!r}, which has no model; give "
                f"Query({queries[rest[0]].text!r}, vectors={{{self.name!r}: {{'term': 1.0}}}})"
            )
        if rest and self.model is not None:
            encoder = encoders.sparse(self.model)
            batch = encoder.encode_queries([queries[n].text for n in rest])
            self._check(batch, len(encoder.vocabulary), _HIGHEST_QUERY_WEIGHT)
            if self.query_terms is not None:
                batch = batch.heaviest(self.query_terms)
            found |= zip(rest, by_term(batch, encoder.vocabulary), strict=True)
        return [found[n] for n in range(len(queries))]

    def scorer(self, snapshot: Snapshot, query: Mapping[str, float], mask: Mask) -> SparseScorer:
        """Return the scorer of one query's weights."""
        return weights_scorer(snapshot, self.name, query, mask, self.query_cut)

    def rankings(
        self, snapshot: Snapshot, queries: Sequence[Mapping[str, float]], mask: Mask, k: int
    ) -> list[Ranking]:
        """Return the best ``k`` documents of each query."""
        return top_of_each([self.scorer(snapshot, query, mask) for query in queries], k)

    def brought(self, snapshot: Snapshot, docnum: int) -> Mapping[str, Any]:
        """Return the document's weights, as they are kept, if there is no model to make them."""
        if self.model is not None:
            return {}
        number, ordinal = snapshot.locate(docnum)
        segment = snapshot.segments[number].segment
        rows = segment.cached(f"{self.name}#rows", lambda: SparseRows.read(segment, self.name))
        return {self.name: rows.weights(ordinal)}

    def _check(self, batch: SparseBatch, terms: int, highest: float) -> None:
        """Refuse what a model must not give.

        Raises:
            EncoderError: a weight is not finite, not above 0 or too high, or a term is not in the vocabulary.
        """
        if not ((batch.weights > 0) & (batch.weights <= highest)).all():
            wrong = batch.weights[~((batch.weights > 0) & (batch.weights <= highest))][0]
            raise EncoderError(
                f"model {self.model!r} gave the weight {wrong}; it must lie above 0 and up to {highest:g}"
            )
        if len(batch.terms) and not 0 <= int(batch.terms.min()) <= int(batch.terms.max()) < terms:
            raise EncoderError(f"model {self.model!r} gave a term outside its vocabulary of {terms}")

    def stats(self, snapshot: Snapshot) -> Mapping[str, int | float]:
        """Return how many weights are stored, and how many live documents were longer than the window.

        The weights of deleted documents count too, until they are merged away.
        """
        statistics = SparseStatistics.of(snapshot, self.name)
        truncated = 0
        for view, postings in zip(snapshot.segments, statistics.postings, strict=True):
            flags = truncated_flags(view.segment, self.name, postings.documents)
            truncated += int(flags.sum() if view.live is None else flags[view.live].sum())
        return {
            "weights": sum(postings.docs.size for postings in statistics.postings),
            **({"truncated": truncated} if self.model is not None else {}),
        }


def by_term(batch: SparseBatch, vocabulary: Sequence[str]) -> list[Mapping[str, float]]:
    """Return each text's weights by term."""
    return [
        {
            vocabulary[term]: weight
            for term, weight in zip(batch.terms[a:b].tolist(), batch.weights[a:b].tolist(), strict=True)
        }
        for a, b in pairwise(batch.indptr.tolist())
    ]


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
