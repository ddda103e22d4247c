"""What a branch is: one first-stage retriever, as a value of the pipeline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from hybrid.batches import Representation, Side
from hybrid.index import HeldRows, Mask, RowType, Snapshot
from hybrid.ranking import Ranking
from hybrid.text import Cleaning
from hybrid.types import (
    BranchKind,
    DenseEncoder,
    Document,
    ImageEncoder,
    Progress,
    Query,
    Scorer,
    SparseEncoder,
    TokenEncoder,
)


class Encoders(Protocol):
    """Where branches get their encoders: one instance per model, checked against the index.

    Each method takes a model's name. What several branches want of one model for the same texts is made in
    one pass.

    Raises:
        EncoderError: the model is unknown, cannot be loaded, or does not give this representation.
        FingerprintError: it is not the one that the index was built with.
    """

    @property
    def cleaning(self) -> Cleaning | None:
        """What is taken out of texts before they are analysed and encoded."""
        ...

    def dense(self, model: str) -> DenseEncoder:
        """Return the model as an encoder of dense vectors."""
        ...

    def images(self, model: str) -> ImageEncoder:
        """Return the model as an encoder of images."""
        ...

    def sparse(self, model: str) -> SparseEncoder:
        """Return the model as an encoder of sparse weights."""
        ...

    def tokens(self, model: str) -> SpelledTokens:
        """Return the model as an encoder of token vectors."""
        ...


class SpelledTokens(TokenEncoder, Protocol):
    """An encoder of token vectors that knows its tokens, or says that it does not."""

    def spell(self, text: str, side: Side) -> Sequence[str]:
        """Return a text's tokens, one for each vector; none if the encoder cannot say."""
        ...


class Branch(Protocol):
    """A first-stage retriever: how documents become rows, and how a query becomes a scorer.

    A branch is a frozen value. What it stores in a segment stands under its name; what a query
    looks like between `encode_queries` and `scorer` is its own business.
    """

    @property
    def name(self) -> str:
        """The name of the branch in results, recipes and segments."""
        ...

    @property
    def kind(self) -> BranchKind:
        """Whether it matches terms (sparse) or compares vectors (dense)."""
        ...

    @property
    def takes_vectors(self) -> bool:
        """Whether documents and queries may bring ready-made vectors for it."""
        ...

    @property
    def model(self) -> str | None:
        """The model whose fingerprint the index must store, if there is one."""
        ...

    @property
    def representation(self) -> Representation | None:
        """What the branch wants of its model."""
        ...

    @property
    def rows(self) -> RowType:
        """The type of its rows, or what stands for it."""
        ...

    def stored(self) -> Mapping[str, Any]:
        """Return the settings that the stored rows depend on, as JSON values.

        The others may change without rebuilding the index.
        """
        ...

    def encode_documents(
        self, documents: Sequence[Document], encoders: Encoders, progress: Progress | None = None
    ) -> HeldRows:
        """Turn documents into rows, in order."""
        ...

    def encode_queries(self, queries: Sequence[Query], encoders: Encoders) -> list[Any]:
        """Turn queries into what `scorer` takes, in order."""
        ...

    def scorer(self, snapshot: Snapshot, query: Any, mask: Mask) -> Scorer:
        """Return the scorer of one encoded query over the documents that the mask lets through."""
        ...

    def rankings(self, snapshot: Snapshot, queries: Sequence[Any], mask: Mask, k: int) -> list[Ranking]:
        """Return the best ``k`` documents of each of several encoded queries, as their scorers do."""
        ...

    def brought(self, snapshot: Snapshot, docnum: int) -> Mapping[str, Any]:
        """Return the ready-made vectors without which a stored document could not be added again."""
        ...

    def stats(self, snapshot: Snapshot) -> Mapping[str, int | float]:
        """Return figures about the live documents' rows."""
        ...
