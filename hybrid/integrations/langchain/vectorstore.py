"""A vector store of LangChain that is an index: texts and vectors, searched together."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.vectorstores import VectorStore

import hybrid
from hybrid.integrations.asking import Asking
from hybrid.integrations.langchain.documents import document_of, documents_of
from hybrid.integrations.langchain.embeddings import EmbeddingsEncoder, HybridEmbeddings
from hybrid.integrations.vectors import cosines, dense_name, diverse

MODEL = "langchain"
"""The name that a pipeline calls LangChain's embeddings by."""

Filter = Mapping[str, Any] | None


class HybridVectorStore(VectorStore):
    """An index as a vector store; make one with `create`, `open` or ``from_documents``.

    ``similarity_search`` asks all branches of the index and fuses them, so it is a hybrid search; scores are
    those of `hybrid.Hit`, higher is better, and compare documents of one query only. ``filter`` is a
    ``where`` filter of the index (`hybrid.index.filters`), inside every branch. ``branches``, ``fusion``,
    ``strict`` and ``deadline`` may be given to every search as to `HybridIndex.search`.

    ``embedding`` is LangChain's; an index that has a model of its own needs none. Documents come back as they
    were added. With ``details``, a key, they have what the search knows under it (`HybridRetriever`).
    """

    def __init__(
        self, index: hybrid.HybridIndex, embedding: Embeddings | None = None, *, details: str | None = None
    ) -> None:
        """Wrap an open index, which is the caller's to refresh and close."""
        self.index, self._embedding, self.details = index, embedding, details

    @classmethod
    def create(
        cls,
        path: str | Path,
        embedding: Embeddings | None = None,
        *,
        pipeline: hybrid.Pipeline | None = None,
        details: str | None = None,
        **options: Any,
    ) -> Self:
        """Create an empty index in the folder ``path``; ``options`` are those of `hybrid.create`.

        Without a ``pipeline`` it is BM25 and the embeddings, fused; a pipeline names LangChain's embeddings
        ``"langchain"``: ``hybrid.Dense("langchain")``.
        """
        if pipeline is None:
            dense = hybrid.Dense() if embedding is None else hybrid.Dense(_model(embedding))
            pipeline = hybrid.Pipeline((hybrid.BM25(), dense))
        elif embedding is not None and (model := _model(embedding)) not in _models(pipeline):
            raise hybrid.PipelineError(
                f"no branch of {pipeline!r} has the model {model!r}, so the embeddings would not be used; "
                f"add hybrid.Dense({model!r}), or give no embedding"
            )
        return cls(
            hybrid.create(path, [], pipeline, **_with_encoder(options, embedding)), embedding, details=details
        )

    @classmethod
    def open(
        cls,
        path: str | Path,
        embedding: Embeddings | None = None,
        *,
        mode: Literal["r", "w"] = "w",
        details: str | None = None,
        **options: Any,
    ) -> Self:
        """Open the index in the folder ``path``; ``options`` are those of `hybrid.open`.

        Raises:
            FingerprintError: the embeddings are not those that the index was built with.
        """
        return cls(hybrid.open(path, mode, **_with_encoder(options, embedding)), embedding, details=details)

    @classmethod
    def from_texts(
        cls,
        texts: list[str],
        embedding: Embeddings | None,
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: list[str] | None = None,
        path: str | Path | None = None,
        **kwargs: Any,
    ) -> Self:
        """Create an index of texts in the folder ``path``; ``kwargs`` are those of `create`."""
        if path is None:
            raise hybrid.InputError("an index is a folder; give path='my-index'")
        store = cls.create(path, embedding, **kwargs)
        try:
            store.add_texts(texts, metadatas, ids=ids)
        except BaseException:
            store.index.close()
            raise
        return store

    @property
    def embeddings(self) -> Embeddings | None:
        """The embeddings given, else the model of the index's one dense branch, else None."""
        dense = [b for b in self.index.pipeline.branches if isinstance(b, hybrid.Dense)]
        if self._embedding is None and len(dense) == 1 and dense[0].model is not None:
            return HybridEmbeddings(dense[0].model)
        return self._embedding

    def add_texts(
        self,
        texts: Iterable[str],
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: Sequence[str | None] | None = None,
        **kwargs: Any,
    ) -> list[str]:
        """Add texts in one commit, replacing those of the same ids; return their ids.

        A text without an id gets a random one. Metadata are JSON values.

        Raises:
            InputError: there are not as many metadata or ids as texts.
            DocumentError: a document cannot be accepted; the index is as it was.
        """
        if kwargs:
            raise hybrid.InputError(
                f"{sorted(kwargs)} cannot be used; add_texts takes texts, metadatas and ids"
            )
        texts = list(texts)
        for what, given in (("metadatas", metadatas), ("ids", ids)):
            if given is not None and len(given) != len(texts):
                raise hybrid.InputError(
                    f"there are {len(texts)} texts and {len(given)} {what}; give one for each"
                )
        named = [id if id is not None else str(uuid.uuid4()) for id in (ids or [None] * len(texts))]
        rows = zip(named, texts, metadatas or [{}] * len(texts), strict=True)
        self.index.update(hybrid.Document(id, text, metadata=metadata) for id, text, metadata in rows)
        return named

    def add_documents(self, documents: list[Document], **kwargs: Any) -> list[str]:
        """Add documents as `add_texts` does; ``ids`` come before those of the documents."""
        ids = kwargs.pop("ids", None)
        return self.add_texts(
            [document.page_content for document in documents],
            [document.metadata for document in documents],
            ids=[document.id for document in documents] if ids is None else ids,
            **kwargs,
        )

    def delete(self, ids: list[str] | None = None, **kwargs: Any) -> bool:
        """Delete documents in one commit, all if no ids are given; ids that are not there are skipped."""
        if kwargs:
            raise hybrid.InputError(f"{sorted(kwargs)} cannot be used; delete takes ids")
        if ids is None:
            self.index.delete(where={})
        else:
            self.index.delete(ids, missing="ignore")
        return True

    def get_by_ids(self, ids: Sequence[str], /) -> list[Document]:
        """Return the documents of these ids, in their order; those that are not there are left out."""
        found = []
        for id in ids:
            with suppress(hybrid.NotFoundError):
                found.append(self.index.get(id))
        return [Document(id=d.id, page_content=d.text, metadata=dict(d.metadata)) for d in found]

    def similarity_search(
        self, query: str, k: int = 4, filter: Filter = None, **kwargs: Any
    ) -> list[Document]:
        """Return the best documents under the fusion of all branches."""
        return documents_of(self._found(query, k, filter, kwargs), self.details)

    def similarity_search_with_score(
        self, query: str, k: int = 4, filter: Filter = None, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        """Return the best documents with their scores: higher is better, of one query only."""
        result = self._found(query, k, filter, kwargs)
        return list(zip(documents_of(result, self.details), (hit.score for hit in result), strict=True))

    def similarity_search_by_vector(
        self, embedding: Sequence[float], k: int = 4, filter: Filter = None, **kwargs: Any
    ) -> list[Document]:
        """Return the documents whose vectors have the highest inner product with ``embedding``."""
        return documents_of(self._nearest(embedding, k, filter, kwargs), self.details)

    def max_marginal_relevance_search(
        self,
        query: str,
        k: int = 4,
        fetch_k: int = 20,
        lambda_mult: float = 0.5,
        filter: Filter = None,
        **kwargs: Any,
    ) -> list[Document]:
        """Return ``k`` of the best ``fetch_k`` documents so that each brings something new.

        As `hybrid.MMR` does: relevance is the fused score, mapped to [0, 1] over the ``fetch_k``; similarity
        is the cosine of stored vectors; ``lambda_mult`` is the share of relevance.
        """
        result = self._found(query, fetch_k, filter, kwargs)
        return [self._document(result, hit) for hit in diverse(self.index, result, k, lambda_mult)]

    def max_marginal_relevance_search_by_vector(
        self,
        embedding: Sequence[float],
        k: int = 4,
        fetch_k: int = 20,
        lambda_mult: float = 0.5,
        filter: Filter = None,
        **kwargs: Any,
    ) -> list[Document]:
        """Do what `max_marginal_relevance_search` does among the documents nearest to a vector."""
        result = self._nearest(embedding, fetch_k, filter, kwargs)
        return [self._document(result, hit) for hit in diverse(self.index, result, k, lambda_mult)]

    def _similarity_search_with_relevance_scores(
        self, query: str, k: int = 4, filter: Filter = None, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        """Return the documents nearest in meaning, with (1 + cosine) / 2, which lies in [0, 1].

        A fused score is no relevance: it says where a document stands among those found for one query, and
        the best is near the top whether or not it is relevant. So these are of the dense branch alone.
        """
        vector = self.index.embed(query)
        result = self._nearest(vector, k, filter, kwargs)
        if not len(result):
            return []
        scores = np.array([hit.scores[dense_name(self.index)] for hit in result])
        similar = cosines(scores, vector, self.index.vectors([hit.id for hit in result]))
        relevance = ((1 + similar) / 2).tolist()
        return list(zip(documents_of(result, self.details), relevance, strict=True))

    async def _asimilarity_search_with_relevance_scores(
        self, query: str, k: int = 4, filter: Filter = None, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        """Do what `_similarity_search_with_relevance_scores` does, in a thread."""
        search = self._similarity_search_with_relevance_scores
        return await asyncio.to_thread(search, query, k, filter, **kwargs)

    def _found(self, query: str, k: int, where: Filter, others: Mapping[str, Any]) -> hybrid.Result:
        return Asking(k, where).but(others).search(self.index, query)

    def _nearest(
        self, vector: Sequence[float] | Any, k: int, where: Filter, others: Mapping[str, Any]
    ) -> hybrid.Result:
        """Search by the dense branch alone, for a vector."""
        name = dense_name(self.index)
        asking = Asking(k, where, [name]).but(others)
        return asking.search(self.index, hybrid.Query("", {name: vector}))

    def _document(self, result: hybrid.Result, hit: hybrid.Hit) -> Document:
        return document_of(result, hit, self.details, "text")


def _model(embedding: Embeddings) -> str:
    """Return the name that a pipeline calls embeddings by; those of a model of ours have its own."""
    return embedding.model if isinstance(embedding, HybridEmbeddings) else MODEL


def _models(pipeline: hybrid.Pipeline) -> set[str | None]:
    return {store.model for store in pipeline.stores}


def _with_encoder(options: Mapping[str, Any], embedding: Embeddings | None) -> dict[str, Any]:
    """Return options for `hybrid.create` or `hybrid.open` with the embeddings among the encoders."""
    if embedding is None:
        return dict(options)
    if isinstance(embedding, HybridEmbeddings):
        own = {} if embedding.encoder is None else {embedding.model: embedding.encoder}
    else:
        own = {MODEL: EmbeddingsEncoder(embedding)}
    return {**options, "encoders": {**(options.get("encoders") or {}), **own}}
