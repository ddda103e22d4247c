"""The wire formats of rerankers: what each API is sent, and what it answers.

Sources: Cohere, ``POST /v2/rerank``; Voyage, ``POST /v1/rerank`` (both as in their clients for Python);
Jina, ``POST /v1/rerank``; text-embeddings-inference, ``POST /rerank`` (its router's source).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from hybrid.errors import RemoteError
from hybrid.remote import providers
from hybrid.remote.answers import JSONObject, by_index
from hybrid.remote.providers import Provider
from hybrid.types import Floats


class Wire(Protocol):
    """How to speak with one kind of API."""

    @property
    def provider(self) -> Provider:
        """Who offers it."""
        ...

    @property
    def path(self) -> str:
        """What follows the address."""
        ...

    @property
    def most_documents(self) -> int:
        """How many documents one request holds at most."""
        ...

    @property
    def most_tokens(self) -> int:
        """How many tokens one request holds at most, the query counted with each document."""
        ...

    @property
    def window(self) -> int | None:
        """How many tokens of a document its models read; None where that depends on the model."""
        ...

    def body(self, model: str, query: str, texts: Sequence[str]) -> JSONObject:
        """Return a request for the scores of all texts, cutting what is too long where that can be asked."""
        ...

    def scores(self, answer: Any, count: int) -> list[Any]:
        """Return what an answer says of each text, in the order of the request.

        Raises:
            RemoteError: it has another form, or not exactly one score for each text.
        """
        ...


@dataclass(frozen=True, slots=True)
class Cohere:
    """Cohere's second version; it cuts documents at ``max_tokens_per_doc``, 4096 unless told."""

    provider: Provider = providers.COHERE
    path: str = "v2/rerank"
    most_documents: int = 100  # 1,000 advised at most; smaller ones travel side by side
    most_tokens: int = 100_000
    window: int | None = 4096

    def body(self, model: str, query: str, texts: Sequence[str]) -> JSONObject:
        """Return the request; without ``top_n``, all are scored."""
        return {"model": model, "query": query, "documents": list(texts)}

    def scores(self, answer: Any, count: int) -> list[Any]:
        """Return ``results[].relevance_score`` by ``index``."""
        return by_index(answer, "results", "relevance_score", count)


@dataclass(frozen=True, slots=True)
class Voyage:
    """Voyage AI; ``truncation: true`` makes it cut what is too long instead of refusing it."""

    provider: Provider = providers.VOYAGE
    path: str = "rerank"
    most_documents: int = 100  # 1,000 allowed
    most_tokens: int = 100_000  # that of the models with the least
    window: int | None = None

    def body(self, model: str, query: str, texts: Sequence[str]) -> JSONObject:
        """Return the request; without ``top_k``, all are scored."""
        return {"model": model, "query": query, "documents": list(texts), "truncation": True}

    def scores(self, answer: Any, count: int) -> list[Any]:
        """Return ``data[].relevance_score`` by ``index``."""
        return by_index(answer, "data", "relevance_score", count)


@dataclass(frozen=True, slots=True)
class Jina:
    """Jina AI, and servers that speak like it (vLLM's ``/v1/rerank``)."""

    provider: Provider = providers.JINA
    path: str = "rerank"
    most_documents: int = 100
    most_tokens: int = 100_000
    window: int | None = None

    def body(self, model: str, query: str, texts: Sequence[str]) -> JSONObject:
        """Return the request for the scores alone, of all documents."""
        return {
            "model": model,
            "query": query,
            "documents": list(texts),
            "top_n": len(texts),
            "return_documents": False,
        }

    def scores(self, answer: Any, count: int) -> list[Any]:
        """Return ``results[].relevance_score`` by ``index``."""
        return by_index(answer, "results", "relevance_score", count)


@dataclass(frozen=True, slots=True)
class TEI:
    """The own path of text-embeddings-inference; ``raw_scores: true`` makes it return logits."""

    provider: Provider = providers.TEI
    path: str = "rerank"
    most_documents: int = 32  # its --max-client-batch-size, unless it was started with another
    most_tokens: int = 16_384  # its --max-batch-tokens
    window: int | None = None

    def body(self, model: str, query: str, texts: Sequence[str]) -> JSONObject:
        """Return the request; the server runs one model, which is not named."""
        return {"query": query, "texts": list(texts), "raw_scores": True, "truncate": True}

    def scores(self, answer: Any, count: int) -> list[Any]:
        """Return ``[].score`` by ``index``; the list is ordered by score."""
        return by_index({"list": answer}, "list", "score", count)


_ALL: tuple[Wire, ...] = (Cohere(), Voyage(), Jina(), TEI())

WIRES: Mapping[str, Wire] = {wire.provider.name: wire for wire in _ALL}
"""By provider."""


def numbers(scores: Sequence[Any]) -> Floats:
    """Return scores as float32.

    Raises:
        RemoteError: one is not a number, or not finite.
    """
    for score in scores:
        if isinstance(score, bool) or not isinstance(score, int | float):
            raise RemoteError(f"the answer has the score {score!r}, which is not a number")
    try:
        with np.errstate(over="ignore"):
            found = np.array([float(score) for score in scores], np.float32)
    except OverflowError:  # a whole number of hundreds of digits
        found = np.array([np.inf], np.float32)
    if not np.isfinite(found).all():
        raise RemoteError("the answer has scores that are NaN or infinite")
    return found
