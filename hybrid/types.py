"""The words every layer shares: documents, queries, and the protocols between layers.

Nothing here does any work: values are frozen dataclasses, seams are small protocols.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from hybrid.batches import DenseBatch, Encoded, Representation, Side, SparseBatch, TokenBatch
from hybrid.ranking import Ranking

JSON: TypeAlias = "bool | int | float | str | Sequence[JSON] | Mapping[str, JSON] | None"
Floats: TypeAlias = NDArray[np.float32]
Doubles: TypeAlias = NDArray[np.float64]
Docnums: TypeAlias = NDArray[np.int64]
Bools: TypeAlias = NDArray[np.bool_]

BranchKind: TypeAlias = Literal["sparse", "dense"]
"""What a branch compares: ``sparse`` counts terms, ``dense`` compares meanings."""

Progress: TypeAlias = Callable[[str, int, "int | None"], None]
"""Called as ``progress(stage, done, total)`` during long work; ``total`` is None if unknown."""


@dataclass(frozen=True, slots=True)
class Document:
    """One thing to be found.

    ``metadata`` is a JSON object (nested objects are filtered by dotted paths). ``vectors`` may
    hold ready-made dense vectors by branch name; a branch without one encodes the text itself.
    ``image`` is the content of an image file, for a `Dense` branch that looks at images; the index does not
    keep it. ``expires``: the time from which on it is not found any more (a datetime with a time zone, or
    seconds since 1970; whole seconds are kept, rounded down).
    """

    id: str
    text: str = ""
    title: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    vectors: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)
    image: bytes | None = field(default=None, compare=False, repr=False)
    expires: datetime | float | None = field(default=None, repr=False)

    @property
    def content(self) -> str:
        """Title and text as one string, which is what every branch reads by default."""
        return f"{self.title} {self.text}".strip() if self.title else self.text


@dataclass(frozen=True, slots=True)
class Query:
    """What is asked: a text, and optionally ready-made dense vectors by branch name."""

    text: str
    vectors: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class TermMatch:
    """One query term found in a document: its query weight and what it adds to the raw score."""

    term: str
    weight: float
    score: float


@runtime_checkable
class DenseEncoder(Protocol):
    """Turns texts into dense vectors; similarity is the inner product, higher is better."""

    @property
    def dimension(self) -> int:
        """The length of each vector."""
        ...

    @property
    def normalized(self) -> bool:
        """Whether every vector has length 1, so that inner products lie in [-1, 1]."""
        ...

    def fingerprint(self) -> Mapping[str, str | int | bool]:
        """Return everything that decides the vectors: model, weights, pooling, prefixes and so on.

        Two encoders with equal fingerprints must give equal vectors for equal texts.
        """
        ...

    def encode_documents(self, texts: Sequence[str], progress: Progress | None = None) -> DenseBatch:
        """Encode passages, in order."""
        ...

    def encode_queries(self, texts: Sequence[str]) -> DenseBatch:
        """Encode queries, in order."""
        ...


@runtime_checkable
class ImageEncoder(DenseEncoder, Protocol):
    """Turns texts and images into vectors of one space."""

    def encode_images(self, images: Sequence[bytes], progress: Progress | None = None) -> DenseBatch:
        """Encode images, in order; each is the content of an image file."""
        ...


@runtime_checkable
class SparseEncoder(Protocol):
    """Turns texts into weights of terms; similarity is the inner product, higher is better."""

    @property
    def vocabulary(self) -> Sequence[str]:
        """The terms, distinct; their positions are what a `SparseBatch` holds."""
        ...

    def fingerprint(self) -> Mapping[str, str | int | bool]:
        """Return everything that decides the weights, as `DenseEncoder.fingerprint` does."""
        ...

    def encode_documents(self, texts: Sequence[str], progress: Progress | None = None) -> SparseBatch:
        """Encode passages, in order."""
        ...

    def encode_queries(self, texts: Sequence[str]) -> SparseBatch:
        """Encode queries, in order."""
        ...


@runtime_checkable
class TokenEncoder(Protocol):
    """Turns texts into one vector a token, for late interaction.

    It may have a method ``spell(text, side)`` that returns the tokens as strings, one for each vector;
    explanations show them.
    """

    @property
    def token_dimension(self) -> int:
        """The length of each token's vector."""
        ...

    def fingerprint(self) -> Mapping[str, str | int | bool]:
        """Return everything that decides the vectors, as `DenseEncoder.fingerprint` does."""
        ...

    def encode_documents(self, texts: Sequence[str], progress: Progress | None = None) -> TokenBatch:
        """Encode passages, in order."""
        ...

    def encode_queries(self, texts: Sequence[str]) -> TokenBatch:
        """Encode queries, in order."""
        ...


