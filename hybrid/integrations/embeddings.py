"""Encoders of other libraries as ours, and ours as theirs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from hybrid.batches import DenseBatch
from hybrid.encoders import Model, load
from hybrid.errors import EncoderError
from hybrid.types import Encoder, Floats, Progress

_ASKED = "How long is a vector?"


class ForeignEncoder:
    """Another library's embedding model as a `DenseEncoder`.

    ``embed_documents`` and ``embed_queries`` give one vector a text. ``library`` and ``model`` say whose they
    are; together with the class, the dimension and ``normalize`` they are all that the fingerprint can
    know, so the probe vectors that an index stores are what tells two models apart. ``normalize`` scales
    every vector to length 1, so that scores are cosines; without it they are as the model gives them, and
    scores are inner products. What a model cut off is not known: no text counts as truncated.
    """

    def __init__(
        self,
        embed_documents: Callable[[list[str]], Sequence[Sequence[float]]],
        embed_queries: Callable[[list[str]], Sequence[Sequence[float]]],
        *,
        library: str,
        model: str,
        normalize: bool = False,
    ) -> None:
        """Keep the functions; nothing is embedded yet."""
        self._documents, self._queries = embed_documents, embed_queries
        self._library, self._model, self._normalize = library, model, normalize
        self._dimension: int | None = None

    @property
    def dimension(self) -> int:
        """The length of each vector; the model is asked once."""
        if self._dimension is None:
            self._dimension = int(self._vectors(self._queries, [_ASKED]).shape[1])
        return self._dimension

    @property
    def normalized(self) -> bool:
        """Whether vectors are scaled to length 1 here; what the model does is not known."""
        return self._normalize

    def fingerprint(self) -> Mapping[str, str | int | bool]:
        """Return whose vectors these are, as far as can be known."""
        return {
            "library": self._library,
            "model": self._model,
            "dimension": self.dimension,
            "normalize": self._normalize,
            "dtype": "unstated",
        }

    def encode_documents(self, texts: Sequence[str], progress: Progress | None = None) -> DenseBatch:
        """Encode passages, in order."""
        batch = self._batch(self._documents, texts)
        if progress is not None:
            progress("encode", len(texts), len(texts))
        return batch

    def encode_queries(self, texts: Sequence[str]) -> DenseBatch:
        """Encode queries, in order."""
        return self._batch(self._queries, texts)

    def _batch(
        self, embed: Callable[[list[str]], Sequence[Sequence[float]]], texts: Sequence[str]
    ) -> DenseBatch:
        vectors = self._vectors(embed, list(texts)) if texts else np.empty((0, self.dimension), np.float32)
        return DenseBatch(vectors, np.zeros(len(texts), np.bool_))

    def _vectors(self, embed: Callable[[list[str]], Sequence[Sequence[float]]], texts: list[str]) -> Floats:
        """Return what the model gives, as float32, shape (texts, dimension).

        Raises:
            EncoderError: that is not one vector for each text, all of one length.
        """
        try:
            wide = np.asarray(embed(texts), np.float64)
        except ValueError as error:  # rows of several lengths
            raise EncoderError(f"{self._model} gave vectors that are no matrix: {error}") from error
        if wide.ndim != 2 or len(wide) != len(texts) or not wide.shape[1]:
            raise EncoderError(
                f"{self._model} gave shape {wide.shape} for {len(texts)} texts; one vector each is needed"
            )
        if self._normalize:
            lengths = np.linalg.norm(wide, axis=1, keepdims=True)
            wide = np.divide(wide, lengths, out=np.zeros_like(wide), where=lengths > 0)
        return wide.astype(np.float32)


def embed(name: str, encoder: Encoder | None, texts: Sequence[str], *, queries: bool) -> list[list[float]]:
    """Return the dense vectors that one of our models gives, as lists of numbers.

    Raises:
        EncoderError: the model is unknown, or gives no dense vectors.
    """
    model = Model.of(name, load(name) if encoder is None else encoder)
    model.need(["dense"])
    if not texts:
        return []
    batch: DenseBatch = model.encode(texts, "query" if queries else "document", ["dense"])["dense"]
    vectors: list[list[float]] = batch.vectors.tolist()
    return vectors


def spelt(model: object) -> str:
    """Return the class of another library's model, and the name that it gives itself."""
    kind = type(model)
    names = (getattr(model, attribute, None) for attribute in ("model_name", "model", "repo_id", "model_id"))
    name = next((name for name in names if isinstance(name, str) and name), "")
    return f"{kind.__module__}.{kind.__qualname__}" + (f" {name}" if name else "")
