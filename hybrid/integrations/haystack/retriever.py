"""A retriever component of Haystack over an index."""

from __future__ import annotations

import asyncio
from typing import Any, Self

from haystack import Document, component, default_from_dict, default_to_dict
from haystack.document_stores.types import FilterPolicy, apply_filter_policy

from hybrid.errors import InputError
from hybrid.integrations.asking import Asking
from hybrid.integrations.details import KEY, Content
from hybrid.integrations.haystack.store import HybridDocumentStore


@component
class HybridRetriever:
    """Search a `HybridDocumentStore` by all branches of its index, fused.

    ``branches``, ``strict`` and ``deadline`` are those of `HybridIndex.search`; the fusion is the recipe's.
    With a store of embeddings the query's comes as ``query_embedding``. Documents have their score (higher
    is better, of one query only) and, under the key ``details`` of their meta ("hybrid"; None for nothing),
    their rank, every branch's and stage's score, and the result's exact, gap, degraded, notes and
    generation. ``content``: what their content is: "text", "content" (the title before it) or "passage".
    """

    def __init__(
        self,
        document_store: HybridDocumentStore,
        filters: dict[str, Any] | None = None,
        top_k: int = 10,
        branches: list[str] | None = None,
        strict: bool = False,
        deadline: float | None = None,
        details: str | None = KEY,
        content: Content = "text",
        filter_policy: str | FilterPolicy = FilterPolicy.REPLACE,
    ) -> None:
        """Keep the store and what to ask of it.

        Raises:
            InputError: it is no `HybridDocumentStore`.
        """
        if not isinstance(document_store, HybridDocumentStore):
            raise InputError(f"document_store is {document_store!r}; give a HybridDocumentStore")
        self.document_store, self.filters, self.top_k = document_store, filters, top_k
        self.branches, self.strict, self.deadline = branches, strict, deadline
        self.details, self.content = details, content
        self.filter_policy = (
            FilterPolicy.from_str(filter_policy) if isinstance(filter_policy, str) else filter_policy
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the component as Haystack serialises it."""
        return default_to_dict(
            self,
            document_store=self.document_store,
            filters=self.filters,
            top_k=self.top_k,
            branches=self.branches,
            strict=self.strict,
            deadline=self.deadline,
            details=self.details,
            content=self.content,
            filter_policy=self.filter_policy.value,
        )

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Return the component that `to_dict` describes."""
        return default_from_dict(cls, data)

    @component.output_types(documents=list[Document])
    def run(
        self,
        query: str,
        query_embedding: list[float] | None = None,
        filters: dict[str, Any] | None = None,
        top_k: int | None = None,
    ) -> dict[str, list[Document]]:
        """Return the best documents for a query; ``filters`` and ``top_k`` come before the component's."""
        wanted = apply_filter_policy(self.filter_policy, self.filters, filters)
        k = self.top_k if top_k is None else top_k
        asking = Asking(k, None, self.branches, None, self.strict, self.deadline)
        documents = self.document_store.search(
            query, asking, wanted, query_embedding, details=self.details, content=self.content
        )
        return {"documents": documents}

    @component.output_types(documents=list[Document])
    async def run_async(
        self,
        query: str,
        query_embedding: list[float] | None = None,
        filters: dict[str, Any] | None = None,
        top_k: int | None = None,
    ) -> dict[str, list[Document]]:
        """Do what `run` does, without holding up the event loop."""
        found: dict[str, list[Document]] = await asyncio.to_thread(
            self.run, query, query_embedding, filters, top_k
        )
        return found
