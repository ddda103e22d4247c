"""A document compressor of LangChain: our rerankers over any list of its documents."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from langchain_core.callbacks import Callbacks
from langchain_core.documents import BaseDocumentCompressor, Document
from pydantic import ConfigDict

import hybrid
from hybrid.integrations.details import KEY
from hybrid.integrations.reranking import chosen, judged, rejudged, seen


class HybridReranker(BaseDocumentCompressor):
    """Reorder documents by a reranker and keep the best: ``HybridReranker(model="cohere:rerank-v3.5")``.

    ``model`` is what `hybrid.load_reranker` accepts; ``reranker``, if given, is used in its place, and is
    what ``model`` names. ``top_n``: how many documents stay (None: all). Documents of the same score keep
    their order. The score goes under ``details`` of the metadata (None: nowhere), into ``score`` and
    ``scores["rerank:MODEL"]``, with the new rank and what the reranker notes; what `HybridRetriever` wrote
    there stays.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    model: str
    reranker: Any = None
    top_n: int | None = None
    details: str | None = KEY

    def compress_documents(
        self, documents: Sequence[Document], query: str, callbacks: Callbacks | None = None
    ) -> list[Document]:
        """Return the best documents for the query, best first; the documents given are not changed."""
        asked = [self._asked(document, n) for n, document in enumerate(documents)]
        kept = []
        for rank, each in enumerate(judged(chosen(self.model, self.reranker), query, asked, self.top_n), 1):
            document = documents[each.position]
            if self.details is not None:
                metadata = rejudged(document.metadata, self.details, self.model, each, rank)
                document = document.model_copy(update={"metadata": metadata})
            kept.append(document)
        return kept

    def _asked(self, document: Document, position: int) -> hybrid.Document:
        """Return a document as rerankers read it: under the title that details may have."""
        title = seen(document.metadata, self.details, document.id).get("title", "")
        id = str(position) if document.id is None else document.id
        return hybrid.Document(id, document.page_content, title, document.metadata)
