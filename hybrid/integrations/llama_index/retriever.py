"""A retriever of LlamaIndex over an index."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.schema import NodeWithScore, QueryBundle

import hybrid
from hybrid.integrations.asking import Asking
from hybrid.integrations.details import KEY, Content
from hybrid.integrations.llama_index.nodes import node_of


class HybridRetriever(BaseRetriever):
    """An open index as a retriever: ``HybridRetriever(hybrid.open("my-index"), k=5)``.

    ``k``, ``where``, ``branches``, ``fusion``, ``strict`` and ``deadline`` are those of `HybridIndex.search`;
    ``options`` are those of LlamaIndex (``callback_manager`` and the like). Nodes that a `HybridVectorStore`
    stored come back as they were; other documents become text nodes with their ids. A query bundle's
    embedding is used by dense branches without a model; the others have one of their own.

    Under the key ``details`` of the metadata ("hybrid"; None for nothing) nodes have what
    `hybrid.integrations.details` says; language and embedding models are not told it. ``content``: what the
    text is: "text", "content" (the title before it) or "passage" (the best one). The index is the caller's
    to refresh and close.
    """

    def __init__(
        self,
        index: hybrid.HybridIndex,
        k: int = 10,
        where: Mapping[str, Any] | None = None,
        *,
        branches: Sequence[str] | None = None,
        fusion: hybrid.Fusion | None = None,
        strict: bool = False,
        deadline: float | None = None,
        details: str | None = KEY,
        content: Content = "text",
        **options: Any,
    ) -> None:
        """Wrap an open index."""
        super().__init__(**options)
        self.index = index
        self.asking = Asking(k, where, branches, fusion, strict, deadline)
        self.details, self.content = details, content

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return self._nodes(self.asking.search(self.index, self._query(query_bundle)))

    async def _aretrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return self._nodes(await self.asking.asearch(self.index, self._query(query_bundle)))

    def _query(self, bundle: QueryBundle) -> hybrid.Query:
        vectors: dict[str, Any] = {}
        if bundle.embedding is not None:
            vectors = dict.fromkeys(bringing(self.index), bundle.embedding)
        return hybrid.Query(bundle.query_str, vectors)

    def _nodes(self, result: hybrid.Result) -> list[NodeWithScore]:
        return [
            NodeWithScore(node=node_of(result, hit, self.details, self.content), score=hit.score)
            for hit in result
        ]


def bringing(index: hybrid.HybridIndex) -> list[str]:
    """Return the names of an index's dense branches without a model: documents and queries bring vectors."""
    return [b.name for b in index.pipeline.branches if isinstance(b, hybrid.Dense) and b.model is None]