@runtime_checkable
class JointEncoder(Protocol):
    """Turns texts into several representations with one pass of one model (BGE-M3 and its like).

    It has ``dimension`` and ``normalized`` if it gives dense vectors, ``vocabulary`` if it gives sparse
    weights, and ``token_dimension`` if it gives token vectors, as the encoders above.
    """

    @property
    def representations(self) -> tuple[Representation, ...]:
        """What it gives."""
        ...

    def fingerprint(self) -> Mapping[str, str | int | bool]:
        """Return everything that decides what it gives, as `DenseEncoder.fingerprint` does."""
        ...

    def encode(
        self,
        texts: Sequence[str],
        side: Side,
        representations: Collection[Representation],
        progress: Progress | None = None,
    ) -> Encoded:
        """Encode texts, in order, into the wanted representations, each text in one pass of the model."""
        ...


Encoder: TypeAlias = DenseEncoder | SparseEncoder | TokenEncoder | JointEncoder


@runtime_checkable
class Reranker(Protocol):
    """Scores a short list of documents against a query; higher is better."""

    def score(self, query: str, documents: Sequence[Document]) -> Floats:
        """Return one float32 score per document, in the order given."""
        ...


@runtime_checkable
class JudgingReranker(Reranker, Protocol):
    """A reranker that says where its scores are not what was asked for: what it could not judge, and why.

    Rerank stages call ``judge`` instead of ``score``. Its notes end in a result's ``notes``, and the stage
    in its ``degraded``; under ``strict`` they are an error.
    """

    def judge(self, query: str, documents: Sequence[Document]) -> tuple[Floats, tuple[str, ...]]:
        """Return one float32 score per document, in the order given, and the notes; none if all is well."""
        ...


class Scorer(Protocol):
    """One query against one branch of one snapshot, under one mask.

    Every method describes the same total function, document → score, over the eligible documents
    (live and let through by the filter). Order is always (score descending, id ascending). A
    sparse scorer *ranks* only documents with a positive score: the others score exactly 0 and
    have no rank. A dense scorer ranks every eligible document.
    """

    @property
    def exact(self) -> bool:
        """Whether ``top`` is guaranteed to be the true top (False for approximate indexes)."""
        ...

    @property
    def eligible(self) -> int:
        """How many documents the mask lets through."""
        ...

    @property
    def lower_bound(self) -> float:
        """The lowest score that this branch could give to any document at all (theoretical)."""
        ...

    def top(self, k: int) -> Ranking:
        """Return the best ``k`` ranked documents; fewer only if no more are ranked."""
        ...

    def scores(self, docnums: Docnums) -> Floats:
        """Return the true score of each given document, bit-equal to what ``top`` reports."""
        ...

    def ranks(self, docnums: Docnums) -> NDArray[np.int64]:
        """Return each document's true rank from 1, or 0 where it is not ranked."""
        ...

    def minimum(self) -> float:
        """Return the lowest score among all eligible documents."""
        ...

    def matches(self, docnum: int) -> list[TermMatch]:
        """Return the matching terms, strongest first; empty for branches without terms."""
        ...
