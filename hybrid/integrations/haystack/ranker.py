"""A ranker component of Haystack: our rerankers over any list of its documents."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any, Self

from haystack import Document, component, default_from_dict, default_to_dict

import hybrid
from hybrid.integrations.details import KEY
from hybrid.integrations.reranking import chosen, judged, rejudged, seen


@component
class HybridRanker:
    """Reorder documents by a reranker and keep the best ``top_k`` (None: all).

    ``model`` is what `hybrid.load_reranker` accepts; `hybrid.register_reranker` gives one of your own a name.
    Documents of the same score keep their order. The score goes into ``score`` and under ``details`` of the
    meta (None: nowhere), beside what `HybridRetriever` wrote there.
    """

    def __init__(self, model: str, top_k: int | None = None, details: str | None = KEY) -> None:
        """Name the reranker; it is loaded by `warm_up`, or when it is first used."""
        self.model, self.top_k, self.details = model, top_k, details

    def to_dict(self) -> dict[str, Any]:
        """Return the component as Haystack serialises it."""
        return default_to_dict(self, model=self.model, top_k=self.top_k, details=self.details)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Return the component that `to_dict` describes."""
        return default_from_dict(cls, data)

    def warm_up(self) -> None:
        """Load the reranker."""
        chosen(self.model, None)

    @component.output_types(documents=list[Document])
    def run(
        self, query: str, documents: list[Document], top_k: int | None = None
    ) -> dict[str, list[Document]]:
        """Return the best documents for the query, best first; those given are not changed."""
        asked = [self._asked(document) for document in documents]
        top = self.top_k if top_k is None else top_k
        ranked = []
        for rank, each in enumerate(judged(chosen(self.model, None), query, asked, top), 1):
            document = documents[each.position]
            meta = document.meta
            if self.details is not None:
                meta = rejudged(meta, self.details, self.model, each, rank)
            ranked.append(replace(document, meta=meta, score=each.score))
        return {"documents": ranked}

    @component.output_types(documents=list[Document])
    async def run_async(
        self, query: str, documents: list[Document], top_k: int | None = None
    ) -> dict[str, list[Document]]:
        """Do what `run` does, without holding up the event loop."""
        ranked: dict[str, list[Document]] = await asyncio.to_thread(self.run, query, documents, top_k)
        return ranked

    def _asked(self, document: Document) -> hybrid.Document:
        """Return a document as rerankers read it: under the title that details may have."""
        title = seen(document.meta, self.details, document.id).get("title", "")
        return hybrid.Document(document.id, document.content or "", title, document.meta)
