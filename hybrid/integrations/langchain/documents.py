"""Documents of LangChain and hits of an index."""

from __future__ import annotations

from langchain_core.documents import Document

from hybrid.engine import Hit, Result
from hybrid.integrations.details import Content, beside, details, text_of


def document_of(result: Result, hit: Hit, key: str | None, content: Content) -> Document:
    """Return a hit as a document, with details under ``key`` of the metadata, unless it is None."""
    metadata = beside(hit.metadata, {} if key is None else details(result, hit), key, hit.id)
    return Document(id=hit.id, page_content=text_of(hit, content), metadata=metadata)


def documents_of(result: Result, key: str | None, content: Content = "text") -> list[Document]:
    """Return all hits of a result as documents, best first."""
    return [document_of(result, hit, key, content) for hit in result]
