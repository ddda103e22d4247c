"""Rerankers behind an API: Cohere, Voyage, Jina, text-embeddings-inference."""

from hybrid.rerankers.api.loading import connect, provider_of
from hybrid.rerankers.api.reranker import ApiReranker

__all__ = ["ApiReranker", "connect", "provider_of"]
