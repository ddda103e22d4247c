"""What a branch is: one first-stage retriever, as a value of the pipeline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from hybrid.index import Mask, Rows, Snapshot
from hybrid.ranking import Ranking
from hybrid.types import BranchKind, DenseEncoder, Document, Progress, Query, Scorer


class Encoders(Protocol):
    """Where branches get their encoders: one instance per model, checked against the index."""

    def get(self, model: str) -> DenseEncoder:
        """Return the encoder of ``model``.

        Raises:
            EncoderError: the model is unknown or cannot be loaded.
            FingerprintError: it is not the one that the index was built with.
        """
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
    def models(self) -> tuple[str, ...]:
        """The models whose fingerprints the index must store."""
        ...

    @property
    def rows(self) -> type[Rows]:
        """The type of its rows."""
        ...

    def stored(self) -> Mapping[str, Any]:
        """Return the settings that the stored rows depend on, as JSON values.

        The others may change without rebuilding the index.
        """
        ...

    def encode_documents(
        self, documents: Sequence[Document], encoders: Encoders, progress: Progress | None = None
    ) -> Rows:
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
