"""Documents of Haystack as documents of an index, and back, without loss."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from haystack import Document

import hybrid
from hybrid.errors import DocumentError
from hybrid.integrations.details import Content, beside, details, text_of

OWN = "_haystack"
"""The metadata key that what a document is besides content and meta stands under, if there is anything."""

ID = f"{OWN}.id"
"""The field that filters find a document's id under."""


def stored(document: Document, branches: Sequence[str]) -> hybrid.Document:
    """Return a document as an index takes it; its embedding is the vector of ``branches``.

    Without such branches the embedding is kept as it came, and not searched.

    Raises:
        DocumentError: it is no document, or has metadata under `OWN`.
    """
    if not isinstance(document, Document):
        raise DocumentError(f"{document!r} is no haystack.Document")
    fields = document.to_dict(flatten=False)
    del fields["id"], fields["meta"]
    if document.content is not None:
        del fields["content"]
    vectors = {}
    if branches and document.embedding is not None:
        vectors = dict.fromkeys(branches, fields.pop("embedding"))
    rest = {name: value for name, value in fields.items() if value is not None or name == "content"}
    own = {"id": document.id, **({"rest": json.dumps(rest)} if rest else {})}
    metadata = beside(document.meta, own, OWN, document.id)
    return hybrid.Document(document.id, document.content or "", metadata=metadata, vectors=vectors)


def restored(id: str, text: str, metadata: Mapping[str, Any], vectors: Mapping[str, Any]) -> Document:
    """Return what a document of an index was made of; an embedding that was a vector has float32 numbers."""
    meta = dict(metadata)
    rest = json.loads(meta.pop(OWN, {}).get("rest", "{}"))
    if vectors:
        rest["embedding"] = [float(number) for number in next(iter(vectors.values()))]
    return Document.from_dict({"id": id, "content": text, **rest, "meta": meta})


def with_meta(document: hybrid.Document, meta: Mapping[str, Any]) -> hybrid.Document:
    """Return a stored document with these keys of its meta set; all else that it has stays.

    Raises:
        InputError: `OWN` is among the keys.
    """
    beside(meta, {}, OWN, document.id)
    return replace(document, metadata={**document.metadata, **meta})


def document_of(result: hybrid.Result, hit: hybrid.Hit, key: str | None, content: Content) -> Document:
    """Return a hit with its score, and details of the search under ``key`` of its meta, unless it is None."""
    document = restored(hit.id, text_of(hit, content), hit.metadata, {})
    meta = beside(document.meta, {} if key is None else details(result, hit), key, hit.id)
    return replace(document, meta=meta, score=hit.score)
