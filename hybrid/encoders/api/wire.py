"""The wire formats: what each API is sent, and what it answers.

Sources: OpenAI, ``POST /embeddings`` (openapi of the API, 2.3.0); Cohere, ``POST /v2/embed``; Voyage,
``POST /v1/embeddings``; Jina, ``POST /v1/embeddings``; text-embeddings-inference 1.7, ``POST /embed``.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np

from hybrid.batches import Side
from hybrid.errors import RemoteError
from hybrid.remote import providers
from hybrid.remote.answers import JSONObject, by_index
from hybrid.remote.providers import Provider
from hybrid.types import Floats

Encoding: TypeAlias = Literal["base64", "float"]


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
    def most_texts(self) -> int:
        """How many texts one request may hold."""
        ...

    @property
    def most_tokens(self) -> int:
        """How many tokens one request may hold."""
        ...

    @property
    def cuts(self) -> bool:
        """Whether it can be asked to cut a text that is too long."""
        ...

    def body(
        self, model: str, texts: Sequence[str], side: Side, dimension: int | None, cut: bool
    ) -> JSONObject:
        """Return a request. ``cut``: cut what is too long; otherwise it must be refused."""
        ...

    def rows(self, answer: Any, count: int) -> list[Any]:
        """Return what an answer says of each text, in the order of the request.

        Raises:
            RemoteError: it has another form.
        """
        ...


@dataclass(frozen=True, slots=True)
class OpenAI:
    """OpenAI, and servers that speak like it: vLLM, Ollama, text-embeddings-inference, LM Studio, ...

    It refuses what is too long. Ollama, and text-embeddings-inference under ``--auto-truncate``, cut
    silently on this path: give ``max_tokens`` for them, or use ``tei:``.
    """

    provider: Provider = providers.OPENAI
    path: str = "embeddings"
    most_texts: int = 128  # 2,048 allowed; smaller ones travel side by side
    most_tokens: int = 100_000  # 300,000 allowed
    cuts: bool = False
    encoding: Encoding = "base64"

    def body(
        self, model: str, texts: Sequence[str], side: Side, dimension: int | None, cut: bool
    ) -> JSONObject:
        """Return the request; queries and documents look alike."""
        chosen = {} if dimension is None else {"dimensions": dimension}
        return {"model": model, "input": list(texts), "encoding_format": self.encoding, **chosen}

    def rows(self, answer: Any, count: int) -> list[Any]:
        """Return ``data[].embedding`` by ``index``."""
        return by_index(answer, "data", "embedding", count)


@dataclass(frozen=True, slots=True)
class Cohere:
    """Cohere's second version; ``truncate: NONE`` makes it refuse what is too long."""

    provider: Provider = providers.COHERE
    path: str = "v2/embed"
    most_texts: int = 96
    most_tokens: int = 100_000
    cuts: bool = True

    def body(
        self, model: str, texts: Sequence[str], side: Side, dimension: int | None, cut: bool
    ) -> JSONObject:
        """Return the request, with the input type for search."""
        chosen = {} if dimension is None else {"output_dimension": dimension}
        return {
            "model": model,
            "texts": list(texts),
            "input_type": f"search_{side}",
            "embedding_types": ["float"],
            "truncate": "END" if cut else "NONE",
            **chosen,
        }

    def rows(self, answer: Any, count: int) -> list[Any]:
        """Return ``embeddings.float``, which is in the order of the texts."""
        found = answer.get("embeddings") if isinstance(answer, dict) else None
        return in_order(found.get("float") if isinstance(found, dict) else None, "embeddings.float", count)


@dataclass(frozen=True, slots=True)
class Voyage:
    """Voyage AI; ``truncation: false`` makes it refuse what is too long."""

    provider: Provider = providers.VOYAGE
    path: str = "embeddings"
    most_texts: int = 128  # 1,000 allowed
    most_tokens: int = 100_000  # 120,000 allowed of the largest models, more of others
    cuts: bool = True

    def body(
        self, model: str, texts: Sequence[str], side: Side, dimension: int | None, cut: bool
    ) -> JSONObject:
        """Return the request, with the input type."""
        chosen = {} if dimension is None else {"output_dimension": dimension}
        return {
            "model": model,
            "input": list(texts),
            "input_type": side,
            "truncation": cut,
            "encoding_format": "base64",
            **chosen,
        }

    def rows(self, answer: Any, count: int) -> list[Any]:
        """Return ``data[].embedding`` by ``index``."""
        return by_index(answer, "data", "embedding", count)


