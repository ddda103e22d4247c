"""One pass of a model for all branches that want something of it.

A query, or a group of documents, is encoded by each branch for itself; where two of them name the same
model, the first to ask makes everything that any of them wants, and the others find it made.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hybrid.batches import DenseBatch, Encoded, Representation, Side, SparseBatch, TokenBatch
from hybrid.branches import Branch
from hybrid.branches.base import SpelledTokens
from hybrid.encoders import Model
from hybrid.errors import EncoderError
from hybrid.text import Cleaning
from hybrid.types import DenseEncoder, ImageEncoder, Progress, SparseEncoder


def needs(branches: Iterable[Branch]) -> dict[str, tuple[Representation, ...]]:
    """Return what branches want of each model."""
    found: dict[str, tuple[Representation, ...]] = {}
    for branch in branches:
        if branch.model is not None and branch.representation is not None:
            wanted = found.get(branch.model, ())
            if branch.representation not in wanted:
                found[branch.model] = (*wanted, branch.representation)
    return found


def needs_of_cutting(branches: Iterable[Branch]) -> dict[str, tuple[Representation, ...]]:
    """Return what branches want of each model, and what cutting for them does."""
    branches = tuple(branches)
    found = needs(branches)
    for branch in branches:
        name = getattr(getattr(getattr(branch, "passages", None), "chunker", None), "model", None)
        if name is not None and "dense" not in found.get(name, ()):
            found[name] = (*found.get(name, ()), "dense")
    return found


class OnePass:
    """The encoders of some branches, for as long as one query or one group of documents is encoded.

    May be used from several threads. What was encoded is kept until the object is let go.
    """

    def __init__(
        self,
        model: Callable[[str], Model],
        wanted: Mapping[str, tuple[Representation, ...]],
        cleaning: Cleaning | None = None,
    ) -> None:
        """Take where models come from (checked), what is wanted of each, and how texts were cleaned."""
        self._model, self.cleaning = model, cleaning
        self._shared = {name: _Shared(kinds) for name, kinds in wanted.items()}

    def dense(self, model: str) -> DenseEncoder:
        """Return the model as an encoder of dense vectors."""
        return _Dense(self._model(model), self._shared[model])

    def images(self, model: str) -> ImageEncoder:
        """Return the model as an encoder of images.

        Raises:
            EncoderError: it sees none.
        """
        encoder = self._model(model).encoder
        if not isinstance(encoder, ImageEncoder):
            raise EncoderError(
                f"model {model!r} encodes no images; choose one that does, such as "
                "sentence-transformers/clip-ViT-B-32, or leave image= of the branch out"
            )
        return encoder

    def sparse(self, model: str) -> SparseEncoder:
        """Return the model as an encoder of sparse weights."""
        return _Sparse(self._model(model), self._shared[model])

    def tokens(self, model: str) -> SpelledTokens:
        """Return the model as an encoder of token vectors."""
        return _Tokens(self._model(model), self._shared[model], self.cleaning)


class _Shared:
    """What one model has made so far."""

    def __init__(self, kinds: tuple[Representation, ...]) -> None:
        self._kinds = kinds
        self._lock = threading.Lock()
        self._rows: dict[tuple[Side, str], int] = {}
        self._made: Encoded | None = None
        self._failed: dict[tuple[Side, str], Exception] = {}

    def get(
        self,
        model: Model,
        kind: Representation,
        texts: Sequence[str],
        side: Side,
        progress: Progress | None,
    ) -> Any:
        """Return one representation of texts, in order."""
        if len(self._kinds) == 1:  # nobody to share with
            return model.encode(texts, side, self._kinds, progress)[kind]
        with self._lock:
            new = [text for text in dict.fromkeys(texts) if (side, text) not in self._rows]
            if new:
                self._make(model, new, side, progress)
            rows = np.array([self._rows[side, text] for text in texts], np.int64)
            made = self._made
        return None if made is None else made[kind].take(rows)

    def _make(self, model: Model, texts: list[str], side: Side, progress: Progress | None) -> None:
        for text in texts:
            if (side, text) in self._failed:  # the pass for another branch failed: this one would too
                raise self._failed[side, text]
        try:
            encoded = model.encode(texts, side, self._kinds, progress)
        except Exception as error:
            self._failed |= {(side, text): error for text in texts}
            raise
        first = 0 if self._made is None else len(self._made)
        self._made = encoded if self._made is None else Encoded.concat([self._made, encoded])
        self._rows |= {(side, text): first + n for n, text in enumerate(texts)}


@dataclass(frozen=True, slots=True, eq=False)
class _View:
    """A model as an encoder of one representation."""

    model: Model
    shared: _Shared

    def fingerprint(self) -> Mapping[str, str | int | bool]:
        """Return the model's."""
        return self.model.fingerprint()

    def _get(self, kind: Representation, texts: Sequence[str], side: Side, progress: Progress | None) -> Any:
        return self.shared.get(self.model, kind, texts, side, progress)


