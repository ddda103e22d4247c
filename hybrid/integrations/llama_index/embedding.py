"""Our encoders as LlamaIndex's embedding models."""

from __future__ import annotations

import asyncio
from typing import Any

from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.bridge.pydantic import PrivateAttr

from hybrid.integrations.embeddings import embed
from hybrid.types import Encoder


class HybridEmbedding(BaseEmbedding):
    """A model of ours that gives dense vectors, wherever LlamaIndex takes an ``embed_model``.

    ``model_name`` is what `hybrid.load_encoder` accepts; ``encoder``, if given, is used in its place, and is
    what ``model_name`` names. Models that treat queries and documents differently do so here too.
    """

    _encoder: Encoder | None = PrivateAttr()

    def __init__(
        self, model_name: str = "all-MiniLM-L6-v2", encoder: Encoder | None = None, **options: Any
    ) -> None:
        """Name the model; it is loaded when it is first used. ``options`` are those of LlamaIndex."""
        super().__init__(model_name=model_name, **options)
        self._encoder = encoder

    @classmethod
    def class_name(cls) -> str:
        """Return the name that LlamaIndex serialises it under."""
        return "HybridEmbedding"

    def _get_query_embedding(self, query: str) -> list[float]:
        return embed(self.model_name, self._encoder, [query], queries=True)[0]

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return await asyncio.to_thread(self._get_query_embedding, query)

    def _get_text_embedding(self, text: str) -> list[float]:
        return self._get_text_embeddings([text])[0]

    def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        return embed(self.model_name, self._encoder, texts, queries=False)