@dataclass(frozen=True, slots=True)
class Jina:
    """Jina AI; ``truncate: false`` makes it refuse what is too long.

    Models since v3 are told which side a text is on (``task``); the first and second versions know no tasks.
    """

    provider: Provider = providers.JINA
    path: str = "embeddings"
    most_texts: int = 128
    most_tokens: int = 100_000
    cuts: bool = True

    def body(
        self, model: str, texts: Sequence[str], side: Side, dimension: int | None, cut: bool
    ) -> JSONObject:
        """Return the request, with the task."""
        plain = model.startswith(("jina-embedding-", "jina-embeddings-v2", "jina-clip-v1"))
        task = {} if plain else {"task": "retrieval.query" if side == "query" else "retrieval.passage"}
        chosen = {} if dimension is None else {"dimensions": dimension}
        return {
            "model": model,
            "input": list(texts),
            "embedding_type": "base64",
            "truncate": cut,
            **task,
            **chosen,
        }

    def rows(self, answer: Any, count: int) -> list[Any]:
        """Return ``data[].embedding`` by ``index``."""
        return by_index(answer, "data", "embedding", count)


@dataclass(frozen=True, slots=True)
class TEI:
    """The own path of text-embeddings-inference; ``truncate: false`` makes it refuse what is too long."""

    provider: Provider = providers.TEI
    path: str = "embed"
    most_texts: int = 32  # its --max-client-batch-size, unless it was started with another
    most_tokens: int = 16_384  # its --max-batch-tokens
    cuts: bool = True

    def body(
        self, model: str, texts: Sequence[str], side: Side, dimension: int | None, cut: bool
    ) -> JSONObject:
        """Return the request; the server runs one model, which is not named."""
        chosen = {} if dimension is None else {"dimensions": dimension}
        return {"inputs": list(texts), "normalize": True, "truncate": cut, **chosen}

    def rows(self, answer: Any, count: int) -> list[Any]:
        """Return the list, which is in the order of the texts."""
        return in_order(answer, "the list", count)


_ALL: tuple[Wire, ...] = (OpenAI(), Cohere(), Voyage(), Jina(), TEI())

WIRES: Mapping[str, Wire] = {wire.provider.name: wire for wire in _ALL}
"""By provider."""


def with_encoding(wire: Wire, encoding: Encoding) -> Wire:
    """Return the wire format, asking for vectors as base64 or as numbers, where the API has both."""
    return replace(wire, encoding=encoding) if isinstance(wire, OpenAI) else wire


def in_order(found: Any, where: str, count: int) -> list[Any]:
    """Return a list after checking its length.

    Raises:
        RemoteError: it is not a list, or of another length.
    """
    if not isinstance(found, list):
        raise RemoteError(f"the answer has no list at {where!r}")
    if len(found) != count:
        raise RemoteError(f"the answer has {len(found)} vectors for {count} texts")
    return found


def matrix(rows: Sequence[Any], dimension: int | None) -> Floats:
    """Return vectors as float32, shape (rows, dimension).

    A row is a list of numbers, or base64 of little-endian float32.

    Raises:
        RemoteError: a row is neither, or of another length, or holds what is not finite.
    """
    vectors = [_row(row) for row in rows]
    width = dimension if dimension is not None else len(vectors[0])
    for row in vectors:
        if len(row) != width or not width:
            raise RemoteError(f"the answer has a vector of {len(row)} numbers; {width} were expected")
        if not np.isfinite(row).all():
            raise RemoteError("the answer has a vector with NaN or infinite numbers")
    return np.stack(vectors)


def _row(row: Any) -> Floats:
    try:
        if isinstance(row, str):
            return np.frombuffer(base64.b64decode(row, validate=True), "<f4").astype(np.float32)
        values = np.asarray(row, np.float64)
    except (binascii.Error, ValueError, TypeError) as error:
        raise RemoteError(f"the answer has a vector that cannot be read: {error}") from error
    if values.ndim != 1:
        raise RemoteError(f"the answer has a vector of shape {values.shape}")
    with np.errstate(over="ignore"):
        return values.astype(np.float32)