class _Dense(_View):
    @property
    def dimension(self) -> int:
        return int(self.model.says("dimension"))

    @property
    def normalized(self) -> bool:
        return bool(self.model.says("normalized"))

    @property
    def matryoshka(self) -> tuple[int, ...]:
        """The lengths that the model was trained to be cut to; empty if it says nothing."""
        return tuple(getattr(self.model.encoder, "matryoshka", ()))

    def encode_documents(self, texts: Sequence[str], progress: Progress | None = None) -> DenseBatch:
        batch: DenseBatch = self._get("dense", texts, "document", progress)
        return batch

    def encode_parts(self, text: str, spans: Sequence[tuple[int, int]]) -> DenseBatch:
        """Return the vectors of parts of a text, pooled from the whole (`late_chunks`)."""
        from hybrid.encoders.neural.dense import NeuralDenseEncoder
        from hybrid.encoders.neural.late_chunking import late_chunks

        encoder = self.model.encoder
        if not isinstance(encoder, NeuralDenseEncoder):
            raise EncoderError(
                f"late chunking needs the token vectors of {self.model.name!r}, which a "
                f"{type(encoder).__name__} does not give; hand in "
                "load_encoder(name, backend='transformers'), or leave late out"
            )
        return late_chunks(encoder, text, spans, overlap=min(256, encoder.backbone.max_tokens // 4))

    def encode_queries(self, texts: Sequence[str]) -> DenseBatch:
        batch: DenseBatch = self._get("dense", texts, "query", None)
        return batch


class _Sparse(_View):
    @property
    def vocabulary(self) -> Sequence[str]:
        terms: Sequence[str] = self.model.says("vocabulary")
        return terms

    def encode_documents(self, texts: Sequence[str], progress: Progress | None = None) -> SparseBatch:
        batch: SparseBatch = self._get("sparse", texts, "document", progress)
        return batch

    def encode_queries(self, texts: Sequence[str]) -> SparseBatch:
        batch: SparseBatch = self._get("sparse", texts, "query", None)
        return batch


@dataclass(frozen=True, slots=True, eq=False)
class _Tokens(_View):
    cleaning: Cleaning | None = None

    @property
    def token_dimension(self) -> int:
        return int(self.model.says("token_dimension"))

    def encode_documents(self, texts: Sequence[str], progress: Progress | None = None) -> TokenBatch:
        batch: TokenBatch = self._get("tokens", texts, "document", progress)
        return batch

    def encode_queries(self, texts: Sequence[str]) -> TokenBatch:
        batch: TokenBatch = self._get("tokens", texts, "query", None)
        return batch

    def spell(self, text: str, side: Side) -> Sequence[str]:
        spell: Callable[[str, Side], Sequence[str]] | None = getattr(self.model.encoder, "spell", None)
        if side == "document" and self.cleaning is not None:
            text = self.cleaning.document(text)
        return () if spell is None else spell(text, side)
