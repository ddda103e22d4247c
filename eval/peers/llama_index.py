"""LlamaIndex's QueryFusionRetriever over its BM25 retriever (bm25s) and its faiss store."""

from __future__ import annotations

from typing import Any

import faiss
from llama_index.core import Settings, StorageContext, VectorStoreIndex, load_index_from_storage
from llama_index.core.embeddings import BaseEmbedding
from llama_index.core.llms import MockLLM
from llama_index.core.retrievers import QueryFusionRetriever
from llama_index.core.schema import TextNode
from llama_index.retrievers.bm25 import BM25Retriever
from llama_index.vector_stores.faiss import FaissVectorStore

from peers.protocol import Answer, Mode, Task

DEEP = 100


class Known(BaseEmbedding):
    """Looks the vectors of known queries up: stands where an encoder would."""

    vectors: dict[str, list[float]]

    def _get_query_embedding(self, query: str) -> list[float]:
        return self.vectors[query]

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return self.vectors[query]

    def _get_text_embedding(self, text: str) -> list[float]:
        raise NotImplementedError(f"a document came without a vector: {text[:60]!r}")


def build(task: Task) -> None:
    """Build and persist both retrievers."""
    Settings.embed_model = Known(vectors={})
    vectors = task.array("vectors")
    nodes = [
        TextNode(id_=id, text=text, embedding=vector.tolist())
        for id, text, vector in zip(task.ids(), task.documents(), vectors, strict=True)
    ]
    store = FaissVectorStore(faiss_index=faiss.IndexFlatIP(int(vectors.shape[1])))
    context = StorageContext.from_defaults(vector_store=store)
    VectorStoreIndex(nodes, storage_context=context, store_nodes_override=True)
    context.persist(str(task.folder / "vectors"))
    BM25Retriever.from_defaults(nodes=nodes).persist(str(task.folder / "bm25"))


def open(task: Task) -> Any:
    """Load both; there is no language model, and none is asked."""
    Settings.embed_model = Known(vectors={query.text: query.vector.tolist() for query in task.read_queries()})
    Settings.llm = MockLLM()
    folder = str(task.folder / "vectors")
    context = StorageContext.from_defaults(
        vector_store=FaissVectorStore.from_persist_dir(folder), persist_dir=folder
    )
    return load_index_from_storage(context), BM25Retriever.from_persist_dir(str(task.folder / "bm25"))


def modes(engine: Any, task: Task, k: int) -> dict[str, Mode]:
    """Return the fusion by reciprocal ranks, as deep as its result, and with lists 100 deep."""
    index, lexical = engine

    def mode(depth: int) -> Mode:
        def search(text: str) -> Any:
            lexical.similarity_top_k = depth
            return retriever.retrieve(text)

        retriever = QueryFusionRetriever(
            [index.as_retriever(similarity_top_k=depth), lexical],
            similarity_top_k=k,
            num_queries=1,
            mode="reciprocal_rerank",
            use_async=False,
        )
        return Mode(search, _answer)

    return {"hybrid": mode(k), "hybrid, 100 deep": mode(max(k, DEEP))}


def _answer(found: list[Any]) -> Answer:
    return [(item.node.node_id, item.score) for item in found]
