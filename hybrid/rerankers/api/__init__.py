"""Rerankers behind an API: Cohere, Voyage, Jina, text-embeddings-inference; and language models."""

from hybrid.rerankers.api.listwise import ListwiseReranker
from hybrid.rerankers.api.loading import connect, connect_listwise, maker_of
from hybrid.rerankers.api.reranker import ApiReranker

__all__ = ["ApiReranker", "ListwiseReranker", "connect", "connect_listwise", "maker_of"]
