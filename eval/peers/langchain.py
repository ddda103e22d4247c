"""LangChain's EnsembleRetriever over its BM25 retriever (rank-bm25) and its FAISS store."""

from __future__ import annotations

import pickle
import re
from typing import Any

from langchain_classic.retrievers import EnsembleRetriever
from langchain_community.retrievers import BM25Retriever
from langchain_community.vectorstores import FAISS
from langchain_community.vectorstores.utils import DistanceStrategy
from langchain_core.embeddings import Embeddings

from peers.protocol import Answer, Mode, Task

DEEP = 100
WORDS = re.compile(r"\w+")


def words(text: str) -> list[str]:
    """Return lower-case words: the default splits at spaces only and would find little."""
    return WORDS.findall(text.lower())


class Known(Embeddings):
    """Looks the vectors of known queries up: stands where an encoder would."""

    def __init__(self, vectors: dict[str, list[float]]) -> None:
        self.vectors = vectors

    def embed_query(self, text: str) -> list[float]:
        """Return the query's vector."""
        return self.vectors[text]

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Refuse: documents bring their vectors."""
        raise NotImplementedError(f"{len(texts)} documents came without vectors")


def build(task: Task) -> None:
    """Build both retrievers; the first has no format on disk and is pickled."""
    ids, texts = task.ids(), list(task.documents())
    metadata = [{"id": id} for id in ids]
    lexical = BM25Retriever.from_texts(texts, metadata, ids, preprocess_func=words)
    with (task.folder / "bm25.pickle").open("wb") as file:
        pickle.dump(lexical, file, protocol=5)
    pairs = zip(texts, task.array("vectors"), strict=True)
    strategy = DistanceStrategy.MAX_INNER_PRODUCT
    store = FAISS.from_embeddings(pairs, Known({}), metadata, ids, distance_strategy=strategy)
    store.save_local(str(task.folder / "faiss"))


def open(task: Task) -> Any:
    """Load what `build` has just written."""
    with (task.folder / "bm25.pickle").open("rb") as file:
        lexical = pickle.load(file)
    known = Known({query.text: query.vector.tolist() for query in task.read_queries()})
    store = FAISS.load_local(
        str(task.folder / "faiss"),
        known,
        allow_dangerous_deserialization=True,
        distance_strategy=DistanceStrategy.MAX_INNER_PRODUCT,
    )
    return lexical, store


def modes(engine: Any, task: Task, k: int) -> dict[str, Mode]:
    """Return the ensemble with equal weights, as deep as its result, and with lists 100 deep."""
    lexical, store = engine

    def mode(depth: int) -> Mode:
        retriever = EnsembleRetriever(
            retrievers=[
                lexical.model_copy(update={"k": depth}),
                store.as_retriever(search_kwargs={"k": depth}),
            ],
            weights=[0.5, 0.5],
            id_key="id",
        )
        return Mode(lambda text: retriever.invoke(text)[:k], _answer)

    return {"hybrid": mode(k), "hybrid, 100 deep": mode(max(k, DEEP))}


def _answer(found: list[Any]) -> Answer:
    """Return the ids; it gives no scores, so those are the order alone."""
    return [(document.metadata["id"], -float(n)) for n, document in enumerate(found)]
