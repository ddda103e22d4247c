"""Haystack's document store, retriever and ranker over a hybrid index."""

from hybrid.integrations.haystack import available as _available  # noqa: F401  # first: it says what to install
from hybrid.integrations.haystack.ranker import HybridRanker
from hybrid.integrations.haystack.retriever import HybridRetriever
from hybrid.integrations.haystack.store import HybridDocumentStore

__all__ = ["HybridDocumentStore", "HybridRanker", "HybridRetriever"]
