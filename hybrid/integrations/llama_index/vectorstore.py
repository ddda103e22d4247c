"""A vector store of LlamaIndex that is an index: texts and vectors, searched together or apart."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Self

from llama_index.core.bridge.pydantic import PrivateAttr
from llama_index.core.schema import BaseNode
from llama_index.core.vector_stores.types import (
    BasePydanticVectorStore,
    MetadataFilters,
    VectorStoreQuery,
    VectorStoreQueryMode,
    VectorStoreQueryResult,
)

import hybrid
from hybrid.integrations.asking import Asking
from hybrid.integrations.llama_index.filters import where_of
from hybrid.integrations.llama_index.nodes import as_document, as_node, node_of
from hybrid.integrations.llama_index.retriever import bringing
from hybrid.integrations.vectors import dense_name, diverse

_Mode = VectorStoreQueryMode
_PREFETCH = 4
"""How many times as many nodes as wanted are candidates for diversity, as LlamaIndex's own stores do it."""


class HybridVectorStore(BasePydanticVectorStore):
    """An index as a vector store; make one with `create` or `open`.

    With a ``dimension`` nodes and queries bring the vectors that LlamaIndex's embedding model makes. An
    index whose dense branches have a model makes them itself; then embeddings that nodes bring are not
    used, and queries are not embedded.

    The modes of a query: "default" is the dense branch alone, with its inner products; "hybrid" is all
    branches, fused as the index does it or, with an ``alpha``, by `hybrid.Weighted` (1: dense alone);
    "sparse" and "text_search" are the sparse branches, one with its own scores; "mmr" is `hybrid.MMR` over
    the nearest by the dense branch. The others are refused, and so are filters that an index cannot express.
    Nodes come back as they were added, but for their embeddings.
    """

    stores_text: bool = True
    is_embedding_query: bool = True
    _index: hybrid.HybridIndex = PrivateAttr()

    def __init__(self, index: hybrid.HybridIndex) -> None:
        """Wrap an open index, which is the caller's to refresh and close."""
        super().__init__(stores_text=True, is_embedding_query=bool(bringing(index)))
        self._index = index

    @classmethod
    def create(
        cls,
        path: str | Path,
        dimension: int | None = None,
        *,
        pipeline: hybrid.Pipeline | None = None,
        **options: Any,
    ) -> Self:
        """Create an empty index in the folder ``path``; ``options`` are those of `hybrid.create`.

        Without a ``pipeline`` it is BM25 and vectors of ``dimension`` numbers, fused; without either, BM25
        and the bundled MiniLM.
        """
        if pipeline is not None and dimension is not None:
            raise hybrid.InputError(
                "give a pipeline or a dimension: hybrid.Dense(dimension=…) in the pipeline"
            )
        if pipeline is None and dimension is not None:
            pipeline = hybrid.Pipeline((hybrid.BM25(), hybrid.Dense(dimension=dimension)))
        return cls(hybrid.create(path, [], pipeline, **options))

    @classmethod
    def open(cls, path: str | Path, mode: Literal["r", "w"] = "w", **options: Any) -> Self:
        """Open the index in the folder ``path``; ``options`` are those of `hybrid.open`."""
        return cls(hybrid.open(path, mode, **options))

    @classmethod
    def class_name(cls) -> str:
        """Return the name that LlamaIndex serialises it under."""
        return "HybridVectorStore"

    @property
    def client(self) -> hybrid.HybridIndex:
        """The index."""
        return self._index

    def add(self, nodes: Sequence[BaseNode], **kwargs: Any) -> list[str]:
        """Add nodes in one commit, replacing those of the same ids; return their ids.

        Raises:
            InputError: a node cannot be stored; the index is as it was.
        """
        names = bringing(self._index)
        self._index.update(
            as_document(node, dict.fromkeys(names, node.get_embedding()) if names else {}) for node in nodes
        )
        return [node.node_id for node in nodes]

    async def async_add(self, nodes: Sequence[BaseNode], **kwargs: Any) -> list[str]:
        """Do what `add` does, in a thread."""
        return await asyncio.to_thread(self.add, nodes, **kwargs)

    def delete(self, ref_doc_id: str, **delete_kwargs: Any) -> None:
        """Delete all nodes of a source document in one commit."""
        self._index.delete(where=where_of(None, [ref_doc_id]))

    async def adelete(self, ref_doc_id: str, **delete_kwargs: Any) -> None:
        """Do what `delete` does, in a thread."""
        await asyncio.to_thread(self.delete, ref_doc_id)

    def delete_nodes(
        self,
        node_ids: list[str] | None = None,
        filters: MetadataFilters | None = None,
        **delete_kwargs: Any,
    ) -> None:
        """Delete the nodes of these ids that the filters let through, in one commit.

        Raises:
            InputError: neither is given; `clear` deletes all.
        """
        where = where_of(filters, node_ids=node_ids)
        if where is None:
            raise hybrid.InputError("give node_ids or filters; clear() deletes all nodes")
        self._index.delete(where=where)

    async def adelete_nodes(
        self,
        node_ids: list[str] | None = None,
        filters: MetadataFilters | None = None,
        **delete_kwargs: Any,
    ) -> None:
        """Do what `delete_nodes` does, in a thread."""
        await asyncio.to_thread(self.delete_nodes, node_ids, filters)

    def get_nodes(
        self, node_ids: list[str] | None = None, filters: MetadataFilters | None = None
    ) -> list[BaseNode]:
        """Return the nodes of these ids that the filters let through, by id; without both, all."""
        found = self._index.documents(where_of(filters, node_ids=node_ids))
        return [as_node(document.id, document.text, document.metadata) for document in found]

    async def aget_nodes(
        self, node_ids: list[str] | None = None, filters: MetadataFilters | None = None
    ) -> list[BaseNode]:
        """Do what `get_nodes` does, in a thread."""
        return await asyncio.to_thread(self.get_nodes, node_ids, filters)

    def clear(self) -> None:
        """Delete all nodes in one commit."""
        self._index.delete(where={})

    async def aclear(self) -> None:
        """Do what `clear` does, in a thread."""
        await asyncio.to_thread(self.clear)

    def query(self, query: VectorStoreQuery, **kwargs: Any) -> VectorStoreQueryResult:
        """Return the best nodes with their scores, higher being better.

        ``kwargs`` are ``branches``, ``fusion``, ``strict`` and ``deadline`` of `HybridIndex.search`.

        Raises:
            InputError: the mode is none of those above, or what it needs is not there.
        """
        asking = self._asking(query).but(kwargs)
        result = asking.search(self._index, self._asked(query))
        hits: Sequence[hybrid.Hit] = list(result)
        if query.mode == _Mode.MMR:
            weight = 0.5 if query.mmr_threshold is None else query.mmr_threshold
            hits = diverse(self._index, result, query.similarity_top_k, weight)
        return VectorStoreQueryResult(
            nodes=[node_of(result, hit, None, "text") for hit in hits],
            similarities=[hit.score for hit in hits],
            ids=[hit.id for hit in hits],
        )

    async def aquery(self, query: VectorStoreQuery, **kwargs: Any) -> VectorStoreQueryResult:
        """Do what `query` does, in a thread."""
        return await asyncio.to_thread(self.query, query, **kwargs)

    def _asking(self, query: VectorStoreQuery) -> Asking:
        """Return what a query asks of the index; LlamaIndex means nothing by empty lists of ids."""
        for name in ("output_fields", "embedding_field"):
            if getattr(query, name) is not None:
                raise hybrid.InputError(
                    f"{name} is {getattr(query, name)!r}; an index cannot choose it, give None"
                )
        asking = Asking(
            query.similarity_top_k, where_of(query.filters, query.doc_ids or None, query.node_ids or None)
        )
        match query.mode:
            case _Mode.DEFAULT:
                return asking.but(_alone(dense_name(self._index)))
            case _Mode.MMR:
                return asking.but({**_alone(dense_name(self._index)), "k": asking.k * _PREFETCH})
            case _Mode.HYBRID:
                fusion = None if query.alpha is None else hybrid.Weighted(query.alpha)
                return asking.but({"k": query.hybrid_top_k or asking.k, "fusion": fusion})
            case _Mode.SPARSE | _Mode.TEXT_SEARCH:
                names = [b.name for b in self._index.pipeline.branches if b.kind == "sparse"]
                if not names:
                    raise hybrid.PipelineError(
                        f"the mode is {query.mode.value!r}; this index has no sparse branch"
                    )
                few = {"branches": names} if len(names) > 1 else _alone(names[0])
                return asking.but({**few, "k": query.sparse_top_k or asking.k})
        known = (_Mode.DEFAULT, _Mode.HYBRID, _Mode.SPARSE, _Mode.TEXT_SEARCH, _Mode.MMR)
        raise hybrid.InputError(
            f"the mode is {query.mode.value!r}, which an index does not have; accepted: "
            f"{', '.join(mode.value for mode in known)}"
        )

    def _asked(self, query: VectorStoreQuery) -> hybrid.Query:
        vectors: dict[str, Any] = {}
        if query.query_embedding is not None:
            vectors = dict.fromkeys(bringing(self._index), query.query_embedding)
        return hybrid.Query(query.query_str or "", vectors)


def _alone(branch: str) -> dict[str, Any]:
    """Return the arguments of a search by one branch, with its own scores."""
    return {"branches": [branch], "fusion": hybrid.Weighted(weights={branch: 1.0}, normalizer=hybrid.Raw())}
